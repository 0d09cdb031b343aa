//! The stream of messages to one member: frames of a length (4 bytes, big endian) and a message.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::{BufMut as _, Bytes};
use skiff_api::members::{BoxStream, StreamKind};
use skiff_raft::eraftpb::Message;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    sync::{mpsc, watch},
    time::Instant,
};

use super::{Backoff, Peers};

/// Longer than any message: Raft sends at most 1 MiB of entries at once, or one that is longer.
const LONGEST: usize = 64 << 20;
/// Messages that go out with one write.
const BATCH: usize = 64;
/// A member that takes nothing for so long is connected to anew.
const STALLED: Duration = Duration::from_secs(5);
/// How long a member may be without a connection before that is told.
const WORTH_SAYING: Duration = Duration::from_secs(2);

/// Keeps a connection to a member and sends it what is queued.
pub(super) async fn send(
    peers: Arc<Peers>,
    id: u64,
    mut address: watch::Receiver<SocketAddr>,
    mut queue: mpsc::Receiver<Message>,
) {
    let mut backoff = Backoff::default();
    let mut complaint = Complaint::default();
    loop {
        let at = *address.borrow_and_update();
        let begun = Instant::now();
        match peers.open(id, at, StreamKind::Raft).await {
            Ok(stream) => {
                if complaint.ends() {
                    tracing::info!(member = id, address = %at, "connected to a member again");
                } else {
                    tracing::debug!(member = id, address = %at, "connected to a member");
                }
                backoff = Backoff::default();
                tokio::select! {
                    ended = write(stream, &mut queue) => match ended {
                        Ok(()) => return,
                        Err(error) => tracing::debug!(member = id, %error, "the stream to a member broke"),
                    },
                    _ = address.changed() => {}
                }
            }
            Err(error) => {
                if error.is_refused() {
                    peers.refused(id);
                }
                let reason = skiff_raft::chain(&error);
                if complaint.is_due(begun, Instant::now(), &reason) {
                    tracing::warn!(member = id, address = %at, reason, "can't connect to a member, trying on");
                } else {
                    tracing::debug!(member = id, address = %at, reason, "can't connect to a member");
                }
            }
        }
        peers.unreachable(id);
        let pause = tokio::time::sleep(backoff.pause());
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                _ = address.changed() => break,
                // What waits meanwhile is out of date when there is a connection again.
                message = queue.recv() => if message.is_none() { return },
            }
        }
    }
}

/// What was said of a member that can't be connected to. One that starts again within [`WORTH_SAYING`] is not worth a
/// word, and a reason is given once, not with each attempt.
#[derive(Default)]
struct Complaint {
    since: Option<Instant>,
    said: Vec<String>,
}

impl Complaint {
    /// Whether the failure of an attempt is to be told.
    fn is_due(&mut self, begun: Instant, now: Instant, reason: &str) -> bool {
        let since = *self.since.get_or_insert(begun);
        let is_due = now.duration_since(since) >= WORTH_SAYING && self.said.iter().all(|said| said != reason);
        if is_due {
            self.said.push(reason.to_owned());
        }
        is_due
    }

    /// There is a connection; true if the lack of it was told.
    fn ends(&mut self) -> bool {
        !std::mem::take(self).said.is_empty()
    }
}

/// Writes until the queue ends, or fails.
async fn write(stream: BoxStream, queue: &mut mpsc::Receiver<Message>) -> io::Result<()> {
    let (mut read, mut write) = tokio::io::split(stream);
    let mut messages = Vec::with_capacity(BATCH);
    let mut buffer = Vec::new();
    let mut nothing = [0];
    loop {
        let count = tokio::select! {
            count = queue.recv_many(&mut messages, BATCH) => count,
            // The other side sends nothing: when this ends, so has the connection.
            _ = read.read(&mut nothing) => return Err(io::ErrorKind::ConnectionReset.into()),
        };
        if count == 0 {
            return Ok(());
        }
        buffer.clear();
        for message in messages.drain(..) {
            let start = buffer.len();
            buffer.put_u32(0);
            skiff_raft::encode(&message, &mut buffer).map_err(io::Error::other)?;
            let length = u32::try_from(buffer.len() - start - 4).map_err(io::Error::other)?;
            buffer[start..start + 4].copy_from_slice(&length.to_be_bytes());
        }
        let work = async {
            write.write_all(&buffer).await?;
            write.flush().await
        };
        tokio::time::timeout(STALLED, work)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        if buffer.capacity() > 4 << 20 {
            buffer = Vec::new();
        }
    }
}

/// Takes in what a member sends, until it ends.
pub(super) async fn receive(peers: &Peers, member: u64, stream: BoxStream) -> io::Result<()> {
    let mut stream = BufReader::with_capacity(64 << 10, stream);
    let _open = peers.hold_open(member);
    loop {
        let frame = read_frame(&mut stream, LONGEST).await?;
        let message = skiff_raft::decode(&frame).map_err(io::Error::other)?;
        peers.receive(member, message);
    }
}

/// One frame.
pub(super) async fn read_frame(
    stream: &mut (impl tokio::io::AsyncRead + Unpin),
    longest: usize,
) -> io::Result<Bytes> {
    let length = stream.read_u32().await? as usize;
    if length > longest {
        return Err(io::Error::other(format!("a frame of {length} bytes")));
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await?;
    Ok(frame.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_once_and_not_before_it_has_lasted() {
        let mut complaint = Complaint::default();
        let begun = Instant::now();
        let after = |millis| begun + Duration::from_millis(millis);
        assert!(!complaint.is_due(begun, after(1), "refused"));
        assert!(!complaint.is_due(after(1000), after(1001), "refused"));
        assert!(complaint.is_due(after(2500), after(2501), "refused"));
        assert!(!complaint.is_due(after(3000), after(3001), "refused"));
        assert!(complaint.is_due(after(3000), after(6000), "no answer"));
        assert!(!complaint.is_due(after(6500), after(6501), "refused"));
        assert!(complaint.ends() && !complaint.ends());
        assert!(!complaint.is_due(after(9000), after(9001), "refused"));
        // A single attempt may take that long.
        complaint.ends();
        assert!(complaint.is_due(after(10_000), after(13_000), "no answer"));
    }

    #[test]
    fn a_reason_says_where_it_came_from() {
        let error = crate::peers::DialError::Connect {
            address: ([127, 0, 0, 1], 1).into(),
            source: io::ErrorKind::ConnectionRefused.into(),
        };
        assert_eq!(
            skiff_raft::chain(&error),
            "connect to 127.0.0.1:1: connection refused"
        );
    }
}
