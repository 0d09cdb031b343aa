//! `/dev`: the default devices, those asked for, and the links.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};
use rustix::fs::{FileType, Mode, OFlags};
use skiff_sys::{
    mount::{MOUNT_ATTR_RDONLY, MountAttr, mount_setattr},
    path::{Kind, make_in_root, open_in_root},
};

use super::{Root, options::Options};
use crate::error::{Context, invalid};

/// Devices every container gets. Source: OCI runtime-spec, config-linux.md, "Default Devices".
const DEFAULT: &[(&str, u32, u32)] = &[
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Links every container gets. Source: OCI runtime-spec, runtime-linux.md, "Dev symbolic links".
const LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

struct Device<'a> {
    path: &'a Path,
    kind: FileType,
    major: u32,
    minor: u32,
    mode: u32,
    owner: Option<(u32, u32)>,
}

impl Root {
    /// Makes the devices: with mknod, or bound from the host where that is refused (a user namespace).
    pub fn devices(&mut self, asked: &[LinuxDevice]) -> io::Result<()> {
        // Nodes are made with their modes.
        let umask = rustix::process::umask(Mode::empty());
        let made = self.make_devices(asked);
        rustix::process::umask(umask);
        made
    }

    fn make_devices(&mut self, asked: &[LinuxDevice]) -> io::Result<()> {
        let mut parent = None;
        for (path, major, minor) in DEFAULT {
            let device = Device {
                path: Path::new(path),
                kind: FileType::CharacterDevice,
                major: *major,
                minor: *minor,
                mode: 0o666,
                owner: None,
            };
            self.device(&device, &mut parent)?;
        }
        for device in asked {
            let kind = match device.typ() {
                LinuxDeviceType::B => FileType::BlockDevice,
                LinuxDeviceType::C | LinuxDeviceType::U => FileType::CharacterDevice,
                LinuxDeviceType::P => FileType::Fifo,
                LinuxDeviceType::A => return Err(invalid(format!("device {:?}: type a", device.path()))),
            };
            let device = Device {
                path: device.path(),
                kind,
                major: device.major() as u32,
                minor: device.minor() as u32,
                mode: device.file_mode().unwrap_or(0o666) & 0o7777,
                owner: Some((device.uid().unwrap_or(0), device.gid().unwrap_or(0))),
            };
            self.device(&device, &mut parent)?;
        }
        let dev = make_in_root(self.fd.as_fd(), Path::new("/dev"), Kind::Directory)?;
        for (name, target) in LINKS {
            let mut done = rustix::fs::symlinkat(*target, &dev, *name);
            if *name == "ptmx" && done == Err(rustix::io::Errno::EXIST) {
                // An image's own ptmx would be that of the host's devpts.
                let _ = rustix::fs::unlinkat(&dev, *name, rustix::fs::AtFlags::empty());
                done = rustix::fs::symlinkat(*target, &dev, *name);
            }
            match done {
                Ok(()) | Err(rustix::io::Errno::EXIST | rustix::io::Errno::ROFS) => (),
                Err(e) => return Err(e).context(|| format!("make the link /dev/{name}")),
            }
        }
        if self.readonly_dev {
            let readonly = MountAttr {
                set: MOUNT_ATTR_RDONLY,
                ..Default::default()
            };
            mount_setattr(dev.as_fd(), &readonly).context(|| "make /dev read-only".into())?;
        }
        Ok(())
    }

    fn device(&mut self, device: &Device<'_>, parent: &mut Option<(PathBuf, OwnedFd)>) -> io::Result<()> {
        self.make_device(device, parent)
            .context(|| format!("make the device {:?}", device.path))
    }

    fn make_device(&mut self, device: &Device<'_>, known: &mut Option<(PathBuf, OwnedFd)>) -> io::Result<()> {
        let (Some(directory), Some(name)) = (device.path.parent(), device.path.file_name()) else {
            return Err(invalid("not a path of a file"));
        };
        // Most devices are neighbours.
        let parent = match known {
            Some((path, parent)) if path == directory => &*parent,
            known => {
                let parent = make_in_root(self.fd.as_fd(), directory, Kind::Directory)?;
                &known.insert((directory.to_owned(), parent)).1
            }
        };
        let number = rustix::fs::makedev(device.major, device.minor);
        match rustix::fs::mknodat(
            parent,
            name,
            device.kind,
            Mode::from_raw_mode(device.mode),
            number,
        ) {
            Ok(()) => {
                if self.own_devices || usable(parent, name, device.kind) {
                    if let Some((uid, gid)) = device.owner {
                        let node = open_in_root(
                            parent.as_fd(),
                            Path::new(name),
                            OFlags::PATH | OFlags::NOFOLLOW,
                            Mode::empty(),
                        )?;
                        let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&node));
                        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
                        rustix::fs::chown(&link, Some(uid), Some(gid))?;
                    }
                    return Ok(());
                }
                // A user namespace may make some nodes (0:0) and open none of them.
                let _ = rustix::fs::unlinkat(parent, name, rustix::fs::AtFlags::empty());
            }
            // Also told for what is there already.
            Err(rustix::io::Errno::PERM | rustix::io::Errno::EXIST | rustix::io::Errno::ROFS) => {
                let found = self.existing(device.path)?;
                let kind = found.map(|found| FileType::from_raw_mode(found.st_mode));
                match (found, kind) {
                    (Some(found), Some(kind))
                        if kind == device.kind && (found.st_rdev == number || kind == FileType::Fifo) =>
                    {
                        return Ok(());
                    }
                    // Source: config-linux.md, "devices". An empty file may be what an earlier container bound the device
                    // to.
                    (Some(found), Some(kind))
                        if device.owner.is_some() && (kind != FileType::RegularFile || found.st_size > 0) =>
                    {
                        return Err(invalid("there is another file at its path already"));
                    }
                    _ => (),
                }
            }
            Err(e) => return Err(e.into()),
        }
        // Bound from the host, where it must be the same device.
        let host = host_device(device)?;
        let options = Options {
            bind: true,
            ..Default::default()
        };
        self.bind(&host, device.path, &options)
    }

    fn existing(&self, path: &Path) -> io::Result<Option<rustix::fs::Stat>> {
        match open_in_root(
            self.fd.as_fd(),
            path,
            OFlags::PATH | OFlags::NOFOLLOW,
            Mode::empty(),
        ) {
            Ok(fd) => Ok(Some(rustix::fs::fstat(&fd)?)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// A node on a file system mounted `nodev` (every one made in a user namespace) exists but cannot be opened.
fn usable(parent: &OwnedFd, name: &std::ffi::OsStr, kind: FileType) -> bool {
    kind == FileType::Fifo
        || !matches!(
            rustix::fs::openat(
                parent,
                name,
                OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC,
                Mode::empty()
            ),
            Err(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM)
        )
}

fn host_device(device: &Device<'_>) -> io::Result<PathBuf> {
    let number = rustix::fs::makedev(device.major, device.minor);
    // Itself, not a link to it: /dev/stdin may be any device.
    let matches = |path: &Path| {
        rustix::fs::lstat(path)
            .is_ok_and(|s| s.st_rdev == number && FileType::from_raw_mode(s.st_mode) == device.kind)
    };
    if matches(device.path) {
        return Ok(device.path.to_owned());
    }
    // The container may know it under another name.
    std::fs::read_dir("/dev")?
        .filter_map(|e| e.ok().map(|e| e.path()))
        .find(|path| matches(path))
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "mknod is not permitted and the host has no device {}:{}",
                    device.major, device.minor
                ),
            )
        })
}
