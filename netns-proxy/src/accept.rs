//! Accepts connections for ever, also when descriptors run out.

use std::{
    fs::File,
    io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use parking_lot::Mutex;
use rustix::net::{SocketAddrAny, SocketFlags};
use tokio::net::{TcpListener, TcpStream};
use tracing::debug;

/// A descriptor kept in hand, so that with none left a waiting connection can be accepted and closed instead of being
/// left to hang (and the listener, still readable, to spin).
#[derive(Debug)]
pub struct Reserve(Mutex<Option<File>>);

impl Default for Reserve {
    fn default() -> Self {
        Self(Mutex::new(File::open("/dev/null").ok()))
    }
}

impl Reserve {
    /// Accepts one connection with the reserved descriptor, and resets it unless there is another descriptor by now:
    /// accept(2) says that there is none before it looks whether anybody waits.
    pub(crate) fn accept(&self, listener: &impl AsFd) -> LastResort {
        let mut reserve = self.0.lock();
        drop(reserve.take());
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let accepted = rustix::net::acceptfrom_with(listener, flags);
        *reserve = File::open("/dev/null").ok();
        match accepted {
            Err(_) => LastResort::Nobody,
            Ok((stream, from)) if reserve.is_some() => LastResort::Accepted(stream, from),
            Ok((stream, _)) => {
                crate::relay::abort(&stream);
                drop(stream);
                *reserve = File::open("/dev/null").ok();
                LastResort::Reset
            }
        }
    }
}

/// What the reserved descriptor was good for.
pub(crate) enum LastResort {
    /// Nobody waits, or another thread took the descriptor.
    Nobody,
    /// A connection was reset.
    Reset,
    /// A connection can be served after all.
    Accepted(OwnedFd, Option<SocketAddrAny>),
}

/// What socket(2) and accept(2) say when the process or the machine has no descriptor or memory left.
pub(crate) fn is_exhaustion(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

/// Accepts for ever and hands each connection to `serve`; calls `shed` for each one that had to be reset for want of
/// descriptors. Cancelled by dropping; connections handed out live on.
pub async fn accept_all(
    listener: TcpListener,
    reserve: &Reserve,
    shed: impl Fn(),
    serve: impl Fn(TcpStream, SocketAddr),
) {
    loop {
        match listener.accept().await {
            Ok((stream, client)) => serve(stream, client),
            Err(error) if is_exhaustion(&error) => {
                match reserve.accept(&listener) {
                    LastResort::Reset => shed(),
                    LastResort::Accepted(stream, from) => {
                        let from = from.and_then(|from| SocketAddr::try_from(from).ok());
                        if let (Ok(stream), Some(from)) = (TcpStream::from_std(stream.into()), from) {
                            serve(stream, from);
                        }
                    }
                    // Looked at again when some may have been freed.
                    LastResort::Nobody => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
            // A client that left before it was accepted, and the network errors that accept(2) passes on.
            Err(error) => {
                debug!(%error, "accept failed");
                tokio::task::yield_now().await;
            }
        }
    }
}
