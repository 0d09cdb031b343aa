//! Cluster DNS: answers for the cluster domain from records given as plain values, forwards the rest.
//!
//! `zone` is the pure part (names to records, after the Kubernetes DNS specification), `server` the sockets, `upstream`
//! what leaves the node.

mod server;
mod upstream;
mod zone;

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use parking_lot::RwLock;
use tokio_util::task::AbortOnDropHandle;

use crate::{Protocol, netns};

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

/// The DNS server. Stops when dropped.
pub struct Dns {
    zone: Arc<RwLock<zone::Zone>>,
    listen: SocketAddr,
    _servers: [AbortOnDropHandle<()>; 2],
}

impl Dns {
    /// Starts serving.
    ///
    /// # Errors
    /// `InvalidInput` for a domain that is no name; what listening says.
    pub async fn start(config: Config) -> io::Result<Self> {
        let zone = zone::Zone::new(&config.domain)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let udp = tokio::net::UdpSocket::from_std(config.node.udp_socket(config.listen).await?)?;
        // The same port for TCP, also where the kernel chose it.
        let listen = udp.local_addr()?;
        let tcp = tokio::net::TcpListener::from_std(config.node.tcp_listener(listen).await?)?;
        let zone = Arc::new(RwLock::new(zone));
        let upstream = upstream::Upstream::new(config.upstream, config.resolv_conf, listen);
        let server = Arc::new(server::Server {
            zone: Arc::clone(&zone),
            upstream,
        });
        let servers = [
            AbortOnDropHandle::new(tokio::spawn(Arc::clone(&server).serve_udp(udp))),
            AbortOnDropHandle::new(tokio::spawn(server.serve_tcp(tcp))),
        ];
        Ok(Self {
            zone,
            listen,
            _servers: servers,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listen
    }

    /// Adds, replaces or (`None`) removes the records of a service `namespace/name`.
    pub fn set(&self, service: &str, record: Option<ServiceRecord>) {
        self.zone.write().set(service, record);
    }

    /// Replaces all services.
    pub fn replace(&self, services: BTreeMap<String, ServiceRecord>) {
        self.zone.write().replace(services);
    }
}
