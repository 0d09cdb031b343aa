//! PodDisruptionBudgets: how many pods may be evicted now. The eviction itself is the API server's, which takes one
//! from `status.disruptionsAllowed` and notes the pod in `status.disruptedPods`.

mod plan;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::Pod,
    policy::v1::PodDisruptionBudget,
};
use tokio_util::sync::CancellationToken;

use crate::machinery::{Cached, Client, Key, Object, Outcome, Queue, listen, run_keyed, selector};
use plan::{Observed, plan};

/// The controller.
pub struct Controller {
    client: Client,
    queue: Arc<Queue<Key>>,
}

impl Controller {
    /// Registers its listeners.
    pub fn new(client: Client) -> Self {
        let queue: Arc<Queue<Key>> = Arc::new(Queue::default());
        listen::own_keys::<PodDisruptionBudget>(&client.caches, &queue);
        let (q, caches) = (queue.clone(), Arc::downgrade(&client.caches));
        client.caches.pods.listen(move |old, new| {
            let Some(caches) = caches.upgrade() else { return };
            for pod in [old, new].into_iter().flatten() {
                let budgets = caches.disruption_budgets.in_namespace(pod.namespace());
                budgets
                    .iter()
                    .filter(|b| selects(b, pod))
                    .for_each(|b| q.add(b.key()));
            }
        });
        // A share is one of what the owners of the pods want.
        queue_all_when::<ReplicaSet>(&client, &queue, |s| s.spec.replicas);
        queue_all_when::<Deployment>(&client, &queue, |d| d.spec.replicas);
        Self { client, queue }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (queue, caches) = (self.queue.clone(), self.client.caches.clone());
        run_keyed(
            "disruption",
            queue,
            4,
            || caches.disruption_budgets.keys(),
            stop,
            |key| self.reconcile(key),
        )
        .await;
    }

    async fn reconcile(&self, key: Key) -> Outcome {
        let caches = &self.client.caches;
        let Some(budget) = caches.disruption_budgets.get_key(&key) else {
            return Ok(None);
        };
        let mut selected = caches.pods.in_namespace(&key.namespace);
        selected.retain(|p| selects(&budget, p));
        let wanted = self.wanted(&selected);
        let plan = plan(
            &Observed {
                budget: &budget,
                pods: selected,
                wanted,
            },
            self.client.now(),
        );
        let mut new = (*budget).clone();
        new.status = Some(plan.status);
        match self.client.patch(&*budget, &new, "status").await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(plan.again),
        }
    }

    /// What the controllers of these pods want, all together. Pods without one count for nothing, as in Kubernetes.
    fn wanted(&self, selected: &[Arc<Pod>]) -> Result<i32, String> {
        let caches = &self.client.caches;
        let mut owners: BTreeMap<String, i32> = BTreeMap::new();
        for pod in selected {
            let Some(owner) = pod.controller() else { continue };
            let set = (owner.kind == "ReplicaSet")
                .then(|| caches.replica_sets.get(pod.namespace(), &owner.name))
                .flatten()
                .filter(|s| s.uid() == owner.uid);
            let Some(set) = set else {
                return Err(format!(
                    "found no controllers for pod \"{}\": {} {} can't be scaled",
                    pod.name(),
                    owner.kind,
                    owner.name
                ));
            };
            // Pods of both sets of a rollout count for the one deployment.
            let deployment = set
                .controller()
                .filter(|o| o.kind == "Deployment")
                .and_then(|o| caches.deployments.get(set.namespace(), &o.name));
            match deployment {
                Some(deployment) => {
                    owners.insert(deployment.uid().to_owned(), deployment.spec.replicas.unwrap_or(1))
                }
                None => owners.insert(set.uid().to_owned(), set.spec.replicas.unwrap_or(1)),
            };
        }
        Ok(owners.values().sum())
    }
}

/// Whether a budget is for this pod: without a selector it is for none, with an empty one for all.
fn selects(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let selector = budget.spec.as_ref().and_then(|s| s.selector.as_ref());
    selector.is_some_and(|s| selector::matches(s, pod.labels()))
}

/// Adds all budgets of a namespace when the wanted replicas of an object in it change.
fn queue_all_when<T: Cached>(client: &Client, queue: &Arc<Queue<Key>>, replicas: fn(&T) -> Option<i32>) {
    let (queue, weak) = (queue.clone(), Arc::downgrade(&client.caches));
    T::cache(&client.caches).listen(move |old, new| {
        let (Some(caches), Some(object)) = (weak.upgrade(), new.or(old)) else {
            return;
        };
        if old.map(|o| replicas(o)) != new.map(|o| replicas(o)) {
            let budgets = caches.disruption_budgets.in_namespace(object.namespace());
            budgets.iter().for_each(|b| queue.add(b.key()));
        }
    });
}
