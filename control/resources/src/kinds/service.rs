//! Service.

use serde_json::Value;

use crate::{
    Column, Part, Strategy, meta,
    print::{self, AGE, NAME, column, wide},
    value::{get, int, list, text},
};

pub(crate) struct Service;

impl Strategy for Service {
    fn prepare_create(&self, object: &mut Value) {
        crate::value::set(object, "status", serde_json::json!({"loadBalancer": {}}));
        meta::without_generation(object);
    }

    fn prepare_update(&self, part: Part, new: &mut Value, old: &Value) {
        meta::separate_status(part, new, old);
        meta::keep_generation(new, old);
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
