//! Being told when the kernel's OOM killer has taken a process of a cgroup.

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use rustix::event::{EventfdFlags, PollFlags, eventfd};

use super::{Cgroup, Version};
use crate::error::Context;

/// Something to poll, and the count so far.
#[derive(Debug)]
pub(crate) struct OomWatch<'a> {
    cgroup: &'a Cgroup,
    /// v1: an eventfd the kernel writes to; v2: the events file, whose changes are exceptional conditions.
    fd: OwnedFd,
    /// v1: must stay open.
    _control: Option<fs::File>,
    seen: u64,
}

impl Cgroup {
    /// Watches for OOM kills.
    ///
    /// # Errors
    /// `NotFound` without the memory controller.
    pub fn watch_oom(&self) -> io::Result<OomWatch<'_>> {
        let dir = self.directory("memory").ok_or(io::ErrorKind::NotFound)?;
        let open = |file: &str| {
            let path = dir.join(file);
            fs::File::open(&path).context(|| format!("open {path:?}"))
        };
        let (fd, control) = if self.version == Version::V2 {
            (open("memory.events")?.into(), None)
        } else {
            let control = open("memory.oom_control")?;
            let events = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            let path = dir.join("cgroup.event_control");
            let text = format!("{} {}", events.as_raw_fd(), control.as_raw_fd());
            fs::write(&path, text).context(|| format!("write {path:?}"))?;
            (events, Some(control))
        };
        Ok(OomWatch {
            cgroup: self,
            fd,
            _control: control,
            seen: self.oom_kills(),
        })
    }
}

impl OomWatch<'_> {
    /// What to poll, and for what.
    pub fn polled(&self) -> (BorrowedFd<'_>, PollFlags) {
        let flags = match self.cgroup.version {
            Version::V2 => PollFlags::PRI,
            _ => PollFlags::IN,
        };
        (self.fd.as_fd(), flags)
    }

    /// Call when it is ready: whether there have been OOM kills since the last call.
    pub fn happened(&mut self) -> bool {
        // Reading is what makes the descriptor not ready again.
        let mut buffer = [0; 4096];
        let told = rustix::io::read(&self.fd, &mut buffer).unwrap_or(0);
        if self.cgroup.version == Version::V2 {
            let _ = rustix::fs::seek(&self.fd, rustix::fs::SeekFrom::Start(0));
        }
        let now = self.cgroup.oom_kills();
        // On v1 the event also says "out of memory" when nothing is killed (the killer is disabled), and comes with the
        // removal of the cgroup, when there is nothing to read any more.
        let happened = now > self.seen
            || (self.cgroup.version != Version::V2
                && told > 0
                && self.cgroup.directory("memory").is_some_and(|dir| dir.exists()));
        self.seen = now;
        happened
    }
}
