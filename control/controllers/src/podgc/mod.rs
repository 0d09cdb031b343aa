//! Pods that nobody looks after: on nodes that are gone, ended long ago, or never bound and to be deleted.

mod plan;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Node, Pod, PodCondition};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    DeleteOptions,
    machinery::{Client, Error, Object, Outcome, Queue, pods, run_keyed},
};
use plan::{Observed, Reason, plan};

/// A full look this often.
const PERIOD: Duration = Duration::from_secs(20);
/// How long a node must be missing before its pods go: it may be about to register again.
const QUARANTINE: Duration = Duration::from_secs(40);

/// The only key: a look covers everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct All;

impl fmt::Display for All {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all")
    }
}

/// The controller.
pub struct Controller {
    client: Client,
    queue: Arc<Queue<All>>,
    /// Nodes that pods name and that don't exist, since when.
    missing: Mutex<HashMap<String, Instant>>,
}

impl Controller {
    /// Registers its listeners.
    pub fn new(client: Client) -> Self {
        let queue: Arc<Queue<All>> = Arc::new(Queue::default());
        let q = queue.clone();
        client.caches.nodes.listen(move |_, new| {
            if new.is_none() {
                q.add(All);
            }
        });
        let q = queue.clone();
        client.caches.pods.listen(move |_, new| {
            if new.is_some_and(|p| p.is_terminating() && pods::node_name(p).is_empty()) {
                q.add(All);
            }
        });
        Self {
            client,
            queue,
            missing: Mutex::default(),
        }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        run_keyed(
            "podgc",
            self.queue.clone(),
            1,
            || vec![All],
            stop,
            |_| self.look(),
        )
        .await;
    }

    async fn look(&self) -> Outcome {
        let caches = &self.client.caches;
        let now = Instant::now();
        let missing: Vec<String> = {
            let mut missing = self.missing.lock();
            let absent: Vec<String> = caches
                .pods
                .nodes()
                .into_iter()
                .filter(|n| caches.nodes.get("", n).is_none())
                .collect();
            missing.retain(|n, _| absent.contains(n));
            for node in absent {
                missing.entry(node).or_insert(now);
            }
            let over = missing
                .iter()
                .filter(|(_, since)| now.duration_since(**since) >= QUARANTINE);
            over.map(|(n, _)| n.clone()).collect()
        };
        let mut gone = Vec::new();
        for node in missing {
            if self.client.live::<Node>("", &node).await?.is_none() {
                gone.push(node);
            }
        }
        let observed = Observed {
            pods: caches.pods.all(),
            gone,
        };
        for (pod, reason) in plan(&observed) {
            self.delete(&pod, reason).await?;
        }
        Ok(Some(PERIOD))
    }

    async fn delete(&self, pod: &Arc<Pod>, reason: Reason) -> Result<(), Error> {
        if reason == Reason::NodeGone && !pods::is_terminal(pod) {
            let mut new = (**pod).clone();
            let status = new.status.get_or_insert_default();
            status.phase = Some("Failed".into());
            let conditions = status.conditions.get_or_insert_default();
            conditions.retain(|c| c.type_ != "DisruptionTarget");
            conditions.push(PodCondition {
                type_: "DisruptionTarget".into(),
                status: "True".into(),
                reason: Some("DeletionByPodGC".into()),
                message: Some("PodGC: node no longer exists".into()),
                last_transition_time: Some(self.client.time()),
                ..PodCondition::default()
            });
            match self.client.patch(&**pod, &new, "status").await {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        let at_once = DeleteOptions {
            grace_seconds: Some(0),
            ..DeleteOptions::default()
        };
        self.client.delete(&**pod, at_once).await
    }
}
