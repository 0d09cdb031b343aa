//! What leaves the cluster: through sockets of the host (works for everyone), masqueraded by the kernel (root), or by the program pasta
//! where the kernel allows neither.
//!
//! ```text
//! sockets:    pod ─veth─► node namespace: nftables TPROXY ─► our socket ═ bytes ═ host socket ─► world
//! masquerade: pod ─veth─► node namespace ─uplink─► host namespace: masquerade ─► world
//! pasta:      pod ─veth─► node namespace: masquerade ─pasta─► process pasta ═ bytes ═ host socket ─► world
//! ```

mod icmp;
mod masquerade;
mod pasta;
mod second;
mod tcp;
mod udp;

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use ipnet::Ipv4Net;
use netlink_packet_route::route::RouteType;
use skiff_netns_proxy::netns::Namespace;
use socket2::Socket;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::{
    Config, DualRange, Error, GATEWAY,
    link::{self, LOOPBACK, Route},
    netlink::Refused,
    nftables::{self, Chain, Family, Hook, Rule, Table},
    policy,
};

const TABLE: &str = "skiff";
/// Mark of packets for our sockets, and the routing table that delivers them here.
const MARK: u32 = 0x5c1f;
const ROUTES: u8 = 100;
const RULE_PRIORITY: u32 = 100;

/// A way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Through sockets of the host, by the agent.
    Sockets,
    /// Masqueraded by the kernel; needs root.
    Masquerade,
    /// By the program pasta.
    Pasta,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sockets => "sockets of the agent",
            Self::Masquerade => "masquerading in the kernel",
            Self::Pasta => "pasta",
        })
    }
}

/// The running egress; stops carrying anything when dropped.
pub(crate) struct Egress {
    first: First,
    /// Of the second family.
    families: &'static [Family],
    _tasks: Vec<AbortOnDropHandle<()>>,
}

/// What carries IPv4.
enum First {
    Sockets { _tasks: Vec<AbortOnDropHandle<()>> },
    Masquerade(masquerade::Masquerade),
    Pasta(pasta::Pasta),
}

impl Egress {
    /// Starts what `config` asks for, else the first that can be: by the kernel as root, through sockets where the kernel or the
    /// host's firewall is in the way of that, by pasta where the kernel can't hand us packets. IPv6 always goes through sockets: to
    /// forward it would have the host take no more routes from its routers.
    pub async fn start(
        config: &Config,
        node: &Arc<Namespace>,
        host: &Arc<Namespace>,
        rules: &policy::Shared,
    ) -> Result<Self, Error> {
        let relay = Relay {
            node: Arc::clone(node),
            host: Arc::clone(host),
            inside: Inside {
                ranges: config.ranges(),
            },
            rules: Arc::clone(rules),
        };
        let first = First::start(config, &relay).await?;
        let families = config.families();
        let relayed = match &first {
            First::Sockets { .. } => families,
            _ => &families[1..],
        };
        let mut tasks = Vec::new();
        if !relayed.is_empty() {
            let ping = relay.ping(relayed).await;
            if ping.is_some() && relayed.contains(&Family::V4) {
                relay.lead_to_ping(Family::V4, true).await?;
            }
            if relayed.contains(&Family::V6) {
                tasks.extend(second::start(&relay, ping.is_some()).await?);
            }
            tasks.extend(ping);
        }
        Ok(Self {
            first,
            families,
            _tasks: tasks,
        })
    }

    /// Which way IPv4 goes.
    pub fn way(&self) -> Way {
        match self.first {
            First::Sockets { .. } => Way::Sockets,
            First::Masquerade(_) => Way::Masquerade,
            First::Pasta(_) => Way::Pasta,
        }
    }

    /// Removes what it left in the two namespaces.
    pub async fn stop(self, node: &Namespace, host: &Namespace) -> Result<(), Error> {
        let mut outcome = match self.first {
            First::Sockets { .. } => forget(node, Family::V4).await,
            First::Masquerade(masquerade) => masquerade.stop(node, host).await,
            First::Pasta(pasta) => pasta.stop(node).await,
        };
        if self.families.contains(&Family::V6) {
            outcome = outcome.and(forget(node, Family::V6).await);
        }
        outcome
    }
}

/// Removes the rules of a family.
async fn forget(node: &Namespace, family: Family) -> Result<(), Error> {
    let removed = node.run(move || nftables::remove(TABLE, family)).await;
    Ok(removed.map_err(|source| Error::new("enter the node namespace", source))??)
}

impl First {
    async fn start(config: &Config, relay: &Relay) -> Result<Self, Error> {
        let (node, host) = (&relay.node, &relay.host);
        let ways: &[Way] = match (&config.egress, config.rootless) {
            (Some(way), _) => &[*way],
            (None, false) => &[Way::Masquerade, Way::Sockets, Way::Pasta],
            (None, true) => &[Way::Sockets, Way::Pasta],
        };
        let mut first = None;
        for way in ways {
            let remains = Self::clear(config, *way, node, host).await;
            let started = match remains.and(Ok(*way)) {
                Ok(Way::Masquerade) => masquerade::Masquerade::start(config, node, host)
                    .await
                    .map(Self::Masquerade),
                Ok(Way::Sockets) => relay.start().await.map(|_tasks| Self::Sockets { _tasks }),
                Ok(Way::Pasta) => pasta::Pasta::start(config, node, host).await.map(Self::Pasta),
                Err(error) => Err(error),
            };
            match started {
                Ok(egress) => return Ok(egress),
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    warn!(%error, cause, "no egress by {way}");
                    first.get_or_insert(error);
                }
            }
        }
        Err(first.unwrap_or_else(|| Error::new("egress", io::ErrorKind::Unsupported.into())))
    }

    /// Removes what an earlier agent left that used another way.
    async fn clear(config: &Config, way: Way, node: &Namespace, host: &Namespace) -> Result<(), Error> {
        if way != Way::Pasta {
            pasta::clear(node).await?;
        }
        if way != Way::Masquerade && !config.rootless {
            masquerade::Masquerade::of(config).stop(node, host).await?;
        }
        Ok(())
    }
}

/// Egress through sockets, as it is to be.
#[derive(Clone)]
struct Relay {
    node: Arc<Namespace>,
    host: Arc<Namespace>,
    inside: Inside,
    rules: policy::Shared,
}

/// The ports in the node namespace that packets are to be handed to.
#[derive(Clone, Copy)]
struct Ports {
    tcp: u16,
    udp: u16,
}

impl Relay {
    /// Listens for what leaves by TCP and UDP.
    async fn listen(&self, family: Family) -> Result<(Ports, [AbortOnDropHandle<()>; 2]), Error> {
        let at = |operation: &'static str| move |source| Error::new(operation, source);
        let (tcp_port, tcp) = tcp::start(family, &self.node, &self.host, self.inside, &self.rules)
            .await
            .map_err(at("listen for outbound TCP connections"))?;
        let (udp_port, udp) = udp::start(family, &self.node, &self.host, self.inside, &self.rules)
            .await
            .map_err(at("listen for outbound UDP datagrams"))?;
        let ports = Ports {
            tcp: tcp_port,
            udp: udp_port,
        };
        Ok((ports, [tcp, udp]))
    }

    /// Has what carries our mark delivered here, and `prerouting` decide what does.
    async fn hand_over(&self, family: Family, prerouting: Vec<Rule>) -> Result<(), Error> {
        let handed_over = self.node.run(move || hand_over(family, prerouting));
        Ok(handed_over
            .await
            .map_err(|source| Error::new("enter the node namespace", source))??)
    }

    /// Carries echo requests; none where that can't be.
    async fn ping(&self, families: &'static [Family]) -> Option<AbortOnDropHandle<()>> {
        let started = icmp::start(families, &self.node, &self.host, self.inside, &self.rules).await;
        started
            .inspect_err(|error| {
                // Everything but ping works without it.
                let cause = std::error::Error::source(error).map(ToString::to_string);
                warn!(%error, cause, "pods can't ping the world");
            })
            .ok()
    }

    /// Has what is neither TCP nor UDP of a family go to the interface of `icmp`, or nowhere.
    async fn lead_to_ping(&self, family: Family, is_wanted: bool) -> Result<(), Error> {
        let led = self.node.run(move || icmp::lead(family, is_wanted));
        Ok(led
            .await
            .map_err(|source| Error::new("enter the node namespace", source))??)
    }

    /// IPv4.
    async fn start(&self) -> Result<Vec<AbortOnDropHandle<()>>, Error> {
        let (ports, tasks) = self.listen(Family::V4).await?;
        self.hand_over(Family::V4, carried(self.inside, ports)).await?;
        Ok(tasks.into())
    }
}

fn hand_over(family: Family, prerouting: Vec<Rule>) -> Result<(), Refused> {
    let everything = Route {
        kind: RouteType::Local,
        device: Some(LOOPBACK),
        table: ROUTES,
        ..Route::new(family.everything())
    };
    link::ensure(&[
        link::add_mark_rule(family, MARK, ROUTES, RULE_PRIORITY),
        everything.request(),
    ])?;
    nftables::replace(&[Table {
        name: TABLE,
        family,
        sets: Vec::new(),
        chains: vec![Chain::at(Hook::Prerouting, "prerouting", prerouting)],
    }])
}

/// Lets a socket be bound to addresses of others, and take what is for them.
fn set_transparent(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv4() {
        socket.set_ip_transparent_v4(true)
    } else {
        socket.set_ip_transparent_v6(true)
    }
}

/// Addresses that never leave the node by egress.
#[derive(Clone, Copy, Debug)]
struct Inside {
    ranges: [DualRange; 3],
}

impl Inside {
    /// Whether a pod may reach `address` through a socket of the host. The host's loopback in particular is not what a pod
    /// meant, and a connect to 0.0.0.0 would go there.
    fn may_leave(&self, address: IpAddr) -> bool {
        // An IPv4 address in the clothes of the other family is one.
        let address = address.to_canonical();
        let stays = match address {
            IpAddr::V4(v4) => v4.is_broadcast() || v4.octets()[0] == 0 || v4 == GATEWAY,
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        !(stays
            || address.is_loopback()
            || address.is_unspecified()
            || address.is_multicast()
            || self.ranges.iter().any(|range| range.contains(address)))
    }

    /// Lets the cluster's own traffic of a family pass.
    fn pass(&self, family: Family) -> impl Iterator<Item = Rule> {
        let ranges = self.ranges.into_iter().flat_map(DualRange::all);
        ranges
            .filter(move |range| Family::of(range.addr()) == family)
            .map(|range| Rule::new().to(range.trunc()).accept())
    }
}

/// The cluster's own traffic passes; the rest of TCP and UDP goes to our sockets; anything else is routed to the interface of
/// `icmp`.
fn carried(inside: Inside, ports: Ports) -> Vec<Rule> {
    let none = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 8);
    let local = Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8);
    let multicast = Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4);
    let broadcast = Ipv4Net::from(Ipv4Addr::BROADCAST);
    let mut rules: Vec<Rule> = inside.pass(Family::V4).collect();
    rules.push(Rule::new().to(IpAddr::V4(GATEWAY)).accept());
    rules.extend([none, local, multicast, broadcast].map(|range| Rule::new().to(range).drop()));
    rules.extend(to_sockets(Family::V4, ports));
    rules
}

/// TCP and UDP of a family to our sockets.
fn to_sockets(family: Family, ports: Ports) -> [Rule; 2] {
    [(libc::IPPROTO_TCP, ports.tcp), (libc::IPPROTO_UDP, ports.udp)].map(|(protocol, port)| {
        Rule::new()
            .protocol(protocol as u8)
            .tproxy(family.loopback(), port)
            .mark(MARK)
            .accept()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_loopback_and_the_clusters_own_addresses_are_not_reached_by_egress() {
        let ranges = [
            "10.42.0.0/16,fd00:42::/56",
            "10.42.3.0/24,fd00:42:0:3::/64",
            "10.43.0.0/16,fd00:43::/112",
        ];
        let ranges = ranges.map(|range| range.parse().unwrap());
        let inside = Inside { ranges };
        for address in [
            "127.0.0.1",
            "127.8.9.1",
            "0.0.0.0",
            "0.0.0.1",
            "10.42.1.1",
            "10.43.0.1",
            "169.254.1.1",
            "fd00:42:0:7::1",
            "fd00:43::1",
            "::",
            "fe80::1",
            "ff02::1",
            "::ffff:10.42.1.1",
        ] {
            assert!(!inside.may_leave(address.parse().unwrap()), "{address}");
        }
        for address in ["::1", "::ffff:127.0.0.1", "224.0.0.1", "255.255.255.255"] {
            assert!(!inside.may_leave(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "192.168.1.1",
            "10.44.0.1",
            "169.254.169.254",
            "2001:db8::1",
            "fd00:44::1",
        ] {
            assert!(inside.may_leave(address.parse().unwrap()), "{address}");
        }
    }
}
