//! What members of the control plane say to each other through the API port, and what an administrator asks about
//! them: `/skiff/v1/raft`, `/skiff/v1/members`. Who may is decided here; what it means, by [`Members`].

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use skiff_auth::User;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    request::{RequestInfo, accept::Accepted, body},
    server::{App, Call, body::Body, respond::Answer},
    status::Status,
};

/// An open connection, whatever it runs over.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A stream between members, or to a node.
pub type BoxStream = Box<dyn Duplex>;

/// The header by which a member says where it is reached now.
pub const ADDRESS_HEADER: &str = "skiff-address";

/// What a member opens a stream for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// Raft messages.
    Raft,
    /// One snapshot.
    Snapshot,
}

impl StreamKind {
    /// The path it is asked for at.
    pub fn path(self) -> &'static str {
        match self {
            Self::Raft => "/skiff/v1/raft",
            Self::Snapshot => "/skiff/v1/raft/snapshot",
        }
    }

    /// The protocol's name in `Upgrade`.
    pub fn protocol(self) -> &'static str {
        match self {
            Self::Raft => "skiff-raft/1",
            Self::Snapshot => "skiff-snapshot/1",
        }
    }
}

/// Where a member asks another one for a stream to a node that is connected there.
pub const NODE_PATH: &str = "/skiff/v1/members/nodes/";
/// The protocol of such a stream: bytes, as if the node were connected to the one who asks.
pub const NODE_PROTOCOL: &str = "skiff-node/1";
/// A server that wants to become a member, with its token in the body.
pub const JOIN_PATH: &str = "/skiff/v1/members/join";
/// Everything else about members is below.
pub const MEMBERS_PATH: &str = "/skiff/v1/members";

/// Who asks about members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Somebody without an identity: only a token can help.
    Anyone,
    /// An administrator.
    Administrator,
    /// Another member.
    Member(u64),
}

/// What a connection's certificate is known by; empty without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Hex SHA-256 of its key.
    pub key: String,
    /// What names the key that signed it; empty if it does not say so.
    pub issuer: String,
}

/// The other members, as the API server needs them.
#[async_trait]
pub trait Members: Send + Sync + 'static {
    /// The id of a member, when a connection's certificate is that of one: name and key must be the known ones.
    fn member_of(&self, user: &User, key: &str) -> Option<u64>;

    /// Why a certificate that was taken when its connection began is not taken any more, if so.
    fn refused(&self, certificate: &Certificate) -> Option<String>;

    /// Changes whenever a certificate may be refused from now on.
    fn revocations(&self) -> tokio::sync::watch::Receiver<u64>;

    /// Takes over a stream that a member has opened; `announced` is the address it says it is reached at.
    fn accept(&self, member: u64, kind: StreamKind, announced: Option<&str>, stream: BoxStream);

    /// Answers a request below [`MEMBERS_PATH`] in JSON.
    async fn answer(&self, asker: Asker, method: &Method, path: &str, body: Bytes) -> Result<Value, Status>;

    /// A stream to a node that is connected to another member.
    async fn open(&self, node: &str) -> Option<BoxStream>;
}

/// Resolves when a certificate is refused from now on; never for connections without one.
pub(crate) async fn refused(app: &App, certificate: &Certificate) {
    let (Some(members), false) = (&app.members, certificate.key.is_empty()) else {
        return std::future::pending().await;
    };
    let mut revocations = members.revocations();
    while members.refused(certificate).is_none() {
        if revocations.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// Whether a path is served here.
pub(crate) fn is_ours(info: &RequestInfo) -> bool {
    let below = |root: &str| {
        info.path
            .strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    below(StreamKind::Raft.path()) || below(MEMBERS_PATH)
}

/// Whether a request brings its own proof: a token in its body.
pub(crate) fn is_open(info: &RequestInfo) -> bool {
    info.path == JOIN_PATH && info.verb == "post"
}

/// Whether only members may ask for this.
pub(crate) fn is_for_members(info: &RequestInfo) -> bool {
    info.path.starts_with(StreamKind::Raft.path()) || info.path.starts_with(NODE_PATH)
}

/// Answers a request whose sender may ask it; `member` is the sender's id if it is a member.
pub(crate) async fn answer(
    app: &Arc<App>,
    mut call: Call,
    member: Option<u64>,
) -> Result<Response<Body>, Status> {
    let members = app.members.clone().ok_or_else(Status::no_such_path)?;
    if let Some(node) = call.info.path.strip_prefix(NODE_PATH) {
        let mut stream = app.tunnels.open(node).await?;
        let upgraded = hyper::upgrade::on(&mut call.request);
        let stop = app.stop.clone();
        tokio::spawn(async move {
            let Ok(io) = upgraded.await else { return };
            let mut io = TokioIo::new(io);
            // Either end may go away at any moment: both see it by their stream ending.
            stop.run_until_cancelled(tokio::io::copy_bidirectional(&mut io, &mut stream))
                .await;
        });
        return Ok(switching(NODE_PROTOCOL));
    }
    let kinds = [StreamKind::Raft, StreamKind::Snapshot];
    if let Some(kind) = kinds.into_iter().find(|kind| kind.path() == call.info.path) {
        let id = member.ok_or_else(Status::unauthorized)?;
        let announced = call.request.headers().get(ADDRESS_HEADER);
        let announced = announced.and_then(|v| v.to_str().ok()).map(str::to_owned);
        let upgraded = hyper::upgrade::on(&mut call.request);
        tokio::spawn(async move {
            match upgraded.await {
                Ok(io) => members.accept(id, kind, announced.as_deref(), Box::new(TokioIo::new(io))),
                Err(error) => tracing::debug!(id, %error, "the upgrade of a member's stream failed"),
            }
        });
        return Ok(switching(kind.protocol()));
    }
    let asker = match member {
        Some(id) => Asker::Member(id),
        None if is_open(&call.info) => Asker::Anyone,
        None => Asker::Administrator,
    };
    let (head, incoming) = call.request.into_parts();
    let bytes = body::read(incoming).await?;
    let value = members
        .answer(asker, &head.method, &call.info.path, bytes)
        .await?;
    Ok(Answer::new(200, value.to_string(), Accepted::default()).into_response(&head.headers, &call.query))
}

/// The answer to an upgrade.
pub(crate) fn switching(protocol: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(protocol));
    response
}
