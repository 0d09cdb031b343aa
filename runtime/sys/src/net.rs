//! Devices and sockets of the network that carry packets with their offload header (`struct virtio_net_hdr`, 10 bytes); what
//! sockets tell by ioctl(2).

use std::{
    fs::OpenOptions,
    io, mem,
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
};

/// `TUNSETOFFLOAD` with `TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6` (linux/if_tun.h).
const TUNSETOFFLOAD: libc::c_ulong = 0x4004_54d0;
const OFFLOAD_CHECKSUM_AND_TCP: libc::c_ulong = 0x01 | 0x02 | 0x04;

/// linux/sockios.h.
const SIOCATMARK: libc::c_ulong = 0x8905;

/// `PACKET_VNET_HDR` and `PACKET_IGNORE_OUTGOING` (linux/if_packet.h).
const PACKET_VNET_HDR: libc::c_int = 15;
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// Makes the TUN device `name` in the calling thread's network namespace: IP packets, each behind an offload header, with
/// checksums and TCP segmentation left to the reader. It goes with the descriptor, which does not block.
///
/// # Errors
/// As open(2) of `/dev/net/tun`; `EPERM` without CAP_NET_ADMIN; `EBUSY` for a name that is taken.
pub fn open_tun(name: &str) -> io::Result<OwnedFd> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")?;
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    let room = request.ifr_name.len() - 1;
    for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes().take(room)) {
        *place = byte as libc::c_char;
    }
    let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: the descriptor is open and the request lives through the call.
    check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })?;
    // SAFETY: as above; the argument is an integer.
    check(unsafe { libc::ioctl(file.as_raw_fd(), TUNSETOFFLOAD, OFFLOAD_CHECKSUM_AND_TCP) })?;
    Ok(file.into())
}

/// Whether all that comes before a TCP socket's urgent byte has been read. Source: tcp(7), `SIOCATMARK`.
///
/// # Errors
/// As ioctl(2): for what is no TCP socket.
pub fn is_at_urgent_mark(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let mut at_mark: libc::c_int = 0;
    // SAFETY: the descriptor is open, and the kernel writes an int, which lives through the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), SIOCATMARK, &raw mut at_mark) })?;
    Ok(at_mark != 0)
}

/// A packet socket on one interface of the calling thread's network namespace: frames of a protocol (`ETH_P_IP`, `ETH_P_ALL`)
/// that arrive there, each behind an offload header. It does not block. Source: packet(7).
///
/// # Errors
/// `EPERM` without CAP_NET_RAW; `ENODEV` without that interface.
pub fn packet_socket(interface: u32, protocol: u16) -> io::Result<OwnedFd> {
    let protocol = protocol.to_be();
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // Protocol 0: nothing is received before the socket is bound to its interface.
    // SAFETY: the arguments are integers.
    let fd = check(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
    // SAFETY: the kernel has just made this descriptor for us and nobody else knows it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    for option in [PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING] {
        let on: libc::c_int = 1;
        // SAFETY: the value is a live int of the size told.
        check(unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                option,
                (&raw const on).cast(),
                mem::size_of::<libc::c_int>() as libc::socklen_t,
            )
        })?;
    }
    // SAFETY: all-zero is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as libc::c_ushort;
    address.sll_protocol = protocol;
    address.sll_ifindex = interface as libc::c_int;
    // SAFETY: the address is live and of the size told.
    check(unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    })?;
    Ok(socket)
}

/// The MTU of the path a connected IPv4 socket takes, as far as the kernel knows it: that of the route, or less.
/// Source: ip(7), IP_MTU.
///
/// # Errors
/// `ENOTCONN` for a socket that is not connected.
pub fn path_mtu(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut mtu: libc::c_int = 0;
    let mut length = mem::size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: both places are live, and the length tells the size of the first.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_MTU,
            (&raw mut mtu).cast(),
            &raw mut length,
        )
    })?;
    u32::try_from(mtu).map_err(io::Error::other)
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    #[test]
    fn loopback_has_a_large_mtu_and_an_unconnected_socket_none() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("bind");
        assert_eq!(
            super::path_mtu(socket.as_fd()).unwrap_err().raw_os_error(),
            Some(libc::ENOTCONN)
        );
        socket.connect("127.0.0.1:9").expect("connect");
        assert!(super::path_mtu(socket.as_fd()).expect("an MTU") > 1500);
    }
}
