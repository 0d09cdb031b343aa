//! Runs a reconcile function over a queue.

use std::{fmt::Display, hash::Hash, sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{Error, Queue};

/// What a run of one key returns: when to run again without a change, or why it failed.
pub type Outcome = Result<Option<Duration>, Error>;

/// Even when no event is missed, everything is looked at again this often.
const RESYNC: Duration = Duration::from_secs(10 * 60);

/// Works on the keys of `queue`, up to `parallel` at a time and never one key twice at once, until `stop`. All keys
/// that `all` names are added at the start and on a slow timer.
pub async fn run_keyed<K, F, Fut>(
    controller: &'static str,
    queue: Arc<Queue<K>>,
    parallel: usize,
    all: impl Fn() -> Vec<K>,
    stop: CancellationToken,
    reconcile: F,
) where
    K: Clone + Eq + Hash + Display,
    F: Fn(K) -> Fut,
    Fut: Future<Output = Outcome>,
{
    let mut running = FuturesUnordered::new();
    let mut resync = tokio::time::interval(RESYNC);
    resync.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some((key, started, outcome)) = running.next(), if !running.is_empty() => {
                finish(controller, &queue, key, started, outcome);
            }
            key = queue.next(), if running.len() < parallel => {
                let run = reconcile(key.clone());
                running.push(async move { let started = Instant::now(); (key, started, run.await) });
            }
            _ = resync.tick() => all().into_iter().for_each(|key| queue.add(key)),
        }
    }
}

fn finish<K: Clone + Eq + Hash + Display>(
    controller: &'static str,
    queue: &Queue<K>,
    key: K,
    started: Instant,
    outcome: Outcome,
) {
    let elapsed = started.elapsed();
    match outcome {
        Ok(again) => {
            tracing::trace!(controller, %key, ?elapsed, depth = queue.depth(), "reconciled");
            queue.done(key, again);
        }
        Err(error) => {
            let text = chain(&error);
            let expected = error.is_conflict() || matches!(error, Error::Wait(_));
            let shown = key.to_string();
            let failures = queue.failed(key);
            // Conflicts are how concurrent writers take turns; only a row of them is worth a line.
            if expected && failures < 5 {
                tracing::debug!(controller, key = shown, error = text, "will retry");
            } else {
                tracing::warn!(
                    controller,
                    key = shown,
                    error = text,
                    failures,
                    "reconcile failed"
                );
            }
        }
    }
}

/// An error with its causes, for one log line or one event.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
