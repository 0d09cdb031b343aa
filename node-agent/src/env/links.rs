//! Service links: the variables that tell a container where services are.
//! Source: Kubernetes, "Service", environment variables.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;

/// Variables for the services of the pod's namespace (`all` false: only the API server's), and always those of
/// `default/kubernetes`.
pub(crate) fn variables<'a>(
    services: impl Iterator<Item = &'a Service>,
    namespace: &str,
    all: bool,
) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut own = Vec::new();
    for service in services {
        let name = service.metadata.name.as_deref().unwrap_or_default();
        let in_namespace = service.metadata.namespace.as_deref().unwrap_or_default();
        if in_namespace == "default" && name == "kubernetes" {
            add(&mut variables, service);
        } else if all && in_namespace == namespace {
            own.push(service);
        }
    }
    for service in own {
        add(&mut variables, service);
    }
    variables
}

fn add(variables: &mut BTreeMap<String, String>, service: &Service) {
    let Some(spec) = &service.spec else { return };
    let ip = spec.cluster_ip.as_deref().unwrap_or_default();
    let ports = spec.ports.as_deref().unwrap_or_default();
    let Some(first) = ports.first() else { return };
    if ip.is_empty() || ip == "None" {
        return;
    }
    let name = upper(service.metadata.name.as_deref().unwrap_or_default());
    let host = if ip.contains(':') {
        format!("[{ip}]")
    } else {
        ip.to_owned()
    };
    variables.insert(format!("{name}_SERVICE_HOST"), ip.to_owned());
    variables.insert(format!("{name}_SERVICE_PORT"), first.port.to_string());
    for port in ports {
        if let Some(port_name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            variables.insert(
                format!("{name}_SERVICE_PORT_{}", upper(port_name)),
                port.port.to_string(),
            );
        }
    }
    for (index, port) in ports.iter().enumerate() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP").to_lowercase();
        let url = format!("{protocol}://{host}:{}", port.port);
        if index == 0 {
            variables.insert(format!("{name}_PORT"), url.clone());
        }
        let prefix = format!("{name}_PORT_{}_{}", port.port, protocol.to_uppercase());
        variables.insert(format!("{prefix}_PROTO"), protocol);
        variables.insert(format!("{prefix}_PORT"), port.port.to_string());
        variables.insert(format!("{prefix}_ADDR"), ip.to_owned());
        variables.insert(prefix, url);
    }
}

fn upper(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(namespace: &str, name: &str, ip: &str) -> Service {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"clusterIP": ip, "ports": [{"port": 6379, "name": "db", "protocol": "TCP"}]}
        }))
        .expect("service")
    }

    #[test]
    fn links_have_the_documented_names() {
        let services = [
            service("n", "redis-primary", "10.0.0.11"),
            service("n", "headless", "None"),
            service("m", "x", "10.0.0.9"),
        ];
        let variables = variables(services.iter(), "n", true);
        assert_eq!(variables["REDIS_PRIMARY_SERVICE_HOST"], "10.0.0.11");
        assert_eq!(variables["REDIS_PRIMARY_SERVICE_PORT"], "6379");
        assert_eq!(variables["REDIS_PRIMARY_SERVICE_PORT_DB"], "6379");
        assert_eq!(variables["REDIS_PRIMARY_PORT"], "tcp://10.0.0.11:6379");
        assert_eq!(variables["REDIS_PRIMARY_PORT_6379_TCP"], "tcp://10.0.0.11:6379");
        assert_eq!(variables["REDIS_PRIMARY_PORT_6379_TCP_ADDR"], "10.0.0.11");
        assert_eq!(variables["REDIS_PRIMARY_PORT_6379_TCP_PROTO"], "tcp");
        assert_eq!(variables.len(), 8);
    }

    #[test]
    fn the_api_server_is_linked_always() {
        let services = [
            service("default", "kubernetes", "10.0.0.1"),
            service("n", "a", "10.0.0.2"),
        ];
        let variables = variables(services.iter(), "n", false);
        assert_eq!(variables["KUBERNETES_SERVICE_HOST"], "10.0.0.1");
        assert!(!variables.contains_key("A_SERVICE_HOST"));
    }
}
