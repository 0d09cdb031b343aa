//! Accepts connections for ever, also when descriptors run out.

use std::{fs::File, io, net::SocketAddr, os::fd::AsFd, time::Duration};

use parking_lot::Mutex;
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
    /// Accepts one connection with the reserved descriptor and resets it. False when even that failed.
    pub(crate) fn shed(&self, listener: &impl AsFd) -> bool {
        let mut reserve = self.0.lock();
        drop(reserve.take());
        let accepted = rustix::net::accept(listener);
        let shed = accepted.is_ok();
        if let Ok(stream) = &accepted {
            crate::relay::abort(stream);
        }
        drop(accepted);
        *reserve = File::open("/dev/null").ok();
        shed
    }
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
                if reserve.shed(&listener) {
                    shed();
                } else {
                    // Another thread took the descriptor: look again when some may have been freed.
                    tokio::time::sleep(Duration::from_millis(10)).await;
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
