//! An interface of the node namespace whose packets we read and write: a TUN device, or a veth pair with a packet socket at its far end where
//! /dev/net/tun is closed to us. Both carry large packets behind an offload header.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

use super::offload::{HEADER_BYTES, Header};
use crate::{link, netlink::Refused, nftables::Family};

/// Name of the tunnel's interface.
pub(crate) const INTERFACE: &str = "tunnel";
/// The far end of an interface that is a veth pair.
fn far_end(name: &str) -> String {
    format!("{name}-far")
}

/// Length of an Ethernet header.
const ETHERNET_BYTES: usize = 14;
/// Longer than any packet with what is in front of it.
const LONGEST: usize = 66 * 1024;

/// How packets get in and out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A TUN device.
    Tun,
    /// A veth pair and a packet socket, because the TUN device could not be opened, for this reason.
    Veth(String),
}

/// The interface as we read and write it.
pub(crate) struct Device {
    file: File,
    /// Of the veth pair: what frames to the interface begin with, but for the protocol.
    ethernet: Option<[u8; ETHERNET_BYTES]>,
    pub kind: Kind,
}

impl Device {
    /// Makes the interface `name` for packets of these families in the calling thread's namespace; what an earlier agent left in
    /// its place goes first.
    pub fn open(name: &str, mtu: u32, families: &[Family]) -> Result<Self, Refused> {
        link::delete(name)?;
        let device = match skiff_sys::net::open_tun(name) {
            Ok(tun) => Self {
                file: tun.into(),
                ethernet: None,
                kind: Kind::Tun,
            },
            Err(error) => Self::open_veth(name, families, &error)?,
        };
        set_mtu(name, mtu)?;
        let index = link::index_of(name)?;
        link::ensure(&[link::set_up(index)])?;
        Ok(device)
    }

    fn open_veth(name: &str, families: &[Family], reason: &io::Error) -> Result<Self, Refused> {
        let far_end = far_end(name);
        link::ensure(&[link::add_veth_without_arp(name, &far_end)])?;
        let near = link::find(name)
            .and_then(|found| found.ok_or_else(|| io::ErrorKind::NotFound.into()))
            .map_err(Refused::of("find the tunnel's interface"))?;
        let far = link::index_of(&far_end)?;
        link::ensure(&[link::set_up(far)])?;
        let protocol = match families {
            [Family::V4] => libc::ETH_P_IP,
            _ => libc::ETH_P_ALL,
        };
        let socket = skiff_sys::net::packet_socket(far, protocol as u16)
            .map_err(Refused::of("open a packet socket for the tunnel"))?;
        let mut ethernet = [0; ETHERNET_BYTES];
        // To the interface itself: the kernel would not route what is for somebody else.
        ethernet[..6].copy_from_slice(&near.hardware_address.unwrap_or_default());
        Ok(Self {
            file: OwnedFd::into(socket),
            ethernet: Some(ethernet),
            kind: Kind::Veth(format!("/dev/net/tun: {reason}")),
        })
    }

    /// Bytes in front of a packet that is written: offload header and, maybe, Ethernet header.
    pub fn room(&self) -> usize {
        HEADER_BYTES + self.ethernet.map_or(0, |_| ETHERNET_BYTES)
    }

    /// Reads a packet: its offload header, and where in `buffer` it is. `WouldBlock` when there is none. `buffer` is
    /// made as long as it has to be.
    pub fn read(&self, buffer: &mut Vec<u8>) -> io::Result<(Header, std::ops::Range<usize>)> {
        buffer.resize(LONGEST, 0);
        let length = (&self.file).read(buffer)?;
        let room = self.room();
        let mut header = Header::parse(buffer).unwrap_or_default();
        if self.ethernet.is_some() {
            header.checksum_start = header.checksum_start.saturating_sub(ETHERNET_BYTES as u16);
        }
        Ok((header, room.min(length)..length))
    }

    /// Writes a frame: [`Self::room`] bytes, of which the offload header is filled in, then the packet. What the kernel has
    /// no room for is lost, as on any wire.
    pub fn write(&self, frame: &mut [u8]) -> io::Result<()> {
        if let Some(ethernet) = &self.ethernet {
            if let (Some(mut header), Some(front)) = (Header::parse(frame), frame.first_chunk_mut()) {
                let ahead = ETHERNET_BYTES as u16;
                if header.flags != 0 {
                    header.checksum_start += ahead;
                    header.header_length += ahead;
                }
                header.write(front);
            }
            let is_v6 = frame.get(self.room()).is_some_and(|first| first >> 4 == 6);
            let protocol = if is_v6 { libc::ETH_P_IPV6 } else { libc::ETH_P_IP };
            let front = &mut frame[HEADER_BYTES..HEADER_BYTES + ETHERNET_BYTES];
            front.copy_from_slice(ethernet);
            front[12..].copy_from_slice(&(protocol as u16).to_be_bytes());
        }
        match (&self.file).write(frame) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            other => other.map(drop),
        }
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for Device {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// Sets the MTU of an interface made by [`Device::open`].
pub(crate) fn set_mtu(name: &str, mtu: u32) -> Result<(), Refused> {
    let mut requests = vec![link::set_mtu(link::index_of(name)?, mtu)];
    // The far end takes what the near end sends whatever its MTU; the other way it must not be in the way.
    if let Ok(far) = link::index_of(&far_end(name)) {
        requests.push(link::set_mtu(far, mtu));
    }
    link::ensure(&requests)
}
