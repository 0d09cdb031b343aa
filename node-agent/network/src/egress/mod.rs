//! What leaves the cluster: through sockets of the host (works for everyone), or masqueraded by the kernel (root).
//!
//! ```text
//! relay:      pod ─veth─► node namespace: nftables TPROXY ─► our socket ═ bytes ═ host socket ─► world
//! masquerade: pod ─veth─► node namespace ─uplink─► host namespace: masquerade ─► world
//! ```

mod icmp;
mod masquerade;
mod tcp;
mod udp;

use std::{net::IpAddr, net::Ipv4Addr, sync::Arc};

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

/// The running egress; stops carrying anything when dropped.
pub(crate) enum Egress {
    Relay { _tasks: Vec<AbortOnDropHandle<()>> },
    Masquerade(masquerade::Masquerade),
}

impl Egress {
    /// Starts what `config` asks for; as root the relay is what remains when the kernel or the host's firewall is in the
    /// way of masquerading.
    pub async fn start(
        config: &Config,
        node: &Arc<Namespace>,
        host: &Arc<Namespace>,
        rules: &policy::Shared,
    ) -> Result<Self, Error> {
        if !config.rootless {
            match masquerade::Masquerade::start(config, node, host).await {
                Ok(masquerade) => return Ok(Self::Masquerade(masquerade)),
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    warn!(%error, cause, "kernel masquerade not possible, relaying egress instead");
                }
            }
        }
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
        Ok(Self::Relay { _tasks: tasks })
    }

    /// Whether packets of pods leave by an interface of the host, and not through sockets of this process.
    pub fn is_by_kernel(&self) -> bool {
        matches!(self, Self::Masquerade(_))
    }

    /// Removes what it left in the two namespaces.
    pub async fn stop(self, node: &Namespace, host: &Namespace) -> Result<(), Error> {
        match self {
            Self::Relay { .. } => {
                let removed = node.run(|| nftables::remove(TABLE)).await;
                Ok(removed.map_err(|source| Error::new("enter the node namespace", source))??)
            }
            Self::Masquerade(masquerade) => masquerade.stop(node, host).await,
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
