//! `/sys/fs/cgroup` of a container: its own cgroups, read-only unless asked otherwise.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};
use skiff_sys::mount::{MOUNT_ATTR_RDONLY, MountAttr, mount_setattr};

use super::{Cgroups, Root, mounts, options::Options};
use crate::{
    cgroup::hierarchy::{Hierarchy, TOP},
    error::Context,
};

impl Root {
    /// Mounts what a mount of type `cgroup` stands for on this host.
    pub(super) fn cgroup(&mut self, destination: &Path, options: &Options) -> io::Result<()> {
        let known = match &mut self.membership {
            Some(membership) => membership.known()?.clone(),
            None => Cgroups::default(),
        };
        let own = known.hierarchies;
        let bind = Options {
            bind: true,
            set: options.set,
            clear: options.clear,
            ..Default::default()
        };
        if let Some(v2) = own.iter().find(|h| h.is_v2() && h.mount == Path::new(TOP)) {
            // A new cgroup2 mount shows the root of our cgroup namespace, so without one of our own it shows the host's.
            let new = if known.own_namespace {
                mounts::new_file_system("cgroup2", Some(Path::new("cgroup")), options)
            } else {
                Err(io::ErrorKind::Unsupported.into())
            };
            return match new {
                Ok(tree) => {
                    let target = skiff_sys::path::make_in_root(
                        self.fd.as_fd(),
                        destination,
                        skiff_sys::path::Kind::Directory,
                    )?;
                    mount_setattr(
                        tree.as_fd(),
                        &MountAttr {
                            set: options.set,
                            ..Default::default()
                        },
                    )?;
                    super::attach(&tree, &target)
                }
                Err(_) => self.bind(&v2.directory(), destination, &bind),
            };
        }
        let tmpfs = Options {
            data: vec!["mode=755".into()],
            set: options.set,
            ..Default::default()
        };
        let tree = self
            .tmpfs(destination, &tmpfs)
            .context(|| "mount a tmpfs".into())?;
        for h in own {
            let Some(name) = h.mount.file_name() else { continue };
            if let Err(e) = show(&h, &tree, name, &bind) {
                self.notes.push(format!(
                    "cgroup hierarchy {name:?} is not shown in the container: {e}"
                ));
            }
        }
        for (name, target) in links() {
            let _ = rustix::fs::symlinkat(target, &tree, name);
        }
        if options.set & MOUNT_ATTR_RDONLY != 0 {
            mount_setattr(
                tree.as_fd(),
                &MountAttr {
                    set: MOUNT_ATTR_RDONLY,
                    ..Default::default()
                },
            )?;
        }
        Ok(())
    }
}

/// Binds our cgroup of a hierarchy to a new directory of `tmpfs`, in which nobody else has made anything.
fn show(hierarchy: &Hierarchy, tmpfs: &OwnedFd, name: &OsStr, options: &Options) -> io::Result<()> {
    let tree = mounts::bind_source(&hierarchy.directory(), options)?;
    mounts::change(&tree, options)?;
    rustix::fs::mkdirat(tmpfs, name, Mode::from_raw_mode(0o755))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let target = rustix::fs::openat(tmpfs, name, flags, Mode::empty())?;
    super::attach(&tree, &target)
}

/// Links from one controller's name to the directory it shares, as on the host (`cpu` → `cpu,cpuacct`).
fn links() -> Vec<(OsString, PathBuf)> {
    std::fs::read_dir(TOP)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry
                .ok()
                .filter(|e| e.file_type().is_ok_and(|t| t.is_symlink()))?;
            let target = std::fs::read_link(entry.path()).ok()?;
            Some((entry.file_name(), target))
        })
        .collect()
}
