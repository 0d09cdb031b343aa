//! Logs, exec, attach and port-forward of the node.
//!
//! A node needs no inbound port. The agent dials the API server (`GET /skiff/v1/nodes/{name}/tunnel`,
//! `Upgrade: skiff-tunnel/1`, its client certificate) and, after the 101, both sides speak yamux over that
//! connection: the API server opens streams, each carries one HTTP/1.1 connection with the server as the client
//! and this crate as the server. Paths are the kubelet's: `/containerLogs/{ns}/{pod}/{container}`,
//! `/exec/{ns}/{pod}/{container}`, `/attach/{ns}/{pod}/{container}`, `/portForward/{ns}/{pod}`, `/healthz`, `/pods`,
//! `/metrics`, `/packets/{node}` (`Upgrade: skiff-packets/1`). The API server has authorised the request and passes upgrade handshakes through as they came, so
//! WebSocket (`v5.channel.k8s.io` … `channel.k8s.io`, base64 forms, `v2.portforward.k8s.io`) and SPDY/3.1 end here.

mod logs;
mod portforward;
mod query;
mod remote;
mod server;
mod spdy;
pub mod tunnel;

use std::path::PathBuf;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Duplex for T {}

/// A request the node can't serve; becomes a `Status` with this code.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct NodeError {
    /// HTTP code: 404 no such pod or container, 400 container not running, 500 …
    pub code: u16,
    /// Text.
    pub message: String,
}

/// What to run with exec.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecRequest {
    /// argv; empty for attach.
    pub command: Vec<String>,
    /// Which streams the client wants.
    pub stdin: bool,
    /// See `stdin`.
    pub stdout: bool,
    /// See `stdin`; with a terminal there is no separate stderr.
    pub stderr: bool,
    /// Allocate a terminal.
    pub tty: bool,
}

/// A running exec or an attachment: our ends of its streams.
pub struct Session {
    /// Write end of stdin.
    pub stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// Read end of stdout, or of the terminal.
    pub stdout: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Read end of stderr.
    pub stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Control of the process.
    pub control: Box<dyn SessionControl>,
}

/// Control of a session.
#[async_trait]
pub trait SessionControl: Send + Sync {
    /// Sets the terminal's size in characters.
    fn resize(&self, columns: u16, rows: u16);
    /// Waits for the end: the exit code (128 + signal number when killed).
    async fn wait(&self) -> Result<i32, NodeError>;
    /// The client went away: hang up.
    fn close(&self);
}

/// The log files of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFiles {
    /// The current log file in CRI format (`<RFC 3339 nano> stdout|stderr F|P <text>`); rotated ones are beside it
    /// with a suffix (`.1` is the youngest).
    pub path: PathBuf,
    /// Whether the container is still writing (a follow ends when it is not).
    pub running: bool,
}

/// What this crate needs from the agent.
#[async_trait]
pub trait Node: Send + Sync + 'static {
    /// The log of a container, or with `previous` of its last terminated instance.
    async fn logs(&self, ns: &str, pod: &str, container: &str, previous: bool)
    -> Result<LogFiles, NodeError>;
    /// Resolves when the container's current instance stops writing (to end a follow).
    async fn stopped(&self, ns: &str, pod: &str, container: &str);
    /// Starts a command in a container.
    async fn exec(
        &self,
        ns: &str,
        pod: &str,
        container: &str,
        request: ExecRequest,
    ) -> Result<Session, NodeError>;
    /// Attaches to the container's main process.
    async fn attach(
        &self,
        ns: &str,
        pod: &str,
        container: &str,
        request: ExecRequest,
    ) -> Result<Session, NodeError>;
    /// Connects to a port on the pod's loopback, from inside its network namespace.
    async fn dial(&self, ns: &str, pod: &str, port: u16) -> Result<Box<dyn Duplex>, NodeError>;
    /// Carries packets of the node `from`, whose UDP does not get through, until the stream ends.
    ///
    /// # Errors
    /// 404 when that node is not known here.
    async fn packets(&self, from: &str, stream: Box<dyn Duplex>) -> Result<(), NodeError>;
    /// `/pods` as JSON (a PodList).
    async fn pods(&self) -> Result<serde_json::Value, NodeError>;
    /// `/metrics` in Prometheus text format.
    async fn metrics(&self) -> String;
    /// What the node's proxy has done for each port of each service, for people.
    async fn services(&self) -> serde_json::Value;
}
