//! Connections to backends of other nodes: whoever knows the way opens them, and a task of the runtime moves the bytes.

use std::{io, sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};

use tokio::{net::TcpStream, time::timeout};
use tracing::debug;

use super::{
    Command, Mailbox,
    dial::{Attempt, CONNECT_DEADLINE},
};
use crate::{
    metrics::add,
    port::Held,
    relay::Moved,
    remote::{self, Connection, Opener, RemoteStream},
};

/// How often the bytes of a connection that lasts are counted.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// Asks another node for a connection to the backend being tried. A stream is carried to its end here; a socket, and an
/// attempt that failed, go back to the worker.
pub(super) async fn carry(mut attempt: Box<Attempt>, opener: Arc<dyn Opener>, worker: Arc<Mailbox>) {
    let Some(backend) = attempt.held.as_ref().map(|held| held.load.address) else {
        return;
    };
    let opened = timeout(CONNECT_DEADLINE, opener.open(backend, attempt.from)).await;
    let opened = opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let socket = match opened {
        Ok(Connection::Stream(stream)) => {
            if let Some(held) = attempt.taken() {
                move_bytes(*attempt, held, stream).await;
            }
            return;
        }
        Ok(Connection::Socket(socket)) => socket.into_std().map(Into::into),
        Err(error) => Err(error),
    };
    worker.post(Command::Opened(attempt, socket));
}

async fn move_bytes(attempt: Attempt, held: Held, stream: Box<dyn RemoteStream>) {
    let client = match TcpStream::from_std(attempt.client.into()) {
        Ok(client) => client,
        Err(error) => {
            debug!(%error, "a connection can't be watched");
            return;
        }
    };
    let moved = Moved::default();
    let count = || {
        add(&held.port.metrics.received, moved.forward.swap(0, Relaxed));
        add(&held.port.metrics.sent, moved.back.swap(0, Relaxed));
    };
    let mut relay = std::pin::pin!(remote::relay(client, stream, &moved));
    let outcome = loop {
        match timeout(COUNT_EVERY, relay.as_mut()).await {
            Ok(outcome) => break outcome,
            Err(_) => count(),
        }
    };
    count();
    if let Err(error) = outcome {
        debug!(service = %held.port.service, backend = %held.load.address, %error, "connection broke");
    }
}
