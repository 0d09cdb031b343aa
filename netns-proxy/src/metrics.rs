//! What the proxy counts, per service and port, in Prometheus text.

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
    },
    registry::{Registry, Unit},
};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Labels {
    /// `namespace/name`.
    pub service: String,
    /// Port on the service address.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
}

#[derive(Clone, Debug)]
struct ConnectSeconds;

impl MetricConstructor<Histogram> for ConnectSeconds {
    fn new_metric(&self) -> Histogram {
        // From a connect on this node (some 20 µs) to the connect deadline.
        Histogram::new([0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0])
    }
}

/// The counters of one port, shared by its connections.
#[derive(Clone, Debug)]
pub(crate) struct PortMetrics {
    /// Connections accepted, or UDP flows begun.
    pub connections: Counter,
    /// Of these, now.
    pub in_flight: Gauge,
    /// Connections no backend took.
    pub failures: Counter,
    /// Attempts on a backend that failed and went on to another one.
    pub retries: Counter,
    /// From clients.
    pub received: Counter,
    /// To clients.
    pub sent: Counter,
    /// Time to a connected backend, retries included.
    pub connect_seconds: Histogram,
}

pub(crate) struct Metrics {
    registry: Registry,
    connections: Family<Labels, Counter>,
    in_flight: Family<Labels, Gauge>,
    failures: Family<Labels, Counter>,
    retries: Family<Labels, Counter>,
    received: Family<Labels, Counter>,
    sent: Family<Labels, Counter>,
    connect_seconds: Family<Labels, Histogram, ConnectSeconds>,
    /// Connections closed unserved because the process ran out of descriptors.
    pub shed: Counter,
}

impl Metrics {
    pub fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("skiff_service"),
            connections: Family::default(),
            in_flight: Family::default(),
            failures: Family::default(),
            retries: Family::default(),
            received: Family::default(),
            sent: Family::default(),
            connect_seconds: Family::new_with_constructor(ConnectSeconds),
            shed: Counter::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register(
            "connections",
            "Connections accepted and UDP flows begun",
            self.connections.clone(),
        );
        registry.register(
            "connections_in_flight",
            "Connections and UDP flows now",
            self.in_flight.clone(),
        );
        registry.register(
            "connect_failures",
            "Connections no backend took",
            self.failures.clone(),
        );
        registry.register(
            "connect_retries",
            "Failed attempts that went on to another backend",
            self.retries.clone(),
        );
        registry.register_with_unit("received", "From clients", Unit::Bytes, self.received.clone());
        registry.register_with_unit("sent", "To clients", Unit::Bytes, self.sent.clone());
        registry.register_with_unit(
            "connect",
            "Time to a connected backend, retries included",
            Unit::Seconds,
            self.connect_seconds.clone(),
        );
        registry.register(
            "connections_shed",
            "Connections closed unserved for want of descriptors",
            self.shed.clone(),
        );
        self
    }

    pub fn port(&self, labels: &Labels) -> PortMetrics {
        PortMetrics {
            connections: self.connections.get_or_create_owned(labels),
            in_flight: self.in_flight.get_or_create_owned(labels),
            failures: self.failures.get_or_create_owned(labels),
            retries: self.retries.get_or_create_owned(labels),
            received: self.received.get_or_create_owned(labels),
            sent: self.sent.get_or_create_owned(labels),
            connect_seconds: self.connect_seconds.get_or_create_owned(labels),
        }
    }

    /// Forgets a port that is gone.
    pub fn forget(&self, labels: &Labels) {
        self.connections.remove(labels);
        self.in_flight.remove(labels);
        self.failures.remove(labels);
        self.retries.remove(labels);
        self.received.remove(labels);
        self.sent.remove(labels);
        self.connect_seconds.remove(labels);
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
