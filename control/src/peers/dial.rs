//! Connections to other members: TLS with both sides' certificates, then an HTTP request or upgrade.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use skiff_api::members::{ADDRESS_HEADER, BoxStream, NODE_PATH, NODE_PROTOCOL, StreamKind};
use tokio::net::TcpStream;

use super::Peers;
use crate::pki::member_name;

/// How long connecting may take, TLS and the answer included.
const CONNECT: Duration = Duration::from_secs(3);
/// A stream of Raft's of which a member acknowledges nothing for so long is given up, and opened anew. The kernel would send
/// again in pauses that grow to two minutes, and whoever was cut off for long would be missed for as long when it is back.
const LOSS: Duration = Duration::from_secs(3);
/// How long a request may take: the leader may have to wait for a majority.
const ANSWER: Duration = Duration::from_secs(15);

/// Why another member could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// It is not known, or where it is.
    #[error("member {0} is not known here")]
    Unknown(u64),
    /// TCP or TLS.
    #[error("connect to {address}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// Its certificate is out of its time. Whose clock is wrong, is for people to find out.
    #[error(
        "the certificate of the server at {address} has ended or not begun by the clock of this one: one of the two clocks is wrong"
    )]
    Clock {
        /// Where to.
        address: SocketAddr,
    },
    /// HTTP broke down.
    #[error("ask a member")]
    Http(#[from] hyper::Error),
    /// A request that can't be made.
    #[error("make a request")]
    Request(#[from] http::Error),
    /// It does not want to.
    #[error("{message} ({code})")]
    Refused {
        /// The HTTP status.
        code: u16,
        /// Its reason.
        message: String,
    },
    /// It took too long.
    #[error("no answer in time")]
    Timeout,
}

impl DialError {
    /// Whether the other machine says that nobody listens there.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self, Self::Connect { source, .. } if source.kind() == std::io::ErrorKind::ConnectionRefused)
    }
}

impl Peers {
    /// Opens a stream of Raft's.
    pub(super) async fn open(
        &self,
        id: u64,
        address: SocketAddr,
        kind: StreamKind,
    ) -> Result<BoxStream, DialError> {
        let (path, protocol) = (kind.path(), kind.protocol());
        let opened = self.upgrade(id, address, Some(LOSS), path, protocol).await;
        if let Err(DialError::Refused { code: 401, message }) = &opened
            && message.contains(crate::members::REMOVED)
        {
            self.removed.send_replace(Some(message.clone()));
        }
        opened
    }

    /// Opens a stream to a node through a member.
    pub(super) async fn open_node(&self, id: u64, node: &str) -> Result<BoxStream, DialError> {
        let address = self.address(id)?;
        // Whoever reads it may pause for as long as they like.
        let loss = None;
        self.upgrade(id, address, loss, &format!("{NODE_PATH}{node}"), NODE_PROTOCOL)
            .await
    }

    fn address(&self, id: u64) -> Result<SocketAddr, DialError> {
        let book = self.book.lock();
        let peer = book.get(&id).ok_or(DialError::Unknown(id))?;
        let address = *peer.address.borrow();
        Ok(address)
    }

    async fn upgrade(
        &self,
        id: u64,
        address: SocketAddr,
        loss: Option<Duration>,
        path: &str,
        protocol: &str,
    ) -> Result<BoxStream, DialError> {
        let work = async {
            let mut sender = self.connect(id, address, loss).await?;
            let request = Request::get(path)
                .header(header::HOST, "member")
                .header(header::CONNECTION, "Upgrade")
                .header(header::UPGRADE, protocol)
                .header(ADDRESS_HEADER, self.advertise.to_string())
                .body(Full::default())?;
            let response = sender.send_request(request).await?;
            if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                return Err(refused(response).await);
            }
            let stream: BoxStream = Box::new(TokioIo::new(hyper::upgrade::on(response).await?));
            Ok(stream)
        };
        within(CONNECT, work).await
    }

    /// Asks a member something, in JSON.
    pub(crate) async fn ask(
        &self,
        id: u64,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Value, DialError> {
        let address = self.address(id)?;
        let mut sender = within(CONNECT, self.connect(id, address, None)).await?;
        let work = async {
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header(header::HOST, "member")
                .header(header::CONTENT_TYPE, "application/json")
                .body(Full::new(body))?;
            let response = sender.send_request(request).await?;
            if response.status() != StatusCode::OK {
                return Err(refused(response).await);
            }
            let bytes = response.into_body().collect().await?.to_bytes();
            Ok(serde_json::from_slice(&bytes).unwrap_or_default())
        };
        within(ANSWER, work).await
    }

    async fn connect(
        &self,
        id: u64,
        address: SocketAddr,
        loss: Option<Duration>,
    ) -> Result<hyper::client::conn::http1::SendRequest<Full<Bytes>>, DialError> {
        let dial = async {
            let tcp = TcpStream::connect(address).await?;
            tcp.set_nodelay(true)?;
            socket2::SockRef::from(&tcp).set_tcp_user_timeout(loss)?;
            // The name is in this member's certificate only: an address that has passed to another one is noticed.
            let name = ServerName::try_from(member_name(id)).map_err(std::io::Error::other)?;
            tokio_rustls::TlsConnector::from(Arc::clone(&self.tls.client()))
                .connect(name, tcp)
                .await
        };
        let tls = dial.await.map_err(|source| not_connected(address, source))?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }
}

fn not_connected(address: SocketAddr, source: std::io::Error) -> DialError {
    use rustls::CertificateError as Bad;
    match source.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(
            Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. },
        )) => DialError::Clock { address },
        _ => DialError::Connect { address, source },
    }
}

async fn refused(response: http::Response<hyper::body::Incoming>) -> DialError {
    let code = response.status().as_u16();
    let bytes = response.into_body().collect().await.map(|body| body.to_bytes());
    let status: Value = bytes
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    DialError::Refused {
        code,
        message: status["message"].as_str().unwrap_or("refused").to_owned(),
    }
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, DialError>>,
) -> Result<T, DialError> {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or(Err(DialError::Timeout))
}
