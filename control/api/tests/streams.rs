//! The way to a node: a node of this test's own dials in and answers what the server sends through the tunnel.

mod support;

use std::{convert::Infallible, future::poll_fn};

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{body::Frame, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use support::{Client, Cluster};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::compat::{FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};

const DEFAULT: &str = "/api/v1/namespaces/default";

/// What the node answers: the path it was asked for; two pieces for logs that follow; an echo after an upgrade.
async fn node_answer(
    request: Request<hyper::body::Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let path = request.uri().to_string();
    if request.headers().get("upgrade").is_some() {
        assert!(request.headers().get("authorization").is_none());
        let protocol = request.headers().get("sec-websocket-protocol").cloned();
        tokio::spawn(async move {
            let mut io = TokioIo::new(hyper::upgrade::on(request).await.expect("an upgrade"));
            let mut buffer = [0; 64];
            while let Ok(n) = io.read(&mut buffer).await {
                if n == 0 || io.write_all(&buffer[..n]).await.is_err() {
                    break;
                }
            }
        });
        let mut response = Response::new(BoxBody::default());
        *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
        response
            .headers_mut()
            .insert("connection", "Upgrade".parse().expect("a value"));
        response
            .headers_mut()
            .insert("upgrade", "websocket".parse().expect("a value"));
        if let Some(protocol) = protocol {
            response.headers_mut().insert("sec-websocket-protocol", protocol);
        }
        return Ok(response);
    }
    if path.contains("follow=true") {
        let pieces = futures::stream::iter(["one\n", "two\n"]).chain(futures::stream::pending());
        let body = StreamBody::new(pieces.map(|p| Ok(Frame::data(Bytes::from(p)))));
        return Ok(Response::new(BodyExt::boxed(body)));
    }
    Ok(Response::new(BodyExt::boxed(Full::new(Bytes::from(path)))))
}

/// Dials the tunnel and serves it until the test ends.
async fn connect_node(client: &Client, name: &str) -> anyhow::Result<()> {
    let headers = [("connection", "Upgrade"), ("upgrade", "skiff-tunnel/1")];
    let mut response = client
        .open("GET", &format!("/skiff/v1/nodes/{name}/tunnel"), &headers, "")
        .await?;
    anyhow::ensure!(response.status() == 101, "{}", response.status());
    let io = TokioIo::new(hyper::upgrade::on(&mut response).await?);
    let mut connection = yamux::Connection::new(io.compat(), yamux::Config::default(), yamux::Mode::Server);
    tokio::spawn(async move {
        while let Some(Ok(stream)) = poll_fn(|cx| connection.poll_next_inbound(cx)).await {
            let served = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream.compat()), service_fn(node_answer))
                .with_upgrades();
            tokio::spawn(served);
        }
    });
    Ok(())
}

async fn cluster_with_pod() -> anyhow::Result<(Cluster, Client)> {
    let cluster = Cluster::start().await?;
    let admin = cluster.admin()?;
    admin
        .post(
            &format!("{DEFAULT}/serviceaccounts"),
            &json!({"metadata": {"name": "default"}}),
        )
        .await?;
    let node = cluster.client(Some(&cluster.identity("system:node:n1", &["system:nodes"])?))?;
    node.post("/api/v1/nodes", &json!({"metadata": {"name": "n1"}}))
        .await?;
    let pod = json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}});
    let made = admin.post(&format!("{DEFAULT}/pods"), &pod).await?;
    anyhow::ensure!(made.code == 201, "{:?}", made.body);
    connect_node(&node, "n1").await?;
    // The tunnel is there when the node's end is: the server adds it right after the 101.
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while admin.get("/api/v1/nodes/n1/proxy/healthz").await?.code == 503 {
        anyhow::ensure!(tokio::time::Instant::now() < deadline, "the tunnel never came up");
    }
    Ok((cluster, admin))
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_and_the_node_proxy_go_through_the_tunnel() -> anyhow::Result<()> {
    let (cluster, admin) = cluster_with_pod().await?;
    let logs = admin
        .get(&format!("{DEFAULT}/pods/p/log?tailLines=5&timestamps=true"))
        .await?;
    assert_eq!(
        (logs.code, &logs.body[..]),
        (
            200,
            &b"/containerLogs/default/p/c?timestamps=true&tailLines=5"[..]
        )
    );
    let proxied = admin.get("/api/v1/nodes/n1/proxy/metrics/cadvisor?a=b").await?;
    assert_eq!(&proxied.body[..], b"/metrics/cadvisor?a=b");
    // A log that is followed arrives piece by piece, and its end is the client's.
    let followed = admin
        .open("GET", &format!("{DEFAULT}/pods/p/log?follow=true"), &[], "")
        .await?;
    let mut body = followed.into_body();
    let mut seen = Vec::new();
    while seen.len() < 8 {
        let frame = body.frame().await.expect("a frame")?;
        seen.extend_from_slice(&frame.into_data().expect("data"));
    }
    assert_eq!(seen, b"one\ntwo\n");
    drop(body);
    let many = (0..20).map(|_| admin.get("/api/v1/nodes/n1/proxy/x"));
    for answer in futures::future::try_join_all(many).await? {
        assert_eq!(&answer.body[..], b"/x");
    }
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_passed_through_and_bytes_go_both_ways() -> anyhow::Result<()> {
    let (cluster, admin) = cluster_with_pod().await?;
    let headers = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-protocol", "v5.channel.k8s.io"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let path = format!("{DEFAULT}/pods/p/exec?command=sh&stdin=true&stdout=true");
    let mut response = admin.open("GET", &path, &headers, "").await?;
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["sec-websocket-protocol"], "v5.channel.k8s.io");
    let mut io = TokioIo::new(hyper::upgrade::on(&mut response).await?);
    for word in ["hello", "world"] {
        io.write_all(word.as_bytes()).await?;
        let mut back = [0; 5];
        io.read_exact(&mut back).await?;
        assert_eq!(&back, word.as_bytes());
    }
    // Without an upgrade the node decides what to say; without rights it is not asked.
    let viewer = cluster.client(Some(&cluster.identity("bob", &[])?))?;
    assert_eq!(viewer.open("GET", &path, &headers, "").await?.status(), 403);
    let stranger = cluster.client(Some(&cluster.identity("system:node:n2", &["system:nodes"])?))?;
    let tunnel = [("connection", "Upgrade"), ("upgrade", "skiff-tunnel/1")];
    assert_eq!(
        stranger
            .open("GET", "/skiff/v1/nodes/n1/tunnel", &tunnel, "")
            .await?
            .status(),
        403
    );
    drop(io);
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_are_carried_for_nodes_only() -> anyhow::Result<()> {
    let (cluster, admin) = cluster_with_pod().await?;
    let headers = [("connection", "Upgrade"), ("upgrade", "skiff-packets/1")];
    let path = "/skiff/v1/nodes/n1/packets";
    let of = |name: &str, groups: &[&str]| cluster.client(Some(&cluster.identity(name, groups)?));
    for (name, client) in [
        ("nobody", cluster.client(None)?),
        ("a user", of("bob", &[])?),
        ("a node's name without its group", of("system:node:n2", &[])?),
        ("the group without a node's name", of("bob", &["system:nodes"])?),
    ] {
        let answer = client.open("GET", path, &headers, "").await?;
        assert_eq!(answer.status(), 403, "{name}");
    }
    let answer = admin.open("GET", path, &headers, "").await?;
    assert_eq!(answer.status(), 403, "an administrator is no node");
    let node = of("system:node:n2", &["system:nodes"])?;
    let answer = node.open("GET", path, &headers, "").await?;
    assert_eq!(answer.status(), 101);
    let mut io = TokioIo::new(hyper::upgrade::on(answer).await?);
    io.write_all(b"packet").await?;
    let mut back = [0; 6];
    io.read_exact(&mut back).await?;
    assert_eq!(&back, b"packet");
    drop(io);
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_tunnel_is_unavailable() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let admin = cluster.admin()?;
    admin
        .post("/api/v1/nodes", &json!({"metadata": {"name": "n9"}}))
        .await?;
    let answer = admin.get("/api/v1/nodes/n9/proxy/healthz").await?;
    assert_eq!(answer.code, 503);
    assert_eq!(
        answer.json()["message"],
        "node \"n9\" is not connected to this server"
    );
    cluster.stop().await;
    Ok(())
}
