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
mod tcp;
mod udp;

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use ipnet::Ipv4Net;
use netlink_packet_route::route::RouteType;
use skiff_netns_proxy::netns::Namespace;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::{
    Config, Error, GATEWAY,
    link::{self, LOOPBACK, Route},
    nftables::{self, Chain, Hook, Rule, Table},
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
pub(crate) enum Egress {
    Sockets { _tasks: Vec<AbortOnDropHandle<()>> },
    Masquerade(masquerade::Masquerade),
    Pasta(pasta::Pasta),
}

impl Egress {
    /// Starts what `config` asks for, else the first that can be: by the kernel as root, through sockets where the kernel or the
    /// host's firewall is in the way of that, by pasta where the kernel can't hand us packets.
    pub async fn start(
        config: &Config,
        node: &Arc<Namespace>,
        host: &Arc<Namespace>,
        rules: &policy::Shared,
    ) -> Result<Self, Error> {
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
                Ok(Way::Sockets) => Self::start_sockets(config, node, host, rules).await,
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

    async fn start_sockets(
        config: &Config,
        node: &Arc<Namespace>,
        host: &Arc<Namespace>,
        rules: &policy::Shared,
    ) -> Result<Self, Error> {
        let inside = Inside {
            ranges: [config.cluster_cidr, config.pod_cidr, config.service_cidr],
        };
        let at = |operation: &'static str| move |source| Error::new(operation, source);
        let (tcp_port, tcp) = tcp::start(node, host, inside, rules)
            .await
            .map_err(at("listen for outbound TCP connections"))?;
        let (udp_port, udp) = udp::start(node, host, inside, rules)
            .await
            .map_err(at("listen for outbound UDP datagrams"))?;
        node.run(move || -> Result<(), Error> {
            let everything = Route {
                kind: RouteType::Local,
                device: Some(LOOPBACK),
                table: ROUTES,
                ..Route::new(Ipv4Net::default())
            };
            link::ensure(&[
                link::add_mark_rule(MARK, ROUTES, RULE_PRIORITY),
                everything.request(),
            ])?;
            let carried = carried(inside, tcp_port, udp_port);
            Ok(nftables::replace(&Table {
                name: TABLE,
                sets: Vec::new(),
                chains: vec![Chain::at(Hook::Prerouting, "prerouting", carried)],
            })?)
        })
        .await
        .map_err(at("enter the node namespace"))??;
        let mut tasks = vec![tcp, udp];
        match icmp::start(node, host, inside, rules).await {
            Ok(icmp) => tasks.push(icmp),
            // Everything but ping works without it.
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                warn!(%error, cause, "pods can't ping the world");
            }
        }
        Ok(Self::Sockets { _tasks: tasks })
    }

    /// Which way it is.
    pub fn way(&self) -> Way {
        match self {
            Self::Sockets { .. } => Way::Sockets,
            Self::Masquerade(_) => Way::Masquerade,
            Self::Pasta(_) => Way::Pasta,
        }
    }

    /// Removes what it left in the two namespaces.
    pub async fn stop(self, node: &Namespace, host: &Namespace) -> Result<(), Error> {
        match self {
            Self::Sockets { .. } => {
                let removed = node.run(|| nftables::remove(TABLE)).await;
                Ok(removed.map_err(|source| Error::new("enter the node namespace", source))??)
            }
            Self::Masquerade(masquerade) => masquerade.stop(node, host).await,
            Self::Pasta(pasta) => pasta.stop(node).await,
        }
    }
}

/// Addresses that never leave the node by egress.
#[derive(Clone, Copy, Debug)]
struct Inside {
    ranges: [Ipv4Net; 3],
}

impl Inside {
    /// Whether a pod may reach `address` through a socket of the host. The host's loopback in particular is not what a pod
    /// meant, and a connect to 0.0.0.0 would go there.
    fn may_leave(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                !(address.is_loopback()
                    || address.is_unspecified()
                    || address.is_multicast()
                    || address.is_broadcast()
                    || address.octets()[0] == 0
                    || address == GATEWAY
                    || self.ranges.iter().any(|range| range.contains(&address)))
            }
            IpAddr::V6(_) => false,
        }
    }
}

/// The cluster's own traffic passes; the rest of TCP and UDP goes to our sockets; anything else is routed to the interface of
/// `icmp`.
fn carried(inside: Inside, tcp_port: u16, udp_port: u16) -> Vec<Rule> {
    let none = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 8);
    let local = Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8);
    let multicast = Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4);
    let broadcast = Ipv4Net::from(Ipv4Addr::BROADCAST);
    let mut rules: Vec<Rule> = inside
        .ranges
        .iter()
        .map(|range| Rule::new().to(range.trunc()).accept())
        .collect();
    rules.push(Rule::new().to(GATEWAY.into()).accept());
    rules.extend([none, local, multicast, broadcast].map(|range| Rule::new().to(range).drop()));
    let carried = [(libc::IPPROTO_TCP, tcp_port), (libc::IPPROTO_UDP, udp_port)];
    rules.extend(carried.map(|(protocol, port)| {
        Rule::new()
            .protocol(protocol as u8)
            .tproxy(Ipv4Addr::LOCALHOST, port)
            .mark(MARK)
            .accept()
    }));
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_loopback_and_the_clusters_own_addresses_are_not_reached_by_egress() {
        let ranges = ["10.42.0.0/16", "10.42.3.0/24", "10.43.0.0/16"].map(|range| range.parse().unwrap());
        let inside = Inside { ranges };
        for address in [
            "127.0.0.1",
            "127.8.9.1",
            "0.0.0.0",
            "0.0.0.1",
            "10.42.1.1",
            "10.43.0.1",
            "169.254.1.1",
        ] {
            assert!(!inside.may_leave(address.parse().unwrap()), "{address}");
        }
        for address in ["::1", "::ffff:127.0.0.1", "224.0.0.1", "255.255.255.255"] {
            assert!(!inside.may_leave(address.parse().unwrap()), "{address}");
        }
        for address in ["1.1.1.1", "192.168.1.1", "10.44.0.1", "169.254.169.254"] {
            assert!(inside.may_leave(address.parse().unwrap()), "{address}");
        }
    }
}
