//! Packets that tell that a backend did not take a connection, and packets that begin it anew.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::tunnel::offload::{fold, ip_header, pseudo_sum, sum};

const ICMP: u8 = libc::IPPROTO_ICMP as u8;
const TCP: u8 = libc::IPPROTO_TCP as u8;
const UDP: u8 = libc::IPPROTO_UDP as u8;
const ICMP_UNREACHABLE: u8 = 3;
const ICMP_HEADER_BYTES: usize = 8;

/// Bits of TCP's flags.
pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const ACK: u8 = 0x10;

/// Between whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub client: SocketAddrV4,
    pub backend: SocketAddrV4,
}

/// Protocol, ends and the rest of a packet from its transport header on.
fn parse(packet: &[u8]) -> Option<(u8, SocketAddrV4, SocketAddrV4, &[u8])> {
    let header = ip_header(packet)?;
    let address = |at: usize| Some(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?));
    let rest = packet.get(header..)?;
    let port = |at: usize| Some(u16::from_be_bytes(*rest.get(at..)?.first_chunk::<2>()?));
    Some((
        packet[9],
        SocketAddrV4::new(address(12)?, port(0)?),
        SocketAddrV4::new(address(16)?, port(2)?),
        rest,
    ))
}

/// The packet an ICMP error is about.
fn quoted(icmp: &[u8]) -> Option<&[u8]> {
    (*icmp.first()? == ICMP_UNREACHABLE).then(|| icmp.get(ICMP_HEADER_BYTES..))?
}

/// Whose connection a packet tells of: a client's first packet, a backend's reset, or an ICMP error; none: another one.
pub(super) fn ends(packet: &[u8]) -> Option<Ends> {
    let (protocol, from, to, rest) = parse(packet)?;
    match protocol {
        TCP => match *rest.get(13)? & (SYN | ACK | RST) {
            SYN => Some(Ends {
                client: from,
                backend: to,
            }),
            flags => (flags & RST != 0).then_some(Ends {
                client: to,
                backend: from,
            }),
        },
        ICMP => {
            let (protocol, client, backend, _) = parse(quoted(rest)?)?;
            (protocol == TCP || protocol == UDP).then_some(Ends { client, backend })
        }
        _ => None,
    }
}

/// The number of the client's first byte, as the refusal of it tells.
fn first_number(packet: &[u8]) -> Option<u32> {
    let (protocol, _, _, rest) = parse(packet)?;
    let number = |at: usize, tcp: &[u8]| Some(u32::from_be_bytes(*tcp.get(at..)?.first_chunk::<4>()?));
    match protocol {
        TCP => Some(number(8, rest)?.wrapping_sub(1)),
        _ => number(4, parse(quoted(rest)?)?.3),
    }
}

/// The first packet of the TCP connection that was refused, to `front`. Options of the client's are not known any more: it has
/// none but a segment size that suits all ways, so that such a connection lacks window scaling and timestamps.
pub(super) fn first(refusal: &[u8], front: SocketAddrV4) -> Option<Vec<u8>> {
    const HEADERS: usize = 20 + 24;
    const SEGMENT_BYTES: u16 = 1360;
    const WINDOW_BYTES: u16 = 64_000;
    const DO_NOT_FRAGMENT: u8 = 0x40;
    let Ends { client, .. } = ends(refusal)?;
    let mut packet = vec![0; HEADERS];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&(HEADERS as u16).to_be_bytes());
    packet[6] = DO_NOT_FRAGMENT;
    packet[8] = 64;
    packet[9] = TCP;
    packet[12..16].copy_from_slice(&client.ip().octets());
    packet[20..22].copy_from_slice(&client.port().to_be_bytes());
    packet[24..28].copy_from_slice(&first_number(refusal)?.to_be_bytes());
    packet[32] = 6 << 4;
    packet[33] = SYN;
    packet[34..36].copy_from_slice(&WINDOW_BYTES.to_be_bytes());
    packet[40..42].copy_from_slice(&[2, 4]);
    packet[42..44].copy_from_slice(&SEGMENT_BYTES.to_be_bytes());
    redirected(&packet, front)
}

/// A TCP packet to `front` instead.
pub(super) fn redirected(packet: &[u8], front: SocketAddrV4) -> Option<Vec<u8>> {
    let header = ip_header(packet)?;
    let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    // All of it: no more than the headers are copied, and this one has nothing else.
    let mut packet = packet.get(..total)?.to_vec();
    packet.get(header..header + 20)?;
    packet[16..20].copy_from_slice(&front.ip().octets());
    packet[header + 2..header + 4].copy_from_slice(&front.port().to_be_bytes());
    packet[header + 16..header + 18].fill(0);
    let start = pseudo_sum(&packet, TCP, total - header);
    let value = !fold(sum(start, &packet[header..]));
    packet[header + 16..header + 18].copy_from_slice(&value.to_ne_bytes());
    Some(packet)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "10.42.3.2:40000";
    const BACKEND: &str = "10.42.3.3:8080";

    fn tcp(from: &str, to: &str, sequence: u32, acknowledged: u32, flags: u8) -> Vec<u8> {
        let (from, to): (SocketAddrV4, SocketAddrV4) = (from.parse().unwrap(), to.parse().unwrap());
        let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, TCP, 0, 0];
        packet.extend(from.ip().octets());
        packet.extend(to.ip().octets());
        packet.extend(from.port().to_be_bytes());
        packet.extend(to.port().to_be_bytes());
        packet.extend(sequence.to_be_bytes());
        packet.extend(acknowledged.to_be_bytes());
        packet.extend([5 << 4, flags, 1, 0, 0, 0, 0, 0]);
        packet
    }

    fn both() -> Ends {
        Ends {
            client: CLIENT.parse().unwrap(),
            backend: BACKEND.parse().unwrap(),
        }
    }

    /// Whether the receiver would take it.
    fn is_sound(packet: &[u8]) -> bool {
        let start = pseudo_sum(packet, TCP, packet.len() - 20);
        fold(sum(start, &packet[20..])) == 0xffff
    }

    #[test]
    fn a_refused_connection_begins_anew_with_the_clients_own_number() {
        let refusal = tcp(BACKEND, CLIENT, 0, 1001, RST | ACK);
        assert_eq!(ends(&refusal), Some(both()));
        let front = "10.43.0.10:80".parse().unwrap();
        let packet = first(&refusal, front).unwrap();
        let (protocol, from, to, rest) = parse(&packet).unwrap();
        assert_eq!((protocol, from, to), (TCP, both().client, front));
        assert_eq!(rest[4..8], 1000_u32.to_be_bytes());
        assert_eq!(rest[13], SYN);
        assert!(is_sound(&packet));
    }

    #[test]
    fn an_unanswered_packet_goes_on_as_it_is_to_the_front() {
        let unanswered = tcp(CLIENT, BACKEND, 77, 0, SYN);
        assert_eq!(ends(&unanswered), Some(both()));
        let front = "10.43.0.10:80".parse().unwrap();
        let packet = redirected(&unanswered, front).unwrap();
        let (_, from, to, rest) = parse(&packet).unwrap();
        assert_eq!(
            (from, to, &rest[4..8]),
            (both().client, front, &77_u32.to_be_bytes()[..])
        );
        assert!(is_sound(&packet));
        assert_eq!(redirected(&unanswered[..39], front), None, "not all of it");
    }

    #[test]
    fn an_icmp_error_tells_of_the_packet_it_quotes() {
        let question = tcp(CLIENT, BACKEND, 5, 0, SYN);
        let mut error = vec![
            0x45, 0, 0, 68, 0, 0, 0, 0, 64, ICMP, 0, 0, 10, 42, 3, 3, 10, 42, 3, 2,
        ];
        error.extend([ICMP_UNREACHABLE, 3, 0, 0, 0, 0, 0, 0]);
        error.extend(&question);
        assert_eq!(ends(&error), Some(both()));
        assert_eq!(first_number(&error), Some(5));
        error[20] = 8;
        assert_eq!(ends(&error), None, "a ping");
        for length in 0..error.len() {
            let _ = ends(&error[..length]);
        }
    }
}
