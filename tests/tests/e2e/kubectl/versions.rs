//! The versions of kubectl people have, with what differs between them: streams (SPDY, WebSocket), discovery, explain.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

use anyhow::{Context, Result, anyhow};
use serde_json::json;
use skiff_tests::{Cluster, Unmet, eventually, kubectl_versions, pod};

use crate::{has, same};

skiff_tests::cases! {
    shared: every_version_of_kubectl_applies_explains_and_streams;
}

fn every_version_of_kubectl_applies_explains_and_streams(cluster: &Cluster) -> Result<()> {
    let versions = kubectl_versions();
    if versions.is_empty() && std::env::var_os("CI").is_none() {
        return Err(Unmet("there is no program named kubectl.1.N".into()).into());
    }
    for (version, program) in versions {
        one(cluster, program).map_err(|error| anyhow!("kubectl {version}: {error:#}"))?;
    }
    Ok(())
}

fn one(cluster: &Cluster, program: std::path::PathBuf) -> Result<()> {
    let mut ns = cluster.namespace()?;
    ns.with_kubectl(program);
    let web = json!({"terminationGracePeriodSeconds": 0, "containers": [{"name": "web", "image": cluster.image("v1")?}]});
    let web = pod("web", web);
    same(
        ns.kubectl_with_input("apply -f -", web.to_string()).ok()?.trim(),
        "pod/web created",
    )?;
    same(
        ns.kubectl_with_input("apply -f -", web.to_string()).ok()?.trim(),
        "pod/web unchanged",
    )?;
    ns.wait_ready("web")?;
    has(
        &ns.kubectl("get pods").ok()?,
        &["NAME", "READY", "1/1", "Running"],
    )?;
    has(
        &ns.kubectl("explain pods.spec.restartPolicy").ok()?,
        &["restartPolicy", "string"],
    )?;
    same(
        ns.kubectl_with_input("exec -i web -- cat", "hello")
            .ok()?
            .as_str(),
        "hello",
    )?;
    same(ns.kubectl(["exec", "web", "--", "sh", "-c", "exit 9"]).code, 9)?;
    ns.kubectl(["exec", "web", "--", "sh", "-c", "echo logged >/proc/1/fd/1"])
        .ok()?;
    eventually("the log", || has(&ns.kubectl("logs web").ok()?, &["logged"]))?;
    let file = cluster.home().join(ns.name());
    fs::write(&file, "copied")?;
    ns.kubectl(["cp", &file.display().to_string(), "web:/tmp/file"])
        .ok()?;
    same(ns.kubectl("exec web -- cat /tmp/file").ok()?.as_str(), "copied")?;
    let mut forward = ns.kubectl_in_background("port-forward web :8080")?;
    let line = forward.line(|line| line.starts_with("Forwarding from 127.0.0.1:"))?;
    let port: u16 = line.split([':', ' ']).nth(3).context("a port")?.parse()?;
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(skiff_tests::DEADLINE))?;
    write!(stream, "GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    has(&answer, &["Hello from web"])
}
