//! Streams to the backends of one other node, over connections that are kept.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use rustls::{ClientConfig, pki_types::ServerName};
use skiff_netns_proxy::{
    netns::Namespace,
    remote::{self, Opener},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_rustls::{TlsConnector, TlsStream};
use tracing::debug;

use super::{
    ahead::ReadsAhead,
    settle,
    wire::{self, Connection, Question, Stream},
};

/// How long another agent may take to accept a connection before the tunnel is taken instead.
const CONNECT_DEADLINE: Duration = Duration::from_millis(700);
/// After a failure the tunnel is taken without another try for this long.
const REST: Duration = Duration::from_secs(5);
/// Connections kept without a stream, and for how long.
const MOST_IDLE: usize = 32;
const LONGEST_IDLE: Duration = Duration::from_secs(60);

/// The way to one other node.
pub(super) struct NodeDialer {
    name: String,
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    /// Where connections to the node are made.
    host: Arc<Namespace>,
    /// Where the tunnel begins.
    node: Arc<Namespace>,
    idle: Mutex<Idle>,
    /// Connections come home here after their stream.
    home: mpsc::UnboundedSender<Connection>,
    resting: Mutex<Option<Instant>>,
}

struct Idle {
    connections: Vec<(Connection, Instant)>,
    returned: mpsc::UnboundedReceiver<Connection>,
}

impl NodeDialer {
    pub fn new(
        name: &str,
        address: SocketAddr,
        tls: Arc<ClientConfig>,
        host: Arc<Namespace>,
        node: Arc<Namespace>,
    ) -> Self {
        let (home, returned) = mpsc::unbounded_channel();
        Self {
            name: name.to_owned(),
            address,
            tls,
            host,
            node,
            idle: Mutex::new(Idle {
                connections: Vec::new(),
                returned,
            }),
            home,
            resting: Mutex::new(None),
        }
    }

    /// A connection that has carried a stream already; it may have been closed by the other side.
    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock();
        while let Ok(connection) = idle.returned.try_recv() {
            if idle.connections.len() < MOST_IDLE {
                idle.connections.push((connection, Instant::now()));
            }
        }
        // The oldest are in front.
        let expired = idle
            .connections
            .partition_point(|(_, since)| since.elapsed() >= LONGEST_IDLE);
        idle.connections.drain(..expired);
        idle.connections.pop().map(|(connection, _)| connection)
    }

    async fn connect(&self) -> io::Result<Connection> {
        let dial = async {
            let tcp = self.host.tcp_connect(self.address, None).await?;
            settle(&tcp)?;
            let name = ServerName::IpAddress(self.address.ip().into());
            let tls = TlsConnector::from(Arc::clone(&self.tls))
                .connect(name, ReadsAhead::new(tcp))
                .await?;
            io::Result::Ok(TlsStream::from(tls))
        };
        timeout(CONNECT_DEADLINE, dial)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    fn stream(&self, connection: Connection) -> remote::Connection {
        remote::Connection::Stream(Box::new(Stream::new(connection, self.home.downgrade())))
    }
}

#[async_trait]
impl Opener for NodeDialer {
    async fn open(&self, backend: SocketAddr, client: SocketAddr) -> io::Result<remote::Connection> {
        let question = Question { backend, client };
        let rests = self.resting.lock().is_some_and(|since| since.elapsed() < REST);
        if !rests {
            if let Some(mut connection) = self.take_idle()
                && let Ok(answer) = wire::ask(&mut connection, question).await
            {
                return self.answered(connection, answer);
            }
            match self.connect().await {
                Ok(mut connection) => {
                    let answer = wire::ask(&mut connection, question).await?;
                    return self.answered(connection, answer);
                }
                Err(error) => {
                    debug!(node = self.name, address = %self.address, %error, "no relay: the tunnel is taken");
                    *self.resting.lock() = Some(Instant::now());
                }
            }
        }
        let socket = self.node.tcp_connect(backend, None).await?;
        Ok(remote::Connection::Socket(socket))
    }
}

impl NodeDialer {
    fn answered(&self, connection: Connection, answer: io::Result<()>) -> io::Result<remote::Connection> {
        match answer {
            Ok(()) => Ok(self.stream(connection)),
            Err(error) => {
                let _ = self.home.send(connection);
                Err(error)
            }
        }
    }
}
