//! Fits backends into EndpointSlices, changing as few slices as possible.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use k8s_openapi::{
    api::{
        core::v1::{ObjectReference, Service},
        discovery::v1::{
            Endpoint, EndpointConditions, EndpointHints, EndpointPort, EndpointSlice, ForNode, ForZone,
        },
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::backends::{self, Backend, Port};
use crate::machinery::Object;

/// Label: the service of a slice.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Label: who keeps a slice.
pub const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// That is us.
pub const MANAGER: &str = "endpointslice-controller.k8s.io";
/// Label on the endpoints of headless services.
pub const HEADLESS: &str = "service.kubernetes.io/headless";
/// Most endpoints in one slice.
pub const MAX_ENDPOINTS: usize = 100;

/// What to write.
#[derive(Debug, Default)]
pub struct Plan {
    pub create: Vec<EndpointSlice>,
    pub update: Vec<(Arc<EndpointSlice>, EndpointSlice)>,
    pub delete: Vec<Arc<EndpointSlice>>,
}

type Group = (&'static str, Vec<Port>);

/// Plans. Endpoints stay in the slice they are in, new ones fill up slices that change anyway, then slices with room,
/// then new slices. A service without endpoints keeps one empty slice per family, so that watchers see "none".
pub fn plan(service: &Service, backends: &[Backend], existing: Vec<Arc<EndpointSlice>>) -> Plan {
    let mut groups: BTreeMap<Group, Vec<Endpoint>> = BTreeMap::new();
    for backend in backends {
        groups
            .entry((backend.family, backend.ports.clone()))
            .or_default()
            .push(endpoint(service, backend));
    }
    for family in backends::families(service) {
        if !groups.keys().any(|(f, _)| *f == family) {
            groups.insert((family, Vec::new()), Vec::new());
        }
    }

    let mut plan = Plan::default();
    let mut slices: BTreeMap<Group, Vec<Arc<EndpointSlice>>> = BTreeMap::new();
    let mut ours: Vec<_> = existing
        .into_iter()
        .filter(|s| s.labels().get(MANAGED_BY).is_some_and(|m| m == MANAGER))
        .collect();
    ours.sort_by_key(|s| s.key());
    for slice in ours {
        match group_of(&slice).filter(|g| groups.contains_key(g)) {
            Some(group) => slices.entry(group).or_default().push(slice),
            None => plan.delete.push(slice),
        }
    }
    for (group, endpoints) in groups {
        let existing = slices.remove(&group).unwrap_or_default();
        fit(service, &group, endpoints, existing, &mut plan);
    }
    plan
}

fn fit(
    service: &Service,
    group: &Group,
    endpoints: Vec<Endpoint>,
    existing: Vec<Arc<EndpointSlice>>,
    plan: &mut Plan,
) {
    let mut wanted: HashMap<String, Endpoint> = endpoints.into_iter().map(|e| (identity(&e), e)).collect();
    let mut kept: Vec<(Arc<EndpointSlice>, Vec<Endpoint>)> = Vec::new();
    for slice in existing {
        let present = slice
            .endpoints
            .iter()
            .flatten()
            .filter_map(|e| wanted.remove(&identity(e)));
        let present = present.collect();
        kept.push((slice, present));
    }
    let mut fresh: Vec<Endpoint> = wanted.into_values().collect();
    fresh.sort_by_key(identity);
    fresh.reverse();
    let changes = |(slice, present): &(Arc<EndpointSlice>, Vec<Endpoint>)| {
        slice.endpoints.as_deref().unwrap_or_default() != present.as_slice()
    };
    kept.sort_by_key(|k| !changes(k));
    for (_, present) in &mut kept {
        while present.len() < MAX_ENDPOINTS
            && let Some(endpoint) = fresh.pop()
        {
            present.push(endpoint);
        }
    }
    // One empty slice may stay, when it is all there is.
    let mut used = kept.iter().filter(|(_, present)| !present.is_empty()).count();
    for (slice, present) in kept {
        if present.is_empty() && (used > 0 || !fresh.is_empty()) {
            plan.delete.push(slice);
            continue;
        }
        if present.is_empty() {
            used += 1;
        }
        let mut new = slice_of(service, group, present);
        let metadata = std::mem::take(&mut new.metadata);
        new.metadata = slice.metadata.clone();
        new.metadata.labels = metadata.labels;
        new.metadata.owner_references = metadata.owner_references;
        if normal(&new) != normal(&slice) {
            plan.update.push((slice, new));
        }
    }
    if used == 0 && fresh.is_empty() {
        plan.create.push(slice_of(service, group, Vec::new()));
    }
    while !fresh.is_empty() {
        let rest = fresh.split_off(fresh.len().saturating_sub(MAX_ENDPOINTS));
        plan.create.push(slice_of(service, group, rest));
    }
}

/// Absent and empty lists are the same.
fn normal(slice: &EndpointSlice) -> EndpointSlice {
    let mut slice = slice.clone();
    slice.endpoints = slice.endpoints.filter(|e| !e.is_empty());
    slice.ports = slice.ports.filter(|p| !p.is_empty());
    slice
}

fn identity(endpoint: &Endpoint) -> String {
    let target = endpoint
        .target_ref
        .as_ref()
        .and_then(|t| t.uid.as_deref())
        .unwrap_or_default();
    format!("{target} {}", endpoint.addresses.join(","))
}

fn group_of(slice: &EndpointSlice) -> Option<Group> {
    let family = ["IPv4", "IPv6"].into_iter().find(|f| *f == slice.address_type)?;
    let port = |p: &EndpointPort| Port {
        name: p.name.clone().unwrap_or_default(),
        protocol: p.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
        port: p.port.unwrap_or_default(),
        app_protocol: p.app_protocol.clone(),
    };
    Some((family, slice.ports.iter().flatten().map(port).collect()))
}

fn slice_of(service: &Service, (family, ports): &Group, endpoints: Vec<Endpoint>) -> EndpointSlice {
    let mut labels = service.labels().clone();
    labels.insert(SERVICE_NAME.into(), service.name().into());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    labels.remove(HEADLESS);
    if backends::is_headless(service) {
        labels.insert(HEADLESS.into(), String::new());
    }
    let port = |p: &Port| EndpointPort {
        name: Some(p.name.clone()),
        protocol: Some(p.protocol.clone()),
        port: Some(p.port),
        app_protocol: p.app_protocol.clone(),
    };
    EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", service.name())),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels),
            owner_references: Some(vec![service.controller_reference()]),
            ..ObjectMeta::default()
        },
        address_type: (*family).to_owned(),
        endpoints: Some(endpoints),
        ports: Some(ports.iter().map(port).collect()),
    }
}

/// Who is to use an endpoint, by the service's `trafficDistribution`; nobody in particular unless it is ready.
///
/// Source: Kubernetes, "Service", traffic distribution; KEP-3015 (`PreferSameNode` falls back to the zone).
fn hints(service: &Service, backend: &Backend) -> Option<EndpointHints> {
    let wanted = service.spec.as_ref()?.traffic_distribution.as_deref()?;
    if !backend.ready {
        return None;
    }
    let zone = backend.zone.clone().map(|name| vec![ForZone { name }]);
    let node = backend.node.clone().map(|name| vec![ForNode { name }]);
    let hints = EndpointHints {
        for_zones: zone,
        for_nodes: node.filter(|_| wanted == "PreferSameNode"),
    };
    (hints != EndpointHints::default()).then_some(hints)
}

fn endpoint(service: &Service, backend: &Backend) -> Endpoint {
    let pod = &backend.pod;
    Endpoint {
        addresses: vec![backend.address.clone()],
        conditions: Some(EndpointConditions {
            ready: Some(backend.ready),
            serving: Some(backend.serving),
            terminating: Some(backend.terminating),
        }),
        hostname: backend.hostname.clone(),
        node_name: backend.node.clone(),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".into()),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        }),
        zone: backend.zone.clone(),
        hints: hints(service, backend),
        ..Endpoint::default()
    }
}
