//! Packets that rules show to us (nfnetlink_log). Source of the numbers: linux/netfilter/nfnetlink_log.h.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, OwnedFd},
};

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST};
use netlink_sys::protocols::NETLINK_NETFILTER;
use parking_lot::Mutex;
use tokio::io::{Interest, unix::AsyncFd};

use crate::netlink::{Attributes, Netlink, Refused, Reply, Request, attribute, number};

const SUBSYSTEM: u16 = 4;
const PACKET: u16 = 0;
const CONFIG: u16 = 1;

/// Of a packet, what we look at: headers, also those that an ICMP error quotes.
const COPIED_BYTES: u32 = 192;

/// A packet that was seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub group: u16,
    /// Its mark.
    pub mark: u32,
    /// From the IP header on.
    pub bytes: Box<[u8]>,
}

/// Groups of the namespace they were opened in, not watched yet.
pub(super) struct Opened(Netlink);

impl Opened {
    /// Within a tokio runtime.
    pub fn watched(self) -> io::Result<Log> {
        self.0.set_non_blocking(true)?;
        let again = self.0.as_fd().try_clone_to_owned()?;
        // Deprecated because a type may lie about its descriptor; an OwnedFd does not.
        #[expect(
            deprecated,
            reason = "its replacement is unsafe for the sake of other types than OwnedFd"
        )]
        let readable = AsyncFd::with_interest(again, Interest::READABLE)?;
        Ok(Log {
            socket: self.0,
            readable,
            waiting: Mutex::default(),
        })
    }
}

/// Listens to groups.
pub(super) struct Log {
    socket: Netlink,
    /// The same socket.
    readable: AsyncFd<OwnedFd>,
    waiting: Mutex<VecDeque<Seen>>,
}

impl Log {
    /// Listens to these groups of the calling thread's namespace.
    pub fn open(groups: &[u16]) -> Result<Opened, Refused> {
        const BIND: u8 = 1;
        const COPY_PACKET: u8 = 2;
        let what = "listen to logged packets";
        let mut socket = Netlink::open(NETLINK_NETFILTER).map_err(Refused::of(what))?;
        let copied = [&COPIED_BYTES.to_be_bytes()[..], &[COPY_PACKET, 0]].concat();
        for &group in groups {
            let ask = |attributes: Attributes| {
                let [high, low] = group.to_be_bytes();
                Request {
                    what: what.into(),
                    kind: (SUBSYSTEM << 8) | CONFIG,
                    flags: NLM_F_REQUEST | NLM_F_ACK,
                    body: [&[libc::AF_UNSPEC as u8, 0, high, low][..], &attributes.0].concat(),
                }
            };
            let requests = [
                ask(Attributes::default().bytes(1, &[BIND])),
                // Told of each: by default a hundred packets are waited for.
                ask(Attributes::default().bytes(2, &copied).number(5, 1)),
            ];
            socket.execute(&requests, |_| false)?;
        }
        Ok(Opened(socket))
    }

    /// Waits for the next packet.
    pub async fn next(&self) -> io::Result<Seen> {
        loop {
            if let Some(seen) = self.waiting.lock().pop_front() {
                return Ok(seen);
            }
            let mut ready = self.readable.readable().await?;
            match ready.try_io(|_| self.socket.receive()) {
                Ok(Ok(replies)) => self.waiting.lock().extend(replies.iter().filter_map(seen)),
                // There were more than we have room for.
                Ok(Err(error)) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => {}
            }
        }
    }
}

fn seen(reply: &Reply) -> Option<Seen> {
    if reply.kind != (SUBSYSTEM << 8) | PACKET {
        return None;
    }
    let (header, attributes) = reply.body.split_first_chunk::<4>()?;
    Some(Seen {
        group: u16::from_be_bytes([header[2], header[3]]),
        mark: number(attribute(attributes, 2)?)?,
        bytes: attribute(attributes, 9)?.into(),
    })
}
