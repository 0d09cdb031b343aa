//! Handing a terminal over, and using our own.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags},
    termios::{self, OptionalActions, Termios},
};

use crate::error::Context;

/// Sends the controlling end of a terminal to who listens at `socket`, with a name as runc does.
pub(super) fn send(socket: &Path, console: &OwnedFd) -> io::Result<()> {
    let address =
        rustix::net::SocketAddrUnix::new(socket).context(|| format!("console socket {socket:?}"))?;
    let stream = rustix::net::socket(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        None,
    )?;
    rustix::net::connect(&stream, &address)
        .context(|| format!("connect to the console socket {socket:?}"))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [console.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    rustix::net::sendmsg(
        &stream,
        &[IoSlice::new(b"/dev/ptmx")],
        &mut control,
        SendFlags::NOSIGNAL,
    )
    .context(|| "send the terminal".into())?;
    Ok(())
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
