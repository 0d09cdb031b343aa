//! Fields of a pod that environment variables and downward API files refer to.

use std::{collections::BTreeMap, net::IpAddr};

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};

use crate::{pod::model, quantity};

/// What the node adds to the pod object.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Node name.
    pub node_name: String,
    /// Addresses of the node.
    pub host_ips: Vec<IpAddr>,
    /// Addresses of the pod; none known yet: empty.
    pub pod_ips: Vec<IpAddr>,
    /// The node's CPUs in millicores: what a container without a limit may use.
    pub cpu_milli: i64,
    /// The node's memory in bytes.
    pub memory: i64,
    /// The node's disk in bytes.
    pub ephemeral_storage: i64,
}

/// The value of a `fieldPath`. Source: Kubernetes, "Downward API".
pub(crate) fn pod(pod: &Pod, path: &str, facts: &Facts) -> Result<String, String> {
    let meta = &pod.metadata;
    let spec = pod.spec.as_ref();
    if let Some((map, key)) = subscript(path) {
        let map = match map {
            "metadata.labels" => meta.labels.as_ref(),
            "metadata.annotations" => meta.annotations.as_ref(),
            _ => return Err(format!("unsupported fieldPath: {path}")),
        };
        return Ok(map.and_then(|map| map.get(key)).cloned().unwrap_or_default());
    }
    Ok(match path {
        "metadata.name" => meta.name.clone().unwrap_or_default(),
        "metadata.namespace" => model::namespace(pod).to_owned(),
        "metadata.uid" => meta.uid.clone().unwrap_or_default(),
        "metadata.labels" => lines(meta.labels.as_ref()),
        "metadata.annotations" => lines(meta.annotations.as_ref()),
        "spec.nodeName" => facts.node_name.clone(),
        "spec.serviceAccountName" => spec
            .and_then(|spec| spec.service_account_name.clone())
            .unwrap_or_default(),
        "status.hostIP" => first(&facts.host_ips),
        "status.hostIPs" => joined(&facts.host_ips),
        "status.podIP" => first(&facts.pod_ips),
        "status.podIPs" => joined(&facts.pod_ips),
        _ => return Err(format!("unsupported fieldPath: {path}")),
    })
}

/// `metadata.labels['key']` → (`metadata.labels`, `key`).
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, rest) = path.split_once('[')?;
    let key = rest.strip_suffix(']')?;
    let key = key.trim_matches(|c| c == '\'' || c == '"');
    Some((map, key))
}

fn first(addresses: &[IpAddr]) -> String {
    addresses.first().map(IpAddr::to_string).unwrap_or_default()
}

fn joined(addresses: &[IpAddr]) -> String {
    let words: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    words.join(",")
}

/// `key="value"` lines, sorted.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines: Vec<String> = map
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect();
    lines.join("\n")
}

/// The value of a `resourceFieldRef` in its divisor's unit, rounded up; a limit that is not set is what the node has.
pub(crate) fn resource(
    pod: &Pod,
    own: &Container,
    reference: &ResourceFieldSelector,
    facts: &Facts,
) -> Result<String, String> {
    let container = match reference
        .container_name
        .as_deref()
        .filter(|name| !name.is_empty())
    {
        None => own,
        Some(name) => pod
            .spec
            .iter()
            .flat_map(|spec| {
                spec.containers
                    .iter()
                    .chain(spec.init_containers.iter().flatten())
            })
            .find(|container| container.name == name)
            .ok_or_else(|| format!("container {name} not found"))?,
    };
    let (kind, name) = reference
        .resource
        .split_once('.')
        .ok_or_else(|| bad(&reference.resource))?;
    let resources = container.resources.as_ref();
    let limit = resources.and_then(|resources| resources.limits.as_ref()?.get(name));
    let set = match kind {
        "limits" => limit,
        "requests" => resources
            .and_then(|resources| resources.requests.as_ref()?.get(name))
            .or(limit),
        _ => return Err(bad(&reference.resource)),
    };
    let whole = match name {
        "cpu" => facts.cpu_milli,
        "memory" => facts.memory.saturating_mul(1000),
        "ephemeral-storage" => facts.ephemeral_storage.saturating_mul(1000),
        _ if name.starts_with("hugepages-") => 0,
        _ => return Err(bad(&reference.resource)),
    };
    let default = if kind == "limits" { whole } else { 0 };
    let milli = set.and_then(quantity::milli).unwrap_or(default);
    let divisor = reference
        .divisor
        .as_ref()
        .and_then(quantity::milli)
        .filter(|d| *d > 0)
        .unwrap_or(1000);
    Ok((i128::from(milli) + i128::from(divisor) - 1)
        .div_euclid(i128::from(divisor))
        .to_string())
}

fn bad(resource: &str) -> String {
    format!("unsupported container resource: {resource}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_become_sorted_quoted_lines() {
        let map = [
            ("b".to_owned(), "2\"x".to_owned()),
            ("a".to_owned(), "1".to_owned()),
        ]
        .into();
        assert_eq!(lines(Some(&map)), "a=\"1\"\nb=\"2\\\"x\"");
    }

    #[test]
    fn subscripts_name_one_key() {
        assert_eq!(
            subscript("metadata.labels['a/b']"),
            Some(("metadata.labels", "a/b"))
        );
        assert_eq!(subscript("metadata.name"), None);
    }
}
