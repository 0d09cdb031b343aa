//! The file system a container sees, made inside its own mount namespace.
//!
//! [`Root::mount`] (the root itself) → [`Root::mounts`] → [`Root::devices`] → [`Root::hide`] → [`Root::enter`]
//! (`pivot_root`). Every path of the container is resolved with `openat2(RESOLVE_IN_ROOT)` relative to a descriptor of its root,
//! and mounts are attached by descriptor, so that links in an image lead nowhere outside.

mod cgroupfs;
mod devices;
mod hide;
pub(crate) mod mounts;
pub(crate) mod options;
pub(crate) mod prepared;
pub(crate) mod procfs;

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags},
    mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags},
};
use skiff_sys::mount::{MountAttr, mount_setattr};

use self::options::Propagation;
use crate::{cgroup::hierarchy::Hierarchy, error::Context, supervisor::RootFs};

/// Longest option string that mount(2) takes, with room for the rest.
const LONGEST_OPTIONS: usize = 4000;

/// The root of a container that is being put together.
#[derive(Debug)]
pub(crate) struct Root {
    /// Its directory, on top of everything mounted there so far.
    fd: OwnedFd,
    /// In a mount namespace that is not the container's alone.
    shared: bool,
    /// How to find out about our cgroups, until somebody had to know.
    membership: Option<Membership>,
    /// How to get into the network namespace, until a mount has needed it.
    network: Option<Enter>,
    /// `/dev` is to be read-only when the devices are there.
    readonly_dev: bool,
    /// Device nodes that this process makes can be used (not so in a user namespace).
    own_devices: bool,
    /// What hides paths.
    covers: hide::Covers,
    /// What could not be done as asked and was done differently.
    pub notes: Vec<String>,
}

/// Our cgroups, known only after the creator has moved us there: it takes milliseconds, in which the other mounts are made.
pub(crate) struct Membership {
    join: Option<Box<dyn FnOnce() -> io::Result<Cgroups>>>,
    known: Cgroups,
}

/// The cgroups this process is in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cgroups {
    /// As the host names them.
    pub hierarchies: Vec<Hierarchy>,
    /// This process is the root of a cgroup namespace.
    pub own_namespace: bool,
}

impl Membership {
    /// `join` waits for the move and looks.
    pub fn new(join: impl FnOnce() -> io::Result<Cgroups> + 'static) -> Self {
        Membership {
            join: Some(Box::new(join)),
            known: Cgroups::default(),
        }
    }

    fn known(&mut self) -> io::Result<&Cgroups> {
        if let Some(join) = self.join.take() {
            self.known = join()?;
        }
        Ok(&self.known)
    }
}

struct Enter(Box<dyn FnOnce() -> io::Result<()>>);

impl std::fmt::Debug for Enter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Enter")
    }
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Membership")
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

impl Root {
    /// Binds the root file system on itself where everybody of the caller's mount namespace sees it: what is mounted below
    /// goes with it, and is seen nowhere else.
    pub fn mount_shared(dir: &Path) -> io::Result<Self> {
        let tree = open_tree(dir, true).context(|| format!("open the root file system {dir:?}"))?;
        let private = MountAttr {
            propagation: libc::MS_PRIVATE,
            recursive: true,
            ..Default::default()
        };
        mount_setattr(tree.as_fd(), &private).context(|| "make the root file system private".into())?;
        attach(&tree, &open_path(dir)?).context(|| format!("mount the root file system {dir:?}"))?;
        Ok(Self::at(tree, true))
    }

    fn at(fd: OwnedFd, shared: bool) -> Self {
        Root {
            fd,
            shared,
            membership: None,
            network: None,
            readonly_dev: false,
            covers: hide::Covers::default(),
            own_devices: skiff_sys::idmap::in_first_namespace(),
            notes: Vec::new(),
        }
    }

    /// Mounts the root file system. `at` is an existing directory, used as the mount point of an overlay.
    pub fn mount(rootfs: &RootFs, at: &Path, propagation: Option<&str>) -> io::Result<Self> {
        let first = match propagation {
            None | Some("") => Propagation {
                kind: libc::MS_SLAVE,
                recursive: true,
            },
            Some(word) => Propagation::parse(word)
                .ok_or_else(|| crate::error::invalid(format!("rootfsPropagation {word:?} is not known")))?,
        };
        // What is unbindable can't be copied either: the new root is made so when it is in place.
        let first = if first.kind == libc::MS_UNBINDABLE {
            Propagation {
                kind: libc::MS_PRIVATE,
                ..first
            }
        } else {
            first
        };
        rustix::mount::mount_change("/", first.flags()).context(|| "set the propagation of /".into())?;
        let path = match rootfs {
            RootFs::Dir(dir) => dir.clone(),
            RootFs::Overlay { .. } => at.to_owned(),
        };
        // pivot_root refuses a root whose parent mount is shared, and a mount made below it would show outside.
        if first.kind == libc::MS_SHARED {
            private_parent(&path)?;
        }
        match rootfs {
            RootFs::Dir(dir) => {
                let tree = open_tree(dir, true).context(|| format!("open the root file system {dir:?}"))?;
                attach(&tree, &open_path(dir)?).context(|| format!("mount the root file system {dir:?}"))?;
            }
            RootFs::Overlay {
                lower,
                upper,
                work,
                userxattr,
            } => {
                mount_overlay(at, lower, upper, work, *userxattr)?;
            }
        }
        Ok(Self::at(open_path(&path)?, false))
    }

    /// Tells how to find out which cgroups a mount of type `cgroup` shows.
    pub fn show_cgroups(&mut self, membership: Membership) {
        self.membership = Some(membership);
    }

    /// Tells how to get into the network namespace, which is still being made: it decides what some mounts show.
    pub fn enter_network_with(&mut self, enter: impl FnOnce() -> io::Result<()> + 'static) {
        self.network = Some(Enter(Box::new(enter)));
    }

    /// Enters the network namespace, unless a mount has done so.
    pub fn enter_network(&mut self) -> io::Result<()> {
        self.network.take().map_or(Ok(()), |enter| enter.0())
    }

    /// Waits until this process is in its cgroup, unless a mount has done so.
    pub fn join_cgroup(&mut self) -> io::Result<()> {
        self.membership.as_mut().map_or(Ok(()), |m| m.known().map(drop))
    }

    /// The root's directory.
    pub fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Makes a directory where that is possible; it may be missing on purpose (a read-only root).
    pub fn make_directory(&self, path: &Path) {
        let _ = skiff_sys::path::make_in_root(self.fd.as_fd(), path, skiff_sys::path::Kind::Directory);
    }

    /// Binds the terminal at `source` to `/dev/console`, which must not be a link: it could lead into `/proc`.
    pub fn console(&mut self, source: &Path) -> io::Result<()> {
        let destination = Path::new("/dev/console");
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        if let Ok(found) = skiff_sys::path::open_in_root(self.fd.as_fd(), destination, flags, Mode::empty())
            && rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode).is_symlink()
        {
            return Err(crate::error::invalid("/dev/console is a link"));
        }
        let options = options::Options {
            bind: true,
            ..Default::default()
        };
        self.bind(source, destination, &options)
    }

    /// Makes the root the calling process's `/` and lets go of everything else.
    pub fn enter(self, readonly: bool, propagation: Option<&str>, no_pivot: bool) -> io::Result<Vec<String>> {
        let old = open_path(Path::new("/"))?;
        rustix::process::fchdir(&self.fd).context(|| "enter the root file system".into())?;
        if self.shared {
            // What else is mounted is not ours to put away.
            rustix::process::chroot(".").context(|| "chroot".into())?;
        } else if no_pivot {
            // On an initramfs there is nothing that pivot_root could put away.
            rustix::mount::mount_move(".", "/").context(|| "move the root file system to /".into())?;
            rustix::process::chroot(".").context(|| "chroot".into())?;
        } else {
            // With "." twice the old root lands on top of the new one. It must be the one that is made a slave, so that
            // unmounting it is seen nowhere else, and that is unmounted.
            rustix::process::pivot_root(".", ".").context(|| "pivot_root".into())?;
            rustix::process::fchdir(&old).context(|| "enter the old root".into())?;
            rustix::mount::mount_change(
                ".",
                MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
            )
            .context(|| "make the old root a slave".into())?;
            rustix::mount::unmount(".", UnmountFlags::DETACH).context(|| "unmount the old root".into())?;
        }
        rustix::process::chdir("/").context(|| "chdir to /".into())?;
        let root = open_path(Path::new("/"))?;
        if readonly {
            let change = MountAttr {
                set: skiff_sys::mount::MOUNT_ATTR_RDONLY,
                ..Default::default()
            };
            mount_setattr(root.as_fd(), &change).context(|| "make the root file system read-only".into())?;
        }
        if let Some(word) = propagation.and_then(Propagation::parse) {
            rustix::mount::mount_change("/", word.flags()).context(|| "set the propagation of /".into())?;
        }
        Ok(self.notes)
    }
}

fn open_path(path: &Path) -> io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).context(|| format!("open {path:?}"))
}

/// An open file as a path of the host's `/proc`.
fn fd_path(fd: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into()
}

/// A detached copy of the mount at `source`.
fn open_tree(source: &Path, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    Ok(rustix::mount::open_tree(rustix::fs::CWD, source, flags)?)
}

/// A detached copy of the mount that an open file lies in, from there on.
fn copy_of(file: &OwnedFd, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    Ok(rustix::mount::open_tree(file, "", flags)?)
}

/// Attaches a detached mount on what `target` refers to.
fn attach(mount: impl AsFd, target: impl AsFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(rustix::mount::move_mount(mount, "", target, "", flags)?)
}

/// Makes the mount that `path` lies on private.
fn private_parent(path: &Path) -> io::Result<()> {
    let path = path.canonicalize().context(|| format!("resolve {path:?}"))?;
    for dir in path.ancestors() {
        match rustix::mount::mount_change(dir, MountPropagationFlags::PRIVATE) {
            // Not a mount point: its parent may be.
            Err(rustix::io::Errno::INVAL) => (),
            done => return done.context(|| format!("make the mount {dir:?} private")),
        }
    }
    Ok(())
}

fn mount_overlay(at: &Path, lower: &[PathBuf], upper: &Path, work: &Path, userxattr: bool) -> io::Result<()> {
    let by_path = overlay_options(
        lower.iter().map(|p| escape(p)),
        &escape(upper),
        &escape(work),
        userxattr,
    );
    // Many layers with long names do not fit into one page of options: name them by descriptor instead. (From Linux
    // 6.5 layers can be given one by one, but older kernels are in use.)
    let mut open = Vec::new();
    let options = if by_path.len() <= LONGEST_OPTIONS {
        by_path
    } else {
        let mut name = |path: &Path| -> io::Result<String> {
            let fd = open_path(path)?;
            let name = format!("/proc/self/fd/{}", fd.as_raw_fd());
            open.push(fd);
            Ok(name)
        };
        let lower = lower.iter().map(|p| name(p)).collect::<io::Result<Vec<_>>>()?;
        overlay_options(lower.into_iter(), &name(upper)?, &name(work)?, userxattr)
    };
    let options =
        std::ffi::CString::new(options).map_err(|_| crate::error::invalid("NUL in a layer's path"))?;
    rustix::mount::mount("overlay", at, "overlay", MountFlags::empty(), options.as_c_str())
        .context(|| format!("mount the overlay with upper directory {upper:?}"))
}

/// The option string; `lower` comes lowest first, the kernel wants the top one first.
fn overlay_options(
    lower: impl DoubleEndedIterator<Item = String>,
    upper: &str,
    work: &str,
    userxattr: bool,
) -> String {
    let lower: Vec<_> = lower.rev().collect();
    let mut options = format!("lowerdir={},upperdir={upper},workdir={work}", lower.join(":"));
    if userxattr {
        options.push_str(",userxattr");
    }
    options
}

/// A path as overlayfs reads it: `:` parts layers and `,` options.
fn escape(path: &Path) -> String {
    let mut escaped = String::new();
    for c in path.to_string_lossy().chars() {
        if matches!(c, ':' | ',' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlay_layers_are_given_top_first_and_escaped() {
        let lower = ["/l/base", "/l/a:b"].map(|p| escape(Path::new(p)));
        assert_eq!(
            overlay_options(lower.into_iter(), "/u", "/w", true),
            "lowerdir=/l/a\\:b:/l/base,upperdir=/u,workdir=/w,userxattr"
        );
    }
}
