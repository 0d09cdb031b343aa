//! The mounts of a container that has no mount namespace of its own: everybody in its creator's sees them, and they go with
//! the container. All of them lie below one, the root file system bound on itself. What was there before is written down
//! before anything is mounted: so `delete --force` finds the mounts of a container whose creation was cut short.

use std::{
    io,
    path::{Path, PathBuf},
};

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::{
    fs::{AtFlags, CWD, StatxFlags},
    mount::UnmountFlags,
};

use serde::{Deserialize, Serialize};

use crate::error::Context;

/// What there was before the container.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Shared {
    rootfs: PathBuf,
    /// The id of the mount that the root file system lay on.
    before: u64,
}

impl Shared {
    /// `None` for a container with a mount namespace.
    pub fn of(spec: &Spec, rootfs: &Path) -> io::Result<Option<Self>> {
        let namespaces = spec.linux().as_ref().and_then(|l| l.namespaces().as_ref());
        let own = namespaces
            .into_iter()
            .flatten()
            .any(|n| n.typ() == LinuxNamespaceType::Mount);
        if own {
            return Ok(None);
        }
        Ok(Some(Shared {
            rootfs: rootfs.to_owned(),
            before: mount_at(rootfs)?,
        }))
    }

    /// The id of the mount that the container has made.
    pub fn made(&self) -> io::Result<Option<u64>> {
        let now = mount_at(&self.rootfs)?;
        Ok((now != self.before).then_some(now))
    }

    /// Takes down what the container has mounted, if it came to that.
    pub fn undo(&self) -> io::Result<()> {
        take_down(&self.rootfs, self.made()?)
    }
}

/// Takes a mount down with all below it, if it is still that which is on top at `rootfs`.
pub(super) fn take_down(rootfs: &Path, mount: Option<u64>) -> io::Result<()> {
    match mount {
        Some(mount) if mount_at(rootfs).is_ok_and(|now| now == mount) => {
            rustix::mount::unmount(rootfs, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
                .context(|| format!("unmount {rootfs:?}"))
        }
        _ => Ok(()),
    }
}

/// The mount that is on top at a path. Source: statx(2), Linux 5.8.
fn mount_at(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::MNT_ID)
        .context(|| format!("look at the mount of {path:?}"))?;
    Ok(found.stx_mnt_id)
}
