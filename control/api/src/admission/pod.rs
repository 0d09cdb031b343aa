//! Default tolerations and priority (Kubernetes, `DefaultTolerationSeconds` and `Priority`).

use serde_json::{Value, json};
use skiff_resources::Resource;

use super::name_or_prefix;
use crate::{
    registry::{Registry, meta},
    status::Status,
};

const CRITICAL: [(&str, i64); 2] = [
    ("system-cluster-critical", 2_000_000_000),
    ("system-node-critical", 2_000_001_000),
];

/// Pods leave a node that is gone after five minutes unless they say otherwise.
pub(super) fn add_default_tolerations(pod: &mut Value) {
    let tolerations = meta::child(pod, "spec")
        .entry("tolerations")
        .or_insert_with(|| json!([]));
    if !tolerations.is_array() {
        *tolerations = json!([]);
    }
    let Some(tolerations) = tolerations.as_array_mut() else {
        return;
    };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covered = tolerations.iter().any(|t| {
            let effect = t["effect"].as_str().unwrap_or_default();
            let own = t["key"].as_str().unwrap_or_default();
            (own == key || own.is_empty()) && matches!(effect, "" | "NoExecute")
        });
        if !covered {
            tolerations.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": 300}));
        }
    }
}

/// Fills in `spec.priority` from the class.
pub(super) fn resolve_priority(
    registry: &Registry,
    resource: &Resource,
    pod: &mut Value,
) -> Result<(), Status> {
    let class = meta::text(pod, &["spec", "priorityClassName"]).to_owned();
    let row = registry.resource("scheduling.k8s.io", "v1", "priorityclasses");
    let (value, policy) = if class.is_empty() {
        let default = match row {
            Some(row) => registry
                .all(row, "")?
                .1
                .into_iter()
                .find(|c| c["globalDefault"] == true),
            None => None,
        };
        match default {
            Some(class) => {
                meta::child(pod, "spec")
                    .insert("priorityClassName".into(), class["metadata"]["name"].clone());
                (
                    class["value"].as_i64().unwrap_or(0),
                    class["preemptionPolicy"].clone(),
                )
            }
            None => (0, Value::Null),
        }
    } else if let Some((_, value)) = CRITICAL.iter().find(|(name, _)| *name == class) {
        (*value, Value::Null)
    } else {
        let found = registry.peek("scheduling.k8s.io", "priorityclasses", "", &class);
        let found = found.ok_or_else(|| {
            let why = format!("no PriorityClass with name {class} was found");
            Status::forbidden(resource, name_or_prefix(pod), &why)
        })?;
        (
            found["value"].as_i64().unwrap_or(0),
            found["preemptionPolicy"].clone(),
        )
    };
    let spec = meta::child(pod, "spec");
    if let Some(given) = spec.get("priority").and_then(Value::as_i64)
        && given != value
    {
        let why = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller \
             computed {value} from the given PriorityClass name"
        );
        return Err(Status::forbidden(resource, name_or_prefix(pod), &why));
    }
    spec.insert("priority".into(), json!(value));
    if spec.get("preemptionPolicy").is_none_or(Value::is_null) {
        let policy = if policy.is_null() {
            json!("PreemptLowerPriority")
        } else {
            policy
        };
        spec.insert("preemptionPolicy".into(), policy);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerations_are_added_once() {
        let mut pod =
            json!({"spec": {"tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}]}});
        add_default_tolerations(&mut pod);
        add_default_tolerations(&mut pod);
        let tolerations = pod["spec"]["tolerations"].as_array().unwrap();
        assert_eq!(tolerations.len(), 2);
        assert_eq!(tolerations[1]["key"], "node.kubernetes.io/unreachable");
    }
}
