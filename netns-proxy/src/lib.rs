//! Services: one set of listeners per service inside a network namespace, balancing over ready backends, TCP and UDP
//! data path, cluster DNS. Knows services and endpoints as plain values and nothing of Kubernetes objects.
//!
//! A socket keeps the namespace it was made in: [`netns::Namespace`] is a thread that entered a namespace once and
//! hands out sockets made there; epoll and splice then work on them from any thread.
//!
//! The way of a connection: `port` keeps the listeners that should be there, a `worker` accepts, asks `balance` for a
//! backend until one takes it, and moves the bytes with `pump`. `udp` does the same for datagrams. What the kernel can carry
//! by itself never comes here: `kernel`.

pub mod accept;
mod balance;
pub mod dns;
mod kernel;
mod metrics;
pub mod netns;
mod port;
mod pump;
pub mod relay;
pub mod remote;
pub mod udp;
mod worker;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use kernel::Carrier;
pub use kernel::{Counts, Failure, Front, Translator, Trouble, Turns};
pub use metrics::{BackendReport, PortReport};
use parking_lot::RwLock;
use port::{Environment, RunningPort, Shared};
use tokio_util::task::AbortOnDropHandle;
use worker::Workers;

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
    /// Addresses from outside the cluster (of a load balancer, external IPs) that the host listens on, with the service's
    /// ports. They need not be the host's yet.
    pub external: Vec<IpAddr>,
}

/// Finds the namespace a backend is dialled from: its own for a pod of this node, the host's for anything else.
pub trait Dialer: Send + Sync + 'static {
    /// The namespace to connect from.
    fn namespace(&self, backend: IpAddr) -> Arc<netns::Namespace>;

    /// Who opens streams to a backend of another node; none: connect from [`Dialer::namespace`]. For TCP only.
    fn remote(&self, _backend: IpAddr) -> Option<Arc<dyn remote::Opener>> {
        None
    }

    /// Whether `client` may speak to `backend` at all. A connection that may not be is reset, a datagram dropped.
    fn allows(&self, _protocol: Protocol, _client: SocketAddr, _backend: SocketAddr) -> bool {
        true
    }
}

/// How to run the proxy.
pub struct Config {
    /// Where cluster addresses are local: the node namespace.
    pub node: Arc<netns::Namespace>,
    /// Where node ports are listened on: the host namespace.
    pub host: Arc<netns::Namespace>,
    /// Where to dial backends from.
    pub dialer: Arc<dyn Dialer>,
    /// Has the kernel carry what it can; none: the proxy carries everything.
    pub translator: Option<Arc<dyn Translator>>,
}

type PortKey = (Protocol, u16, String);

/// The proxy of one node. Needs a running tokio runtime.
pub struct Proxy {
    environment: Arc<Environment>,
    /// Held while listeners change, so that changes of one service never mix.
    services: tokio::sync::Mutex<HashMap<String, HashMap<PortKey, RunningPort>>>,
    /// What reports are made of, by service.
    ports: RwLock<BTreeMap<String, Vec<Arc<Shared>>>>,
    /// Ends with the proxy.
    _carrier: Option<AbortOnDropHandle<()>>,
}

impl Proxy {
    /// Starts without any service.
    ///
    /// # Errors
    /// When no thread can be started or descriptors have run out.
    pub fn start(config: Config) -> io::Result<Self> {
        let (carrier, task) = config.translator.map(Carrier::start).unzip();
        let environment = Environment {
            workers: Workers::start(&config.node)?,
            node: config.node,
            host: config.host,
            dialer: config.dialer,
            carrier,
        };
        Ok(Self {
            environment: Arc::new(environment),
            services: tokio::sync::Mutex::default(),
            ports: RwLock::default(),
            _carrier: task,
        })
    }

    /// Adds or replaces a service. When this returns, its listeners are there (or gone, for ports without ready
    /// backends). Established connections stay unless their backend is gone from the list and the protocol is UDP.
    ///
    /// # Errors
    /// Names the port that could not be listened on; the other ports work. Setting the service again tries again.
    pub async fn set(&self, service: Service) -> Result<(), PortError> {
        let mut services = self.services.lock().await;
        let running = services.entry(service.name.clone()).or_default();
        let key = |port: &Port| (port.protocol, port.port, port.name.clone());
        let unwanted: Vec<PortKey> = running
            .keys()
            .filter(|known| !service.ports.iter().any(|port| key(port) == **known))
            .cloned()
            .collect();
        for known in unwanted {
            if let Some(port) = running.remove(&known) {
                port.close(&self.environment).await;
            }
        }
        // What goes is closed before anything is opened: a port may move from one name or address to another.
        for port in &service.ports {
            let entry = running
                .entry(key(port))
                .or_insert_with(|| RunningPort::new(&self.environment, &service.name, port));
            entry.retain(&self.environment, &service, port).await;
        }
        let shared = running.values().map(RunningPort::shared).collect();
        self.ports.write().insert(service.name.clone(), shared);
        let mut outcome = Ok(());
        for port in &service.ports {
            let Some(entry) = running.get_mut(&key(port)) else {
                continue;
            };
            if let Err((address, source)) = entry.open(&self.environment, &service, port).await {
                outcome = outcome.and(Err(PortError {
                    service: service.name.clone(),
                    address,
                    source,
                }));
            }
        }
        outcome
    }

    /// Removes a service and its listeners. Established TCP connections stay.
    pub async fn remove(&self, name: &str) {
        let mut services = self.services.lock().await;
        self.ports.write().remove(name);
        for (_, port) in services.remove(name).into_iter().flatten() {
            port.close(&self.environment).await;
        }
    }

    /// What every port has done so far, in the order of services.
    pub async fn report(&self) -> Vec<PortReport> {
        let carried = match &self.environment.carrier {
            Some(carrier) => carrier.counts().await,
            None => HashMap::new(),
        };
        let ports = self.ports.read();
        let ports = ports.values().flatten();
        ports.map(|port| port.report(&carried)).collect()
    }

    /// Metrics in Prometheus text format.
    pub async fn metrics(&self) -> String {
        metrics::text(&self.report().await, self.environment.workers.shed())
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
