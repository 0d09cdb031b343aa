//! Clients that write all the time, and remember what was acknowledged.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};
use serde_json::json;
use skiff_tests::{DEADLINE, Members, eventually};
use tokio::task::JoinSet;

/// How long a client waits before it asks another member.
const PATIENCE: Duration = Duration::from_secs(1);
const WRITERS: usize = 4;

/// What was acknowledged, and when.
type Acknowledged = Arc<Mutex<Vec<(String, Instant)>>>;

/// Running writers.
pub struct Writers<'a> {
    members: &'a Members,
    tasks: JoinSet<()>,
    stop: Arc<AtomicBool>,
    acknowledged: Acknowledged,
}

pub async fn maps(members: &Members, number: usize) -> Result<Api<ConfigMap>> {
    Ok(Api::namespaced(members.connect(number).await?, "default"))
}

pub fn map(name: &str) -> Result<ConfigMap> {
    Ok(serde_json::from_value(
        json!({"metadata": {"name": name}, "data": {"k": "v"}}),
    )?)
}

impl<'a> Writers<'a> {
    /// Starts writing through these members, in turns: after an error or silence, through the next one.
    pub fn start(members: &'a Members, through: &[usize], prefix: &str) -> Result<Self> {
        let clients: Result<Vec<Client>> = members.block_on(async {
            futures::future::try_join_all(through.iter().map(|n| members.connect(*n))).await
        });
        let clients = clients?;
        let (stop, acknowledged) = (Arc::<AtomicBool>::default(), Acknowledged::default());
        let mut tasks = JoinSet::new();
        for writer in 0..WRITERS {
            let clients = clients.clone();
            let (stop, acknowledged) = (stop.clone(), acknowledged.clone());
            let prefix = format!("{prefix}-{writer}");
            tasks.spawn_on(
                write(clients, writer, prefix, stop, acknowledged),
                members.runtime().handle(),
            );
        }
        Ok(Self {
            members,
            tasks,
            stop,
            acknowledged,
        })
    }

    /// Waits for this many more acknowledged writes.
    pub fn more(&self, count: usize) -> Result<()> {
        let now = locked(&self.acknowledged).len();
        eventually("more acknowledged writes", || {
            let then = locked(&self.acknowledged).len();
            ensure!(then >= now + count, "{then} of {}", now + count);
            Ok(())
        })
    }

    /// How long after `since` the first write begun after it was acknowledged.
    pub fn gap(&self, since: Instant) -> Result<Duration> {
        self.more(WRITERS + 1)?;
        let acknowledged = locked(&self.acknowledged);
        let times: Vec<Instant> = acknowledged.iter().map(|(_, at)| *at).collect();
        // The longest pause that ends after `since`: writes that were under way may still be answered just after it.
        let pauses = times.windows(2).filter(|pair| pair[1] > since);
        let longest = pauses.map(|pair| pair[1] - pair[0].max(since)).max();
        longest.context("nothing was acknowledged")
    }

    /// Stops, and looks whether every member has everything that was acknowledged.
    pub fn finish(mut self, asked: &[usize]) -> Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        self.members.block_on(async {
            let all = async { while self.tasks.join_next().await.is_some() {} };
            tokio::time::timeout(DEADLINE, all).await
        })?;
        let acknowledged = locked(&self.acknowledged);
        for number in asked {
            let there: std::collections::HashSet<String> = self.members.block_on(async {
                let list = maps(self.members, *number)
                    .await?
                    .list(&ListParams::default())
                    .await?;
                Ok::<_, anyhow::Error>(
                    list.items
                        .into_iter()
                        .filter_map(|map| map.metadata.name)
                        .collect(),
                )
            })?;
            let lost: Vec<&String> = acknowledged
                .iter()
                .map(|(name, _)| name)
                .filter(|name| !there.contains(*name))
                .collect();
            ensure!(
                lost.is_empty(),
                "acknowledged and not at member {number}: {lost:?}"
            );
        }
        Ok(acknowledged.len())
    }
}

async fn write(
    clients: Vec<Client>,
    first: usize,
    prefix: String,
    stop: Arc<AtomicBool>,
    acknowledged: Acknowledged,
) {
    let mut through = first;
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let name = format!("{prefix}-{number}");
        let api: Api<ConfigMap> = Api::namespaced(clients[through % clients.len()].clone(), "default");
        let Ok(object) = map(&name) else { return };
        let parameters = PostParams::default();
        let attempt = tokio::time::timeout(PATIENCE, api.create(&parameters, &object));
        match attempt.await {
            Ok(Ok(_)) => locked(&acknowledged).push((name, Instant::now())),
            _ => {
                through += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
