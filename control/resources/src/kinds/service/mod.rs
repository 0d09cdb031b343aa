//! Service.

mod validate;

use serde_json::{Value, json};

use crate::{
    Column, FieldError, Part, Strategy, meta,
    print::{self, AGE, NAME, column, wide},
    value::{
        carry, get, get_mut, has, int, list, list_mut, remove, set, set_default, set_default_int,
        set_default_text, text,
    },
};

pub(crate) struct Service;

impl Strategy for Service {
    fn default(&self, object: &mut Value) {
        if let Some(spec) = get_mut(object, "spec") {
            defaults(spec);
        }
        for ingress in list_mut(object, "status.loadBalancer.ingress") {
            if !text(ingress, "ip").is_empty() {
                set_default(ingress, "ipMode", "VIP");
            }
        }
    }

    fn prepare_create(&self, object: &mut Value) {
        set(object, "status", json!({"loadBalancer": {}}));
        addresses(object);
        meta::without_generation(object);
    }

    fn prepare_update(&self, part: Part, new: &mut Value, old: &Value) {
        meta::separate_status(part, new, old);
        if part == Part::Main {
            keep_allocated(new, old);
            drop_outlived(new, old);
            addresses(new);
        }
        meta::keep_generation(new, old);
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        validate::service(object).into_vec()
    }

    fn validate_update(&self, part: Part, new: &Value, old: &Value) -> Vec<FieldError> {
        validate::update(part, new, old).into_vec()
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        let ports = list(object, "spec.ports").iter().enumerate();
        let sctp = ports.filter(|(_, port)| text(port, "protocol") == "SCTP");
        sctp.map(|(i, _)| {
            format!("spec.ports[{i}].protocol: SCTP is not served: the proxy carries TCP and UDP")
        })
        .collect()
    }

    fn field(&self, object: &Value, path: &str) -> Option<String> {
        matches!(path, "spec.clusterIP" | "spec.type").then(|| text(object, path).to_owned())
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Type", "string", "How the service is reached."),
            column("Cluster-IP", "string", "Address inside the cluster."),
            column("External-IP", "string", "Addresses outside the cluster."),
            column("Port(s)", "string", "Ports, with their node ports."),
            AGE,
            wide("Selector", "string", "Selects the pods behind it."),
        ];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        let cluster_ip = list(object, "spec.clusterIPs")
            .first()
            .and_then(Value::as_str)
            .unwrap_or_else(|| match text(object, "spec.clusterIP") {
                "" => "<none>",
                address => address,
            });
        vec![
            print::name(object),
            text(object, "spec.type").into(),
            cluster_ip.into(),
            external_ip(object).into(),
            ports(object).into(),
            print::age(object, now),
            print::labels(get(object, "spec.selector")).into(),
        ]
    }
}

fn defaults(spec: &mut Value) {
    set_default_text(spec, "type", "ClusterIP");
    set_default_text(spec, "sessionAffinity", "None");
    match text(spec, "sessionAffinity") {
        "None" => {
            remove(spec, "sessionAffinityConfig");
        }
        "ClientIP" if !has(spec, "sessionAffinityConfig.clientIP.timeoutSeconds") => {
            set(spec, "sessionAffinityConfig.clientIP.timeoutSeconds", 10800);
        }
        _ => {}
    }
    for port in list_mut(spec, "ports") {
        set_default_text(port, "protocol", "TCP");
        let target = get(port, "targetPort");
        if target.is_none_or(|t| t.as_i64() == Some(0) || t.as_str() == Some("")) {
            let number = int(port, "port").unwrap_or_default();
            set(port, "targetPort", number);
        }
    }
    let kind = text(spec, "type").to_owned();
    if kind == "ExternalName" {
        return;
    }
    set_default(spec, "internalTrafficPolicy", "Cluster");
    let external =
        matches!(kind.as_str(), "NodePort" | "LoadBalancer") || !list(spec, "externalIPs").is_empty();
    if external {
        set_default_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        set_default(spec, "allocateLoadBalancerNodePorts", true);
    }
}

/// One cluster address and the list tell the same. Which families there are is known to whoever gives the addresses out.
fn addresses(object: &mut Value) {
    if !needs_cluster_ip(object) {
        return;
    }
    let Some(spec) = get_mut(object, "spec") else {
        return;
    };
    let address = text(spec, "clusterIP").to_owned();
    if !address.is_empty() && list(spec, "clusterIPs").is_empty() {
        set(spec, "clusterIPs", vec![address]);
    } else if address.is_empty()
        && let Some(first) = list(spec, "clusterIPs").first().cloned()
    {
        set(spec, "clusterIP", first);
    }
}

fn needs_cluster_ip(object: &Value) -> bool {
    text(object, "spec.type") != "ExternalName"
}

fn needs_node_ports(object: &Value) -> bool {
    match text(object, "spec.type") {
        "NodePort" => true,
        "LoadBalancer" => {
            get(object, "spec.allocateLoadBalancerNodePorts").is_none_or(|v| v == &Value::Bool(true))
        }
        _ => false,
    }
}

fn needs_health_port(object: &Value) -> bool {
    text(object, "spec.type") == "LoadBalancer" && text(object, "spec.externalTrafficPolicy") == "Local"
}

/// Whether clients outside the cluster reach it.
fn external(object: &Value) -> bool {
    matches!(text(object, "spec.type"), "NodePort" | "LoadBalancer")
        || text(object, "spec.type") == "ClusterIP" && !list(object, "spec.externalIPs").is_empty()
}

/// A client that sends the service without the values the server chose keeps them.
fn keep_allocated(new: &mut Value, old: &Value) {
    if needs_cluster_ip(new) && needs_cluster_ip(old) {
        let single = text(new, "spec.clusterIP");
        let is_as_before = single.is_empty() || single == text(old, "spec.clusterIP");
        if is_as_before && list(new, "spec.clusterIPs").is_empty() {
            carry("spec.clusterIP", old, new);
            carry("spec.clusterIPs", old, new);
        }
        // A client that knows the single field only: the list follows it, and validation says what is wrong.
        let single = text(new, "spec.clusterIP").to_owned();
        if single != text(old, "spec.clusterIP")
            && get(new, "spec.clusterIPs") == get(old, "spec.clusterIPs")
            && let Some(first) = list_mut(new, "spec.clusterIPs").first_mut()
        {
            *first = single.into();
        }
        for field in ["spec.ipFamilies", "spec.ipFamilyPolicy"] {
            if !has(new, field) {
                carry(field, old, new);
            }
        }
    }
    if needs_node_ports(new) && needs_node_ports(old) {
        let key = |port: &Value| (text(port, "protocol").to_owned(), int(port, "port"));
        let taken: Vec<i64> = list(new, "spec.ports")
            .iter()
            .filter_map(|p| int(p, "nodePort"))
            .collect();
        for port in list_mut(new, "spec.ports") {
            let before = list(old, "spec.ports").iter().find(|p| key(p) == key(port));
            if let Some(number) = before.and_then(|p| int(p, "nodePort"))
                && !taken.contains(&number)
            {
                set_default_int(port, "nodePort", number);
            }
        }
    }
    if needs_health_port(new)
        && needs_health_port(old)
        && int(new, "spec.healthCheckNodePort").unwrap_or_default() == 0
    {
        carry("spec.healthCheckNodePort", old, new);
    }
}

/// A change of type drops what only the former type had, unless the client changed it as well.
fn drop_outlived(new: &mut Value, old: &Value) {
    if needs_cluster_ip(old) && !needs_cluster_ip(new) {
        if get(new, "spec.clusterIP") == get(old, "spec.clusterIP") {
            remove(new, "spec.clusterIP");
            remove(new, "spec.clusterIPs");
        }
        for field in [
            "spec.ipFamilies",
            "spec.ipFamilyPolicy",
            "spec.internalTrafficPolicy",
        ] {
            if get(new, field) == get(old, field) {
                remove(new, field);
            }
        }
    }
    if needs_node_ports(old) && !needs_node_ports(new) {
        let number = |port: &Value| int(port, "nodePort").filter(|n| *n != 0);
        let before: Vec<Option<i64>> = list(old, "spec.ports").iter().map(number).collect();
        let after: Vec<Option<i64>> = list(new, "spec.ports").iter().map(number).collect();
        if before.iter().all(|p| p.is_none() || after.contains(p)) {
            for port in list_mut(new, "spec.ports") {
                if before.contains(&number(port)) {
                    remove(port, "nodePort");
                }
            }
        }
    }
    if needs_health_port(old)
        && !needs_health_port(new)
        && get(new, "spec.healthCheckNodePort") == get(old, "spec.healthCheckNodePort")
    {
        remove(new, "spec.healthCheckNodePort");
    }
    if external(old)
        && !external(new)
        && get(new, "spec.externalTrafficPolicy") == get(old, "spec.externalTrafficPolicy")
    {
        remove(new, "spec.externalTrafficPolicy");
    }
    if text(old, "spec.type") == "LoadBalancer" && text(new, "spec.type") != "LoadBalancer" {
        for field in ["spec.allocateLoadBalancerNodePorts", "spec.loadBalancerClass"] {
            if get(new, field) == get(old, field) {
                remove(new, field);
            }
        }
        set(new, "status.loadBalancer", json!({}));
    }
}

fn external_ip(object: &Value) -> String {
    let declared: Vec<&str> = list(object, "spec.externalIPs")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let or = |addresses: Vec<&str>, none: &str| match addresses.as_slice() {
        [] => none.to_owned(),
        some => some.join(","),
    };
    match text(object, "spec.type") {
        "ClusterIP" | "NodePort" => or(declared, "<none>"),
        "LoadBalancer" => {
            let mut addresses: Vec<&str> = list(object, "status.loadBalancer.ingress")
                .iter()
                .map(|i| match text(i, "ip") {
                    "" => text(i, "hostname"),
                    ip => ip,
                })
                .filter(|a| !a.is_empty())
                .collect();
            addresses.sort_unstable();
            addresses.dedup();
            addresses.extend(declared);
            or(addresses, "<pending>")
        }
        "ExternalName" => text(object, "spec.externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

fn ports(object: &Value) -> String {
    let ports: Vec<String> = list(object, "spec.ports")
        .iter()
        .map(|p| {
            let (port, protocol) = (int(p, "port").unwrap_or_default(), text(p, "protocol"));
            match int(p, "nodePort").unwrap_or_default() {
                0 => format!("{port}/{protocol}"),
                node_port => format!("{port}:{node_port}/{protocol}"),
            }
        })
        .collect();
    if ports.is_empty() {
        "<none>".to_owned()
    } else {
        ports.join(",")
    }
}
