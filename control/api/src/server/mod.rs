//! The server: listeners, TLS, connections, and its end.

pub(crate) mod body;
mod resource;
pub(crate) mod respond;
mod route;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

pub(crate) use route::Call;
use route::Peer;

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use skiff_auth::{token::TokenError, token::Tokens};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Config, Join, Members, audit,
    authn::TokenCache,
    discovery::Discovery,
    members,
    metrics::Metrics,
    openapi::OpenApi,
    registry::{self, Codec, KeyError, Parts, Registry},
    stream::Tunnels,
    watch::Shared,
};

/// How long a client may take for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Clients and members that vanish without a word (no power, no network) are found out within a minute and their connections
/// ended: who only reads would keep one for ever.
const KEEPALIVE: socket2::TcpKeepalive = socket2::TcpKeepalive::new()
    .with_time(Duration::from_secs(30))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);
/// What a connection of HTTP/1 holds at most of what its client does not read; the head of a request must fit too. A thousand
/// watchers of a thousand changes per second get what is in a round with one write.
const HTTP1_BUFFER: usize = 128 << 10;
/// The same of what is encrypted already.
const TLS_BUFFER: usize = 192 << 10;
/// How long open requests may take to end at a shutdown.
const DRAIN: Duration = Duration::from_secs(10);
/// Pause after an accept that failed (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The key of secrets at rest.
    #[error("secrets at rest")]
    SecretsKey(#[from] KeyError),
    /// The key of service-account tokens.
    #[error("service-account key")]
    TokenKey(#[from] TokenError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] audit::AuditError),
    /// A listener.
    #[error("listen")]
    Listen(#[source] io::Error),
}

/// What all requests share.
pub(crate) struct App {
    pub(crate) registry: Registry,
    pub(crate) tokens: TokenCache,
    pub(crate) tunnels: Tunnels,
    pub(crate) discovery: Discovery,
    pub(crate) openapi: OpenApi,
    pub(crate) join: Option<Arc<dyn Join>>,
    pub(crate) members: Option<Arc<dyn Members>>,
    pub(crate) audit: Option<Arc<audit::Audit>>,
    pub(crate) stop: CancellationToken,
    /// The first objects are there.
    pub(crate) ready: tokio::sync::watch::Receiver<bool>,
}

/// A running API server. Dropping it stops it without draining.
pub struct Server {
    registry: Registry,
    addresses: Vec<SocketAddr>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Starts to serve, and creates what every cluster has (namespaces, roles, the service `kubernetes`) when it is
    /// missing: returns when that is done, or after a few seconds without quorum (it then goes on in the
    /// background, and `/readyz` says so).
    ///
    /// # Errors
    /// When a key can't be used or a listener is broken.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let tokens = Tokens::new(&config.service_account_keys, &config.issuer)?;
        let registry = Registry::new(Parts {
            codec: Codec::open(&config.secrets_key, config.store.clone())?,
            store: config.store,
            service_cidr: config.service_cidr,
            node_ports: config.node_ports,
            tokens,
            metrics: Metrics::default(),
            watches: Shared::default(),
        });
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let (is_ready, mut ready) = tokio::sync::watch::channel(false);
        let mut tls = (*config.tls).clone();
        if tls.alpn_protocols.is_empty() {
            tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        }
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let app = Arc::new(App {
            registry: registry.clone(),
            tokens: TokenCache::default(),
            tunnels: Tunnels::default(),
            discovery: Discovery::new(),
            openapi: OpenApi::default(),
            join: config.join,
            members: config.members,
            audit: config
                .audit
                .as_ref()
                .map(audit::Audit::open)
                .transpose()?
                .map(Arc::new),
            stop: stop.clone(),
            ready: ready.clone(),
        });
        let mut listeners = Vec::new();
        for listener in config.listen {
            listener.set_nonblocking(true).map_err(StartError::Listen)?;
            listeners.push(TcpListener::from_std(listener).map_err(StartError::Listen)?);
        }
        let addresses: io::Result<Vec<SocketAddr>> = listeners.iter().map(TcpListener::local_addr).collect();
        let addresses = addresses.map_err(StartError::Listen)?;
        for listener in listeners {
            tasks.spawn(accept(listener, acceptor.clone(), app.clone(), tasks.clone()));
        }
        let background = registry.clone();
        let ending = stop.clone();
        let advertise = config.advertise;
        tasks.spawn(async move {
            let work = async {
                registry::bootstrap(&background, advertise).await;
                if let Err(error) = background.rebuild_policy() {
                    tracing::error!(%error, "the policy can't be built");
                }
                is_ready.send_replace(true);
                background.follow_policy().await;
            };
            ending.run_until_cancelled(work).await;
        });
        let patience = Duration::from_secs(5);
        let _ = tokio::time::timeout(patience, ready.wait_for(|r| *r)).await;
        Ok(Self {
            registry,
            addresses,
            stop,
            tasks,
        })
    }

    /// The registry, for controllers in this process.
    pub fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// The addresses that are listened on.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops listening, ends watches and streams, waits (at most ten seconds) for open requests.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("some requests did not end in time");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, app: Arc<App>, tasks: TaskTracker) {
    let stop = app.stop.clone();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                tasks.spawn(connection(stream, peer, acceptor.clone(), app.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, acceptor: TlsAcceptor, app: Arc<App>) {
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE);
    let handshake = acceptor.accept_with(stream, |tls| tls.set_buffer_limit(Some(TLS_BUFFER)));
    let tls = match tokio::time::timeout(HANDSHAKE, handshake).await {
        Ok(Ok(tls)) => tls,
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "TLS handshake failed");
            return;
        }
        Err(_) => return,
    };
    let certificate = tls
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first());
    let remote = Arc::new(Peer::of(certificate, peer));
    let stop = app.stop.clone();
    let (revoking, key) = (app.clone(), remote.clone());
    let service = service_fn(move |request| {
        let (app, remote) = (app.clone(), remote.clone());
        async move {
            // On its own: the room for it would stay with the connection, which a watch keeps for hours.
            let answer = Box::pin(route::handle(app, request, &remote)).await;
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .max_buf_size(HTTP1_BUFFER)
        .header_read_timeout(Duration::from_secs(30));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(250)
        .keep_alive_interval(Duration::from_secs(30));
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(tls), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        // Watches that go on would tell more to whoever may know nothing any more.
        () = members::refused(&revoking, key.certificate()) => return,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%peer, %error, "connection ended");
    }
}
