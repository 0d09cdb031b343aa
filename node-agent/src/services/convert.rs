//! Service + EndpointSlices → what the proxy and DNS work with. Pure.
//!
//! A service whose clients inside and outside the cluster may use different endpoints (a traffic policy `Local` on one
//! side) is two services to the proxy. So is one with addresses of two families, each with the endpoints of its own; addresses
//! from outside lead to those of the first, and so do node ports but those of UDP, which each family has of its own.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use k8s_openapi::api::{
    core::v1::{Service, ServicePort},
    discovery::v1::{Endpoint, EndpointSlice},
};
use skiff_netns_proxy::{self as proxy, Backend, Port, Protocol, dns::ServiceRecord};

/// Where a node is, as traffic policies and hints see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Name of the node.
    pub node: String,
    /// Its zone, if it has one.
    pub zone: Option<String>,
    /// Addresses of the host that node ports listen on; empty: all.
    pub node_port_addresses: Vec<IpAddr>,
    /// It is left out of what load balancers use.
    pub is_excluded: bool,
}

/// What the proxy makes of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Proxied {
    /// None for headless and ExternalName services, which only DNS knows.
    pub services: Vec<proxy::Service>,
    /// Where a load balancer asks whether this node has endpoints: the port, and how many there are.
    pub health: Option<(u16, usize)>,
}

/// Condition of a service whose address is one of the cluster's pool.
const FROM_POOL: &str = "skiff.dev/AddressFromPool";

/// Added to the name of the service that clients from outside use, where that is another one.
const OUTSIDE: &str = ":external";

/// Added to the name of the service at addresses of the second family.
const SECOND: &str = ":second-family";

/// The names a service may have at the proxy.
pub(super) fn names(name: &str) -> [String; 3] {
    [
        name.to_owned(),
        format!("{name}{OUTSIDE}"),
        format!("{name}{SECOND}"),
    ]
}

/// The proxied service, seen from `place`.
pub(super) fn service(name: &str, service: &Service, slices: &[&EndpointSlice], place: &Place) -> Proxied {
    let Some(spec) = &service.spec else {
        return Proxied::default();
    };
    let addresses = cluster_ips(service);
    let Some(first) = addresses
        .first()
        .filter(|_| spec.type_.as_deref() != Some("ExternalName"))
    else {
        return Proxied::default();
    };
    let (addresses, second): (Vec<IpAddr>, Vec<IpAddr>) = addresses
        .iter()
        .partition(|address| address.is_ipv4() == first.is_ipv4());
    let affinity = (spec.session_affinity.as_deref() == Some("ClientIP")).then(|| {
        let seconds = spec
            .session_affinity_config
            .as_ref()
            .and_then(|config| config.client_ip.as_ref()?.timeout_seconds)
            .and_then(|seconds| u64::try_from(seconds).ok())
            .unwrap_or(10_800);
        Duration::from_secs(seconds)
    });
    let local = |policy: &Option<String>| policy.as_deref() == Some("Local");
    let reach = |local: bool| {
        if local {
            Reach::Node(place)
        } else {
            Reach::Cluster(place)
        }
    };
    let ports = |family: IpAddr, reach: Reach<'_>, outside: bool| -> Vec<Port> {
        let slices = of_family(slices, family);
        let ports = spec.ports.iter().flatten();
        ports
            .filter_map(|port| {
                Some(Port {
                    name: port.name.clone().unwrap_or_default(),
                    protocol: protocol(port.protocol.as_deref())?,
                    port: u16::try_from(port.port).ok()?,
                    node_port: port
                        .node_port
                        .and_then(|port| u16::try_from(port).ok())
                        .filter(|port| outside && *port != 0),
                    backends: backends(port, &slices, reach),
                })
            })
            .collect()
    };
    let inside_local = local(&spec.internal_traffic_policy);
    let outside_local = local(&spec.external_traffic_policy);
    let external = external_addresses(service);
    let together = inside_local == outside_local;
    let inside = proxy::Service {
        name: name.to_owned(),
        addresses,
        ports: ports(*first, reach(inside_local), together),
        affinity,
        host_addresses: place.node_port_addresses.clone(),
        external: if together { external.clone() } else { Vec::new() },
    };
    let mut services = vec![inside];
    let has_outside =
        !external.is_empty() || spec.ports.iter().flatten().any(|port| port.node_port.is_some());
    if !together && has_outside {
        services.push(proxy::Service {
            name: format!("{name}{OUTSIDE}"),
            addresses: Vec::new(),
            ports: ports(*first, reach(outside_local), true),
            affinity,
            host_addresses: place.node_port_addresses.clone(),
            external,
        });
    }
    if let Some(one) = second.first() {
        let mut ports = ports(*one, reach(inside_local), together);
        // Listeners for TCP take clients of both families, and those at given addresses are there already.
        let everywhere = place.node_port_addresses.is_empty();
        let served = ports
            .iter_mut()
            .filter(|port| port.protocol == Protocol::Tcp || !everywhere);
        served.for_each(|port| port.node_port = None);
        services.push(proxy::Service {
            name: format!("{name}{SECOND}"),
            ports,
            addresses: second,
            affinity,
            host_addresses: Vec::new(),
            external: Vec::new(),
        });
    }
    let health = spec
        .health_check_node_port
        .and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port != 0 && outside_local)
        .map(|port| (port, local_endpoints(&of_family(slices, *first), place)));
    Proxied { services, health }
}

/// Addresses from outside: external IPs, and those of the load balancer that are not handled elsewhere.
fn external_addresses(service: &Service) -> Vec<IpAddr> {
    let spec = service.spec.iter();
    let declared = spec.flat_map(|spec| spec.external_ips.iter().flatten());
    let ingress = service
        .status
        .iter()
        .filter_map(|status| status.load_balancer.as_ref())
        .flat_map(|balancer| balancer.ingress.iter().flatten())
        // "Proxy": the load balancer sends to node ports, and answers for its address itself.
        .filter(|ingress| ingress.ip_mode.as_deref() != Some("Proxy"))
        .filter_map(|ingress| ingress.ip.as_ref());
    let mut seen = BTreeSet::new();
    declared
        .chain(ingress)
        .filter_map(|ip| ip.parse().ok())
        .filter(|ip| seen.insert(*ip))
        .collect()
}

/// The address from the cluster's pool that nodes with endpoints for its clients answer for, if this is one of them.
pub(super) fn announced(service: &Service, slices: &[&EndpointSlice], place: &Place) -> Option<Ipv4Addr> {
    let status = service.status.as_ref()?;
    // Only controllers write the status: nobody else has addresses answered for.
    let mut conditions = status.conditions.iter().flatten();
    let is_from_pool = conditions.any(|known| known.type_ == FROM_POOL && known.status == "True");
    let spec = service.spec.as_ref()?;
    let is_local = spec.external_traffic_policy.as_deref() == Some("Local");
    let is_fit = !place.is_excluded && (!is_local || local_endpoints(slices, place) > 0);
    let ingress = status.load_balancer.as_ref()?.ingress.as_ref()?.first()?;
    (is_from_pool && is_fit).then(|| ingress.ip.as_ref()?.parse().ok())?
}

/// Whether it has ports of a protocol that nobody serves (SCTP).
pub(super) fn has_unserved_ports(service: &Service) -> bool {
    let spec = service.spec.iter();
    let mut ports = spec.flat_map(|spec| spec.ports.iter().flatten());
    ports.any(|port| protocol(port.protocol.as_deref()).is_none())
}

fn protocol(text: Option<&str>) -> Option<Protocol> {
    match text.unwrap_or("TCP") {
        "TCP" => Some(Protocol::Tcp),
        "UDP" => Some(Protocol::Udp),
        _ => None,
    }
}

fn cluster_ips(service: &Service) -> Vec<IpAddr> {
    let Some(spec) = &service.spec else {
        return Vec::new();
    };
    let listed = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip);
    let mut seen = BTreeSet::new();
    listed
        .filter_map(|ip| ip.parse().ok())
        .filter(|ip| seen.insert(*ip))
        .collect()
}

/// The slices of the family of `address`; all of them if there is none: the proxy speaks both, and servers of the cluster may
/// have addresses of the other family only.
fn of_family<'s>(slices: &[&'s EndpointSlice], address: IpAddr) -> Vec<&'s EndpointSlice> {
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    let own: Vec<_> = slices
        .iter()
        .copied()
        .filter(|slice| slice.address_type == family)
        .collect();
    if own.is_empty() { slices.to_vec() } else { own }
}

/// Which endpoints count.
#[derive(Clone, Copy)]
enum Reach<'a> {
    /// All, preferring those that hints give to this place.
    Cluster(&'a Place),
    /// Those on this node: traffic policy `Local`.
    Node(&'a Place),
}

/// What may get connections at an address.
struct Candidate<'a> {
    backend: Backend,
    endpoint: &'a Endpoint,
}

/// The backends of a service port: a slice has the target port under the port's name.
fn backends(port: &ServicePort, slices: &[&EndpointSlice], reach: Reach<'_>) -> Vec<Backend> {
    let wanted = port.name.as_deref().unwrap_or_default();
    let mut found: Vec<Candidate<'_>> = Vec::new();
    for slice in slices {
        let number = slice.ports.iter().flatten().find(|candidate| {
            candidate.name.as_deref().unwrap_or_default() == wanted
                && candidate.protocol.as_deref().unwrap_or("TCP") == port.protocol.as_deref().unwrap_or("TCP")
        });
        let Some(number) = number
            .and_then(|port| port.port)
            .and_then(|port| u16::try_from(port).ok())
        else {
            continue;
        };
        for endpoint in slice.endpoints.iter().flatten() {
            let Some(terminating) = usable(endpoint) else {
                continue;
            };
            let addresses = endpoint
                .addresses
                .iter()
                .filter_map(|address| address.parse::<IpAddr>().ok())
                .filter(|ip| !is_own_host(*ip));
            found.extend(addresses.map(|ip| Candidate {
                backend: Backend {
                    address: SocketAddr::new(ip, number),
                    terminating,
                },
                endpoint,
            }));
        }
    }
    match reach {
        Reach::Node(place) => found.retain(|candidate| is_on(candidate.endpoint, place)),
        Reach::Cluster(place) => prefer_hinted(&mut found, place),
    }
    let backends: BTreeSet<Backend> = found.into_iter().map(|candidate| candidate.backend).collect();
    backends.into_iter().collect()
}

/// Whether an endpoint is meant for us; none when it says nothing of that.
type Hint<'a> = &'a dyn Fn(&Endpoint) -> Option<bool>;

/// Keeps only the endpoints that the EndpointSlice controller wants used from here, if every ready one has such a hint and
/// one of them is ours; node hints go before zone hints. Source: Kubernetes, "Topology aware routing", safeguards.
fn prefer_hinted(candidates: &mut Vec<Candidate<'_>>, place: &Place) {
    fn ready<'a, 'b>(candidates: &'b [Candidate<'a>]) -> impl Iterator<Item = &'a Endpoint> + 'b {
        let ready = candidates
            .iter()
            .filter(|candidate| !candidate.backend.terminating);
        ready.map(|candidate| candidate.endpoint)
    }
    let on_node = |endpoint: &Endpoint| -> Option<bool> {
        let nodes = endpoint
            .hints
            .as_ref()?
            .for_nodes
            .as_ref()
            .filter(|nodes| !nodes.is_empty())?;
        Some(nodes.iter().any(|node| node.name == place.node))
    };
    let in_zone = |endpoint: &Endpoint| -> Option<bool> {
        let zones = endpoint
            .hints
            .as_ref()?
            .for_zones
            .as_ref()
            .filter(|zones| !zones.is_empty())?;
        Some(zones.iter().any(|zone| Some(&zone.name) == place.zone.as_ref()))
    };
    for hint in [&on_node as Hint<'_>, &in_zone] {
        let all_hinted = ready(candidates).all(|endpoint| hint(endpoint).is_some());
        if all_hinted && ready(candidates).any(|endpoint| hint(endpoint) == Some(true)) {
            candidates.retain(|candidate| hint(candidate.endpoint) == Some(true));
            return;
        }
    }
}

/// Whether an address leads to whoever uses it. Connections to what is no pod are made from the host: a slice that anybody may write
/// must not open its loopback to pods.
fn is_own_host(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_loopback() || ip.is_unspecified()
}

fn is_on(endpoint: &Endpoint, place: &Place) -> bool {
    endpoint.node_name.as_deref() == Some(&place.node)
}

/// Ready endpoints on this node.
fn local_endpoints(slices: &[&EndpointSlice], place: &Place) -> usize {
    let all = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    let local: BTreeSet<&String> = all
        .filter(|endpoint| is_on(endpoint, place) && usable(endpoint) == Some(false))
        .flat_map(|endpoint| endpoint.addresses.first())
        .collect();
    local.len()
}

/// `Some(terminating)` for an endpoint that may get connections. Absent conditions mean ready; one that is published though
/// it is not ready counts as ready, whatever becomes of it. Source: Kubernetes, "EndpointSlices", conditions.
fn usable(endpoint: &Endpoint) -> Option<bool> {
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    let ready = conditions.ready.unwrap_or(true);
    let serving = conditions.serving.unwrap_or(ready);
    let terminating = conditions.terminating.unwrap_or(false);
    match (ready, serving && terminating) {
        (true, _) => Some(false),
        (false, true) => Some(true),
        (false, false) => None,
    }
}

/// The DNS record of a service.
pub(super) fn record(service: &Service, slices: &[&EndpointSlice]) -> ServiceRecord {
    let spec = service.spec.clone().unwrap_or_default();
    if spec.type_.as_deref() == Some("ExternalName") {
        return ServiceRecord {
            external_name: spec.external_name,
            ..ServiceRecord::default()
        };
    }
    let addresses = cluster_ips(service);
    let headless = addresses.is_empty();
    let unready = spec.publish_not_ready_addresses.unwrap_or(false);
    let mut endpoints: Vec<(Option<String>, IpAddr)> = Vec::new();
    let mut ports: Vec<(String, Protocol, u16)> = Vec::new();
    if headless {
        for slice in slices {
            for port in slice.ports.iter().flatten() {
                let entry = (
                    port.name.clone().unwrap_or_default(),
                    protocol(port.protocol.as_deref()),
                    port.port.and_then(|port| u16::try_from(port).ok()),
                );
                if let (name, Some(protocol), Some(number)) = entry
                    && !ports.contains(&(name.clone(), protocol, number))
                {
                    ports.push((name, protocol, number));
                }
            }
            for endpoint in slice.endpoints.iter().flatten() {
                let ready = endpoint
                    .conditions
                    .as_ref()
                    .and_then(|conditions| conditions.ready)
                    .unwrap_or(true);
                if !ready && !unready {
                    continue;
                }
                for address in &endpoint.addresses {
                    if let Ok(ip) = address.parse() {
                        let entry = (endpoint.hostname.clone().filter(|name| !name.is_empty()), ip);
                        if !endpoints.contains(&entry) {
                            endpoints.push(entry);
                        }
                    }
                }
            }
        }
    } else {
        ports = spec
            .ports
            .iter()
            .flatten()
            .filter_map(|port| {
                let number = u16::try_from(port.port).ok()?;
                Some((
                    port.name.clone().unwrap_or_default(),
                    protocol(port.protocol.as_deref())?,
                    number,
                ))
            })
            .collect();
    }
    ServiceRecord {
        addresses,
        external_name: None,
        endpoints,
        ports,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
        serde_json::from_value(value).expect("object")
    }

    fn slice() -> EndpointSlice {
        parse(json!({
            "addressType": "IPv4",
            "ports": [{"name": "web", "port": 8080, "protocol": "TCP"}],
            "endpoints": [
                {"addresses": ["10.1.0.1"], "conditions": {"ready": true}},
                {"addresses": ["10.1.0.2"], "conditions": {"ready": false}},
                {"addresses": ["10.1.0.3"], "conditions": {"ready": false, "serving": true, "terminating": true}},
                {"addresses": ["10.1.0.4"], "hostname": "web-0"}
            ]
        }))
    }

    fn only(proxied: Proxied) -> proxy::Service {
        let [service] = proxied.services.try_into().expect("one service");
        service
    }

    /// The last numbers of the addresses of a port's backends.
    fn backends_of(service: &proxy::Service) -> Vec<u8> {
        let last = |backend: &Backend| match backend.address.ip() {
            IpAddr::V4(ip) => ip.octets()[3],
            IpAddr::V6(_) => 0,
        };
        service.ports[0].backends.iter().map(last).collect()
    }

    fn here() -> Place {
        Place {
            node: "here".into(),
            zone: Some("east".into()),
            node_port_addresses: Vec::new(),
            is_excluded: false,
        }
    }

    #[test]
    fn addresses_of_two_families_lead_to_the_endpoints_of_their_own() {
        let object: Service = parse(json!({"spec": {
            "type": "NodePort", "clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5", "fd00:96::5"],
            "ports": [{"name": "web", "port": 80, "nodePort": 30080},
                {"name": "dns", "port": 53, "nodePort": 30053, "protocol": "UDP"}]}}));
        let second: EndpointSlice = parse(json!({
            "addressType": "IPv6", "ports": [{"name": "web", "port": 8080}],
            "endpoints": [{"addresses": ["fd00:1::1"]}]}));
        let proxied = service("n/s", &object, &[&slice(), &second], &here());
        let [first, second] = &proxied.services[..] else {
            panic!("{proxied:?}")
        };
        assert_eq!(first.addresses, ["10.96.0.5".parse::<IpAddr>().expect("address")]);
        assert!(
            first.ports[0]
                .backends
                .iter()
                .all(|backend| backend.address.is_ipv4())
        );
        assert_eq!(first.ports[0].node_port, Some(30080));
        assert!(names("n/s").contains(&second.name));
        assert_eq!(
            second.addresses,
            ["fd00:96::5".parse::<IpAddr>().expect("address")]
        );
        let backends: Vec<String> = second.ports[0]
            .backends
            .iter()
            .map(|b| b.address.to_string())
            .collect();
        assert_eq!(backends, ["[fd00:1::1]:8080"]);
        let node_ports: Vec<_> = second.ports.iter().map(|port| port.node_port).collect();
        assert_eq!(
            node_ports,
            [None, Some(30053)],
            "TCP is listened for by the first"
        );
    }

    #[test]
    fn an_address_of_the_pool_is_announced_where_clients_from_outside_find_endpoints() {
        let object = |policy: &str, from_pool: &str| -> Service {
            parse(json!({
                "spec": {"type": "LoadBalancer", "externalTrafficPolicy": policy},
                "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]},
                    "conditions": [{"type": FROM_POOL, "status": from_pool, "reason": "R", "message": "",
                        "lastTransitionTime": "2026-01-01T00:00:00Z"}]}
            }))
        };
        let slice: EndpointSlice = parse(json!({"addressType": "IPv4", "endpoints": [
            {"addresses": ["10.1.0.1"], "nodeName": "here"}
        ]}));
        let there = Place {
            node: "there".into(),
            ..here()
        };
        let excluded = Place {
            is_excluded: true,
            ..here()
        };
        let address = Some(Ipv4Addr::new(192, 0, 2, 1));
        let cluster = object("Cluster", "True");
        assert_eq!(announced(&cluster, &[&slice], &there), address);
        assert_eq!(announced(&cluster, &[&slice], &excluded), None);
        let local = object("Local", "True");
        assert_eq!(announced(&local, &[&slice], &here()), address);
        assert_eq!(announced(&local, &[&slice], &there), None);
        assert_eq!(announced(&object("Cluster", "False"), &[&slice], &here()), None);
    }

    #[test]
    fn a_policy_of_local_keeps_to_the_endpoints_of_this_node_on_its_side_only() {
        let object: Service = parse(json!({
            "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.5", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30100,
                "externalIPs": ["192.0.2.7"], "ports": [{"name": "web", "port": 80, "nodePort": 30080}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2", "ipMode": "Proxy"}]}}
        }));
        let slice: EndpointSlice = parse(json!({
            "addressType": "IPv4", "ports": [{"name": "web", "port": 8080}],
            "endpoints": [
                {"addresses": ["10.1.0.1"], "nodeName": "here"},
                {"addresses": ["10.1.0.2"], "nodeName": "there"},
                {"addresses": ["10.1.0.3"], "nodeName": "here", "conditions": {"ready": false}}
            ]
        }));
        let proxied = service("n/s", &object, &[&slice], &here());
        assert_eq!(proxied.health, Some((30100, 1)));
        let [inside, outside] = &proxied.services[..] else {
            panic!("{proxied:?}")
        };
        assert_eq!(
            (backends_of(inside), inside.ports[0].node_port),
            (vec![1, 2], None)
        );
        assert!(inside.external.is_empty());
        assert_eq!(
            (backends_of(outside), outside.ports[0].node_port),
            (vec![1], Some(30080))
        );
        assert_eq!(
            outside.external,
            ["192.0.2.7", "192.0.2.1"].map(|ip| ip.parse::<IpAddr>().expect("address"))
        );
        assert!(names("n/s").contains(&outside.name) && outside.addresses.is_empty());

        let mut both = object.clone();
        both.spec.as_mut().expect("spec").internal_traffic_policy = Some("Local".into());
        assert_eq!(backends_of(&only(service("n/s", &both, &[&slice], &here()))), [1]);
        let nobody = Place {
            node: "elsewhere".into(),
            ..here()
        };
        let proxied = service("n/s", &object, &[&slice], &nobody);
        assert_eq!(proxied.health, Some((30100, 0)));
        assert!(proxied.services[1].ports[0].backends.is_empty());
    }

    #[test]
    fn hints_are_followed_when_every_ready_endpoint_has_one_and_one_is_ours() {
        let object: Service = parse(json!({"spec": {"clusterIP": "10.96.0.5", "ports": [{"port": 80}]}}));
        let of = |endpoints: serde_json::Value| {
            let slice: EndpointSlice =
                parse(json!({"addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": endpoints}));
            backends_of(&only(service("n/s", &object, &[&slice], &here())))
        };
        let zone = |last: u8, zone: &str| json!({"addresses": [format!("10.1.0.{last}")], "hints": {"forZones": [{"name": zone}]}});
        assert_eq!(of(json!([zone(1, "east"), zone(2, "west")])), [1]);
        assert_eq!(
            of(json!([zone(1, "north"), zone(2, "west")])),
            [1, 2],
            "none is ours"
        );
        assert_eq!(
            of(json!([zone(1, "east"), {"addresses": ["10.1.0.2"]}])),
            [1, 2],
            "one has no hint"
        );
        let node = |last: u8, node: &str| {
            json!({"addresses": [format!("10.1.0.{last}")],
                "hints": {"forZones": [{"name": "east"}], "forNodes": [{"name": node}]}})
        };
        assert_eq!(of(json!([node(1, "here"), node(2, "there")])), [1]);
        assert_eq!(
            of(json!([node(1, "there"), node(2, "there")])),
            [1, 2],
            "the zone then"
        );
    }

    #[test]
    fn the_hosts_loopback_is_no_backend_however_it_is_written() {
        let object: Service = parse(json!({"spec": {"clusterIP": "10.96.0.5", "ports": [{"port": 80}]}}));
        let slice: EndpointSlice = parse(
            json!({"addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": [
                {"addresses": ["127.0.0.1"]}, {"addresses": ["127.8.8.8"]}, {"addresses": ["0.0.0.0"]}, {"addresses": ["::1"]},
                {"addresses": ["::ffff:127.0.0.1"]}, {"addresses": ["10.1.0.9"]}
            ]}),
        );
        assert_eq!(
            backends_of(&only(service("n/s", &object, &[&slice], &here()))),
            [9]
        );
    }

    #[test]
    fn published_endpoints_that_are_not_ready_count_as_ready() {
        let endpoint: Endpoint = parse(json!({"addresses": ["10.1.0.1"],
            "conditions": {"ready": true, "serving": false, "terminating": true}}));
        assert_eq!(usable(&endpoint), Some(false));
    }

    #[test]
    fn only_endpoints_that_may_get_connections_are_backends() {
        let object: Service = parse(json!({
            "metadata": {"name": "s"},
            "spec": {"clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5"], "sessionAffinity": "ClientIP",
                "ports": [{"name": "web", "port": 80, "nodePort": 30080}, {"name": "other", "port": 81}]}
        }));
        let value = only(service("n/s", &object, &[&slice()], &Place::default()));
        assert_eq!(value.addresses.len(), 1);
        assert_eq!(value.affinity, Some(Duration::from_secs(10_800)));
        assert_eq!(value.ports[0].node_port, Some(30080));
        let backend = |text: &str, terminating| Backend {
            address: text.parse().expect("address"),
            terminating,
        };
        assert_eq!(
            value.ports[0].backends,
            vec![
                backend("10.1.0.1:8080", false),
                backend("10.1.0.3:8080", true),
                backend("10.1.0.4:8080", false)
            ]
        );
        assert!(value.ports[1].backends.is_empty());
    }

    #[test]
    fn a_headless_service_is_only_in_dns() {
        let object: Service = parse(json!({"spec": {"clusterIP": "None", "ports": [{"port": 80}]}}));
        assert_eq!(
            service("n/s", &object, &[&slice()], &Place::default()),
            Proxied::default()
        );
        let record = record(&object, &[&slice()]);
        assert_eq!(record.endpoints.len(), 2);
        assert_eq!(record.endpoints[1].0.as_deref(), Some("web-0"));
        assert_eq!(record.ports, vec![("web".into(), Protocol::Tcp, 8080)]);
    }

    #[test]
    fn an_external_name_is_an_alias() {
        let object: Service = parse(json!({"spec": {"type": "ExternalName", "externalName": "db.test"}}));
        assert_eq!(record(&object, &[]).external_name.as_deref(), Some("db.test"));
    }
}
