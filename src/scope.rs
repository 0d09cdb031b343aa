//! A cgroup of the agent's own, from the user's systemd.
//!
//! Limits need a cgroup that is delegated to us and holds nobody else. A login session's is not delegated, so the agent is
//! started in a scope of the user's service manager. Without one (no systemd, no cgroup v2, no bus) it stays where it is, and the
//! runtime says what that costs.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use nix::unistd::getuid;

use crate::process::{self, Process};

/// What every scope is made with.
const SCOPE: [&str; 6] = ["--user", "--scope", "--quiet", "--collect", "-p", "Delegate=yes"];
/// systemd before 253 does not know it for scopes, and leaves them alone; later ones would end every pod with the first that took
/// too much memory.
const PATIENT: [&str; 2] = ["-p", "OOMPolicy=continue"];
/// How long the service manager may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The cgroup of this user's service manager, below which scopes are made; `None` for root, on cgroup v1, and without systemd.
pub fn manager() -> Option<PathBuf> {
    let uid = getuid();
    let manager = format!("/sys/fs/cgroup/user.slice/user-{uid}.slice/user@{uid}.service");
    let manager = PathBuf::from(manager);
    (!uid.is_root() && manager.join("cgroup.controllers").exists()).then_some(manager)
}

/// The command that starts a program in a scope of its own, or plainly where that can't be had. The process stays the same:
/// systemd-run becomes the program.
pub fn command(program: &Path) -> Command {
    let own = || {
        manager()?;
        [&PATIENT[..], &[]].into_iter().find(|more| works(more))
    };
    match own() {
        Some(more) => {
            let mut command = systemd_run(more);
            command.arg(program);
            command
        }
        None => Command::new(program),
    }
}

fn systemd_run(more: &[&str]) -> Command {
    let mut command = Command::new("systemd-run");
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // After `su` the way to the user's bus is not in the environment.
        command.env("XDG_RUNTIME_DIR", format!("/run/user/{}", getuid()));
    }
    command.args(SCOPE).args(more).arg("--");
    command
}

/// Whether the service manager makes such a scope.
fn works(more: &[&str]) -> bool {
    let child = systemd_run(more)
        .arg("true")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return false };
    let running = i32::try_from(child.id()).ok().and_then(Process::of);
    let ended = running
        .and_then(Process::pidfd)
        .is_none_or(|fd| process::wait_readable(&fd, PATIENCE));
    if !ended {
        let _ = child.kill();
    }
    child.wait().is_ok_and(|status| status.success())
}
