//! Clients that write all the time, and remember what was acknowledged.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
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

/// A write that was acknowledged.
struct Write {
    name: String,
    revision: u64,
    begun: Instant,
    answered: Instant,
}

type Acknowledged = Arc<Mutex<Vec<Write>>>;

/// Running writers.
pub struct Writers<'a> {
    members: &'a Members,
    prefix: String,
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

/// How long it takes until a write through this member is refused, which it must be, for this reason.
pub async fn refused(members: &Members, number: usize, reason: &str) -> Result<Duration> {
    let begun = Instant::now();
    let api = maps(members, number).await?;
    let refusal = api.create(&PostParams::default(), &map("refused")?).await;
    let Err(kube::Error::Api(answer)) = refusal else {
        bail!("a write without a majority: {refusal:?}");
    };
    ensure!(
        answer.code == 503 && answer.message.contains(reason),
        "{answer:?}"
    );
    let retry = answer.details.as_ref().map(|details| details.retry_after_seconds);
    ensure!(retry > Some(0), "{answer:?}");
    let took = begun.elapsed();
    ensure!(took < Duration::from_secs(12), "refused after {took:?}");
    Ok(took)
}

/// Waits until a write through this member is taken. Who was cut off may lead, or follow, in its own opinion only for a while.
pub fn takes_writes(members: &Members, number: usize) -> Result<()> {
    eventually("a member that takes writes", || {
        members.block_on(async {
            let api = maps(members, number).await?;
            match api.create(&PostParams::default(), &map("taken")?).await {
                Err(kube::Error::Api(answer)) if answer.code == 409 => Ok(()),
                other => Ok(other.map(drop)?),
            }
        })
    })
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
            prefix: format!("{prefix}-"),
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
        let times: Vec<Instant> = acknowledged.iter().map(|write| write.answered).collect();
        // The longest pause that ends after `since`: writes that were under way may still be answered just after it.
        let pauses = times.windows(2).filter(|pair| pair[1] > since);
        let longest = pauses.map(|pair| pair[1] - pair[0].max(since)).max();
        longest.context("nothing was acknowledged")
    }

    /// Stops, and looks whether all members have the same history, with everything in it that was acknowledged; how much
    /// that is.
    pub fn finish(mut self, asked: &[usize]) -> Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        self.members.block_on(async {
            let all = async { while self.tasks.join_next().await.is_some() {} };
            tokio::time::timeout(DEADLINE, all).await
        })?;
        let acknowledged = locked(&self.acknowledged);
        let histories = eventually("the same history at all members", || {
            let histories: Result<Vec<_>> = asked.iter().map(|number| self.history(*number)).collect();
            let histories = histories?;
            // A write that nobody waits for any more may happen between two looks.
            ensure!(
                histories.windows(2).all(|pair| pair[0] == pair[1]),
                "{histories:?}"
            );
            Ok(histories)
        })?;
        let history = histories.first().context("nobody was asked")?;
        let lost: Vec<&str> = acknowledged
            .iter()
            .filter(|write| history.get(&write.name) != Some(&write.revision))
            .map(|write| write.name.as_str())
            .collect();
        ensure!(
            lost.is_empty(),
            "acknowledged, and not at members {asked:?}: {lost:?}"
        );
        in_order(&acknowledged)?;
        Ok(acknowledged.len())
    }

    /// Which revision made what, as a member has it.
    fn history(&self, number: usize) -> Result<BTreeMap<String, u64>> {
        let list = self.members.block_on(async {
            let list = maps(self.members, number)
                .await?
                .list(&ListParams::default())
                .await?;
            Ok::<_, anyhow::Error>(list.items)
        })?;
        let made = list.into_iter().filter_map(|map| {
            let revision = revision(&map)?;
            let name = map.metadata.name?;
            name.starts_with(&self.prefix).then_some((name, revision))
        });
        Ok(made.collect())
    }
}

fn revision(map: &ConfigMap) -> Option<u64> {
    map.metadata.resource_version.as_ref()?.parse().ok()
}

/// A write that began after another one was answered has the later revision.
fn in_order(acknowledged: &[Write]) -> Result<()> {
    let by = |time: fn(&Write) -> Instant| {
        let mut writes: Vec<&Write> = acknowledged.iter().collect();
        writes.sort_by_key(|write| time(write));
        writes
    };
    let mut answered = by(|write| write.answered).into_iter().peekable();
    let mut newest: Option<&Write> = None;
    for write in by(|write| write.begun) {
        while let Some(before) = answered.next_if(|before| before.answered < write.begun) {
            if newest.is_none_or(|newest| newest.revision < before.revision) {
                newest = Some(before);
            }
        }
        if let Some(before) = newest {
            ensure!(
                before.revision < write.revision,
                "{} began when {} was answered, and has revision {}, not after {}",
                write.name,
                before.name,
                write.revision,
                before.revision
            );
        }
    }
    Ok(())
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
        let begun = Instant::now();
        let attempt = tokio::time::timeout(PATIENCE, api.create(&parameters, &object));
        match attempt.await {
            Ok(Ok(made)) => locked(&acknowledged).push(Write {
                name,
                revision: revision(&made).unwrap_or_default(),
                begun,
                answered: Instant::now(),
            }),
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
