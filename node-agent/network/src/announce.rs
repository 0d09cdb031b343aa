//! Addresses that this host answers for beside its own, as long as it is told to: an address on the interface whose network
//! it is in, and an announcement to the neighbours.
//!
//! The address has a lifetime in the kernel. One that is not prolonged goes by itself, whatever has become of the agent: two
//! hosts must not answer for the same one.

use std::{fs::File, io, io::Write as _, net::Ipv4Addr, time::Duration};

use ipnet::Ipv4Net;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage, CacheInfo},
};
use rtnetlink::AddressMessageBuilder;

use crate::{
    Error, PodNetwork,
    link::{self, Interface, LOOPBACK},
    netlink::{Refused, Request, attribute},
    tunnel::offload::HEADER_BYTES as OFFLOAD_BYTES,
};

const ETHERNET_BYTES: usize = 14;
const ARP_BYTES: usize = 28;

impl PodNetwork {
    /// Whether an interface of the host is in the network that an address belongs to.
    ///
    /// # Errors
    /// `AddrInUse` when the host has the address as one of its own; what the kernel refused.
    pub async fn is_beside(&self, address: Ipv4Addr) -> Result<bool, Error> {
        let found = self.host.run(move || interface_for(address)).await;
        let found = found.map_err(|source| Error::new("enter the host namespace", source))?;
        Ok(found.map_err(at(address))?.is_some())
    }

    /// Answers for an address from now on until `lifetime` (whole seconds) is over, and tells the neighbours so. Again: prolongs.
    ///
    /// # Errors
    /// As [`Self::is_beside`], and `NetworkUnreachable` where that says no.
    pub async fn answer_for(&self, address: Ipv4Addr, lifetime: Duration) -> Result<(), Error> {
        let answering = move || -> Result<(), Error> {
            let interface = interface_for(address)
                .and_then(|found| found.ok_or_else(|| io::ErrorKind::NetworkUnreachable.into()))
                .map_err(at(address))?;
            link::ensure(&[add(interface.index, address, lifetime)])?;
            tell_neighbours(&interface, address)
                .map_err(|source| Error::new(format!("announce {address} on {}", interface.name), source))
        };
        let answering = self.host.run(answering).await;
        answering.map_err(|source| Error::new("enter the host namespace", source))?
    }

    /// Answers no longer for an address that [`Self::answer_for`] was asked for. Idempotent.
    ///
    /// # Errors
    /// What the kernel refused.
    pub async fn stop_answering_for(&self, address: Ipv4Addr) -> Result<(), Error> {
        let removing = move || -> Result<(), Error> {
            let own = addresses().map_err(at(address))?;
            let own = own.into_iter().filter(|own| own.is_lent(address));
            for known in own {
                let request = Request::route(
                    format!("remove address {address}"),
                    0,
                    &RouteNetlinkMessage::DelAddress(message(known.interface, address)),
                );
                let gone = |error: &io::Error| error.raw_os_error() == Some(libc::EADDRNOTAVAIL);
                link::open()
                    .map_err(Refused::of("open netlink"))?
                    .execute(&[request], gone)?;
            }
            Ok(())
        };
        let removed = self.host.run(removing).await;
        removed.map_err(|source| Error::new("enter the host namespace", source))?
    }
}

fn at(address: Ipv4Addr) -> impl Fn(io::Error) -> Error {
    move |source| Error::new(format!("find the interface for {address}"), source)
}

/// An address of an interface.
#[derive(Debug)]
struct Known {
    interface: u32,
    net: Ipv4Net,
    is_permanent: bool,
}

impl Known {
    /// Whether it is an address we answer for, not one of the host's own.
    fn is_lent(&self, address: Ipv4Addr) -> bool {
        self.net.addr() == address && self.net.prefix_len() == 32 && !self.is_permanent
    }
}

/// The interface that has an address in the smallest network with `address`.
fn interface_for(address: Ipv4Addr) -> io::Result<Option<Interface>> {
    let all = addresses()?;
    let is_own = |known: &&Known| known.net.addr() == address && !known.is_lent(address);
    if all.iter().any(|known| is_own(&known)) {
        let text = "the host has this address itself";
        return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
    }
    let beside = all.iter().filter(|known| {
        known.interface != LOOPBACK && known.net.prefix_len() < 31 && known.net.contains(&address)
    });
    let Some(nearest) = beside.max_by_key(|known| known.net.prefix_len()) else {
        return Ok(None);
    };
    let mut interfaces = link::list()?.into_iter();
    Ok(interfaces.find(|interface| interface.index == nearest.interface && interface.running))
}

/// All IPv4 addresses of the calling thread's namespace.
fn addresses() -> io::Result<Vec<Known>> {
    // struct ifaddrmsg, then IFA_ADDRESS (the other end of a point-to-point link) and IFA_LOCAL.
    const HEADER_BYTES: usize = 8;
    const IFA_LOCAL: u16 = 2;
    const IFA_F_PERMANENT: u8 = 0x80;
    const NLM_F_DUMP: u16 = 0x300;
    let mut asked = AddressMessage::default();
    asked.header.family = AddressFamily::Inet;
    let mut request = Request::route("list addresses", 0, &RouteNetlinkMessage::GetAddress(asked));
    request.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let replies = link::open()?.query(&request)?;
    let known = replies.iter().filter_map(|reply| {
        let (header, attributes) = reply.body.split_first_chunk::<HEADER_BYTES>()?;
        let local: [u8; 4] = attribute(attributes, IFA_LOCAL)?.try_into().ok()?;
        Some(Known {
            interface: u32::from_ne_bytes([header[4], header[5], header[6], header[7]]),
            net: Ipv4Net::new(local.into(), header[1]).ok()?,
            is_permanent: header[2] & IFA_F_PERMANENT != 0,
        })
    });
    Ok(known.collect())
}

fn message(interface: u32, address: Ipv4Addr) -> AddressMessage {
    let builder = AddressMessageBuilder::<Ipv4Addr>::new();
    builder.index(interface).address(address, 32).build()
}

fn add(interface: u32, address: Ipv4Addr, lifetime: Duration) -> Request {
    let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
    let mut life = CacheInfo::default();
    (life.ifa_valid, life.ifa_preferred) = (seconds, seconds);
    let mut message = message(interface, address);
    message.attributes.push(AddressAttribute::CacheInfo(life));
    Request::route(
        format!("add address {address}"),
        NLM_F_CREATE | NLM_F_REPLACE,
        &RouteNetlinkMessage::NewAddress(message),
    )
}

/// Says whose an address is to all who may remember somebody else: as a question and as an answer, for some heed only one of them
/// (RFC 5227, 3). An interface without Ethernet needs none of it.
fn tell_neighbours(interface: &Interface, address: Ipv4Addr) -> io::Result<()> {
    let Some(hardware) = interface.hardware_address else {
        return Ok(());
    };
    let mut socket = File::from(skiff_sys::net::packet_socket(
        interface.index,
        libc::ETH_P_IP as u16,
    )?);
    for operation in [REQUEST, REPLY] {
        let mut frame = vec![0; OFFLOAD_BYTES];
        frame.extend(announcement(operation, hardware, address));
        socket.write_all(&frame)?;
    }
    Ok(())
}

const REQUEST: u8 = 1;
const REPLY: u8 = 2;

/// An ARP packet about oneself, to everybody. Source: RFC 826, RFC 5227.
fn announcement(operation: u8, hardware: [u8; 6], address: Ipv4Addr) -> [u8; ETHERNET_BYTES + ARP_BYTES] {
    const EVERYBODY: [u8; 6] = [0xff; 6];
    let mut frame = [0; ETHERNET_BYTES + ARP_BYTES];
    let (ethernet, arp) = frame.split_at_mut(ETHERNET_BYTES);
    ethernet[..6].copy_from_slice(&EVERYBODY);
    ethernet[6..12].copy_from_slice(&hardware);
    ethernet[12..].copy_from_slice(&(libc::ETH_P_ARP as u16).to_be_bytes());
    // Ethernet, IPv4, with addresses of 6 and 4 bytes.
    arp[..8].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, operation]);
    arp[8..14].copy_from_slice(&hardware);
    arp[14..18].copy_from_slice(&address.octets());
    arp[18..24].copy_from_slice(&EVERYBODY);
    arp[24..].copy_from_slice(&address.octets());
    frame
}
