//! ReplicaSet: as many pods as it wants, made from its template.

mod plan;
mod rank;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::future::join_all;
use k8s_openapi::{
    api::{
        apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use tokio_util::sync::CancellationToken;

use crate::{
    DeleteOptions,
    machinery::{
        Client, Error, EventType, Key, Object, Outcome, Queue, listen, ownership, pods, run_keyed,
        runner::chain,
    },
};
use plan::{Observed, Plan, plan};

/// Pods made or deleted at the same time; the next ones wait for these, and stop at an error.
const BATCH: usize = 64;

/// The controller.
pub struct Controller {
    client: Client,
    queue: Arc<Queue<Key>>,
}

impl Controller {
    /// Registers its listeners.
    pub fn new(client: Client) -> Self {
        let queue = Arc::new(Queue::default());
        listen::own_keys::<ReplicaSet>(&client.caches, &queue);
        listen::keys_of_parents::<ReplicaSet, Pod>(&client.caches, &queue, |s| &s.spec.selector);
        Self { client, queue }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (queue, caches) = (self.queue.clone(), self.client.caches.clone());
        run_keyed(
            "replicaset",
            queue,
            16,
            || caches.replica_sets.keys(),
            stop,
            |key| self.reconcile(key),
        )
        .await;
    }

    async fn reconcile(&self, key: Key) -> Outcome {
        let caches = &self.client.caches;
        let Some(set) = caches.replica_sets.get_key(&key) else {
            return Ok(None);
        };
        let mut candidates = caches.pods.owned_by(set.uid());
        candidates.extend(
            caches
                .pods
                .orphans(set.namespace())
                .into_iter()
                .filter(|p| !pods::is_terminal(p)),
        );
        let claims = ownership::claims(&*set, &set.spec.selector, candidates);
        let owned = self.client.claim(&*set, claims).await?;
        let (active, terminating): (Vec<_>, Vec<_>) = owned
            .into_iter()
            .filter(|p| !pods::is_terminal(p))
            .partition(|p| !caches.pods.is_deleting(p));
        let related = self.related(&set);
        let namespace = caches.namespaces.get("", set.namespace());
        let plan = plan(
            &Observed {
                set: &set,
                may_create: namespace.is_none_or(|n| !n.is_terminating()),
                active,
                terminating: terminating.len(),
                related,
            },
            self.client.now(),
        );
        self.act(&set, plan).await
    }

    /// Active pods of all ReplicaSets of the same owner: a scale-down prefers nodes where several of them are.
    fn related(&self, set: &ReplicaSet) -> Vec<Arc<Pod>> {
        let caches = &self.client.caches;
        let sets = match set.controller() {
            Some(owner) => caches.replica_sets.owned_by(&owner.uid),
            None => Vec::new(),
        };
        let uids = sets.iter().map(|s| s.uid()).chain([set.uid()]);
        let mut uids: Vec<&str> = uids.collect();
        uids.sort_unstable();
        uids.dedup();
        uids.into_iter()
            .flat_map(|uid| caches.pods.owned_by(uid))
            .filter(|p| !caches.pods.is_deleting(p))
            .collect()
    }

    async fn act(&self, set: &Arc<ReplicaSet>, plan: Plan) -> Outcome {
        let failed = match self.create(set, plan.create).await {
            Ok(()) => self
                .delete(set, plan.delete)
                .await
                .err()
                .map(|e| ("FailedDelete", e)),
            Err(error) => Some(("FailedCreate", error)),
        };
        let mut status = plan.status;
        self.failure_condition(set, &mut status, failed.as_ref().map(|(r, e)| (*r, chain(e))));
        let mut new = (**set).clone();
        new.status = Some(status);
        // A set that was changed meanwhile comes again through its listener: whatever the result of this write.
        match self.client.patch(&**set, &new, "status").await {
            Err(error) if !error.is_not_found() && failed.is_none() => return Err(error),
            _ => {}
        }
        match failed {
            Some((_, error)) if !error.is_namespace_terminating() => Err(error),
            _ => Ok(plan.again),
        }
    }

    async fn create(&self, set: &ReplicaSet, count: usize) -> Result<(), Error> {
        let Some(pod) = pod_of(set) else { return Ok(()) };
        let mut left = count;
        while left > 0 {
            let batch = left.min(BATCH);
            let results = join_all((0..batch).map(|_| self.client.create(&pod))).await;
            let mut failure = None;
            for result in results {
                match result {
                    Ok(pod) => {
                        let text = format!("Created pod: {}", pod.name());
                        self.client
                            .event(set, EventType::Normal, "SuccessfulCreate", text);
                    }
                    Err(error) => failure = Some(error),
                }
            }
            if let Some(error) = failure {
                if !error.is_namespace_terminating() {
                    let cause = error.api().map_or_else(|| chain(&error), |e| e.message.clone());
                    let text = format!("Error creating: {cause}");
                    self.client.event(set, EventType::Warning, "FailedCreate", text);
                }
                return Err(error);
            }
            left -= batch;
        }
        Ok(())
    }

    async fn delete(&self, set: &ReplicaSet, pods: Vec<Arc<Pod>>) -> Result<(), Error> {
        let mut failure = Ok(());
        let mut results = Vec::new();
        for batch in pods.chunks(BATCH) {
            let deleted = batch
                .iter()
                .map(|pod| self.client.delete(&**pod, DeleteOptions::default()));
            results.extend(join_all(deleted).await);
        }
        for (pod, result) in pods.iter().zip(results) {
            match result {
                Ok(()) => {
                    let text = format!("Deleted pod: {}", pod.name());
                    self.client
                        .event(set, EventType::Normal, "SuccessfulDelete", text);
                }
                Err(error) => {
                    let cause = error.api().map_or_else(|| chain(&error), |e| e.message.clone());
                    let text = format!("Error deleting: {cause}");
                    self.client.event(set, EventType::Warning, "FailedDelete", text);
                    failure = Err(error);
                }
            }
        }
        failure
    }

    fn failure_condition(
        &self,
        set: &ReplicaSet,
        status: &mut ReplicaSetStatus,
        failed: Option<(&'static str, String)>,
    ) {
        let had = |c: &&ReplicaSetCondition| c.type_.as_deref() == Some("ReplicaFailure");
        let before = set
            .status
            .iter()
            .flat_map(|s| s.conditions.iter().flatten())
            .find(had)
            .cloned();
        let conditions = status.conditions.get_or_insert_default();
        conditions.retain(|c| c.type_.as_deref() != Some("ReplicaFailure"));
        if let Some((reason, message)) = failed {
            let same = before.filter(|c| c.reason.as_deref() == Some(reason));
            conditions.push(same.unwrap_or_else(|| ReplicaSetCondition {
                type_: Some("ReplicaFailure".into()),
                status: Some("True".into()),
                reason: Some(reason.into()),
                message: Some(message),
                last_transition_time: Some(self.client.time()),
            }));
        }
        if conditions.is_empty() {
            status.conditions = None;
        }
    }
}

/// A pod from the template.
fn pod_of(set: &ReplicaSet) -> Option<Pod> {
    let template = set.spec.template.as_ref()?;
    let from = template.metadata.clone().unwrap_or_default();
    Some(Pod {
        metadata: ObjectMeta {
            namespace: set.metadata.namespace.clone(),
            generate_name: Some(format!("{}-", set.name())),
            labels: from.labels,
            annotations: from.annotations,
            finalizers: from.finalizers,
            owner_references: Some(vec![set.controller_reference()]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    })
}
