//! `/proc` and `/sys` of a container: real, in their place, and with nothing mounted over parts of them.
//!
//! What is written below `/proc` later (labels, `oom_score_adj`) and what masks hide there must be the kernel's. An image
//! or a volume that could put something of its own there would make both meaningless.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{FileType, Mode, OFlags};
use skiff_sys::path::{Kind, make_in_root, open_in_root};

use super::{Root, fd_path};
use crate::error::invalid;

/// Source: Linux, uapi/linux/magic.h.
const PROC_SUPER_MAGIC: i64 = 0x9fa0;

/// Files below `/proc` that something may be mounted over: file systems that show a container its own share do that.
const SHOWN_OTHERWISE: &[&str] = &[
    "cpuinfo",
    "diskstats",
    "loadavg",
    "meminfo",
    "slabinfo",
    "stat",
    "swaps",
    "sys/kernel/ns_last_pid",
    "uptime",
];

/// The file is procfs's.
pub(crate) fn is_procfs(fd: impl AsFd) -> io::Result<bool> {
    Ok(rustix::fs::fstatfs(fd)?.f_type as i64 == PROC_SUPER_MAGIC)
}

impl Root {
    /// Where a procfs or sysfs is to be mounted: a directory, to which no link leads.
    pub(super) fn plain_directory(&self, destination: &Path) -> io::Result<OwnedFd> {
        let fd = match open_in_root(
            self.fd.as_fd(),
            destination,
            OFlags::PATH | OFlags::NOFOLLOW,
            Mode::empty(),
        ) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                make_in_root(self.fd.as_fd(), destination, Kind::Directory)?
            }
            done => done?,
        };
        if FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) != FileType::Directory
            || self.inside(&fd)? != Path::new("/").join(destination).components().collect::<PathBuf>()
        {
            return Err(invalid(format!(
                "{destination:?} must be mounted on ordinary directory"
            )));
        }
        Ok(fd)
    }

    /// Refuses a mount that would hide a part of `/proc`, or all of it behind something that is no procfs.
    pub(super) fn check_target(&self, target: &OwnedFd, mount: &OwnedFd) -> io::Result<()> {
        let place = self.inside(target)?;
        let Ok(below) = place.strip_prefix("/proc") else {
            return Ok(());
        };
        let allowed = if below.as_os_str().is_empty() {
            is_procfs(mount)?
        } else {
            SHOWN_OTHERWISE.iter().any(|file| below == Path::new(file))
        };
        if allowed {
            Ok(())
        } else {
            Err(invalid(format!(
                "{place:?} cannot be mounted because it is inside /proc"
            )))
        }
    }

    /// The path of an open file as the container will see it.
    fn inside(&self, fd: &OwnedFd) -> io::Result<PathBuf> {
        let path = std::fs::read_link(fd_path(fd))?;
        let below = path
            .strip_prefix(&self.path)
            .map_err(|_| invalid(format!("{path:?} lies outside the root file system")))?;
        Ok(Path::new("/").join(below))
    }
}
