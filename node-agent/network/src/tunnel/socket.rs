//! The tunnel's UDP socket: many packets of one size to one peer in one system call, and back.

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    sync::atomic::{AtomicBool, Ordering},
};

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};

/// What the kernel cuts one message into at most (`UDP_MAX_SEGMENTS`), and the longest message.
const MOST_SEGMENTS: usize = 64;
const LONGEST: usize = 65_000;

/// Wanted size of the kernel's buffers. It grants what `net.core.[rw]mem_max` allows.
const BUFFER_BYTES: usize = 4 << 20;

pub(crate) struct Socket {
    socket: UdpSocket,
    /// Whether the kernel takes segmented messages on the ways so far.
    segments: AtomicBool,
}

/// Packets of one size to one peer on their way to the socket; only the last one may be shorter.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    size: usize,
    count: usize,
    to: Option<SocketAddr>,
}

impl Socket {
    /// `socket` blocks when the kernel's buffer is full, and so does whoever sends: a pod is slowed down, not cut off.
    pub fn new(socket: UdpSocket) -> Self {
        // Without it packets come one by one, which is slower, not wrong.
        let _ = setsockopt(&socket, sockopt::UdpGroSegment, &true);
        let _ = setsockopt(&socket, sockopt::SndBuf, &BUFFER_BYTES);
        let _ = setsockopt(&socket, sockopt::RcvBuf, &BUFFER_BYTES);
        Self {
            socket,
            segments: AtomicBool::new(true),
        }
    }

    pub fn inner(&self) -> &UdpSocket {
        &self.socket
    }

    /// Adds a packet of at most `room` bytes, which `fill` writes (returning its length; 0: none), and sends before that
    /// what the packet can't go along with.
    pub fn add(&self, batch: &mut Batch, to: SocketAddr, room: usize, fill: impl FnOnce(&mut [u8]) -> usize) {
        if batch.to != Some(to) || batch.count == MOST_SEGMENTS || batch.bytes.len() + room > LONGEST {
            self.send(batch);
        }
        let start = batch.bytes.len();
        batch.bytes.resize(start + room, 0);
        let length = fill(&mut batch.bytes[start..]).min(room);
        batch.bytes.truncate(start + length);
        if length == 0 {
            return;
        }
        if batch.count > 0 && length > batch.size {
            // Can't follow smaller ones.
            let last = batch.bytes.split_off(start);
            self.send(batch);
            batch.bytes = last;
        }
        if batch.count == 0 {
            batch.size = length;
        }
        batch.to = Some(to);
        batch.count += 1;
        if length < batch.size {
            self.send(batch);
        }
    }

    /// Sends what is there. What the network refuses is lost, as on any wire.
    pub fn send(&self, batch: &mut Batch) {
        if let Some(to) = batch.to.take()
            && (batch.count == 1 || !self.send_segmented(batch, to))
        {
            for packet in batch.bytes.chunks(batch.size) {
                let _ = self.socket.send_to(packet, to);
            }
        }
        batch.bytes.clear();
        batch.count = 0;
    }

    /// False: the packets have to be sent one by one.
    fn send_segmented(&self, batch: &Batch, to: SocketAddr) -> bool {
        if !self.segments.load(Ordering::Relaxed) {
            return false;
        }
        let Ok(size) = u16::try_from(batch.size) else {
            return false;
        };
        let sent = sendmsg(
            self.socket.as_raw_fd(),
            &[IoSlice::new(&batch.bytes)],
            &[ControlMessage::UdpGsoSegments(&size)],
            MsgFlags::empty(),
            Some(&SockaddrStorage::from(to)),
        );
        match sent {
            Err(nix::Error::EIO | nix::Error::EOPNOTSUPP) => {
                // The device does no checksums: it never will.
                self.segments.store(false, Ordering::Relaxed);
                false
            }
            // Longer than the way allows: one by one they are sent in fragments.
            Err(nix::Error::EMSGSIZE | nix::Error::EINVAL) => false,
            _ => true,
        }
    }

    /// Receives what is there without waiting: the packets' bytes, the size of all but the last, and who sent them.
    pub fn receive<'b>(&self, buffer: &'b mut [u8]) -> io::Result<(std::slice::Chunks<'b, u8>, SocketAddr)> {
        let mut control = nix::cmsg_space!(i32);
        let (length, size, from) = {
            let mut slices = [IoSliceMut::new(buffer)];
            let received = recvmsg::<SockaddrStorage>(
                self.socket.as_raw_fd(),
                &mut slices,
                Some(&mut control),
                MsgFlags::MSG_DONTWAIT,
            )?;
            let size = received.cmsgs()?.find_map(|message| match message {
                ControlMessageOwned::UdpGroSegments(size) => usize::try_from(size).ok(),
                _ => None,
            });
            (received.bytes, size, received.address.and_then(|a| address(&a)))
        };
        let from = from.ok_or(io::ErrorKind::InvalidData)?;
        let bytes = &buffer[..length];
        Ok((bytes.chunks(size.unwrap_or(length).max(1)), from))
    }
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage
        .as_sockaddr_in()
        .map(|a| SocketAddr::from((a.ip(), a.port())));
    v4.or_else(|| {
        storage
            .as_sockaddr_in6()
            .map(|a| SocketAddr::from((a.ip(), a.port())))
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn socket() -> Socket {
        Socket::new(UdpSocket::bind("127.0.0.1:0").expect("bind"))
    }

    #[test]
    fn packets_of_any_sizes_arrive_as_they_were_added() {
        let (one, other) = (socket(), socket());
        let to = other.inner().local_addr().expect("address");
        let sizes = [1400_usize, 1400, 1400, 700, 1400, 32, 32, 32, 1000, 0, 1000];
        let mut batch = Batch::default();
        for (number, size) in sizes.into_iter().enumerate() {
            one.add(&mut batch, to, 1500, |room| {
                room[..size].fill(number as u8);
                size
            });
        }
        one.send(&mut batch);
        let expected: Vec<(u8, usize)> = sizes
            .into_iter()
            .enumerate()
            .filter(|(_, size)| *size > 0)
            .map(|(number, size)| (number as u8, size))
            .collect();
        let mut found = Vec::new();
        let mut buffer = vec![0; 65_536];
        let deadline = Instant::now() + Duration::from_secs(10);
        while found.len() < expected.len() && Instant::now() < deadline {
            match other.receive(&mut buffer) {
                Ok((packets, from)) => {
                    assert_eq!(from, one.inner().local_addr().expect("address"));
                    found.extend(packets.map(|packet| (packet[0], packet.len())));
                }
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        assert_eq!(found, expected);
    }
}
