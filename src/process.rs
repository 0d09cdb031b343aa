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
        let start_time = skiff_sys::process::alive_since(u32::try_from(pid).ok()?)?;
        Some(Self { pid, start_time })
    }

    /// Ourselves.
    pub fn current() -> Option<Self> {
        Self::of(std::process::id() as i32)
    }

    /// Process id.
    pub fn pid(self) -> i32 {
        self.pid
    }

    /// Its program and arguments; empty when it has ended.
    pub fn command_line(self) -> Vec<String> {
        let bytes = std::fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        if !self.is_alive() {
            return Vec::new();
        }
        let words = bytes.split(|byte| *byte == 0);
        words
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect()
    }

    /// Whether it is still this process.
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Whether it has been killed but is not dead yet: on a busy machine that takes a while.
    pub fn is_dying(self) -> bool {
        let read =
            |what: &str| std::fs::read_to_string(format!("/proc/{}/{what}", self.pid)).unwrap_or_default();
        self.is_alive() && (has_pending_kill(&read("status")) || is_exiting(&read("stat")))
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
        // Two may write the same at once: a monitor, and the child it speaks of.
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
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

/// Whether SIGKILL waits to be delivered. Source: proc_pid_status(5), `SigPnd` and `ShdPnd`.
fn has_pending_kill(status: &str) -> bool {
    let pending = status.lines().filter_map(|line| {
        line.strip_prefix("SigPnd:")
            .or_else(|| line.strip_prefix("ShdPnd:"))
    });
    pending
        .filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .any(|mask| mask & (1 << (Signal::SIGKILL as u64 - 1)) != 0)
}

/// Whether the kernel takes the process apart: `PF_EXITING` in its flags. Source: proc_pid_stat(5), field 9.
fn is_exiting(stat: &str) -> bool {
    const PF_EXITING: u64 = 4;
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest);
    let flags = fields.and_then(|rest| rest.split_whitespace().nth(6)?.parse::<u64>().ok());
    flags.is_some_and(|flags| flags & PF_EXITING != 0)
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

/// Where one is remembered that runs for itself: no monitor takes it for its child.
fn foreground_file(run: &Path, role: &str) -> PathBuf {
    run.join(format!("{role}.foreground.json"))
}

/// Remembers ourselves: for a monitor of this run directory, if one started us (it may have been killed before it could), else for
/// whoever asks what runs here.
pub fn register(run: &Path, role: &str) -> Result<()> {
    let ours = std::env::var_os("NOTIFY_SOCKET").is_some_and(|path| Path::new(&path) == notify_socket(run));
    let file = if ours { file } else { foreground_file };
    match Process::current() {
        Some(current) => current.save(&file(run, role)),
        None => Ok(()),
    }
}

/// The processes of a role that run here: that of `skiff up`, and one in the foreground.
pub fn running(run: &Path, role: &str) -> impl Iterator<Item = Process> {
    let files = [file(run, role), foreground_file(run, role)];
    files.into_iter().filter_map(|file| Process::load(&file))
}

/// Where a monitor hears from its children.
pub fn notify_socket(run: &Path) -> PathBuf {
    run.join("notify.sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_to_die_is_told_from_one_that_lives() {
        let status =
            |private: &str, shared: &str| format!("Name:\tx\nSigPnd:\t{private}\nShdPnd:\t{shared}\n");
        let (none, kill, term) = ("0000000000000000", "0000000000000100", "0000000000004000");
        assert!(has_pending_kill(&status(kill, none)));
        assert!(has_pending_kill(&status(none, kill)));
        assert!(!has_pending_kill(&status(term, none)));
        assert!(is_exiting("7 (a) b) R 1 7 7 0 -1 4194564 1 0"));
        assert!(!is_exiting("7 (a) b) R 1 7 7 0 -1 4194560 1 0"));
        assert!(!Process::current().unwrap().is_dying());
    }

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
