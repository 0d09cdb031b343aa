//! EndpointSlice and Endpoints: the addresses behind a service.
//!
//! [`backends`] turns a service and its pods into endpoints; [`slices`] fits those into EndpointSlices with as few
//! changes as possible, and [`mirror`] writes the same as one Endpoints object for older clients. Services without a
//! selector are left alone.

pub mod backends;
pub mod mirror;
mod slices;
#[cfg(test)]
mod tests;
mod trigger;

use std::sync::Arc;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Pod, Service};
use tokio_util::sync::CancellationToken;

use crate::{
    DeleteOptions,
    machinery::{Caches, Client, Key, Object, Outcome, Queue, run_keyed, selector},
};
use slices::{MANAGED_BY, MANAGER, SERVICE_NAME, plan};
use trigger::{Triggers, annotate};

/// The EndpointSlice controller.
pub struct Controller {
    client: Client,
    queue: Arc<Queue<Key>>,
    triggers: Triggers,
}

impl Controller {
    /// Registers its listeners.
    pub fn new(client: Client) -> Self {
        let queue: Arc<Queue<Key>> = Arc::new(Queue::default());
        listen(&client.caches, &queue);
        let q = queue.clone();
        // Somebody else changed or removed a slice of ours.
        client.caches.endpoint_slices.listen(move |old, new| {
            for slice in [old, new].into_iter().flatten() {
                if slice.labels().get(MANAGED_BY).is_some_and(|m| m == MANAGER)
                    && let Some(service) = slice.labels().get(SERVICE_NAME)
                {
                    q.add(Key::new(slice.namespace(), service));
                }
            }
        });
        Self {
            client,
            queue,
            triggers: Triggers::default(),
        }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (queue, caches) = (self.queue.clone(), self.client.caches.clone());
        run_keyed(
            "endpointslice",
            queue,
            16,
            || caches.services.keys(),
            stop,
            |key| self.reconcile(key),
        )
        .await;
    }

    async fn reconcile(&self, key: Key) -> Outcome {
        let caches = &self.client.caches;
        // The slices of a deleted service go with it, by their owner reference.
        let Some(service) = caches.services.get_key(&key) else {
            self.triggers.forget(&key);
            return Ok(None);
        };
        if service.is_terminating() || selector_of(&service).is_none() {
            return Ok(None);
        }
        let existing = caches.endpoint_slices.owned_by(service.uid());
        let ours = existing
            .into_iter()
            .filter(|s| !caches.endpoint_slices.is_deleting(s))
            .collect();
        let zone = |node: &str| {
            let node = caches.nodes.get("", node)?;
            node.labels().get("topology.kubernetes.io/zone").cloned()
        };
        let pods = pods_of(caches, &service);
        let mut plan = plan(&service, &backends::of(&service, &pods, &zone), ours);
        let trigger = self.triggers.next(&service, &pods);
        let updated = plan.update.iter_mut().map(|(_, new)| new);
        for slice in updated.chain(&mut plan.create) {
            annotate(&mut slice.metadata, trigger);
        }
        let updates = plan
            .update
            .iter()
            .map(|(old, new)| self.client.patch(&**old, new, ""));
        try_join_all(updates).await?;
        try_join_all(plan.create.iter().map(|slice| self.client.create(slice))).await?;
        let deletes = plan
            .delete
            .iter()
            .map(|slice| self.client.delete(&**slice, DeleteOptions::default()));
        try_join_all(deletes).await?;
        Ok(None)
    }
}

/// Queues the services that a change of a service or a pod touches.
fn listen(caches: &Arc<Caches>, queue: &Arc<Queue<Key>>) {
    let q = queue.clone();
    caches.services.listen(move |old, new| {
        new.or(old).into_iter().for_each(|s| q.add(s.key()));
    });
    let (q, weak) = (queue.clone(), Arc::downgrade(caches));
    caches.pods.listen(move |old, new| {
        let Some(caches) = weak.upgrade() else { return };
        let Some(pod) = new.or(old) else { return };
        if let (Some(old), Some(new)) = (old, new)
            && !backends::differ(old, new)
        {
            return;
        }
        for service in caches.services.in_namespace(pod.namespace()) {
            let Some(wanted) = selector_of(&service) else {
                continue;
            };
            let selected = |p: &Arc<Pod>| selector::matches_map(wanted, p.labels());
            if [old, new].into_iter().flatten().any(selected) {
                q.add(service.key());
            }
        }
    });
}

/// The selector of a service whose endpoints are ours to keep.
fn selector_of(service: &Service) -> Option<&std::collections::BTreeMap<String, String>> {
    let spec = service.spec.as_ref()?;
    let external = spec.type_.as_deref() == Some("ExternalName");
    spec.selector.as_ref().filter(|s| !s.is_empty() && !external)
}

fn pods_of(caches: &Caches, service: &Service) -> Vec<Arc<Pod>> {
    let Some(wanted) = selector_of(service) else {
        return Vec::new();
    };
    let mut pods = caches.pods.in_namespace(service.namespace());
    pods.retain(|p| selector::matches_map(wanted, p.labels()));
    pods
}
