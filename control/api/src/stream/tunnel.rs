//! `GET /skiff/v1/nodes/{name}/tunnel`, `Upgrade: skiff-tunnel/1`: after the 101 both sides speak yamux, and this
//! side opens the streams. A node may hold several tunnels for a moment (it dials a new one before it gives the old
//! one up): the newest is used.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use http::{Response, header};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio_util::{
    compat::{Compat, FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt},
    sync::CancellationToken,
};

use crate::{
    members,
    request::RequestInfo,
    server::{App, Call, body::Body},
    status::Status,
};

/// The protocol's name in `Upgrade`.
const PROTOCOL: &str = "skiff-tunnel/1";

/// A stream to a node.
pub(crate) type NodeStream = Compat<yamux::Stream>;

type Open = oneshot::Sender<Result<yamux::Stream, yamux::ConnectionError>>;

/// A live tunnel: its number, and where to ask for streams.
type Tunnel = (u64, mpsc::Sender<Open>);

/// The live tunnels.
#[derive(Default)]
pub(crate) struct Tunnels {
    by_node: Mutex<HashMap<String, Vec<Tunnel>>>,
    next: AtomicU64,
}

impl Tunnels {
    /// Opens a stream to a node.
    ///
    /// # Errors
    /// 503 when the node has no tunnel here.
    pub(crate) async fn open(&self, node: &str) -> Result<NodeStream, Status> {
        let gone = || Status::unavailable(format!("node \"{node}\" is not connected to this server"));
        let senders: Vec<mpsc::Sender<Open>> = {
            let tunnels = self.by_node.lock();
            let tunnels = tunnels.get(node).ok_or_else(gone)?;
            tunnels.iter().rev().map(|(_, sender)| sender.clone()).collect()
        };
        for sender in senders {
            let (reply, answer) = oneshot::channel();
            if sender.send(reply).await.is_ok()
                && let Ok(Ok(stream)) = answer.await
            {
                return Ok(stream.compat());
            }
        }
        Err(gone())
    }

    fn add(&self, node: &str) -> (u64, mpsc::Receiver<Open>) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = mpsc::channel(16);
        self.by_node
            .lock()
            .entry(node.to_owned())
            .or_default()
            .push((id, sender));
        (id, receiver)
    }

    fn remove(&self, node: &str, id: u64) {
        let mut tunnels = self.by_node.lock();
        if let Some(list) = tunnels.get_mut(node) {
            list.retain(|(other, _)| *other != id);
            if list.is_empty() {
                tunnels.remove(node);
            }
        }
    }
}

/// The node of a tunnel's path.
pub(crate) fn tunnel_node(info: &RequestInfo) -> Option<&str> {
    info.path
        .strip_prefix("/skiff/v1/nodes/")?
        .strip_suffix("/tunnel")
        .filter(|name| !name.is_empty() && !name.contains('/'))
}

/// Answers 101 and keeps the tunnel until either side ends it. The caller has checked who asks.
pub(crate) fn accept_tunnel(app: &Arc<App>, mut call: Call) -> Result<Response<Body>, Status> {
    let node = tunnel_node(&call.info)
        .ok_or_else(Status::no_such_path)?
        .to_owned();
    let upgrade = call
        .request
        .headers()
        .get(header::UPGRADE)
        .and_then(|v| v.to_str().ok());
    if !upgrade.is_some_and(|u| u.eq_ignore_ascii_case(PROTOCOL)) {
        return Err(Status::bad_request(format!(
            "this path needs an upgrade to {PROTOCOL}"
        )));
    }
    let upgraded = hyper::upgrade::on(&mut call.request);
    let app = app.clone();
    tokio::spawn(async move {
        let io = match upgraded.await {
            Ok(io) => TokioIo::new(io),
            Err(error) => {
                tracing::debug!(node, %error, "the tunnel's upgrade failed");
                return;
            }
        };
        let connection = yamux::Connection::new(io.compat(), yamux::Config::default(), yamux::Mode::Client);
        let (id, requests) = app.tunnels.add(&node);
        tracing::info!(node, "node connected");
        tokio::select! {
            () = drive(connection, requests, &app.stop) => {}
            () = members::refused(&app, &call.certificate) => tracing::info!(node, "the node's certificate is refused"),
        }
        app.tunnels.remove(&node, id);
        tracing::info!(node, "node disconnected");
    });
    Ok(members::switching(PROTOCOL))
}

/// Runs a connection: nothing moves on its streams unless it is polled.
async fn drive<T>(
    mut connection: yamux::Connection<T>,
    mut requests: mpsc::Receiver<Open>,
    stop: &CancellationToken,
) where
    T: futures::AsyncRead + futures::AsyncWrite + Unpin,
{
    let mut waiting: Option<Open> = None;
    let run = poll_fn(|cx| {
        loop {
            if waiting.is_none()
                && let Poll::Ready(Some(request)) = requests.poll_recv(cx)
            {
                waiting = Some(request);
            }
            if waiting.is_some()
                && let Poll::Ready(opened) = connection.poll_new_outbound(cx)
            {
                if let Some(reply) = waiting.take() {
                    // Whoever asked may have gone away: then the stream ends here.
                    let _ = reply.send(opened);
                }
                continue;
            }
            match connection.poll_next_inbound(cx) {
                // Nodes open no streams: one that does is refused by dropping it.
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "a tunnel ended");
                    return Poll::Ready(());
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    });
    stop.run_until_cancelled(run).await;
    if stop.is_cancelled() {
        let _ = poll_fn(|cx| connection.poll_close(cx)).await;
    }
}
