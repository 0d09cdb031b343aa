//! Nodes that join (`POST /skiff/v1/join`, with a token) and renew (`POST /skiff/v1/renew`, with their certificate).
//!
//! Bodies are JSON: `{"token", "node", "csr"}` and `{"csr"}` in, `{"certificate"}` (PEM) out.

use http::{Method, Response};
use serde::Deserialize;

use crate::{
    JoinError,
    request::{RequestInfo, accept::Accepted, body},
    server::{App, Call, body::Body, respond::Answer},
    status::Status,
};

#[derive(Deserialize)]
struct JoinRequest {
    token: String,
    node: String,
    csr: String,
}

#[derive(Deserialize)]
struct RenewRequest {
    csr: String,
}

pub(crate) fn is_open(info: &RequestInfo) -> bool {
    info.path == "/skiff/v1/join" && info.verb == "post"
}

pub(crate) fn is_renewal(info: &RequestInfo) -> bool {
    info.path == "/skiff/v1/renew" && info.verb == "post"
}

pub(crate) async fn answer(app: &App, call: Call) -> Result<Response<Body>, Status> {
    debug_assert_eq!(call.request.method(), Method::POST);
    let join = app
        .join
        .clone()
        .ok_or_else(|| Status::unavailable("joining is off on this server"))?;
    let renewal = is_renewal(&call.info);
    let node = call.user.node().map(str::to_owned);
    let (head, incoming) = call.request.into_parts();
    let bytes = body::read(incoming).await?;
    let broken = |e: serde_json::Error| Status::bad_request(format!("the request does not parse: {e}"));
    let signed = if renewal {
        let request: RenewRequest = serde_json::from_slice(&bytes).map_err(broken)?;
        let node = node.ok_or_else(Status::unauthorized)?;
        join.renew_node(&node, &request.csr).await
    } else {
        let request: JoinRequest = serde_json::from_slice(&bytes).map_err(broken)?;
        join.sign_node(&request.token, &request.node, &request.csr).await
    };
    let certificate = signed.map_err(|error| match error {
        JoinError::Token => {
            let mut status = Status::unauthorized();
            status.message = error.to_string();
            status
        }
        JoinError::Refused(why) => Status::bad_request(why),
    })?;
    let body = serde_json::json!({"certificate": certificate}).to_string();
    Ok(Answer::new(200, body, Accepted::default()).into_response(&head.headers, &call.query))
}
