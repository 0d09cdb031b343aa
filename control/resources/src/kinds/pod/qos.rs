//! The quality-of-service class of a pod.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    quantity::Quantity,
    value::{entries, get, list},
};

/// `Guaranteed`, `Burstable` or `BestEffort`, from cpu and memory requests and limits of all containers (or those
/// of the pod as a whole when it has them). Source: Kubernetes documentation, "Pod Quality of Service Classes".
pub fn qos_class(pod: &Value) -> &'static str {
    let mut requests = BTreeMap::new();
    let mut limits = BTreeMap::new();
    let mut guaranteed = true;
    let whole = get(pod, "spec.resources").filter(|r| {
        ["requests", "limits"]
            .iter()
            .any(|field| entries(r, field).any(|(name, _)| counts(name)))
    });
    let mut add = |resources: Option<&Value>| {
        let mut limited = 0;
        if let Some(resources) = resources {
            sum(resources, "requests", &mut requests);
            limited = sum(resources, "limits", &mut limits);
        }
        guaranteed &= limited == 2;
    };
    match whole {
        Some(resources) => add(Some(resources)),
        None => {
            for container in list(pod, "spec.containers")
                .iter()
                .chain(list(pod, "spec.initContainers"))
            {
                add(get(container, "resources"));
            }
        }
    }
    if requests.is_empty() && limits.is_empty() {
        "BestEffort"
    } else if guaranteed && requests == limits {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

fn counts(name: &str) -> bool {
    matches!(name, "cpu" | "memory")
}

/// Adds what is above zero and returns how many resources that were.
fn sum(resources: &Value, field: &str, into: &mut BTreeMap<String, Quantity>) -> usize {
    let mut found = 0;
    for (name, amount) in entries(resources, field).filter(|(name, _)| counts(name)) {
        let Ok(amount) = Quantity::from_value(amount) else {
            continue;
        };
        if amount > Quantity::ZERO {
            found += 1;
            let total = into.entry(name.to_owned()).or_insert(Quantity::ZERO);
            *total = *total + amount;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(resources: &[Value]) -> Value {
        let containers: Vec<Value> = resources.iter().map(|r| json!({"resources": r})).collect();
        json!({"spec": {"containers": containers}})
    }

    #[test]
    fn the_class_follows_requests_and_limits() {
        let both = json!({"cpu": "1", "memory": "1Gi"});
        let full = json!({"requests": both, "limits": both});
        let some = json!({"requests": {"cpu": "1"}});
        assert_eq!(qos_class(&pod(&[json!({})])), "BestEffort");
        assert_eq!(qos_class(&pod(std::slice::from_ref(&full))), "Guaranteed");
        assert_eq!(qos_class(&pod(&[full.clone(), json!({})])), "Burstable");
        assert_eq!(qos_class(&pod(&[some])), "Burstable");
        assert_eq!(
            qos_class(&pod(&[json!({"limits": {"example.com/gpu": "1"}})])),
            "BestEffort"
        );
        let mut whole = pod(&[json!({})]);
        whole["spec"]["resources"] = full;
        assert_eq!(qos_class(&whole), "Guaranteed");
    }
}
