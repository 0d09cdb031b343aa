//! TCP: find a backend that takes the connection, move bytes.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, time::timeout};
use tracing::{debug, warn};

use crate::{
    accept::is_exhaustion,
    port::Shared,
    relay::{self, Moved},
    remote::{self, Connection},
};

/// How long one backend may take to accept before the next one is tried.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// Backends tried for one connection.
const MOST_ATTEMPTS: usize = 8;

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
    let outcome = match backend {
        Connection::Socket(backend) => relay::relay(client, backend, &moved).await,
        Connection::Stream(backend) => remote::relay(client, backend, &moved).await,
    };
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

async fn connect(port: &Arc<Shared>, client: SocketAddr) -> Option<(Connection, Held)> {
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
        let error = match timeout(CONNECT_DEADLINE, dial(port, backend, client)).await {
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

/// Connects to one backend: from its own namespace here, or by the node it is on.
async fn dial(port: &Shared, backend: SocketAddr, client: SocketAddr) -> io::Result<Connection> {
    match port.dialer.remote(backend.ip()) {
        Some(opener) => opener.open(backend, client).await,
        None => {
            let namespace = port.dialer.namespace(backend.ip());
            Ok(Connection::Socket(namespace.tcp_connect(backend, None).await?))
        }
    }
}
