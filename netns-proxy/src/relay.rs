//! Moves bytes both ways between two TCP streams of tokio, with no buffer for an idle connection. The machine is `pump`'s;
//! here its events come from the runtime. A reset is passed on as a reset.

use std::{
    future::poll_fn,
    io,
    os::fd::AsFd,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{io::Interest, net::TcpStream};

pub use crate::pump::with_scratch;
use crate::pump::{Direction, End, Progress, Readiness};

/// Bytes moved so far, readable while the relay runs.
#[derive(Debug, Default)]
pub struct Moved {
    /// From the first stream to the second.
    pub forward: AtomicU64,
    /// From the second to the first.
    pub back: AtomicU64,
}

/// Makes closing `stream` send a reset instead of an orderly end.
pub fn abort(stream: &impl AsFd) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// A stream, with what of its readiness has not been used up.
struct Watched {
    stream: TcpStream,
    ready: Readiness,
}

impl Watched {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            ready: Self::unknown(),
        }
    }

    /// To be asked of the runtime.
    fn unknown() -> Readiness {
        Readiness {
            readable: false,
            writable: false,
            ending: true,
            urgent: false,
        }
    }

    /// Takes what the runtime knows and asks to be woken by the rest; true when there is something new.
    fn refresh(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut news = false;
        if !self.ready.readable && self.stream.poll_read_ready(cx)?.is_ready() {
            (self.ready.readable, news) = (true, true);
        }
        if !self.ready.writable && self.stream.poll_write_ready(cx)?.is_ready() {
            (self.ready.writable, news) = (true, true);
        }
        Ok(news)
    }

    /// Tells the runtime what has been used up since it was `before`.
    fn use_up(&self, before: Readiness) {
        let forget = |interest| {
            let _ = self.stream.try_io(interest, || {
                io::Result::<()>::Err(io::ErrorKind::WouldBlock.into())
            });
        };
        if before.readable && !self.ready.readable {
            forget(Interest::READABLE);
        }
        if before.writable && !self.ready.writable {
            forget(Interest::WRITABLE);
        }
    }
}

/// Moves what can be moved one way.
fn pump(
    direction: &mut Direction,
    from: &mut Watched,
    to: &mut Watched,
    moved: &AtomicU64,
) -> io::Result<Progress> {
    let before = (from.ready, to.ready);
    let mut count = 0;
    let mut source = End {
        stream: from.stream.as_fd(),
        ready: &mut from.ready,
    };
    let mut destination = End {
        stream: to.stream.as_fd(),
        ready: &mut to.ready,
    };
    let progress = direction.pump(&mut source, &mut destination, &mut count);
    moved.fetch_add(count, Ordering::Relaxed);
    from.use_up(before.0);
    to.use_up(before.1);
    progress
}

/// Moves bytes both ways until both directions have ended, then closes both streams. When either stream fails, both
/// are reset. Dropping the future closes both streams.
///
/// # Errors
/// The first failure of either stream, such as `ConnectionReset`.
pub async fn relay(first: TcpStream, second: TcpStream, moved: &Moved) -> io::Result<()> {
    let (mut first, mut second) = (Watched::new(first), Watched::new(second));
    let (mut forward, mut back) = (Direction::default(), Direction::default());
    let outcome = poll_fn(|cx| {
        while first.refresh(cx)? | second.refresh(cx)? {
            let one = pump(&mut forward, &mut first, &mut second, &moved.forward)?;
            let other = pump(&mut back, &mut second, &mut first, &moved.back)?;
            if one == Progress::Closed && other == Progress::Closed {
                return Poll::Ready(Ok(()));
            }
            if one == Progress::Again || other == Progress::Again {
                // Nothing new may come of what is ready already.
                first.ready = Watched::unknown();
                second.ready = Watched::unknown();
                cx.waker().wake_by_ref();
                break;
            }
        }
        Poll::Pending
    })
    .await;
    if outcome.is_err() {
        abort(&first.stream);
        abort(&second.stream);
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
