//! Backends on other nodes: the stream to one is opened by whoever knows the way, and the bytes are moved here.
//!
//! ```text
//! client ─socket─► this node ═ RemoteStream (encrypted, of some kind) ═► the backend's node ─socket─► backend
//! ```

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, ready},
};

use async_trait::async_trait;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::relay::{Moved, abort, with_scratch};

/// A stream to a backend on another node. Shutting it down is a half-close; dropping it before both directions have
/// ended is a reset, and an end that was no half-close of the other side must be read as an error. Once read, an end is read again.
pub trait RemoteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> RemoteStream for T {}

/// A connection to a backend.
pub enum Connection {
    /// A socket: the kernel knows the way.
    Socket(TcpStream),
    /// A stream that another node carries on.
    Stream(Box<dyn RemoteStream>),
}

/// Opens streams to the backends of one other node.
#[async_trait]
pub trait Opener: Send + Sync {
    /// Connects to `backend` on behalf of `client`. Cancelled by dropping.
    ///
    /// # Errors
    /// As connect(2) on the other node: `ConnectionRefused` when the backend refused.
    async fn open(&self, backend: SocketAddr, client: SocketAddr) -> io::Result<Connection>;
}

/// Bytes that the destination had no room for yet.
#[derive(Default)]
struct Held {
    bytes: Box<[u8]>,
    from: usize,
}

impl Held {
    fn keep(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty()).then(|| Self {
            bytes: bytes.into(),
            from: 0,
        })
    }
}

/// One direction.
enum Direction {
    Copying,
    Held(Held),
    /// End of file is being passed on.
    Ending,
    Closed,
}

/// Read from the socket at once: a little less than 64 KiB, so that a stream that puts a header before it sends no crumbs behind it.
const READ_BYTES: usize = 64 * 1024 - 64;

/// Steps of one direction before other tasks of the thread get their turn.
const TURNS: u32 = 16;

/// Moves bytes both ways until both directions have ended, then closes both ends; when either fails, both are reset.
/// An idle connection holds no buffer.
///
/// # Errors
/// The first failure of either end.
pub async fn relay(near: TcpStream, mut far: Box<dyn RemoteStream>, moved: &Moved) -> io::Result<()> {
    let (mut forward, mut back) = (Direction::Copying, Direction::Copying);
    let outcome = poll_fn(|cx| {
        let one = poll_forward(cx, &mut forward, &near, &mut far, &moved.forward)?;
        let other = poll_back(cx, &mut back, &mut far, &near, &moved.back)?;
        if one.is_ready() && other.is_ready() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    })
    .await;
    if outcome.is_err() {
        abort(&near);
    }
    outcome
}

fn write_far(cx: &mut Context<'_>, far: &mut Box<dyn RemoteStream>, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match Pin::new(&mut *far).poll_write(cx, &bytes[written..]) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(count)) => written += count,
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => break,
        }
    }
    Ok(written)
}

/// From the socket to the stream. The stream may buffer: it is flushed whenever the socket has nothing more.
fn poll_forward(
    cx: &mut Context<'_>,
    state: &mut Direction,
    near: &TcpStream,
    far: &mut Box<dyn RemoteStream>,
    moved: &AtomicU64,
) -> Poll<io::Result<()>> {
    for _ in 0..TURNS {
        match state {
            Direction::Closed => return Poll::Ready(Ok(())),
            Direction::Ending => {
                ready!(Pin::new(&mut *far).poll_shutdown(cx))?;
                *state = Direction::Closed;
            }
            Direction::Held(held) => {
                let written = write_far(cx, far, &held.bytes[held.from..])?;
                moved.fetch_add(written as u64, Ordering::Relaxed);
                held.from += written;
                if held.from < held.bytes.len() {
                    return Poll::Pending;
                }
                *state = Direction::Copying;
            }
            Direction::Copying => {
                let Poll::Ready(ready) = near.poll_read_ready(cx) else {
                    ready!(Pin::new(&mut *far).poll_flush(cx))?;
                    return Poll::Pending;
                };
                ready?;
                let next = with_scratch(|scratch| match near.try_read(&mut scratch[..READ_BYTES]) {
                    Ok(0) => Ok(Direction::Ending),
                    Ok(count) => {
                        let written = write_far(cx, far, &scratch[..count])?;
                        moved.fetch_add(written as u64, Ordering::Relaxed);
                        let held = Held::keep(&scratch[written..count]);
                        Ok(held.map_or(Direction::Copying, Direction::Held))
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Direction::Copying),
                    Err(error) => Err(error),
                })?;
                *state = next;
            }
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Passes end of file on. A socket that is gone already needs none.
fn finish(near: &TcpStream) -> io::Result<()> {
    match rustix::net::shutdown(near, rustix::net::Shutdown::Write) {
        Ok(()) | Err(rustix::io::Errno::NOTCONN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Reads what is there, as far as there is room: a stream tells it in pieces, and each would be a write of its own. Ready with nothing
/// is the end; a failure behind bytes comes with them.
fn fill(
    cx: &mut Context<'_>,
    far: &mut Box<dyn RemoteStream>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<Option<io::Error>>> {
    while buffer.remaining() > 0 {
        let before = buffer.filled().len();
        match Pin::new(&mut *far).poll_read(cx, buffer) {
            Poll::Pending if before == 0 => return Poll::Pending,
            Poll::Ready(Err(error)) if before == 0 => return Poll::Ready(Err(error)),
            Poll::Ready(Err(error)) => return Poll::Ready(Ok(Some(error))),
            // An end is found again by whoever asks next.
            Poll::Pending => break,
            Poll::Ready(Ok(())) if buffer.filled().len() == before => break,
            Poll::Ready(Ok(())) => {}
        }
    }
    Poll::Ready(Ok(None))
}

/// From the stream to the socket.
fn poll_back(
    cx: &mut Context<'_>,
    state: &mut Direction,
    far: &mut Box<dyn RemoteStream>,
    near: &TcpStream,
    moved: &AtomicU64,
) -> Poll<io::Result<()>> {
    for _ in 0..TURNS {
        match state {
            Direction::Closed => return Poll::Ready(Ok(())),
            Direction::Ending => {
                finish(near)?;
                *state = Direction::Closed;
            }
            Direction::Held(held) => {
                ready!(near.poll_write_ready(cx))?;
                match near.try_write(&held.bytes[held.from..]) {
                    Ok(count) => {
                        moved.fetch_add(count as u64, Ordering::Relaxed);
                        held.from += count;
                        if held.from == held.bytes.len() {
                            *state = Direction::Copying;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            Direction::Copying => {
                let next = with_scratch(|scratch| {
                    let mut buffer = ReadBuf::new(scratch);
                    let failure = ready!(fill(cx, far, &mut buffer))?;
                    let bytes = buffer.filled();
                    if bytes.is_empty() {
                        return Poll::Ready(Ok(Direction::Ending));
                    }
                    let written = match near.try_write(bytes) {
                        Ok(written) => written,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                        Err(error) => return Poll::Ready(Err(error)),
                    };
                    moved.fetch_add(written as u64, Ordering::Relaxed);
                    if let Some(failure) = failure {
                        return Poll::Ready(Err(failure));
                    }
                    let held = Held::keep(&bytes[written..]);
                    Poll::Ready(Ok(held.map_or(Direction::Copying, Direction::Held)))
                });
                *state = ready!(next)?;
            }
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
        net::TcpListener,
        task::JoinHandle,
    };

    use super::*;

    /// A client's socket, the other end of a remote stream with little room, and the relay between them.
    async fn relayed() -> (TcpStream, DuplexStream, JoinHandle<io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(to), listener.accept());
        let near = accepted.unwrap().0;
        let (far, other) = tokio::io::duplex(10_000);
        let task = tokio::spawn(async move { relay(near, Box::new(far), &Moved::default()).await });
        (client.unwrap(), other, task)
    }

    #[tokio::test]
    async fn bulk_both_ways_arrives_unchanged_through_a_stream_with_little_room() {
        let data: Vec<u8> = (0..3_000_000_u32).map(|index| (index % 251) as u8).collect();
        let (client, other, task) = relayed().await;
        let (near, far) = (client.into_split(), tokio::io::split(other));
        let (mut near_read, mut near_write) = near;
        let (mut far_read, mut far_write) = far;
        let (mut to_far, mut to_near) = (Vec::new(), Vec::new());
        let sent = async {
            near_write.write_all(&data).await.unwrap();
            near_write.shutdown().await.unwrap();
        };
        let answered = async {
            far_write.write_all(&data).await.unwrap();
            far_write.shutdown().await.unwrap();
        };
        let (.., one, two) = tokio::join!(
            sent,
            answered,
            far_read.read_to_end(&mut to_far),
            near_read.read_to_end(&mut to_near)
        );
        assert_eq!((one.unwrap(), two.unwrap()), (data.len(), data.len()));
        assert!(to_far == data && to_near == data);
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_half_closed_connection_still_carries_the_answer() {
        let (mut client, mut other, task) = relayed().await;
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut question = String::new();
        other.read_to_string(&mut question).await.unwrap();
        other.write_all(b"answer").await.unwrap();
        other.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!((question.as_str(), answer.as_str()), ("question", "answer"));
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_client_that_resets_drops_the_stream_and_a_broken_stream_resets_the_client() {
        let (client, mut other, task) = relayed().await;
        abort(&client);
        drop(client);
        task.await.unwrap().unwrap_err();
        assert_eq!(other.read(&mut [0; 8]).await.unwrap(), 0);

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(to), listener.accept());
        let broken = broken_stream();
        relay(accepted.unwrap().0, broken, &Moved::default())
            .await
            .unwrap_err();
        let mut client = client.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'!');
        let error = client.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    /// A stream whose other node went away after a byte.
    fn broken_stream() -> Box<dyn RemoteStream> {
        struct Broken {
            has_spoken: bool,
        }
        impl AsyncRead for Broken {
            fn poll_read(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                if std::mem::replace(&mut self.has_spoken, true) {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                buffer.put_slice(b"!");
                Poll::Ready(Ok(()))
            }
        }
        impl AsyncWrite for Broken {
            fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
                Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
            }
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
        }
        Box::new(Broken { has_spoken: false })
    }
}
