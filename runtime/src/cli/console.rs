//! Handing a terminal over, and using our own.

use std::{io, os::fd::OwnedFd, path::Path};

use rustix::termios::{self, OptionalActions, Termios};
use skiff_sys::process::Child;

use crate::error::Context;

/// Sends the controlling end of a terminal to who listens at `socket`, with a name as runc does.
pub(super) fn send(socket: &Path, console: &OwnedFd) -> io::Result<()> {
    crate::container::send_descriptor(socket, b"/dev/ptmx", console)
        .context(|| format!("send the terminal to the console socket {socket:?}"))
}

/// Sends a process to who listens at `socket`, with a name as runc does.
pub(super) fn send_pidfd(socket: &Path, child: &Child) -> io::Result<()> {
    crate::container::send_descriptor(socket, b"pidfd", &child.pidfd)
        .context(|| format!("send the process to the pidfd socket {socket:?}"))
}

/// Our own terminal in raw mode; as it was when this is dropped.
#[derive(Debug)]
pub(super) struct Raw {
    before: Option<Termios>,
}

impl Raw {
    /// Does nothing when stdin is no terminal.
    pub fn new() -> Self {
        let stdin = io::stdin();
        let Ok(before) = termios::tcgetattr(&stdin) else {
            return Raw { before: None };
        };
        let mut raw = before.clone();
        raw.make_raw();
        let _ = termios::tcsetattr(&stdin, OptionalActions::Flush, &raw);
        Raw { before: Some(before) }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = termios::tcsetattr(io::stdin(), OptionalActions::Flush, before);
        }
    }
}

/// Makes a terminal as large as ours.
pub(super) fn copy_size(console: &OwnedFd) {
    if let Ok(size) = termios::tcgetwinsize(io::stdin()) {
        let _ = termios::tcsetwinsize(console, size);
    }
}
