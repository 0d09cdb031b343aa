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
    sync::Arc,
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

/// What arrived of the snapshots that broke off, by sender.
pub(super) type Partials = Mutex<HashMap<u64, Partial>>;

/// A part of a snapshot.
#[derive(Default)]
pub(super) struct Partial {
    /// Position and length: another snapshot begins anew.
    of: (u64, u64, u64),
    bytes: Vec<u8>,
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
        let mut at = usize::try_from(stream.read_u64().await?)
            .unwrap_or(0)
            .min(data.len());
        while at < data.len() {
            let end = (at + CHUNK).min(data.len());
            let chunk = async {
                stream.write_all(&data[at..end]).await?;
                stream.flush().await
            };
            tokio::time::timeout(PATIENCE, chunk)
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            at = end;
            *reached = (*reached).max(at);
        }
        tokio::time::timeout(PATIENCE, stream.read_u8())
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(())
    };
    let done: io::Result<()> = work.await;
    done.map_err(|error| (error.to_string(), *reached > before))
}

/// Takes in a snapshot, or the rest of one.
pub(super) async fn receive(peers: &Peers, member: u64, mut stream: BoxStream) -> io::Result<()> {
    let header = read_frame(&mut stream, LONGEST_HEADER).await?;
    let mut message = skiff_raft::decode(&header).map_err(io::Error::other)?;
    let length = stream.read_u64().await?;
    let meta = message.get_snapshot().get_metadata();
    let of = (meta.index, meta.term, length);
    // Taken out while it grows: a second connection for the same one begins anew rather than mixing in.
    let mut partial = peers.partial.lock().remove(&member).unwrap_or_default();
    if partial.of != of {
        partial = Partial {
            of,
            bytes: Vec::new(),
        };
    }
    stream.write_u64(partial.bytes.len() as u64).await?;
    stream.flush().await?;
    let filled = fill(peers, member, &mut stream, &mut partial).await;
    if let Err(error) = filled {
        peers.partial.lock().insert(member, partial);
        return Err(error);
    }
    message.mut_snapshot().data = partial.bytes.into();
    peers.receive(member, message);
    stream.write_u8(1).await?;
    stream.flush().await
}

async fn fill(peers: &Peers, member: u64, stream: &mut BoxStream, partial: &mut Partial) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    while (partial.bytes.len() as u64) < partial.of.2 {
        let left = partial.of.2 - partial.bytes.len() as u64;
        let want = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let read = stream.read(&mut chunk[..want]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        partial.bytes.extend_from_slice(&chunk[..read]);
        peers.note_heard(member);
    }
    Ok(())
}
