//! Masked and read-only paths.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::fs::{FileType, Mode, OFlags};
use skiff_sys::{
    mount::{MOUNT_ATTR_RDONLY, MountAttr, mount_setattr},
    path::open_in_root,
};

use super::{Root, attach, copy_of, mounts, options::Options};
use crate::error::{Context, invalid};

/// What is put over paths that are to be hidden, once it is needed.
#[derive(Debug, Default)]
pub(super) struct Covers {
    null: Option<OwnedFd>,
    /// One empty read-only tmpfs, bound everywhere.
    empty: Option<OwnedFd>,
}

impl Covers {
    /// The host's null device.
    fn null(&mut self) -> io::Result<&OwnedFd> {
        match &mut self.null {
            Some(null) => Ok(null),
            missing => {
                let null = mounts::host("/dev/null")?;
                // Of the host, where no container can have exchanged it; looked at all the same, for who uses a container's.
                let found = rustix::fs::fstat(&null)?;
                if FileType::from_raw_mode(found.st_mode) != FileType::CharacterDevice
                    || found.st_rdev != rustix::fs::makedev(1, 3)
                {
                    return Err(invalid("/dev/null is not the null device"));
                }
                Ok(missing.insert(null))
            }
        }
    }

    /// An empty directory, as a mount to be attached.
    fn empty(&mut self) -> io::Result<OwnedFd> {
        if let Some(empty) = &self.empty {
            return copy_of(empty, false);
        }
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
        // Copies are made of the one that is attached.
        self.empty = Some(tmpfs.try_clone()?);
        Ok(tmpfs)
    }
}

impl Root {
    /// Hides `masked` behind nothing and makes `readonly` read-only. Missing paths are no error.
    pub fn hide<'a>(
        &mut self,
        masked: impl Iterator<Item = &'a String>,
        readonly: impl Iterator<Item = &'a String>,
    ) -> io::Result<()> {
        for path in readonly {
            self.make_read_only(path)
                .context(|| format!("make {path:?} read-only"))?;
        }
        for path in masked {
            let Some(target) = self.open_if_there(path)? else {
                continue;
            };
            let cover = if FileType::from_raw_mode(rustix::fs::fstat(&target)?.st_mode).is_dir() {
                self.covers.empty()?
            } else {
                copy_of(self.covers.null()?, false)?
            };
            attach(&cover, &target).context(|| format!("mask {path:?}"))?;
        }
        Ok(())
    }

    fn make_read_only(&mut self, path: &str) -> io::Result<()> {
        let Some(target) = self.open_if_there(path)? else {
            return Ok(());
        };
        let copy = copy_of(&target, true)?;
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

    fn open_if_there(&self, path: &str) -> io::Result<Option<OwnedFd>> {
        match open_in_root(self.fd.as_fd(), Path::new(path), OFlags::PATH, Mode::empty()) {
            Ok(fd) => Ok(Some(fd)),
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
