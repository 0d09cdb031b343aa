//! The mounts of an OCI configuration.

use std::{
    collections::HashMap,
    io,
    ops::Range,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use oci_spec::runtime::Mount;
use rustix::{
    fs::{Mode, OFlags},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags},
};
use skiff_sys::{
    mount::{MOUNT_ATTR_RDONLY, MountAttr, mount_setattr},
    path::{Kind, make_in_root, open_in_root},
};

use super::{Root, attach, open_path, open_tree, options::Options};
use crate::{
    error::{Context, invalid},
    lsm,
};

/// Words that are flags of the file system and not of one mount of it.
const SUPERBLOCK_FLAGS: &[&str] = &["sync", "dirsync", "lazytime", "mand"];

/// Types of mounts that are the same in every network namespace.
const LOCAL: &[&str] = &["bind", "none", "proc", "tmpfs", "devpts", "mqueue", "overlay"];

/// From where on all mounts of a list lie below `/sys`, and so have nothing to do with devices or with what is hidden in
/// `/proc`. What they show depends on the network namespace and the cgroup, which the creator is still making.
pub(crate) fn below_sys(mounts: &[Mount]) -> usize {
    let below = |mount: &Mount| {
        let destination = mount.destination();
        destination.starts_with("/sys") && !destination.components().any(|c| c == Component::ParentDir)
    };
    mounts.len() - mounts.iter().rev().take_while(|mount| below(mount)).count()
}

/// Whether `/dev` is bound from elsewhere, mostly the host's. As with runc nothing is made there then, since it would be made, and
/// the host's `ptmx` replaced, for all who use it.
pub(crate) fn bind_dev(mounts: &[Mount]) -> bool {
    mounts.iter().any(|mount| {
        let options = Options::parse(mount.options().as_deref().unwrap_or_default());
        let is_bind = options.bind || mount.typ().as_deref() == Some("bind");
        is_bind && !options.remount && is_dev(mount)
    })
}

fn is_dev(mount: &Mount) -> bool {
    let destination = mount.destination().components();
    destination.eq(Path::new("/dev").components())
}

impl Root {
    /// Carries out a part of the mount list. Relative sources of bind mounts start at `bundle`; those in `prepared` (by
    /// place in the list) are mounts already that have only to be attached. New file systems get the SELinux `label`.
    pub fn mounts(
        &mut self,
        mounts: &[Mount],
        part: Range<usize>,
        bundle: &Path,
        label: Option<&str>,
        prepared: &mut HashMap<usize, OwnedFd>,
    ) -> io::Result<()> {
        let label = label.filter(|label| !label.is_empty() && lsm::active("selinux"));
        for (at, mount) in mounts.iter().enumerate().take(part.end).skip(part.start) {
            if !LOCAL.contains(&mount.typ().as_deref().unwrap_or("bind")) {
                self.enter_network()?;
            }
            let done = match prepared.remove(&at) {
                Some(tree) => self.prepared(&tree, mount),
                None => self.one(mount, bundle, label),
            };
            done.context(|| {
                let source = mount.source().as_deref().unwrap_or(Path::new(""));
                format!("mount {source:?} at {:?} in the container", mount.destination())
            })?;
        }
        Ok(())
    }

    fn one(&mut self, mount: &Mount, bundle: &Path, label: Option<&str>) -> io::Result<()> {
        let mut options = Options::parse(mount.options().as_deref().unwrap_or_default());
        let destination = mount.destination();
        let fs_type = mount.typ().as_deref().unwrap_or("");
        if options.remount {
            let target = open_in_root(self.fd.as_fd(), destination, OFlags::PATH, Mode::empty())?;
            return change(&target, &options);
        }
        if options.bind || fs_type == "bind" {
            let source = bundle.join(
                mount
                    .source()
                    .as_ref()
                    .ok_or_else(|| invalid("a bind mount needs a source"))?,
            );
            return self.bind(&source, destination, &options);
        }
        match fs_type {
            "cgroup" | "cgroup2" => self.cgroup(destination, &options),
            "sysfs" => match self.file_system(fs_type, mount, &options) {
                // The network namespace belongs to another user namespace (hostNetwork without root): the host's sysfs
                // shows the same, and only all of it may be bound, because its submounts are locked together.
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                    let mut words = vec!["rbind".to_owned(), "rslave".to_owned()];
                    words.extend(mount.options().iter().flatten().map(|w| match w.as_str() {
                        "ro" => "rro".to_owned(),
                        other => other.to_owned(),
                    }));
                    self.notes.push(
                        "sysfs is bound from the host: it may not be mounted for this network namespace"
                            .into(),
                    );
                    self.bind(Path::new("/sys"), destination, &Options::parse(&words))
                }
                done => done,
            },
            "mqueue" => match self.file_system(fs_type, mount, &options) {
                // The IPC namespace is the host's.
                Err(e)
                    if e.kind() == io::ErrorKind::PermissionDenied && Path::new("/dev/mqueue").exists() =>
                {
                    self.bind(
                        Path::new("/dev/mqueue"),
                        destination,
                        &Options {
                            bind: true,
                            ..options
                        },
                    )
                }
                done => done,
            },
            "proc" => match self.file_system(fs_type, mount, &options) {
                // The PID namespace is the host's.
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied && same_pid_namespace() => self.bind(
                    Path::new("/proc"),
                    destination,
                    &Options {
                        bind: true,
                        bind_recursive: true,
                        ..options
                    },
                ),
                done => done,
            },
            "" => Err(invalid("a mount needs a type")),
            _ => {
                if let Some(label) = label {
                    options.data.push(format!("context={label}"));
                }
                self.file_system(fs_type, mount, &options)
            }
        }
    }

    /// Attaches a mount that the creator has made. Made outside, it is a peer of its source; like what is bound in here it
    /// is to hear of the source's mounts but not tell of its own.
    fn prepared(&mut self, tree: &OwnedFd, mount: &Mount) -> io::Result<()> {
        let options = Options::parse(mount.options().as_deref().unwrap_or_default());
        let slave = MountAttr {
            propagation: libc::MS_SLAVE,
            recursive: true,
            ..Default::default()
        };
        mount_setattr(tree.as_fd(), &slave).context(|| "set mount propagation".into())?;
        self.place(tree, mount.destination(), &options)
    }

    /// Binds `source` (host) to `destination` (container).
    pub(super) fn bind(&mut self, source: &Path, destination: &Path, options: &Options) -> io::Result<()> {
        self.place(&bind_source(source, options)?, destination, options)
    }

    /// Attaches a mount of a directory or file, with the attributes asked for.
    fn place(&mut self, tree: &OwnedFd, destination: &Path, options: &Options) -> io::Result<()> {
        let directory = rustix::fs::fstat(tree).map(|s| s.st_mode & libc::S_IFMT == libc::S_IFDIR)?;
        change(tree, options)?;
        if destination == Path::new("/sys") && options.set & MOUNT_ATTR_RDONLY != 0 {
            // The host's, bound: what is mounted below it (the cgroups) is not to be writable either.
            let all = MountAttr {
                set: MOUNT_ATTR_RDONLY,
                recursive: true,
                ..Default::default()
            };
            mount_setattr(tree.as_fd(), &all).context(|| "make all of /sys read-only".into())?;
        }
        let kind = if directory { Kind::Directory } else { Kind::File };
        let target = self
            .target(destination, kind)
            .context(|| format!("make {destination:?} in the root file system"))?;
        self.check_target(&target, tree)?;
        attach(tree, &target.fd)
    }

    /// Mounts a new instance of a file system.
    fn file_system(&mut self, fs_type: &str, mount: &Mount, options: &Options) -> io::Result<()> {
        let target = if matches!(fs_type, "proc" | "sysfs") {
            self.plain_directory(mount.destination())?
        } else {
            self.target(mount.destination(), Kind::Directory)?
        };
        let mut options = options.clone();
        if fs_type == "tmpfs" && !options.data.iter().any(|word| word.starts_with("mode=")) {
            // As it was before, unless asked otherwise (/tmp stays sticky).
            let mode = rustix::fs::fstat(&target.fd)?.st_mode & 0o7777;
            options.data.push(format!("mode={mode:o}"));
        }
        let options = &options;
        let tree = match new_file_system(fs_type, mount.source().as_deref(), options) {
            // `gid=5` of devpts needs a group 5, which a user namespace with one id lacks.
            Err(e) if fs_type == "devpts" && e.raw_os_error() == Some(libc::EINVAL) => {
                let mut without = options.clone();
                without.data.retain(|word| !word.starts_with("gid="));
                self.notes
                    .push("terminals belong to the user's group: group 5 is not mapped".into());
                new_file_system(fs_type, mount.source().as_deref(), &without)
            }
            done => done,
        }?;
        if options.copy_up {
            copy_up(&target.fd, &tree)?;
        }
        let mut options = options.clone();
        if is_dev(mount) && options.set & MOUNT_ATTR_RDONLY != 0 {
            // The devices have to be made there first.
            options.set &= !MOUNT_ATTR_RDONLY;
            self.readonly_dev = true;
        }
        change(&tree, &options.beyond_birth())?;
        self.check_target(&target, &tree)?;
        attach(&tree, &target.fd)
    }

    /// A new tmpfs at a path of the container.
    pub(super) fn tmpfs(&mut self, destination: &Path, options: &Options) -> io::Result<OwnedFd> {
        let tree = new_file_system("tmpfs", Some(Path::new("tmpfs")), options)?;
        let target = make_in_root(self.fd.as_fd(), destination, Kind::Directory)?;
        attach(&tree, &target)?;
        Ok(tree)
    }
}

/// A detached copy of what is to be bound.
pub(super) fn bind_source(source: &Path, options: &Options) -> io::Result<OwnedFd> {
    match open_tree(source, options.bind_recursive) {
        // In a user namespace mounts below are locked to the one above: without them it may not be copied.
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) && !options.bind_recursive => {
            open_tree(source, true)
        }
        done => done,
    }
    .context(|| format!("open {source:?}"))
}

/// A detached mount of a new file system.
pub(super) fn new_file_system(
    fs_type: &str,
    source: Option<&Path>,
    options: &Options,
) -> io::Result<OwnedFd> {
    let fs = rustix::mount::fsopen(fs_type, FsOpenFlags::FSOPEN_CLOEXEC)
        .context(|| format!("open a file system of type {fs_type:?}"))?;
    if let Some(source) = source {
        rustix::mount::fsconfig_set_string(&fs, "source", source)?;
    }
    for word in &options.data {
        let done = match word.split_once('=') {
            Some((key, value)) => rustix::mount::fsconfig_set_string(&fs, key, value),
            None if SUPERBLOCK_FLAGS.contains(&word.as_str()) => {
                rustix::mount::fsconfig_set_flag(&fs, word.as_str())
            }
            // Every devpts is an instance of its own since Linux 4.7.
            None if word == "newinstance" => Ok(()),
            None => rustix::mount::fsconfig_set_flag(&fs, word.as_str()),
        };
        done.map_err(io::Error::from)
            .map_err(|e| refused(e, fs_type, word))?;
    }
    rustix::mount::fsconfig_create(&fs)?;
    let attributes = MountAttrFlags::from_bits_retain(options.at_birth() as u32);
    Ok(rustix::mount::fsmount(
        &fs,
        FsMountFlags::FSMOUNT_CLOEXEC,
        attributes,
    )?)
}

/// Keeps the error number (callers look at it) unless the file system does not know the option at all.
fn refused(e: io::Error, fs_type: &str, word: &str) -> io::Error {
    if fs_type == "devpts" {
        e
    } else {
        io::Error::new(e.kind(), format!("option {word:?} of {fs_type}: {e}"))
    }
}

/// Applies attributes and propagation to a mount.
pub(super) fn change(mount: &OwnedFd, options: &Options) -> io::Result<()> {
    if options.set | options.clear != 0 {
        let both = MountAttr {
            set: options.set,
            clear: options.clear,
            ..Default::default()
        };
        match mount_setattr(mount.as_fd(), &both) {
            // A user namespace may not take back what its parent has set (a read-only file system stays read-only
            // when `rw` is asked for): what is asked in addition still holds.
            Err(e) if e.raw_os_error() == Some(libc::EPERM) && options.clear != 0 => {
                let atime = options.set & skiff_sys::mount::MOUNT_ATTR__ATIME;
                mount_setattr(
                    mount.as_fd(),
                    &MountAttr {
                        set: options.set & !atime,
                        ..Default::default()
                    },
                )?;
            }
            done => done.context(|| "set mount attributes".into())?,
        }
    }
    if options.set_recursive | options.clear_recursive != 0 {
        let all = MountAttr {
            set: options.set_recursive,
            clear: options.clear_recursive,
            recursive: true,
            ..Default::default()
        };
        mount_setattr(mount.as_fd(), &all).context(|| "set mount attributes recursively".into())?;
    }
    for p in &options.propagation {
        let propagate = MountAttr {
            propagation: p.kind,
            recursive: p.recursive,
            ..Default::default()
        };
        mount_setattr(mount.as_fd(), &propagate).context(|| "set mount propagation".into())?;
    }
    Ok(())
}

/// Copies what a directory holds into a new tmpfs: regular files, directories and links, with modes and owners.
fn copy_up(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    let from = PathBuf::from(format!("/proc/self/fd/{}", from.as_raw_fd()));
    let to = PathBuf::from(format!("/proc/self/fd/{}", to.as_raw_fd()));
    copy_directory(&from, &to)
}

fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        let meta = entry.metadata()?;
        if kind.is_dir() {
            std::fs::create_dir(&target)?;
            copy_directory(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path())?, &target)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), &target)?;
        } else {
            continue;
        }
        match std::os::unix::fs::lchown(&target, Some(meta.uid()), Some(meta.gid())) {
            // An owner that the user namespace does not know.
            Err(e) if matches!(e.raw_os_error(), Some(libc::EPERM | libc::EINVAL)) => (),
            done => done?,
        }
        if !kind.is_symlink() {
            // After the owner: changing that takes set-user-id bits away.
            std::fs::set_permissions(&target, meta.permissions())?;
        }
    }
    Ok(())
}

fn same_pid_namespace() -> bool {
    let own = std::fs::read_link("/proc/self/ns/pid");
    let first = std::fs::read_link("/proc/1/ns/pid");
    // Without permission to look at process 1 it is somebody else's, so we are not in a namespace of our own.
    match (own, first) {
        (Ok(own), Ok(first)) => own == first,
        _ => rustix::process::getpid().as_raw_nonzero().get() != 1,
    }
}

/// Opens a path of the host for a bind mount that must not follow a last link.
pub(super) fn host(path: &str) -> io::Result<OwnedFd> {
    open_path(Path::new(path))
}
