//! The endpoints of a service, from its pods.

use std::sync::Arc;

use k8s_openapi::{
    api::core::v1::{Pod, Service, ServicePort},
    apimachinery::pkg::util::intstr::IntOrString,
};

use crate::machinery::{Object, pods};

/// One pod behind a service.
#[derive(Clone, Debug)]
pub struct Backend {
    /// The pod.
    pub pod: Arc<Pod>,
    /// `IPv4` or `IPv6`.
    pub family: &'static str,
    /// Its address of that family.
    pub address: String,
    /// Ports, with named ones resolved in this pod.
    pub ports: Vec<Port>,
    /// The pod is ready.
    pub serving: bool,
    /// The pod is being deleted.
    pub terminating: bool,
    /// New connections may go there.
    pub ready: bool,
    /// Node.
    pub node: Option<String>,
    /// Zone of the node.
    pub zone: Option<String>,
    /// Name within a headless service.
    pub hostname: Option<String>,
}

/// One port of a backend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// Name of the service port, maybe empty.
    pub name: String,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// Number.
    pub port: i32,
    /// Hint about the protocol above.
    pub app_protocol: Option<String>,
}

/// The backends of `service` in an order that does not change by itself. `zone`: of a node.
pub fn of(service: &Service, pods: &[Arc<Pod>], zone: &dyn Fn(&str) -> Option<String>) -> Vec<Backend> {
    let spec = service.spec.clone().unwrap_or_default();
    let publish_all = spec.publish_not_ready_addresses == Some(true);
    let mut backends = Vec::new();
    for family in families(service) {
        for pod in pods.iter().filter(|p| !pods::is_terminal(p)) {
            let Some(address) = address(pod, family) else {
                continue;
            };
            let serving = pods::is_ready(pod);
            let terminating = pod.is_terminating();
            let node = Some(pods::node_name(pod).to_owned()).filter(|n| !n.is_empty());
            backends.push(Backend {
                family,
                ports: spec
                    .ports
                    .iter()
                    .flatten()
                    .filter_map(|p| resolve(p, pod))
                    .collect(),
                serving,
                terminating,
                ready: publish_all || (serving && !terminating),
                zone: node.as_deref().and_then(zone),
                node,
                hostname: hostname(service, pod),
                address,
                pod: pod.clone(),
            });
        }
    }
    backends
}

/// The address families of a service.
pub fn families(service: &Service) -> Vec<&'static str> {
    let families = service.spec.iter().flat_map(|s| s.ip_families.iter().flatten());
    let known = families.filter_map(|f| ["IPv4", "IPv6"].into_iter().find(|k| k == f));
    let known: Vec<_> = known.collect();
    if known.is_empty() { vec!["IPv4"] } else { known }
}

/// Whether its addresses go straight to clients.
pub fn is_headless(service: &Service) -> bool {
    service.spec.as_ref().and_then(|s| s.cluster_ip.as_deref()) == Some("None")
}

/// Whether two states of a pod can give different endpoints.
pub fn differ(old: &Pod, new: &Pod) -> bool {
    let status = |p: &Pod| p.status.as_ref().map(|s| (s.pod_ip.clone(), s.pod_ips.clone()));
    old.uid() != new.uid()
        || old.labels() != new.labels()
        || old.is_terminating() != new.is_terminating()
        || pods::is_ready(old) != pods::is_ready(new)
        || pods::is_terminal(old) != pods::is_terminal(new)
        || pods::node_name(old) != pods::node_name(new)
        || status(old) != status(new)
}

fn address(pod: &Pod, family: &str) -> Option<String> {
    let status = pod.status.as_ref()?;
    let listed = status.pod_ips.iter().flatten().map(|p| &p.ip);
    let all = listed.chain(status.pod_ip.iter()).filter(|ip| !ip.is_empty());
    all.into_iter()
        .find(|ip| ip.contains(':') == (family == "IPv6"))
        .cloned()
}

fn hostname(service: &Service, pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    (spec.subdomain.as_deref() == Some(service.name()))
        .then(|| spec.hostname.clone())
        .flatten()
}

fn resolve(port: &ServicePort, pod: &Pod) -> Option<Port> {
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    let number = match &port.target_port {
        None | Some(IntOrString::Int(0)) => port.port,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(name)) => {
            let spec = pod.spec.as_ref()?;
            let sidecars = spec.init_containers.iter().flatten();
            let sidecars = sidecars.filter(|c| c.restart_policy.as_deref() == Some("Always"));
            let ports = spec
                .containers
                .iter()
                .chain(sidecars)
                .flat_map(|c| c.ports.iter().flatten());
            let named = |p: &&k8s_openapi::api::core::v1::ContainerPort| {
                p.name.as_deref() == Some(name.as_str()) && p.protocol.as_deref().unwrap_or("TCP") == protocol
            };
            ports.into_iter().find(named)?.container_port
        }
    };
    Some(Port {
        name: port.name.clone().unwrap_or_default(),
        protocol: protocol.to_owned(),
        port: number,
        app_protocol: port.app_protocol.clone(),
    })
}
