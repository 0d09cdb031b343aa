"""The two calls of libmount's Python binding that crun's mount tests use; Debian has no package of the real one."""

from types import SimpleNamespace


class Table:
    """A mountinfo file. Source: proc_pid_mountinfo(5)."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.lines = [line.split() for line in file if " - " in line]

    def find_target(self, target):
        """The last mount at `target`; `None` when there is none."""
        for fields in reversed(self.lines):
            if fields[4] == target:
                right = fields[fields.index("-") + 1 :]
                return SimpleNamespace(vfs_options=fields[5], fs_options=right[2])
        return None
