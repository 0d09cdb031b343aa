//! Moves bytes both ways between two TCP streams, with no buffer for an idle connection.
//!
//! Each direction is a small state machine, driven by readiness:
//! ```text
//!            readable            two full buffers             pipe empty, source has nothing
//!   Copying ─────────► scratch ────────────────► Splicing ─────────────────────────────────► Copying
//!      │  destination full: the rest is kept in a box until it is writable                   (pipe returned)
//!      └─ end of file ─► shutdown(write) on the destination ─► Closed
//! ```
//! Small exchanges go through a scratch buffer of the thread; bulk goes through a pipe from a pool (splice(2): the
//! bytes never enter user space). A half-closed connection stays half closed; a reset is passed on as a reset.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    os::fd::OwnedFd,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use parking_lot::Mutex;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::{io::Interest, net::TcpStream};

/// What one read may bring; also what is read before splicing is considered.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Wanted size of a pipe. The kernel grants less to a user over `pipe-user-pages-soft` (64 MiB by default).
const PIPE_BYTES: usize = 256 * 1024;
/// Idle pipes kept: 64 of 256 KiB are 16 MiB of that allowance at most, and no memory while empty.
const POOLED_PIPES: usize = 64;
/// Rounds of work per direction before other connections of the thread get their turn.
const TURNS: u32 = 16;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// Runs `work` with the calling thread's scratch buffer (64 KiB). It must not nest.
pub fn with_scratch<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| work(scratch))
}

/// Bytes moved so far, readable while the relay runs.
#[derive(Debug, Default)]
pub struct Moved {
    /// From the first stream to the second.
    pub forward: AtomicU64,
    /// From the second to the first.
    pub back: AtomicU64,
}

struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

static POOL: Mutex<Vec<Pipe>> = Mutex::new(Vec::new());

impl Pipe {
    /// None when descriptors or pipe memory have run out: the caller goes on copying.
    fn take() -> Option<Self> {
        if let Some(pipe) = POOL.lock().pop() {
            return Some(pipe);
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        // Smaller is slower, not wrong.
        let _ = fcntl_setpipe_size(&write, PIPE_BYTES);
        Some(Self { read, write })
    }

    /// Only an empty pipe may be given back.
    fn give_back(self) {
        let mut pool = POOL.lock();
        if pool.len() < POOLED_PIPES {
            pool.push(self);
        }
    }
}

enum State {
    /// Nothing held.
    Copying { full: u8 },
    /// The destination was full: these bytes from this offset come first.
    Held { bytes: Box<[u8]>, from: usize },
    /// `inside` bytes are in the pipe.
    Splicing { pipe: Pipe, inside: usize },
    /// End of file was passed on.
    Closed,
}

struct Direction {
    state: State,
}

impl Direction {
    fn new() -> Self {
        Self {
            state: State::Copying { full: 0 },
        }
    }

    /// Moves what can be moved. Ready once end of file has been passed on.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        to: &TcpStream,
        moved: &AtomicU64,
    ) -> Poll<io::Result<()>> {
        for _ in 0..TURNS {
            match &mut self.state {
                State::Closed => return Poll::Ready(Ok(())),
                State::Held { bytes, from: start } => {
                    ready!(to.poll_write_ready(cx))?;
                    match to.try_write(&bytes[*start..]) {
                        Ok(count) => {
                            moved.fetch_add(count as u64, Ordering::Relaxed);
                            *start += count;
                            if *start == bytes.len() {
                                self.state = State::Copying { full: 2 };
                            }
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
                State::Copying { full } if *full >= 2 => match Pipe::take() {
                    Some(pipe) => self.state = State::Splicing { pipe, inside: 0 },
                    None => *full = 0,
                },
                State::Copying { .. } => {
                    ready!(from.poll_read_ready(cx))?;
                    if let Some(next) = copy_once(&mut self.state, from, to, moved)? {
                        self.state = next;
                    }
                }
                State::Splicing { .. } => ready!(self.poll_splice(cx, from, to, moved))?,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One step of splicing: empties the pipe before it fills it again, so that "would block" on the way in always means
    /// an empty source and never a full pipe.
    fn poll_splice(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        to: &TcpStream,
        moved: &AtomicU64,
    ) -> Poll<io::Result<()>> {
        let State::Splicing { pipe, inside } = &mut self.state else {
            return Poll::Ready(Ok(()));
        };
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        if *inside > 0 {
            ready!(to.poll_write_ready(cx))?;
            let sent = to.try_io(Interest::WRITABLE, || {
                splice(&pipe.read, None, to, None, *inside, flags).map_err(io::Error::from)
            });
            match sent {
                Ok(count) => {
                    moved.fetch_add(count as u64, Ordering::Relaxed);
                    *inside -= count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            return Poll::Ready(Ok(()));
        }
        let got = match from.poll_read_ready(cx) {
            Poll::Ready(ready) => {
                ready?;
                from.try_io(Interest::READABLE, || {
                    splice(from, None, &pipe.write, None, PIPE_BYTES, flags).map_err(io::Error::from)
                })
            }
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        };
        match got {
            Ok(0) => {
                self.give_back_pipe();
                finish(to)?;
                self.state = State::Closed;
            }
            Ok(count) => *inside = count,
            // The source pauses: an idle connection holds no pipe.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.give_back_pipe(),
            Err(error) => return Poll::Ready(Err(error)),
        }
        Poll::Ready(Ok(()))
    }

    fn give_back_pipe(&mut self) {
        if let State::Splicing { pipe, inside: 0 } =
            std::mem::replace(&mut self.state, State::Copying { full: 1 })
        {
            pipe.give_back();
        }
    }
}

/// One read and one write through the scratch buffer; returns the next state unless it stays.
fn copy_once(
    state: &mut State,
    from: &TcpStream,
    to: &TcpStream,
    moved: &AtomicU64,
) -> io::Result<Option<State>> {
    let State::Copying { full } = state else {
        return Ok(None);
    };
    with_scratch(|scratch| {
        let count = match from.try_read(scratch) {
            Ok(0) => {
                finish(to)?;
                return Ok(Some(State::Closed));
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        *full = if count == scratch.len() { *full + 1 } else { 0 };
        let written = match to.try_write(&scratch[..count]) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        moved.fetch_add(written as u64, Ordering::Relaxed);
        Ok((written < count).then(|| State::Held {
            bytes: scratch[written..count].into(),
            from: 0,
        }))
    })
}

/// Passes end of file on. A destination that is gone already needs none.
fn finish(to: &TcpStream) -> io::Result<()> {
    match rustix::net::shutdown(to, rustix::net::Shutdown::Write) {
        Ok(()) | Err(rustix::io::Errno::NOTCONN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Makes closing `stream` send a reset instead of an orderly end.
pub fn abort(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Moves bytes both ways until both directions have ended, then closes both streams. When either stream fails, both
/// are reset. Dropping the future closes both streams.
///
/// # Errors
/// The first failure of either stream, such as `ConnectionReset`.
pub async fn relay(first: TcpStream, second: TcpStream, moved: &Moved) -> io::Result<()> {
    let (mut forward, mut back) = (Direction::new(), Direction::new());
    let outcome = poll_fn(|cx| {
        let one = forward.poll(cx, &first, &second, &moved.forward)?;
        let other = back.poll(cx, &second, &first, &moved.back)?;
        if one.is_ready() && other.is_ready() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    })
    .await;
    if outcome.is_err() {
        abort(&first);
        abort(&second);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(to), listener.accept());
        (client.unwrap(), accepted.unwrap().0)
    }

    async fn relayed() -> (
        TcpStream,
        TcpStream,
        std::sync::Arc<Moved>,
        tokio::task::JoinHandle<io::Result<()>>,
    ) {
        let (client, inner_client) = pair().await;
        let (inner_server, server) = pair().await;
        let moved = std::sync::Arc::new(Moved::default());
        let count = std::sync::Arc::clone(&moved);
        let task = tokio::spawn(async move { relay(inner_client, inner_server, &count).await });
        (client, server, moved, task)
    }

    #[tokio::test]
    async fn bulk_in_both_directions_at_once_arrives_unchanged() {
        const LENGTH: usize = 8 << 20;
        let (client, server, moved, task) = relayed().await;
        let data: Vec<u8> = (0..LENGTH).map(|index| (index % 251) as u8).collect();
        let transfer = |stream: TcpStream, data: Vec<u8>| async move {
            let (mut read, mut write) = stream.into_split();
            let expected = data.clone();
            let sender = tokio::spawn(async move {
                write.write_all(&data).await.unwrap();
                write.shutdown().await.unwrap();
            });
            let mut got = Vec::new();
            read.read_to_end(&mut got).await.unwrap();
            sender.await.unwrap();
            assert!(got == expected);
        };
        tokio::join!(transfer(client, data.clone()), transfer(server, data));
        task.await.unwrap().unwrap();
        assert_eq!(moved.forward.load(Ordering::Relaxed), LENGTH as u64);
        assert_eq!(moved.back.load(Ordering::Relaxed), LENGTH as u64);
    }

    #[tokio::test]
    async fn a_half_closed_connection_still_carries_the_answer() {
        let (mut client, mut server, _, task) = relayed().await;
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut question = String::new();
        server.read_to_string(&mut question).await.unwrap();
        server
            .write_all(question.to_uppercase().as_bytes())
            .await
            .unwrap();
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "QUESTION");
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_reset_is_passed_on_as_a_reset() {
        let (client, mut server, _, task) = relayed().await;
        abort(&client);
        drop(client);
        let error = server.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        task.await.unwrap().unwrap_err();
    }
}
