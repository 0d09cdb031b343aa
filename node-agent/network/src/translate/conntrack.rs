//! Connections that the kernel tracks (ctnetlink). Source of the numbers: linux/netfilter/nfnetlink_conntrack.h.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
};

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};
use netlink_sys::protocols::NETLINK_NETFILTER;
use skiff_netns_proxy::Front;

use super::table::{SEEN_REPLY, protocol_number};
use crate::netlink::{Attributes, Netlink, Reply, Request, attribute, number};

const SUBSYSTEM: u16 = 1;
const GET: u16 = 1;
const DELETE: u16 = 2;

const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const STATUS: u16 = 3;
const PROTOCOL_INFO: u16 = 4;
const MARK: u16 = 8;

/// States of TCP (linux/netfilter/nf_conntrack_tcp.h) between the first answer and the last acknowledgement.
const TCP_OPEN: std::ops::RangeInclusive<u8> = 2..=6;

/// A connection to a service.
pub(super) struct Entry {
    /// Its mark: the number of the front.
    pub mark: u32,
    /// Who has it.
    pub backend: SocketAddrV4,
    is_open: bool,
    original: Attributes,
}

fn request(what: &str, kind: u16, flags: u16, attributes: &Attributes) -> Request {
    Request {
        what: what.into(),
        kind: (SUBSYSTEM << 8) | kind,
        flags: flags | NLM_F_REQUEST,
        body: [&[libc::AF_INET as u8, 0, 0, 0], &attributes.0[..]].concat(),
    }
}

impl Entry {
    fn of(reply: &Reply) -> Option<Self> {
        let attributes = reply.body.get(4..)?;
        let mark = number(attribute(attributes, MARK)?)?;
        let reply = attribute(attributes, TUPLE_REPLY)?;
        let address: [u8; 4] = *attribute(attribute(reply, 1)?, 1)?.first_chunk()?;
        let port: [u8; 2] = *attribute(attribute(reply, 2)?, 2)?.first_chunk()?;
        let tcp_state = attribute(attributes, PROTOCOL_INFO)
            .and_then(|info| attribute(attribute(info, 1)?, 1)?.first().copied());
        let status = number(attribute(attributes, STATUS)?)?;
        Some(Self {
            mark,
            backend: SocketAddrV4::new(Ipv4Addr::from(address), u16::from_be_bytes(port)),
            is_open: tcp_state.map_or(status & SEEN_REPLY != 0, |state| TCP_OPEN.contains(&state)),
            original: Attributes(attribute(attributes, TUPLE_ORIGINAL)?.into()),
        })
    }
}

/// Calls `each` with every connection that has a mark, of the calling thread's namespace.
fn each(netlink: &mut Netlink, mut each: impl FnMut(Entry)) -> io::Result<()> {
    let list = request("list connections", GET, NLM_F_DUMP, &Attributes::default());
    netlink.query_each(&list, |reply| {
        if let Some(entry) = Entry::of(&reply).filter(|entry| entry.mark != 0) {
            each(entry);
        }
    })
}

/// Those that have been answered and are not over.
pub(super) fn open() -> io::Result<Vec<Entry>> {
    let mut open = Vec::new();
    let mut netlink = Netlink::open(NETLINK_NETFILTER)?;
    each(&mut netlink, |entry| {
        if entry.is_open {
            open.push(entry);
        }
    })?;
    Ok(open)
}

/// Forgets those that `unwanted` says: their next packets begin anew.
pub(super) fn forget(unwanted: impl Fn(&Entry) -> bool) -> io::Result<()> {
    let mut netlink = Netlink::open(NETLINK_NETFILTER)?;
    let mut requests = Vec::new();
    each(&mut netlink, |entry| {
        if unwanted(&entry) {
            requests.push(forget_request(entry.original));
        }
    })?;
    carry_out(&mut netlink, &requests)
}

/// Forgets the connection of a client to a front.
pub(super) fn forget_one(front: Front, client: SocketAddrV4) -> io::Result<()> {
    let ip = Attributes::default()
        .bytes(1, &client.ip().octets())
        .bytes(2, &front.address.ip().octets());
    let transport = Attributes::default()
        .bytes(1, &[protocol_number(front.protocol)])
        .bytes(2, &client.port().to_be_bytes())
        .bytes(3, &front.address.port().to_be_bytes());
    let original = Attributes::default().nest(1, ip).nest(2, transport);
    let mut netlink = Netlink::open(NETLINK_NETFILTER)?;
    carry_out(&mut netlink, &[forget_request(original)])
}

fn forget_request(original: Attributes) -> Request {
    let tuple = Attributes::default().nest(TUPLE_ORIGINAL, original);
    request("forget a connection", DELETE, NLM_F_ACK, &tuple)
}

/// Requests about connections that may have ended by themselves.
fn carry_out(netlink: &mut Netlink, requests: &[Request]) -> io::Result<()> {
    // A netlink message holds some hundred.
    for some in requests.chunks(128) {
        netlink
            .execute(some, |error| error.raw_os_error() == Some(libc::ENOENT))
            .map_err(|refused| refused.source)?;
    }
    Ok(())
}
