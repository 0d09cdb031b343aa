//! Clusters of several nodes, on hosts of a network of their own.

use anyhow::Result;
use rustix::process::Signal;
use skiff_tests::{Lan, User};

use crate::{has, same};

skiff_tests::cases! {
    own:
        hosts_have_a_server_of_their_own,
        agents_join_by_token_and_clashes_are_refused;
}

/// The harness itself: a server on one host is reached from another, and from the test.
fn hosts_have_a_server_of_their_own(user: User) -> Result<()> {
    let lan = Lan::new()?;
    let (server, other) = (lan.host(user)?, lan.host(user)?);
    server.serve("")?;
    has(&server.kubectl("get namespaces").ok()?, &["kube-system"])?;
    let namespace = server.namespace()?;
    has(namespace.name(), &["test-"])?;
    let address = (server.address(), skiff_tests::API_PORT);
    other.inside(|| std::net::TcpStream::connect(address))?;
    Ok(())
}

/// Two agents join one server with nothing but its address and a token; what can't be is refused with the reason.
fn agents_join_by_token_and_clashes_are_refused(user: User) -> Result<()> {
    let lan = Lan::new()?;
    let (server, one, two) = (lan.host(user)?, lan.host(user)?, lan.host(user)?);
    server.serve("--cluster-cidr 10.200.0.0/16 --service-cidr 10.201.0.0/16 --cluster-domain lan.test")?;
    one.join(&server, "")?;
    two.join(&server, "")?;
    server.wait_nodes_ready(&[&one, &two])?;
    let mut ranges = Vec::new();
    for host in [&one, &two] {
        let node = server.wait_node(host.name(), "to be there", |_| true)?;
        let addresses = node
            .status
            .and_then(|status| status.addresses)
            .unwrap_or_default();
        same(addresses[0].address.clone(), host.address().to_string())?;
        ranges.push(node.spec.and_then(|spec| spec.pod_cidr).unwrap_or_default());
    }
    ranges.sort();
    same(
        ranges,
        vec!["10.200.0.0/24".to_owned(), "10.200.1.0/24".to_owned()],
    )?;

    // Again with the same key, as after a reboot; then others in its place.
    one.end("agent", Signal::TERM)?;
    one.join(&server, "")?;
    server.wait_nodes_ready(&[&one])?;
    let token = server.skiff("token").ok()?;
    let mut words = vec!["agent", "--join", "", "--token", token.trim()];
    let url = server.url();
    words[2] = &url;
    let refused = |more: &[&str]| server.skiff([&words[..], more].concat().as_slice()).fails(1);
    has(
        &refused(&["--node-name", one.name()])?,
        &["name host-2 is taken", "another key"],
    )?;
    let address = two.address().to_string();
    has(
        &refused(&["--node-name", "third", "--node-ip", &address])?,
        &[&format!("address {address} is that of node host-3"), "--node-ip"],
    )?;
    has(
        &refused(&["--node-name", "third", "--cluster-cidr", "10.1.0.0/16"])?,
        &["the server has --cluster-cidr 10.200.0.0/16"],
    )
}
