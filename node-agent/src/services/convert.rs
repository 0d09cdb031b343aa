//! Service + EndpointSlices → what the proxy and DNS work with. Pure.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use k8s_openapi::api::{
    core::v1::{Service, ServicePort},
    discovery::v1::{Endpoint, EndpointSlice},
};
use skiff_netns_proxy::{self as proxy, Backend, Port, Protocol, dns::ServiceRecord};

/// The proxied service; `None` for headless and ExternalName services, which only DNS knows.
pub(super) fn service(name: &str, service: &Service, slices: &[&EndpointSlice]) -> Option<proxy::Service> {
    let spec = service.spec.as_ref()?;
    if spec.type_.as_deref() == Some("ExternalName") {
        return None;
    }
    let addresses = cluster_ips(service);
    if addresses.is_empty() {
        return None;
    }
    let affinity = (spec.session_affinity.as_deref() == Some("ClientIP")).then(|| {
        let seconds = spec
            .session_affinity_config
            .as_ref()
            .and_then(|config| config.client_ip.as_ref()?.timeout_seconds)
            .and_then(|seconds| u64::try_from(seconds).ok())
            .unwrap_or(10_800);
        Duration::from_secs(seconds)
    });
    let ports = spec.ports.iter().flatten().filter_map(|port| {
        Some(Port {
            name: port.name.clone().unwrap_or_default(),
            protocol: protocol(port.protocol.as_deref())?,
            port: u16::try_from(port.port).ok()?,
            node_port: port
                .node_port
                .and_then(|port| u16::try_from(port).ok())
                .filter(|port| *port != 0),
            backends: backends(port, slices),
        })
    });
    Some(proxy::Service {
        name: name.to_owned(),
        addresses,
        ports: ports.collect(),
        affinity,
        host_addresses: Vec::new(),
    })
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

/// The backends of a service port: a slice has the target port under the port's name.
fn backends(port: &ServicePort, slices: &[&EndpointSlice]) -> Vec<Backend> {
    let wanted = port.name.as_deref().unwrap_or_default();
    let mut found = BTreeSet::new();
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
            for address in &endpoint.addresses {
                if let Ok(ip) = address.parse::<IpAddr>() {
                    found.insert(Backend {
                        address: SocketAddr::new(ip, number),
                        terminating,
                    });
                }
            }
        }
    }
    found.into_iter().collect()
}

/// `Some(terminating)` for an endpoint that may get connections. Absent conditions mean ready.
/// Source: Kubernetes, "EndpointSlices", conditions.
fn usable(endpoint: &Endpoint) -> Option<bool> {
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    let ready = conditions.ready.unwrap_or(true);
    let serving = conditions.serving.unwrap_or(ready);
    let terminating = conditions.terminating.unwrap_or(false);
    match (ready, terminating) {
        (_, true) if serving => Some(true),
        (true, false) => Some(false),
        _ => None,
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

    #[test]
    fn only_endpoints_that_may_get_connections_are_backends() {
        let object: Service = parse(json!({
            "metadata": {"name": "s"},
            "spec": {"clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5"], "sessionAffinity": "ClientIP",
                "ports": [{"name": "web", "port": 80, "nodePort": 30080}, {"name": "other", "port": 81}]}
        }));
        let value = service("n/s", &object, &[&slice()]).expect("service");
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
        assert!(service("n/s", &object, &[&slice()]).is_none());
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
