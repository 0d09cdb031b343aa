//! One request on one stream of a tunnel: HTTP/1.1 to the node, upgrades passed through as they are.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use crate::{
    server::{App, body::Body},
    status::Status,
};

/// How long a node may take to answer the head of a response.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a client may take to close a connection whose other end is closed.
const FAREWELL: Duration = Duration::from_secs(2);

/// Headers that concern one connection only (RFC 9110, section 7.6.1); `Upgrade` and `Connection` are put back for
/// upgrades.
const HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
];

fn without_hops(headers: &HeaderMap) -> HeaderMap {
    let mut out = headers.clone();
    for name in HOP {
        out.remove(name);
    }
    out.remove("keep-alive");
    out
}

/// 502 for a peer that can't be talked to.
pub(super) fn unreachable(peer: &str, why: &dyn std::fmt::Display) -> Status {
    Status::new(502, "InternalError", format!("error dialing {peer}: {why}"))
}

/// Sends a request to a node under another path and gives its response back.
pub(super) async fn send(
    app: &Arc<App>,
    node: &str,
    request: Request<Incoming>,
    path: &str,
) -> Result<Response<Body>, Status> {
    let stream = super::open(app, node).await?;
    let peer = format!("node \"{node}\"");
    exchange(
        app,
        stream,
        &peer,
        HeaderValue::from_static("node"),
        request,
        path,
    )
    .await
}

/// Sends a request over a stream of its own, under another path and host, and gives the response back.
pub(super) async fn exchange(
    app: &App,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: &str,
    host: HeaderValue,
    mut request: Request<Incoming>,
    path: &str,
) -> Result<Response<Body>, Status> {
    let unreachable = |why: &dyn std::fmt::Display| unreachable(peer, why);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| unreachable(&e))?;
    let stop = app.stop.clone();
    tokio::spawn(async move {
        let ended = stop.run_until_cancelled(connection.with_upgrades()).await;
        if let Some(Err(error)) = ended {
            tracing::debug!(%error, "a stream to a node ended");
        }
    });
    let upgrade = request.headers().get(header::UPGRADE).cloned();
    let mut headers = without_hops(request.headers());
    // Whom it is for trusts this server, not the client: the client's credentials end here.
    headers.remove(header::AUTHORIZATION);
    headers.remove(header::COOKIE);
    headers.insert(header::HOST, host);
    if let Some(upgrade) = &upgrade {
        headers.insert(header::UPGRADE, upgrade.clone());
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    let ours = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    let (head, body) = request.into_parts();
    let mut onward = Request::new(Body::Incoming(body));
    *onward.method_mut() = head.method;
    *onward.uri_mut() = path
        .parse()
        .map_err(|e| Status::bad_request(format!("invalid path: {e}")))?;
    *onward.headers_mut() = headers;
    let answered = tokio::time::timeout(PATIENCE, sender.send_request(onward)).await;
    let mut response = match answered {
        Ok(response) => response.map_err(|e| unreachable(&e))?,
        Err(_) => {
            return Err(Status::new(
                504,
                "Timeout",
                format!("{peer} did not answer in time"),
            ));
        }
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let (mut head, body) = response.into_parts();
        head.headers = without_hops(&head.headers);
        head.version = http::Version::HTTP_11;
        return Ok(Response::from_parts(head, Body::Incoming(body)));
    }
    let Some(ours) = ours else {
        return Err(unreachable(&"it switched protocols unasked"));
    };
    let theirs = hyper::upgrade::on(&mut response);
    let mut switched = Response::new(Body::empty());
    *switched.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *switched.headers_mut() = response.headers().clone();
    let stop = app.stop.clone();
    tokio::spawn(async move {
        // The sender is kept until both sides are up: dropping it could end the connection early.
        let _sender = sender;
        let (ours, theirs) = match tokio::try_join!(ours, theirs) {
            Ok(both) => both,
            Err(error) => {
                tracing::debug!(%error, "an upgrade failed");
                return;
            }
        };
        let copy = relay(TokioIo::new(ours), TokioIo::new(theirs));
        if let Some(Err(error)) = stop.run_until_cancelled(copy).await {
            tracing::debug!(%error, "a stream between client and node ended");
        }
    });
    Ok(switched)
}

/// Moves bytes between a client and a node until the node has said everything.
///
/// A node that is done no longer listens, and a client may speak at that very moment (a key, the terminal's size): that this
/// can't be delivered must not cost the client what is still on its way to it, the exit code above all.
async fn relay(
    client: impl AsyncRead + AsyncWrite,
    node: impl AsyncRead + AsyncWrite,
) -> std::io::Result<()> {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_node, mut to_node) = tokio::io::split(node);
    let up = async {
        let copied = tokio::io::copy(&mut from_client, &mut to_node).await;
        let closed = to_node.shutdown().await;
        copied.and(closed)
    };
    let down = async {
        let copied = tokio::io::copy(&mut from_node, &mut to_client).await;
        let closed = to_client.shutdown().await;
        copied.and(closed)
    };
    let (mut up, mut down) = (std::pin::pin!(up), std::pin::pin!(down));
    tokio::select! {
        ended = &mut down => {
            // A socket that is closed with unread bytes in it resets the connection: the client goes first.
            let _ = tokio::time::timeout(FAREWELL, up).await;
            ended
        }
        _ = &mut up => down.await,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_node_that_stops_listening_is_heard_to_its_end() {
        let (mut client, near) = duplex(16);
        let (far, node) = duplex(1024);
        let relaying = tokio::spawn(relay(near, far));
        let (listening, mut speaking) = tokio::io::split(node);
        speaking.write_all(&[b'x'; 500]).await.unwrap();
        speaking.shutdown().await.unwrap();
        // Both halves: from here on writes to the node fail.
        drop((listening, speaking));
        client.write_all(b"typed too late").await.unwrap();
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard.len(), 500);
        drop(client);
        let _ = relaying.await.unwrap();
    }
}
