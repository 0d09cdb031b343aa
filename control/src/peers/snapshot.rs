//! Snapshots travel on a connection of their own, in chunks, so that heartbeats and entries pass them by; a cut
//! connection is resumed where it broke.
//!
//! ```text
//! sender    ── the message without its data (a frame), length (8 bytes) ──►
//!           ◄── how many bytes are there already (8 bytes) ── receiver
//!           ── the bytes after those ──►
//!           ◄── 1: handed to Raft ──
//! ```

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::{BufMut as _, Bytes};
use parking_lot::Mutex;
use skiff_api::members::{BoxStream, StreamKind};
use skiff_raft::eraftpb::Message;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{mpsc, watch},
};

use super::{Backoff, Peers, stream::read_frame};

/// Bytes that are written, and counted as there, at once.
const CHUNK: usize = 256 << 10;
/// Without any progress for so long, Raft is told that the snapshot did not arrive; it may make a newer one.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest header: members, mostly.
const LONGEST_HEADER: usize = 1 << 20;

/// What has arrived of the snapshots that are under way or broke off, by sender.
#[derive(Default)]
pub(super) struct Partials {
    parts: Mutex<HashMap<u64, Partial>>,
    connections: AtomicU64,
}

/// A part of a snapshot.
struct Partial {
    /// Position and length: another snapshot begins anew.
    of: (u64, u64, u64),
    /// The connection that brings the rest. One that the network has cut may hang here for long after the sender has opened
    /// the next.
    connection: u64,
    bytes: Vec<u8>,
}

impl Partials {
    /// A connection that goes on with a snapshot: its number, and how many bytes are there. The one before is out of it.
    fn go_on(&self, member: u64, of: (u64, u64, u64)) -> (u64, usize) {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed);
        let mut parts = self.parts.lock();
        let bytes = match parts.remove(&member) {
            Some(part) if part.of == of => part.bytes,
            _ => Vec::new(),
        };
        let there = bytes.len();
        let part = Partial {
            of,
            connection,
            bytes,
        };
        parts.insert(member, part);
        (connection, there)
    }

    /// More bytes; false when another connection goes on.
    fn add(&self, member: u64, connection: u64, bytes: &[u8]) -> bool {
        let mut parts = self.parts.lock();
        let part = parts
            .get_mut(&member)
            .filter(|part| part.connection == connection);
        let is_mine = part.is_some();
        if let Some(part) = part {
            part.bytes.extend_from_slice(bytes);
        }
        is_mine
    }

    /// All that has arrived, unless another connection goes on.
    fn take(&self, member: u64, connection: u64) -> Option<Vec<u8>> {
        let mut parts = self.parts.lock();
        let part = parts.remove(&member)?;
        if part.connection != connection {
            parts.insert(member, part);
            return None;
        }
        Some(part.bytes)
    }
}

/// Sends the snapshots for one member, one at a time.
pub(super) async fn send(
    peers: Arc<Peers>,
    id: u64,
    address: watch::Receiver<SocketAddr>,
    mut slot: mpsc::Receiver<Message>,
) {
    while let Some(mut message) = slot.recv().await {
        let data = std::mem::take(&mut message.mut_snapshot().data);
        tracing::info!(member = id, bytes = data.len(), "sending a snapshot");
        let mut backoff = Backoff::default();
        let mut progress = Instant::now();
        let mut reached = 0;
        let arrived = loop {
            let at = *address.borrow();
            let attempt = attempt(&peers, id, at, &message, &data, &mut reached).await;
            match attempt {
                Ok(()) => break true,
                Err((error, advanced)) => {
                    if advanced {
                        progress = Instant::now();
                    }
                    tracing::debug!(member = id, reached, error, "sending a snapshot broke off");
                }
            }
            if progress.elapsed() > PATIENCE {
                break false;
            }
            tokio::time::sleep(backoff.pause()).await;
        };
        tracing::info!(member = id, arrived, "snapshot sent");
        if let Some(store) = peers.store.get() {
            store.snapshot_sent(id, arrived);
        }
    }
}

/// One connection's worth. The error says whether it got further than the one before.
async fn attempt(
    peers: &Peers,
    id: u64,
    address: SocketAddr,
    message: &Message,
    data: &Bytes,
    reached: &mut usize,
) -> Result<(), (String, bool)> {
    let mut stream = peers
        .open(id, address, StreamKind::Snapshot)
        .await
        .map_err(|error| (error.to_string(), false))?;
    let before = *reached;
    let work = async {
        let mut header = Vec::new();
        skiff_raft::encode(message, &mut header).map_err(io::Error::other)?;
        let mut head = Vec::with_capacity(header.len() + 12);
        head.put_u32(u32::try_from(header.len()).map_err(io::Error::other)?);
        head.put_slice(&header);
        head.put_u64(data.len() as u64);
        stream.write_all(&head).await?;
        stream.flush().await?;
        let there = in_time(stream.read_u64()).await?;
        let mut at = usize::try_from(there).unwrap_or(0).min(data.len());
        while at < data.len() {
            let end = (at + CHUNK).min(data.len());
            let chunk = async {
                stream.write_all(&data[at..end]).await?;
                stream.flush().await
            };
            in_time(chunk).await?;
            at = end;
            *reached = (*reached).max(at);
        }
        in_time(stream.read_u8()).await?;
        Ok(())
    };
    let done: io::Result<()> = work.await;
    done.map_err(|error| (error.to_string(), *reached > before))
}

/// A receiver that the network has cut off says nothing, for ever.
async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Takes in a snapshot, or the rest of one.
pub(super) async fn receive(peers: &Peers, member: u64, mut stream: BoxStream) -> io::Result<()> {
    let header = read_frame(&mut stream, LONGEST_HEADER).await?;
    let mut message = skiff_raft::decode(&header).map_err(io::Error::other)?;
    let length = stream.read_u64().await?;
    let meta = message.get_snapshot().get_metadata();
    let of = (meta.index, meta.term, length);
    let (connection, there) = peers.partial.go_on(member, of);
    match there {
        0 => tracing::debug!(member, length, "taking a snapshot in from the beginning"),
        there => tracing::debug!(member, length, there, "going on with a snapshot"),
    }
    stream.write_u64(there as u64).await?;
    stream.flush().await?;
    let superseded = || io::Error::other("another connection goes on with the snapshot");
    let mut chunk = vec![0; CHUNK];
    let mut left = length.saturating_sub(there as u64);
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let read = stream.read(&mut chunk[..want]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !peers.partial.add(member, connection, &chunk[..read]) {
            return Err(superseded());
        }
        left -= read as u64;
        peers.note_heard(member);
    }
    let bytes = peers.partial.take(member, connection).ok_or_else(superseded)?;
    message.mut_snapshot().data = bytes.into();
    peers.receive(member, message);
    stream.write_u8(1).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_connection_goes_on_where_the_last_one_hangs() {
        let partials = Partials::default();
        let of = (7, 2, 6);
        let (first, there) = partials.go_on(1, of);
        assert_eq!(there, 0);
        assert!(partials.add(1, first, b"abc"));
        // The network has swallowed the end of the first.
        let (second, there) = partials.go_on(1, of);
        assert_eq!(there, 3);
        assert!(!partials.add(1, first, b"late"));
        assert!(partials.take(1, first).is_none());
        assert!(partials.add(1, second, b"def"));
        assert_eq!(partials.take(1, second).as_deref(), Some(&b"abcdef"[..]));
        assert!(partials.take(1, second).is_none());
    }

    #[test]
    fn another_snapshot_begins_anew_and_each_member_has_its_own() {
        let partials = Partials::default();
        let (first, _) = partials.go_on(1, (7, 2, 6));
        assert!(partials.add(1, first, b"abc"));
        assert_eq!(partials.go_on(2, (7, 2, 6)).1, 0);
        assert_eq!(partials.go_on(1, (8, 2, 6)).1, 0);
    }
}
