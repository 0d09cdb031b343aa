//! Packets of the wire merged into large ones on the way in, so that the kernel handles one instead of forty.
//!
//! The rules are those of the kernel's own receive offload: only TCP data in order, with the same headers, all but the last
//! of the same size. Packets are authenticated before they come here, so the checksum of a merged one is left undone
//! (`NEEDS_CHECKSUM`): the kernel counts it as good.

use super::offload::{self, GSO_TCP4, GSO_TCP6, HEADER_BYTES, Header, NEEDS_CHECKSUM};

/// Flows merged at once.
const FLOWS: usize = 8;
/// An IP packet has no more than 65535 bytes.
const LONGEST: usize = 65_000;

const ACK: u8 = 0x10;
const PSH: u8 = 0x08;

/// A large packet that grows.
struct Growing {
    /// Room for what goes in front, then the packet.
    bytes: Vec<u8>,
    /// Length of the IP header.
    ip: usize,
    /// Of all headers.
    headers: usize,
    /// Data of every packet but the last.
    size: usize,
    count: usize,
    next_sequence: u32,
}

/// Merges packets in the order they come. Each packet it hands on has `room` bytes in front, the offload header
/// first.
pub(crate) struct Merger {
    room: usize,
    growing: Vec<Growing>,
    spare: Vec<Vec<u8>>,
}

/// What of a TCP packet is looked at.
struct Segment<'a> {
    packet: &'a [u8],
    /// Length of the IP header.
    ip: usize,
    /// Of all headers.
    headers: usize,
    sequence: u32,
    flags: u8,
}

/// Length of the IP header of a whole, unfragmented TCP packet without options of IP.
fn ip_of_tcp(packet: &[u8]) -> Option<usize> {
    let number = |at: usize| usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
    let is_plain = match packet.first()? >> 4 {
        4 => {
            packet.len() >= 40
                && packet[0] == 0x45
                && packet[9] == 6
                && packet[6] & 0x3f == 0
                && packet[7] == 0
                && number(2) == packet.len()
        }
        6 => packet.len() >= 60 && packet[6] == 6 && number(4) == packet.len() - 40,
        _ => false,
    };
    is_plain.then_some(if packet[0] >> 4 == 4 { 20 } else { 40 })
}

impl<'a> Segment<'a> {
    /// None without data.
    fn of(packet: &'a [u8], ip: usize) -> Option<Self> {
        let tcp = &packet[ip..];
        let headers = ip + usize::from(tcp[12] >> 4) * 4;
        (headers >= ip + 20 && headers < packet.len()).then(|| Self {
            packet,
            ip,
            headers,
            sequence: tcp[4..]
                .first_chunk()
                .map_or(0, |bytes| u32::from_be_bytes(*bytes)),
            flags: tcp[13],
        })
    }

    fn data(&self) -> &'a [u8] {
        &self.packet[self.headers..]
    }
}

/// The version and, with headers as long as `ip` says, addresses and ports.
fn same_flow(one: &[u8], other: &[u8], ip: usize) -> bool {
    let addresses = if ip == 20 { 12 } else { 8 };
    one[0] >> 4 == other[0] >> 4 && one[addresses..ip + 4] == other[addresses..ip + 4]
}

impl Growing {
    fn packet(&self, room: usize) -> &[u8] {
        &self.bytes[room..]
    }

    fn takes(&self, room: usize, segment: &Segment<'_>) -> bool {
        let first = self.packet(room);
        let own = segment.packet;
        let (ip, headers) = (self.ip, self.headers);
        let alike = |range: std::ops::Range<usize>| first[range.clone()] == own[range];
        // Type of service and flow; time to live.
        let same_ip = if ip == 20 {
            alike(1..2) && alike(8..9)
        } else {
            alike(0..4) && alike(7..8)
        };
        same_ip
            && (ip, headers) == (segment.ip, segment.headers)
            && self.next_sequence == segment.sequence
            && segment.data().len() <= self.size
            && first.len() + segment.data().len() <= LONGEST
            // Acknowledgement; TCP options.
            && alike(ip + 8..ip + 12)
            && alike(ip + 20..headers)
    }
}

impl Merger {
    /// `room`: bytes to leave in front of each packet, at least the offload header's.
    pub fn new(room: usize) -> Self {
        Self {
            room: room.max(HEADER_BYTES),
            growing: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Takes a packet; what can't grow any more goes to `emit`.
    pub fn push(&mut self, packet: &[u8], emit: &mut impl FnMut(&mut [u8])) {
        let ip = ip_of_tcp(packet);
        let segment = ip
            .and_then(|ip| Segment::of(packet, ip))
            .filter(|segment| segment.flags & !PSH == ACK);
        let known = ip.and_then(|ip| {
            let mut growing = self.growing.iter();
            growing.position(|growing| growing.ip == ip && same_flow(growing.packet(self.room), packet, ip))
        });
        match (segment, known) {
            (Some(segment), Some(at)) if self.growing[at].takes(self.room, &segment) => {
                let growing = &mut self.growing[at];
                growing.bytes.extend_from_slice(segment.data());
                growing.count += 1;
                growing.next_sequence = growing.next_sequence.wrapping_add(segment.data().len() as u32);
                let flags = self.room + growing.ip + 13;
                growing.bytes[flags] |= segment.flags & PSH;
                if segment.data().len() < growing.size || segment.flags & PSH != 0 {
                    self.flush(at, emit);
                }
            }
            (segment, known) => {
                // What came before in this flow goes first.
                if let Some(at) = known {
                    self.flush(at, emit);
                }
                if self.growing.len() == FLOWS {
                    self.flush(0, emit);
                }
                let at = self.growing.len();
                self.begin(packet, segment.as_ref());
                if segment.is_none_or(|segment| segment.flags & PSH != 0) {
                    self.flush(at, emit);
                }
            }
        }
    }

    fn begin(&mut self, packet: &[u8], segment: Option<&Segment<'_>>) {
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.resize(self.room, 0);
        bytes.extend_from_slice(packet);
        let (ip, headers, size) = segment.map_or((0, 0, 0), |segment| {
            (segment.ip, segment.headers, segment.data().len())
        });
        self.growing.push(Growing {
            bytes,
            ip,
            headers,
            size,
            count: 1,
            next_sequence: segment.map_or(0, |segment| segment.sequence.wrapping_add(size as u32)),
        });
    }

    /// Hands on everything.
    pub fn finish(&mut self, emit: &mut impl FnMut(&mut [u8])) {
        while !self.growing.is_empty() {
            self.flush(0, emit);
        }
    }

    fn flush(&mut self, at: usize, emit: &mut impl FnMut(&mut [u8])) {
        let mut growing = self.growing.remove(at);
        let mut header = Header::default();
        if growing.count > 1 {
            let (packet, ip) = (&mut growing.bytes[self.room..], growing.ip);
            let length = packet.len();
            offload::set_length(packet, ip);
            let pseudo = offload::fold(offload::pseudo_sum(packet, 6, length - ip));
            packet[ip + 16..ip + 18].copy_from_slice(&pseudo.to_ne_bytes());
            header = Header {
                flags: NEEDS_CHECKSUM,
                gso_type: if ip == 20 { GSO_TCP4 } else { GSO_TCP6 },
                header_length: growing.headers as u16,
                gso_size: growing.size as u16,
                checksum_start: ip as u16,
                checksum_offset: 16,
            };
        }
        if let Some(front) = growing.bytes.first_chunk_mut() {
            header.write(front);
        }
        emit(&mut growing.bytes);
        self.spare.push(growing.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::offload::tests::*, *};

    const ROOM: usize = HEADER_BYTES + 14;

    /// What comes out, merged packets cut again: header and packet.
    fn merged(packets: &[Vec<u8>]) -> (Vec<Header>, Vec<Vec<u8>>) {
        let mut merger = Merger::new(ROOM);
        let (mut headers, mut cut) = (Vec::new(), Vec::new());
        let mut emit = |frame: &mut [u8]| {
            let header = Header::parse(frame).expect("a header");
            cut.extend(all(&header, &frame[ROOM..]));
            headers.push(header);
        };
        for packet in packets {
            merger.push(packet, &mut emit);
        }
        merger.finish(&mut emit);
        (headers, cut)
    }

    /// Without the identification, which a merged packet does not keep.
    fn essence(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut packets = packets.to_vec();
        for packet in &mut packets {
            packet[4..6].fill(0);
            offload::finish_ip(packet, 20);
        }
        packets
    }

    fn stream(count: u32, size: u32) -> Vec<Vec<u8>> {
        (0..count)
            .map(|number| tcp(1000 + number * size, ACK, &vec![number as u8; size as usize]))
            .collect()
    }

    #[test]
    fn data_in_order_becomes_one_packet_that_cuts_into_the_same() {
        let mut packets = stream(40, 1400);
        packets.push(tcp(1000 + 40 * 1400, ACK | PSH, b"the end"));
        let (headers, cut) = merged(&packets);
        assert_eq!(headers.len(), 1);
        assert_eq!((headers[0].gso_size, headers[0].header_length), (1400, 40));
        assert_eq!(essence(&cut), essence(&packets));
        assert!(cut.iter().all(|packet| is_sound(packet)));
    }

    #[test]
    fn so_does_data_over_ipv6() {
        let mut packets: Vec<Vec<u8>> = stream(20, 1400).iter().map(|packet| over_v6(packet)).collect();
        packets.push(over_v6(&tcp(1000 + 20 * 1400, ACK | PSH, b"the end")));
        // The same addresses and ports in the other family are no flow of these.
        packets.insert(7, tcp(77, ACK, &[7; 100]));
        let (headers, cut) = merged(&packets);
        let first = headers
            .iter()
            .find(|header| header.gso_size == 1400)
            .expect("merged");
        assert_eq!(
            (headers.len(), first.gso_type, first.header_length),
            (2, GSO_TCP6, 60)
        );
        let v6: Vec<&Vec<u8>> = cut.iter().filter(|packet| packet[0] >> 4 == 6).collect();
        packets.remove(7);
        assert_eq!(v6, packets.iter().collect::<Vec<_>>());
    }

    #[test]
    fn gaps_pure_acknowledgements_and_other_protocols_are_not_merged_and_keep_their_place() {
        let mut packets = stream(3, 100);
        packets.push(tcp(9000, ACK, &[1; 100]));
        packets.push(tcp(9100, ACK, b""));
        packets.push(tcp(9100, ACK | 1, b"fin"));
        let mut icmp = tcp(0, 0, b"");
        icmp[9] = 1;
        offload::finish_ip(&mut icmp, 20);
        packets.push(icmp);
        let (headers, cut) = merged(&packets);
        assert_eq!(headers.len(), 5);
        assert_eq!(essence(&cut), essence(&packets));
    }

    #[test]
    fn a_merged_packet_is_never_longer_than_ip_allows() {
        let packets = stream(100, 1400);
        let (headers, cut) = merged(&packets);
        assert_eq!((headers.len(), cut.len()), (3, 100));
        assert_eq!(essence(&cut), essence(&packets));
    }

    #[test]
    fn flows_that_alternate_are_each_merged() {
        let other = |packet: &Vec<u8>| {
            let mut packet = packet.clone();
            packet[21] ^= 1;
            packet
        };
        let packets: Vec<Vec<u8>> = stream(10, 500)
            .iter()
            .flat_map(|packet| [packet.clone(), other(packet)])
            .collect();
        assert_eq!(merged(&packets).0.len(), 2);
    }
}
