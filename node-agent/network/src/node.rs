//! The node namespace: made once, kept as a bind mount so that the next agent finds it, and set up for routing.

use std::{
    fs::{self, File},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use netlink_packet_route::{address::AddressScope, route::RouteType};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use skiff_netns_proxy::netns::Namespace;
use tracing::{info, warn};

use crate::{
    Config, GATEWAY,
    link::{self, LOCAL, LOOPBACK, Route},
    netlink::Refused,
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
pub(crate) fn set_up(config: &Config, node: std::net::Ipv4Addr) -> Result<(), Refused> {
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
    // Pods are IPv4; without IPv6 here there is one address family less to guard. Not there when booted without it.
    let _ = link::sysctl("ipv6/conf/default/disable_ipv6", "1");
    let _ = link::sysctl("ipv4/ip_unprivileged_port_start", "0");
    link::set_congestion_control();
    let services = Route {
        kind: RouteType::Local,
        device: Some(LOOPBACK),
        table: LOCAL,
        ..Route::new(config.service_cidr.trunc())
    };
    // Pods that are gone, or of nodes there is no way to: refused at once instead of going out to the world.
    let nowhere = |range: ipnet::Ipv4Net| Route {
        kind: RouteType::Unreachable,
        metric: Some(LAST_RESORT),
        ..Route::new(range.trunc())
    };
    link::ensure(&[
        link::set_up(LOOPBACK),
        link::add_address(LOOPBACK, node, 32, AddressScope::Universe),
        link::add_address(LOOPBACK, GATEWAY, 32, AddressScope::Link),
        services.request(),
        nowhere(config.pod_cidr).request(),
        nowhere(config.cluster_cidr).request(),
    ])
}
