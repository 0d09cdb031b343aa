//! Services: one set of listeners per service inside a network namespace, balancing over ready backends, TCP and UDP
//! data path, cluster DNS. Knows services and endpoints as plain values and nothing of Kubernetes objects.
//!
//! A socket keeps the namespace it was made in: [`netns::Namespace`] is a thread that entered a namespace once and
//! hands out sockets made there; epoll and splice then work on them from any thread.

#![allow(unused_variables, clippy::unimplemented)]

pub mod netns;

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

/// Transport protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A backend of a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Backend {
    /// Address and port.
    pub address: SocketAddr,
    /// Being terminated: keeps its connections, gets new ones only when no other is ready.
    pub terminating: bool,
}

/// One port of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Name, empty when the service has one unnamed port.
    pub name: String,
    /// Protocol.
    pub protocol: Protocol,
    /// Port on the service addresses.
    pub port: u16,
    /// Port on the host, if any.
    pub node_port: Option<u16>,
    /// Ready backends.
    pub backends: Vec<Backend>,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `namespace/name`.
    pub name: String,
    /// Cluster addresses; empty: headless (DNS only).
    pub addresses: Vec<IpAddr>,
    /// Ports.
    pub ports: Vec<Port>,
    /// `sessionAffinity: ClientIP` with its timeout.
    pub affinity: Option<Duration>,
    /// Host IPs the host port listens on, empty: all.
    pub host_addresses: Vec<IpAddr>,
}

/// Finds the namespace a backend is dialled from: its own for a pod of this node, the host's for anything else.
pub trait Dialer: Send + Sync + 'static {
    /// The namespace to connect from.
    fn namespace(&self, backend: IpAddr) -> Arc<netns::Namespace>;
}

/// How to run the proxy.
pub struct Config {
    /// Where cluster addresses are local: the node namespace.
    pub node: Arc<netns::Namespace>,
    /// Where node ports are listened on: the host namespace.
    pub host: Arc<netns::Namespace>,
    /// Where to dial backends from.
    pub dialer: Arc<dyn Dialer>,
}

/// The proxy of one node. Needs a running tokio runtime.
pub struct Proxy {
    _inner: (),
}

impl Proxy {
    /// Starts without any service.
    pub fn new(config: Config) -> Self {
        unimplemented!()
    }

    /// Adds or replaces a service. When this returns, its listeners are there (or gone, for ports without ready
    /// backends). Established connections stay unless their backend is gone from the list and the protocol is UDP.
    ///
    /// # Errors
    /// Names the port that could not be listened on; the other ports work.
    pub async fn set(&self, service: Service) -> Result<(), PortError> {
        unimplemented!()
    }

    /// Removes a service and its listeners.
    pub async fn remove(&self, name: &str) {
        unimplemented!()
    }

    /// Metrics in Prometheus text format.
    pub fn metrics(&self) -> String {
        unimplemented!()
    }
}

/// A port that could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("listen on {address} for service {service}")]
pub struct PortError {
    /// Service.
    pub service: String,
    /// Address.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Cluster DNS.
pub mod dns {
    use super::*;

    /// The records, replaced as a whole or by name; all names without the cluster domain.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct ServiceRecord {
        /// Cluster addresses (empty for headless and ExternalName).
        pub addresses: Vec<IpAddr>,
        /// `ExternalName` target.
        pub external_name: Option<String>,
        /// Headless: ready endpoints with their host names (or none).
        pub endpoints: Vec<(Option<String>, IpAddr)>,
        /// Named ports for SRV: name, protocol, port.
        pub ports: Vec<(String, Protocol, u16)>,
    }

    /// How to serve.
    pub struct Config {
        /// Cluster domain, e.g. `cluster.local`.
        pub domain: String,
        /// Where to listen (UDP and TCP), in the node namespace.
        pub listen: SocketAddr,
        /// The node namespace.
        pub node: Arc<netns::Namespace>,
        /// Namespace that upstream queries leave from (the host's).
        pub upstream: Arc<netns::Namespace>,
        /// `resolv.conf` to take upstream servers from; read again when it changes.
        pub resolv_conf: std::path::PathBuf,
    }

    /// The DNS server.
    pub struct Dns {
        _inner: (),
    }

    impl Dns {
        /// Starts serving.
        pub async fn start(config: Config) -> io::Result<Self> {
            unimplemented!()
        }

        /// Adds, replaces or (`None`) removes the records of a service `namespace/name`.
        pub fn set(&self, service: &str, record: Option<ServiceRecord>) {
            unimplemented!()
        }

        /// Replaces all services.
        pub fn replace(&self, services: BTreeMap<String, ServiceRecord>) {
            unimplemented!()
        }
    }
}
