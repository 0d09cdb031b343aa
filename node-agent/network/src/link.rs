//! Interfaces, addresses, routes and rules as netlink requests, and the few odd ends of a namespace (sysctls).
//!
//! The messages are rtnetlink's; they are sent by `netlink`, many in one datagram from a thread inside the namespace,
//! because connecting a pod one answered message at a time takes several times as long.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsRawFd, BorrowedFd},
    time::{Duration, Instant},
};

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressHeaderFlags, AddressScope},
    link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkMessage},
    route::{RouteAttribute, RouteMessage, RouteScope, RouteType},
    rule::{RuleAction, RuleAttribute, RuleMessage},
};
use netlink_sys::protocols::NETLINK_ROUTE;
use rtnetlink::{AddressMessageBuilder, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use skiff_netns_proxy::netns::Namespace;

use crate::{
    netlink::{Netlink, Refused, Request, attribute},
    nftables::Family,
};

/// Number of the loopback interface in every network namespace.
pub(crate) const LOOPBACK: u32 = 1;

/// A rtnetlink socket in the calling thread's namespace.
pub(crate) fn open() -> io::Result<Netlink> {
    Netlink::open(NETLINK_ROUTE)
}

/// Carries out `requests`; what is there already is fine.
pub(crate) fn ensure(requests: &[Request]) -> Result<(), Refused> {
    let mut netlink = open().map_err(|source| Refused {
        what: "open netlink".into(),
        source,
    })?;
    netlink.execute(requests, |error| error.raw_os_error() == Some(libc::EEXIST))
}

/// A veth pair: `name` here and up, `peer` in the namespace behind `netns` (still down: the kernel makes that end first,
/// and an end without the other can't be up).
pub(crate) fn add_veth(name: &str, peer: &str, netns: BorrowedFd<'_>) -> Request {
    let other = LinkUnspec::new_with_name(peer)
        .setns_by_fd(netns.as_raw_fd())
        .build();
    let message = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .name(name)
        .up()
        .set_info_data(InfoData::Veth(InfoVeth::Peer(other)))
        .build();
    Request::route(
        format!("make veth pair {name}"),
        NLM_F_CREATE | NLM_F_EXCL,
        &RouteNetlinkMessage::NewLink(message),
    )
}

/// A veth pair with both ends here, the first without address resolution: whatever is routed to it comes out at the other.
pub(crate) fn add_veth_without_arp(name: &str, peer: &str) -> Request {
    let other = LinkUnspec::new_with_name(peer).build();
    let message = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .name(name)
        .arp(false)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(other)))
        .build();
    Request::route(
        format!("make veth pair {name}"),
        NLM_F_CREATE | NLM_F_EXCL,
        &RouteNetlinkMessage::NewLink(message),
    )
}

pub(crate) fn set_mtu(index: u32, mtu: u32) -> Request {
    let message = LinkUnspec::new_with_index(index).mtu(mtu).build();
    Request::route(
        format!("set MTU {mtu} of interface {index}"),
        0,
        &RouteNetlinkMessage::SetLink(message),
    )
}

/// The largest segments that sockets hand to an interface: usual ones, and those for interfaces behind which everything is of this
/// machine, where each is a way through the whole stack. A tunnel or a network card would have large ones cut in software before.
/// The kernel's own limit is a little more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segments {
    Usual = 65_536,
    Large = 500_000,
}

/// Sets the size of segments that sockets of the calling thread's namespace hand to an interface. Kernels before 6.3 know but one.
pub(crate) fn set_segments(index: u32, segments: Segments) {
    let message = LinkUnspec::new_with_index(index)
        .append_extra_attribute(LinkAttribute::GsoIpv4MaxSize(segments as u32))
        .build();
    let request = Request::route(
        format!("let interface {index} take segments of {} bytes", segments as u32),
        0,
        &RouteNetlinkMessage::SetLink(message),
    );
    if let Err(error) = ensure(&[request]) {
        tracing::debug!(%error, "segments stay as they are");
    }
}

pub(crate) fn set_up(index: u32) -> Request {
    let message = LinkUnspec::new_with_index(index).up().build();
    Request::route(
        format!("set interface {index} up"),
        0,
        &RouteNetlinkMessage::SetLink(message),
    )
}

/// Leaves a note at an interface, for whoever finds it.
pub(crate) fn set_alias(index: u32, alias: &str) -> Request {
    let message = LinkUnspec::new_with_index(index).alias(alias).build();
    Request::route(
        format!("set alias of interface {index}"),
        0,
        &RouteNetlinkMessage::SetLink(message),
    )
}

/// Deletes the interface `name` of the calling thread's namespace, and with it its peer. Idempotent.
pub(crate) fn delete(name: &str) -> Result<(), Refused> {
    let message = LinkUnspec::new_with_name(name).build();
    let request = Request::route(
        format!("delete interface {name}"),
        0,
        &RouteNetlinkMessage::DelLink(message),
    );
    let mut netlink = open().map_err(|source| Refused {
        what: "open netlink".into(),
        source,
    })?;
    netlink.execute(&[request], |error| error.raw_os_error() == Some(libc::ENODEV))
}

/// An interface as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    pub index: u32,
    pub name: String,
    /// Number of the other end, in its namespace.
    pub peer: Option<u32>,
    /// Ready to send.
    pub running: bool,
    /// A note made by [`set_alias`].
    pub alias: Option<String>,
    /// Of Ethernet.
    pub hardware_address: Option<[u8; 6]>,
}

/// The interface `name` of the calling thread's namespace, if there is one.
pub(crate) fn find(name: &str) -> io::Result<Option<Interface>> {
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::IfName(name.into())];
    let request = Request::route(
        format!("find interface {name}"),
        0,
        &RouteNetlinkMessage::GetLink(message),
    );
    match interfaces(&request) {
        Ok(found) => Ok(found.into_iter().next()),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Number of an interface of the calling thread's namespace that must be there.
pub(crate) fn index_of(name: &str) -> Result<u32, Refused> {
    let found = find(name).and_then(|found| found.ok_or_else(|| io::ErrorKind::NotFound.into()));
    let found = found.map_err(|source| Refused {
        what: format!("find interface {name}"),
        source,
    })?;
    Ok(found.index)
}

/// Waits until the interface `name` of `namespace` can send.
///
/// The kernel makes an interface ready in the background when its other end comes up. What is sent before that is
/// dropped, and the sender tries again a whole second later. Asking for the interface (Linux 6.8) hurries the kernel.
pub(crate) async fn wait_until_running(namespace: &Namespace, name: &str) -> Result<(), Refused> {
    const PATIENCE: Duration = Duration::from_secs(2);
    let refused = |source| Refused {
        what: format!("wait for interface {name}"),
        source,
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let wanted = name.to_owned();
        let found = namespace
            .run(move || find(&wanted))
            .await
            .and_then(|found| found)
            .map_err(refused)?;
        match found {
            Some(interface) if interface.running => return Ok(()),
            Some(_) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(1)).await,
            Some(_) => return Err(refused(io::ErrorKind::TimedOut.into())),
            None => return Err(refused(io::ErrorKind::NotFound.into())),
        }
    }
}

/// All interfaces of the calling thread's namespace.
pub(crate) fn list() -> io::Result<Vec<Interface>> {
    const NLM_F_DUMP: u16 = 0x300;
    let mut request = Request::route(
        "list interfaces",
        0,
        &RouteNetlinkMessage::GetLink(LinkMessage::default()),
    );
    request.flags = NLM_F_REQUEST | NLM_F_DUMP;
    interfaces(&request)
}

fn interfaces(request: &Request) -> io::Result<Vec<Interface>> {
    // After struct ifinfomsg; IFLA_ADDRESS, IFLA_IFNAME, IFLA_LINK and IFLA_IFALIAS. The rest is the driver's business and may be new to us.
    const HEADER_BYTES: usize = 16;
    const RUNNING: u32 = 0x40;
    let replies = open()?.query(request)?;
    let parsed = replies.iter().map(|reply| {
        let number = |bytes: &[u8]| bytes.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
        let attributes = reply.body.get(HEADER_BYTES..)?;
        let text = |kind: u16| {
            let text = attribute(attributes, kind)?;
            Some(String::from_utf8_lossy(text).trim_end_matches('\0').to_owned())
        };
        Some(Interface {
            index: number(&reply.body[4..])?,
            name: text(3)?,
            peer: attribute(attributes, 5).and_then(number),
            running: number(&reply.body[8..])? & RUNNING != 0,
            alias: text(20),
            hardware_address: attribute(attributes, 1).and_then(|bytes| bytes.try_into().ok()),
        })
    });
    let parsed: Option<Vec<Interface>> = parsed.collect();
    parsed.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "odd description of an interface"))
}

pub(crate) fn add_address(index: u32, address: IpAddr, prefix: u8, scope: AddressScope) -> Request {
    let mut message = match address {
        IpAddr::V4(address) => AddressMessageBuilder::<Ipv4Addr>::new()
            .index(index)
            .address(address, prefix)
            .build(),
        IpAddr::V6(address) => AddressMessageBuilder::<Ipv6Addr>::new()
            .index(index)
            .address(address, prefix)
            .build(),
    };
    message.header.scope = scope;
    if address.is_ipv6() {
        // Nobody else can have it, and asking first (DAD) takes a second in which it can't be used.
        message.header.flags = AddressHeaderFlags::Nodad;
    }
    Request::route(
        format!("add address {address}/{prefix}"),
        NLM_F_CREATE | NLM_F_REPLACE,
        &RouteNetlinkMessage::NewAddress(message),
    )
}

/// A route, built up by its fields.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub to: IpNet,
    pub kind: RouteType,
    pub device: Option<u32>,
    /// Of the family of `to`, as `source` is.
    pub via: Option<IpAddr>,
    pub source: Option<IpAddr>,
    pub metric: Option<u32>,
    pub table: u8,
}

/// The main routing table, and the kernel's own of local addresses.
pub(crate) const MAIN: u8 = 254;
pub(crate) const LOCAL: u8 = 255;

impl Route {
    /// To a range, or to a single address.
    pub fn new(to: impl Into<IpNet>) -> Self {
        Self {
            to: to.into(),
            kind: RouteType::Unicast,
            device: None,
            via: None,
            source: None,
            metric: None,
            table: MAIN,
        }
    }

    /// Adds the route, or replaces the one to the same destination with the same metric.
    pub fn request(&self) -> Request {
        Request::route(
            format!("add route to {}", self.to),
            NLM_F_CREATE | NLM_F_REPLACE,
            &RouteNetlinkMessage::NewRoute(self.message()),
        )
    }

    fn message(&self) -> RouteMessage {
        let scope = match (self.kind, self.via) {
            (RouteType::Local, _) => RouteScope::Host,
            (RouteType::Unicast, None) => RouteScope::Link,
            _ => RouteScope::Universe,
        };
        let mut message = RouteMessageBuilder::<IpAddr>::new()
            .kind(self.kind)
            .scope(scope)
            .table_id(self.table.into());
        let header = &mut message.get_mut().header;
        header.address_family = number_of(Family::of(self.to.addr()));
        header.destination_prefix_length = self.to.prefix_len();
        let mut addresses = Vec::new();
        if self.to.prefix_len() > 0 {
            addresses.push(RouteAttribute::Destination(self.to.network().into()));
        }
        addresses.extend(self.via.map(|via| RouteAttribute::Gateway(via.into())));
        addresses.extend(self.source.map(|from| RouteAttribute::PrefSource(from.into())));
        message.get_mut().attributes.extend(addresses);
        if let Some(device) = self.device {
            message = message.output_interface(device);
        }
        if let Some(metric) = self.metric {
            message = message.priority(metric);
        }
        message.build()
    }
}

/// Removes a route. Idempotent.
pub(crate) fn remove_route(route: &Route) -> Result<(), Refused> {
    let request = Request::route(
        format!("remove route to {}", route.to),
        0,
        &RouteNetlinkMessage::DelRoute(route.message()),
    );
    let mut netlink = open().map_err(Refused::of("open netlink"))?;
    netlink.execute(&[request], |error| error.raw_os_error() == Some(libc::ESRCH))
}

fn number_of(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

/// Packets of a family with this mark are routed by this table.
pub(crate) fn add_mark_rule(family: Family, mark: u32, table: u8, priority: u32) -> Request {
    let mut message = RuleMessage::default();
    message.header.family = number_of(family);
    message.header.table = table;
    message.header.action = RuleAction::ToTable;
    message.attributes = vec![
        RuleAttribute::FwMark(mark),
        RuleAttribute::FwMask(u32::MAX),
        RuleAttribute::Priority(priority),
    ];
    Request::route(
        format!("add rule for mark {mark}"),
        NLM_F_CREATE | NLM_F_EXCL,
        &RouteNetlinkMessage::NewRule(message),
    )
}

/// Writes a sysctl of the calling thread's network namespace; `name` with slashes, below `net/`.
pub(crate) fn sysctl(name: &str, value: &str) -> io::Result<()> {
    fs::write(format!("/proc/sys/net/{name}"), value)
        .map_err(|error| io::Error::new(error.kind(), format!("net/{name}={value}: {error}")))
}

/// Lets interfaces that come into the calling thread's namespace have IPv6 addresses, those that we give them and no others:
/// not what routers say, nor any made up of the hardware's.
pub(crate) fn use_given_ipv6() -> Result<(), Refused> {
    // Of link-local addresses: none (IN6_ADDR_GEN_MODE_NONE).
    let settings = [
        ("disable_ipv6", "0"),
        ("accept_ra", "0"),
        ("autoconf", "0"),
        ("addr_gen_mode", "1"),
        ("accept_dad", "0"),
        ("accept_redirects", "0"),
        ("router_solicitations", "0"),
    ];
    for (name, value) in settings {
        sysctl(&format!("ipv6/conf/default/{name}"), value).map_err(Refused::of("set up IPv6"))?;
    }
    Ok(())
}

/// Gives the calling thread's namespace a congestion control made for short paths. A new namespace inherits the
/// host's, and bbr, made for WANs, loses a third and more on veth.
pub(crate) fn set_congestion_control() {
    const NAME: &str = "ipv4/tcp_congestion_control";
    let inherited = fs::read_to_string(format!("/proc/sys/net/{NAME}")).unwrap_or_default();
    if inherited.trim().starts_with("bbr") && sysctl(NAME, "cubic").is_err() {
        // Always there, though.
        let _ = sysctl(NAME, "reno");
    }
}
