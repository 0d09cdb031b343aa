//! What the proxy counts per service and port: plain atomics that connections add to while they live, read as a report or
//! as Prometheus text.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Upper bounds of the connect times counted together, from a connect on this node (some 20 µs) to a few deadlines.
const BOUNDS: [f64; 16] = [
    0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0,
    3.0,
];

/// A histogram of connect times.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// One per bound, and one for what is beyond.
    counts: [AtomicU64; BOUNDS.len() + 1],
    total_micros: AtomicU64,
}

impl Histogram {
    pub fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        self.counts[bucket].fetch_add(1, Relaxed);
        // Saturates after 584 542 years.
        self.total_micros
            .fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// The time that this share of the connects took at most, as far as the buckets tell; none without connects.
    fn quantile(&self, share: f64) -> Option<Duration> {
        let counts: Vec<u64> = self.counts.iter().map(|count| count.load(Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        if all == 0 {
            return None;
        }
        let wanted = (all as f64 * share).ceil() as u64;
        let mut below = 0;
        for (bucket, &count) in counts.iter().enumerate() {
            if below + count >= wanted && count > 0 {
                let low = bucket.checked_sub(1).map_or(0.0, |bucket| BOUNDS[bucket]);
                let high = BOUNDS.get(bucket).copied().unwrap_or(low);
                let within = (wanted - below) as f64 / count as f64;
                return Some(Duration::from_secs_f64(low + (high - low) * within));
            }
            below += count;
        }
        None
    }
}

/// The counters of one port, shared by its connections.
#[derive(Debug, Default)]
pub(crate) struct PortMetrics {
    /// Connections accepted, or UDP flows begun.
    pub connections: AtomicU64,
    /// Of these, now.
    pub in_flight: AtomicI64,
    /// Connections no backend took.
    pub failures: AtomicU64,
    /// Attempts on a backend that failed and went on to another one.
    pub retries: AtomicU64,
    /// Bytes from clients.
    pub received: AtomicU64,
    /// Bytes to clients.
    pub sent: AtomicU64,
    /// Time to a connected backend, retries included.
    pub connect: Histogram,
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    if count > 0 {
        counter.fetch_add(count, Relaxed);
    }
}

/// What a port has done so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortReport {
    /// `namespace/name`.
    pub service: String,
    /// Port on the service address.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// Connections accepted and UDP flows begun.
    pub connections: u64,
    /// Of these, now.
    pub in_flight: u64,
    /// Connections no backend took.
    pub failures: u64,
    /// Failed attempts that went on to another backend.
    pub retries: u64,
    /// Bytes from clients.
    pub received: u64,
    /// Bytes to clients.
    pub sent: u64,
    /// Median time to a connected backend; none before the first connection.
    pub connect_p50: Option<Duration>,
    /// The time that 99 of 100 connects took at most.
    pub connect_p99: Option<Duration>,
    /// Its backends.
    pub backends: Vec<BackendReport>,
    /// Connect times in seconds: cumulative counts by upper bound, and the sum of all.
    pub histogram: (Vec<(f64, u64)>, f64),
}

/// What a backend was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendReport {
    /// Address and port.
    pub address: SocketAddr,
    /// Connections and UDP flows given to it since it became a backend.
    pub connections: u64,
    /// Of these, now.
    pub in_flight: u64,
    /// Its last connection failed.
    pub failing: bool,
}

impl PortMetrics {
    /// Everything but the names and backends.
    pub fn report(&self) -> PortReport {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        let mut below = 0;
        let buckets = BOUNDS.iter().chain(&[f64::INFINITY]).zip(&self.connect.counts);
        let buckets = buckets.map(|(bound, count)| {
            below += get(count);
            (*bound, below)
        });
        let buckets = buckets.collect();
        PortReport {
            connections: get(&self.connections),
            in_flight: u64::try_from(self.in_flight.load(Relaxed)).unwrap_or(0),
            failures: get(&self.failures),
            retries: get(&self.retries),
            received: get(&self.received),
            sent: get(&self.sent),
            connect_p50: self.connect.quantile(0.5),
            connect_p99: self.connect.quantile(0.99),
            histogram: (buckets, get(&self.connect.total_micros) as f64 / 1e6),
            ..PortReport::default()
        }
    }
}

/// A value of a port's report, by the name of its metric.
type Column = (&'static str, &'static str, &'static str, fn(&PortReport) -> u64);

const COLUMNS: [Column; 6] = [
    (
        "connections_total",
        "counter",
        "Connections accepted and UDP flows begun",
        |report| report.connections,
    ),
    (
        "connections_in_flight",
        "gauge",
        "Connections and UDP flows now",
        |report| report.in_flight,
    ),
    (
        "connect_failures_total",
        "counter",
        "Connections no backend took",
        |report| report.failures,
    ),
    (
        "connect_retries_total",
        "counter",
        "Failed attempts that went on to another backend",
        |report| report.retries,
    ),
    ("received_bytes_total", "counter", "From clients", |report| {
        report.received
    }),
    ("sent_bytes_total", "counter", "To clients", |report| report.sent),
];

/// Prometheus text of these ports and of the connections closed unserved for want of descriptors.
pub(crate) fn text(ports: &[PortReport], shed: u64) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_text(&mut text, ports, shed);
    text
}

fn labels(report: &PortReport) -> String {
    // Names of services are DNS labels; those of host ports have colons. Nothing needs escaping.
    format!(
        "service=\"{}\",port=\"{}\",protocol=\"{}\"",
        report.service, report.port, report.protocol
    )
}

fn write_text(text: &mut String, ports: &[PortReport], shed: u64) -> std::fmt::Result {
    let header = |text: &mut String, name: &str, kind: &str, help: &str| {
        writeln!(
            text,
            "# HELP skiff_service_{name} {help}.\n# TYPE skiff_service_{name} {kind}"
        )
    };
    for (name, kind, help, value) in COLUMNS {
        header(text, name, kind, help)?;
        for report in ports {
            writeln!(
                text,
                "skiff_service_{name}{{{}}} {}",
                labels(report),
                value(report)
            )?;
        }
    }
    header(
        text,
        "connect_seconds",
        "histogram",
        "Time to a connected backend, retries included",
    )?;
    for report in ports.iter().filter(|report| report.protocol == "tcp") {
        let (labels, (buckets, sum)) = (labels(report), &report.histogram);
        for (bound, count) in buckets {
            let bound = if bound.is_finite() {
                bound.to_string()
            } else {
                "+Inf".to_owned()
            };
            writeln!(
                text,
                "skiff_service_connect_seconds_bucket{{{labels},le=\"{bound}\"}} {count}"
            )?;
        }
        let count = buckets.last().map_or(0, |(_, count)| *count);
        writeln!(text, "skiff_service_connect_seconds_sum{{{labels}}} {sum}")?;
        writeln!(text, "skiff_service_connect_seconds_count{{{labels}}} {count}")?;
    }
    header(
        text,
        "backend_connections_total",
        "counter",
        "Connections and UDP flows given to a backend",
    )?;
    for (report, backend) in ports
        .iter()
        .flat_map(|report| report.backends.iter().map(move |one| (report, one)))
    {
        let (labels, address, count) = (labels(report), backend.address, backend.connections);
        writeln!(
            text,
            "skiff_service_backend_connections_total{{{labels},backend=\"{address}\"}} {count}"
        )?;
    }
    header(
        text,
        "connections_shed_total",
        "counter",
        "Connections closed unserved for want of descriptors",
    )?;
    writeln!(text, "skiff_service_connections_shed_total {shed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_in_the_bucket_that_holds_them() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for _ in 0..98 {
            histogram.observe(Duration::from_micros(30));
        }
        histogram.observe(Duration::from_millis(700));
        histogram.observe(Duration::from_secs(10));
        let median = histogram.quantile(0.5).unwrap();
        assert!(
            median > Duration::from_micros(20) && median <= Duration::from_micros(50),
            "{median:?}"
        );
        let most = histogram.quantile(0.99).unwrap();
        assert!(
            most > Duration::from_millis(500) && most <= Duration::from_secs(1),
            "{most:?}"
        );
        assert_eq!(
            histogram.quantile(1.0),
            Some(Duration::from_secs(3)),
            "beyond the last bound"
        );
    }
}
