//! A store with many objects: filling it, and how long it takes to open.

use std::{path::Path, time::Instant};

use anyhow::Context;
use skiff_store::{Config, Op, Store, Txn, Value};

const VALUE_BYTES: usize = 2 << 10;

/// Writes so many objects, many in each transaction.
pub async fn fill(dir: &Path, objects: usize) -> anyhow::Result<()> {
    let store = Store::open(Config::new(dir)).await?;
    let mut random = 1;
    let numbers: Vec<usize> = (0..objects).collect();
    for batch in numbers.chunks(250) {
        let ops = batch.iter().map(|number| {
            let value = Value {
                bytes: super::noise(&mut random, VALUE_BYTES),
                revision_at: Some(8),
            };
            Op::Put(format!("/registry/core/pods/bench/pod-{number:06}").into(), value)
        });
        let ops = ops.collect();
        store.commit(Txn { compare: vec![], ops }).await?;
    }
    Ok(())
}

/// Opens it and says how long that took, and what memory it needs then.
pub async fn open(dir: &Path) -> anyhow::Result<()> {
    let started = Instant::now();
    let store = Store::open(Config::new(dir)).await?;
    let took = started.elapsed();
    // As the server does when it serves.
    skiff_sys::process::trim_heap();
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .context("no VmRSS")?;
    let kib: u64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
    println!(
        "open {:.3} {} {}",
        took.as_secs_f64(),
        kib << 10,
        store.stats().live_bytes
    );
    Ok(())
}
