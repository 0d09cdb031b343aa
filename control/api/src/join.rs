//! Nodes that join (`POST /skiff/v1/join`, with a token) and renew (`POST /skiff/v1/renew`, with their certificate).
//!
//! Bodies are JSON: `{"token", "node", "csr", "address"}` and `{"csr"}` in, `{"certificate", "authorities", "cluster"}` (PEM of
//! its certificate and of the CAs to believe, and what a node must know) out.

use std::sync::Arc;

use http::{Method, Response};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    JoinError, NODE_KEY,
    request::{RequestInfo, accept::Accepted, body},
    server::{App, Call, body::Body, respond::Answer},
    status::Status,
};

#[derive(Deserialize)]
struct JoinRequest {
    token: String,
    node: String,
    csr: String,
    /// What the node would register with.
    #[serde(default)]
    address: String,
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
    let refused = |error: JoinError| match error {
        JoinError::Token => {
            let mut status = Status::unauthorized();
            status.message = error.to_string();
            status
        }
        JoinError::Refused(why) => Status::bad_request(why),
    };
    let signed = if renewal {
        let request: RenewRequest = serde_json::from_slice(&bytes).map_err(broken)?;
        let node = node.ok_or_else(Status::unauthorized)?;
        join.renew_node(&node, &request.csr).await
    } else {
        let request: JoinRequest = serde_json::from_slice(&bytes).map_err(broken)?;
        let signed = join.sign_node(&request.token, &request.node, &request.csr).await;
        // Only who has a token learns about other nodes.
        if signed.is_ok()
            && let Some(nodes) = app.registry.resource("", "v1", "nodes")
        {
            let nodes = app.registry.list_values(nodes, "").await?;
            let key = join.key(&request.csr).map_err(refused)?;
            if let Some(why) = clash(&nodes, &request, &key) {
                return Err(Status::bad_request(why));
            }
        }
        signed
    };
    let certificate = signed.map_err(refused)?;
    let body = serde_json::json!({
        "certificate": certificate, "cluster": join.facts(), "authorities": join.authorities(),
    })
    .to_string();
    Ok(Answer::new(200, body, Accepted::default()).into_response(&head.headers, &call.query))
}

/// Why a node can't join beside these.
fn clash(nodes: &[Arc<Value>], request: &JoinRequest, key: &str) -> Option<String> {
    let name = |node: &Value| node["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let own = nodes.iter().find(|node| name(node) == request.node);
    let known_key = own.and_then(|node| node["metadata"]["annotations"][NODE_KEY].as_str());
    if known_key.is_some_and(|known| known != key) {
        return Some(format!(
            "the name {0} is taken by a node with another key: choose another one with --node-name, or, if that node \
             is gone for good, delete it first (kubectl delete node {0})",
            request.node
        ));
    }
    let has_address = |node: &&Arc<Value>| {
        let addresses = node["status"]["addresses"].as_array().into_iter().flatten();
        addresses
            .filter(|address| address["type"] == "InternalIP")
            .any(|address| address["address"] == request.address.as_str())
    };
    // One that has not been heard of lately may have lost the address to this one.
    let is_ready = |node: &&Arc<Value>| {
        let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
        conditions
            .filter(|condition| condition["type"] == "Ready")
            .any(|condition| condition["status"] == "True")
    };
    let mut others = nodes.iter().filter(|node| name(node) != request.node);
    let other = others.find(|node| has_address(node) && is_ready(node))?;
    Some(format!(
        "the address {} is that of node {}: every node needs one of its own that the others reach; choose it with \
         --node-ip",
        request.address,
        name(other)
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(node: &str, address: &str) -> JoinRequest {
        JoinRequest {
            token: String::new(),
            node: node.into(),
            csr: String::new(),
            address: address.into(),
        }
    }

    fn node(name: &str, address: &str, ready: &str) -> Arc<Value> {
        Arc::new(json!({
            "metadata": {"name": name, "annotations": {NODE_KEY: format!("key of {name}")}},
            "status": {
                "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
                "conditions": [{"type": "Ready", "status": ready}],
            },
        }))
    }

    #[test]
    fn a_name_belongs_to_the_key_that_came_first() {
        let nodes = [node("a", "10.0.0.1", "True")];
        let why = clash(&nodes, &request("a", "10.0.0.1"), "another").expect("a reason");
        assert!(
            why.contains("name a is taken") && why.contains("kubectl delete node a"),
            "{why}"
        );
        assert_eq!(clash(&nodes, &request("a", "10.0.0.1"), "key of a"), None);
        assert_eq!(clash(&nodes, &request("b", "10.0.0.2"), "another"), None);
    }

    #[test]
    fn an_address_belongs_to_one_node_that_is_alive() {
        let alive = [node("a", "10.0.0.1", "True")];
        let why = clash(&alive, &request("b", "10.0.0.1"), "k").expect("a reason");
        assert!(
            why.contains("10.0.0.1 is that of node a") && why.contains("--node-ip"),
            "{why}"
        );
        let lost = [node("a", "10.0.0.1", "Unknown")];
        assert_eq!(clash(&lost, &request("b", "10.0.0.1"), "k"), None);
    }
}
