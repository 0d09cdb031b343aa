//! Node: its pod range, whether it is alive, taints, and the pods of one that is not.

mod cidr;
mod evict;
mod plan;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Node, Pod, PodCondition},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, Time},
};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    DeleteOptions,
    machinery::{Client, Error, EventType, Key, Object, Outcome, Queue, pods, run_keyed, seconds},
};
use cidr::Ranges;
pub use evict::tolerates;
use plan::{Observed, Plan, plan, ready};

/// Settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Ranges of nodes are taken from here.
    pub pod_cidr: String,
    /// Silent for longer than this: not ready.
    pub grace: Duration,
}

/// The controller.
pub struct Controller {
    client: Client,
    queue: Arc<Queue<Key>>,
    grace: Duration,
    ranges: Mutex<Ranges>,
    pulse: Mutex<HashMap<String, Pulse>>,
}

/// The last sign of life, by our own clock: the node's may be wrong.
struct Pulse {
    uid: String,
    lease: Option<MicroTime>,
    heartbeat: Option<Time>,
    at: Instant,
    /// Its pods have been marked not ready since it was last ready.
    marked: bool,
}

impl Controller {
    /// Registers its listeners.
    pub fn new(client: Client, settings: Settings) -> Self {
        let queue: Arc<Queue<Key>> = Arc::new(Queue::default());
        let (q, caches) = (queue.clone(), Arc::downgrade(&client.caches));
        client.caches.nodes.listen(move |old, new| {
            new.or(old).into_iter().for_each(|n| q.add(n.key()));
            // Whether any node is ready decides about evictions on all of them.
            let ready = |n: Option<&Arc<Node>>| n.is_some_and(|n| ready(n) == Some("True"));
            if ready(old) != ready(new) {
                let all = caches.upgrade().map(|c| c.nodes.keys()).unwrap_or_default();
                all.into_iter().for_each(|key| q.add(key));
            }
        });
        let q = queue.clone();
        client.caches.leases.listen(move |_, new| {
            new.into_iter().for_each(|l| q.add(Key::new("", l.name())));
        });
        let (q, caches) = (queue.clone(), Arc::downgrade(&client.caches));
        client.caches.pods.listen(move |old, new| {
            let Some(pod) = new.filter(|p| !pods::node_name(p).is_empty()) else {
                return;
            };
            let bound = old.is_none_or(|o| pods::node_name(o).is_empty());
            let tolerations = |p: &Arc<Pod>| p.spec.as_ref().and_then(|s| s.tolerations.clone());
            if bound || old.is_some_and(|o| tolerations(o) != tolerations(pod)) {
                let node = caches
                    .upgrade()
                    .and_then(|c| c.nodes.get("", pods::node_name(pod)));
                let tainted = node.filter(|n| evict::taints(n).next().is_some());
                tainted.into_iter().for_each(|n| q.add(n.key()));
            }
        });
        let ranges = Mutex::new(Ranges::new(&settings.pod_cidr));
        Self {
            client,
            queue,
            grace: settings.grace,
            ranges,
            pulse: Mutex::default(),
        }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (queue, caches) = (self.queue.clone(), self.client.caches.clone());
        run_keyed(
            "node",
            queue,
            16,
            || caches.nodes.keys(),
            stop,
            |key| self.reconcile(key),
        )
        .await;
    }

    async fn reconcile(&self, key: Key) -> Outcome {
        let caches = &self.client.caches;
        let Some(node) = caches.nodes.get_key(&key) else {
            let gone = self.pulse.lock().remove(&key.name);
            self.ranges.lock().release(&key.name);
            if let Some(pulse) = gone {
                self.tell_removed(&key.name, pulse.uid);
            }
            return Ok(None);
        };
        let is_known = self
            .pulse
            .lock()
            .get(&key.name)
            .is_some_and(|pulse| pulse.uid == node.uid());
        let (silent_for, marked) = self.feel(&node);
        if !is_known {
            let text = format!("Node {0} event: Registered Node {0} in Controller", key.name);
            self.client
                .event(&*node, EventType::Normal, "RegisteredNode", text);
        }
        let is_silent = silent_for >= self.grace;
        let any_ready = self.any_ready();
        let ranges = match node
            .spec
            .as_ref()
            .and_then(|s| s.pod_cidr.as_deref())
            .filter(|c| !c.is_empty())
        {
            Some(_) => None,
            None => self.ranges.lock().take(&key.name, &caches.nodes.all()),
        };
        let now = self.client.now();
        let Plan {
            spec,
            status,
            is_ready,
            went_silent,
        } = plan(
            &Observed {
                node: &node,
                is_silent,
                any_ready,
                ranges,
            },
            now,
        );

        let mut current = node.clone();
        let mut new = (*node).clone();
        if spec != new.spec.clone().unwrap_or_default() {
            new.spec = Some(spec);
        }
        if let Some(written) = self.client.patch(&*current, &new, "").await? {
            current = written;
        }
        let mut new = (*current).clone();
        if status != new.status.clone().unwrap_or_default() {
            new.status = Some(status);
        }
        if let Some(written) = self.client.patch(&*current, &new, "status").await? {
            current = written;
        }
        if went_silent {
            let text = format!("Node {} status is now: NodeNotReady", key.name);
            self.client
                .event(&*current, EventType::Normal, "NodeNotReady", text);
        }
        if !is_ready && (is_silent || !marked) {
            self.mark_pods(&key.name).await?;
        }
        if let Some(pulse) = self.pulse.lock().get_mut(&key.name) {
            pulse.marked = !is_ready;
        }
        let next_eviction = self.evict(&current, now).await?;
        let next_look = (!is_silent).then(|| self.grace.saturating_sub(silent_for));
        Ok([next_eviction, next_look].into_iter().flatten().min())
    }

    /// The last event of a node, of which only the name and the uid are left.
    fn tell_removed(&self, name: &str, uid: String) {
        let node = Node {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                uid: Some(uid),
                ..ObjectMeta::default()
            },
            ..Node::default()
        };
        let text = format!("Node {name} event: Removing Node {name} from Controller");
        self.client.event(&node, EventType::Normal, "RemovingNode", text);
    }

    /// How long a node has been silent, and whether its pods have been marked.
    fn feel(&self, node: &Node) -> (Duration, bool) {
        let lease = self
            .client
            .caches
            .leases
            .get(crate::machinery::NODE_LEASES, node.name());
        let lease = lease.and_then(|l| l.spec.as_ref()?.renew_time.clone());
        let conditions = node.status.iter().flat_map(|s| s.conditions.iter().flatten());
        let heartbeat = conditions
            .filter(|c| c.type_ == "Ready")
            .find_map(|c| c.last_heartbeat_time.clone());
        let mut pulses = self.pulse.lock();
        let now = Instant::now();
        let pulse = pulses.entry(node.name().to_owned()).or_insert_with(|| Pulse {
            uid: String::new(),
            lease: None,
            heartbeat: None,
            at: now,
            marked: false,
        });
        if pulse.uid != node.uid() || pulse.lease < lease || pulse.heartbeat < heartbeat {
            pulse.uid = node.uid().to_owned();
            pulse.at = now;
        }
        (pulse.lease, pulse.heartbeat) = (lease, heartbeat);
        (now.duration_since(pulse.at), pulse.marked)
    }

    /// Whether some node is ready and not about to be found silent: when all fall silent for one reason, the first to
    /// be found must not count on the others.
    fn any_ready(&self) -> bool {
        let pulses = self.pulse.lock();
        let alive = |n: &Node| {
            pulses
                .get(n.name())
                .is_none_or(|p| p.at.elapsed() < self.grace / 2)
        };
        self.client
            .caches
            .nodes
            .all()
            .iter()
            .any(|n| ready(n) == Some("True") && alive(n))
    }

    async fn mark_pods(&self, node: &str) -> Result<(), Error> {
        let ready = self
            .client
            .caches
            .pods
            .on_node(node)
            .into_iter()
            .filter(|p| pods::is_ready(p));
        let marks = ready.map(|pod| async move {
            let mut new = (*pod).clone();
            let conditions = new
                .status
                .iter_mut()
                .flat_map(|s| s.conditions.iter_mut().flatten());
            for condition in conditions.filter(|c| c.type_ == "Ready") {
                condition.status = "False".to_owned();
                condition.last_transition_time = Some(self.client.time());
            }
            let result = self.client.patch(&*pod, &new, "status").await;
            if result.is_ok() {
                self.client.event(
                    &*pod,
                    EventType::Warning,
                    "NodeNotReady",
                    "Node is not ready".to_owned(),
                );
            }
            result.map(|_| ())
        });
        first_failure(join_all(marks).await)
    }

    /// Deletes the pods that don't tolerate the node's taints any longer. Returns when the next one is due.
    async fn evict(&self, node: &Node, now: Timestamp) -> Result<Option<Duration>, Error> {
        let caches = &self.client.caches;
        let of_node = caches.pods.on_node(node.name());
        let alive: Vec<_> = of_node
            .into_iter()
            .filter(|p| !caches.pods.is_deleting(p))
            .collect();
        let evict::Plan { now: due, next } = evict::plan(node, &alive, now);
        let evictions = due.into_iter().map(|pod| async move {
            let text = format!("Marking for deletion Pod {}", pod.key());
            self.client
                .event(&*pod, EventType::Normal, "TaintManagerEviction", text);
            let mut new = (*pod).clone();
            let conditions = new
                .status
                .get_or_insert_default()
                .conditions
                .get_or_insert_default();
            conditions.retain(|c| c.type_ != "DisruptionTarget");
            conditions.push(PodCondition {
                type_: "DisruptionTarget".into(),
                status: "True".into(),
                reason: Some("DeletionByTaintManager".into()),
                message: Some("Taint manager: deleting due to NoExecute taint".into()),
                last_transition_time: Some(seconds(now)),
                ..PodCondition::default()
            });
            match self.client.patch(&*pod, &new, "status").await {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
            self.client.delete(&*pod, DeleteOptions::default()).await
        });
        first_failure(join_all(evictions).await)?;
        Ok(next)
    }
}

/// All were tried; the first that failed makes the node come again. A pod that is gone is no failure.
fn first_failure(results: Vec<Result<(), Error>>) -> Result<(), Error> {
    results
        .into_iter()
        .find(|r| r.as_ref().is_err_and(|e| !e.is_not_found()))
        .unwrap_or(Ok(()))
}
