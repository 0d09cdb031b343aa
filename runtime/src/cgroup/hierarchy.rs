//! The cgroup hierarchies of this machine and our place in them.

use std::{
    io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use crate::error::Context;

/// Where hierarchies are mounted: v2 itself, or the directories of v1.
pub(crate) const TOP: &str = "/sys/fs/cgroup";

/// One mounted hierarchy and the cgroup of this process in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Controllers bound to it (v1); empty for v2 and `name=systemd` for a named one.
    pub controllers: Vec<String>,
    /// The cgroup of this process, relative to the mount.
    pub path: PathBuf,
}

impl Hierarchy {
    /// The unified hierarchy.
    pub fn is_v2(&self) -> bool {
        self.controllers.is_empty()
    }

    /// The directory of our cgroup.
    pub fn directory(&self) -> PathBuf {
        self.mount.join(&self.path)
    }
}

/// All hierarchies that are mounted and that this process is in; where v2 is mounted at [`TOP`], that alone.
pub(crate) fn own() -> io::Result<Vec<Hierarchy>> {
    /// Long to read where much is mounted; hierarchies stay where they are, also in the mount namespace of a child.
    static MOUNTINFO: OnceLock<String> = OnceLock::new();
    let membership =
        skiff_sys::file::read("/proc/self/cgroup").context(|| "read /proc/self/cgroup".into())?;
    if MOUNTINFO.get().is_none()
        && whole_v2_at_top()
        && let Some(path) = membership.lines().find_map(|line| line.strip_prefix("0::/"))
    {
        return Ok(vec![Hierarchy {
            mount: TOP.into(),
            controllers: Vec::new(),
            path: path.into(),
        }]);
    }
    let mountinfo = match MOUNTINFO.get() {
        Some(known) => known,
        None => {
            let read = skiff_sys::file::read("/proc/self/mountinfo");
            let read = read.context(|| "read /proc/self/mountinfo".into())?;
            MOUNTINFO.get_or_init(|| read)
        }
    };
    Ok(parse(mountinfo, &membership))
}

/// The whole v2 hierarchy is mounted where it usually is, not a part of it as in a container: then mountinfo need not be
/// read, which takes long where much is mounted.
fn whole_v2_at_top() -> bool {
    // The root of a hierarchy is its first inode. Source: Linux, fs/kernfs/dir.c, kernfs_create_root.
    const ROOT: u64 = 1;
    rustix::fs::statfs(TOP).is_ok_and(|found| found.f_type == libc::CGROUP2_SUPER_MAGIC)
        && rustix::fs::stat(TOP).is_ok_and(|found| found.st_ino == ROOT)
}

/// Source: proc_pid_mountinfo(5), cgroups(7) on /proc/pid/cgroup.
fn parse(mountinfo: &str, membership: &str) -> Vec<Hierarchy> {
    let member: Vec<(&str, &str)> = membership
        .lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            Some((parts.next()?, parts.next()?))
        })
        .collect();
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let (Some(root), Some(mount), Some(fs_type), Some(options)) =
            (left.get(3), left.get(4), right.first(), right.get(2))
        else {
            continue;
        };
        let (controllers, path) = match *fs_type {
            "cgroup2" => {
                let Some((_, path)) = member.iter().find(|(names, _)| names.is_empty()) else {
                    continue;
                };
                (Vec::new(), path)
            }
            "cgroup" => {
                let Some((names, path)) = member.iter().find(|(names, _)| {
                    !names.is_empty() && names.split(',').all(|n| options.split(',').any(|o| o == n))
                }) else {
                    continue;
                };
                (names.split(',').map(str::to_owned).collect(), path)
            }
            _ => continue,
        };
        // In a container the mount shows a part of the hierarchy only: paths are relative to that part.
        let path = Path::new(path);
        let relative = path
            .strip_prefix(root)
            .or_else(|_| path.strip_prefix("/"))
            .unwrap_or(path);
        let hierarchy = Hierarchy {
            mount: unescape(mount),
            controllers,
            path: relative.to_owned(),
        };
        // Of several mounts of one hierarchy that at the usual place counts, not one for somebody's other root; and of two there
        // the last, which may hide the other.
        let usual = |h: &Hierarchy| h.mount.starts_with(TOP);
        match found.iter_mut().find(|h| h.controllers == hierarchy.controllers) {
            None => found.push(hierarchy),
            Some(known) if usual(&hierarchy) || known.mount == hierarchy.mount => *known = hierarchy,
            Some(_) => (),
        }
    }
    found
}

/// mountinfo writes space, tab, newline and backslash in octal.
fn unescape(field: &str) -> PathBuf {
    field
        .replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hybrid_host_shows_both_versions() {
        let mountinfo = "\
30 25 0:26 / /sys/fs/cgroup rw - tmpfs cgroup rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
34 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";
        let membership = "3:memory:/user/x\n2:cpu,cpuacct:/\n1:name=systemd:/\n0::/init\n";
        let found = parse(mountinfo, membership);
        assert_eq!(found.len(), 4);
        assert_eq!(found[0].controllers, ["cpu", "cpuacct"]);
        assert_eq!(found[1].directory(), Path::new("/sys/fs/cgroup/memory/user/x"));
        assert!(found[3].is_v2());
        assert_eq!(found[3].directory(), Path::new("/sys/fs/cgroup/unified/init"));
    }

    #[test]
    fn the_hierarchy_at_the_usual_place_counts() {
        let elsewhere = "40 25 0:28 / /srv/root/sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let hidden = "31 30 0:28 / /sys/fs/cgroup/old rw - cgroup cgroup rw,memory\n";
        let usual = "32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        for mountinfo in [[elsewhere, hidden, usual], [hidden, usual, elsewhere]] {
            let found = parse(&mountinfo.concat(), "3:memory:/x\n");
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].mount, Path::new("/sys/fs/cgroup/memory"));
        }
        assert_eq!(parse(elsewhere, "3:memory:/x\n").len(), 1);
    }

    #[test]
    fn inside_a_container_paths_start_at_its_own_cgroup() {
        let mountinfo = "32 30 0:28 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let found = parse(mountinfo, "3:memory:/docker/abc/sub\n");
        assert_eq!(found[0].directory(), Path::new("/sys/fs/cgroup/memory/sub"));
    }
}
