//! Clusters of several nodes, on hosts of a network of their own.

use anyhow::Result;
use skiff_tests::{Lan, User};

use crate::has;

skiff_tests::cases! {
    own:
        hosts_have_a_server_of_their_own;
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
