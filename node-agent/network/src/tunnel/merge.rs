//! Packets of the wire merged into large ones on the way in, so that the kernel handles one instead of forty.
//!
//! The rules are those of the kernel's own receive offload: only TCP data in order, with the same headers, all but the last
//! of the same size. Packets are authenticated before they come here, so the checksum of a merged one is left undone
//! (`NEEDS_CHECKSUM`): the kernel counts it as good.

use super::offload::{self, GSO_TCP4, HEADER_BYTES, Header, NEEDS_CHECKSUM};

/// Flows merged at once.
const FLOWS: usize = 8;
/// An IPv4 packet has no more than 65535 bytes.
const LONGEST: usize = 65_000;

const ACK: u8 = 0x10;
const PSH: u8 = 0x08;

/// A large packet that grows.
struct Growing {
    /// Room for what goes in front, then the packet.
    bytes: Vec<u8>,
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
    headers: usize,
    sequence: u32,
    flags: u8,
}

impl<'a> Segment<'a> {
    /// None for anything but an unfragmented TCP packet with data and without options of IP.
    fn of(packet: &'a [u8]) -> Option<Self> {
        let is_plain = packet.len() > 40
            && packet[0] == 0x45
            && packet[9] == 6
            && packet[6] & 0x3f == 0
            && packet[7] == 0
            && usize::from(u16::from_be_bytes([packet[2], packet[3]])) == packet.len();
        if !is_plain {
            return None;
        }
        let headers = 20 + usize::from(packet[32] >> 4) * 4;
        (headers >= 40 && headers < packet.len()).then(|| Self {
            packet,
            headers,
            sequence: packet[24..]
                .first_chunk()
                .map_or(0, |bytes| u32::from_be_bytes(*bytes)),
            flags: packet[33],
        })
    }

    fn data(&self) -> &'a [u8] {
        &self.packet[self.headers..]
    }
}

/// Addresses and ports.
fn same_flow(one: &[u8], other: &[u8]) -> bool {
    one[12..24] == other[12..24]
}

impl Growing {
    fn packet(&self, room: usize) -> &[u8] {
        &self.bytes[room..]
    }

    fn takes(&self, room: usize, segment: &Segment<'_>) -> bool {
        let first = self.packet(room);
        let own = segment.packet;
        self.headers == segment.headers
            && self.next_sequence == segment.sequence
            && segment.data().len() <= self.size
            && first.len() + segment.data().len() <= LONGEST
            // Type of service; time to live; acknowledgement; TCP options.
            && first[1] == own[1]
            && first[8] == own[8]
            && first[28..32] == own[28..32]
            && first[40..self.headers] == own[40..self.headers]
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
        let segment = Segment::of(packet).filter(|segment| segment.flags & !PSH == ACK);
        let is_tcp = packet.len() >= 40 && packet[0] >> 4 == 4 && packet[9] == 6;
        let known = self
            .growing
            .iter()
            .position(|growing| is_tcp && same_flow(growing.packet(self.room), packet));
        match (segment, known) {
            (Some(segment), Some(at)) if self.growing[at].takes(self.room, &segment) => {
                let growing = &mut self.growing[at];
                growing.bytes.extend_from_slice(segment.data());
                growing.count += 1;
                growing.next_sequence = growing.next_sequence.wrapping_add(segment.data().len() as u32);
                let flags = self.room + 33;
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
        let (headers, size) = segment.map_or((0, 0), |segment| (segment.headers, segment.data().len()));
        self.growing.push(Growing {
            bytes,
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
            let packet = &mut growing.bytes[self.room..];
            let length = packet.len();
            packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            offload::finish_ip(packet, 20);
            let pseudo = offload::fold(offload::pseudo_sum(packet, packet[9], length - 20));
            packet[36..38].copy_from_slice(&pseudo.to_ne_bytes());
            header = Header {
                flags: NEEDS_CHECKSUM,
                gso_type: GSO_TCP4,
                header_length: growing.headers as u16,
                gso_size: growing.size as u16,
                checksum_start: 20,
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
