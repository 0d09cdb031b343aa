//! A netlink socket for requests that are answered at once: made on a namespace's thread, it speaks to that namespace.
//!
//! Blocking on purpose: the kernel answers inside send(2), so a batch of requests costs two system calls and no task.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkSerializable};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr};

const HEADER_BYTES: usize = 16;
/// More than any answer to what we ask, dumps included (the kernel sends those in pieces of at most 32 KiB).
const RECEIVE_BYTES: usize = 64 * 1024;
/// The kernel answers in microseconds; with the routing lock held by others, milliseconds.
const DEADLINE: Duration = Duration::from_secs(5);

/// Of an attribute's type: it holds attributes.
const NESTED: u16 = 0x8000;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// One request, and what it is for (told in errors).
#[derive(Debug)]
pub(crate) struct Request {
    pub what: String,
    pub kind: u16,
    pub flags: u16,
    pub body: Vec<u8>,
}

impl Request {
    /// A rtnetlink request; `flags` besides REQUEST and ACK.
    pub fn route(what: impl Into<String>, flags: u16, message: &RouteNetlinkMessage) -> Self {
        let mut body = vec![0; message.buffer_len()];
        message.serialize(&mut body);
        Self {
            what: what.into(),
            kind: message.message_type(),
            flags: flags | NLM_F_REQUEST | NLM_F_ACK,
            body,
        }
    }

    fn emit(&self, sequence: u32, buffer: &mut Vec<u8>) {
        // Far below 4 GiB.
        let length = u32::try_from(HEADER_BYTES + self.body.len()).unwrap_or(u32::MAX);
        buffer.extend(length.to_ne_bytes());
        buffer.extend(self.kind.to_ne_bytes());
        buffer.extend(self.flags.to_ne_bytes());
        buffer.extend(sequence.to_ne_bytes());
        buffer.extend(0_u32.to_ne_bytes());
        buffer.extend(&self.body);
        buffer.resize(buffer.len().next_multiple_of(4), 0);
    }
}

/// A request the kernel refused.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct Refused {
    /// What it was for.
    pub what: String,
    /// The kernel's answer.
    #[source]
    pub source: io::Error,
}

impl Refused {
    /// For `map_err`.
    pub fn of(what: &str) -> impl Fn(io::Error) -> Self + '_ {
        move |source| Self::new(what, source)
    }

    fn new(what: &str, source: io::Error) -> Self {
        Self {
            what: what.to_owned(),
            source,
        }
    }
}

/// A message from the kernel.
pub(crate) struct Reply {
    /// Its type.
    pub kind: u16,
    sequence: u32,
    /// Without header.
    pub body: Vec<u8>,
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

pub(crate) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// A socket in the calling thread's network namespace. `protocol` is `NETLINK_ROUTE` or `NETLINK_NETFILTER`.
    pub fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        rustix::net::sockopt::set_socket_timeout(
            &socket,
            rustix::net::sockopt::Timeout::Recv,
            Some(DEADLINE),
        )?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Whether [`Netlink::receive`] waits.
    pub fn set_non_blocking(&self, yes: bool) -> io::Result<()> {
        self.socket.set_non_blocking(yes)
    }

    /// Sends all requests at once and waits for the answers to those that want one. All are carried out; the first
    /// refusal that `harmless` does not forgive is returned.
    pub fn execute(
        &mut self,
        requests: &[Request],
        harmless: impl Fn(&io::Error) -> bool,
    ) -> Result<(), Refused> {
        let Some(last) = requests.last() else {
            return Ok(());
        };
        let first = self.sequence.wrapping_add(1);
        let mut buffer = Vec::new();
        for request in requests {
            self.sequence = self.sequence.wrapping_add(1);
            request.emit(self.sequence, &mut buffer);
        }
        self.socket
            .send(&buffer, 0)
            .map_err(|error| Refused::new(&last.what, error))?;
        let mut waiting = requests
            .iter()
            .filter(|request| request.flags & NLM_F_ACK != 0)
            .count();
        let mut outcome = Ok(());
        let deadline = Instant::now() + DEADLINE;
        while waiting > 0 {
            if Instant::now() > deadline {
                return Err(Refused::new(&last.what, io::ErrorKind::TimedOut.into()));
            }
            for reply in self.receive().map_err(|error| Refused::new(&last.what, error))? {
                let Some(index) = reply.sequence.checked_sub(first) else {
                    continue;
                };
                let (NLMSG_ERROR, Some(request)) = (reply.kind, requests.get(index as usize)) else {
                    continue;
                };
                let answered = request.flags & NLM_F_ACK != 0;
                waiting -= usize::from(answered);
                let refusal = error_of(&reply).filter(|error| !harmless(error));
                if let (Some(error), Ok(())) = (refusal, &outcome) {
                    outcome = Err(Refused::new(&request.what, error));
                    if !answered {
                        // The whole batch was refused (at its first message): no other answer will come.
                        return outcome;
                    }
                }
            }
        }
        outcome
    }

    /// Sends one request that asks for data and collects what comes, until the end mark, the acknowledgement or an
    /// error.
    pub fn query(&mut self, request: &Request) -> io::Result<Vec<Reply>> {
        let mut replies = Vec::new();
        self.query_each(request, |reply| replies.push(reply))?;
        Ok(replies)
    }

    /// The same, one piece of data at a time: for what may be large.
    pub fn query_each(&mut self, request: &Request, mut each: impl FnMut(Reply)) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut buffer = Vec::new();
        request.emit(self.sequence, &mut buffer);
        self.socket.send(&buffer, 0)?;
        loop {
            for reply in self.receive()? {
                if reply.sequence != self.sequence {
                    continue;
                }
                match reply.kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => return error_of(&reply).map_or(Ok(()), Err),
                    _ => each(reply),
                }
            }
        }
    }

    /// What the kernel sends next, of itself: `WouldBlock` when there is nothing now and the socket does not block.
    pub fn receive(&self) -> io::Result<Vec<Reply>> {
        let mut buffer = Vec::with_capacity(RECEIVE_BYTES);
        self.socket.recv(&mut buffer, 0)?;
        let mut rest = buffer.as_slice();
        let mut replies = Vec::new();
        while let Some((header, _)) = rest.split_first_chunk::<HEADER_BYTES>() {
            let field =
                |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
            let length = field(0) as usize;
            let Some(body) = rest.get(HEADER_BYTES..length) else {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "netlink answer cut short",
                ));
            };
            let kind = u16::from_ne_bytes([header[4], header[5]]);
            replies.push(Reply {
                kind,
                sequence: field(8),
                body: body.to_vec(),
            });
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(replies)
    }
}

/// The refusal in an error message, none if it is an acknowledgement.
fn error_of(reply: &Reply) -> Option<io::Error> {
    let code = reply
        .body
        .first_chunk()
        .map_or(0, |bytes| i32::from_ne_bytes(*bytes));
    (code != 0).then(|| io::Error::from_raw_os_error(code.abs()))
}

/// Attributes under construction: type, length and padded value each, numbers in network order.
#[derive(Default, Clone)]
pub(crate) struct Attributes(pub Vec<u8>);

impl Attributes {
    /// A value as it is.
    pub fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        // The longest is a rule of some hundred bytes.
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// A number of 32 bits.
    pub fn number(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// A text, with a zero at its end.
    pub fn text(self, kind: u16, value: &str) -> Self {
        self.bytes(kind, &[value.as_bytes(), b"\0"].concat())
    }

    /// Attributes within an attribute.
    pub fn nest(self, kind: u16, inner: Self) -> Self {
        self.bytes(kind | NESTED, &inner.0)
    }
}

/// Types and values of a row of attributes, up to the first that is cut short.
pub(crate) fn attributes(mut row: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (header, _) = row.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & 0x3fff;
        let value = row.get(4..length)?;
        row = row.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of the first attribute of this type in a row of attributes.
pub(crate) fn attribute(row: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(row)
        .find(|(kind, _)| *kind == wanted)
        .map(|(_, value)| value)
}

/// A number of 32 bits in network order.
pub(crate) fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_found_again() {
        let inner = Attributes::default().text(1, "abc").number(2, 7);
        let outer = Attributes::default().bytes(9, &[1]).nest(4, inner);
        assert_eq!(outer.0.len() % 4, 0);
        assert_eq!(attribute(&outer.0, 9), Some(&[1][..]));
        let nested = attribute(&outer.0, 4).unwrap();
        assert_eq!(attribute(nested, 1), Some(&b"abc\0"[..]));
        assert_eq!(attribute(nested, 2).and_then(number), Some(7));
        assert_eq!(attribute(nested, 3), None);
        assert_eq!(
            attribute(&[200, 0, 1, 0], 1),
            None,
            "a length beyond the end is no match"
        );
    }
}
