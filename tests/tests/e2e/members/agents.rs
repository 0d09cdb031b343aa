//! Nodes whose server dies.

use std::time::Instant;

use anyhow::Result;
use rustix::process::Signal;
use skiff_tests::{Host, Lan, User, eventually, shell_pod};

use crate::has;

skiff_tests::cases! {
    ordinary:
        nodes_and_their_streams_go_on_when_the_server_they_joined_is_killed;
}

/// Three hosts with a member each.
pub fn members(lan: &Lan, user: User) -> Result<[Host; 3]> {
    let hosts = [lan.host(user)?, lan.host(user)?, lan.host(user)?];
    hosts[0].serve("")?;
    let token = hosts[0].skiff("token --server").ok()?;
    for host in &hosts[1..] {
        host.serve(["--join", &hosts[0].url(), "--token", token.trim()].as_slice())?;
    }
    Ok(hosts)
}

fn nodes_and_their_streams_go_on_when_the_server_they_joined_is_killed(user: User) -> Result<()> {
    let lan = Lan::new()?;
    let [first, second, third] = members(&lan, user)?;
    let node = lan.host(user)?;
    node.join(&first, "")?;
    second.wait_nodes_ready(&[&node])?;
    let namespace = second.namespace()?;
    let image = second.image("v1")?;
    namespace.apply(&[shell_pod("talker", &image, "echo hello; sleep 1000")])?;
    namespace.wait_pod("talker", "runs", |pod| {
        pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
    })?;
    let log = |through: &Host| through.kubectl(["-n", namespace.name(), "logs", "talker"].as_slice());
    // The node is connected to one member; its streams are reached through each.
    for through in [&first, &second, &third] {
        eventually("the pod's log", || has(&log(through).ok()?, &["hello"]))?;
    }
    first.end("server", Signal::KILL)?;
    let killed = Instant::now();
    eventually("another server", || {
        has(&node.last_words(), &["using another API server"])
    })?;
    println!(
        "the agent uses another server {:?} after its own was killed",
        killed.elapsed()
    );
    for through in [&second, &third] {
        eventually("the pod's log through another server", || {
            has(&log(through).ok()?, &["hello"])
        })?;
    }
    // What it has to do, it hears from the others.
    namespace.apply(&[shell_pod("later", &image, "echo later")])?;
    has(&namespace.wait_succeeded("later")?, &["later"])?;
    // Revoked, it is nobody's node any more: its connections end, and new ones are refused.
    third
        .skiff(["server", "revoke-node", node.name()].as_slice())
        .ok()?;
    eventually("the node's tunnel to end", || {
        has(&log(&second).fails(1)?, &["is not connected"])
    })
}
