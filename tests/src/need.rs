//! What a test needs of the machine.

use std::path::PathBuf;

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
