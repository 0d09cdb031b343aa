//! The Kubernetes API server: HTTP over TLS in, transactions on the store out.
//!
//! The way of a request: [`server`] (accept, TLS) → `request` (what is asked) → `authn` (who is it) → `authz` (may
//! they) → `server/route` → `registry` (defaults, admission, validation, store) → bytes out. `watch`, `table`,
//! `discovery`, `openapi`, `review` and `stream` (the way to the nodes) hang off the same router. Errors are
//! [`status::Status`] everywhere.

mod admission;
pub mod audit;
mod authn;
mod authz;
mod discovery;
mod health;
mod join;
pub mod members;
mod metrics;
mod openapi;
mod range;
pub mod registry;
mod request;
mod review;
mod selector;
pub mod server;
mod snapshot;
pub mod status;
mod stream;
mod table;
mod watch;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use skiff_store::Store;

pub use members::Members;
pub use range::{DualRange, ParseRangeError};
pub use registry::{FORMER_SECRETS_KEYS, Registry, RequestContext, Target};
pub use request::query::{FieldValidation, ListOptions, VersionMatch};
pub use server::{Server, StartError};
pub use status::Status;

/// How to serve.
pub struct Config {
    /// The store, open.
    pub store: Store,
    /// Addresses to listen on with TLS.
    pub listen: Vec<std::net::TcpListener>,
    /// TLS certificate and key of the server: swapped when renewed, so asked for at each handshake.
    pub tls: Arc<rustls::ServerConfig>,
    /// Signs and checks service-account tokens: PEM of EC P-256 private keys; the first one signs.
    pub service_account_keys: Vec<String>,
    /// `iss` of tokens and of the discovery document, e.g. `https://kubernetes.default.svc.cluster.local`.
    pub issuer: String,
    /// Service addresses are given out from here, e.g. `10.96.0.0/16`; the first is the service `kubernetes`.
    pub service_cidr: DualRange,
    /// Node ports are given out from here. Kubernetes: 30000-32767.
    pub node_ports: std::ops::RangeInclusive<u16>,
    /// Where other machines and pods reach this server: endpoint of the service `kubernetes`.
    pub advertise: SocketAddr,
    /// Key file for secrets at rest.
    pub secrets_key: PathBuf,
    /// Answers `POST /skiff/v1/join`; `None`: joining is off.
    pub join: Option<Arc<dyn Join>>,
    /// The other members; `None`: there will never be any.
    pub members: Option<Arc<dyn Members>>,
    /// What is written down of requests; `None`: nothing.
    pub audit: Option<audit::Config>,
}

/// Signs the certificates of nodes that join or renew.
#[async_trait]
pub trait Join: Send + Sync + 'static {
    /// A node with a valid join token asks for its client certificate. Returns PEM of the certificate chain.
    async fn sign_node(&self, token: &str, node: &str, csr_pem: &str) -> Result<String, JoinError>;
    /// A node known by its certificate renews it.
    async fn renew_node(&self, node: &str, csr_pem: &str) -> Result<String, JoinError>;
    /// PEM of the CAs that a node is to believe.
    fn authorities(&self) -> String;
    /// What names the key of a request: the same for every request with it, as nodes say in [`NODE_KEY`].
    fn key(&self, csr_pem: &str) -> Result<String, JoinError>;
    /// What every node must know of the cluster.
    fn facts(&self) -> ClusterFacts;
}

/// Annotation of a Node: what names the key it has joined with. Another key does not get its name.
pub const NODE_KEY: &str = "skiff.dev/key";

/// Annotation of the EndpointSlices of the service `kubernetes`: which CAs are to be believed, by the hex SHA-256 of their
/// certificates, with commas between them; the first one signs. A node that knows others renews its certificate.
pub const AUTHORITIES: &str = "skiff.dev/authorities";

/// Annotation of a Node: the CA that has signed the certificate it uses, as in [`AUTHORITIES`].
pub const AUTHORITY: &str = "skiff.dev/authority";

/// What a node that joins is told.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ClusterFacts {
    /// Addresses of pods.
    pub cluster_cidr: DualRange,
    /// Addresses of services.
    pub service_cidr: DualRange,
    /// DNS domain.
    pub cluster_domain: String,
}

/// Why a node was refused.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The token is unknown or has expired: 401.
    #[error("the join token is not valid")]
    Token,
    /// The request is not acceptable: 400.
    #[error("{0}")]
    Refused(String),
}
