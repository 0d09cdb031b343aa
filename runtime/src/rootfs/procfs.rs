//! `/proc` and `/sys` of a container: real, in their place, and with nothing mounted over parts of them.
//!
//! What is written below `/proc` later (labels, `oom_score_adj`) and what masks hide there must be the kernel's. An image
//! or a volume that could put something of its own there would make both meaningless.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use rustix::fs::{FileType, OFlags};
use skiff_sys::path::{Kind, make_in_root, open_straight};

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

/// Where a mount is to be attached.
#[derive(Debug)]
pub(super) struct Target {
    pub fd: OwnedFd,
    /// Its path, when that is known because no link leads there.
    place: Option<PathBuf>,
}

impl Root {
    /// Where a procfs or sysfs is to be mounted: a directory, to which no link leads.
    pub(super) fn plain_directory(&self, destination: &Path) -> io::Result<Target> {
        let refused = || invalid(format!("{destination:?} must be mounted on ordinary directory"));
        let found = match self.straight(destination, Kind::Directory) {
            Err(e) if e.raw_os_error() == Some(libc::ELOOP) => return Err(refused()),
            done => done?.ok_or_else(refused)?,
        };
        if FileType::from_raw_mode(rustix::fs::fstat(&found.fd)?.st_mode).is_dir() {
            Ok(found)
        } else {
            Err(refused())
        }
    }

    /// Opens the place where a mount is to be attached, and makes it if it is missing.
    pub(super) fn target(&self, destination: &Path, kind: Kind) -> io::Result<Target> {
        if let Ok(Some(found)) = self.straight(destination, kind) {
            return Ok(found);
        }
        let fd = make_in_root(self.fd.as_fd(), destination, kind)?;
        Ok(Target { fd, place: None })
    }

    /// The same where no link leads there, which is the usual case; `None` for a path with a way back in it.
    fn straight(&self, destination: &Path, kind: Kind) -> io::Result<Option<Target>> {
        if destination.components().any(|c| c == Component::ParentDir) {
            return Ok(None);
        }
        let open = || open_straight(self.fd.as_fd(), destination, OFlags::PATH);
        let fd = match open() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                make_in_root(self.fd.as_fd(), destination, kind)?;
                open()?
            }
            done => done?,
        };
        let place = Path::new("/").join(destination).components().collect();
        Ok(Some(Target {
            fd,
            place: Some(place),
        }))
    }

    /// Refuses a mount that would hide a part of `/proc`, or all of it behind something that is no procfs.
    pub(super) fn check_target(&self, target: &Target, mount: &OwnedFd) -> io::Result<()> {
        let place = match &target.place {
            Some(place) => place.clone(),
            None => self.inside(&target.fd)?,
        };
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
        let root = std::fs::read_link(fd_path(&self.fd))?;
        let path = std::fs::read_link(fd_path(fd))?;
        let below = path
            .strip_prefix(root)
            .map_err(|_| invalid(format!("{path:?} lies outside the root file system")))?;
        Ok(Path::new("/").join(below))
    }
}
