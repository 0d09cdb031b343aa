//! Finding the program to execute, with the words people know from runc.

use std::{
    ffi::{CString, OsStr},
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// Search path of a process without one.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Finds the file that `name` means, as the calling process sees and may execute it.
///
/// # Errors
/// `NotFound` and `PermissionDenied` with runc's text: `exec: "foo": executable file not found in $PATH`.
pub(super) fn executable(name: &str, env: &[String], cwd: &Path) -> io::Result<PathBuf> {
    let refuse = |kind: io::ErrorKind, why: &str| io::Error::new(kind, format!("exec: {name:?}: {why}"));
    if name.is_empty() {
        return Err(refuse(
            io::ErrorKind::NotFound,
            "executable file not found in $PATH",
        ));
    }
    if name.contains('/') {
        let path = cwd.join(name);
        return check(&path).map(|()| path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => refuse(e.kind(), &format!("stat {name}: no such file or directory")),
            io::ErrorKind::PermissionDenied => refuse(e.kind(), "permission denied"),
            io::ErrorKind::IsADirectory => refuse(io::ErrorKind::PermissionDenied, "is a directory"),
            kind => refuse(kind, &e.to_string()),
        });
    }
    let path = env
        .iter()
        .rev()
        .find_map(|e| e.strip_prefix("PATH="))
        .unwrap_or(DEFAULT_PATH);
    let mut denied = false;
    for dir in path.split(':') {
        let path = cwd.join(dir).join(name);
        match check(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => denied = true,
            Err(_) => (),
        }
    }
    if denied {
        return Err(refuse(io::ErrorKind::PermissionDenied, "permission denied"));
    }
    Err(refuse(
        io::ErrorKind::NotFound,
        "executable file not found in $PATH",
    ))
}

fn check(path: &Path) -> io::Result<()> {
    let meta = std::fs::metadata(path)?;
    if meta.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // Our own program, reached over /proc/self/exe, would leave a descriptor of the host's file in the container.
    if leads_to_ourselves(path) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    // Effective ids: the user has been changed already.
    rustix::fs::accessat(
        rustix::fs::CWD,
        path,
        rustix::fs::Access::EXEC_OK,
        rustix::fs::AtFlags::EACCESS,
    )?;
    Ok(())
}

/// Executing `path` would execute our own program file: it is that file, or a script whose interpreter is.
fn leads_to_ourselves(path: &Path) -> bool {
    let Ok(own) = rustix::fs::stat("/proc/self/exe") else {
        return false;
    };
    let mut path = path.to_owned();
    // The kernel follows a few interpreters that are scripts themselves, and then gives up.
    for _ in 0..8 {
        match rustix::fs::stat(&path) {
            Ok(found) if (own.st_dev, own.st_ino) == (found.st_dev, found.st_ino) => return true,
            Ok(found) if rustix::fs::FileType::from_raw_mode(found.st_mode).is_file() => (),
            _ => return false,
        }
        match interpreter(&path) {
            Some(next) => path = next,
            None => return false,
        }
    }
    true
}

/// What a script names in its first line. Source: Linux, fs/binfmt_script.c.
fn interpreter(script: &Path) -> Option<PathBuf> {
    let mut start = [0; 256];
    let length = std::fs::File::open(script).ok()?.read(&mut start).ok()?;
    let line = start[..length].strip_prefix(b"#!")?;
    let line = line.split(|b| *b == b'\n').next()?;
    let name = line
        .split(|b| matches!(b, b' ' | b'\t' | 0))
        .find(|word| !word.is_empty())?;
    Some(PathBuf::from(OsStr::from_bytes(name)))
}

/// A path as the exec call takes it.
pub(super) fn c_string(bytes: impl AsRef<std::ffi::OsStr>) -> io::Result<CString> {
    CString::new(bytes.as_ref().as_bytes())
        .map_err(|_| crate::error::invalid(format!("NUL byte in {:?}", bytes.as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_told_in_the_words_of_runc() {
        let env = ["PATH=/bin".to_owned()];
        let e = executable("no-such-program", &env, Path::new("/")).unwrap_err();
        assert_eq!(
            e.to_string(),
            "exec: \"no-such-program\": executable file not found in $PATH"
        );
        let e = executable("/no/such", &env, Path::new("/")).unwrap_err();
        assert_eq!(
            e.to_string(),
            "exec: \"/no/such\": stat /no/such: no such file or directory"
        );
        let e = executable("/etc/passwd", &env, Path::new("/")).unwrap_err();
        assert_eq!(
            (e.kind(), e.to_string().as_str()),
            (
                io::ErrorKind::PermissionDenied,
                "exec: \"/etc/passwd\": permission denied"
            )
        );
    }

    #[test]
    fn the_last_path_variable_counts() {
        let env = ["PATH=/nowhere".to_owned(), "PATH=/bin".to_owned()];
        assert_eq!(
            executable("sh", &env, Path::new("/")).unwrap(),
            Path::new("/bin/sh")
        );
    }

    #[test]
    fn our_own_program_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (script, second) = (dir.path().join("script"), dir.path().join("second"));
        std::fs::write(&script, "#! \t/proc/self/exe x\n").unwrap();
        std::fs::write(&second, format!("#!{}\n", script.display())).unwrap();
        for path in [&script, &second] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        for path in [Path::new("/proc/self/exe"), &script, &second] {
            let e = executable(path.to_str().unwrap(), &[], Path::new("/")).unwrap_err();
            assert_eq!(e.kind(), io::ErrorKind::PermissionDenied, "{path:?}");
        }
        std::fs::write(&second, "#!/bin/sh\n").unwrap();
        executable(second.to_str().unwrap(), &[], Path::new("/")).unwrap();
    }
}
