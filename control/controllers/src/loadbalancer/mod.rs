//! Load balancers without a provider: a service of type LoadBalancer is reached at the addresses of the nodes, whose
//! proxies listen there on the service's own ports.
//!
//! A service with a `loadBalancerClass` belongs to somebody else. With `externalTrafficPolicy: Local` only nodes that have
//! an endpoint are named.

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc};

use k8s_openapi::api::{
    core::v1::{LoadBalancerIngress, LoadBalancerStatus, Node, Service},
    discovery::v1::EndpointSlice,
};
use tokio_util::sync::CancellationToken;

use crate::machinery::{Client, Key, Object, Outcome, Queue, run_keyed};

/// Label of a slice: its service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Label of a node that load balancers leave out.
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// The controller.
pub struct Controller {
    client: Client,
    queue: Arc<Queue<Key>>,
}

impl Controller {
    /// Registers its listeners.
    pub fn new(client: Client) -> Self {
        let queue: Arc<Queue<Key>> = Arc::new(Queue::default());
        let caches = &client.caches;
        let q = queue.clone();
        caches.services.listen(move |_, new| {
            new.filter(|s| is_ours(s))
                .into_iter()
                .for_each(|s| q.add(s.key()));
        });
        let (q, weak) = (queue.clone(), Arc::downgrade(caches));
        caches.nodes.listen(move |old, new| {
            let changed = old.map(|n| addresses(n)) != new.map(|n| addresses(n));
            if let (true, Some(caches)) = (changed, weak.upgrade()) {
                let ours = caches.services.all().into_iter().filter(|s| is_ours(s));
                ours.for_each(|s| q.add(s.key()));
            }
        });
        let (q, weak) = (queue.clone(), Arc::downgrade(caches));
        caches.endpoint_slices.listen(move |old, new| {
            let Some(caches) = weak.upgrade() else { return };
            for slice in [old, new].into_iter().flatten() {
                let service = slice
                    .labels()
                    .get(SERVICE_NAME)
                    .and_then(|name| caches.services.get(slice.namespace(), name));
                if let Some(service) = service.filter(|s| is_ours(s) && is_local(s)) {
                    q.add(service.key());
                }
            }
        });
        Self { client, queue }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (queue, caches) = (self.queue.clone(), self.client.caches.clone());
        run_keyed(
            "loadbalancer",
            queue,
            4,
            || caches.services.keys(),
            stop,
            |key| self.reconcile(key),
        )
        .await;
    }

    async fn reconcile(&self, key: Key) -> Outcome {
        let caches = &self.client.caches;
        let Some(service) = caches.services.get_key(&key) else {
            return Ok(None);
        };
        if service.is_terminating() || !is_ours(&service) {
            return Ok(None);
        }
        let mut slices = caches.endpoint_slices.in_namespace(service.namespace());
        slices.retain(|s| {
            s.labels()
                .get(SERVICE_NAME)
                .is_some_and(|name| name == service.name())
        });
        let mut new = (*service).clone();
        let balancer = new
            .status
            .get_or_insert_default()
            .load_balancer
            .get_or_insert_default();
        let wanted = ingress(&service, &caches.nodes.all(), &slices);
        if same(balancer, &wanted) {
            return Ok(None);
        }
        balancer.ingress = Some(wanted);
        self.client.patch(&*service, &new, "status").await?;
        Ok(None)
    }
}

fn is_ours(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    spec.is_some_and(|s| s.type_.as_deref() == Some("LoadBalancer") && s.load_balancer_class.is_none())
}

/// Whether clients from outside only reach endpoints of the node they ask.
fn is_local(service: &Service) -> bool {
    service
        .spec
        .as_ref()
        .and_then(|s| s.external_traffic_policy.as_deref())
        == Some("Local")
}

/// Where a node is reached from outside; empty for one that is left out. External addresses go before internal ones.
fn addresses(node: &Node) -> Vec<&str> {
    let status = node.status.as_ref();
    let conditions = status.and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    let ready = conditions
        .iter()
        .any(|c| c.type_ == "Ready" && c.status == "True");
    if !ready || node.is_terminating() || node.labels().contains_key(EXCLUDED) {
        return Vec::new();
    }
    let listed = status.and_then(|s| s.addresses.as_deref()).unwrap_or_default();
    let of = |kind: &str| -> Vec<&str> {
        let wanted = listed.iter().filter(|a| a.type_ == kind);
        wanted.map(|a| a.address.as_str()).collect()
    };
    let external = of("ExternalIP");
    if external.is_empty() {
        of("InternalIP")
    } else {
        external
    }
}

/// The addresses a service is reached at, in an order that does not change by itself.
fn ingress(
    service: &Service,
    nodes: &[Arc<Node>],
    slices: &[Arc<EndpointSlice>],
) -> Vec<LoadBalancerIngress> {
    let endpoints = slices.iter().flat_map(|s| s.endpoints.iter().flatten());
    let ready = endpoints.filter(|e| e.conditions.as_ref().and_then(|c| c.ready).unwrap_or(true));
    let with_endpoint: BTreeSet<&str> = ready.filter_map(|e| e.node_name.as_deref()).collect();
    let local = is_local(service);
    let named = nodes
        .iter()
        .filter(|n| !local || with_endpoint.contains(n.name()));
    let all: BTreeSet<&str> = named.flat_map(|n| addresses(n)).collect();
    all.into_iter()
        .map(|ip| LoadBalancerIngress {
            ip: Some(ip.to_owned()),
            ip_mode: Some("VIP".into()),
            ..LoadBalancerIngress::default()
        })
        .collect()
}

fn same(balancer: &LoadBalancerStatus, wanted: &[LoadBalancerIngress]) -> bool {
    balancer.ingress.as_deref().unwrap_or_default() == wanted
}
