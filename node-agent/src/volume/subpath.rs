//! Sub-paths of volumes. The volume may be written by a container that means harm: the path is resolved by the kernel
//! inside the volume, and what was resolved (not the path) is bound where only the agent writes.

use std::{
    fs, io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Component, Path, PathBuf},
};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, open, openat2};

/// Binds `sub` of the volume at `volume` to `at` and returns `at`. A sub-path that is missing is made, a directory.
///
/// # Errors
/// When the path leads out of the volume, or the kernel refuses.
pub(super) fn bind(volume: &Path, sub: &str, at: &Path) -> io::Result<PathBuf> {
    if Path::new(sub)
        .components()
        .any(|component| !matches!(component, Component::Normal(_)))
    {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{sub:?} is not a path below a volume"),
        ));
    }
    let root = open(
        volume,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let found = resolve(&root, sub)?;
    let source = format!("/proc/self/fd/{}", found.as_raw_fd());
    let _ = umount2(at, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
    let _ = fs::remove_dir(at);
    let _ = fs::remove_file(at);
    if let Some(parent) = at.parent() {
        fs::create_dir_all(parent)?;
    }
    if fs::metadata(&source)?.is_dir() {
        fs::create_dir(at)?;
    } else {
        fs::write(at, "")?;
    }
    mount(
        Some(source.as_str()),
        at,
        None::<&str>,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        None::<&str>,
    )?;
    Ok(at.to_owned())
}

fn resolve(root: &OwnedFd, sub: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match openat2(root, sub, flags, Mode::empty(), resolve) {
        Err(rustix::io::Errno::NOENT) => {}
        other => return Ok(other?),
    }
    let mut dir = openat2(root, ".", flags, Mode::empty(), resolve)?;
    let mut so_far = PathBuf::new();
    for component in Path::new(sub).components() {
        match mkdirat(&dir, component.as_os_str(), Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        so_far.push(component);
        dir = openat2(root, &so_far, flags, Mode::empty(), resolve)?;
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_path_that_leads_out_is_refused() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let volume = dir.path().join("volume");
        fs::create_dir(&volume).expect("directory");
        std::os::unix::fs::symlink("/etc", volume.join("out")).expect("link");
        let root = open(&volume, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).expect("open");
        assert!(resolve(&root, "out/passwd").is_err());
        assert!(bind(&volume, "../x", &dir.path().join("at")).is_err());
        resolve(&root, "new/deep").expect("made");
        assert!(volume.join("new/deep").is_dir());
    }
}
