//! Load balancers without a provider: a service of type LoadBalancer is reached at an address of its own from the
//! [`Pool`], which the agents see to, or, without a pool, at the addresses of the nodes. The nodes' proxies listen there on
//! the service's own ports.
//!
//! A service with a `loadBalancerClass` belongs to somebody else. Without a pool, `externalTrafficPolicy: Local` means that only
//! nodes that have an endpoint are named.

mod pool;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc};

use k8s_openapi::{
    api::{
        core::v1::{LoadBalancerIngress, Node, Service, ServiceStatus},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use tokio_util::sync::CancellationToken;

use crate::machinery::{Client, EventType, Key, Object, Outcome, Queue, run_keyed};
pub use pool::{Pool, Refusal};

/// Label of a slice: its service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Label of a node that load balancers leave out.
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
/// Condition of a service: it has an address of the pool, which agents may therefore answer for.
const FROM_POOL: &str = "skiff.dev/AddressFromPool";

/// The controller.
pub struct Controller {
    client: Client,
    queue: Arc<Queue<Key>>,
    pool: Option<Pool>,
}

impl Controller {
    /// Registers its listeners.
    pub fn new(client: Client, pool: Option<Pool>) -> Self {
        let queue: Arc<Queue<Key>> = Arc::new(Queue::default());
        let caches = &client.caches;
        let (q, weak) = (queue.clone(), Arc::downgrade(caches));
        let has_pool = pool.is_some();
        caches.services.listen(move |old, new| {
            let ours = |service: &&Arc<Service>| is_ours(service);
            new.filter(ours).into_iter().for_each(|s| q.add(s.key()));
            let address =
                |service: Option<&Arc<Service>>| service.filter(ours).and_then(|s| pool::address(s));
            let is_freed = address(old).is_some() && address(old) != address(new);
            if let (true, true, Some(caches)) = (has_pool, is_freed, weak.upgrade()) {
                let all = caches.services.all();
                let waiting = all.iter().filter(ours).filter(|s| pool::address(s).is_none());
                waiting.for_each(|s| q.add(s.key()));
            }
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
        Self { client, queue, pool }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (queue, caches) = (self.queue.clone(), self.client.caches.clone());
        run_keyed(
            "loadbalancer",
            queue,
            // One at a time: the next choice of an address sees the last one.
            1,
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
        let mut status = service.status.clone().unwrap_or_default();
        match &self.pool {
            Some(pool) => {
                let choice = pool.choose(&service, &caches.services.all());
                let condition = from_pool(&service, &choice, self.client.time());
                self.tell(&service, &status, &condition);
                set_ingress(&mut status, choice.ok().map(|ip| ip.to_string()).iter());
                set_condition(&mut status, Some(condition));
            }
            None => {
                let mut slices = caches.endpoint_slices.in_namespace(service.namespace());
                slices.retain(|s| {
                    s.labels()
                        .get(SERVICE_NAME)
                        .is_some_and(|name| name == service.name())
                });
                set_ingress(
                    &mut status,
                    addresses_of_nodes(&service, &caches.nodes.all(), &slices).iter(),
                );
                set_condition(&mut status, None);
            }
        }
        if service.status.as_ref() == Some(&status) {
            return Ok(None);
        }
        let mut new = (*service).clone();
        new.status = Some(status);
        self.client.patch(&*service, &new, "status").await?;
        Ok(None)
    }

    /// An event when a service gets its address, and when there is another reason than before that it can't have one.
    fn tell(&self, service: &Service, before: &ServiceStatus, now: &Condition) {
        let mut known = before.conditions.iter().flatten();
        if known.any(|known| {
            (&known.type_, &known.status, &known.message) == (&now.type_, &now.status, &now.message)
        }) {
            return;
        }
        let (kind, reason) = match now.status.as_str() {
            "True" => (EventType::Normal, "AddressAllocated"),
            _ => (EventType::Warning, "AddressNotAllocated"),
        };
        self.client.event(service, kind, reason, now.message.clone());
    }
}

/// What is said of the choice of an address, since `now` if that is another one than before.
fn from_pool(service: &Service, choice: &Result<std::net::Ipv4Addr, Refusal>, now: Time) -> Condition {
    let (status, reason, message) = match choice {
        Ok(address) => ("True", "Allocated", format!("address {address} is given")),
        Err(refusal) => ("False", refusal.reason(), refusal.to_string()),
    };
    let conditions = service.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let before = conditions
        .filter(|known| known.type_ == FROM_POOL && known.status == status)
        .map(|known| known.last_transition_time.clone())
        .next();
    Condition {
        type_: FROM_POOL.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: before.unwrap_or(now),
        observed_generation: None,
    }
}

/// Puts the condition in its place, or takes it away.
fn set_condition(status: &mut ServiceStatus, condition: Option<Condition>) {
    let mut conditions = status.conditions.take().unwrap_or_default();
    conditions.retain(|known| known.type_ != FROM_POOL);
    conditions.extend(condition);
    status.conditions = (!conditions.is_empty()).then_some(conditions);
}

/// Writes the addresses down, unless they are there already.
fn set_ingress<T: ToString>(status: &mut ServiceStatus, addresses: impl Iterator<Item = T>) {
    let wanted: Vec<LoadBalancerIngress> = addresses
        .map(|ip| LoadBalancerIngress {
            ip: Some(ip.to_string()),
            ip_mode: Some("VIP".into()),
            ..LoadBalancerIngress::default()
        })
        .collect();
    let balancer = status.load_balancer.get_or_insert_default();
    if balancer.ingress.as_deref().unwrap_or_default() != wanted {
        balancer.ingress = Some(wanted);
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

/// The addresses of nodes that a service is reached at, in an order that does not change by itself.
fn addresses_of_nodes(
    service: &Service,
    nodes: &[Arc<Node>],
    slices: &[Arc<EndpointSlice>],
) -> BTreeSet<String> {
    let endpoints = slices.iter().flat_map(|s| s.endpoints.iter().flatten());
    let ready = endpoints.filter(|e| e.conditions.as_ref().and_then(|c| c.ready).unwrap_or(true));
    let with_endpoint: BTreeSet<&str> = ready.filter_map(|e| e.node_name.as_deref()).collect();
    let local = is_local(service);
    let named = nodes
        .iter()
        .filter(|n| !local || with_endpoint.contains(n.name()));
    named.flat_map(|n| addresses(n)).map(str::to_owned).collect()
}
