//! Deployment: moves replicas from old ReplicaSets to the one with the wanted template.

mod plan;
mod revision;
mod rollout;
mod status;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, sync::Arc};

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::Pod,
};
use tokio_util::sync::CancellationToken;

use crate::{
    DeleteOptions,
    machinery::{
        Client, Error, EventType, Key, Object, Outcome, Queue, listen, ownership, pods, run_keyed, runner,
        selector,
    },
};
use plan::{Action, Observed, Plan, plan};

/// The controller.
pub struct Controller {
    client: Client,
    queue: Arc<Queue<Key>>,
}

impl Controller {
    /// Registers its listeners.
    pub fn new(client: Client) -> Self {
        let queue: Arc<Queue<Key>> = Arc::new(Queue::default());
        listen::own_keys::<Deployment>(&client.caches, &queue);
        listen::keys_of_parents::<Deployment, ReplicaSet>(&client.caches, &queue, |d| &d.spec.selector);
        // `Recreate` waits for the last old pod to be gone, which no ReplicaSet shows.
        let (q, caches) = (queue.clone(), Arc::downgrade(&client.caches));
        client.caches.pods.listen(move |old, new| {
            let (Some(pod), None) = (old, new) else { return };
            let (Some(owner), Some(caches)) = (pod.controller(), caches.upgrade()) else {
                return;
            };
            let set = caches.replica_sets.get(pod.namespace(), &owner.name);
            if let Some(owner) = set.as_ref().and_then(|s| s.controller()) {
                q.add(Key::new(pod.namespace(), &owner.name));
            }
        });
        Self { client, queue }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (queue, caches) = (self.queue.clone(), self.client.caches.clone());
        run_keyed(
            "deployment",
            queue,
            8,
            || caches.deployments.keys(),
            stop,
            |key| self.reconcile(key),
        )
        .await;
    }

    async fn reconcile(&self, key: Key) -> Outcome {
        let caches = &self.client.caches;
        let Some(deployment) = caches.deployments.get_key(&key) else {
            return Ok(None);
        };
        if selector::is_empty(&deployment.spec.selector) {
            let text = "This deployment is selecting all pods. A non-empty selector is required.";
            self.client
                .event(&*deployment, EventType::Warning, "SelectingAll", text.to_owned());
            return Ok(None);
        }
        let mut candidates = caches.replica_sets.owned_by(deployment.uid());
        candidates.extend(caches.replica_sets.orphans(deployment.namespace()));
        let claims = ownership::claims(&*deployment, &deployment.spec.selector, candidates);
        let sets = self.client.claim(&*deployment, claims).await?;
        let alive = |p: &Arc<Pod>| !pods::is_terminal(p);
        let with_pods: HashSet<String> = sets
            .iter()
            .filter(|s| caches.pods.owned_by(s.uid()).iter().any(alive))
            .map(|s| s.uid().to_owned())
            .collect();
        let observed = Observed {
            deployment: deployment.clone(),
            sets,
            with_pods,
        };
        let plan = plan(&observed, self.client.now());
        self.act(deployment, plan).await
    }

    async fn act(&self, mut deployment: Arc<Deployment>, plan: Plan) -> Outcome {
        for action in plan.actions {
            match action {
                Action::Annotate(new) => {
                    // Through the status, so that it does not count as a change of what is wanted.
                    if let Some(written) = self.client.patch(&*deployment, &new, "status").await? {
                        deployment = written;
                    }
                }
                Action::Create(set) => {
                    if let Err(error) = self.create(&deployment, &set).await {
                        return self.creation_failed(&deployment, &set, error).await;
                    }
                }
                Action::Update { old, new, event } => {
                    self.client.patch(&*old, &*new, "").await?;
                    if let Some(text) = event {
                        self.client
                            .event(&*deployment, EventType::Normal, "ScalingReplicaSet", text);
                    }
                }
                Action::Delete(set) => {
                    let unchanged = DeleteOptions {
                        resource_version: set.metadata.resource_version.clone(),
                        ..DeleteOptions::default()
                    };
                    self.client.delete(&*set, unchanged).await?;
                }
            }
        }
        let mut new = (*deployment).clone();
        new.status = Some(plan.status);
        self.client.patch(&*deployment, &new, "status").await?;
        Ok(plan.again)
    }

    async fn create(&self, deployment: &Deployment, set: &ReplicaSet) -> Result<(), Error> {
        let replicas = set.spec.replicas.unwrap_or(0);
        self.client.create(set).await?;
        if replicas > 0 {
            let text = format!("Scaled up replica set {} from 0 to {replicas}", set.name());
            self.client
                .event(deployment, EventType::Normal, "ScalingReplicaSet", text);
        }
        Ok(())
    }

    /// The name was taken: by our own set that the cache did not show yet, or by another with the same hash.
    async fn creation_failed(&self, deployment: &Arc<Deployment>, set: &ReplicaSet, error: Error) -> Outcome {
        let mut new = (**deployment).clone();
        let status = new.status.get_or_insert_default();
        if error.is_already_exists() {
            let existing = self
                .client
                .live::<ReplicaSet>(set.namespace(), set.name())
                .await?;
            if let Some(existing) = existing
                && existing.controller().is_some_and(|c| c.uid == deployment.uid())
                && revision::same_template(existing.spec.template.as_ref(), &deployment.spec.template)
            {
                return Err(Error::Wait("the replica set exists already"));
            }
            status.collision_count = Some(status.collision_count.unwrap_or(0) + 1);
        } else if error.is_namespace_terminating() {
            return Ok(None);
        } else {
            let cause = error
                .api()
                .map_or_else(|| runner::chain(&error), |e| e.message.clone());
            let message = format!("Failed to create new replica set {:?}: {cause}", set.name());
            status::set(
                status,
                "Progressing",
                "False",
                "ReplicaSetCreateError",
                message,
                self.client.now(),
            );
        }
        self.client.patch(&**deployment, &new, "status").await?;
        Err(error)
    }
}
