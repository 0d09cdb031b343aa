//! Opening paths that somebody hostile may have prepared.

use std::{
    collections::VecDeque,
    ffi::OsString,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
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

/// Like [`open_in_root`], but a symbolic link anywhere in `path` is an error: what is opened is where it says.
///
/// # Errors
/// As [`open_in_root`], and `ELOOP` for a link.
pub fn open_straight(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    loop {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
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
/// a directory or an empty file. What exists is left as it is; a symbolic link to nothing is followed, inside the root, to
/// what it names, and that is made.
///
/// # Errors
/// `NotADirectory` when a component in between is a file; `ELOOP`, `EACCES` and so on from the kernel.
pub fn make_in_root(root: BorrowedFd<'_>, path: &Path, kind: Kind) -> io::Result<OwnedFd> {
    match open_in_root(root, path, OFlags::PATH, Mode::empty()) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => (),
        done => return done,
    }
    let mut left: VecDeque<OsString> = names(path).collect();
    // How far it exists, as an open directory inside the root.
    let mut done = PathBuf::from("/");
    let mut parent = None;
    let mut links = 0;
    while let Some(name) = left.pop_front() {
        let next = done.join(&name);
        // All of it is not there: most often only the last part is missing.
        if !left.is_empty() || links > 0 {
            match open_in_root(root, &next, OFlags::PATH, Mode::empty()) {
                Ok(found) => {
                    (done, parent) = (next, Some(found));
                    continue;
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => (),
                Err(e) => return Err(e),
            }
        }
        let within = match parent.take() {
            Some(parent) => parent,
            None => open_in_root(root, &done, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?,
        };
        // A single component, which neither call follows: nothing below can leave the root.
        let made = if left.is_empty() && kind == Kind::File {
            rustix::fs::openat(
                within.as_fd(),
                &name,
                OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
                Mode::from_raw_mode(0o644),
            )
            .map(drop)
        } else {
            rustix::fs::mkdirat(within.as_fd(), &name, Mode::from_raw_mode(0o755))
        };
        match made {
            Ok(()) => (),
            Err(rustix::io::Errno::EXIST) => {
                if let Ok(target) = rustix::fs::readlinkat(within.as_fd(), &name, Vec::new()) {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(io::Error::from_raw_os_error(libc::ELOOP));
                    }
                    let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                    if target.is_absolute() {
                        done = PathBuf::from("/");
                    } else {
                        parent = Some(within);
                    }
                    names(&target).rev().for_each(|name| left.push_front(name));
                    continue;
                }
                // Somebody was faster: the final open tells what is there.
            }
            Err(e) => return Err(e.into()),
        }
        done = next;
    }
    open_in_root(root, &done, OFlags::PATH, Mode::empty())
}

/// As many as the kernel follows in one path. Source: path_resolution(7).
const MOST_LINKS: usize = 40;

/// The components of a path that lead somewhere.
fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> + '_ {
    path.components().filter_map(|c| match c {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
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
        let _ = make_in_root(fd.as_fd(), Path::new("/abs/x"), Kind::Directory);
        let _ = make_in_root(fd.as_fd(), Path::new("/etc/rel/x"), Kind::Directory);
        let _ = make_in_root(fd.as_fd(), Path::new("/../../secret/x"), Kind::Directory);
        assert_eq!(fs::read_dir(dir.path().join("secret")).unwrap().count(), 0);
    }

    #[test]
    fn what_a_link_to_nothing_names_is_made_inside_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("root");
        fs::create_dir_all(inside.join("etc")).unwrap();
        symlink("../foo/bar/file", inside.join("etc/rel")).unwrap();
        symlink("/etc/rel2", inside.join("abs")).unwrap();
        symlink("../../../../made", inside.join("etc/rel2")).unwrap();
        symlink("loop-b", inside.join("loop-a")).unwrap();
        symlink("loop-a", inside.join("loop-b")).unwrap();
        let fd = root(&inside);
        make_in_root(fd.as_fd(), Path::new("/etc/rel"), Kind::File).unwrap();
        assert!(inside.join("foo/bar/file").is_file());
        make_in_root(fd.as_fd(), Path::new("/abs"), Kind::Directory).unwrap();
        assert!(inside.join("made").is_dir() && !dir.path().join("made").exists());
        assert!(make_in_root(fd.as_fd(), Path::new("/loop-a/x"), Kind::Directory).is_err());
    }

    #[test]
    fn a_file_in_the_middle_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), "").unwrap();
        assert!(make_in_root(root(dir.path()).as_fd(), Path::new("/f/x"), Kind::Directory).is_err());
    }
}
