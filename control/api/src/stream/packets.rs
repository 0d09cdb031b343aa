//! `/skiff/v1/nodes/{name}/packets` with an upgrade: a node whose UDP does not get through to another one has its packets
//! carried over both nodes' connections to the servers. What is carried is encrypted from node to node.

use std::sync::Arc;

use http::Response;

use super::forward;
use crate::{
    request::RequestInfo,
    server::{App, Call, body::Body},
    status::Status,
};

/// The node that packets are for, if that is what a path is about.
pub(crate) fn packets_node(info: &RequestInfo) -> Option<&str> {
    info.path
        .strip_prefix("/skiff/v1/nodes/")?
        .strip_suffix("/packets")
        .filter(|name| !name.is_empty() && !name.contains('/'))
}

/// Passes the stream on to the node, with the name of the one that asks. The caller has checked that it is a node.
pub(crate) async fn answer(app: &Arc<App>, call: Call) -> Result<Response<Body>, Status> {
    let to = packets_node(&call.info)
        .ok_or_else(Status::no_such_path)?
        .to_owned();
    let from = call.user.node().ok_or_else(Status::no_such_path)?;
    let path = format!("/packets/{from}");
    forward::send(app, &to, call.request, &path).await
}
