//! Messages between our processes: a length (4 bytes, little endian) and JSON over a Unix stream socket, with
//! descriptors attached to the first byte.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use serde::{Serialize, de::DeserializeOwned};

/// Longest message; a container's configuration is some ten thousand bytes.
pub(crate) const LONGEST: usize = 16 << 20;

/// Descriptors in one message, at most: one for every hierarchy of cgroup v1.
const DESCRIPTORS: usize = 16;

/// A connected pair of sockets, both close-on-exec.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?)
}

/// The bytes of a message.
pub(crate) fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, value)?;
    let len = bytes.len() - 4;
    if len > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "message too long"));
    }
    bytes[..4].copy_from_slice(&(len as u32).to_le_bytes());
    Ok(bytes)
}

/// Length of the first message in `bytes` with its header, when that is complete.
pub(crate) fn complete(bytes: &[u8]) -> io::Result<Option<usize>> {
    let Some(header) = bytes.first_chunk::<4>() else {
        return Ok(None);
    };
    let len = u32::from_le_bytes(*header) as usize;
    if len > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message too long"));
    }
    Ok((bytes.len() >= 4 + len).then_some(4 + len))
}

/// Sends a message and waits until all of it is in the socket.
pub(crate) fn send<T: Serialize>(socket: impl AsFd, value: &T, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let bytes = encode(value)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "too many descriptors",
        ));
    }
    let mut sent = loop {
        match rustix::net::sendmsg(
            &socket,
            &[IoSlice::new(&bytes)],
            &mut control,
            SendFlags::NOSIGNAL,
        ) {
            Err(rustix::io::Errno::INTR) => (),
            done => break done?,
        }
    };
    while sent < bytes.len() {
        match rustix::net::send(&socket, &bytes[sent..], SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => (),
            done => sent += done?,
        }
    }
    Ok(())
}

/// Waits for a message. Descriptors come close-on-exec.
///
/// # Errors
/// `UnexpectedEof` when the other end is closed.
pub(crate) fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<(T, Vec<OwnedFd>)> {
    let mut fds = Vec::new();
    let mut header = [0; 4];
    read_exact(&socket, &mut header, &mut fds)?;
    let len = u32::from_le_bytes(header) as usize;
    if len > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message too long"));
    }
    let mut body = vec![0; len];
    read_exact(&socket, &mut body, &mut fds)?;
    Ok((serde_json::from_slice(&body)?, fds))
}

fn read_exact(socket: impl AsFd, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<()> {
    let mut got = 0;
    while got < buffer.len() {
        match receive_some(&socket, &mut buffer[got..], fds, RecvFlags::empty()) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => (),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// One recvmsg; 0 at the end.
pub(crate) fn receive_some(
    socket: impl AsFd,
    buffer: &mut [u8],
    fds: &mut Vec<OwnedFd>,
    flags: RecvFlags,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = rustix::net::recvmsg(
        &socket,
        &mut [IoSliceMut::new(buffer)],
        &mut control,
        flags | RecvFlags::CMSG_CLOEXEC,
    )?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    Ok(got.bytes)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read};

    use super::*;

    #[test]
    fn a_message_arrives_with_its_descriptors() {
        let (a, b) = pair().unwrap();
        let (read, write) = rustix::pipe::pipe().unwrap();
        send(&a, &"hello", &[write.as_fd()]).unwrap();
        drop(write);
        let (text, mut fds) = receive::<String>(&b).unwrap();
        assert_eq!(text, "hello");
        rustix::io::write(fds.pop().unwrap(), b"through").unwrap();
        let mut got = String::new();
        File::from(read).read_to_string(&mut got).unwrap();
        assert_eq!(got, "through");
    }

    #[test]
    fn a_closed_peer_is_the_end() {
        let (a, b) = pair().unwrap();
        drop(a);
        assert_eq!(
            receive::<String>(&b).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }

    #[test]
    fn half_a_message_is_not_complete() {
        let bytes = encode(&vec![1, 2, 3]).unwrap();
        for len in 0..bytes.len() {
            assert_eq!(complete(&bytes[..len]).unwrap(), None);
        }
        assert_eq!(complete(&bytes).unwrap(), Some(bytes.len()));
        assert!(complete(&[255; 8]).is_err());
    }
}
