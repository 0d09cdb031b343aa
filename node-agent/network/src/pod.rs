//! One pod's end of the network: its veth pair, address and routes.

use std::{
    net::{IpAddr, Ipv4Addr},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use netlink_packet_route::{address::AddressScope, route::RouteType};
use skiff_netns_proxy::netns::{KEPT_CLIENT, Namespace};

use crate::{
    GATEWAY, GATEWAY_V6, PodAddress,
    link::{self, LOOPBACK, Route, Segments},
    netlink::{Refused, Request},
    nftables::Family,
};

/// The pod's interface, as pods know it.
const INTERFACE: &str = "eth0";

/// The routing table of answers to clients whose address was kept, and the priority of the rule that leads there.
const KEPT_ROUTES: u8 = 102;
const KEPT_PRIORITY: u32 = 100;

/// What pods' interfaces take. Changes when other nodes come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wire {
    /// None: as the kernel makes it.
    pub mtu: Option<u32>,
    /// At the pod's end; the node's end always takes large ones: sockets that send there are the proxy's.
    pub segments: Segments,
}

/// The node's end of a pod's veth pair. Made of the address, so no two pods can have the same.
pub(crate) fn veth_name(address: Ipv4Addr) -> String {
    format!("veth{:08x}", u32::from(address))
}

/// Connects the namespace `pod` with `address` to the node namespace, unless it is connected already. What an earlier
/// pod or half a connection left in the way is removed.
pub(crate) async fn connect(
    node: &Namespace,
    node_address: PodAddress,
    pod: &Arc<Namespace>,
    address: PodAddress,
    wire: Wire,
) -> Result<(), Refused> {
    let name = veth_name(address.v4);
    let run = Refused::of("enter a namespace");
    let has_v6 = address.v6.is_some();
    let inside = pod.run(move || prepare(has_v6)).await.map_err(&run)??;
    let occupied = inside.is_some();
    // The pod's namespace by descriptor; the pod's thread may be elsewhere by then.
    let target: OwnedFd = pod
        .as_fd()
        .try_clone_to_owned()
        .map_err(Refused::of("keep the pod's namespace"))?;
    let outside = name.clone();
    let new = node
        .run(move || {
            let known = link::find(&outside).map_err(Refused::of("find the pod's interface"))?;
            if let (Some(inside), Some(known)) = (&inside, &known)
                && inside.peer == Some(known.index)
                && known.peer == Some(inside.index)
            {
                return Ok(false);
            }
            if known.is_some() {
                link::delete(&outside)?;
            }
            Ok::<bool, Refused>(true)
        })
        .await
        .map_err(&run)??;
    if new && occupied {
        pod.run(|| link::delete(INTERFACE)).await.map_err(&run)??;
    }
    let outside = name.clone();
    node.run(move || {
        if new {
            link::ensure(&[link::add_veth(&outside, INTERFACE, target.as_fd())])?;
        }
        let index = link::index_of(&outside)?;
        let mut requests = routes_to_pod(index, node_address, address);
        requests.extend(wire.mtu.map(|mtu| link::set_mtu(index, mtu)));
        link::ensure(&requests)?;
        link::set_segments(index, Segments::Large);
        Ok(())
    })
    .await
    .map_err(&run)??;
    pod.run(move || {
        let index = link::index_of(INTERFACE)?;
        let mut requests = vec![link::set_up(index)];
        requests.extend(address.all().flat_map(|address| routes_of_pod(index, address)));
        requests.extend(wire.mtu.map(|mtu| link::set_mtu(index, mtu)));
        link::ensure(&requests)?;
        link::set_segments(index, wire.segments);
        Ok::<(), Refused>(())
    })
    .await
    .map_err(&run)??;
    link::wait_until_running(node, &name).await
}

/// The node's end of a pod's link.
fn routes_to_pod(index: u32, node: PodAddress, pod: PodAddress) -> Vec<Request> {
    let mut requests: Vec<Request> = pod
        .all()
        .zip(node.all())
        .map(|(pod, node)| {
            let route = Route {
                device: Some(index),
                source: Some(node),
                ..Route::new(pod)
            };
            route.request()
        })
        .collect();
    if pod.v6.is_some() {
        // What the pod's gateway is; and neighbours are asked for from an address of the link.
        let gateway = link::add_address(index, GATEWAY_V6.into(), 64, AddressScope::Link);
        requests.insert(0, gateway);
    }
    requests
}

/// What belongs to one of a pod's addresses, at the pod's end.
fn routes_of_pod(index: u32, address: IpAddr) -> Vec<Request> {
    let family = Family::of(address);
    let (gateway, length) = match family {
        Family::V4 => (IpAddr::V4(GATEWAY), 32),
        Family::V6 => (IpAddr::V6(GATEWAY_V6), 128),
    };
    let to_gateway = Route {
        device: Some(index),
        ..Route::new(gateway)
    };
    let default = Route {
        device: Some(index),
        via: Some(gateway),
        ..Route::new(family.everything())
    };
    let kept = Route {
        kind: RouteType::Local,
        device: Some(LOOPBACK),
        table: KEPT_ROUTES,
        ..Route::new(family.everything())
    };
    vec![
        link::add_address(index, address, length, AddressScope::Universe),
        to_gateway.request(),
        default.request(),
        // Answers to clients whose address the proxy kept go back to the proxy's socket here, not out.
        kept.request(),
        link::add_mark_rule(family, KEPT_CLIENT, KEPT_ROUTES, KEPT_PRIORITY),
    ]
}

/// Sets what the interface of a connected pod takes.
pub(crate) async fn set_wire(
    node: &Namespace,
    pod: &Namespace,
    address: Ipv4Addr,
    wire: Wire,
) -> Result<(), Refused> {
    let run = Refused::of("enter a namespace");
    let name = veth_name(address);
    let set = move |name: &str| -> Result<u32, Refused> {
        let index = link::index_of(name)?;
        let requests: Vec<_> = wire.mtu.iter().map(|mtu| link::set_mtu(index, *mtu)).collect();
        link::ensure(&requests)?;
        Ok(index)
    };
    node.run(move || set(&name)).await.map_err(&run)??;
    pod.run(move || {
        let index = set(INTERFACE)?;
        link::set_segments(index, wire.segments);
        Ok(())
    })
    .await
    .map_err(&run)?
}

/// Removes the pod's veth pair from the node namespace (and so from the pod's). Idempotent.
pub(crate) async fn disconnect(node: &Namespace, address: Ipv4Addr) -> Result<(), Refused> {
    let name = veth_name(address);
    node.run(move || link::delete(&name))
        .await
        .map_err(Refused::of("enter the node namespace"))?
}

/// What a pod's namespace needs before it has an interface; returns the interface it may have.
fn prepare(has_v6: bool) -> Result<Option<link::Interface>, Refused> {
    let inside = link::find(INTERFACE).map_err(Refused::of("look into the pod's namespace"))?;
    if inside.is_none() {
        if has_v6 {
            link::use_given_ipv6()?;
        } else {
            // No link-local address and no search for routers on eth0; `::1` stays.
            let _ = link::sysctl("ipv6/conf/default/disable_ipv6", "1");
        }
        // As Kubernetes' container runtimes do: a container needs no capability for port 80 or ping.
        let _ = link::sysctl("ipv4/ip_unprivileged_port_start", "0");
        let _ = link::sysctl("ipv4/ping_group_range", "0 2147483647").or_else(|_| {
            // Only groups mapped into the user namespace may be named.
            link::sysctl("ipv4/ping_group_range", "0 65535")
                .or_else(|_| link::sysctl("ipv4/ping_group_range", "0 0"))
        });
        let _ = link::sysctl("ipv4/tcp_fwmark_accept", "1");
        // Ports of connections that have ended are free after a second: without the client's address, all connections of
        // the proxy to a pod come from one address.
        let _ = link::sysctl("ipv4/tcp_tw_reuse", "1");
        let _ = link::sysctl("ipv4/conf/all/route_localnet", "0");
        let _ = link::sysctl("ipv4/conf/default/route_localnet", "0");
        link::set_congestion_control();
    }
    link::ensure(&[link::set_up(LOOPBACK)])?;
    // The way of the proxy's connections to this pod's servers.
    link::set_segments(LOOPBACK, Segments::Large);
    Ok(inside)
}
