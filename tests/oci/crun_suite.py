"""Runs crun's test programs against two runtimes and compares; tests/oci/crun-suite prepares and calls it."""

import argparse
import concurrent.futures
import os
import pathlib
import pty
import re
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
# Seconds for one program; the longest waits half a minute by design.
DEADLINE = 75
# Makes a cgroup of a fixed name: one runtime at a time.
EXCLUSIVE = {"test_delete": threading.Lock()}
LINE = re.compile(r"^(ok|not ok) \d+ - (\S+)( #SKIP)?\s*$", re.M)


class Runtime:
    """One of the two, with a working directory of its own: the programs keep their state there."""

    def __init__(self, name, path, source, scratch):
        self.name = name
        self.path = path
        self.dir = scratch / name
        self.dir.mkdir()
        (self.dir / "tests").symlink_to(source / "tests")


def run(view, runtime, program):
    """Outcome of every test of a program: {name: passed|skipped|failed}, and what it printed."""
    with EXCLUSIVE.get(program, threading.Lock()):
        begin = time.monotonic()
        output = run_in_terminal(
            [str(HERE.parent / "lib/cgroup-view.sh"), view, sys.executable, f"tests/{program}.py"],
            cwd=runtime.dir,
            env=dict(
                os.environ,
                OCI_RUNTIME=str(runtime.path),
                PYTHONPATH=str(HERE / "stand-in"),
                PYTHONDONTWRITEBYTECODE="1",
            ),
        )
    words = {"ok": "passed", "not ok": "failed"}
    outcome = {name: "skipped" if skip else words[ok] for ok, name, skip in LINE.findall(output)}
    if not re.search(r"^1\.\.\d+\s*$", output, re.M):
        outcome["(program)"] = "failed"
    return outcome, output, time.monotonic() - begin


def run_in_terminal(command, **kwargs):
    """Output of a command whose standard streams are a terminal: some tests are about that."""
    controlling, terminal = pty.openpty()
    with subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True, **kwargs
    ) as process:
        os.close(terminal)
        chunks = []
        reader = threading.Thread(target=drain, args=(controlling, chunks), daemon=True)
        reader.start()
        try:
            process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            chunks.append(f"\nnot finished after {DEADLINE} s\n".encode())
        # A container that was left running keeps the terminal open.
        reader.join(5)
    return b"".join(chunks).decode(errors="replace").replace("\r\n", "\n")


def drain(descriptor, chunks):
    while True:
        try:
            data = os.read(descriptor, 65536)
        except OSError:
            return
        if not data:
            return
        chunks.append(data)


def expected_failures():
    """{"program/test": reason} from the file beside us."""
    listed = {}
    for line in (HERE / "crun-suite.expected").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, reason = line.split(None, 1)
            listed[name] = reason
    return listed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--skiff", type=pathlib.Path, required=True)
    parser.add_argument("--view", choices=["v1", "v2"], default="v1")
    parser.add_argument("--only", help="one program, without .py")
    args = parser.parse_args()
    programs = sorted(p.stem for p in args.source.glob("tests/test_*.py") if args.only in (None, p.stem))
    if not programs:
        sys.exit("no such test program")
    # The longest first: the others fit beside it.
    programs.sort(key=lambda p: p != "test_start")
    before = cgroups()
    try:
        with tempfile.TemporaryDirectory(prefix="skiff-crun-suite-") as scratch:
            return compare(args, programs, pathlib.Path(scratch))
    finally:
        remove(cgroups() - before)


def cgroups():
    """The cgroups of all hierarchies, as seen from outside the views."""
    return {path for path in pathlib.Path("/sys/fs/cgroup").rglob("*") if path.is_dir()}


def remove(left):
    """Removes the tests' cgroups, with what still runs in them: some tests leave a container, frozen ones too."""
    ours = [path for path in left if any(p == "frozen" or "test-tmp" in p for p in path.parts)]
    for path in ours:
        for name, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            if (path / name).exists():
                (path / name).write_text(value)
        for pid in (path / "cgroup.procs").read_text().split():
            try:
                os.kill(int(pid), 9)
            except ProcessLookupError:
                pass
    end = time.monotonic() + 10
    for path in sorted(ours, reverse=True):
        while path.exists():
            try:
                path.rmdir()
            except OSError:
                if time.monotonic() > end:
                    print(f"left behind: {path}", file=sys.stderr)
                    break
                time.sleep(0.05)


def compare(args, programs, scratch):
    # Containers with other user ids walk through it.
    scratch.chmod(0o755)
    called = scratch / "skiff-oci"
    called.symlink_to(args.skiff)
    runtimes = [
        Runtime("crun", pathlib.Path("/usr/bin/crun"), args.source, scratch),
        Runtime("skiff", called, args.source, scratch),
    ]
    with concurrent.futures.ThreadPoolExecutor(max_workers=2 * len(runtimes)) as pool:
        jobs = {(p, r.name): pool.submit(run, args.view, r, p) for p in programs for r in runtimes}
    listed = expected_failures()
    worse, output = [], {}
    print(f"{'program':30}{'crun: passed':>14}{'skiff: passed':>15}{'of':>5}{'seconds':>18}")
    for program in sorted(programs):
        crun, _, crun_seconds = jobs[program, "crun"].result()
        skiff, printed, skiff_seconds = jobs[program, "skiff"].result()
        passed = [sum(v == "passed" for v in o.values()) for o in (crun, skiff)]
        print(f"{program:30}{passed[0]:14}{passed[1]:15}{len(crun):5}{crun_seconds:9.1f}{skiff_seconds:9.1f}")
        for test, outcome in crun.items():
            name = f"{program}/{test}"
            if outcome == "passed" and skiff.get(test) != "passed":
                if name in listed:
                    print(f"    {test}: {listed[name]}")
                else:
                    worse.append(name)
                    output[program] = printed
            elif skiff.get(test) == "passed":
                if name in listed:
                    worse.append(f"{name} passes and must not be listed")
                if outcome != "passed":
                    print(f"    {test}: skiff passes, crun: {outcome}")
    for program, printed in output.items():
        print(f"\n--- {program}\n{printed}")
    if worse:
        print("crun passes and skiff does not:", *worse, sep="\n    ")
        return 1
    print("skiff passes every test that crun passes" + (", but those listed" if listed else ""))
    return 0


sys.exit(main())
