//! What a test needs of the machine.

use std::path::{Path, PathBuf};

/// The machine lacks something: the test is skipped, or fails where everything ought to be there (`CI=true`).
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unmet(pub String);

/// The path of a program.
///
/// # Errors
/// [`Unmet`] when it is not in `PATH`.
pub fn need(program: &str) -> Result<PathBuf, Unmet> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps some outside an ordinary user's PATH.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .ok_or_else(|| Unmet(format!("the program {program} is not installed")))
}

/// Being root.
///
/// # Errors
/// [`Unmet`] for everyone else.
pub fn need_root() -> Result<(), Unmet> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Unmet("this needs root".into()))
}

/// Room on the disk of a folder: a node with less says that it is short of it and takes no pods.
///
/// # Errors
/// [`Unmet`] with what is free and what is needed.
pub fn need_disk(folder: &Path) -> Result<(), Unmet> {
    // What the tests themselves write comes on top of the twentieth that a node wants free.
    const MARGIN: u64 = 2 << 30;
    let stat = rustix::fs::statvfs(folder).map_err(|error| {
        Unmet(format!(
            "the disk of {} can't be asked: {error}",
            folder.display()
        ))
    })?;
    let (free, whole) = (stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize);
    let needed = whole / 20 + MARGIN;
    if free >= needed {
        return Ok(());
    }
    Err(Unmet(format!(
        "the disk of {} has {} MiB free, and a node that takes pods needs {} MiB (a twentieth of the disk, and 2 GiB for the tests)",
        folder.display(),
        free >> 20,
        needed >> 20
    )))
}
