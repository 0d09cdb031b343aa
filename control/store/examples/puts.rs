//! Durable puts per second of one member: 1 KiB values that do not compress, 1, 8 and 64 clients, each waiting for its answer.
//!
//! `cargo run --release -p skiff-store --example puts -- [directory] [seconds per step]`; the directory should be on the
//! disk in question, and is left with the data.

use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use skiff_store::{Config, Op, Store, Txn, Value};

const VALUE_BYTES: usize = 1024;
const KEYS: usize = 10_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().unwrap_or_else(|| "puts-data".into());
    let seconds = arguments
        .next()
        .map_or(Ok(5), |text| text.parse())
        .context("seconds per step")?;
    let opening = Instant::now();
    let store = Store::open(Config::new(&dir)).await?;
    println!(
        "opened {dir} with {} keys in {:?}, {} KiB resident",
        store.stats().keys,
        opening.elapsed(),
        resident()?
    );
    println!(
        "{:>8} {:>10} {:>10} {:>10} {:>14}",
        "clients", "puts/s", "p50 ms", "p99 ms", "puts per fsync"
    );
    for clients in [1, 8, 64] {
        step(&store, clients, Duration::from_secs(seconds)).await?;
    }
    println!("{} KiB resident, {:?}", resident()?, store.stats());
    store.close().await?;
    Ok(())
}

async fn step(store: &Store, clients: usize, length: Duration) -> anyhow::Result<()> {
    let before = store.log_stats();
    let started = Instant::now();
    let mut tasks = Vec::new();
    for client in 0..clients {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            let mut number = client;
            let mut random = client as u64 + 1;
            while started.elapsed() < length {
                let key = Bytes::from(format!("/registry/core/configmaps/bench/{:06}", number % KEYS));
                let value = Value {
                    bytes: noise(&mut random),
                    revision_at: Some(8),
                };
                number += clients;
                let sent = Instant::now();
                store
                    .commit(Txn {
                        compare: vec![],
                        ops: vec![Op::Put(key, value)],
                    })
                    .await?;
                latencies.push(sent.elapsed());
            }
            Ok::<_, skiff_store::Error>(latencies)
        }));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let elapsed = started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    let after = store.log_stats();
    println!(
        "{clients:>8} {:>10.0} {:>10.2} {:>10.2} {:>14.1}",
        latencies.len() as f64 / elapsed,
        at(0.5),
        at(0.99),
        (after.proposals - before.proposals) as f64 / (after.syncs - before.syncs).max(1) as f64,
    );
    Ok(())
}

/// A value that does not compress (xorshift64).
fn noise(random: &mut u64) -> Bytes {
    let mut value = Vec::with_capacity(VALUE_BYTES);
    while value.len() < VALUE_BYTES {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        value.extend_from_slice(&random.to_le_bytes());
    }
    value.into()
}

/// Resident memory of this process in KiB.
fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .context("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).context("no figure")?.parse()?)
}
