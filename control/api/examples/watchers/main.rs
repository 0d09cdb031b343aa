//! Many watchers of all pods while the pods' status changes, and how late each change arrives.
//!
//! ```text
//! watchers URL TOKEN NAMESPACE json|protobuf WATCHERS CHANGES_PER_SECOND SECONDS
//! ```
//! Fifty pods are created in the namespace, as `kubectl run` makes them and a kubelet reports them (nothing is padded); then the
//! status of one after the other changes, sent over 25 connections, and a change says when it was sent.
//!
//! A sample of 20 watchers is decrypted and read event by event: each must see every change once, and those of a pod in order; the
//! delays are theirs, from before a change is sent until the watcher has it. The others only take the bytes from their
//! connections, as encrypted as they are, and the kernel drops them: machines of their own would bear the cost of reading, and here
//! they share the processors with the server. That each of them receives as many bytes as a sampled watcher, and no more
//! than framing adds, is checked, and how long after the last change the slowest had them is told.
//!
//! Prints `watchers EVENTS P50_MS P99_MS LAST_MS RATE EVENT_BYTES`, where `RATE` is the changes per second that were really made.
//! `tests/bench/store` runs it; the server's certificate is not looked at.

mod connection;
mod pods;
mod receive;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant as Due, sleep_until, timeout},
};

use connection::Api;
use pods::Change;
use receive::{Counted, Form, Sampled, count};

/// Watchers that are read and checked.
const SAMPLE: usize = 20;
/// Connections that changes are sent over; divides the number of pods, so that one pod's come from one connection.
const WRITERS: usize = 25;
/// What may be left to arrive when the last change is made.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, token, namespace, form, watchers, rate, seconds] = &arguments[..] else {
        anyhow::bail!("give URL TOKEN NAMESPACE json|protobuf WATCHERS CHANGES_PER_SECOND SECONDS");
    };
    let form = match form.as_str() {
        "json" => Form::Json,
        "protobuf" => Form::Protobuf,
        _ => anyhow::bail!("not a form: {form}"),
    };
    let (watchers, rate, seconds): (usize, u32, u32) = (watchers.parse()?, rate.parse()?, seconds.parse()?);
    let changes = (rate * seconds) as usize;
    let api = Api::new(url, token)?;
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let mut connection = api.connect().await?;
    pods::create(&mut connection, &pods).await?;
    let list = connection
        .call("GET", &pods, "application/json", String::new())
        .await?;
    let list: serde_json::Value = serde_json::from_slice(&list)?;
    let version = list["metadata"]["resourceVersion"].as_str().context("a list")?;
    let path = format!(
        "{pods}?watch=true&resourceVersion={version}&timeoutSeconds={}",
        u64::from(seconds) + 2 * PATIENCE.as_secs()
    );

    let started = Instant::now();
    let sample = SAMPLE.min(watchers);
    let mut sampled = JoinSet::new();
    let mut counted = Vec::new();
    let (tell, wanted) = watch::channel(None);
    for number in 0..watchers {
        // Spread evenly among the others.
        if number * sample / watchers != (number + 1) * sample / watchers {
            sampled.spawn(Sampled::start(&api, &path, form).await?.read(changes, started));
        } else {
            counted.push(Counted::start(&api, &path, form).await?);
        }
    }
    let counting = tokio::task::spawn_blocking(move || count(counted, &wanted));
    let (begun, ended) = change(&api, &pods, rate, changes, started).await?;
    let made = (changes - 1) as f64 / (ended - begun).as_secs_f64();

    let mut late = Vec::new();
    let mut bytes = 0;
    while let Some(seen) = timeout(PATIENCE, sampled.join_next()).await? {
        let seen = seen??;
        seen.check(changes)?;
        late.extend(seen.late);
        ensure!(bytes == 0 || bytes == seen.bytes, "watchers saw different events");
        bytes = seen.bytes;
    }
    tell.send_replace(Some(bytes));
    let mut last = Duration::ZERO;
    for count in timeout(PATIENCE, counting).await??? {
        // Records, chunks and their frames add some parts in a hundred.
        ensure!(
            count.bytes < bytes + bytes / 10 + (64 << 10),
            "{} bytes came for {bytes}",
            count.bytes
        );
        last = last.max(count.last.saturating_duration_since(ended));
    }
    late.sort_unstable();
    let at = |part: f64| late[((late.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    println!(
        "watchers {} {:.2} {:.2} {:.2} {made:.1} {}",
        changes * watchers,
        at(0.5),
        at(0.99),
        last.as_secs_f64() * 1e3,
        bytes / changes
    );
    Ok(())
}

/// Makes the changes, each when it is due. Returns when the first and the last one were sent.
async fn change(
    api: &Api,
    pods: &str,
    rate: u32,
    changes: usize,
    started: Instant,
) -> anyhow::Result<(Instant, Instant)> {
    let mut writers = JoinSet::new();
    let begin = Due::now() + Duration::from_millis(200);
    for writer in 0..WRITERS {
        let mut connection = api.connect().await?;
        let pods = pods.to_owned();
        writers.spawn(async move {
            let mut sent = begin.into_std();
            for number in (writer..changes).step_by(WRITERS) {
                sleep_until(begin + Duration::from_secs(1) * number as u32 / rate).await;
                sent = Instant::now();
                let change = Change {
                    number,
                    sent: sent - started,
                };
                change.send(&mut connection, &pods).await?;
            }
            anyhow::Ok(sent)
        });
    }
    let mut last = begin.into_std();
    while let Some(sent) = writers.join_next().await {
        last = last.max(sent??);
    }
    Ok((begin.into_std(), last))
}
