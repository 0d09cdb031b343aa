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

impl State {
    fn is_direct(&self) -> bool {
        self.direct.is_some_and(|(_, last)| last.elapsed() < TRUST)
    }
}

fn due(last: &mut Option<Instant>) -> bool {
    let is_due = last.is_none_or(|last| last.elapsed() >= PROBE);
    if is_due {
        *last = Some(Instant::now());
    }
    is_due
}

impl Carriers {
    /// The stream to send by; none: UDP.
    pub fn present(&self) -> Option<mpsc::Sender<Vec<u8>>> {
        let state = self.state.lock();
        let (_, stream) = state.streams.last()?;
        (!state.is_direct()).then(|| stream.clone())
    }

    /// Whether there is a stream, in use or not.
    pub fn any(&self) -> bool {
        !self.state.lock().streams.is_empty()
    }

    /// An authenticated packet came by UDP: the other side is told.
    pub fn heard_directly(&self) {
        let mut state = self.state.lock();
        if !state.streams.is_empty() && due(&mut state.told) {
            for (_, stream) in &state.streams {
                let _ = stream.try_send(Vec::new());
            }
        }
    }

    /// The other side says that a packet came by UDP.
    fn got_through(&self) {
        let mut state = self.state.lock();
        let now = Instant::now();
        let since = if state.is_direct() { state.direct } else { None };
        state.direct = Some((since.map_or(now, |(since, _)| since), now));
    }

    /// Whether to try UDP again now.
    pub fn is_probe_due(&self) -> bool {
        let mut state = self.state.lock();
        !state.streams.is_empty() && due(&mut state.probed)
    }

    /// Whether UDP has got through for long enough.
    pub fn is_settled(&self) -> bool {
        let state = self.state.lock();
        state.is_direct() && state.direct.is_some_and(|(since, _)| since.elapsed() >= SETTLED)
    }

    /// Takes a stream in; it goes with the handle.
    pub fn attach(self_: &Arc<super::peers::Link>) -> Attached {
        let (queue, packets) = mpsc::channel(QUEUE);
        let carriers = &self_.carriers;
        let id = carriers.next.fetch_add(1, Ordering::Relaxed);
        let mut state = carriers.state.lock();
        if state.streams.is_empty() {
            *state = State::default();
        }
        state.streams.push((id, queue));
        drop(state);
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
                    carriers.got_through();
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
