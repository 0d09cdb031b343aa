//! Emptying and removing cgroups, waiting for the processes rather than sleeping.

use std::{
    fs, io,
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags},
};

use super::{Cgroup, Version};
use crate::error::Context;

/// How long a killed process may take to vanish (it may be in the middle of a slow disk operation).
const PATIENCE: Duration = Duration::from_secs(10);

impl Cgroup {
    /// Sends SIGKILL to every process in it and below; returns how many there were.
    pub fn kill(&self) -> usize {
        let pids = self.pids();
        if self.version == Version::V2
            && let Some((_, dir)) = self.directories.first()
            && fs::write(dir.join("cgroup.kill"), "1").is_ok()
        {
            return pids.len();
        }
        self.signal(libc::SIGKILL)
    }

    /// Sends a signal to every process in it and below; returns how many there were.
    pub fn signal(&self, signal: i32) -> usize {
        let mut count = 0;
        for pid in self.pids() {
            if let Some(fd) = open(pid)
                // The number may have been given away since the list was read: look again, now that the pidfd holds it.
                && self.pids().contains(&pid)
                && skiff_sys::process::pidfd_signal(std::os::fd::AsFd::as_fd(&fd), signal).is_ok()
            {
                count += 1;
            }
        }
        count
    }

    /// Kills what is in it and removes it with everything below, and parents of ours that are empty then. Idempotent.
    ///
    /// Processes whose parent is the caller must be reaped by it for the cgroup to become empty; `reap` is called for
    /// that while waiting.
    pub fn remove(&self, mut reap: impl FnMut()) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut busy = None;
            for (_, dir) in &self.directories {
                if let Err(e) = remove_tree(dir) {
                    if e.raw_os_error() != Some(libc::EBUSY) {
                        return Err(e).context(|| format!("remove cgroup {dir:?}"));
                    }
                    busy = Some((dir, e));
                }
            }
            let Some((dir, error)) = busy else { break };
            if Instant::now() > deadline {
                return Err(error)
                    .context(|| format!("remove cgroup {dir:?}, processes {:?} stay", self.pids()));
            }
            self.kill();
            self.wait_for_one(deadline);
            reap();
        }
        self.remove_empty_parents();
        if let Some(unit) = &self.unit {
            unit.stop();
        }
        Ok(())
    }

    /// Waits until one of the processes is gone.
    fn wait_for_one(&self, deadline: Instant) {
        let open: Vec<_> = self.pids().into_iter().filter_map(open).collect();
        let mut polled: Vec<_> = open.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        // Without processes the kernel is still putting the cgroup away (a dying one counts until its last reference
        // goes), which no descriptor tells: look again after a moment.
        let left = if polled.is_empty() {
            Duration::from_millis(1)
        } else {
            deadline
                .saturating_duration_since(Instant::now())
                .min(Duration::from_millis(100))
        };
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        };
        let _ = poll(&mut polled, Some(&timeout));
    }

    fn remove_empty_parents(&self) {
        let removable = self.path.components().count().saturating_sub(self.keep + 1);
        for (_, dir) in &self.directories {
            for parent in dir.ancestors().skip(1).take(removable) {
                if fs::remove_dir(parent).is_err() {
                    break;
                }
            }
        }
    }
}

fn open(pid: u32) -> Option<std::os::fd::OwnedFd> {
    rustix::process::pidfd_open(Pid::from_raw(pid as i32)?, PidfdFlags::empty()).ok()
}

fn remove_tree(dir: &Path) -> io::Result<()> {
    match fs::remove_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        // A container with a delegated cgroup may have made its own below.
        Err(e) if matches!(e.raw_os_error(), Some(libc::EBUSY | libc::ENOTEMPTY)) => (),
        done => return done,
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
