//! The agent's connection to the API server: dialled from here, used by the server.

use std::{io, sync::Arc, time::Duration};

use futures::future::poll_fn;
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::{
    compat::{FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt},
    sync::CancellationToken,
};

use crate::{Node, server};

/// What the upgrade is called.
pub const PROTOCOL: &str = "skiff-tunnel/1";
/// What the upgrade of a stream of packets to another node is called.
pub const PACKETS: &str = "skiff-packets/1";
/// Streams at once: each `kubectl logs -f` or `exec` is one.
const MAX_STREAMS: usize = 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Where to dial, and as whom.
#[derive(Clone)]
pub struct Config {
    /// Host and port of the API server, `host:port`.
    pub server: String,
    /// The name its certificate must have.
    pub server_name: ServerName<'static>,
    /// TLS with the node's client certificate, asked for at each connection since certificates are renewed; ALPN is set
    /// here.
    pub tls: Arc<dyn Fn() -> Arc<ClientConfig> + Send + Sync>,
    /// This node's name.
    pub node: String,
}

/// Why a tunnel ended.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The server could not be reached.
    #[error("connect to {server}")]
    Connect {
        /// `host:port`.
        server: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// HTTP broke down.
    #[error("ask for the tunnel")]
    Http(#[from] hyper::Error),
    /// The server does not want it.
    #[error("the server answered {0} to the tunnel")]
    Refused(StatusCode),
    /// The connection broke.
    #[error("the tunnel broke")]
    Broken(#[from] yamux::ConnectionError),
}

/// Keeps a tunnel open until `stop`: reconnects with growing pauses, at once after one that had worked.
pub async fn run(config: Config, node: Arc<dyn Node>, stop: CancellationToken) {
    let mut pause = SHORTEST_PAUSE;
    loop {
        let ended = tokio::select! {
            ended = serve(&config, &node, &mut pause) => ended,
            () = stop.cancelled() => return,
        };
        match ended {
            Ok(()) => tracing::info!("the API server closed the tunnel"),
            Err(error) => {
                let source = std::error::Error::source(&error)
                    .map(ToString::to_string)
                    .unwrap_or_default();
                tracing::debug!(%error, source, pause = ?pause, "no tunnel to the API server");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One tunnel, from dial to end.
async fn serve(config: &Config, node: &Arc<dyn Node>, pause: &mut Duration) -> Result<(), TunnelError> {
    let path = format!("/skiff/v1/nodes/{}/tunnel", config.node);
    let socket = upgrade(config, &path, PROTOCOL).await?;
    *pause = SHORTEST_PAUSE;
    tracing::debug!(server = %config.server, "tunnel to the API server is open");
    let mut settings = yamux::Config::default();
    settings.set_max_num_streams(MAX_STREAMS);
    settings.set_max_connection_receive_window(None);
    let mut connection = yamux::Connection::new(socket.compat(), settings, yamux::Mode::Server);
    // Polling for new streams is what moves the bytes of all of them.
    while let Some(stream) = poll_fn(|cx| connection.poll_next_inbound(cx)).await {
        let stream = stream?.compat();
        let node = node.clone();
        tokio::spawn(async move { server::serve(TokioIo::new(stream), node).await });
    }
    Ok(())
}

/// A stream of packets to another node, which its server passes on.
///
/// # Errors
/// `Refused` when that node is not connected to any server; others when ours can't be reached.
pub async fn packets_to(config: &Config, node: &str) -> Result<impl crate::Duplex + use<>, TunnelError> {
    upgrade(config, &format!("/skiff/v1/nodes/{node}/packets"), PACKETS).await
}

async fn upgrade(
    config: &Config,
    path: &str,
    protocol: &str,
) -> Result<impl crate::Duplex + use<>, TunnelError> {
    let failed = |source| TunnelError::Connect {
        server: config.server.clone(),
        source,
    };
    let dial = async {
        let tcp = TcpStream::connect(&config.server).await?;
        tcp.set_nodelay(true)?;
        keep_alive(&tcp)?;
        let mut tls = (*(config.tls)()).clone();
        // The tunnel begins as an upgrade, which HTTP/2 does not have.
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsConnector::from(Arc::new(tls))
            .connect(config.server_name.clone(), tcp)
            .await
    };
    let tls = tokio::time::timeout(CONNECT_TIMEOUT, dial)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(failed)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await?;
    tokio::spawn(connection.with_upgrades());
    let request = Request::get(path)
        .header(header::HOST, &config.server)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, protocol)
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|e| failed(io::Error::new(io::ErrorKind::InvalidInput, e)))?;
    let response = sender.send_request(request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(TunnelError::Refused(response.status()));
    }
    Ok(TokioIo::new(hyper::upgrade::on(response).await?))
}

/// A server that is gone without a word is noticed within half a minute.
fn keep_alive(tcp: &TcpStream) -> io::Result<()> {
    let socket = socket2::SockRef::from(tcp);
    let probes = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(Some(Duration::from_secs(25)))
}
