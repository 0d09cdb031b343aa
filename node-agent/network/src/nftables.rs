//! The few nftables rules we need, written over netlink: no `nft` program has to be there.
//!
//! Source of the numbers: linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink.h.

mod translation;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST};
use netlink_sys::protocols::NETLINK_NETFILTER;

pub(crate) use translation::{Changes, Counter, Direction, Key, counters};

use crate::{
    address::after,
    netlink::{Attributes, Netlink, Refused, Request, attribute, number},
};

const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEWTABLE: u16 = 0;
const DELTABLE: u16 = 2;
const NEWCHAIN: u16 = 3;
const GETCHAIN: u16 = 4;
const NEWRULE: u16 = 6;
const NEWSET: u16 = 9;
const NEWSETELEM: u16 = 12;
const NLM_F_APPEND: u16 = 0x800;
const NLM_F_DUMP: u16 = 0x300;

const VERDICT_REGISTER: u32 = 0;
const REGISTER: u32 = 1;
const OTHER_REGISTER: u32 = 2;

const DROP: u32 = 0;
const ACCEPT: u32 = 1;
// Negative numbers, in the kernel's own words.
const JUMP: u32 = -3_i32 as u32;
const RETURN: u32 = -5_i32 as u32;

/// How values are compared.
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const AT_MOST: u32 = 3;
const AT_LEAST: u32 = 5;

/// Established and related: answers, and errors about connections that are known.
const CT_STATE_OF_ANSWERS: u32 = 0b110;

/// Of sets: made of ranges.
const SET_OF_RANGES: u32 = 4;
/// An element that ends a range.
const RANGE_END: u32 = 1;
/// Elements in one message: the length of an attribute is 16 bits.
const ELEMENTS: usize = 800;

/// Bases of payload expressions.
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;

const META_MARK: u32 = 3;
const META_OIFNAME: u32 = 7;
const META_L4PROTO: u32 = 16;

/// The route back to a packet's sender by the interface it came in on; compared with the number of its interface.
const FIB_SOURCE_AND_INTERFACE: u32 = 1 | 8;
const FIB_RESULT_INTERFACE: u32 = 1;

/// What a table looks at. A chain sees packets of its own family only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// Which of the two addresses in the IP header.
#[derive(Clone, Copy, Debug)]
enum End {
    From,
    To,
}

impl Family {
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// All addresses.
    pub fn everything(self) -> IpNet {
        match self {
            Self::V4 => Ipv4Net::default().into(),
            Self::V6 => Ipv6Net::default().into(),
        }
    }

    /// The address of this machine for itself.
    pub fn loopback(self) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::LOCALHOST.into(),
            Self::V6 => Ipv6Addr::LOCALHOST.into(),
        }
    }

    /// The address that stands for any.
    pub fn unspecified(self) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Self::V6 => Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::V4 => libc::AF_INET as u8,
            Self::V6 => libc::AF_INET6 as u8,
        }
    }

    fn address_bytes(self) -> u32 {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }

    /// The type of a set's elements, as the `nft` program names it.
    fn set_type(self) -> u32 {
        match self {
            Self::V4 => 7,
            Self::V6 => 8,
        }
    }

    /// Where an address is in the IP header.
    fn offset(self, end: End) -> u32 {
        match (self, end) {
            (Self::V4, End::From) => 12,
            (Self::V4, End::To) => 16,
            (Self::V6, End::From) => 8,
            (Self::V6, End::To) => 24,
        }
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    }
}

/// Where a chain sits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hook {
    /// First of all: priority of `raw`, type `filter`.
    Raw,
    /// Before routing: priority of `mangle`, type `filter`.
    Prerouting,
    /// What is routed: priority and type of `filter`.
    Forward,
    /// After routing: priority of `srcnat`, type `nat`.
    SourceNat,
    /// Before routing, for the first packet of a connection: priority of `dstnat`, type `nat`.
    DestinationNat,
    /// What is routed, before [`Hook::Forward`].
    EarlyForward,
}

impl Hook {
    fn kind(self) -> &'static str {
        match self {
            Self::Raw | Self::Prerouting | Self::Forward | Self::EarlyForward => "filter",
            Self::SourceNat | Self::DestinationNat => "nat",
        }
    }

    fn number(self) -> u32 {
        match self {
            Self::Raw | Self::Prerouting | Self::DestinationNat => 0,
            Self::Forward | Self::EarlyForward => 2,
            Self::SourceNat => 4,
        }
    }

    fn priority(self) -> i32 {
        match self {
            Self::Raw => -300,
            Self::Prerouting => -150,
            Self::DestinationNat => -100,
            Self::EarlyForward => -5,
            Self::Forward => 0,
            Self::SourceNat => 100,
        }
    }
}

/// A rule: expressions in order, each with its name and attributes.
#[derive(Clone, Default)]
pub(crate) struct Rule(Vec<(&'static str, Attributes)>);

impl Rule {
    pub fn new() -> Self {
        Self::default()
    }

    fn with(mut self, name: &'static str, attributes: Attributes) -> Self {
        self.0.push((name, attributes));
        self
    }

    fn compare(self, value: &[u8]) -> Self {
        self.compare_as(EQUAL, value)
    }

    fn compare_as(self, how: u32, value: &[u8]) -> Self {
        let data = Attributes::default().bytes(1, value);
        self.with(
            "cmp",
            Attributes::default()
                .number(1, REGISTER)
                .number(2, how)
                .nest(3, data),
        )
    }

    /// Loads `length` bytes at `offset` of a header.
    fn load_payload(self, register: u32, base: u32, offset: u32, length: u32) -> Self {
        let load = Attributes::default()
            .number(1, register)
            .number(2, base)
            .number(3, offset)
            .number(4, length);
        self.with("payload", load)
    }

    fn load_address(self, family: Family, end: End) -> Self {
        self.load_payload(
            REGISTER,
            NETWORK_HEADER,
            family.offset(end),
            family.address_bytes(),
        )
    }

    /// Keeps the bits of `mask` of what was loaded.
    fn masked(self, mask: &[u8]) -> Self {
        let data = |bytes: &[u8]| Attributes::default().bytes(1, bytes);
        let masked = Attributes::default()
            .number(1, REGISTER)
            .number(2, REGISTER)
            .number(3, mask.len() as u32);
        let flip = [0; 16];
        self.with(
            "bitwise",
            masked.nest(4, data(mask)).nest(5, data(&flip[..mask.len()])),
        )
    }

    /// Matches packets with an address in `range`, which is of the table's family.
    fn address(self, end: End, range: IpNet) -> Self {
        self.load_address(Family::of(range.addr()), end)
            .masked(&octets(range.netmask()))
            .compare(&octets(range.network()))
    }

    /// Matches packets to `range`.
    pub fn to(self, range: impl Into<IpNet>) -> Self {
        self.address(End::To, range.into())
    }

    /// Matches packets from `range`.
    pub fn from(self, range: impl Into<IpNet>) -> Self {
        self.address(End::From, range.into())
    }

    fn in_set(self, family: Family, end: End, set: &str) -> Self {
        let lookup = Attributes::default().text(1, set).number(2, REGISTER);
        self.load_address(family, end).with("lookup", lookup)
    }

    /// Matches packets to an address of a set of the same table.
    pub fn destination_in(self, family: Family, set: &str) -> Self {
        self.in_set(family, End::To, set)
    }

    /// Matches packets from an address of a set of the same table.
    pub fn source_in(self, family: Family, set: &str) -> Self {
        self.in_set(family, End::From, set)
    }

    /// Matches packets whose sender is not reached by the interface they came in on.
    pub fn strayed(self) -> Self {
        let lookup = Attributes::default()
            .number(1, REGISTER)
            .number(2, FIB_RESULT_INTERFACE)
            .number(3, FIB_SOURCE_AND_INTERFACE);
        self.with("fib", lookup).compare(&0_u32.to_ne_bytes())
    }

    /// Matches packets to a port between these two, both included. Say which protocol before.
    pub fn port_between(self, first: u16, last: u16) -> Self {
        self.load_payload(REGISTER, TRANSPORT_HEADER, 2, 2)
            .compare_as(AT_LEAST, &first.to_be_bytes())
            .compare_as(AT_MOST, &last.to_be_bytes())
    }

    /// Matches packets of connections that were let through before.
    pub fn answers(self) -> Self {
        let state = Attributes::default().number(1, REGISTER).number(2, 0);
        self.with("ct", state)
            .masked(&CT_STATE_OF_ANSWERS.to_ne_bytes())
            .compare_as(NOT_EQUAL, &0_u32.to_ne_bytes())
    }

    /// Matches packets of a protocol (`libc::IPPROTO_TCP`).
    pub fn protocol(self, protocol: u8) -> Self {
        self.with(
            "meta",
            Attributes::default().number(1, REGISTER).number(2, META_L4PROTO),
        )
        .compare(&[protocol])
    }

    /// Matches packets that leave by `interface`.
    pub fn out_by(self, interface: &str) -> Self {
        let mut name = [0; 16];
        let length = interface.len().min(15);
        name[..length].copy_from_slice(&interface.as_bytes()[..length]);
        self.with(
            "meta",
            Attributes::default().number(1, REGISTER).number(2, META_OIFNAME),
        )
        .compare(&name)
    }

    fn load(self, register: u32, value: &[u8]) -> Self {
        let data = Attributes::default().bytes(1, value);
        self.with(
            "immediate",
            Attributes::default().number(1, register).nest(2, data),
        )
    }

    /// Hands the packet to the socket at this address; the rule ends here if there is none.
    pub fn tproxy(self, address: IpAddr, port: u16) -> Self {
        let registers = Attributes::default()
            .number(1, Family::of(address).number().into())
            .number(2, REGISTER)
            .number(3, OTHER_REGISTER);
        self.load(REGISTER, &octets(address))
            .load(OTHER_REGISTER, &port.to_be_bytes())
            .with("tproxy", registers)
    }

    /// Marks the packet for policy routing.
    pub fn mark(self, mark: u32) -> Self {
        // Marks are compared in host order.
        self.load(REGISTER, &mark.to_ne_bytes()).with(
            "meta",
            Attributes::default().number(2, META_MARK).number(3, REGISTER),
        )
    }

    fn verdict(self, code: u32) -> Self {
        self.load_verdict(Attributes::default().number(1, code))
    }

    fn load_verdict(self, verdict: Attributes) -> Self {
        let data = Attributes::default().nest(2, verdict);
        self.with(
            "immediate",
            Attributes::default().number(1, VERDICT_REGISTER).nest(2, data),
        )
    }

    /// Goes on in another chain of the same table, made before, and comes back here if that says so.
    pub fn jump(self, chain: &str) -> Self {
        self.load_verdict(to_chain(JUMP, chain))
    }

    /// Goes on where this chain was jumped to from.
    pub fn back(self) -> Self {
        self.verdict(RETURN)
    }

    /// Lets the packet pass.
    pub fn accept(self) -> Self {
        self.verdict(ACCEPT)
    }

    /// Drops the packet.
    pub fn drop(self) -> Self {
        self.verdict(DROP)
    }

    /// Gives the packet the source address of the interface it leaves by.
    pub fn masquerade(self) -> Self {
        self.with("masq", Attributes::default())
    }

    fn attributes(&self) -> Attributes {
        self.0
            .iter()
            .fold(Attributes::default(), |list, (name, attributes)| {
                let expression = Attributes::default().text(1, name).nest(2, attributes.clone());
                list.nest(1, expression)
            })
    }
}

/// A verdict that goes on in another chain.
fn to_chain(code: u32, chain: &str) -> Attributes {
    Attributes::default().number(1, code).text(2, chain)
}

/// A chain: at a hook, or to be jumped to.
pub(crate) struct Chain {
    pub name: String,
    pub hook: Option<Hook>,
    pub rules: Vec<Rule>,
}

impl Chain {
    /// A chain at a hook.
    pub fn at(hook: Hook, name: &str, rules: Vec<Rule>) -> Self {
        Self {
            name: name.into(),
            hook: Some(hook),
            rules,
        }
    }
}

/// A set of ranges of addresses, both ends included, ascending and apart from each other.
pub(crate) struct Set {
    pub name: String,
    pub ranges: Vec<(IpAddr, IpAddr)>,
}

/// A table; chains come after those they jump to.
pub(crate) struct Table<'a> {
    pub name: &'a str,
    pub family: Family,
    pub sets: Vec<Set>,
    pub chains: Vec<Chain>,
}

fn message(
    what: impl Into<String>,
    family: Family,
    kind: u16,
    flags: u16,
    attributes: Attributes,
) -> Request {
    let mut body = vec![family.number(), 0, 0, 0];
    body.extend(attributes.0);
    let flags = flags | NLM_F_REQUEST | NLM_F_ACK;
    Request {
        what: what.into(),
        kind: (SUBSYSTEM << 8) | kind,
        flags,
        body,
    }
}

/// Runs `changes` as one transaction in the calling thread's namespace: all or nothing.
fn transact(changes: Vec<Request>) -> Result<(), Refused> {
    let mark = |kind: u16| Request {
        what: "change nftables".into(),
        kind,
        flags: NLM_F_REQUEST,
        body: [&[0, 0][..], &SUBSYSTEM.to_be_bytes()].concat(),
    };
    let mut requests = vec![mark(BATCH_BEGIN)];
    requests.extend(changes);
    requests.push(mark(BATCH_END));
    let mut netlink = Netlink::open(NETLINK_NETFILTER).map_err(|source| Refused {
        what: "open netlink for nftables".into(),
        source,
    })?;
    netlink.execute(&requests, |_| false)
}

fn remove_requests(name: &str, family: Family) -> [Request; 2] {
    let table = || Attributes::default().text(1, name);
    // Made first, so that removing it can't fail.
    let make = format!("make nftables table {name}");
    [
        message(make, family, NEWTABLE, NLM_F_CREATE, table()),
        message(
            format!("remove nftables table {name}"),
            family,
            DELTABLE,
            0,
            table(),
        ),
    ]
}

/// Puts `tables` in place of those of their names and families in the calling thread's namespace, in one step.
pub(crate) fn replace(tables: &[Table<'_>]) -> Result<(), Refused> {
    transact(tables.iter().flat_map(table_requests).collect())
}

fn table_requests(table: &Table<'_>) -> Vec<Request> {
    let mut changes = Changes::anew_in(table.family, table.name);
    for set in &table.sets {
        changes = changes.set(set);
    }
    for chain in &table.chains {
        changes = changes.chain(chain);
    }
    changes.requests
}

/// Removes the table of this name and family from the calling thread's namespace. Idempotent.
pub(crate) fn remove(name: &str, family: Family) -> Result<(), Refused> {
    transact(Vec::from(remove_requests(name, family)))
}

/// Whether a chain on the forward hook drops what no rule of it accepts, as firewalls and Docker have it: then no rule
/// of ours, in a table of its own, can let a packet through.
pub(crate) fn forwarding_is_dropped() -> io::Result<bool> {
    let mut request = message(
        "list nftables chains",
        Family::V4,
        GETCHAIN,
        0,
        Attributes::default(),
    );
    request.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let chains = Netlink::open(NETLINK_NETFILTER)?.query(&request)?;
    Ok(chains.iter().any(|chain| {
        let attributes = chain.body.get(4..).unwrap_or_default();
        let hook = attribute(attributes, 4)
            .and_then(|hook| attribute(hook, 1))
            .and_then(number);
        hook == Some(2) && attribute(attributes, 5).and_then(number) == Some(DROP)
    }))
}
