//! What destination NAT needs of nftables: maps to chains, counters, and tables that change piece by piece.

use std::{
    io,
    net::{IpAddr, SocketAddrV4},
};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REQUEST};
use netlink_sys::protocols::NETLINK_NETFILTER;

use super::{
    ACCEPT, AT_MOST, Chain, ELEMENTS, EQUAL, End, Family, META_L4PROTO, META_MARK, NETWORK_HEADER, NEWCHAIN,
    NEWRULE, NEWSET, NEWSETELEM, NEWTABLE, NLM_F_APPEND, NLM_F_DUMP, NOT_EQUAL, RANGE_END, REGISTER, Rule,
    SET_OF_RANGES, SUBSYSTEM, Set, TRANSPORT_HEADER, VERDICT_REGISTER, after, message, octets,
    remove_requests, to_chain, transact,
};
use crate::netlink::{Attributes, Netlink, Refused, Request, attribute, attributes};

const DELCHAIN: u16 = 5;
const GETRULE: u16 = 7;
const DELRULE: u16 = 8;
const DELSET: u16 = 11;
const DELSETELEM: u16 = 14;

/// A negative number, in the kernel's own words.
const GOTO: u32 = -4_i32 as u32;

/// Registers of four bytes that lie one after the other, for keys of several parts.
const PARTS: [u32; 3] = [8, 9, 10];

/// Of sets: values too, and the type of values that are verdicts; filled by rules.
const SET_IS_MAP: u32 = 8;
const SET_IS_DYNAMIC: u32 = 0x20;
const TYPE_VERDICT: u32 = 0xffff_ff00;

const CT_DIRECTION: u32 = 1;
const CT_STATUS: u32 = 2;
const CT_MARK: u32 = 3;
const CT_AVERAGE: u32 = 16;

/// A key of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// Protocol number, address and port.
    Destination(u8, SocketAddrV4),
    /// The mark of a connection.
    Mark(u32),
}

/// What kind of keys a map has: only for those who list it.
const TYPE_OF_DESTINATION: u32 = (12 << 12) | (7 << 6) | 13;
const TYPE_OF_MARK: u32 = 19;

impl Key {
    /// Type and length of keys of this kind.
    fn kind(self) -> (u32, u32) {
        match self {
            Self::Destination(..) => (TYPE_OF_DESTINATION, 12),
            Self::Mark(_) => (TYPE_OF_MARK, 4),
        }
    }

    fn bytes(self) -> Vec<u8> {
        match self {
            // Each part begins a register.
            Self::Destination(protocol, to) => {
                let [high, low] = to.port().to_be_bytes();
                [&[protocol, 0, 0, 0][..], &to.ip().octets(), &[high, low, 0, 0]].concat()
            }
            Self::Mark(mark) => mark.to_ne_bytes().into(),
        }
    }
}

/// Of a packet, as its connection sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// As the first packet.
    Original = 0,
    /// The other way.
    Reply = 1,
}

impl Rule {
    /// Goes on in the chain that `map` has for protocol, destination address and port.
    pub fn by_destination(self, map: &str) -> Self {
        let protocol = Attributes::default().number(1, PARTS[0]).number(2, META_L4PROTO);
        self.with("meta", protocol)
            .load_payload(PARTS[1], NETWORK_HEADER, Family::V4.offset(End::To), 4)
            .load_payload(PARTS[2], TRANSPORT_HEADER, 2, 2)
            .look_up(PARTS[0], map)
    }

    /// Goes on in the chain that `map` has for the mark of the connection.
    pub fn by_connection_mark(self, map: &str) -> Self {
        self.load_connection(CT_MARK).look_up(REGISTER, map)
    }

    fn look_up(self, register: u32, map: &str) -> Self {
        let lookup = Attributes::default()
            .text(1, map)
            .number(2, register)
            .number(3, VERDICT_REGISTER);
        self.with("lookup", lookup)
    }

    fn load_connection(self, key: u32) -> Self {
        self.with("ct", Attributes::default().number(1, REGISTER).number(2, key))
    }

    /// Matches the first of every `count` packets that come here.
    pub fn first_of(self, count: u32) -> Self {
        const INCREMENTAL: u32 = 0;
        let counted = Attributes::default()
            .number(1, REGISTER)
            .number(2, count)
            .number(3, INCREMENTAL);
        self.with("numgen", counted).compare(&0_u32.to_ne_bytes())
    }

    /// Matches packets from an address that has more connections than this, counted in a set of its own.
    pub fn more_from_source_than(self, connections: u32, set: &str) -> Self {
        const ADD: u32 = 0;
        const MORE: u32 = 1;
        let limit = Attributes::default().number(1, connections).number(2, MORE);
        let each = Attributes::default().text(1, "connlimit").nest(2, limit);
        let counted = Attributes::default()
            .text(1, set)
            .number(3, ADD)
            .number(4, REGISTER)
            .nest(7, each);
        self.load_address(Family::V4, End::From).with("dynset", counted)
    }

    /// Goes on in another chain of the same table and does not come back.
    pub fn goto(self, chain: &str) -> Self {
        self.load_verdict(to_chain(GOTO, chain))
    }

    /// Counts packets and bytes: see [`counters`].
    pub fn count(self) -> Self {
        self.with("counter", Attributes::default())
    }

    /// Marks the connection.
    pub fn mark_connection(self, mark: u32) -> Self {
        self.load(REGISTER, &mark.to_ne_bytes())
            .with("ct", Attributes::default().number(2, CT_MARK).number(4, REGISTER))
    }

    /// Gives the packet the mark of its connection.
    pub fn mark_as_connection(self) -> Self {
        let mark = Attributes::default().number(2, META_MARK).number(3, REGISTER);
        self.load_connection(CT_MARK).with("meta", mark)
    }

    /// Matches packets of connections that have any mark.
    pub fn of_marked_connection(self) -> Self {
        self.load_connection(CT_MARK)
            .compare_as(NOT_EQUAL, &0_u32.to_ne_bytes())
    }

    /// Sends the connection there instead.
    pub fn translate_to(self, to: SocketAddrV4) -> Self {
        const DESTINATION: u32 = 1;
        let registers = Attributes::default()
            .number(1, DESTINATION)
            .number(2, Family::V4.number().into())
            .number(3, PARTS[0])
            .number(5, PARTS[1]);
        self.load(PARTS[0], &to.ip().octets())
            .load(PARTS[1], &to.port().to_be_bytes())
            .with("nat", registers)
    }

    /// Shows the packet to whoever listens to this group.
    pub fn log(self, group: u16) -> Self {
        self.with("log", Attributes::default().bytes(1, &group.to_be_bytes()))
    }

    /// Answers TCP with a reset.
    pub fn reset(self) -> Self {
        const TCP_RESET: u8 = 1;
        self.with(
            "reject",
            Attributes::default().number(1, 1).bytes(2, &[TCP_RESET]),
        )
    }

    /// Matches packets that go this way.
    pub fn direction(self, direction: Direction) -> Self {
        self.load_connection(CT_DIRECTION).compare(&[direction as u8])
    }

    /// Matches packets of connections whose status (`IPS_*`) has of `mask` just the bits of `value`.
    pub fn connection_status(self, mask: u32, value: u32) -> Self {
        self.load_connection(CT_STATUS)
            .masked(&mask.to_ne_bytes())
            .compare(&value.to_ne_bytes())
    }

    /// Matches TCP packets whose flags have of `mask` just the bits of `value`, or not so.
    fn tcp_flags_as(self, how: u32, mask: u8, value: u8) -> Self {
        self.protocol(libc::IPPROTO_TCP as u8)
            .load_payload(REGISTER, TRANSPORT_HEADER, 13, 1)
            .masked(&[mask])
            .compare_as(how, &[value])
    }

    /// Matches TCP packets whose flags have of `mask` just the bits of `value`.
    pub fn tcp_flags(self, mask: u8, value: u8) -> Self {
        self.tcp_flags_as(EQUAL, mask, value)
    }

    /// Matches TCP packets whose flags have other bits of `mask` than those of `value`.
    pub fn other_tcp_flags(self, mask: u8, value: u8) -> Self {
        self.tcp_flags_as(NOT_EQUAL, mask, value)
    }

    /// Matches packets of connections whose answers had no more bytes on average, headers included. Needs
    /// `nf_conntrack_acct`.
    pub fn answers_average_at_most(self, bytes: u64) -> Self {
        const TO_NETWORK_ORDER: u32 = 1;
        let average = Attributes::default()
            .number(1, REGISTER)
            .number(2, CT_AVERAGE)
            .bytes(3, &[Direction::Reply as u8]);
        // Compared as bytes: the first must weigh most.
        let turned = Attributes::default()
            .number(1, REGISTER)
            .number(2, REGISTER)
            .number(3, TO_NETWORK_ORDER)
            .number(4, 8)
            .number(5, 8);
        self.with("ct", average)
            .with("byteorder", turned)
            .compare_as(AT_MOST, &bytes.to_be_bytes())
    }

    /// Matches so many packets a second at most.
    pub fn at_most_per_second(self, packets: u64) -> Self {
        let limit = Attributes::default()
            .bytes(1, &packets.to_be_bytes())
            .bytes(2, &1_u64.to_be_bytes())
            .number(3, 5)
            .number(4, 0);
        self.with("limit", limit)
    }
}

/// Changes of one table, to be made all at once or not at all.
pub(crate) struct Changes<'a> {
    family: Family,
    table: &'a str,
    pub(super) requests: Vec<Request>,
}

impl<'a> Changes<'a> {
    /// Of an IPv4 table that is there.
    pub fn of(table: &'a str) -> Self {
        Self {
            family: Family::V4,
            table,
            requests: Vec::new(),
        }
    }

    /// Of an empty IPv4 table in place of one of this name that may be there.
    pub fn anew(table: &'a str) -> Self {
        Self::anew_in(Family::V4, table)
    }

    /// The same in any family.
    pub fn anew_in(family: Family, table: &'a str) -> Self {
        let mut changes = Self {
            family,
            ..Self::of(table)
        };
        changes.requests.extend(remove_requests(table, family));
        changes.ask(
            "make nftables table",
            "",
            NEWTABLE,
            NLM_F_CREATE,
            Attributes::default(),
        )
    }

    fn ask(mut self, what: &str, object: &str, kind: u16, flags: u16, rest: Attributes) -> Self {
        let mut attributes = Attributes::default().text(1, self.table);
        attributes.0.extend(rest.0);
        let what = format!("{what} {} {object}", self.table);
        self.requests
            .push(message(what.trim_end(), self.family, kind, flags, attributes));
        self
    }

    /// Makes a map from keys of the kind of `like` to chains.
    pub fn map(self, name: &str, like: Key) -> Self {
        let (kind, length) = like.kind();
        let made = Attributes::default()
            .text(2, name)
            .number(3, SET_IS_MAP)
            .number(4, kind)
            .number(5, length)
            .number(6, TYPE_VERDICT)
            .number(10, self.unused_id());
        self.ask("make nftables map", name, NEWSET, NLM_F_CREATE, made)
    }

    /// Makes a set with its ranges.
    pub fn set(mut self, set: &Set) -> Self {
        let made = Attributes::default()
            .text(2, &set.name)
            .number(3, SET_OF_RANGES)
            .number(4, self.family.set_type())
            .number(5, self.family.address_bytes())
            .number(10, self.unused_id());
        self = self.ask("make nftables set", &set.name, NEWSET, NLM_F_CREATE, made);
        let element = |address: IpAddr, flags: u32| {
            let key = Attributes::default().bytes(1, &octets(address));
            Attributes::default().nest(1, key).number(3, flags)
        };
        for ranges in set.ranges.chunks(ELEMENTS) {
            let mut elements = Attributes::default();
            for (first, last) in ranges {
                elements = elements.nest(1, element(*first, 0));
                // The end is the first address beyond; there is none after the very last one.
                if let Some(beyond) = after(*last) {
                    elements = elements.nest(1, element(beyond, RANGE_END));
                }
            }
            let list = Attributes::default().text(2, &set.name).nest(3, elements);
            self = self.ask("fill nftables set", &set.name, NEWSETELEM, NLM_F_CREATE, list);
        }
        self
    }

    /// Makes a set in which rules count connections of addresses.
    pub fn counting_set(self, name: &str) -> Self {
        let made = Attributes::default()
            .text(2, name)
            .number(3, SET_IS_DYNAMIC)
            .number(4, Family::V4.set_type())
            .number(5, Family::V4.address_bytes())
            .number(10, self.unused_id());
        self.ask("make nftables set", name, NEWSET, NLM_F_CREATE, made)
    }

    /// Removes a set that no rule refers to any more.
    pub fn remove_set(self, name: &str) -> Self {
        self.ask(
            "remove nftables set",
            name,
            DELSET,
            0,
            Attributes::default().text(2, name),
        )
    }

    /// Sets need one, and unlike others of the same changes.
    fn unused_id(&self) -> u32 {
        u32::try_from(self.requests.len()).unwrap_or(u32::MAX)
    }

    /// Makes a chain with its rules.
    pub fn chain(self, chain: &Chain) -> Self {
        let mut made = Attributes::default().text(3, &chain.name);
        if let Some(hook) = chain.hook {
            let place = Attributes::default()
                .number(1, hook.number())
                .bytes(2, &hook.priority().to_be_bytes());
            made = made.nest(4, place).number(5, ACCEPT).text(7, hook.kind());
        }
        self.ask("make nftables chain", &chain.name, NEWCHAIN, NLM_F_CREATE, made)
            .rules(&chain.name, &chain.rules)
    }

    /// Adds rules to a chain.
    pub fn rules(mut self, chain: &str, rules: &[Rule]) -> Self {
        for rule in rules {
            let added = Attributes::default().text(2, chain).nest(4, rule.attributes());
            self = self.ask(
                "add a rule to nftables chain",
                chain,
                NEWRULE,
                NLM_F_CREATE | NLM_F_APPEND,
                added,
            );
        }
        self
    }

    /// Takes all rules out of a chain.
    pub fn flush(self, chain: &str) -> Self {
        self.ask(
            "empty nftables chain",
            chain,
            DELRULE,
            0,
            Attributes::default().text(2, chain),
        )
    }

    /// Removes a chain that nothing refers to any more, with its rules.
    pub fn remove_chain(self, chain: &str) -> Self {
        self.ask(
            "remove nftables chain",
            chain,
            DELCHAIN,
            0,
            Attributes::default().text(3, chain),
        )
    }

    fn element(self, what: &str, kind: u16, map: &str, key: Key, value: Attributes) -> Self {
        let key = Attributes::default().bytes(1, &key.bytes());
        let mut element = Attributes::default().nest(1, key);
        element.0.extend(value.0);
        let list = Attributes::default()
            .text(2, map)
            .nest(3, Attributes::default().nest(1, element));
        self.ask(what, map, kind, NLM_F_CREATE, list)
    }

    /// Has a map lead to `chain` for `key`.
    pub fn put(self, map: &str, key: Key, chain: &str) -> Self {
        let value = Attributes::default().nest(2, Attributes::default().nest(2, to_chain(GOTO, chain)));
        self.element("add to nftables map", NEWSETELEM, map, key, value)
    }

    /// Takes a key out of a map.
    pub fn take(self, map: &str, key: Key) -> Self {
        self.element(
            "take out of nftables map",
            DELSETELEM,
            map,
            key,
            Attributes::default(),
        )
    }

    /// Makes them in the calling thread's namespace.
    pub fn commit(self) -> Result<(), Refused> {
        transact(self.requests)
    }
}

/// What a [`Rule::count`] has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counter {
    /// The chain of its rule.
    pub chain: String,
    /// Packets.
    pub packets: u64,
    /// Their bytes, IP headers included.
    pub bytes: u64,
}

/// The counters of a table in the calling thread's namespace, those of a chain in the order of its rules.
pub(crate) fn counters(table: &str) -> io::Result<Vec<Counter>> {
    let mut request = message(
        "list nftables rules",
        Family::V4,
        GETRULE,
        0,
        Attributes::default().text(1, table),
    );
    request.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let rules = Netlink::open(NETLINK_NETFILTER)?.query(&request)?;
    let is_rule = (SUBSYSTEM << 8) | NEWRULE;
    let rules = rules.iter().filter(|rule| rule.kind == is_rule);
    Ok(rules.filter_map(|rule| counter(rule.body.get(4..)?)).collect())
}

fn counter(rule: &[u8]) -> Option<Counter> {
    let text = |value: &[u8]| Some(std::str::from_utf8(value.strip_suffix(b"\0")?).ok()?.to_owned());
    let number = |value: &[u8]| value.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
    let counted = attributes(attribute(rule, 4)?)
        .find(|(_, expression)| attribute(expression, 1) == Some(b"counter\0"))
        .and_then(|(_, expression)| attribute(expression, 2))?;
    Some(Counter {
        chain: text(attribute(rule, 2)?)?,
        packets: number(attribute(counted, 2)?)?,
        bytes: number(attribute(counted, 1)?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_several_parts_fill_a_register_each() {
        let key = Key::Destination(6, "10.43.0.10:443".parse().unwrap());
        assert_eq!(key.bytes(), [6, 0, 0, 0, 10, 43, 0, 10, 1, 187, 0, 0]);
        assert_eq!(key.kind().1 as usize, key.bytes().len());
        assert_eq!(Key::Mark(7).kind().1 as usize, Key::Mark(7).bytes().len());
    }

    #[test]
    fn a_counter_is_found_among_the_expressions_of_its_rule() {
        let rule = Rule::new().direction(Direction::Original).count();
        let listed = Attributes::default()
            .text(1, "t")
            .text(2, "c1")
            .nest(4, rule.attributes());
        assert_eq!(counter(&listed.0), None, "no values: as we send it");
        let values = Attributes::default()
            .bytes(1, &1234_u64.to_be_bytes())
            .bytes(2, &5_u64.to_be_bytes());
        let rule = Rule::new().direction(Direction::Original).with("counter", values);
        let listed = Attributes::default()
            .text(1, "t")
            .text(2, "c1")
            .nest(4, rule.attributes());
        let found = counter(&listed.0).unwrap();
        assert_eq!(
            (found.chain.as_str(), found.packets, found.bytes),
            ("c1", 5, 1234)
        );
    }
}
