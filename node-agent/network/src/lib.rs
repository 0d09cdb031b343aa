//! Pod network of one node: the node namespace, routed veth pairs, addresses, egress.
//!
//! Every pod has one veth pair into the node namespace, a /32 and the gateway 169.254.1.1. What leaves the cluster is
//! taken by a transparent-proxy rule and sent on from host sockets (rootless), or masqueraded by the kernel (root).

#![allow(unused_variables, clippy::unimplemented)]

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::OwnedFd,
    path::PathBuf,
    sync::Arc,
};

use ipnet::Ipv4Net;
use skiff_netns_proxy::{Dialer, netns::Namespace};

/// How to build the network.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory for the state of addresses in use (survives the agent; `<run dir>/network`). The node namespace is
    /// kept here as a bind mount, so that a new agent finds it.
    pub dir: PathBuf,
    /// All pods of the cluster.
    pub cluster_cidr: Ipv4Net,
    /// This node's pods.
    pub pod_cidr: Ipv4Net,
    /// Service addresses: local in the node namespace.
    pub service_cidr: Ipv4Net,
    /// Inside a user namespace (egress by host sockets) or root (kernel masquerade).
    pub rootless: bool,
}

/// What could not be done.
#[derive(Debug, thiserror::Error)]
#[error("pod network: {operation}")]
pub struct Error {
    /// What was being done, with its object.
    pub operation: String,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

/// The pod network of this node. Needs a running tokio runtime.
pub struct PodNetwork {
    _inner: (),
}

impl PodNetwork {
    /// Builds the network, or takes over what an earlier agent left (same addresses, same node namespace).
    pub async fn start(config: Config) -> Result<Arc<Self>, Error> {
        unimplemented!()
    }

    /// The node namespace.
    pub fn node(&self) -> Arc<Namespace> {
        unimplemented!()
    }

    /// The host namespace.
    pub fn host(&self) -> Arc<Namespace> {
        unimplemented!()
    }

    /// Connects a pod's network namespace; returns its address. Attaching an attached pod again returns the same
    /// address (adoption).
    pub async fn attach(&self, pod_uid: &str, netns: OwnedFd) -> Result<Ipv4Addr, Error> {
        unimplemented!()
    }

    /// Disconnects a pod and frees its address. Idempotent; the namespace may be gone already.
    pub async fn detach(&self, pod_uid: &str) -> Result<(), Error> {
        unimplemented!()
    }

    /// Frees the addresses of all pods but these.
    pub async fn retain(&self, pod_uids: &[String]) -> Result<(), Error> {
        unimplemented!()
    }

    /// The namespace of an attached pod, by its address.
    pub fn pod(&self, address: IpAddr) -> Option<Arc<Namespace>> {
        unimplemented!()
    }

    /// Connects to a pod or service address from the node (probes).
    pub async fn connect(&self, to: SocketAddr) -> io::Result<tokio::net::TcpStream> {
        unimplemented!()
    }

    /// Removes everything, the node namespace too.
    pub async fn destroy(&self) -> Result<(), Error> {
        unimplemented!()
    }
}

impl Dialer for PodNetwork {
    fn namespace(&self, backend: IpAddr) -> Arc<Namespace> {
        unimplemented!()
    }
}
