//! Service addresses translated by the kernel, in the node namespace: destination NAT to pods of this node, in turns that the
//! proxy decides ([`skiff_netns_proxy::Translator`]). Not one packet of such a connection passes through this process.
//!
//! The table, for one front `F` (a 32-bit number, also the mark of its connections) with two backends and one turn for the
//! proxy:
//!
//! ```text
//! prerouting (dstnat)   from pods: protocol . address . port  ─map fronts─►  turns-F
//! turns-F               1 of 3 ► to-F-A     1 of the other 2 ► to-F-B     else: not translated, to the proxy's listener
//! to-F-A                from A itself: not translated     count, mark the connection F, translate to A
//! forward               mark of the connection  ─map connections─►  count-F
//! count-F               if nobody has answered yet: fails-F, which shows us what failed (`log`)    count bytes of either way
//! ```
//!
//! A backend that refuses a connection answers with a reset. Unless the backend is the only one, that does not reach the client: we see
//! it, the proxy takes the backend's turns away, and the connection begins anew (`packet`). So does one that got no answer for a
//! second. When the agent ends, all of it stays: connections go on, and new ones get the last turns.

mod conntrack;
mod log;
mod packet;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddrV4},
    sync::Arc,
};

use async_trait::async_trait;
use ipnet::Ipv4Net;
use skiff_netns_proxy::{Counts, Failure, Front, Protocol, Translator, Trouble, Turns, netns::Namespace};
use socket2::{Domain, Socket, Type};
use tokio::sync::Mutex;
use tracing::debug;

use crate::{
    Pods, link,
    netlink::Refused,
    nftables::{self, Chain, Changes, Direction, Family, Hook, Key, Rule},
    policy::{self, Flow},
};
use log::{Log, Seen};

/// Name of the nftables table in the node namespace.
const TABLE: &str = "skiff-services";

/// The map from protocol, address and port to turns, and the one from connections to their counts.
const FRONTS: &str = "fronts";
const CONNECTIONS: &str = "connections";

/// Groups of packets that are shown to us. The namespace is ours: any numbers do.
mod group {
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

/// Bits of TCP's flags.
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// `IPS_ASSURED`, `IPS_CONFIRMED` and `IPS_SEEN_REPLY` (linux/netfilter/nf_conntrack_common.h).
const SEEN_REPLY: u32 = 1 << 1;
const ASSURED: u32 = 1 << 2;
const CONFIRMED: u32 = 1 << 3;

/// Average bytes of answers without any data: a handshake's 60, a reset's 40 or 52, acknowledgements of 52 between.
const NO_DATA: u64 = 56;

/// UDP flows of one client to one front, as with the proxy: a flood from a pod leaves room for others.
const MOST_FLOWS: u32 = 1024;

/// Resets looked at in a second: each is a question to the kernel.
const MOST_RESETS: u64 = 20;

/// Bytes of headers that the kernel counts and the proxy does not: of IP and TCP with timestamps, or UDP.
const TCP_HEADERS: u64 = 52;
const UDP_HEADERS: u64 = 28;

/// A front that is translated.
#[derive(Clone, Default)]
struct Translated {
    turns: Turns,
    /// Connections of backends that have no turns any more.
    earlier: u64,
}

/// Has the kernel of the node namespace translate service addresses.
pub struct Translation {
    node: Arc<Namespace>,
    pods: Ipv4Net,
    rules: policy::Shared,
    log: Log,
    /// Where connections begin anew.
    clients: Pods,
    fronts: Mutex<BTreeMap<u32, (Front, Translated)>>,
}

impl Translation {
    /// Puts an empty table in place of an earlier agent's.
    ///
    /// # Errors
    /// What the kernel refused or lacks.
    pub(crate) async fn start(
        node: &Arc<Namespace>,
        pods: Ipv4Net,
        rules: &policy::Shared,
        clients: Pods,
    ) -> Result<Self, Refused> {
        let entered = Refused::of("enter the node namespace");
        let made = node.run(move || -> Result<_, Refused> {
            set_up(pods)?;
            Log::open(&group::ALL)
        });
        let log = made.await.map_err(entered)??;
        Ok(Self {
            node: Arc::clone(node),
            pods,
            rules: Arc::clone(rules),
            log: log.watched().map_err(Refused::of("watch logged packets"))?,
            clients,
            fronts: Mutex::default(),
        })
    }

    async fn in_node<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        self.node.run(work).await?
    }

    /// What a packet tells; none for one that tells nothing.
    async fn understand(&self, seen: Seen) -> Option<Failure> {
        let packet::Ends { client, backend } = packet::ends(&seen.bytes)?;
        let (trouble, waits) = match seen.group {
            group::SWALLOWED => (Trouble::Refused, true),
            group::REFUSED => (Trouble::Refused, false),
            // A policy has dropped the first one, and drops this one.
            group::SILENT if !self.allows(client, backend) => return None,
            group::SILENT => (Trouble::Silent, true),
            _ => (Trouble::Reset, false),
        };
        let front = self.fronts.lock().await.get(&seen.mark)?.0;
        if front.protocol == Protocol::Udp {
            // The client was told, and its next packet shall find another backend.
            self.forget(front, client).await;
        }
        Some(Failure {
            front,
            backend,
            trouble,
            waits,
            packet: seen.bytes,
        })
    }

    async fn forget(&self, front: Front, client: SocketAddrV4) {
        let forgotten = self.in_node(move || conntrack::forget_one(front, client));
        if let Err(error) = forgotten.await {
            debug!(%error, "forget a connection");
        }
    }

    fn allows(&self, client: SocketAddrV4, backend: SocketAddrV4) -> bool {
        let flow = Flow {
            from: (*client.ip()).into(),
            to: (*backend.ip()).into(),
            protocol: libc::IPPROTO_TCP as u8,
            port: backend.port(),
        };
        policy::allows(&self.rules.read(), flow)
    }
}

#[async_trait]
impl Translator for Translation {
    fn reaches(&self, backend: IpAddr) -> bool {
        matches!(backend, IpAddr::V4(backend) if self.pods.contains(&backend))
    }

    async fn set(&self, front: Front, turns: &Turns) -> io::Result<()> {
        let mut fronts = self.fronts.lock().await;
        let number = number(front);
        let before = match fronts.get(&number) {
            // One in four thousand million pairs.
            Some((known, _)) if *known != front => {
                return Err(io::Error::other("another service has the same number"));
            }
            Some((_, translated)) => translated.clone(),
            None => Translated::default(),
        };
        let gone = without(&before.turns.backends, &turns.backends);
        let changes = changes(number, front, &before.turns, turns);
        let is_udp = front.protocol == Protocol::Udp;
        let made = self.in_node(move || {
            let counted = if gone.is_empty() {
                Vec::new()
            } else {
                nftables::counters(TABLE)?
            };
            changes.commit().map_err(|refused| {
                debug!(what = refused.what, "the kernel refused");
                refused.source
            })?;
            if is_udp && !gone.is_empty() {
                // There is no end of a connection to wait for.
                conntrack::forget(|entry| entry.mark == number && gone.contains(&entry.backend))?;
            }
            let given = gone.iter().map(|backend| connections(&counted, number, *backend));
            Ok(given.sum::<u64>())
        });
        let earlier = before.earlier + made.await?;
        if turns.backends.is_empty() {
            fronts.remove(&number);
        } else {
            let turns = turns.clone();
            fronts.insert(number, (front, Translated { turns, earlier }));
        }
        Ok(())
    }

    async fn failure(&self) -> io::Result<Failure> {
        loop {
            if let Some(failure) = self.understand(self.log.next().await?).await {
                return Ok(failure);
            }
        }
    }

    async fn again(&self, failure: Failure) {
        let Some(packet::Ends { client, .. }) = packet::ends(&failure.packet) else {
            return;
        };
        let front = failure.front;
        let first = match failure.trouble {
            Trouble::Silent => {
                self.forget(front, client).await;
                packet::redirected(&failure.packet, front.address)
            }
            Trouble::Refused | Trouble::Reset => packet::first(&failure.packet, front.address),
        };
        // From the client's own namespace, as its first packet came.
        let pod = self.clients.read().get(client.ip()).cloned();
        let (Some(first), Some(pod)) = (first, pod) else {
            return;
        };
        let sent = pod.run(move || send(&first, front.address)).await;
        if let Err(error) = sent.and_then(|sent| sent) {
            // The client's own next try will do it.
            debug!(%error, "begin a connection anew");
        }
    }

    async fn counts(&self) -> io::Result<HashMap<Front, Counts>> {
        let (counted, entries) = self
            .in_node(|| Ok((nftables::counters(TABLE)?, conntrack::open()?)))
            .await?;
        let mut counts: HashMap<Front, Counts> = HashMap::new();
        let fronts = self.fronts.lock().await;
        let ways = Ways::of(&counted);
        for (number, (front, translated)) in fronts.iter() {
            let headers = match front.protocol {
                Protocol::Tcp => TCP_HEADERS,
                Protocol::Udp => UDP_HEADERS,
            };
            let [received, sent] = ways.data(*number, headers);
            let given: HashMap<_, _> = translated
                .turns
                .backends
                .iter()
                .map(|backend| (*backend, connections(&counted, *number, *backend)))
                .collect();
            let connections = translated.earlier + given.values().sum::<u64>();
            let entry = Counts {
                received,
                sent,
                connections,
                given,
                in_flight: HashMap::new(),
            };
            counts.insert(*front, entry);
        }
        for entry in entries {
            let front = fronts.get(&entry.mark).map(|(front, _)| front);
            if let Some(counts) = front.and_then(|front| counts.get_mut(front)) {
                *counts.in_flight.entry(entry.backend).or_default() += 1;
            }
        }
        Ok(counts)
    }
}

/// The number of a front, the same in every run, since connections outlive the agent: FNV-1a of what it is.
fn number(front: Front) -> u32 {
    let protocol = protocol_number(front.protocol);
    let port = front.address.port().to_be_bytes();
    let bytes = [&front.address.ip().octets()[..], &port, &[protocol]].concat();
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    // Zero is the mark of all other connections.
    hash.max(1)
}

fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => libc::IPPROTO_TCP as u8,
        Protocol::Udp => libc::IPPROTO_UDP as u8,
    }
}

fn without(all: &[SocketAddrV4], those: &[SocketAddrV4]) -> Vec<SocketAddrV4> {
    all.iter().filter(|one| !those.contains(one)).copied().collect()
}

/// A netlink attribute.
fn attribute_of(kind: u16, value: &[u8]) -> Vec<u8> {
    // Far below 64 KiB.
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    let mut attribute = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    attribute.extend(value);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
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
fn set_up(pods: Ipv4Net) -> Result<(), Refused> {
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
fn changes(number: u32, front: Front, before: &Turns, after: &Turns) -> Changes<'static> {
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

/// Connections that a backend was given for a front.
fn connections(counted: &[nftables::Counter], number: u32, backend: SocketAddrV4) -> u64 {
    let chain = backend_chain(number, backend);
    let found = counted.iter().find(|counter| counter.chain == chain);
    found.map_or(0, |counter| counter.packets)
}

/// What was counted of the two ways of each front, by the name of its chain.
struct Ways<'a>(HashMap<&'a str, Vec<&'a nftables::Counter>>);

impl<'a> Ways<'a> {
    fn of(counted: &'a [nftables::Counter]) -> Self {
        let mut ways: HashMap<&str, Vec<_>> = HashMap::new();
        for counter in counted {
            ways.entry(&counter.chain).or_default().push(counter);
        }
        Self(ways)
    }

    /// Bytes of data to backends and from them.
    fn data(&self, number: u32, headers: u64) -> [u64; 2] {
        let data = |counter: &nftables::Counter| counter.bytes.saturating_sub(counter.packets * headers);
        match self.0.get(count_chain(number).as_str()).map(Vec::as_slice) {
            Some([to, from, ..]) => [data(to), data(from)],
            _ => [0, 0],
        }
    }
}

/// Sends an IP packet in the calling thread's namespace.
fn send(packet: &[u8], to: SocketAddrV4) -> io::Result<()> {
    let protocol = socket2::Protocol::from(libc::IPPROTO_RAW);
    let socket = Socket::new(Domain::IPV4, Type::RAW.nonblocking(), Some(protocol))?;
    socket.send_to(packet, &to.into()).map(drop)
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
