//! Services: watches Services and EndpointSlices of all namespaces and hands them to the proxy and to DNS as plain values.

mod announce;
mod convert;
mod health;
mod retry;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::StreamExt as _;
use k8s_openapi::api::{
    core::v1::{Node, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, ResourceExt as _,
    runtime::watcher::{self, Event},
};
use parking_lot::RwLock;
use serde_json::json;
use skiff_netns_proxy::{PortReport, Proxy, dns::Dns};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::{announce::Announcer, convert::Place, health::Healths, retry::Retries};
use crate::{agent::Agent, env::links, pod::model};

/// Label of a slice with the name of its service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Label of a node with its zone.
const ZONE: &str = "topology.kubernetes.io/zone";

/// Label of a node that load balancers leave out.
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// The services as last seen, for service links.
#[derive(Debug)]
pub(crate) struct Table {
    services: RwLock<BTreeMap<String, Arc<Service>>>,
    synced: watch::Sender<bool>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            services: RwLock::default(),
            synced: watch::Sender::new(false),
        }
    }
}

impl Table {
    /// Service links of a pod. Waits for the first list of services.
    pub async fn links(&self, pod: &Pod) -> BTreeMap<String, String> {
        let mut synced = self.synced.subscribe();
        let _ = synced.wait_for(|synced| *synced).await;
        let all = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.enable_service_links)
            .unwrap_or(true);
        let services = self.services.read();
        links::variables(services.values().map(AsRef::as_ref), model::namespace(pod), all)
    }
}

/// Where services go.
#[derive(Clone)]
pub(crate) struct Outputs {
    pub proxy: Arc<Proxy>,
    pub dns: Arc<Dns>,
}

/// Watches until the agent ends. Services are carried over once `outputs` is there. What is returned ends after `stop`, when this
/// node no longer answers for addresses that another one may have.
pub(crate) fn start(
    agent: Arc<Agent>,
    outputs: watch::Receiver<Option<Outputs>>,
    stop: CancellationToken,
) -> JoinHandle<()> {
    let (announcer, announcing) = Announcer::start(Arc::clone(&agent), stop);
    tokio::spawn(run(agent, outputs, announcer));
    announcing
}

/// Both kinds, as the watches have them.
#[derive(Default)]
struct Known {
    services: BTreeMap<String, Arc<Service>>,
    /// By service, then by slice name.
    slices: BTreeMap<String, BTreeMap<String, EndpointSlice>>,
    services_listed: bool,
    slices_listed: bool,
    /// Where this node is.
    place: Place,
}

/// What has been made of services.
struct Made {
    /// Names the proxy knows.
    proxied: BTreeSet<String>,
    healths: Healths,
    /// Services with ports nobody serves, which have been told so.
    warned: BTreeSet<String>,
    announcer: Announcer,
}

async fn run(agent: Arc<Agent>, mut outputs: watch::Receiver<Option<Outputs>>, announcer: Announcer) {
    let services: Api<Service> = Api::all(agent.client.clone());
    let slices: Api<EndpointSlice> = Api::all(agent.client.clone());
    let config = || watcher::Config::default();
    let mut services = std::pin::pin!(watcher::watcher(services, config()));
    let slice_config = config().labels(SERVICE_NAME);
    let mut slices = std::pin::pin!(watcher::watcher(slices, slice_config));
    let nodes: Api<Node> = Api::all(agent.client.clone());
    let own = config().fields(&format!("metadata.name={}", agent.config.node_name));
    let mut own = std::pin::pin!(watcher::watcher(nodes, own));
    let mut schedulable: Option<bool> = None;
    let mut known = Known::default();
    known.place.node.clone_from(&agent.config.node_name);
    known
        .place
        .node_port_addresses
        .clone_from(&agent.config.node_port_addresses);
    let mut listing_services: BTreeMap<String, Arc<Service>> = BTreeMap::new();
    let mut listing_slices: Vec<EndpointSlice> = Vec::new();
    let mut dirty: BTreeSet<String> = BTreeSet::new();
    let mut made = Made {
        proxied: BTreeSet::new(),
        healths: Healths::default(),
        warned: BTreeSet::new(),
        announcer,
    };
    let mut retries = Retries::default();
    let mut waiting = true;
    loop {
        let due = retries.next();
        tokio::select! {
            Some(event) = services.next() => match event {
                Ok(Event::Init) => listing_services.clear(),
                Ok(Event::InitApply(service)) => {
                    listing_services.insert(key(&service), Arc::new(service));
                }
                Ok(Event::InitDone) => {
                    dirty.extend(known.services.keys().cloned());
                    known.services = std::mem::take(&mut listing_services);
                    dirty.extend(known.services.keys().cloned());
                    known.services_listed = true;
                    agent.services.services.write().clone_from(&known.services);
                    agent.services.synced.send_replace(true);
                }
                Ok(Event::Apply(service)) => {
                    let key = key(&service);
                    let service = Arc::new(service);
                    agent.services.services.write().insert(key.clone(), Arc::clone(&service));
                    known.services.insert(key.clone(), service);
                    dirty.insert(key);
                }
                Ok(Event::Delete(service)) => {
                    let key = key(&service);
                    agent.services.services.write().remove(&key);
                    known.services.remove(&key);
                    dirty.insert(key);
                }
                Err(error) => {
                    warn!(%error, "watch services");
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            },
            Some(event) = slices.next() => match event {
                Ok(Event::Init) => listing_slices.clear(),
                Ok(Event::InitApply(slice)) => listing_slices.push(slice),
                Ok(Event::InitDone) => {
                    dirty.extend(known.slices.keys().cloned());
                    known.slices.clear();
                    for slice in std::mem::take(&mut listing_slices) {
                        dirty.insert(known.add(slice));
                    }
                    known.slices_listed = true;
                }
                Ok(Event::Apply(slice)) => {
                    dirty.insert(known.add(slice));
                }
                Ok(Event::Delete(slice)) => {
                    let owner = owner(&slice);
                    if let Some(slices) = known.slices.get_mut(&owner) {
                        slices.remove(&slice.name_any());
                    }
                    known.slices.retain(|_, slices| !slices.is_empty());
                    dirty.insert(owner);
                }
                Err(error) => {
                    warn!(%error, "watch endpoint slices");
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            },
            Some(event) = own.next() => match event {
                Ok(Event::Apply(node) | Event::InitApply(node)) => {
                    let zone = node.labels().get(ZONE).cloned();
                    let is_excluded = node.labels().contains_key(EXCLUDED);
                    if (&known.place.zone, known.place.is_excluded) != (&zone, is_excluded) {
                        known.place.zone = zone;
                        known.place.is_excluded = is_excluded;
                        dirty.extend(known.services.keys().cloned());
                    }
                    let is = !node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
                    // At the start nothing has changed.
                    if schedulable.replace(is).is_some_and(|before| before != is) {
                        crate::node::schedulable(&agent, &node, is);
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    warn!(%error, "watch this node");
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            },
            () = tokio::time::sleep_until(due.unwrap_or_else(tokio::time::Instant::now)), if due.is_some() => {
                dirty.extend(retries.due(tokio::time::Instant::now()));
            }
            changed = outputs.changed(), if waiting => waiting = changed.is_ok() && outputs.borrow().is_none(),
        }
        let ready = known.services_listed && known.slices_listed;
        let Some(outputs) = outputs.borrow_and_update().clone().filter(|_| ready) else {
            continue;
        };
        for name in std::mem::take(&mut dirty) {
            let listening = carry_over(&agent, &known, &name, &outputs, &mut made).await;
            retries.note(&name, listening, tokio::time::Instant::now());
        }
    }
}

/// Hands a service as it is now to the proxy and to DNS. False: one of its ports could not be listened on.
async fn carry_over(agent: &Agent, known: &Known, name: &str, outputs: &Outputs, made: &mut Made) -> bool {
    let service = known.services.get(name);
    let empty = BTreeMap::new();
    let slices: Vec<&EndpointSlice> = known.slices.get(name).unwrap_or(&empty).values().collect();
    let record = service.map(|service| convert::record(service, &slices));
    outputs.dns.set(name, record);
    let announced = service.and_then(|service| {
        let address = convert::announced(service, &slices, &known.place)?;
        Some((address, Arc::clone(service)))
    });
    made.announcer.set(name, announced);
    let proxied = service
        .map(|service| convert::service(name, service, &slices, &known.place))
        .unwrap_or_default();
    // What goes is closed first: an address may move from one of the two to the other.
    for name in convert::names(name) {
        if !proxied.services.iter().any(|service| service.name == name) && made.proxied.remove(&name) {
            outputs.proxy.remove(&name).await;
        }
    }
    let mut failures = Vec::new();
    for service in proxied.services {
        made.proxied.insert(service.name.clone());
        if let Err(error) = outputs.proxy.set(service).await {
            failures.push(crate::causes::chain(&error));
        }
    }
    if let Err((address, error)) = made.healths.set(name, proxied.health).await {
        failures.push(format!(
            "listen on {address} for health checks of service {name}: {error}"
        ));
    }
    let Some(service) = service else {
        made.warned.remove(name);
        return true;
    };
    if !convert::has_unserved_ports(service) {
        made.warned.remove(name);
    } else if made.warned.insert(name.to_owned()) {
        let message = "SCTP ports are not served: the proxy carries TCP and UDP".to_owned();
        agent
            .events
            .service(service, true, "UnsupportedProtocol", message);
    }
    for message in &failures {
        warn!(error = message, "a port of a service");
        agent
            .events
            .service(service, true, "FailedToListen", message.clone());
    }
    failures.is_empty()
}

impl Known {
    /// Adds or replaces a slice; returns its service.
    fn add(&mut self, slice: EndpointSlice) -> String {
        let owner = owner(&slice);
        self.slices
            .entry(owner.clone())
            .or_default()
            .insert(slice.name_any(), slice);
        owner
    }
}

/// What a port has done, as `skiff services` reads it. Times in microseconds.
pub(crate) fn report(port: &PortReport) -> serde_json::Value {
    let micros = |time: Option<Duration>| time.map(|time| time.as_micros() as u64);
    let backends = port.backends.iter().map(|backend| {
        json!({
            "address": backend.address, "connections": backend.connections, "inFlight": backend.in_flight,
            "failing": backend.failing,
        })
    });
    json!({
        "service": port.service, "port": port.port, "protocol": port.protocol, "connections": port.connections,
        "inFlight": port.in_flight, "failures": port.failures, "retries": port.retries, "received": port.received,
        "sent": port.sent, "connectP50": micros(port.connect_p50), "connectP99": micros(port.connect_p99),
        "backends": backends.collect::<Vec<_>>(),
    })
}

fn key(service: &Service) -> String {
    format!(
        "{}/{}",
        service.metadata.namespace.as_deref().unwrap_or("default"),
        service.name_any()
    )
}

fn owner(slice: &EndpointSlice) -> String {
    let name = slice.labels().get(SERVICE_NAME).cloned().unwrap_or_default();
    format!(
        "{}/{name}",
        slice.metadata.namespace.as_deref().unwrap_or("default")
    )
}
