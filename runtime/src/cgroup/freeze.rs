//! Stopping all processes of a cgroup for a while.

use std::{
    fs::File,
    io::{self, Read, Seek},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Cgroup, Version};
use crate::error::Context;

/// How long the processes may take to stop: one in the middle of a disk operation stops after it.
const PATIENCE: Duration = Duration::from_secs(10);

impl Cgroup {
    /// Freezes or thaws every process in it and below; returns when that is so.
    ///
    /// # Errors
    /// `Unsupported` without a freezer, `TimedOut` when a process does not stop; they run again then.
    pub fn freeze(&self, frozen: bool) -> io::Result<()> {
        let done = match self.version {
            Version::V2 => self.freeze_v2(frozen),
            _ => self.freeze_v1(frozen),
        };
        if frozen && done.is_err() {
            let _ = self.freeze(false);
        }
        done
    }

    /// Its processes are frozen, or about to be.
    pub fn frozen(&self) -> bool {
        let Some(dir) = self.directory("freezer") else {
            return false;
        };
        let file = if self.version == Version::V2 {
            "cgroup.freeze"
        } else {
            "freezer.state"
        };
        let state = std::fs::read_to_string(dir.join(file)).unwrap_or_default();
        matches!(state.trim(), "1" | "FROZEN" | "FREEZING")
    }

    fn freezer(&self) -> io::Result<&std::path::Path> {
        self.directory("freezer").ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::Unsupported,
                "the freezer controller is not available",
            )
        })
    }

    fn freeze_v2(&self, frozen: bool) -> io::Result<()> {
        let dir = self.freezer()?;
        let path = dir.join("cgroup.freeze");
        std::fs::write(&path, if frozen { "1" } else { "0" }).context(|| format!("write {path:?}"))?;
        let wanted = if frozen { "frozen 1" } else { "frozen 0" };
        let path = dir.join("cgroup.events");
        let mut events = File::open(&path).context(|| format!("open {path:?}"))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut text = String::new();
            events.rewind()?;
            events.read_to_string(&mut text)?;
            if text.lines().any(|line| line == wanted) {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // The kernel tells a change of this file as an exceptional condition.
            let _ = poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&timespec(left)));
        }
    }

    fn freeze_v1(&self, frozen: bool) -> io::Result<()> {
        let path = self.freezer()?.join("freezer.state");
        let wanted = if frozen { "FROZEN" } else { "THAWED" };
        let deadline = Instant::now() + PATIENCE;
        loop {
            // A process that was forked meanwhile may have been missed: writing again makes the kernel look again.
            std::fs::write(&path, wanted).context(|| format!("write {path:?}"))?;
            let state = std::fs::read_to_string(&path).context(|| format!("read {path:?}"))?;
            if state.trim() == wanted {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // Nothing tells when the last one has stopped.
            let _ = poll(&mut [], Some(&timespec(Duration::from_millis(1))));
        }
    }
}

pub(super) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs() as i64,
        tv_nsec: duration.subsec_nanos().into(),
    }
}
