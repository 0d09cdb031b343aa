//! Endpoints: the older form of the same, one object per service.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, ObjectReference, Service},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use tokio_util::sync::CancellationToken;

use super::{
    backends::{self, Backend, Port},
    listen, pods_of, selector_of,
    slices::HEADLESS,
    trigger::{Triggers, annotate},
};
use crate::{
    DeleteOptions,
    machinery::{Client, Key, Object, Outcome, Queue, listen::own_keys, run_keyed},
};

/// Annotation: `truncated` when there are more addresses than the object may hold.
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";
const MAX_ADDRESSES: usize = 1000;

/// The Endpoints controller.
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
        own_keys::<Endpoints>(&client.caches, &queue);
        Self {
            client,
            queue,
            triggers: Triggers::default(),
        }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (queue, caches) = (self.queue.clone(), self.client.caches.clone());
        let all = || [caches.services.keys(), caches.endpoints.keys()].concat();
        run_keyed("endpoints", queue, 16, all, stop, |key| self.reconcile(key)).await;
    }

    async fn reconcile(&self, key: Key) -> Outcome {
        let caches = &self.client.caches;
        let existing = caches.endpoints.get_key(&key);
        let Some(service) = caches.services.get_key(&key) else {
            self.triggers.forget(&key);
            // Endpoints have no owner reference; those made by others may live without a service.
            if let Some(ours) = existing.filter(|e| e.labels().get(MANAGED_BY).is_some_and(|m| m == MANAGER))
            {
                self.client.delete(&*ours, DeleteOptions::default()).await?;
            }
            return Ok(None);
        };
        if service.is_terminating() || selector_of(&service).is_none() {
            return Ok(None);
        }
        let pods = pods_of(caches, &service);
        let backends = backends::of(&service, &pods, &|_| None);
        let trigger = self.triggers.next(&service, &pods);
        let Some(mut new) = plan(&service, &backends, existing.as_deref()) else {
            return Ok(None);
        };
        annotate(&mut new.metadata, trigger);
        match existing {
            Some(old) => self.client.patch(&*old, &new, "").await.map(|_| ())?,
            None => self.client.create(&new).await.map(|_| ())?,
        }
        Ok(None)
    }
}

/// The object to write; `None`: it is as it should be.
fn plan(service: &Service, backends: &[Backend], existing: Option<&Endpoints>) -> Option<Endpoints> {
    let family = backends::families(service)[0];
    let publish_all = service
        .spec
        .as_ref()
        .is_some_and(|s| s.publish_not_ready_addresses == Some(true));
    // Terminating pods have no place here, unless everything is published.
    let shown = backends
        .iter()
        .filter(|b| b.family == family && (publish_all || !b.terminating));
    let headless = backends::is_headless(service);
    let shown = shown.filter(|b| headless || !b.ports.is_empty());
    let mut by_address: Vec<&Backend> = shown.collect();
    by_address.sort_by(|a, b| (!a.ready, &a.address).cmp(&(!b.ready, &b.address)));
    let truncated = by_address.len() > MAX_ADDRESSES;
    by_address.truncate(MAX_ADDRESSES);

    let mut groups: BTreeMap<Vec<Port>, (Vec<EndpointAddress>, Vec<EndpointAddress>)> = BTreeMap::new();
    for backend in by_address {
        let (ready, not_ready) = groups.entry(backend.ports.clone()).or_default();
        if backend.ready { ready } else { not_ready }.push(address(backend));
    }
    let some = |list: Vec<EndpointAddress>| Some(list).filter(|l| !l.is_empty());
    let subset = |(ports, (ready, not_ready)): (Vec<Port>, _)| EndpointSubset {
        addresses: some(ready),
        not_ready_addresses: some(not_ready),
        ports: Some(ports.iter().map(port).collect::<Vec<_>>()).filter(|p| !p.is_empty()),
    };
    let subsets: Vec<EndpointSubset> = groups.into_iter().map(subset).collect();

    let mut labels = service.labels().clone();
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    labels.remove(HEADLESS);
    if headless {
        labels.insert(HEADLESS.into(), String::new());
    }
    let mut new = match existing {
        Some(existing) => existing.clone(),
        None => Endpoints {
            metadata: ObjectMeta {
                name: service.metadata.name.clone(),
                namespace: service.metadata.namespace.clone(),
                ..ObjectMeta::default()
            },
            subsets: None,
        },
    };
    new.metadata.labels = Some(labels);
    new.subsets = Some(subsets);
    let annotations = new.metadata.annotations.get_or_insert_default();
    if truncated {
        annotations.insert(OVER_CAPACITY.into(), "truncated".into());
    } else {
        annotations.remove(OVER_CAPACITY);
    }
    if existing.is_some_and(|e| normal(e) == normal(&new)) {
        return None;
    }
    Some(new)
}

fn normal(endpoints: &Endpoints) -> Endpoints {
    let mut endpoints = endpoints.clone();
    endpoints.subsets = endpoints.subsets.filter(|s| !s.is_empty());
    endpoints.metadata.annotations = endpoints.metadata.annotations.filter(|a| !a.is_empty());
    endpoints
}

fn port(port: &Port) -> EndpointPort {
    EndpointPort {
        name: Some(port.name.clone()).filter(|n| !n.is_empty()),
        protocol: Some(port.protocol.clone()),
        port: port.port,
        app_protocol: port.app_protocol.clone(),
    }
}

fn address(backend: &Backend) -> EndpointAddress {
    let pod = &backend.pod;
    EndpointAddress {
        hostname: backend.hostname.clone(),
        ip: backend.address.clone(),
        node_name: backend.node.clone(),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".into()),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        }),
    }
}
