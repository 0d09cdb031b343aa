//! Opening paths that somebody hostile may have prepared.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use rustix::fs::{Mode, OFlags, ResolveFlags};

/// Opens `path` as if `root` were `/`: neither `..` nor a symbolic link, absolute or not, leads out of it, and magic
/// links of procfs are refused. Source: openat2(2), Linux 5.6.
///
/// # Errors
/// openat2's; `EAGAIN` (a racing rename) is tried again here.
pub fn open_in_root(root: BorrowedFd<'_>, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, mode, resolve) {
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => (),
            other => return Ok(other?),
        }
    }
}

/// What [`make_in_root`] makes at the end of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// An empty file.
    File,
}

/// Opens `path` below `root` (`O_PATH`) and makes what is missing of it: directories with mode 0755 and at the end
/// a directory or an empty file. What exists is left as it is.
///
/// # Errors
/// `NotADirectory` when a component in between is a file; `ELOOP`, `EACCES` and so on from the kernel.
pub fn make_in_root(root: BorrowedFd<'_>, path: &Path, kind: Kind) -> io::Result<OwnedFd> {
    match open_in_root(root, path, OFlags::PATH, Mode::empty()) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => (),
        done => return done,
    }
    let parts: Vec<_> = path
        .components()
        .filter_map(|c| match c {
            Component::Normal(name) => Some(name),
            Component::ParentDir => Some("..".as_ref()),
            _ => None,
        })
        .collect();
    let mut done = PathBuf::from("/");
    for (at, name) in parts.iter().enumerate() {
        let last = at + 1 == parts.len();
        let parent = open_in_root(root, &done, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        done.push(name);
        match open_in_root(root, &done, OFlags::PATH, Mode::empty()) {
            Ok(_) => continue,
            Err(e) if e.kind() == io::ErrorKind::NotFound => (),
            Err(e) => return Err(e),
        }
        let made = if last && kind == Kind::File {
            // The parent is an open directory inside the root and the name a single component, so this cannot leave it.
            rustix::fs::openat(
                parent.as_fd(),
                *name,
                OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
                Mode::from_raw_mode(0o644),
            )
            .map(drop)
        } else {
            rustix::fs::mkdirat(parent.as_fd(), *name, Mode::from_raw_mode(0o755))
        };
        match made {
            Ok(()) => (),
            // A symbolic link to nothing, or somebody was faster: the final open tells which.
            Err(rustix::io::Errno::EXIST) => (),
            Err(e) => return Err(e.into()),
        }
    }
    open_in_root(root, path, OFlags::PATH, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn root(dir: &Path) -> OwnedFd {
        rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap()
    }

    #[test]
    fn a_missing_path_is_made_with_its_parents() {
        let dir = tempfile::tempdir().unwrap();
        make_in_root(root(dir.path()).as_fd(), Path::new("/a/b/file"), Kind::File).unwrap();
        assert!(dir.path().join("a/b/file").is_file());
        make_in_root(root(dir.path()).as_fd(), Path::new("c/d"), Kind::Directory).unwrap();
        assert!(dir.path().join("c/d").is_dir());
    }

    #[test]
    fn a_symbolic_link_to_the_outside_stays_inside() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("root");
        fs::create_dir_all(inside.join("etc")).unwrap();
        fs::create_dir(dir.path().join("secret")).unwrap();
        symlink(dir.path().join("secret"), inside.join("abs")).unwrap();
        symlink("../../../../secret", inside.join("etc/rel")).unwrap();
        let fd = root(&inside);
        assert!(make_in_root(fd.as_fd(), Path::new("/abs/x"), Kind::Directory).is_err());
        let _ = make_in_root(fd.as_fd(), Path::new("/etc/rel/x"), Kind::Directory);
        let _ = make_in_root(fd.as_fd(), Path::new("/../../secret/x"), Kind::Directory);
        assert_eq!(fs::read_dir(dir.path().join("secret")).unwrap().count(), 0);
    }

    #[test]
    fn a_file_in_the_middle_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), "").unwrap();
        assert!(make_in_root(root(dir.path()).as_fd(), Path::new("/f/x"), Kind::Directory).is_err());
    }
}
