//! TCP: accept, find a backend that takes the connection, move bytes.

use std::{
    fs::File,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tracing::{debug, warn};

use crate::{
    metrics::Metrics,
    port::Shared,
    relay::{self, Moved, relay},
};

/// How long one backend may take to accept before the next one is tried.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// Backends tried for one connection.
const MOST_ATTEMPTS: usize = 8;

/// A descriptor kept in hand, so that with none left a waiting connection can be accepted and closed instead of being
/// left to hang (and the listener, still readable, to spin).
#[derive(Debug)]
pub(crate) struct Reserve(Mutex<Option<File>>);

impl Reserve {
    pub fn new() -> Self {
        Self(Mutex::new(File::open("/dev/null").ok()))
    }

    /// Accepts one connection with the reserved descriptor and resets it. False when even that failed.
    fn shed(&self, listener: &TcpListener) -> bool {
        let mut reserve = self.0.lock();
        drop(reserve.take());
        let accepted = rustix::net::accept(listener);
        let shed = accepted.is_ok();
        if let Ok(stream) = &accepted {
            let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
        drop(accepted);
        *reserve = File::open("/dev/null").ok();
        shed
    }
}

/// What accept(2) says when the process or the machine has no descriptor or memory left.
fn is_exhaustion(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

/// Accepts for ever and hands each connection to `serve`. Cancelled by dropping; connections handed out live on.
pub(crate) async fn accept_all(
    listener: TcpListener,
    reserve: &Reserve,
    metrics: &Metrics,
    serve: impl Fn(TcpStream, SocketAddr),
) {
    loop {
        match listener.accept().await {
            Ok((stream, client)) => serve(stream, client),
            Err(error) if is_exhaustion(&error) => {
                if reserve.shed(&listener) {
                    metrics.shed.inc();
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

/// Serves one client from start to end.
pub(crate) async fn serve(port: Arc<Shared>, client: TcpStream, from: SocketAddr) {
    let started = Instant::now();
    port.metrics.connections.inc();
    let Some((backend, held)) = connect(&port, from).await else {
        port.metrics.failures.inc();
        relay::abort(&client);
        return;
    };
    port.metrics
        .connect_seconds
        .observe(started.elapsed().as_secs_f64());
    let moved = Moved::default();
    let outcome = relay(client, backend, &moved).await;
    port.metrics.received.inc_by(moved.forward.into_inner());
    port.metrics.sent.inc_by(moved.back.into_inner());
    if let Err(error) = outcome {
        debug!(service = %port.service, client = %from, backend = %held.backend, %error, "connection broke");
    }
}

/// Counts a connection on its backend for as long as it lives.
pub(crate) struct Held {
    port: Arc<Shared>,
    pub backend: SocketAddr,
}

impl Held {
    pub fn new(port: &Arc<Shared>, backend: SocketAddr) -> Self {
        port.metrics.in_flight.inc();
        Self {
            port: Arc::clone(port),
            backend,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.port.metrics.in_flight.dec();
        self.port.balancer.lock().finished(self.backend);
    }
}

async fn connect(port: &Arc<Shared>, client: SocketAddr) -> Option<(TcpStream, Held)> {
    let mut tried = Vec::new();
    while tried.len() < MOST_ATTEMPTS {
        let picked = port.balancer.lock().pick(
            client.ip().to_canonical(),
            &tried,
            Instant::now(),
            &mut rand::rng(),
        );
        let Some(backend) = picked else { break };
        if !tried.is_empty() {
            port.metrics.retries.inc();
        }
        // From here on the count belongs to the guard, so that a cancelled connect gives it back.
        let held = Held::new(port, backend);
        let namespace = port.dialer.namespace(backend.ip());
        let error = match timeout(CONNECT_DEADLINE, namespace.tcp_connect(backend, None)).await {
            Ok(Ok(stream)) => {
                port.balancer.lock().succeeded(backend);
                return Some((stream, held));
            }
            Ok(Err(error)) if is_exhaustion(&error) => {
                // Our own fault, and the next backend would not help.
                warn!(service = %port.service, %error, "no descriptor for a backend connection");
                return None;
            }
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        debug!(service = %port.service, %backend, %error, "backend did not take the connection");
        port.balancer.lock().failed(backend, Instant::now());
        tried.push(backend);
    }
    None
}
