//! One port of one service: its balancer, and the listeners that should be there.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, SocketAddrV4},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Backend, Dialer, Port, Protocol, Service,
    balance::{Balancer, Load},
    kernel::{Carrier, Counts, Front},
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
    /// What the kernel carries of it.
    pub fronts: Mutex<Vec<Front>>,
    /// Told when the balancer has changed its mind about a backend; none: the kernel carries nothing.
    pub changed: Option<UnboundedSender<Arc<Self>>>,
}

impl Shared {
    /// What the port has done so far, the kernel's part included.
    pub fn report(&self, carried: &HashMap<Front, Counts>) -> PortReport {
        let carried: Vec<&Counts> = self
            .fronts
            .lock()
            .iter()
            .filter_map(|front| carried.get(front))
            .collect();
        let all = |of: fn(&Counts) -> u64| carried.iter().map(|counts| of(counts)).sum::<u64>();
        let of_backend = |address: SocketAddr, of: fn(&Counts) -> &HashMap<SocketAddrV4, u64>| {
            let SocketAddr::V4(address) = address else {
                return 0;
            };
            carried
                .iter()
                .filter_map(|counts| of(counts).get(&address))
                .sum::<u64>()
        };
        let balancer = self.balancer.lock();
        let backends = balancer.loads().map(|load| BackendReport {
            address: load.address,
            connections: load.connections.load(Relaxed) + of_backend(load.address, |counts| &counts.given),
            in_flight: u64::from(load.in_flight.load(Relaxed))
                + of_backend(load.address, |counts| &counts.in_flight),
            failing: load.has_failed() || load.resets(),
        });
        let own = self.metrics.report();
        PortReport {
            service: self.service.clone(),
            port: self.port,
            protocol: match self.protocol {
                Protocol::Tcp => "tcp",
                Protocol::Udp => "udp",
            },
            connections: own.connections + all(|counts| counts.connections),
            in_flight: own.in_flight + all(|counts| counts.in_flight.values().sum()),
            received: own.received + all(|counts| counts.received),
            sent: own.sent + all(|counts| counts.sent),
            backends: backends.collect(),
            ..own
        }
    }

    /// A backend did not take a connection.
    pub fn failed(self: &Arc<Self>, backend: SocketAddr) {
        self.balancer.lock().failed(backend, Instant::now());
        self.tell();
    }

    /// A backend that had failed took a connection.
    pub fn succeeded(self: &Arc<Self>, backend: &Load) {
        self.balancer.lock().succeeded(backend);
        self.tell();
    }

    /// A backend has reset a connection that it had taken.
    pub fn reset(self: &Arc<Self>, backend: SocketAddr) {
        self.balancer.lock().reset(backend, Instant::now());
        self.tell();
    }

    /// A backend has sent something on a connection.
    pub fn answered(self: &Arc<Self>, backend: &Load) {
        let had_reset = backend.resets();
        backend.answered();
        if had_reset {
            self.tell();
        }
    }

    fn tell(self: &Arc<Self>) {
        if let Some(changed) = &self.changed {
            let _ = changed.send(Arc::clone(self));
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
    /// Tells the kernel what to carry; none: nothing.
    pub carrier: Option<Arc<Carrier>>,
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
            fronts: Mutex::default(),
            changed: environment.carrier.as_ref().map(|carrier| carrier.changed()),
        };
        Self {
            shared: Arc::new(shared),
            listeners: HashMap::new(),
        }
    }

    /// Takes the new backends and closes the listeners that should not be there any more.
    pub async fn retain(&mut self, environment: &Environment, service: &Service, port: &Port) {
        self.set_backends(&port.backends, service);
        if let Some(carrier) = &environment.carrier {
            carrier.carry(&self.shared, fronts(service, port)).await;
        }
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
                let inside = place == Place::Node;
                Ok(Listener::Tcp(environment.workers.listen(
                    listener.into(),
                    &shared,
                    inside,
                )))
            }
            Protocol::Udp => {
                let flows = Arc::new(udp::Flows::default());
                let mut socket = udp::listen(namespace, address, place == Place::External).await?;
                socket.inside = place == Place::Node;
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
        if let Some(carrier) = &environment.carrier {
            carrier.carry(&self.shared, Vec::new()).await;
        }
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

/// The cluster addresses of a port that the kernel may translate.
fn fronts(service: &Service, port: &Port) -> Vec<Front> {
    let addresses = service.addresses.iter().filter_map(|ip| match ip {
        IpAddr::V4(ip) => Some(SocketAddrV4::new(*ip, port.port)),
        IpAddr::V6(_) => None,
    });
    let front = |address| Front {
        protocol: port.protocol,
        address,
    };
    addresses.map(front).collect()
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
            let is_v6 = service.addresses.first().is_some_and(IpAddr::is_ipv6);
            let all = match port.protocol {
                // IPv4 too.
                Protocol::Tcp => SocketAddr::from(([0_u16; 8], node_port)),
                // A family has sockets of its own: each tells in its way which address was asked.
                Protocol::Udp if is_v6 => SocketAddr::from(([0_u16; 8], node_port)),
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
