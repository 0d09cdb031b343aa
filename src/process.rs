//! Processes of ours, known by pid and start time so that a reused pid is nobody.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout},
    sys::signal::Signal,
};
use serde::{Deserialize, Serialize};

/// A process that runs, or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pid: i32,
    /// Clock ticks after boot (proc(5), stat field 22).
    start_time: u64,
}

impl Process {
    /// The process with this pid now; `None` when there is none.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The command name may hold spaces and parentheses: fields are counted after the last one.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        if fields.first() == Some(&"Z") {
            return None;
        }
        Some(Self {
            pid,
            start_time: fields.get(19)?.parse().ok()?,
        })
    }

    /// Ourselves.
    pub fn current() -> Option<Self> {
        Self::of(std::process::id() as i32)
    }

    /// Process id.
    pub fn pid(self) -> i32 {
        self.pid
    }

    /// Whether it is still this process.
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// A descriptor that becomes readable when it ends; `None` when it has ended.
    pub fn pidfd(self) -> Option<OwnedFd> {
        let pid = rustix::process::Pid::from_raw(self.pid)?;
        let fd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()?;
        // Only after the descriptor exists does the check say that it is of this process.
        self.is_alive().then_some(fd)
    }

    /// Sends a signal; nothing happens when it has ended.
    pub fn signal(self, signal: Signal) {
        if let Some(fd) = self.pidfd()
            && let Some(signal) = rustix::process::Signal::from_named_raw(signal as i32)
        {
            let _ = rustix::process::pidfd_send_signal(fd, signal);
        }
    }

    /// Waits for its end; false when it has not come in time.
    pub fn wait(self, timeout: Duration) -> bool {
        let Some(fd) = self.pidfd() else { return true };
        wait_readable(&fd, timeout)
    }

    /// Asks it to end and, after `patience`, makes it.
    pub fn end(self, patience: Duration) {
        self.signal(Signal::SIGTERM);
        if !self.wait(patience) {
            self.signal(Signal::SIGKILL);
            self.wait(Duration::from_secs(5));
        }
    }

    /// Remembers it in a file.
    pub fn save(self, path: &Path) -> Result<()> {
        let temporary = path.with_extension("tmp");
        std::fs::write(&temporary, serde_json::to_vec(&self)?)
            .with_context(|| format!("write {temporary:?}"))?;
        std::fs::rename(&temporary, path).with_context(|| format!("write {path:?}"))
    }

    /// The remembered process if it is still alive.
    pub fn load(path: &Path) -> Option<Self> {
        let bytes = std::fs::read(path).ok()?;
        serde_json::from_slice::<Self>(&bytes)
            .ok()
            .filter(|p| p.is_alive())
    }
}

/// Waits until a descriptor is readable; false when it is not in time.
pub fn wait_readable(fd: &OwnedFd, timeout: Duration) -> bool {
    use std::os::fd::AsFd;
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
        match nix::poll::poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) if left.is_zero() => return false,
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => return true,
            Err(_) => return false,
        }
    }
}

/// The path of this program, for starting it again; by descriptor when it was replaced meanwhile.
pub fn own_program() -> PathBuf {
    std::env::current_exe()
        .ok()
        .filter(|path| path.exists())
        .unwrap_or_else(|| "/proc/self/exe".into())
}

/// Where the processes of `skiff up` are remembered.
pub fn file(run: &Path, role: &str) -> PathBuf {
    run.join(format!("{role}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_until_it_ends_and_its_pid_alone_says_nothing() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Process::of(child.id() as i32).unwrap();
        assert!(process.is_alive());
        assert!(
            !Process {
                start_time: process.start_time + 1,
                ..process
            }
            .is_alive()
        );
        assert!(!process.wait(Duration::ZERO));
        process.end(Duration::from_secs(10));
        child.wait().unwrap();
        assert!(!process.is_alive());
        assert!(process.wait(Duration::ZERO));
    }
}
