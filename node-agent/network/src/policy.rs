//! What pods of this node may send and get, as plain addresses and ports: enforced by the kernel for packets that are routed
//! and asked for by whoever relays connections. Who is meant by a policy is found out elsewhere.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use ipnet::IpNet;
use parking_lot::RwLock;

use crate::{
    address::{after, before},
    nftables::{self, Chain, Family, Hook, Rule, Set, Table},
};

/// Name of the nftables table in the node namespace.
pub(crate) const TABLE: &str = "skiff-policy";

/// Addresses from the first to the last, both included, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressRange {
    /// First address.
    pub first: IpAddr,
    /// Last address.
    pub last: IpAddr,
}

impl From<IpNet> for AddressRange {
    fn from(net: IpNet) -> Self {
        Self {
            first: net.network(),
            last: net.broadcast(),
        }
    }
}

/// Ports of a protocol (`IPPROTO_TCP`, …), both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortRange {
    /// Protocol number.
    pub protocol: u8,
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
}

/// Something that is allowed: these others, on these ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    /// The addresses at the other end, ascending and apart from each other; none: any.
    pub others: Option<Vec<AddressRange>>,
    /// Ports at the receiving end; none: any protocol and port.
    pub ports: Option<Vec<PortRange>>,
}

/// What a pod may do. A direction that is none is not restricted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodRules {
    /// What it may get.
    pub ingress: Option<Vec<Allow>>,
    /// What it may send.
    pub egress: Option<Vec<Allow>>,
}

/// The rules of the pods of this node that have any, by address; by both where a pod has two.
pub type Rules = BTreeMap<IpAddr, PodRules>;

/// Rules that change while others look at them.
pub(crate) type Shared = Arc<RwLock<Arc<Rules>>>;

/// Whether the rules of the sender allow a connection to an address outside of the cluster.
pub(crate) fn may_leave(rules: &Shared, from: SocketAddr, to: SocketAddr, protocol: libc::c_int) -> bool {
    let flow = Flow {
        from: from.ip().to_canonical(),
        to: to.ip().to_canonical(),
        protocol: protocol as u8,
        port: to.port(),
    };
    allows(&rules.read(), flow)
}

/// A connection, or the first packet of one.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Who begins.
    pub from: IpAddr,
    /// Who is meant: a pod, not a service.
    pub to: IpAddr,
    /// Protocol number.
    pub protocol: u8,
    /// Port of the receiver.
    pub port: u16,
}

impl Allow {
    fn covers(&self, other: IpAddr, protocol: u8, port: u16) -> bool {
        let is_other = self.others.as_ref().is_none_or(|ranges| {
            let after = ranges.partition_point(|range| range.first <= other);
            after > 0 && other <= ranges[after - 1].last
        });
        is_other
            && self.ports.as_ref().is_none_or(|ports| {
                ports
                    .iter()
                    .any(|range| range.protocol == protocol && (range.first..=range.last).contains(&port))
            })
    }
}

/// Whether a flow is allowed by the rules of either end that is a pod of this node.
pub(crate) fn allows(rules: &Rules, flow: Flow) -> bool {
    // A pod may always speak to itself.
    if flow.from == flow.to {
        return true;
    }
    let covered = |allowed: &Option<Vec<Allow>>, other| {
        allowed.as_ref().is_none_or(|allowed| {
            allowed
                .iter()
                .any(|allow| allow.covers(other, flow.protocol, flow.port))
        })
    };
    rules
        .get(&flow.from)
        .is_none_or(|rules| covered(&rules.egress, flow.to))
        && rules
            .get(&flow.to)
            .is_none_or(|rules| covered(&rules.ingress, flow.from))
}

/// Ranges ascending and apart from each other, with the same addresses.
pub fn merged(mut ranges: Vec<AddressRange>) -> Vec<AddressRange> {
    ranges.sort();
    let mut merged: Vec<AddressRange> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            // All of IPv4 come before all of IPv6.
            Some(last) if range.first <= last.last || after(last.last) == Some(range.first) => {
                last.last = last.last.max(range.last);
            }
            _ => merged.push(range),
        }
    }
    merged
}

/// `whole` without `parts`.
pub fn without(whole: IpNet, parts: &[IpNet]) -> Vec<AddressRange> {
    let whole = AddressRange::from(whole);
    let parts = merged(parts.iter().copied().map(AddressRange::from).collect());
    let mut left = Vec::new();
    let mut next = Some(whole.first);
    for part in parts {
        let Some(first) = next else { break };
        if part.last < first || part.first > whole.last {
            continue;
        }
        if part.first > first
            && let Some(last) = before(part.first)
        {
            left.push(AddressRange { first, last });
        }
        next = after(part.last);
    }
    if let Some(first) = next.filter(|first| *first <= whole.last) {
        left.push(AddressRange {
            first,
            last: whole.last,
        });
    }
    left
}

/// Puts the rules in place of those before, in the calling thread's namespace: a table for each of `families`. Without rules there
/// is no table, and no connection tracking for it.
/// `translated`: connections to services are, see [`crate::Translation`].
pub(crate) fn apply(
    rules: &Rules,
    families: &[Family],
    translated: bool,
) -> Result<(), crate::netlink::Refused> {
    let (with, without): (Vec<Family>, Vec<Family>) = families
        .iter()
        .partition(|family| rules.keys().any(|address| Family::of(*address) == **family));
    for family in without {
        nftables::remove(TABLE, family)?;
    }
    let tables: Vec<Table<'_>> = with
        .into_iter()
        .map(|family| table(rules, family, translated))
        .collect();
    nftables::replace(&tables)
}

/// The rules about addresses of a family.
fn table(rules: &Rules, family: Family, translated: bool) -> Table<'static> {
    let mut chains = Vec::new();
    let mut sets = Vec::new();
    // Answers belong to connections that were allowed.
    let mut forward = vec![Rule::new().answers().accept()];
    for (address, pod) in rules {
        if Family::of(*address) != family {
            continue;
        }
        let directions = [("out", &pod.egress, true), ("in", &pod.ingress, false)];
        for (direction, allowed, is_egress) in directions {
            let Some(allowed) = allowed else { continue };
            let name = chain_name(direction, *address);
            let own = IpNet::from(*address);
            let own_packets = if is_egress {
                Rule::new().from(own)
            } else {
                Rule::new().to(own)
            };
            forward.push(own_packets.jump(&name));
            // To a service the kernel carries: refused, as the proxy refuses what it must not carry.
            let reset = (translated && family == Family::V4).then(|| {
                Rule::new()
                    .protocol(libc::IPPROTO_TCP as u8)
                    .of_marked_connection()
                    .reset()
            });
            let rules = allowed
                .iter()
                .flat_map(|allow| allowing(allow, family, is_egress, &mut sets))
                .chain(reset)
                .chain([Rule::new().drop()])
                .collect();
            chains.push(Chain {
                name,
                hook: None,
                rules,
            });
        }
    }
    // Last, since it refers to the others.
    chains.push(Chain::at(Hook::Forward, "forward", forward));
    Table {
        name: TABLE,
        family,
        sets,
        chains,
    }
}

/// The rules that let through what `allow` says; the addresses go into a set of their own.
fn allowing(allow: &Allow, family: Family, is_egress: bool, sets: &mut Vec<Set>) -> Vec<Rule> {
    let mut rule = Rule::new();
    if let Some(others) = &allow.others {
        let name = format!("s{}", sets.len());
        rule = if is_egress {
            rule.destination_in(family, &name)
        } else {
            rule.source_in(family, &name)
        };
        let ranges = others
            .iter()
            .filter(|range| Family::of(range.first) == family)
            .map(|range| (range.first, range.last))
            .collect();
        sets.push(Set { name, ranges });
    }
    match &allow.ports {
        None => vec![rule.back()],
        Some(ports) => ports
            .iter()
            .map(|ports| {
                rule.clone()
                    .protocol(ports.protocol)
                    .port_between(ports.first, ports.last)
                    .back()
            })
            .collect(),
    }
}

/// A colon can't be in the name of a chain that people want to list.
fn chain_name(direction: &str, address: IpAddr) -> String {
    format!("{direction}-{}", address.to_string().replace(':', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range<const N: usize>(first: [u8; N], last: [u8; N]) -> AddressRange
    where
        IpAddr: From<[u8; N]>,
    {
        AddressRange {
            first: first.into(),
            last: last.into(),
        }
    }

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn exceptions_leave_what_is_around_them() {
        assert_eq!(
            without(
                net("10.0.0.0/8"),
                &[net("10.1.0.0/16"), net("10.1.2.0/24"), net("10.255.0.0/16")]
            ),
            [
                range([10, 0, 0, 0], [10, 0, 255, 255]),
                range([10, 2, 0, 0], [10, 254, 255, 255])
            ]
        );
        assert_eq!(without(net("10.0.0.0/8"), &[net("10.0.0.0/8")]), []);
        assert_eq!(
            without(net("0.0.0.0/0"), &[net("255.255.255.255/32")]),
            [range([0; 4], [255, 255, 255, 254])]
        );
        assert_eq!(
            without(net("10.0.0.0/8"), &[net("11.0.0.0/8")]),
            [net("10.0.0.0/8").into()]
        );
        let net_of_two = without(net("fd00::/126"), &[net("fd00::2/127")]);
        assert_eq!(net_of_two, [net("fd00::/127").into()]);
    }

    #[test]
    fn families_stay_apart() {
        let all = [net("::/0"), net("255.255.255.255/32"), net("fd00::/8")];
        assert_eq!(
            merged(all.map(AddressRange::from).to_vec()),
            [range([255; 4], [255; 4]), net("::/0").into()]
        );
        assert_eq!(
            without(net("0.0.0.0/0"), &[net("::/0")]),
            [net("0.0.0.0/0").into()]
        );
    }

    #[test]
    fn ranges_that_touch_or_overlap_become_one() {
        let ranges = [
            "10.0.0.4/31",
            "10.0.0.0/30",
            "10.0.0.1/32",
            "10.0.1.0/24",
            "255.255.255.255/32",
        ];
        assert_eq!(
            merged(ranges.map(|text| net(text).into()).to_vec()),
            [
                range([10, 0, 0, 0], [10, 0, 0, 5]),
                range([10, 0, 1, 0], [10, 0, 1, 255]),
                range([255; 4], [255; 4])
            ]
        );
    }

    #[test]
    fn both_ends_must_allow_and_nothing_is_asked_of_others() {
        let [one, two, stranger] = [[10, 0, 0, 2], [10, 0, 0, 3], [10, 0, 1, 2]].map(IpAddr::from);
        let tcp = |first, last| PortRange {
            protocol: 6,
            first,
            last,
        };
        let mut rules = Rules::new();
        rules.insert(
            one,
            PodRules {
                ingress: Some(vec![Allow {
                    others: Some(vec![range([10, 0, 0, 3], [10, 0, 0, 9])]),
                    ports: Some(vec![tcp(80, 90)]),
                }]),
                egress: None,
            },
        );
        let may = |from, to, protocol, port| {
            allows(
                &rules,
                Flow {
                    from,
                    to,
                    protocol,
                    port,
                },
            )
        };
        assert!(may(two, one, 6, 80) && may(two, one, 6, 90));
        assert!(!may(two, one, 6, 91) && !may(two, one, 17, 80));
        assert!(!may(stranger, one, 6, 80), "another address");
        assert!(may(one, stranger, 6, 1), "what it sends is not restricted");
        assert!(may(one, one, 6, 1) && may(stranger, two, 6, 1));
        rules.insert(
            two,
            PodRules {
                ingress: None,
                egress: Some(Vec::new()),
            },
        );
        let flow = Flow {
            from: two,
            to: one,
            protocol: 6,
            port: 80,
        };
        assert!(!allows(&rules, flow), "nothing at all may be sent");
    }
}
