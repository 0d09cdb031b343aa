//! The node namespace: made once, kept as a bind mount so that the next agent finds it, and set up for routing.

use std::{
    fs::{self, File},
    io,
    net::IpAddr,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use ipnet::IpNet;
use netlink_packet_route::{address::AddressScope, route::RouteType};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use skiff_netns_proxy::netns::Namespace;
use tracing::{info, warn};

use crate::{
    Config, GATEWAY, LINK_LOCAL, PodAddress,
    link::{self, LOCAL, LOOPBACK, Route},
    netlink::{Refused, Request},
    nftables::{self, Chain, Family, Hook, Rule, Table},
};

/// `f_type` of a namespace file (linux/magic.h).
const NSFS_MAGIC: i64 = 0x6e73_6673;

/// The metric of routes that any other route to the same destination shall beat.
const LAST_RESORT: u32 = u32::MAX - 1;

/// Where the node namespace is kept.
pub(crate) fn mount_point(dir: &Path) -> PathBuf {
    dir.join("node-netns")
}

/// The node namespace an earlier agent left in `dir`, or a new one.
pub(crate) fn find_or_create(dir: &Path) -> io::Result<Arc<Namespace>> {
    let path = mount_point(dir);
    if let Some(kept) = open_kept(&path)? {
        info!("taking over the node namespace");
        return Namespace::enter("node", kept);
    }
    let node = Namespace::create("node")?;
    File::create(&path)?;
    let target = path.clone();
    let kept = node.run_blocking(move || {
        mount(
            Some("/proc/thread-self/ns/net"),
            &target,
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        )
    })?;
    if let Err(error) = kept {
        // Pods work all the same, but a restarted agent has to connect them anew.
        warn!(path = %path.display(), %error, "node namespace will not outlive this agent");
    }
    Ok(node)
}

fn open_kept(path: &Path) -> io::Result<Option<OwnedFd>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let kind = rustix::fs::fstatfs(&file)?.f_type;
    Ok((kind == NSFS_MAGIC).then(|| file.into()))
}

/// Takes the bind mount away. Idempotent.
pub(crate) fn forget(dir: &Path) -> io::Result<()> {
    let path = mount_point(dir);
    while open_kept(&path)?.is_some() {
        umount2(&path, MntFlags::MNT_DETACH)?;
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Sets the calling thread's namespace up as the node's. Idempotent.
pub(crate) fn set_up(config: &Config, node: PodAddress) -> Result<(), Refused> {
    let settings = [
        ("ipv4/ip_forward", "1"),
        // A packet whose source is not reached by the interface it came in on is dropped: with one /32 route per pod, no
        // pod can send from an address that is not its own.
        ("ipv4/conf/all/rp_filter", "1"),
        ("ipv4/conf/default/rp_filter", "1"),
        // The gateway's address is on loopback; it must be answered for on every veth. Hosts may have set these
        // differently, and a new namespace inherits the host's values.
        ("ipv4/conf/all/arp_ignore", "0"),
        ("ipv4/conf/default/arp_ignore", "0"),
        ("ipv4/conf/all/arp_filter", "0"),
        ("ipv4/conf/default/arp_filter", "0"),
        ("ipv4/conf/all/route_localnet", "0"),
        ("ipv4/conf/default/route_localnet", "0"),
        // Nearly all that comes here goes on: no packet is looked for a socket before it is routed.
        ("ipv4/ip_early_demux", "0"),
        ("ipv4/conf/all/send_redirects", "0"),
        ("ipv4/conf/default/send_redirects", "0"),
    ];
    for (name, value) in settings {
        link::sysctl(name, value).map_err(|source| Refused {
            what: "set up the node namespace".into(),
            source,
        })?;
    }
    match config.pod_cidr.v6 {
        Some(_) => set_up_ipv6()?,
        // One address family less to guard. Not there when booted without it.
        None => drop(link::sysctl("ipv6/conf/default/disable_ipv6", "1")),
    }
    let _ = link::sysctl("ipv4/ip_unprivileged_port_start", "0");
    link::set_congestion_control();
    let mut requests = vec![
        link::set_up(LOOPBACK),
        link::add_address(LOOPBACK, GATEWAY.into(), 32, AddressScope::Link),
    ];
    requests.extend(node.all().map(own_address));
    // Pods that are gone, or of nodes there is no way to: refused at once instead of going out to the world.
    let nowhere = |range: IpNet| Route {
        kind: RouteType::Unreachable,
        metric: Some(LAST_RESORT),
        ..Route::new(range.trunc())
    };
    let services = |range: IpNet| Route {
        kind: RouteType::Local,
        device: Some(LOOPBACK),
        table: LOCAL,
        ..Route::new(range.trunc())
    };
    requests.extend(config.service_cidr.all().map(|range| services(range).request()));
    let pods = config.pod_cidr.all().chain(config.cluster_cidr.all());
    requests.extend(pods.map(|range| nowhere(range).request()));
    link::ensure(&requests)
}

fn own_address(address: IpAddr) -> Request {
    let length = if address.is_ipv4() { 32 } else { 128 };
    link::add_address(LOOPBACK, address, length, AddressScope::Universe)
}

/// Name of the nftables table that sees to it that pods send from their own addresses.
const GUARD: &str = "skiff-guard";

/// What the second family needs. It has no `rp_filter`; a rule does the same.
fn set_up_ipv6() -> Result<(), Refused> {
    link::use_given_ipv6()?;
    let settings = [
        ("ipv6/conf/all/disable_ipv6", "0"),
        ("ipv6/conf/all/forwarding", "1"),
        // Service addresses are local as a range, which bind(2) does not know of in this family.
        ("ipv6/ip_nonlocal_bind", "1"),
    ];
    for (name, value) in settings {
        link::sysctl(name, value).map_err(Refused::of("set up IPv6 in the node namespace"))?;
    }
    let guard = vec![
        Rule::new().from(LINK_LOCAL).accept(),
        Rule::new().strayed().drop(),
    ];
    nftables::replace(&[Table {
        name: GUARD,
        family: Family::V6,
        sets: Vec::new(),
        chains: vec![Chain::at(Hook::Raw, "prerouting", guard)],
    }])
}
