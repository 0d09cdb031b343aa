//! Masked and read-only paths.

use std::{io, os::fd::AsFd, path::Path};

use rustix::fs::{FileType, Mode, OFlags};
use skiff_sys::{
    mount::{MOUNT_ATTR_RDONLY, MountAttr, mount_setattr},
    path::open_in_root,
};

use super::{Root, attach, fd_path, mounts, open_tree, options::Options};
use crate::error::{Context, invalid};

impl Root {
    /// Hides `masked` behind nothing and makes `readonly` read-only. Missing paths are no error.
    pub fn hide(&mut self, masked: &[String], readonly: &[String]) -> io::Result<()> {
        let null = mounts::host("/dev/null")?;
        // Of the host, where no container can have exchanged it; looked at all the same, for who uses a container's.
        let found = rustix::fs::fstat(&null)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::CharacterDevice
            || found.st_rdev != rustix::fs::makedev(1, 3)
        {
            return Err(invalid("/dev/null is not the null device"));
        }
        for path in readonly {
            self.make_read_only(path)
                .context(|| format!("make {path:?} read-only"))?;
        }
        let mut empty = None;
        for path in masked {
            let Some((target, kind)) = self.open_if_there(path)? else {
                continue;
            };
            if kind == FileType::Directory {
                // One empty read-only tmpfs, bound everywhere.
                if empty.is_none() {
                    let options = Options {
                        data: vec!["mode=755".into(), "nr_inodes=2".into()],
                        ..Default::default()
                    };
                    let tmpfs = mounts::new_file_system("tmpfs", Some(Path::new("tmpfs")), &options)
                        .context(|| "mount an empty tmpfs".into())?;
                    let change = MountAttr {
                        set: MOUNT_ATTR_RDONLY,
                        ..Default::default()
                    };
                    mount_setattr(tmpfs.as_fd(), &change)?;
                    attach(&tmpfs, &target).context(|| format!("mask {path:?}"))?;
                    empty = Some(tmpfs);
                    continue;
                }
                let link = fd_path(empty.as_ref().expect("set above"));
                attach(&open_tree(&link, false)?, &target).context(|| format!("mask {path:?}"))?;
            } else {
                attach(&open_tree(&fd_path(&null), false)?, &target).context(|| format!("mask {path:?}"))?;
            }
        }
        Ok(())
    }

    fn make_read_only(&mut self, path: &str) -> io::Result<()> {
        let Some((target, _)) = self.open_if_there(path)? else {
            return Ok(());
        };
        let copy = open_tree(&fd_path(&target), true)?;
        mount_setattr(
            copy.as_fd(),
            &MountAttr {
                set: MOUNT_ATTR_RDONLY,
                recursive: true,
                ..Default::default()
            },
        )?;
        attach(&copy, &target)
    }

    fn open_if_there(&self, path: &str) -> io::Result<Option<(std::os::fd::OwnedFd, FileType)>> {
        match open_in_root(self.fd.as_fd(), Path::new(path), OFlags::PATH, Mode::empty()) {
            Ok(fd) => {
                let kind = FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode);
                Ok(Some((fd, kind)))
            }
            Err(e)
                if matches!(
                    e.raw_os_error(),
                    Some(libc::ENOENT | libc::ENOTDIR | libc::EACCES)
                ) =>
            {
                Ok(None)
            }
            Err(e) => Err(e).context(|| format!("open {path:?} in the container")),
        }
    }
}
