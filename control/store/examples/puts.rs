//! Durable puts per second: 1 KiB values that do not compress, 1, 8 and 64 clients, each waiting for its answer.
//!
//! ```text
//! cargo run --release -p skiff-store --example puts -- one DIRECTORY [SECONDS]      a store of one member
//! cargo run --release -p skiff-store --example puts -- three DIRECTORY [SECONDS]    of three, over TCP on loopback
//! cargo run --release -p skiff-store --example puts -- etcd HOST:PORT [SECONDS]     an etcd, over its gRPC
//! cargo run --release -p skiff-store --example puts -- fill DIRECTORY [OBJECTS]     2 KiB each, without a last checkpoint
//! cargo run --release -p skiff-store --example puts -- open DIRECTORY               prints `open SECONDS RESIDENT_BYTES LIVE_BYTES`
//! ```
//! The directory should be on the disk in question, and is left with the data. One line per number of clients:
//! `puts CLIENTS PER_SECOND P50_MS P99_MS`. `tests/bench/store` compares them.

#[path = "puts/etcd.rs"]
mod etcd;
#[path = "puts/members.rs"]
mod members;
#[path = "puts/restart.rs"]
mod restart;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use skiff_store::{Op, Store, Txn, Value};

const VALUE_BYTES: usize = 1024;
const KEYS: usize = 10_000;

/// Whoever takes puts.
#[derive(Clone)]
enum Target {
    Store(Store),
    Etcd(etcd::Client),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, place, rest @ ..] = &arguments[..] else {
        bail!("give one, three or etcd, and a directory or an address");
    };
    let number = rest
        .first()
        .map(|text| text.parse())
        .transpose()
        .context("a number")?;
    match &**kind {
        "fill" => return restart::fill(place.as_ref(), number.unwrap_or(150_000)).await,
        "open" => return restart::open(place.as_ref()).await,
        _ => {}
    }
    let seconds = number.unwrap_or(5) as u64;
    let stores = match &**kind {
        "one" => members::open(place.as_ref(), 1).await?,
        "three" => members::open(place.as_ref(), 3).await?,
        _ => Vec::new(),
    };
    for clients in [1, 8, 64] {
        let mut targets = Vec::new();
        match stores.first() {
            Some(leader) => targets.push(Target::Store(leader.clone())),
            None => {
                for _ in 0..clients.min(8) {
                    targets.push(Target::Etcd(etcd::Client::connect(place).await?));
                }
            }
        }
        step(&targets, clients, Duration::from_secs(seconds)).await?;
    }
    for store in &stores {
        store.close().await?;
    }
    Ok(())
}

async fn put(target: &Target, key: String, value: Bytes) -> anyhow::Result<()> {
    match target {
        Target::Store(store) => {
            let value = Value {
                bytes: value,
                revision_at: Some(8),
            };
            let ops = vec![Op::Put(key.into(), value)];
            store.commit(Txn { compare: vec![], ops }).await?;
        }
        Target::Etcd(client) => client.put(key.as_bytes(), &value).await?,
    }
    Ok(())
}

async fn step(targets: &[Target], clients: usize, length: Duration) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut tasks = Vec::new();
    for client in 0..clients {
        let target = targets[client % targets.len()].clone();
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            let mut number = client;
            let mut random = client as u64 + 1;
            while started.elapsed() < length {
                let key = format!("/registry/core/configmaps/bench/{:06}", number % KEYS);
                number += clients;
                let sent = Instant::now();
                put(&target, key, noise(&mut random, VALUE_BYTES)).await?;
                latencies.push(sent.elapsed());
            }
            anyhow::Ok(latencies)
        }));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let elapsed = started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    println!(
        "puts {clients} {:.0} {:.3} {:.3}",
        latencies.len() as f64 / elapsed,
        at(0.5),
        at(0.99)
    );
    Ok(())
}

/// A value that does not compress (xorshift64).
fn noise(random: &mut u64, length: usize) -> Bytes {
    let mut value = Vec::with_capacity(length);
    while value.len() < length {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        value.extend_from_slice(&random.to_le_bytes());
    }
    value.into()
}
