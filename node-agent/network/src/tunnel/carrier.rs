//! Packets carried by streams, for a peer that UDP does not reach.
//!
//! ```text
//! no stream ──attach──► by the stream ──"heard you by UDP"──► by UDP, the stream kept ──30 s──► no stream
//!                            ▲                                     │
//!                            └────────── 10 s without it ──────────┘
//! ```
//! Either direction decides for itself. While there is a stream each side sends an empty packet by UDP every two seconds, and
//! says over the stream when one came. Packets stay encrypted from end to end; those that the stream has no room for are
//! lost, as on any wire.
//!
//! Frames: length (16 bits, most significant byte first), then a packet; of length 0: "heard you by UDP".

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
};

/// Packets that wait for a stream.
const QUEUE: usize = 256;
/// Pause between two empty packets by UDP, and between two words that one came.
const PROBE: Duration = Duration::from_secs(2);
/// How long a word that UDP got through counts.
const TRUST: Duration = Duration::from_secs(10);
/// UDP that has got through for this long needs no stream.
const SETTLED: Duration = Duration::from_secs(30);

/// The streams to one peer.
#[derive(Default)]
pub(crate) struct Carriers {
    state: Mutex<State>,
    next: AtomicU64,
}

#[derive(Default)]
struct State {
    /// The newest is used. Both sides may have opened one at the same time.
    streams: Vec<(u64, mpsc::Sender<Vec<u8>>)>,
    /// When the other side last said that our UDP got through, and since when it has gone on saying so.
    direct: Option<(Instant, Instant)>,
    told: Option<Instant>,
    probed: Option<Instant>,
}

/// What is decided, at a time that the caller tells.
impl State {
    fn is_direct(&self, now: Instant) -> bool {
        self.direct
            .is_some_and(|(_, last)| now.duration_since(last) < TRUST)
    }

    fn in_use(&self, now: Instant) -> Option<&mpsc::Sender<Vec<u8>>> {
        let (_, stream) = self.streams.last()?;
        (!self.is_direct(now)).then_some(stream)
    }

    fn got_through(&mut self, now: Instant) {
        let since = if self.is_direct(now) { self.direct } else { None };
        self.direct = Some((since.map_or(now, |(since, _)| since), now));
    }

    fn is_settled(&self, now: Instant) -> bool {
        self.is_direct(now)
            && self
                .direct
                .is_some_and(|(since, _)| now.duration_since(since) >= SETTLED)
    }

    fn is_word_due(&mut self, now: Instant) -> bool {
        !self.streams.is_empty() && due(&mut self.told, now)
    }

    fn is_probe_due(&mut self, now: Instant) -> bool {
        !self.streams.is_empty() && due(&mut self.probed, now)
    }

    fn add(&mut self, id: u64, stream: mpsc::Sender<Vec<u8>>) {
        if self.streams.is_empty() {
            // What was said over streams that have ended may no longer be so.
            *self = Self::default();
        }
        self.streams.push((id, stream));
    }
}

fn due(last: &mut Option<Instant>, now: Instant) -> bool {
    let is_due = last.is_none_or(|last| now.duration_since(last) >= PROBE);
    if is_due {
        *last = Some(now);
    }
    is_due
}

impl Carriers {
    /// The stream to send by; none: UDP.
    pub fn present(&self) -> Option<mpsc::Sender<Vec<u8>>> {
        self.state.lock().in_use(Instant::now()).cloned()
    }

    /// Whether there is a stream, in use or not.
    pub fn any(&self) -> bool {
        !self.state.lock().streams.is_empty()
    }

    /// An authenticated packet came by UDP: the other side is told.
    pub fn heard_directly(&self) {
        let mut state = self.state.lock();
        if state.is_word_due(Instant::now()) {
            for (_, stream) in &state.streams {
                let _ = stream.try_send(Vec::new());
            }
        }
    }

    /// Whether to try UDP again now.
    pub fn is_probe_due(&self) -> bool {
        self.state.lock().is_probe_due(Instant::now())
    }

    /// Whether UDP has got through for long enough.
    pub fn is_settled(&self) -> bool {
        self.state.lock().is_settled(Instant::now())
    }

    /// Takes a stream in; it goes with the handle.
    pub fn attach(self_: &Arc<super::peers::Link>) -> Attached {
        let (queue, packets) = mpsc::channel(QUEUE);
        let carriers = &self_.carriers;
        let id = carriers.next.fetch_add(1, Ordering::Relaxed);
        carriers.state.lock().add(id, queue);
        Attached {
            link: Arc::clone(self_),
            id,
            packets,
        }
    }
}

/// A stream of a peer, while it carries.
pub(crate) struct Attached {
    link: Arc<super::peers::Link>,
    id: u64,
    packets: mpsc::Receiver<Vec<u8>>,
}

impl Attached {
    /// Moves packets until the stream ends, with what is to be done with those that come.
    pub async fn run(
        &mut self,
        stream: impl AsyncRead + AsyncWrite,
        mut take: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        let (mut read, mut write) = tokio::io::split(stream);
        let packets = &mut self.packets;
        let sending = async {
            let (mut waiting, mut frames) = (Vec::new(), Vec::new());
            while packets.recv_many(&mut waiting, 64).await > 0 {
                frames.clear();
                for packet in waiting.drain(..) {
                    let Ok(length) = u16::try_from(packet.len()) else {
                        continue;
                    };
                    frames.extend_from_slice(&length.to_be_bytes());
                    frames.extend_from_slice(&packet);
                }
                write.write_all(&frames).await?;
                write.flush().await?;
            }
            Ok(())
        };
        let carriers = &self.link.carriers;
        let receiving = async {
            let mut packet = vec![0; usize::from(u16::MAX)];
            loop {
                let length = usize::from(read.read_u16().await?);
                if length == 0 {
                    carriers.state.lock().got_through(Instant::now());
                    continue;
                }
                read.read_exact(&mut packet[..length]).await?;
                take(&packet[..length]);
            }
        };
        tokio::select! {
            ended = sending => ended,
            ended = receiving => ended,
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.link
            .carriers
            .state
            .lock()
            .streams
            .retain(|(id, _)| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use boringtun::x25519::StaticSecret;
    use tokio::io::DuplexStream;

    use super::{
        super::peers::{Link, Peer, Peers},
        *,
    };

    /// A state with one stream, whose other end must be kept.
    fn carried() -> (State, mpsc::Receiver<Vec<u8>>) {
        let (stream, packets) = mpsc::channel(1);
        let mut state = State::default();
        state.add(0, stream);
        (state, packets)
    }

    #[test]
    fn packets_take_the_stream_until_udp_is_heard_of_and_again_ten_seconds_after_that_ends() {
        let (mut state, _packets) = carried();
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        assert!(state.in_use(at(0)).is_some());
        state.got_through(at(100));
        assert!(state.in_use(at(100)).is_none());
        assert!(state.in_use(at(10_099)).is_none());
        assert!(state.in_use(at(10_100)).is_some(), "not heard of for ten seconds");
        state.got_through(at(11_000));
        assert!(state.in_use(at(11_000)).is_none(), "and back");
        state.streams.clear();
        assert!(
            state.in_use(at(60_000)).is_none(),
            "without a stream there is UDP only"
        );
    }

    #[test]
    fn a_stream_is_given_up_after_thirty_seconds_of_udp_without_a_gap() {
        let (mut state, _packets) = carried();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert!(!state.is_settled(at(100)), "never heard of");
        for seconds in [0, 2, 11, 20, 29] {
            state.got_through(at(seconds));
        }
        assert!(!state.is_settled(at(29)));
        assert!(state.is_settled(at(30)));
        assert!(!state.is_settled(at(39)), "heard of last ten seconds ago");
        // After a gap the count begins anew.
        for seconds in [39, 48, 57, 66] {
            state.got_through(at(seconds));
        }
        assert!(!state.is_settled(at(68)));
        assert!(state.is_settled(at(69)));
    }

    #[test]
    fn probes_and_words_go_every_two_seconds_while_there_is_a_stream() {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let mut bare = State::default();
        assert!(!bare.is_probe_due(at(0)) && !bare.is_word_due(at(0)));
        let (mut state, _packets) = carried();
        let times = [0, 1, 1_999, 2_000, 3_999, 4_500, 6_499, 6_500];
        let is_due = [true, false, false, true, false, true, false, true];
        assert_eq!(times.map(|millis| state.is_probe_due(at(millis))), is_due);
        assert_eq!(
            times.map(|millis| state.is_word_due(at(millis))),
            is_due,
            "of their own"
        );
    }

    #[test]
    fn the_first_stream_after_none_starts_without_what_was_heard_over_the_last() {
        let (mut state, _packets) = carried();
        let now = Instant::now();
        state.got_through(now);
        let (second, _more) = mpsc::channel(1);
        state.add(1, second);
        assert!(state.in_use(now).is_none(), "another beside it changes nothing");
        state.streams.clear();
        let (third, _more) = mpsc::channel(1);
        state.add(2, third);
        assert!(state.in_use(now).is_some());
    }

    fn link() -> Arc<Link> {
        let peer = Peer {
            name: "n1".into(),
            key: [1; 32],
            endpoint: "127.0.0.1:1".parse().unwrap(),
            range: "10.244.1.0/24".parse().unwrap(),
        };
        let peers = Peers::default().with(&StaticSecret::from([7; 32]), &[peer]);
        Arc::clone(peers.by_key(&[1; 32]).unwrap())
    }

    fn frame(packet: &[u8]) -> Vec<u8> {
        let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
        [&length[..], packet].concat()
    }

    /// Runs a stream against what `other` does with its far end, until that is dropped. Returns what came.
    async fn run_against<F: Future<Output = ()>>(
        link: &Arc<Link>,
        room: usize,
        other: impl FnOnce(DuplexStream) -> F,
    ) -> (io::ErrorKind, Vec<Vec<u8>>) {
        let (near, far) = tokio::io::duplex(room);
        let mut attached = Carriers::attach(link);
        let mut taken = Vec::new();
        let run = attached.run(near, |packet| taken.push(packet.to_vec()));
        let (ended, ()) = tokio::join!(run, other(far));
        (ended.unwrap_err().kind(), taken)
    }

    #[tokio::test]
    async fn frames_arrive_whole_however_they_are_torn() {
        let packets = [vec![1], vec![2; 300], vec![3; usize::from(u16::MAX)], vec![4, 5]];
        let bytes: Vec<u8> = packets.iter().flat_map(|packet| frame(packet)).collect();
        // One byte of room: every read and write is torn.
        for room in [1, 7, 100_000] {
            let (ended, taken) = run_against(&link(), room, async |mut far| {
                far.write_all(&bytes).await.unwrap();
            })
            .await;
            assert_eq!(ended, io::ErrorKind::UnexpectedEof);
            assert!(taken == packets, "{room}");
        }
    }

    #[tokio::test]
    async fn a_frame_that_ends_early_is_not_taken() {
        let bytes = [frame(b"whole"), frame(b"torn")].concat();
        for end in 0..bytes.len() {
            let (ended, taken) = run_against(&link(), 64, async |mut far| {
                far.write_all(&bytes[..end]).await.unwrap();
            })
            .await;
            assert_eq!(ended, io::ErrorKind::UnexpectedEof, "{end}");
            let whole: &[&[u8]] = if end < frame(b"whole").len() {
                &[]
            } else {
                &[b"whole"]
            };
            assert_eq!(taken, whole, "{end}");
        }
    }

    #[tokio::test]
    async fn an_empty_frame_is_a_word_and_no_packet() {
        let link = link();
        let (near, mut far) = tokio::io::duplex(64);
        let mut attached = Carriers::attach(&link);
        assert!(link.carriers.present().is_some());
        far.write_all(&[frame(b""), frame(b""), frame(b"x")].concat())
            .await
            .unwrap();
        drop(far);
        let mut taken = Vec::new();
        let _ = attached.run(near, |packet| taken.push(packet.to_vec())).await;
        assert_eq!(taken, [b"x"]);
        assert!(link.carriers.any() && link.carriers.present().is_none());
        drop(attached);
        assert!(!link.carriers.any());
    }

    #[tokio::test]
    async fn what_no_frame_can_hold_is_left_out_and_the_rest_goes() {
        let link = link();
        let longest = vec![9; usize::from(u16::MAX)];
        let (_, taken) = run_against(&link, 64, async |mut far| {
            let stream = link.carriers.present().unwrap();
            for packet in [vec![8; longest.len() + 1], longest.clone()] {
                stream.try_send(packet).unwrap();
            }
            link.carriers.heard_directly();
            let expected = [frame(&longest), frame(b"")].concat();
            let mut seen = vec![0; expected.len()];
            far.read_exact(&mut seen).await.unwrap();
            assert!(seen == expected);
        })
        .await;
        assert!(taken.is_empty());
    }
}
