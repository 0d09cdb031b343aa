//! The node's HTTP server: one connection per stream of the tunnel.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;

use crate::{Duplex, Node, NodeError, logs, portforward, query::Query, remote, tunnel};

/// A response body.
pub type Body = BoxBody<Bytes, std::io::Error>;

/// Serves one connection to its end.
pub async fn serve(io: TokioIo<impl Duplex>, node: Arc<dyn Node>) {
    let service = service_fn(move |request| {
        let node = node.clone();
        async move { Ok::<_, Infallible>(answer(request, node).await.unwrap_or_else(|e| status(&e))) }
    });
    if let Err(error) = http1::Builder::new()
        .serve_connection(io, service)
        .with_upgrades()
        .await
    {
        tracing::debug!(%error, "a stream of the tunnel ended badly");
    }
}

async fn answer(request: Request<Incoming>, node: Arc<dyn Node>) -> Result<Response<Body>, NodeError> {
    let path = request.uri().path().to_owned();
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let segments: Vec<String> = path.split('/').skip(1).map(decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let is_read = request.method() == Method::GET;
    match segments[..] {
        ["healthz"] if is_read => Ok(text("ok".into())),
        ["metrics"] if is_read => Ok(text(node.metrics().await)),
        ["services"] if is_read => Ok(json_response(StatusCode::OK, &node.services().await)),
        ["pods"] if is_read => Ok(json_response(StatusCode::OK, &node.pods().await?)),
        ["containerLogs", ns, pod, container] if is_read => {
            logs::answer(ns, pod, container, &query, node).await
        }
        ["exec", ns, pod, container] => {
            let wanted = remote::wanted(&query);
            if wanted.command.is_empty() {
                return Err(bad_request(
                    "you must specify at least one command for the container",
                ));
            }
            match node.exec(ns, pod, container, wanted.clone()).await {
                Ok(session) => remote::upgrade(request, wanted, session),
                Err(error) => Ok(plain(&error)),
            }
        }
        ["attach", ns, pod, container] => {
            let wanted = remote::wanted(&query);
            match node.attach(ns, pod, container, wanted.clone()).await {
                Ok(session) => remote::upgrade(request, wanted, session),
                Err(error) => Ok(plain(&error)),
            }
        }
        ["portForward", ns, pod] => portforward::upgrade(request, &query, ns, pod, node),
        ["packets", from] if is_read => packets(request, from, node),
        _ => Err(NodeError {
            code: 404,
            message: format!("the node does not serve {path}"),
        }),
    }
}

/// Packets of another node, carried for it.
fn packets(request: Request<Incoming>, from: &str, node: Arc<dyn Node>) -> Result<Response<Body>, NodeError> {
    let upgrade = request.headers().get(header::UPGRADE);
    if upgrade.is_none_or(|value| value != tunnel::PACKETS) {
        return Err(bad_request(format!(
            "this path needs an upgrade to {}",
            tunnel::PACKETS
        )));
    }
    let response = remote::switching(&[
        (header::UPGRADE, tunnel::PACKETS),
        (header::CONNECTION, "Upgrade"),
    ])?;
    let from = from.to_owned();
    tokio::spawn(async move {
        match hyper::upgrade::on(request).await {
            Ok(io) => {
                let ended = node.packets(&from, Box::new(TokioIo::new(io))).await;
                tracing::debug!(from, ?ended, "a stream of packets ended");
            }
            Err(error) => tracing::debug!(%error, "a stream of packets was not opened"),
        }
    });
    Ok(response)
}

/// A segment of a path with its percent escapes resolved.
fn decode(segment: &str) -> String {
    Query::parse(&format!("s={}", segment.replace('+', "%2B")))
        .get("s")
        .unwrap_or_default()
        .to_owned()
}

/// 400.
pub fn bad_request(message: impl Into<String>) -> NodeError {
    NodeError {
        code: 400,
        message: message.into(),
    }
}

/// A body of known content.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

/// No body.
pub fn empty() -> Body {
    full(Bytes::new())
}

fn text(text: String) -> Response<Body> {
    let mut response = Response::new(full(text));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("text/plain"),
    );
    response
}

fn json_response(code: StatusCode, value: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(full(value.to_string()));
    *response.status_mut() = code;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    response
}

/// An error as text, which is how the kubelet refuses exec and attach: kubectl puts "unable to upgrade connection" before it.
fn plain(error: &NodeError) -> Response<Body> {
    let mut response = text(error.message.clone());
    *response.status_mut() = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// An error as a `Status` (meta/v1).
fn status(error: &NodeError) -> Response<Body> {
    let code = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reason = match error.code {
        400 => "BadRequest",
        404 => "NotFound",
        403 => "Forbidden",
        _ => "InternalError",
    };
    let value = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": error.message, "reason": reason, "code": code.as_u16(),
    });
    json_response(code, &value)
}
