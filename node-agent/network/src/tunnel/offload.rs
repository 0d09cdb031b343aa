//! Large packets as the kernel hands them over with an offload header: cut into packets of the wire on the way out.
//!
//! Source of the layout: `struct virtio_net_hdr` (linux/virtio_net.h); numbers in host order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Length of the offload header.
pub(crate) const HEADER_BYTES: usize = 10;

pub(crate) const NEEDS_CHECKSUM: u8 = 1;
pub(crate) const GSO_TCP4: u8 = 1;
pub(crate) const GSO_TCP6: u8 = 4;
const GSO_UDP: u8 = 5;
/// Congestion bits travel in the TCP header too.
const GSO_ECN: u8 = 0x80;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// What the kernel leaves to do for a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    pub flags: u8,
    pub gso_type: u8,
    pub header_length: u16,
    pub gso_size: u16,
    pub checksum_start: u16,
    pub checksum_offset: u16,
}

impl Header {
    /// None when `bytes` are too few.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        let number = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        Some(Self {
            flags: bytes[0],
            gso_type: bytes[1],
            header_length: number(2),
            gso_size: number(4),
            checksum_start: number(6),
            checksum_offset: number(8),
        })
    }

    pub fn write(&self, bytes: &mut [u8; HEADER_BYTES]) {
        bytes[0] = self.flags;
        bytes[1] = self.gso_type;
        for (place, number) in bytes[2..].chunks_exact_mut(2).zip([
            self.header_length,
            self.gso_size,
            self.checksum_start,
            self.checksum_offset,
        ]) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
    }
}

/// Adds `bytes` to an unfinished internet checksum (RFC 1071).
pub(crate) fn sum(start: u64, bytes: &[u8]) -> u64 {
    let mut total = start;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        // Two halves, so that the carries of half a million words still fit. In host order: the sum does not care, as
        // long as it is stored the same way.
        let word = u64::from_ne_bytes(word.try_into().unwrap_or_default());
        total += (word & 0xffff_ffff) + (word >> 32);
    }
    let mut pairs = words.remainder().chunks_exact(2);
    for pair in &mut pairs {
        total += u64::from(u16::from_ne_bytes([pair[0], pair[1]]));
    }
    if let [last] = pairs.remainder() {
        total += u64::from(u16::from_ne_bytes([*last, 0]));
    }
    total
}

/// The 16 bits of a sum, as they are stored.
pub(crate) fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// Sum of the pseudo header of TCP and UDP, `length` being that of their header and data. Only where its fields are differs
/// between the families.
pub(crate) fn pseudo_sum(packet: &[u8], protocol: u8, length: usize) -> u64 {
    let tail = [0, protocol, (length >> 8) as u8, length as u8];
    let addresses = if is_v6(packet) { 8..40 } else { 12..20 };
    sum(sum(0, &packet[addresses]), &tail)
}

/// Writes the checksum of the IPv4 header in front.
pub(crate) fn finish_ip(packet: &mut [u8], header_length: usize) {
    packet[10..12].fill(0);
    let total = !fold(sum(0, &packet[..header_length]));
    packet[10..12].copy_from_slice(&total.to_ne_bytes());
}

/// Writes the length of a packet, with an IP header of `header_length`, into that.
pub(crate) fn set_length(packet: &mut [u8], header_length: usize) {
    if is_v6(packet) {
        let payload = (packet.len() - header_length) as u16;
        packet[4..6].copy_from_slice(&payload.to_be_bytes());
    } else {
        let length = packet.len() as u16;
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        finish_ip(packet, header_length);
    }
}

/// Length of the IPv4 header, if `packet` begins with one.
pub(crate) fn ip_header(packet: &[u8]) -> Option<usize> {
    let length = usize::from(packet.first()? & 0x0f) * 4;
    (packet[0] >> 4 == 4 && length >= 20 && packet.len() >= length).then_some(length)
}

fn is_v6(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| first >> 4 == 6)
}

/// Length of the IPv6 header; what it may have behind it is not part of it.
const V6_HEADER: usize = 40;

/// What the IP header of either family says.
#[derive(Clone, Copy, Debug)]
struct Ip {
    length: usize,
    protocol: u8,
    is_v6: bool,
}

impl Ip {
    fn of(packet: &[u8]) -> Option<Self> {
        if is_v6(packet) {
            return (packet.len() >= V6_HEADER).then(|| Self {
                length: V6_HEADER,
                protocol: packet[6],
                is_v6: true,
            });
        }
        Some(Self {
            length: ip_header(packet)?,
            protocol: packet[9],
            is_v6: false,
        })
    }
}

/// Where a packet goes.
pub(crate) fn destination(packet: &[u8]) -> Option<IpAddr> {
    if Ip::of(packet)?.is_v6 {
        let bytes: &[u8; 16] = packet.get(24..)?.first_chunk()?;
        return Some(Ipv6Addr::from(*bytes).into());
    }
    let bytes: &[u8; 4] = packet.get(16..)?.first_chunk()?;
    Some(Ipv4Addr::from(*bytes).into())
}

/// Does what `header` leaves to do, and calls `emit` with each packet. Packets that can't be understood are dropped.
/// `scratch` is memory to be used again.
pub(crate) fn split(header: &Header, packet: &mut [u8], scratch: &mut Vec<u8>, mut emit: impl FnMut(&[u8])) {
    let Some(ip) = Ip::of(packet) else {
        return;
    };
    let kind = header.gso_type & !GSO_ECN;
    match kind {
        0 if header.flags & NEEDS_CHECKSUM == 0 || finish_checksum(header, packet, ip).is_some() => {
            emit(packet);
        }
        0 => {}
        GSO_TCP4 | GSO_TCP6 if ip.protocol == TCP && ip.is_v6 == (kind == GSO_TCP6) => {
            let Some(offset) = packet.get(ip.length + 12) else {
                return;
            };
            let length = ip.length + usize::from(offset >> 4) * 4;
            if length >= ip.length + 20 {
                cut(header, packet, ip, length, scratch, emit);
            }
        }
        GSO_UDP if ip.protocol == UDP => cut(header, packet, ip, ip.length + 8, scratch, emit),
        _ => {}
    }
}

/// The field holds the sum of the pseudo header already.
fn finish_checksum(header: &Header, packet: &mut [u8], ip: Ip) -> Option<()> {
    let start = usize::from(header.checksum_start);
    let field = start + usize::from(header.checksum_offset);
    let total = sum(0, packet.get(start..)?);
    let value = match !fold(total) {
        // Zero would mean "none" in UDP.
        0 if ip.protocol == UDP => 0xffff,
        value => value,
    };
    packet
        .get_mut(field..field + 2)?
        .copy_from_slice(&value.to_ne_bytes());
    Some(())
}

const FIN_AND_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

fn cut(
    header: &Header,
    packet: &[u8],
    ip: Ip,
    headers: usize,
    scratch: &mut Vec<u8>,
    mut emit: impl FnMut(&[u8]),
) {
    let size = usize::from(header.gso_size);
    if size == 0 || packet.len() < headers {
        return;
    }
    let is_tcp = ip.protocol == TCP;
    let ip_length = ip.length;
    let (head, data) = packet.split_at(headers);
    let sequence = |head: &[u8]| {
        head[ip_length + 4..]
            .first_chunk()
            .map_or(0, |b| u32::from_be_bytes(*b))
    };
    let count = data.len().div_ceil(size);
    for (number, part) in data.chunks(size).enumerate() {
        scratch.clear();
        scratch.extend_from_slice(head);
        scratch.extend_from_slice(part);
        let total = scratch.len();
        let segment = &mut scratch[..];
        finish_segment(segment, ip, number);
        let field = if is_tcp {
            let position = sequence(head).wrapping_add((number * size) as u32);
            segment[ip_length + 4..ip_length + 8].copy_from_slice(&position.to_be_bytes());
            if number + 1 < count {
                segment[ip_length + 13] &= !FIN_AND_PSH;
            }
            if number > 0 {
                segment[ip_length + 13] &= !CWR;
            }
            ip_length + 16
        } else {
            let length = (total - ip_length) as u16;
            segment[ip_length + 4..ip_length + 6].copy_from_slice(&length.to_be_bytes());
            ip_length + 6
        };
        segment[field..field + 2].fill(0);
        let pseudo = pseudo_sum(segment, ip.protocol, total - ip_length);
        let checksum = match !fold(sum(pseudo, &segment[ip_length..])) {
            0 if !is_tcp => 0xffff,
            value => value,
        };
        segment[field..field + 2].copy_from_slice(&checksum.to_ne_bytes());
        emit(segment);
    }
}

/// Has the IP header of the segment of this number, which begins as that of the whole, say its own length.
fn finish_segment(segment: &mut [u8], ip: Ip, number: usize) {
    if !ip.is_v6 {
        let first_id = u16::from_be_bytes([segment[4], segment[5]]);
        segment[4..6].copy_from_slice(&first_id.wrapping_add(number as u16).to_be_bytes());
    }
    set_length(segment, ip.length);
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A TCP packet with this sequence number, flags and data.
    pub fn tcp(sequence: u32, flags: u8, data: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 40];
        packet[0] = 0x45;
        packet[8] = 64;
        packet[9] = TCP;
        packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 1, 2]);
        packet[20..24].copy_from_slice(&[0x30, 0x39, 0, 80]);
        packet[24..28].copy_from_slice(&sequence.to_be_bytes());
        packet[28..32].copy_from_slice(&77_u32.to_be_bytes());
        packet[32] = 0x50;
        packet[33] = flags;
        packet[34..36].copy_from_slice(&500_u16.to_be_bytes());
        packet.extend_from_slice(data);
        let length = packet.len() as u16;
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        finish_ip(&mut packet, 20);
        let checksum = !fold(sum(pseudo_sum(&packet, TCP, packet.len() - 20), &packet[20..]));
        packet[36..38].copy_from_slice(&checksum.to_ne_bytes());
        packet
    }

    /// Whether both checksums of a TCP or UDP packet are right.
    pub fn is_sound(packet: &[u8]) -> bool {
        fold(sum(0, &packet[..20])) == 0xffff
            && fold(sum(
                pseudo_sum(packet, packet[9], packet.len() - 20),
                &packet[20..],
            )) == 0xffff
    }

    pub fn all(header: &Header, packet: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        split(header, &mut packet.to_vec(), &mut Vec::new(), |packet| {
            found.push(packet.to_vec())
        });
        found
    }

    /// The same packet over IPv6.
    pub fn over_v6(packet: &[u8]) -> Vec<u8> {
        let data = &packet[20..];
        let mut new = vec![
            0x60,
            0,
            0,
            0,
            (data.len() >> 8) as u8,
            data.len() as u8,
            packet[9],
            64,
        ];
        for last in [1, 2] {
            new.extend(Ipv6Addr::new(0xfd00, 0, 0, last, 0, 0, 0, last).octets());
        }
        new.extend_from_slice(data);
        // The pseudo header is another one.
        new[56..58].fill(0);
        let checksum = !fold(sum(pseudo_sum(&new, TCP, new.len() - 40), &new[40..]));
        new[56..58].copy_from_slice(&checksum.to_ne_bytes());
        new
    }

    #[test]
    fn a_large_packet_over_ipv6_is_cut_as_well() {
        let data: Vec<u8> = (0..3500_u32).map(|byte| byte as u8).collect();
        let large = over_v6(&tcp(7, 0x18, &data));
        assert_eq!(destination(&large), Some("fd00:0:0:2::2".parse().unwrap()));
        let header = Header {
            flags: NEEDS_CHECKSUM,
            gso_type: GSO_TCP6,
            header_length: 60,
            gso_size: 1000,
            checksum_start: 40,
            checksum_offset: 16,
        };
        let parts = all(&header, &large);
        assert_eq!(
            parts.iter().map(Vec::len).collect::<Vec<_>>(),
            [1060, 1060, 1060, 560]
        );
        let mut whole = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            assert_eq!(
                usize::from(u16::from_be_bytes([part[4], part[5]])),
                part.len() - 40
            );
            assert_eq!(part[44..48], (7 + 1000 * number as u32).to_be_bytes());
            let sum = sum(pseudo_sum(part, TCP, part.len() - 40), &part[40..]);
            assert_eq!(fold(sum), 0xffff);
            whole.extend_from_slice(&part[60..]);
        }
        assert_eq!(whole, data);
        assert!(all(&header, &large[..39]).is_empty());
    }

    #[test]
    fn a_sum_does_not_depend_on_how_bytes_are_grouped() {
        let bytes: Vec<u8> = (0..=255).collect();
        for length in [0, 1, 2, 7, 8, 9, 255, 256] {
            let simple = bytes[..length].chunks(2).map(|pair| {
                u64::from(u16::from_ne_bytes([
                    pair[0],
                    pair.get(1).copied().unwrap_or_default(),
                ]))
            });
            assert_eq!(fold(sum(0, &bytes[..length])), fold(simple.sum()), "{length}");
        }
    }

    #[test]
    fn a_large_tcp_packet_is_cut_into_sound_ones_in_order() {
        let data: Vec<u8> = (0..3500_u32).map(|byte| byte as u8).collect();
        let large = tcp(u32::MAX - 999, 0x19 | CWR, &data);
        let header = Header {
            flags: NEEDS_CHECKSUM,
            gso_type: GSO_TCP4 | GSO_ECN,
            header_length: 40,
            gso_size: 1000,
            checksum_start: 20,
            checksum_offset: 16,
        };
        let parts = all(&header, &large);
        assert_eq!(
            parts.iter().map(Vec::len).collect::<Vec<_>>(),
            [1040, 1040, 1040, 540]
        );
        assert!(parts.iter().all(|part| is_sound(part)));
        let flags: Vec<u8> = parts.iter().map(|part| part[33]).collect();
        assert_eq!(
            flags,
            [0x10 | CWR, 0x10, 0x10, 0x19],
            "only the last one pushes and ends"
        );
        assert_eq!(parts[1][24..28], 0_u32.to_be_bytes(), "sequence numbers wrap");
        let joined: Vec<u8> = parts.iter().flat_map(|part| part[40..].to_vec()).collect();
        assert_eq!(joined, data);
    }

    #[test]
    fn a_checksum_left_to_us_is_made_and_odd_packets_are_dropped() {
        let whole = tcp(1, 0x10, b"hello");
        let mut partial = whole.clone();
        let pseudo = fold(pseudo_sum(&partial, TCP, partial.len() - 20));
        partial[36..38].copy_from_slice(&pseudo.to_ne_bytes());
        let header = Header {
            flags: NEEDS_CHECKSUM,
            checksum_start: 20,
            checksum_offset: 16,
            ..Header::default()
        };
        assert_eq!(all(&header, &partial), std::slice::from_ref(&whole));
        assert_eq!(all(&Header::default(), &whole), std::slice::from_ref(&whole));
        let beyond = Header {
            checksum_start: 9000,
            ..header
        };
        assert!(all(&beyond, &partial).is_empty());
        assert!(all(&Header::default(), &[]).is_empty());
        assert!(
            all(
                &Header {
                    gso_type: GSO_TCP4,
                    ..header
                },
                &whole
            )
            .is_empty(),
            "no size"
        );
        assert!(
            all(
                &Header {
                    gso_type: 4,
                    gso_size: 9,
                    ..header
                },
                &whole
            )
            .is_empty(),
            "not IPv4"
        );
        let mut short = whole;
        short.truncate(30);
        assert!(
            all(
                &Header {
                    gso_type: GSO_TCP4,
                    gso_size: 9,
                    ..header
                },
                &short
            )
            .is_empty()
        );
    }
}
