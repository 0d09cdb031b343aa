//! The gate of a pod: what hands its connections to services over to a listener inside its own namespace.
//!
//! ```text
//! connect to 10.96.0.7:80 ─ rule: TCP to the service range ─► table 101: local, by loopback
//!      ─ prerouting ─► a ready port: TPROXY to the door        any other: reset
//! ```
//! Only packets that open connections meet the second half: those of established ones find their socket. UDP, and TCP to
//! the name server, go to the node namespace.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    sync::Arc,
};

use ipnet::Ipv4Net;
use netlink_packet_route::route::RouteType;
use skiff_netns_proxy::{DOOR, Gate, netns::Namespace};

use crate::{
    PodNetwork,
    link::{self, LOOPBACK, MAIN, Route},
    netlink::Refused,
    nftables::{self, Hook, Rule, Table},
};

const TABLE: &str = "skiff-services";
const SET: &str = "ready";

/// The routing table that makes service addresses local, and the priorities of the rules that lead there.
const ROUTES: u8 = 101;
const EXCEPTION_PRIORITY: u32 = 100;
const RULE_PRIORITY: u32 = 101;

struct PodGate {
    pod: Ipv4Addr,
    services: Ipv4Net,
    name_server: Ipv4Addr,
}

impl PodNetwork {
    /// What [`skiff_netns_proxy::Proxy::attach`] needs for an attached pod: its namespace, on the thread that connects
    /// pods, and its gate. The pod goes on reaching `name_server`, an address in the service range, by the node namespace.
    pub fn door(&self, pod: Ipv4Addr, name_server: Ipv4Addr) -> Option<(Arc<Namespace>, Arc<dyn Gate>)> {
        let namespace = self.pods.read().get(&pod)?.on(&self.builders);
        let gate = PodGate {
            pod,
            services: self.config.service_cidr.trunc(),
            name_server,
        };
        Some((namespace, Arc::new(gate)))
    }
}

/// With its cause in the text: the proxy only logs it.
fn told(refused: Refused) -> io::Error {
    io::Error::new(
        refused.source.kind(),
        format!("{}: {}", refused.what, refused.source),
    )
}

impl Gate for PodGate {
    fn set_up(&self, open: &[SocketAddrV4]) -> io::Result<()> {
        let services = Route {
            kind: RouteType::Local,
            device: Some(LOOPBACK),
            source: Some(self.pod),
            table: ROUTES,
            ..Route::new(self.services)
        };
        // Ports of connections that have ended are free again after a second: all connections to a backend come from its
        // own address, and its 28 000 ports would be used up for a minute.
        let _ = link::sysctl("ipv4/tcp_tw_reuse", "1");
        let rules = vec![
            Rule::new()
                .opens_tcp()
                .to_one_of(SET)
                .tproxy(*DOOR.ip(), DOOR.port())
                .accept(),
            Rule::new().opens_tcp().to(self.services).reset(),
        ];
        nftables::replace(&Table {
            name: TABLE,
            sets: &[(SET, open)],
            chains: &[("prerouting", Hook::Prerouting, rules)],
        })
        .map_err(told)?;
        // Last, so that no connection comes by loopback before the rules are there.
        link::ensure(&[
            services.request(),
            link::add_rule(self.name_server.into(), None, MAIN, EXCEPTION_PRIORITY),
            link::add_rule(self.services, Some(libc::IPPROTO_TCP), ROUTES, RULE_PRIORITY),
        ])
        .map_err(told)
    }

    fn change(&self, open: &[SocketAddrV4], close: &[SocketAddrV4]) -> io::Result<()> {
        nftables::change_set(TABLE, SET, open, close).map_err(told)
    }
}
