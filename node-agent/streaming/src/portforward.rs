//! Port-forward, in its three forms: SPDY/3.1 (kubectl before 1.31), SPDY inside a WebSocket (kubectl now), and two
//! WebSocket channels per port (kube-rs, older browsers).
//!
//! A connection that breaks ends its own streams only; the session goes on.

mod channels;
mod tunnelled;

use std::{collections::HashMap, sync::Arc};

use http::{HeaderName, Request, Response, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    Duplex, Node, NodeError,
    query::Query,
    remote::{self, websocket},
    server::{Body, bad_request},
    spdy::{Connection, Stream},
};

const VERSION: HeaderName = HeaderName::from_static("x-stream-protocol-version");
const PROTOCOL: &str = "portforward.k8s.io";
/// Sub-protocol of a WebSocket that carries SPDY.
const TUNNELLED: [&str; 2] = ["SPDY/3.1+portforward.k8s.io", "v2.portforward.k8s.io"];
/// Read at once from the pod.
const CHUNK: usize = 32 * 1024;

/// A pod to connect to.
#[derive(Clone)]
struct Pod {
    ns: String,
    name: String,
    node: Arc<dyn Node>,
}

impl Pod {
    async fn dial(&self, port: u16) -> Result<Box<dyn Duplex>, NodeError> {
        self.node.dial(&self.ns, &self.name, port).await
    }
}

/// Answers the handshake and forwards until the client leaves.
pub fn upgrade(
    request: Request<Incoming>,
    query: &Query,
    ns: &str,
    pod: &str,
    node: Arc<dyn Node>,
) -> Result<Response<Body>, NodeError> {
    let pod = Pod {
        ns: ns.to_owned(),
        name: pod.to_owned(),
        node,
    };
    let value = request
        .headers()
        .get(header::UPGRADE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    if value.eq_ignore_ascii_case("SPDY/3.1") {
        let response = remote::switching(&[
            (header::UPGRADE, "SPDY/3.1"),
            (header::CONNECTION, "Upgrade"),
            (VERSION, PROTOCOL),
        ])?;
        tokio::spawn(async move {
            match hyper::upgrade::on(request).await {
                Ok(io) => serve(Connection::start(TokioIo::new(io)), pod).await,
                Err(error) => tracing::debug!(%error, "the SPDY connection was not opened"),
            }
        });
        return Ok(response);
    }
    if !value.eq_ignore_ascii_case("websocket") {
        return Err(bad_request(
            "you must upgrade the connection: WebSocket or SPDY/3.1",
        ));
    }
    let offers = websocket::offered(request.headers());
    if let Some(protocol) = offers.iter().find(|o| TUNNELLED.contains(&o.as_str())) {
        let response = websocket::accept(request.headers(), Some(protocol))?;
        tokio::spawn(async move {
            match websocket::socket(request).await {
                Ok(socket) => serve(Connection::start(tunnelled::bytes(socket)), pod).await,
                Err(error) => tracing::debug!(%error, "the WebSocket was not opened"),
            }
        });
        return Ok(response);
    }
    channels::upgrade(request, &offers, query, pod)
}

/// Pairs the streams of each request (error and data) and forwards.
async fn serve(mut connection: Connection, pod: Pod) {
    // Error streams that wait for their data stream, by request id.
    let mut errors: HashMap<String, Stream> = HashMap::new();
    while let Some(stream) = connection.accept().await {
        if stream.writer().reply().await.is_err() {
            return;
        }
        let id = stream.header("requestid").unwrap_or_default().to_owned();
        match stream.header("streamtype") {
            Some("error") => {
                errors.insert(id, stream);
            }
            Some("data") => {
                let Some(error) = errors.remove(&id) else { continue };
                let pod = pod.clone();
                tokio::spawn(async move { forward(stream, error, pod).await });
            }
            _ => {}
        }
    }
}

async fn forward(mut data: Stream, error: Stream, pod: Pod) {
    let port = data
        .header("port")
        .and_then(|p| p.parse::<u16>().ok())
        .unwrap_or_default();
    let (writer, errors) = (data.writer(), error.writer());
    let connected = match pod.dial(port).await {
        Ok(connected) => connected,
        Err(failed) => {
            let text = format!(
                "error forwarding port {port} to pod {}/{}: {failed}",
                pod.ns, pod.name
            );
            let _ = errors.send(text.as_bytes(), true).await;
            let _ = writer.send(&[], true).await;
            return;
        }
    };
    let (mut from_pod, mut to_pod) = tokio::io::split(connected);
    let up = async {
        while let Some(bytes) = data.receive().await {
            if to_pod.write_all(&bytes).await.is_err() || to_pod.flush().await.is_err() {
                return;
            }
        }
        let _ = to_pod.shutdown().await;
    };
    let down = async {
        let mut buffer = vec![0; CHUNK];
        // A pod that resets its connection ends this stream, not the session.
        while let Ok(length @ 1..) = from_pod.read(&mut buffer).await {
            if writer.send(&buffer[..length], false).await.is_err() {
                return;
            }
        }
        let _ = writer.send(&[], true).await;
    };
    // When the pod has said everything it is over: kubectl before 1.28 keeps its end open until this stream ends.
    let mut down = std::pin::pin!(down);
    tokio::select! {
        () = &mut down => {}
        () = up => down.await,
    }
    let _ = errors.send(&[], true).await;
}
