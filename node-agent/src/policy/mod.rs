//! NetworkPolicies: watches them, and pods and namespaces as long as there is any, and tells the pod network what this node's
//! pods may do.

mod select;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, pin::Pin, sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _, stream};
use k8s_openapi::api::{
    core::v1::{Namespace, Pod},
    networking::v1::NetworkPolicy,
};
use kube::{
    Api, Resource, ResourceExt as _,
    runtime::watcher::{self, Event},
};
use serde::de::DeserializeOwned;
use skiff_pod_network::PodNetwork;
use tracing::{debug, warn};

use self::select::{PodFacts, World};
use crate::agent::Agent;

/// Changes that come together are carried over together.
const GATHER: Duration = Duration::from_millis(50);
/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(1);

type Events<K> = Pin<Box<dyn Stream<Item = Result<Event<K>, watcher::Error>> + Send>>;

/// Objects of a kind as last seen, by namespace and name.
struct Seen<K, V> {
    events: Events<K>,
    objects: BTreeMap<String, V>,
    listing: BTreeMap<String, V>,
    listed: bool,
    /// What is kept of an object; none: nothing.
    keep: fn(&K) -> Option<V>,
}

impl<K, V: PartialEq> Seen<K, V>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
    K::DynamicType: Default,
{
    /// Watches nothing yet.
    fn new(keep: fn(&K) -> Option<V>) -> Self {
        Self {
            events: Box::pin(stream::pending()),
            objects: BTreeMap::new(),
            listing: BTreeMap::new(),
            listed: false,
            keep,
        }
    }

    fn watch(&mut self, api: Api<K>) {
        self.events = Box::pin(watcher::watcher(api, watcher::Config::default()));
    }

    /// Takes the next event; true when something is different.
    async fn next(&mut self) -> bool {
        let key = |object: &K| {
            let namespace = object.namespace().unwrap_or_default();
            if namespace.is_empty() {
                object.name_any()
            } else {
                format!("{namespace}/{}", object.name_any())
            }
        };
        match self.events.next().await {
            Some(Ok(Event::Init)) => self.listing.clear(),
            Some(Ok(Event::InitApply(object))) => {
                if let Some(kept) = (self.keep)(&object) {
                    self.listing.insert(key(&object), kept);
                }
            }
            Some(Ok(Event::InitDone)) => {
                let new = std::mem::take(&mut self.listing);
                let changed = !self.listed || new != self.objects;
                self.objects = new;
                self.listed = true;
                return changed;
            }
            Some(Ok(Event::Apply(object))) => {
                let key = key(&object);
                return match (self.keep)(&object) {
                    Some(kept) if self.objects.get(&key) == Some(&kept) => false,
                    Some(kept) => {
                        self.objects.insert(key, kept);
                        true
                    }
                    None => self.objects.remove(&key).is_some(),
                };
            }
            Some(Ok(Event::Delete(object))) => return self.objects.remove(&key(&object)).is_some(),
            Some(Err(error)) => {
                debug!(%error, kind = std::any::type_name::<K>(), "watch for network policies");
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            None => self.events = Box::pin(stream::pending()),
        }
        false
    }
}

/// Follows the policies for ever.
pub(crate) async fn follow(agent: Arc<Agent>, network: Arc<PodNetwork>) {
    let client = &agent.client;
    let mut policies = Seen::new(|policy: &NetworkPolicy| Some(policy.clone()));
    policies.watch(Api::all(client.clone()));
    let mut pods = Seen::new(PodFacts::of);
    let mut namespaces = Seen::new(|namespace: &Namespace| Some(namespace.clone()));
    // Most clusters have no policies: nothing else is watched until there is one.
    let mut watching = false;
    let mut due = None;
    loop {
        let changed = tokio::select! {
            changed = policies.next() => changed,
            changed = pods.next() => changed,
            changed = namespaces.next() => changed,
            () = tokio::time::sleep_until(due.unwrap_or_else(tokio::time::Instant::now)), if due.is_some() => {
                due = None;
                let world = World {
                    policies: &policies.objects,
                    pods: &pods.objects,
                    namespaces: &namespaces.objects,
                };
                let rules = world.rules(&agent.config.node_name);
                if let Err(error) = network.set_rules(rules).await {
                    warn!(error = crate::causes::chain(&error), "network policies");
                    due = Some(tokio::time::Instant::now() + RETRY);
                }
                false
            }
        };
        if !watching && !policies.objects.is_empty() {
            watching = true;
            pods.watch(Api::<Pod>::all(client.clone()));
            namespaces.watch(Api::all(client.clone()));
        }
        let complete = policies.listed && (!watching || pods.listed && namespaces.listed);
        if changed && complete && due.is_none() {
            due = Some(tokio::time::Instant::now() + GATHER);
        }
    }
}
