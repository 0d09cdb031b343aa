//! What is allowed in a pod but hardly meant; clients show it as warnings.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    quantity::Quantity,
    validate::{Path, names},
    value::{entries, get, int, list, text},
};

/// Warnings about a pod.
pub(super) fn pod(object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let name = text(object, "metadata.name");
    let wrong = names::dns1123_label(name);
    if !name.is_empty() && !wrong.is_empty() {
        found.push(format!(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [{}]",
            wrong.join(" ")
        ));
    }
    if let Some(pod_spec) = get(object, "spec") {
        spec(&mut found, &Path::root("spec"), pod_spec);
    }
    found
}

/// Warnings about the template of a workload.
pub(crate) fn template(object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(pod_spec) = get(object, "spec.template.spec") {
        spec(&mut found, &Path::root("spec.template.spec"), pod_spec);
    }
    found
}

fn spec(found: &mut Vec<String>, path: &Path<'_>, spec: &Value) {
    let selector = path.field("nodeSelector");
    for (key, _) in entries(spec, "nodeSelector") {
        if let Some((since, instead)) = outdated_label(key) {
            found.push(format!(
                "{}: deprecated since {since}; use {instead:?} instead",
                selector.key(key)
            ));
        }
    }
    let volumes = path.field("volumes");
    for (i, volume) in list(spec, "volumes").iter().enumerate() {
        if get(volume, "gitRepo").is_some() {
            found.push(format!(
                "{}: deprecated in v1.11, and disabled by default in v1.33+",
                volumes.index(i).field("gitRepo")
            ));
        }
    }
    let secrets = path.field("imagePullSecrets");
    let mut seen: Vec<&str> = Vec::new();
    for (i, secret) in list(spec, "imagePullSecrets").iter().enumerate() {
        let name = text(secret, "name");
        if name.is_empty() {
            found.push(format!(
                "{}: invalid empty name \"\"",
                secrets.index(i).field("name")
            ));
        } else if seen.contains(&name) {
            found.push(format!(
                "{}: duplicate name {name:?}",
                secrets.index(i).field("name")
            ));
        }
        seen.push(name);
    }
    if int(spec, "terminationGracePeriodSeconds").is_some_and(|s| s < 0) {
        found.push(format!(
            "{}: must be >= 0; negative values are invalid and will be treated as 1",
            path.field("terminationGracePeriodSeconds")
        ));
    }
    let mut ports = BTreeMap::new();
    for field in ["initContainers", "containers"] {
        let at = path.field(field);
        for (i, container) in list(spec, field).iter().enumerate() {
            let at = at.index(i);
            self::container(found, &at, container);
            let list_path = at.field("ports");
            for (i, port) in list(container, "ports").iter().enumerate() {
                let at = list_path.index(i).to_string();
                let key = (
                    int(port, "containerPort"),
                    text(port, "protocol"),
                    int(port, "hostPort").unwrap_or_default(),
                    text(port, "hostIP"),
                );
                if let Some(first) = ports.get(&key) {
                    found.push(format!("{at}: duplicate port definition with {first}"));
                } else {
                    ports.insert(key, at);
                }
            }
        }
    }
}

fn container(found: &mut Vec<String>, path: &Path<'_>, container: &Value) {
    let env = path.field("env");
    let mut seen: BTreeMap<&str, &Value> = BTreeMap::new();
    for (i, variable) in list(container, "env").iter().enumerate() {
        let name = text(variable, "name");
        if let Some(before) = seen.insert(name, variable) {
            let value = text(before, "value");
            // A later definition that refers to the earlier one does not hide it.
            if !text(variable, "value").contains(&format!("$({name})")) || value.is_empty() {
                found.push(format!(
                    "{}: hides previous definition of {name:?}, which may be dropped when using apply",
                    env.index(i)
                ));
            }
        }
    }
    let resources = path.field("resources");
    for field in ["limits", "requests"] {
        for name in ["memory", "ephemeral-storage"] {
            let amount = get(container, "resources")
                .and_then(|r| get(r, field))
                .and_then(|a| a.get(name));
            if let Some(amount) = amount.and_then(|a| Quantity::from_value(a).ok())
                && !amount.is_whole()
            {
                found.push(format!(
                    "{}: fractional byte value {:?} is invalid, must be an integer",
                    resources.field(field).key(name),
                    amount.to_string()
                ));
            }
        }
    }
}

/// Since when a node label has another name, and which.
fn outdated_label(key: &str) -> Option<(&'static str, &'static str)> {
    Some(match key {
        "beta.kubernetes.io/arch" => ("v1.14", "kubernetes.io/arch"),
        "beta.kubernetes.io/os" => ("v1.14", "kubernetes.io/os"),
        "failure-domain.beta.kubernetes.io/region" => ("v1.17", "topology.kubernetes.io/region"),
        "failure-domain.beta.kubernetes.io/zone" => ("v1.17", "topology.kubernetes.io/zone"),
        "beta.kubernetes.io/instance-type" => ("v1.17", "node.kubernetes.io/instance-type"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_hardly_meant_is_warned_about() {
        let object = json!({
            "metadata": {"name": "a.b"},
            "spec": {
                "nodeSelector": {"beta.kubernetes.io/os": "linux"},
                "containers": [{
                    "name": "c",
                    "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
                    "ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 80, "protocol": "TCP"}],
                    "resources": {"limits": {"memory": "100m"}},
                }],
            },
        });
        assert_eq!(
            pod(&object),
            [
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
                "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
                "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply",
                "spec.containers[0].resources.limits[memory]: fractional byte value \"100m\" is invalid, must be an integer",
                "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
            ]
        );
        assert!(pod(&json!({"metadata": {"name": "a"}, "spec": {}})).is_empty());
    }
}
