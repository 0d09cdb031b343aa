//! The table `skiff-services`: its rules, and what they have counted. Drawn in the parent's header.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddrV4},
};

use ipnet::Ipv4Net;
use skiff_netns_proxy::{Front, Protocol, Turns};

use super::packet::{ACK, FIN, RST, SYN};
use crate::{
    link,
    netlink::Refused,
    nftables::{self, Chain, Changes, Direction, Family, Hook, Key, Rule},
};

/// Name of the nftables table in the node namespace.
pub(super) const TABLE: &str = "skiff-services";

/// The map from protocol, address and port to turns, and the one from connections to their counts.
const FRONTS: &str = "fronts";
const CONNECTIONS: &str = "connections";

/// Groups of packets that are shown to us. The namespace is ours: any numbers do.
pub(super) mod group {
    /// Refusals that the client does not get.
    pub const SWALLOWED: u16 = 1;
    /// Refusals that it gets.
    pub const REFUSED: u16 = 2;
    /// First packets of connections that come for the second time.
    pub const SILENT: u16 = 3;
    /// Resets after the handshake.
    pub const RESETS: u16 = 4;

    pub const ALL: [u16; 4] = [SWALLOWED, REFUSED, SILENT, RESETS];
}

/// An address for what is only tried.
const NOWHERE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);

/// `IPS_ASSURED`, `IPS_CONFIRMED` and `IPS_SEEN_REPLY` (linux/netfilter/nf_conntrack_common.h).
pub(super) const SEEN_REPLY: u32 = 1 << 1;
const ASSURED: u32 = 1 << 2;
const CONFIRMED: u32 = 1 << 3;

/// Average bytes of answers without any data: a handshake's 60, a reset's 40 or 52, acknowledgements of 52 between.
const NO_DATA: u64 = 56;

/// UDP flows of one client to one front, as with the proxy: a flood from a pod leaves room for others.
const MOST_FLOWS: u32 = 1024;

/// Resets looked at in a second: each is a question to the kernel.
const MOST_RESETS: u64 = 20;

/// The number of a front, the same in every run, since connections outlive the agent: FNV-1a of what it is.
pub(super) fn number(front: Front) -> u32 {
    let protocol = protocol_number(front.protocol);
    let port = front.address.port().to_be_bytes();
    let bytes = [&front.address.ip().octets()[..], &port, &[protocol]].concat();
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    // Zero is the mark of all other connections.
    hash.max(1)
}

pub(super) fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => libc::IPPROTO_TCP as u8,
        Protocol::Udp => libc::IPPROTO_UDP as u8,
    }
}

/// Each of `all` that is not among `those`, once.
pub(super) fn without(all: &[SocketAddrV4], those: &[SocketAddrV4]) -> Vec<SocketAddrV4> {
    let others = all.iter().filter(|one| !those.contains(one)).copied();
    others.collect::<BTreeSet<_>>().into_iter().collect()
}

fn turns_chain(number: u32) -> String {
    format!("turns-{number:08x}")
}

fn backend_chain(number: u32, backend: SocketAddrV4) -> String {
    format!("to-{number:08x}-{backend}")
}

fn flow_set(number: u32) -> String {
    format!("flows-{number:08x}")
}

fn fail_chain(number: u32) -> String {
    format!("fails-{number:08x}")
}

fn count_chain(number: u32) -> String {
    format!("count-{number:08x}")
}

/// The table without any front, and what the kernel needs to be told besides.
pub(super) fn set_up(pods: Ipv4Net) -> Result<(), Refused> {
    let made = make_table(pods)
        .and_then(|()| try_out())
        // The settings are there when connection tracking is.
        .and_then(|()| tune_tracking());
    if made.is_err() {
        // Half of it would be worse than nothing.
        let _ = nftables::remove(TABLE, Family::V4);
    }
    made
}

fn make_table(pods: Ipv4Net) -> Result<(), Refused> {
    Changes::anew(TABLE)
        .map(FRONTS, Key::Destination(0, NOWHERE))
        .map(CONNECTIONS, Key::Mark(0))
        .chain(&Chain::at(
            Hook::DestinationNat,
            "prerouting",
            vec![
                // In the middle of a connection that the proxy has.
                Rule::new().other_tcp_flags(SYN | ACK | RST | FIN, SYN).accept(),
                Rule::new().from(pods.trunc()).by_destination(FRONTS),
            ],
        ))
        .chain(&Chain::at(
            Hook::EarlyForward,
            "forward",
            vec![Rule::new().by_connection_mark(CONNECTIONS)],
        ))
        .commit()
}

/// Makes a front of nothing and removes it again: whether the kernel has all that fronts and policies about them need.
fn try_out() -> Result<(), Refused> {
    let front = Front {
        protocol: Protocol::Udp,
        address: NOWHERE,
    };
    let turns = Turns {
        backends: vec![NOWHERE],
        others: 1,
        is_alone: false,
    };
    let number = number(front);
    let none = Turns::default();
    let refused = Chain {
        name: "refused".into(),
        hook: None,
        rules: vec![Rule::new().protocol(libc::IPPROTO_TCP as u8).reset()],
    };
    changes(number, front, &none, &turns).chain(&refused).commit()?;
    changes(number, front, &turns, &none)
        .remove_chain(&refused.name)
        .commit()
}

fn tune_tracking() -> Result<(), Refused> {
    for (name, value) in [
        ("netfilter/nf_conntrack_acct", "1"),
        // A packet that looks odd to connection tracking would not be translated, and reset the connection.
        ("netfilter/nf_conntrack_tcp_be_liberal", "1"),
        // Entries of ended connections are for stragglers only, and there is room for 262 144 of all kinds.
        ("netfilter/nf_conntrack_tcp_timeout_time_wait", "10"),
    ] {
        link::sysctl(name, value).map_err(Refused::of("set up connection tracking"))?;
    }
    Ok(())
}

/// What packets of connections that have not been answered tell. The only backend's refusal is for the client.
fn failures(is_alone: bool) -> Vec<Rule> {
    let refusal = Rule::new()
        .tcp_flags(RST, RST)
        .direction(Direction::Reply)
        .mark_as_connection();
    let silence = Rule::new()
        .tcp_flags(SYN | ACK, SYN)
        .connection_status(CONFIRMED | SEEN_REPLY, CONFIRMED)
        .mark_as_connection();
    if is_alone {
        vec![refusal.log(group::REFUSED)]
    } else {
        vec![refusal.log(group::SWALLOWED).drop(), silence.log(group::SILENT)]
    }
}

/// What makes of a front as it was the front as it shall be.
pub(super) fn changes(number: u32, front: Front, before: &Turns, after: &Turns) -> Changes<'static> {
    let [turns, fails, counts] = [turns_chain(number), fail_chain(number), count_chain(number)];
    let protocol = protocol_number(front.protocol);
    let destination = Key::Destination(protocol, front.address);
    let mut changes = Changes::of(TABLE);
    for backend in without(&after.backends, &before.backends) {
        changes = changes.chain(&to_backend(number, protocol, backend));
    }
    let chain = |name: &str, rules| Chain {
        name: name.into(),
        hook: None,
        rules,
    };
    let flows = (front.protocol == Protocol::Udp).then(|| flow_set(number));
    let turn_rules = || in_turns(number, after, flows.as_deref());
    match (before.backends.is_empty(), after.backends.is_empty()) {
        (true, true) => return changes,
        (true, false) => {
            if let Some(flows) = &flows {
                changes = changes.counting_set(flows);
            }
            changes = changes
                .chain(&chain(&turns, turn_rules()))
                .chain(&chain(&fails, failures(after.is_alone)))
                .chain(&chain(&counts, counted(number)))
                .put(CONNECTIONS, Key::Mark(number), &counts)
                .put(FRONTS, destination, &turns);
        }
        (false, false) => {
            changes = changes.flush(&turns).rules(&turns, &turn_rules());
            if before.is_alone != after.is_alone {
                changes = changes.flush(&fails).rules(&fails, &failures(after.is_alone));
            }
        }
        (false, true) => {
            changes = changes
                .take(FRONTS, destination)
                .take(CONNECTIONS, Key::Mark(number))
                .remove_chain(&turns)
                .remove_chain(&counts)
                .remove_chain(&fails);
            if let Some(flows) = &flows {
                changes = changes.remove_set(flows);
            }
        }
    }
    for backend in without(&before.backends, &after.backends) {
        changes = changes.remove_chain(&backend_chain(number, backend));
    }
    changes
}

/// Every backend its turn; the turns that are left over end here, untranslated. `flows`: the set in which the client's are counted.
fn in_turns(number: u32, turns: &Turns, flows: Option<&str>) -> Vec<Rule> {
    let all = turns.others + turns.backends.len() as u32;
    let turn = |(before, backend): (u32, &SocketAddrV4)| {
        let rule = match all - before {
            1 => Rule::new(),
            left => Rule::new().first_of(left),
        };
        rule.goto(&backend_chain(number, *backend))
    };
    let too_many = flows.map(|set| Rule::new().more_from_source_than(MOST_FLOWS, set).drop());
    let each = (0..).zip(&turns.backends).map(turn);
    too_many.into_iter().chain(each).collect()
}

fn to_backend(number: u32, protocol: u8, backend: SocketAddrV4) -> Chain {
    Chain {
        name: backend_chain(number, backend),
        hook: None,
        rules: vec![
            // A pod's answers to itself would not pass through here to be translated back.
            Rule::new().from(IpAddr::V4(*backend.ip())).accept(),
            Rule::new()
                .protocol(protocol)
                .count()
                .mark_connection(number)
                .translate_to(backend),
        ],
    }
}

fn counted(number: u32) -> Vec<Rule> {
    vec![
        Rule::new()
            .connection_status(ASSURED, 0)
            .jump(&fail_chain(number)),
        // Nobody listens on a UDP port.
        Rule::new()
            .protocol(libc::IPPROTO_ICMP as u8)
            .mark_as_connection()
            .log(group::REFUSED),
        Rule::new().direction(Direction::Original).count().back(),
        Rule::new().count(),
        Rule::new()
            .tcp_flags(RST, RST)
            .answers_average_at_most(NO_DATA)
            .at_most_per_second(MOST_RESETS)
            .mark_as_connection()
            .log(group::RESETS),
    ]
}

/// What rules have counted, by the name of their chain.
pub(super) struct Counted(HashMap<String, Vec<nftables::Counter>>);

impl Counted {
    /// So far, in the calling thread's namespace.
    pub fn read() -> io::Result<Self> {
        let mut chains: HashMap<String, Vec<_>> = HashMap::new();
        for counter in nftables::counters(TABLE)? {
            chains.entry(counter.chain.clone()).or_default().push(counter);
        }
        Ok(Self(chains))
    }

    fn of(&self, chain: &str) -> &[nftables::Counter] {
        self.0.get(chain).map_or(&[], Vec::as_slice)
    }

    /// Connections that a backend was given for a front.
    pub fn connections(&self, number: u32, backend: SocketAddrV4) -> u64 {
        let counters = self.of(&backend_chain(number, backend));
        counters.first().map_or(0, |counter| counter.packets)
    }

    /// Bytes of data to a front's backends and from them.
    pub fn data(&self, number: u32, headers: u64) -> [u64; 2] {
        let data = |counter: &nftables::Counter| counter.bytes.saturating_sub(counter.packets * headers);
        match self.of(&count_chain(number)) {
            [to, from, ..] => [data(to), data(from)],
            _ => [0, 0],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front(protocol: Protocol, address: &str) -> Front {
        Front {
            protocol,
            address: address.parse().unwrap(),
        }
    }

    #[test]
    fn fronts_have_numbers_of_their_own_that_stay() {
        let numbers = [
            front(Protocol::Tcp, "10.43.0.10:53"),
            front(Protocol::Udp, "10.43.0.10:53"),
            front(Protocol::Tcp, "10.43.0.11:53"),
            front(Protocol::Tcp, "10.43.0.10:54"),
        ]
        .map(number);
        let distinct: std::collections::BTreeSet<u32> = numbers.into();
        assert_eq!(distinct.len(), 4);
        // Connections of an agent before this one are marked so.
        assert_eq!(numbers[0], 0x875e_5747);
    }
}
