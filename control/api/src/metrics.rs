//! What Prometheus sees, under the names Kubernetes uses.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry as Prometheus,
};
use skiff_resources::Resource;
use skiff_store::StoreStats;

use crate::request::RequestInfo;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    verb: String,
    group: String,
    version: String,
    resource: String,
    subresource: String,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    verb: String,
    resource: String,
    subresource: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WatchLabels {
    group: String,
    resource: String,
}

/// The metrics of the server.
#[derive(Clone)]
pub(crate) struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    prometheus: Prometheus,
    requests: Family<RequestLabels, Counter>,
    durations: Family<DurationLabels, Histogram, fn() -> Histogram>,
    watches: Family<WatchLabels, Gauge>,
    store: StoreGauges,
}

/// The store of this member.
#[derive(Default)]
struct StoreGauges {
    revision: Gauge,
    oldest: Gauge,
    objects: Gauge,
    object_bytes: Gauge,
    memory_per_object: Gauge,
    history_bytes: Gauge,
    watches: Gauge,
    election_timeout: Gauge,
}

impl StoreGauges {
    fn all(&self) -> [(&'static str, &'static str, &Gauge); 8] {
        [
            ("revision", "Revision of the store on this member", &self.revision),
            (
                "oldest_revision",
                "Oldest revision that can be read or watched from",
                &self.oldest,
            ),
            ("objects", "Number of keys", &self.objects),
            ("object_bytes", "Bytes of keys and values", &self.object_bytes),
            (
                "memory_per_object_bytes",
                "Memory that an object takes on average",
                &self.memory_per_object,
            ),
            (
                "history_bytes",
                "Bytes that the history holds, at most",
                &self.history_bytes,
            ),
            ("watches", "Watches of the store", &self.watches),
            (
                "election_timeout_milliseconds",
                "Shortest time without the leader before this member asks for an election, as measured",
                &self.election_timeout,
            ),
        ]
    }

    fn show(&self, stats: &StoreStats) {
        let set = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        set(&self.revision, stats.revision);
        set(&self.oldest, stats.oldest);
        set(&self.objects, stats.keys as u64);
        set(&self.object_bytes, stats.live_bytes as u64);
        set(&self.memory_per_object, stats.memory_per_object() as u64);
        set(&self.history_bytes, stats.history_bytes as u64);
        set(&self.watches, stats.watches as u64);
        set(&self.election_timeout, stats.election_timeout.as_millis() as u64);
    }
}

const BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// Counts a running watch until it is dropped.
pub(crate) struct Running(Gauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut prometheus = Prometheus::default();
        let requests = Family::default();
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let durations = Family::new_with_constructor(histogram);
        let watches = Family::default();
        prometheus.register(
            "apiserver_request",
            "Requests by verb, resource and HTTP code",
            requests.clone(),
        );
        prometheus.register(
            "apiserver_request_duration_seconds",
            "Time to the response's head, without watches and streams",
            durations.clone(),
        );
        prometheus.register(
            "apiserver_registered_watchers",
            "Running watches",
            watches.clone(),
        );
        let store = StoreGauges::default();
        for (name, help, gauge) in store.all() {
            prometheus.register(format!("skiff_store_{name}"), help, gauge.clone());
        }
        Self {
            inner: Arc::new(Inner {
                prometheus,
                requests,
                durations,
                watches,
                store,
            }),
        }
    }
}

impl Metrics {
    /// Notes an answered request. Only resources that exist become labels: clients must not make up series.
    pub(crate) fn answered(&self, info: &RequestInfo, known: bool, code: u16, took: Duration) {
        let show = |text: &str| if known { text.to_owned() } else { String::new() };
        let verb = info.verb.to_uppercase();
        self.inner
            .requests
            .get_or_create(&RequestLabels {
                verb: verb.clone(),
                group: show(&info.group),
                version: show(&info.version),
                resource: show(&info.resource),
                subresource: show(&info.subresource),
                code,
            })
            .inc();
        if info.verb != "watch" {
            let labels = DurationLabels {
                verb,
                resource: show(&info.resource),
                subresource: show(&info.subresource),
            };
            self.inner
                .durations
                .get_or_create(&labels)
                .observe(took.as_secs_f64());
        }
    }

    pub(crate) fn watch_started(&self, resource: &Resource) -> Running {
        let labels = WatchLabels {
            group: resource.group.to_string(),
            resource: resource.plural.to_string(),
        };
        let gauge = self.inner.watches.get_or_create_owned(&labels);
        gauge.inc();
        Running(gauge)
    }

    /// The text form.
    pub(crate) fn text(&self, stats: &StoreStats) -> String {
        self.inner.store.show(stats);
        let mut out = String::new();
        // Writing into a string does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut out, &self.inner.prometheus);
        out
    }
}
