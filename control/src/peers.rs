//! The other members, as this one reaches them: where they are, whether they were heard, and the streams to them.
//!
//! ```text
//! thread "raft" ── PeerTransport::send ──► bounded queue per member ──► stream.rs: one TLS connection per direction
//!                          └ snapshots ──► one slot per member ───────► snapshot.rs: a connection of its own, resumed
//! API server ── accept ──► stream.rs, snapshot.rs (receiving) ──► Store::receive
//! ```
//! Nothing here blocks the group: a full queue drops, and Raft sends again. Members are known by id and key; their
//! addresses come from the replicated records, and, sooner, from what a member announces when it connects.

mod dial;
mod snapshot;
mod stream;

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use skiff_api::members::{BoxStream, StreamKind};
use skiff_raft::{
    Transport,
    eraftpb::{Message, MessageType},
};
use skiff_store::Store;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{members::record::Record, pki::Tls};

pub use dial::DialError;

/// Messages that wait for one member; more are dropped.
const QUEUE: usize = 4096;
/// A member that was not heard for so long is not counted on. Heartbeats come each 100 ms.
const SILENCE: Duration = Duration::from_secs(3);

/// The other members.
pub struct Peers {
    me: u64,
    /// Where others reach this member.
    advertise: SocketAddr,
    tls: Arc<Tls>,
    runtime: tokio::runtime::Handle,
    store: OnceLock<Store>,
    book: Mutex<BTreeMap<u64, Peer>>,
    partial: snapshot::Partials,
    started: Instant,
    removed: watch::Sender<Option<String>>,
    stop: CancellationToken,
}

/// What is known of one member.
struct Peer {
    record: Record,
    address: watch::Sender<SocketAddr>,
    messages: mpsc::Sender<Message>,
    snapshots: mpsc::Sender<Message>,
    /// Milliseconds after `Peers::started` when it was last heard, plus one; 0: never.
    heard: Arc<AtomicU64>,
    /// One more reference for each stream of messages from it that is open.
    incoming: Arc<()>,
    stop: CancellationToken,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Peers {
    /// Nobody is known yet: see [`Peers::learn`]. Needs a running tokio runtime.
    pub fn new(me: u64, advertise: SocketAddr, tls: Arc<Tls>) -> Arc<Self> {
        Arc::new(Self {
            me,
            advertise,
            tls,
            runtime: tokio::runtime::Handle::current(),
            store: OnceLock::new(),
            book: Mutex::default(),
            partial: snapshot::Partials::default(),
            started: Instant::now(),
            removed: watch::Sender::new(None),
            stop: CancellationToken::new(),
        })
    }

    /// The store that messages are for, once it is open.
    pub fn serve(&self, store: Store) {
        let _ = self.store.set(store);
    }

    /// The way out for the store's group.
    pub fn transport(self: &Arc<Self>) -> PeerTransport {
        PeerTransport(self.clone())
    }

    /// This member's id.
    pub fn me(&self) -> u64 {
        self.me
    }

    /// Where others reach this member.
    pub fn advertise(&self) -> SocketAddr {
        self.advertise
    }

    /// Takes over who the members are. Streams to those that stay go on.
    pub fn learn(self: &Arc<Self>, records: &[Record]) {
        let mut book = self.book.lock();
        book.retain(|id, _| records.iter().any(|record| record.id == *id));
        for record in records.iter().filter(|record| record.id != self.me) {
            match book.get_mut(&record.id) {
                Some(peer) => {
                    if peer.record.address != record.address {
                        peer.address.send_replace(record.address);
                    }
                    peer.record = record.clone();
                }
                None => drop(book.insert(record.id, self.start_peer(record.clone()))),
            }
        }
    }

    fn start_peer(self: &Arc<Self>, record: Record) -> Peer {
        let (messages, queue) = mpsc::channel(QUEUE);
        let (snapshots, slot) = mpsc::channel(1);
        let (address, at) = watch::channel(record.address);
        let stop = self.stop.child_token();
        let id = record.id;
        let sending = stream::send(self.clone(), id, at.clone(), queue);
        let snapshotting = snapshot::send(self.clone(), id, at, slot);
        let ends = stop.clone();
        self.runtime.spawn(async move {
            let both = futures::future::join(sending, snapshotting);
            ends.run_until_cancelled(both).await;
        });
        Peer {
            record,
            address,
            messages,
            snapshots,
            heard: Arc::default(),
            incoming: Arc::default(),
            stop,
        }
    }

    /// The record of a member, as far as it is known here.
    pub fn record(&self, id: u64) -> Option<Record> {
        Some(self.book.lock().get(&id)?.record.clone())
    }

    /// The ids of the others.
    pub fn others(&self) -> Vec<u64> {
        self.book.lock().keys().copied().collect()
    }

    /// How long ago a member was heard; `None`: never in this run.
    pub fn silence(&self, id: u64) -> Option<Duration> {
        let heard = self.book.lock().get(&id)?.heard.load(Ordering::Relaxed);
        let at = Duration::from_millis(heard.checked_sub(1)?);
        Some(self.started.elapsed().saturating_sub(at))
    }

    /// Whether a member can be counted on just now.
    pub fn is_alive(&self, id: u64) -> bool {
        id == self.me || self.silence(id).is_some_and(|silence| silence < SILENCE)
    }

    /// Notes it; false when there is no such member (any more).
    fn note_heard(&self, id: u64) -> bool {
        let book = self.book.lock();
        let peer = book.get(&id);
        if let Some(peer) = peer {
            let now = self.started.elapsed().as_millis() as u64;
            peer.heard.store(now + 1, Ordering::Relaxed);
        }
        peer.is_some()
    }

    /// Takes over a stream that a member has opened.
    pub fn accept(self: &Arc<Self>, member: u64, kind: StreamKind, announced: Option<&str>, io: BoxStream) {
        if let Some(address) = announced.and_then(|text| text.parse::<SocketAddr>().ok()) {
            let book = self.book.lock();
            if let Some(peer) = book.get(&member)
                && *peer.address.borrow() != address
            {
                tracing::info!(member, %address, "a member announces another address");
                peer.address.send_replace(address);
            }
        }
        let peers = self.clone();
        let stop = self.stop.clone();
        self.runtime.spawn(async move {
            let ended = match kind {
                StreamKind::Raft => {
                    stop.run_until_cancelled(stream::receive(&peers, member, io))
                        .await
                }
                StreamKind::Snapshot => {
                    stop.run_until_cancelled(snapshot::receive(&peers, member, io))
                        .await
                }
            };
            if let Some(Err(error)) = ended {
                tracing::debug!(member, %error, "a member's stream ended");
            }
        });
    }

    fn receive(&self, member: u64, message: Message) {
        // A member speaks for itself only: what it passes on in another's name (Raft forwards what was sent to a leader
        // of earlier) is lost, as any message may be.
        if message.from != member {
            tracing::debug!(
                member,
                claims = message.from,
                "a message under another member's id was dropped"
            );
            return;
        }
        if self.note_heard(member)
            && let Some(store) = self.store.get()
        {
            store.receive(message);
        }
    }

    fn unreachable(&self, member: u64) {
        if let Some(store) = self.store.get() {
            store.unreachable(member);
        }
    }

    /// A member's machine refuses connections to it. If no stream from it is open either, its process has ended.
    fn refused(&self, member: u64) {
        let is_heard = |peer: &Peer| Arc::strong_count(&peer.incoming) > 1;
        if !self.book.lock().get(&member).is_none_or(is_heard)
            && let Some(store) = self.store.get()
        {
            store.ended(member);
        }
    }

    /// Counts a stream of messages from a member as open until what is returned is dropped.
    fn hold_open(&self, member: u64) -> Option<Arc<()>> {
        Some(Arc::clone(&self.book.lock().get(&member)?.incoming))
    }

    /// Resolves with the reason when another member says that this one was removed.
    pub async fn removed(&self) -> String {
        let mut removed = self.removed.subscribe();
        match removed.wait_for(Option::is_some).await.map(|why| why.clone()) {
            Ok(Some(why)) => why,
            _ => std::future::pending().await,
        }
    }

    /// Ends all streams.
    pub fn stop(&self) {
        self.stop.cancel();
        self.book.lock().clear();
    }
}

/// Puts messages into the queues of their members.
pub struct PeerTransport(Arc<Peers>);

impl Transport for PeerTransport {
    fn send(&mut self, message: Message) {
        let to = message.to;
        let is_snapshot = message.get_msg_type() == MessageType::MsgSnapshot;
        let book = self.0.book.lock();
        let taken = book.get(&to).is_some_and(|peer| {
            let queue = if is_snapshot {
                &peer.snapshots
            } else {
                &peer.messages
            };
            queue.try_send(message).is_ok()
        });
        drop(book);
        if taken {
            return;
        }
        // Raft hears of it, so that it probes instead of sending on.
        if let Some(store) = self.0.store.get() {
            if is_snapshot {
                store.snapshot_sent(to, false);
            } else {
                store.unreachable(to);
            }
        }
    }
}

/// Pauses between attempts: they grow, and differ from member to member.
struct Backoff {
    next: Duration,
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

impl Default for Backoff {
    fn default() -> Self {
        Self { next: SHORTEST_PAUSE }
    }
}

impl Backoff {
    fn pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(0.5 + rand::random::<f64>());
        self.next = (self.next * 2).min(LONGEST_PAUSE);
        pause
    }
}

/// The nodes whose streams were found at another member, and at which.
#[derive(Default)]
pub(crate) struct NodePlaces(Mutex<HashMap<String, u64>>);

impl NodePlaces {
    /// A stream to a node that is connected to another member: asks where it was last, then everybody.
    pub(crate) async fn open(&self, peers: &Arc<Peers>, node: &str) -> Option<BoxStream> {
        let known = self.0.lock().get(node).copied();
        let mut candidates: Vec<u64> = peers.others();
        candidates.retain(|id| Some(*id) != known && peers.is_alive(*id));
        for id in known.into_iter().chain(candidates) {
            match peers.open_node(id, node).await {
                Ok(stream) => {
                    self.0.lock().insert(node.to_owned(), id);
                    return Some(stream);
                }
                Err(error) => {
                    tracing::debug!(node, member = id, %error, "no stream to a node through this member")
                }
            }
        }
        self.0.lock().remove(node);
        None
    }
}
