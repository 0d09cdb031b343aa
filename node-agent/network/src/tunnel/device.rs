//! The tunnel's interface in the node namespace: a TUN device, or a veth pair with a packet socket at its far end where
//! /dev/net/tun is closed to us. Both carry large packets behind an offload header.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use super::offload::{HEADER_BYTES, Header};
use crate::{link, netlink::Refused};

/// Name of the interface that routes lead to.
pub(crate) const INTERFACE: &str = "tunnel";
/// The far end of the veth pair.
const FAR_END: &str = "tunnel-far";

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
    /// Of the veth pair: what frames to the interface begin with.
    ethernet: Option<[u8; ETHERNET_BYTES]>,
    pub kind: Kind,
}

impl Device {
    /// Makes the interface in the calling thread's namespace; what an earlier agent left in its place goes first.
    pub fn open(mtu: u32) -> Result<Self, Refused> {
        link::delete(INTERFACE)?;
        let device = match skiff_sys::net::open_tun(INTERFACE) {
            Ok(tun) => Self {
                file: tun.into(),
                ethernet: None,
                kind: Kind::Tun,
            },
            Err(error) => Self::open_veth(&error)?,
        };
        set_mtu(mtu)?;
        let index = link::index_of(INTERFACE)?;
        link::ensure(&[link::set_up(index)])?;
        Ok(device)
    }

    fn open_veth(reason: &io::Error) -> Result<Self, Refused> {
        link::ensure(&[link::add_veth_without_arp(INTERFACE, FAR_END)])?;
        let near = link::find(INTERFACE)
            .and_then(|found| found.ok_or_else(|| io::ErrorKind::NotFound.into()))
            .map_err(Refused::of("find the tunnel's interface"))?;
        let far = link::index_of(FAR_END)?;
        link::ensure(&[link::set_up(far)])?;
        let socket =
            skiff_sys::net::packet_socket(far).map_err(Refused::of("open a packet socket for the tunnel"))?;
        let mut ethernet = [0; ETHERNET_BYTES];
        // To the interface itself: the kernel would not route what is for somebody else.
        ethernet[..6].copy_from_slice(&near.hardware_address.unwrap_or_default());
        ethernet[12..].copy_from_slice(&(libc::ETH_P_IP as u16).to_be_bytes());
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
            frame[HEADER_BYTES..HEADER_BYTES + ETHERNET_BYTES].copy_from_slice(ethernet);
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

/// Sets the MTU of the interface, which must be there.
pub(crate) fn set_mtu(mtu: u32) -> Result<(), Refused> {
    let mut requests = vec![link::set_mtu(link::index_of(INTERFACE)?, mtu)];
    // The far end takes what the near end sends whatever its MTU; the other way it must not be in the way.
    if let Ok(far) = link::index_of(FAR_END) {
        requests.push(link::set_mtu(far, mtu));
    }
    link::ensure(&requests)
}
