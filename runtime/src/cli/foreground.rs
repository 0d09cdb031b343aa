//! Waiting for a process in the foreground: signals are passed on, a terminal is relayed, its exit code becomes ours.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{WaitOptions, WaitStatus},
};
use skiff_sys::process::{Child, pidfd_signal};

use super::{
    console::{self, Raw},
    readiness::Relay,
};
use crate::error::Context;

/// From its making on signals are kept for the process to come.
#[derive(Debug)]
pub(super) struct Watch {
    signals: SignalFd,
}

impl Watch {
    /// Blocks all signals that a process can pass on.
    pub fn new() -> io::Result<Self> {
        let mut mask = SigSet::all();
        // Our own mistakes.
        for own in [
            Signal::SIGSEGV,
            Signal::SIGBUS,
            Signal::SIGILL,
            Signal::SIGFPE,
            Signal::SIGABRT,
            Signal::SIGPIPE,
        ] {
            mask.remove(own);
        }
        mask.thread_block()?;
        Ok(Watch {
            signals: SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?,
        })
    }

    /// Waits for `child`, telling of its readiness by `relay`; returns its exit code, 128 and the signal when it was
    /// killed.
    pub fn wait(&self, child: &Child, console: Option<OwnedFd>, mut relay: Option<Relay>) -> io::Result<i32> {
        let raw = console.as_ref().map(|_| Raw::new());
        if let Some(console) = &console {
            console::copy_size(console);
        }
        let status = self.relay(child, console.as_ref(), &mut relay)?;
        if let Some(relay) = &relay {
            relay.pass_on_rest()?;
        }
        // What the terminal still has.
        if let Some(console) = &console {
            rustix::io::ioctl_fionbio(console, true)?;
            while copy(console, io::stdout()) == Copied::Some {}
        }
        drop(raw);
        Ok(status
            .exit_status()
            .or(status.terminating_signal().map(|s| 128 + s))
            .unwrap_or(255))
    }

    fn relay(
        &self,
        child: &Child,
        console: Option<&OwnedFd>,
        readiness: &mut Option<Relay>,
    ) -> io::Result<WaitStatus> {
        // It may have ended before anybody watched.
        if let Some(status) = reap(child) {
            return Ok(status);
        }
        let stdin = io::stdin();
        let (mut input, mut output) = (console.is_some(), console.is_some());
        loop {
            let mut polled = vec![PollFd::new(&self.signals, PollFlags::IN)];
            let console_at = polled.len();
            if let (Some(console), true) = (console, output) {
                polled.push(PollFd::new(console, PollFlags::IN));
            }
            let stdin_at = polled.len();
            if input {
                polled.push(PollFd::new(&stdin, PollFlags::IN));
            }
            let readiness_at = polled.len();
            if let Some(relay) = &*readiness {
                polled.push(PollFd::from_borrowed_fd(relay.as_fd(), PollFlags::IN));
            }
            match poll(&mut polled, None) {
                Err(rustix::io::Errno::INTR) => continue,
                done => done.context(|| "poll".into())?,
            };
            let ready: Vec<bool> = polled.iter().map(|p| !p.revents().is_empty()).collect();
            if let Some(console) = console {
                if output && ready[console_at] && copy(console, io::stdout()) == Copied::End {
                    output = false;
                }
                if input && ready[stdin_at] && copy(&stdin, console) == Copied::End {
                    input = false;
                }
            }
            if ready.get(readiness_at) == Some(&true)
                && let Some(relay) = &*readiness
                && relay.pass_on()?
            {
                *readiness = None;
            }
            if ready[0]
                && let Some(status) = self.signals(child, console)?
            {
                return Ok(status);
            }
        }
    }

    fn signals(&self, child: &Child, console: Option<&OwnedFd>) -> io::Result<Option<WaitStatus>> {
        let mut ended = None;
        while let Ok(Some(info)) = self.signals.read_signal() {
            match info.ssi_signo as i32 {
                libc::SIGCHLD => ended = reap(child).or(ended),
                libc::SIGWINCH if console.is_some() => console.iter().for_each(|c| console::copy_size(c)),
                // Sent by the kernel for our own terminal's sake.
                libc::SIGTTIN | libc::SIGTTOU | libc::SIGTSTP | libc::SIGURG => (),
                signal => {
                    let _ = pidfd_signal(child.pidfd.as_fd(), signal);
                }
            }
        }
        Ok(ended)
    }
}

/// Reaps all children that have ended; returns the end of `child` when it is among them.
fn reap(child: &Child) -> Option<WaitStatus> {
    let mut ended = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid.as_raw_nonzero().get() as u32 == child.pid {
            ended = Some(status);
        }
    }
    ended
}

#[derive(Debug, PartialEq, Eq)]
enum Copied {
    Some,
    Nothing,
    End,
}

fn copy(from: impl AsFd, to: impl AsFd) -> Copied {
    let mut buffer = [0; 8192];
    let n = match rustix::io::read(&from, &mut buffer) {
        Ok(0) => return Copied::End,
        Ok(n) => n,
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Copied::Nothing,
        // A terminal whose other end is closed.
        Err(_) => return Copied::End,
    };
    let mut left = &buffer[..n];
    while !left.is_empty() {
        match rustix::io::write(&to, left) {
            Ok(n) => left = &left[n..],
            Err(rustix::io::Errno::INTR) => (),
            Err(rustix::io::Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(&to, PollFlags::OUT)], None);
            }
            Err(_) => return Copied::End,
        }
    }
    Copied::Some
}
