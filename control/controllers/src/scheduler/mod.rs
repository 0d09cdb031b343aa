//! Scheduler: finds a node for every pod without one.
//!
//! One task owns all state: the [`snapshot`] of nodes, the [`pending`] pods. It takes in what changed, places all
//! pods that are due ([`filter`], then [`score`]), counts them as placed at once, and binds them in one call; while
//! that is under way the next ones collect. What does not fit waits for a change ([`message`] says why).

mod amounts;
mod filter;
mod message;
mod pending;
mod score;
mod snapshot;
#[cfg(test)]
mod tests;
mod topology;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::{
    api::core::v1::{Node, Pod, PodCondition},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use parking_lot::Mutex;
use rand::RngExt;
use tokio::{
    sync::{Notify, Semaphore},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    ApiError, Binding,
    machinery::{Client, EventType, Key, Object, pods, selector},
};
use filter::{Reason, Wanted};
use pending::Pending;
use score::{Group, score};
use snapshot::{NodeState, Snapshot};

/// The profile's name: pods that ask for another scheduler are left to it.
const NAME: &str = "default-scheduler";
/// Pods bound in one call.
const BATCH: usize = 256;
/// Conditions of unschedulable pods written at the same time.
const PARALLEL: usize = 16;

/// The scheduler.
pub struct Scheduler {
    client: Client,
    changes: Arc<Changes>,
}

/// What changed since the last look.
#[derive(Default)]
struct Changes {
    /// uid → key.
    pods: Mutex<HashMap<String, Key>>,
    nodes: Mutex<HashSet<String>>,
    notify: Notify,
}

/// The result of a call of bind.
struct Bound {
    pods: Vec<(Arc<Pod>, String)>,
    results: Vec<Result<(), ApiError>>,
}

impl Scheduler {
    /// Registers its listeners.
    pub fn new(client: Client) -> Self {
        let changes = Arc::new(Changes::default());
        let c = changes.clone();
        client.caches.pods.listen(move |old, new| {
            for pod in [old, new].into_iter().flatten() {
                c.pods.lock().insert(pod.uid().to_owned(), pod.key());
            }
            c.notify.notify_one();
        });
        let c = changes.clone();
        client.caches.nodes.listen(move |old, new| {
            if let Some(node) = new.or(old) {
                c.nodes.lock().insert(node.name().to_owned());
            }
            c.notify.notify_one();
        });
        Self { client, changes }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut work = Work {
            client: self.client,
            snapshot: Snapshot::default(),
            pending: Pending::default(),
            assumed: HashMap::new(),
            reports: Arc::new(Semaphore::new(PARALLEL)),
            binding: JoinSet::new(),
            reporting: JoinSet::new(),
        };
        loop {
            work.take_in(&self.changes);
            work.place_due();
            let next = work.pending.next();
            let timer = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changes.notify.notified() => {}
                Some(bound) = work.binding.join_next(), if !work.binding.is_empty() => {
                    if let Ok(bound) = bound {
                        work.finish(bound);
                    }
                }
                Some(_) = work.reporting.join_next(), if !work.reporting.is_empty() => {}
                () = timer => {}
            }
        }
    }
}

struct Work {
    client: Client,
    snapshot: Snapshot,
    pending: Pending,
    /// Placed by us, binding not confirmed by the cache: uid → node.
    assumed: HashMap<String, String>,
    reports: Arc<Semaphore>,
    binding: JoinSet<Bound>,
    reporting: JoinSet<()>,
}

impl Work {
    fn take_in(&mut self, changes: &Changes) {
        let nodes = std::mem::take(&mut *changes.nodes.lock());
        let pods = std::mem::take(&mut *changes.pods.lock());
        let mut may_fit = false;
        for name in nodes {
            match self.client.caches.nodes.get("", &name) {
                Some(node) => may_fit |= self.snapshot.set_node(node),
                None => self.snapshot.remove_node(&name),
            }
        }
        let now = Instant::now();
        for (uid, key) in pods {
            let pod = self.client.caches.pods.get_key(&key).filter(|p| p.uid() == uid);
            match pod.filter(|p| !pods::is_terminal(p)) {
                None => {
                    self.pending.remove(&uid);
                    self.assumed.remove(&uid);
                    may_fit |= self.snapshot.remove(&uid);
                }
                Some(pod) if !pods::node_name(&pod).is_empty() => {
                    self.pending.remove(&uid);
                    self.assumed.remove(&uid);
                    let node = pods::node_name(&pod).to_owned();
                    // Another pod's affinity may now be satisfied.
                    may_fit |= self.snapshot.place(pod, &node);
                }
                Some(_) if self.assumed.contains_key(&uid) => {}
                Some(pod) if is_ours(&pod) => self.pending.offer(pod, now),
                Some(_) => self.pending.remove(&uid),
            }
        }
        if may_fit {
            self.pending.wake();
        }
    }

    fn place_due(&mut self) {
        let now = Instant::now();
        let mut batch = Vec::new();
        for pod in self.pending.due(now) {
            match self.choose(&pod) {
                Ok(node) => {
                    self.pending.remove(pod.uid());
                    self.assumed.insert(pod.uid().to_owned(), node.clone());
                    self.snapshot.place(pod.clone(), &node);
                    batch.push((pod, node));
                    if batch.len() == BATCH {
                        self.bind(std::mem::take(&mut batch));
                    }
                }
                Err(refused) => {
                    self.pending.park(pod.uid(), now);
                    self.report(pod, message::unschedulable(&refused));
                }
            }
        }
        if !batch.is_empty() {
            self.bind(batch);
        }
    }

    fn choose(&self, pod: &Pod) -> Result<String, Vec<Vec<Reason>>> {
        let namespaces = |wanted: &LabelSelector| {
            let all = self.client.caches.namespaces.all();
            let matching = all.iter().filter(|n| selector::matches(wanted, n.labels()));
            matching.map(|n| n.name().to_owned()).collect()
        };
        let Some(wanted) = Wanted::new(pod, &self.snapshot, &namespaces) else {
            return Err(Vec::new());
        };
        let mut fitting: Vec<(&Node, &NodeState)> = Vec::new();
        let mut refused = Vec::new();
        for (node, state) in self.snapshot.existing() {
            match wanted.fits(node, state) {
                Ok(()) => fitting.push((node, state)),
                Err(reasons) => refused.push(reasons),
            }
        }
        match fitting[..] {
            [] => return Err(refused),
            [(node, _)] => return Ok(node.name().to_owned()),
            _ => {}
        }
        let points = score(&wanted, &self.group(pod), &fitting);
        let best = points.iter().max().copied().unwrap_or(0);
        let ties: Vec<_> = fitting
            .iter()
            .zip(&points)
            .filter(|(_, p)| **p == best)
            .map(|(n, _)| n.0)
            .collect();
        Ok(ties[rand::rng().random_range(0..ties.len())].name().to_owned())
    }

    fn group<'p>(&self, pod: &'p Pod) -> Group<'p> {
        if let Some(owner) = pod.controller() {
            return Group::Owner(&owner.uid);
        }
        let services = self.client.caches.services.in_namespace(pod.namespace());
        let selectors = services.iter().filter_map(|s| s.spec.as_ref()?.selector.clone());
        let mine = selectors.filter(|s| !s.is_empty() && selector::matches_map(s, pod.labels()));
        let mine: Vec<_> = mine.collect();
        if mine.is_empty() {
            Group::Alone
        } else {
            Group::Services(mine)
        }
    }

    fn bind(&mut self, pods: Vec<(Arc<Pod>, String)>) {
        let api = self.client.api.clone();
        let bindings = pods.iter().map(|(pod, node)| Binding {
            namespace: pod.namespace().to_owned(),
            name: pod.name().to_owned(),
            uid: pod.uid().to_owned(),
            node: node.clone(),
        });
        let bindings: Vec<Binding> = bindings.collect();
        self.binding.spawn(async move {
            let results = api.bind(&bindings).await;
            Bound { pods, results }
        });
    }

    fn finish(&mut self, bound: Bound) {
        let mut results = bound.results.into_iter();
        for (pod, node) in bound.pods {
            let missing = || ApiError {
                code: 500,
                reason: String::new(),
                message: "no result".to_owned(),
            };
            match results.next().unwrap_or_else(|| Err(missing())) {
                Ok(()) => {
                    let text = format!("Successfully assigned {} to {node}", pod.key());
                    self.client.event(&*pod, EventType::Normal, "Scheduled", text);
                }
                Err(error) => self.unbind(&pod, &error),
            }
        }
    }

    /// Binding failed: whatever the pod has become decides what is next.
    fn unbind(&mut self, pod: &Arc<Pod>, error: &ApiError) {
        tracing::debug!(pod = %pod.key(), %error, "binding failed");
        let uid = pod.uid();
        if self.assumed.remove(uid).is_none() {
            return;
        }
        self.snapshot.remove(uid);
        let current = self
            .client
            .caches
            .pods
            .get_key(&pod.key())
            .filter(|p| p.uid() == uid);
        if let Some(current) = current
            && is_ours(&current)
            && pods::node_name(&current).is_empty()
        {
            let now = Instant::now();
            self.pending.offer(current, now);
            self.pending.delay(uid, now);
        }
        self.pending.wake();
    }

    /// Says on the pod and in an event why it waits.
    fn report(&mut self, pod: Arc<Pod>, message: String) {
        self.client
            .event(&*pod, EventType::Warning, "FailedScheduling", message.clone());
        let condition = pods::condition(&pod, "PodScheduled");
        if condition.is_some_and(|c| c.status == "False" && c.message.as_deref() == Some(message.as_str())) {
            return;
        }
        let (client, permits) = (self.client.clone(), self.reports.clone());
        self.reporting.spawn(async move {
            let Ok(_permit) = permits.acquire().await else {
                return;
            };
            let mut new = (*pod).clone();
            let since = pods::condition(&pod, "PodScheduled").filter(|c| c.status == "False");
            let since = since.and_then(|c| c.last_transition_time.clone());
            let conditions = new
                .status
                .get_or_insert_default()
                .conditions
                .get_or_insert_default();
            conditions.retain(|c| c.type_ != "PodScheduled");
            conditions.push(PodCondition {
                type_: "PodScheduled".to_owned(),
                status: "False".to_owned(),
                reason: Some("Unschedulable".to_owned()),
                message: Some(message),
                last_transition_time: Some(since.unwrap_or_else(|| client.time())),
                ..PodCondition::default()
            });
            // A conflict means that the pod has changed; it says so again at the next attempt.
            let patch = client.patch(&*pod, &new, "status");
            if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(30), patch).await {
                tracing::debug!(pod = %pod.key(), %error, "condition not written");
            }
        });
    }
}

/// Whether it is for us to place.
fn is_ours(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let gated = spec.scheduling_gates.as_ref().is_some_and(|g| !g.is_empty());
    let scheduler = spec
        .scheduler_name
        .as_deref()
        .filter(|n| !n.is_empty())
        .unwrap_or(NAME);
    scheduler == NAME && !gated && !pod.is_terminating()
}
