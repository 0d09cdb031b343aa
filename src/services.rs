//! `skiff services`: what the proxies of the nodes do for each service.
//!
//! Every node counts what its own proxy carries. Counts are added up; of the connect times, the slowest node's are shown.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client, api::ListParams};
use serde::Deserialize;

use crate::{cli::ServicesArgs, kubeconfig, output::say, paths::Paths, server, status};

/// What a node says of itself.
#[derive(Deserialize)]
struct Report {
    ports: Vec<Port>,
}

/// A port of a service on one node, or the sum of several.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
struct Port {
    service: String,
    port: u16,
    protocol: String,
    connections: u64,
    in_flight: u64,
    failures: u64,
    retries: u64,
    received: u64,
    sent: u64,
    /// Microseconds.
    connect_p50: Option<u64>,
    connect_p99: Option<u64>,
    backends: Vec<Backend>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
struct Backend {
    address: String,
    connections: u64,
    in_flight: u64,
    failing: bool,
}

type Key = (String, u16, String);

/// Prints a line for each port of each service.
pub fn run(paths: &Paths, args: &ServicesArgs) -> Result<()> {
    server::runtime()?.block_on(async {
        let client = kubeconfig::client(paths).await?;
        let before = all(&client).await?;
        tokio::time::sleep(Duration::from_secs_f64(args.interval)).await;
        let after = all(&client).await?;
        let wanted = args.filter.as_deref().unwrap_or_default();
        let mut rows = vec![header()];
        for (key, port) in after.iter().filter(|((service, ..), _)| service.contains(wanted)) {
            let earlier = before.get(key).map_or(0, |port| port.connections);
            let fresh = port.connections.saturating_sub(earlier) as f64;
            rows.push(row(port, (args.interval > 0.0).then(|| fresh / args.interval)));
            if args.backends {
                rows.extend(port.backends.iter().map(|backend| backend_row(port, backend)));
            }
        }
        for line in aligned(&rows) {
            say!("{line}");
        }
        Ok(())
    })
}

/// The ports of all nodes, added up.
async fn all(client: &Client) -> Result<BTreeMap<Key, Port>> {
    let nodes = Api::<Node>::all(client.clone())
        .list(&ListParams::default())
        .await;
    let nodes = nodes.context("list nodes")?.items;
    let mut sums: BTreeMap<Key, Port> = BTreeMap::new();
    let mut asked = 0;
    for node in nodes.iter().filter(|node| status::node_is_ready(node)) {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let request = http::Request::get(format!("/api/v1/nodes/{name}/proxy/services")).body(Vec::new())?;
        let report: Report = client
            .request(request)
            .await
            .with_context(|| format!("ask node {name}"))?;
        asked += 1;
        for port in report.ports {
            let key = (port.service.clone(), port.port, port.protocol.clone());
            match sums.get_mut(&key) {
                Some(sum) => sum.add(port),
                None => drop(sums.insert(key, port)),
            }
        }
    }
    ensure!(asked > 0, "no node is ready");
    Ok(sums)
}

impl Port {
    /// Adds what another node counted.
    fn add(&mut self, other: Self) {
        self.connections += other.connections;
        self.in_flight += other.in_flight;
        self.failures += other.failures;
        self.retries += other.retries;
        self.received += other.received;
        self.sent += other.sent;
        self.connect_p50 = self.connect_p50.max(other.connect_p50);
        self.connect_p99 = self.connect_p99.max(other.connect_p99);
        for backend in other.backends {
            match self
                .backends
                .iter_mut()
                .find(|known| known.address == backend.address)
            {
                Some(known) => {
                    known.connections += backend.connections;
                    known.in_flight += backend.in_flight;
                    known.failing |= backend.failing;
                }
                None => self.backends.push(backend),
            }
        }
    }
}

type Row = [String; 10];

fn header() -> Row {
    [
        "SERVICE",
        "PORT",
        "CONNECTIONS",
        "RATE",
        "IN-FLIGHT",
        "FAILED",
        "RETRIED",
        "CONNECT P50/P99",
        "RECEIVED",
        "SENT",
    ]
    .map(str::to_owned)
}

fn row(port: &Port, rate: Option<f64>) -> Row {
    [
        port.service.clone(),
        format!("{}/{}", port.port, port.protocol),
        port.connections.to_string(),
        rate.map_or("-".into(), |rate| format!("{rate:.1}/s")),
        port.in_flight.to_string(),
        port.failures.to_string(),
        port.retries.to_string(),
        format!("{} / {}", time(port.connect_p50), time(port.connect_p99)),
        amount(port.received),
        amount(port.sent),
    ]
}

fn backend_row(port: &Port, backend: &Backend) -> Row {
    let all: u64 = port.backends.iter().map(|backend| backend.connections).sum();
    let share = backend.connections as f64 * 100.0 / all.max(1) as f64;
    let mut row = Row::default();
    row[0] = format!(
        "  {}{}",
        backend.address,
        if backend.failing { " (failing)" } else { "" }
    );
    row[2] = backend.connections.to_string();
    row[3] = format!("{share:.0} %");
    row[4] = backend.in_flight.to_string();
    row
}

fn time(micros: Option<u64>) -> String {
    match micros {
        None => "-".into(),
        Some(micros) if micros < 1000 => format!("{micros} us"),
        Some(micros) if micros < 1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        Some(micros) => format!("{:.1} s", micros as f64 / 1e6),
    }
}

fn amount(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

/// Lines with their columns below each other.
fn aligned(rows: &[Row]) -> Vec<String> {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..Row::default().len()).map(width).collect();
    let line = |row: &Row| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(address: &str, connections: u64) -> Backend {
        Backend {
            address: address.into(),
            connections,
            ..Backend::default()
        }
    }

    #[test]
    fn what_nodes_count_is_added_up_and_backends_get_their_share() {
        let mut sum = Port {
            service: "default/web".into(),
            port: 80,
            protocol: "tcp".into(),
            connections: 3,
            connect_p50: Some(40),
            backends: vec![backend("10.1.0.1:80", 3)],
            ..Port::default()
        };
        let other = Port {
            connections: 5,
            sent: 1_500_000,
            connect_p50: Some(1500),
            backends: vec![backend("10.1.0.1:80", 3), backend("10.1.0.2:80", 2)],
            ..sum.clone()
        };
        sum.add(other);
        let rows = [
            header(),
            row(&sum, Some(2.0)),
            backend_row(&sum, &sum.backends[0]),
        ];
        let lines = aligned(&rows);
        assert!(
            lines[0].starts_with("SERVICE ") && lines[0].ends_with(" SENT"),
            "{lines:?}"
        );
        let words: Vec<&str> = lines[1].split_whitespace().collect();
        assert_eq!(&words[..5], ["default/web", "80/tcp", "8", "2.0/s", "0"]);
        assert!(
            lines[1].contains("1.5 ms / -") && lines[1].ends_with("1.5 MB"),
            "{lines:?}"
        );
        assert!(
            lines[2].starts_with("  10.1.0.1:80") && lines[2].contains("75 %"),
            "{lines:?}"
        );
    }
}
