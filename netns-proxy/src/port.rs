//! One port of one service: its balancer, and the listeners that should be there.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use parking_lot::Mutex;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Backend, Dialer, Port, Protocol, Service,
    balance::{Balancer, Load},
    metrics::{BackendReport, PortMetrics, PortReport},
    netns::Namespace,
    udp,
    worker::{Listening, Workers},
};

/// What the connections of a port share.
pub(crate) struct Shared {
    pub service: String,
    pub port: u16,
    pub protocol: Protocol,
    pub balancer: Mutex<Balancer>,
    pub dialer: Arc<dyn Dialer>,
    pub metrics: PortMetrics,
}

impl Shared {
    /// What the port has done so far.
    pub fn report(&self) -> PortReport {
        let balancer = self.balancer.lock();
        let backends = balancer.loads().map(|load| BackendReport {
            address: load.address,
            connections: load.connections.load(Relaxed),
            in_flight: load.in_flight.load(Relaxed).into(),
            failing: load.has_failed() || load.resets(),
        });
        PortReport {
            service: self.service.clone(),
            port: self.port,
            protocol: match self.protocol {
                Protocol::Tcp => "tcp",
                Protocol::Udp => "udp",
            },
            backends: backends.collect(),
            ..self.metrics.report()
        }
    }
}

/// Counts a connection on its backend for as long as it lives.
pub(crate) struct Held {
    pub port: Arc<Shared>,
    pub load: Arc<Load>,
}

impl Held {
    /// For a connection that was counted when `load` was picked.
    pub fn new(port: &Arc<Shared>, load: Arc<Load>) -> Self {
        port.metrics.in_flight.fetch_add(1, Relaxed);
        Self {
            port: Arc::clone(port),
            load,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.port.metrics.in_flight.fetch_sub(1, Relaxed);
        self.load.finished();
    }
}

/// Where a listener is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Place {
    /// The node namespace.
    Node,
    /// The host namespace.
    Host,
    /// The host namespace, on an address that may not be the host's yet.
    External,
}

/// What every port needs.
pub(crate) struct Environment {
    pub node: Arc<Namespace>,
    pub host: Arc<Namespace>,
    pub dialer: Arc<dyn Dialer>,
    pub workers: Workers,
}

impl Environment {
    fn namespace(&self, place: Place) -> &Namespace {
        match place {
            Place::Node => &self.node,
            Place::Host | Place::External => &self.host,
        }
    }
}

enum Listener {
    Tcp(Listening),
    Udp {
        task: AbortOnDropHandle<()>,
        flows: Arc<udp::Flows>,
    },
}

impl Listener {
    /// Returns when the socket is closed.
    async fn close(self, environment: &Environment) {
        match self {
            Self::Tcp(listening) => environment.workers.unlisten(listening).await,
            Self::Udp { task, flows } => {
                task.abort();
                let _ = task.await;
                flows.close().await;
            }
        }
    }
}

/// A port as it runs.
pub(crate) struct RunningPort {
    shared: Arc<Shared>,
    listeners: HashMap<(Place, SocketAddr), Listener>,
}

impl RunningPort {
    pub fn new(environment: &Environment, service: &str, port: &Port) -> Self {
        let shared = Shared {
            service: service.to_owned(),
            port: port.port,
            protocol: port.protocol,
            balancer: Mutex::default(),
            dialer: Arc::clone(&environment.dialer),
            metrics: PortMetrics::default(),
        };
        Self {
            shared: Arc::new(shared),
            listeners: HashMap::new(),
        }
    }

    /// Takes the new backends and closes the listeners that should not be there any more.
    pub async fn retain(&mut self, environment: &Environment, service: &Service, port: &Port) {
        self.set_backends(&port.backends, service);
        let wanted = wanted_listeners(service, port);
        let unwanted: Vec<_> = self
            .listeners
            .keys()
            .filter(|key| !wanted.contains(key))
            .copied()
            .collect();
        for key in unwanted {
            if let Some(listener) = self.listeners.remove(&key) {
                listener.close(environment).await;
            }
        }
    }

    fn set_backends(&self, backends: &[Backend], service: &Service) {
        self.shared.balancer.lock().set(backends, service.affinity);
        for listener in self.listeners.values() {
            if let Listener::Udp { flows, .. } = listener {
                flows.retain(|backend| backends.iter().any(|known| known.address == backend));
            }
        }
    }

    /// Opens the listeners that are missing. All are tried; the first failure is reported.
    pub async fn open(
        &mut self,
        environment: &Environment,
        service: &Service,
        port: &Port,
    ) -> Result<(), (SocketAddr, io::Error)> {
        let mut outcome = Ok(());
        for (place, address) in wanted_listeners(service, port) {
            if self.listeners.contains_key(&(place, address)) {
                continue;
            }
            match self.listen(environment, place, address).await {
                Ok(listener) => {
                    self.listeners.insert((place, address), listener);
                }
                Err(error) if outcome.is_ok() => outcome = Err((address, error)),
                Err(_) => {}
            }
        }
        outcome
    }

    async fn listen(
        &self,
        environment: &Environment,
        place: Place,
        address: SocketAddr,
    ) -> io::Result<Listener> {
        let namespace = environment.namespace(place);
        let shared = Arc::clone(&self.shared);
        match shared.protocol {
            Protocol::Tcp => {
                let foreign = place == Place::External;
                let listener = match namespace.listener(address, foreign).await {
                    Err(error) if no_ipv6(&error, address) => {
                        namespace.tcp_listener(ipv4_instead(address)).await?
                    }
                    other => other?,
                };
                Ok(Listener::Tcp(
                    environment.workers.listen(listener.into(), &shared),
                ))
            }
            Protocol::Udp => {
                let flows = Arc::new(udp::Flows::default());
                let socket = udp::listen(namespace, address, place == Place::External).await?;
                let task = tokio::spawn(udp::serve(shared, socket, Arc::clone(&flows)));
                Ok(Listener::Udp {
                    task: AbortOnDropHandle::new(task),
                    flows,
                })
            }
        }
    }

    /// What its connections share.
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Closes the listeners; established TCP connections stay.
    pub async fn close(self, environment: &Environment) {
        for (_, listener) in self.listeners {
            listener.close(environment).await;
        }
    }
}

/// An error of a machine without IPv6 for an address that stands for "all".
pub(crate) fn no_ipv6(error: &io::Error, address: SocketAddr) -> bool {
    address.is_ipv6()
        && address.ip().is_unspecified()
        && matches!(
            error.raw_os_error(),
            Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL)
        )
}

pub(crate) fn ipv4_instead(address: SocketAddr) -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], address.port()))
}

/// No backends, no listeners: a connection is then refused at once.
fn wanted_listeners(service: &Service, port: &Port) -> Vec<(Place, SocketAddr)> {
    if port.backends.is_empty() {
        return Vec::new();
    }
    let mut wanted: Vec<_> = service
        .addresses
        .iter()
        .map(|&ip| (Place::Node, SocketAddr::new(ip, port.port)))
        .collect();
    if let Some(node_port) = port.node_port {
        if service.host_addresses.is_empty() {
            // IPv4 too. UDP stays with IPv4, whose packet information tells which address was asked.
            let all = match port.protocol {
                Protocol::Tcp => SocketAddr::from(([0_u16; 8], node_port)),
                Protocol::Udp => SocketAddr::from(([0_u8; 4], node_port)),
            };
            wanted.push((Place::Host, all));
        }
        let each = service.host_addresses.iter();
        wanted.extend(each.map(|&ip| (Place::Host, SocketAddr::new(ip, node_port))));
    }
    let external = service.external.iter();
    wanted.extend(external.map(|&ip| (Place::External, SocketAddr::new(ip, port.port))));
    wanted
}
