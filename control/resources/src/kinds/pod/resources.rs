//! Sums over the resources of a pod.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    quantity::Quantity,
    value::{entries, list, text},
};

/// Amounts by resource name.
pub type Amounts = BTreeMap<String, Quantity>;

/// Rounds every amount of a resource list up to thousandths and puts it into canonical form.
pub(crate) fn canonicalize(amounts: &mut Value) {
    if let Some(map) = amounts.as_object_mut() {
        for amount in map.values_mut() {
            if let Ok(quantity) = Quantity::from_value(amount) {
                *amount = Value::String(quantity.round_up_milli().to_string());
            }
        }
    }
}

/// What a pod requests: the sum over its containers and sidecars, or what an init container needs beside the
/// sidecars started before it when that is more. Overhead and requests of the pod as a whole are not in it.
/// Source: Kubernetes documentation, "Sidecar Containers", resource sharing within containers.
pub fn pod_requests(spec: &Value) -> Amounts {
    total(spec, "requests")
}

/// The same over limits.
pub fn pod_limits(spec: &Value) -> Amounts {
    total(spec, "limits")
}

fn total(spec: &Value, field: &str) -> Amounts {
    let mut sum = Amounts::new();
    for container in list(spec, "containers") {
        add(&mut sum, &of(container, field));
    }
    let (mut sidecars, mut peak) = (Amounts::new(), Amounts::new());
    for container in list(spec, "initContainers") {
        let own = of(container, field);
        if text(container, "restartPolicy") == "Always" {
            add(&mut sidecars, &own);
            add(&mut sum, &own);
            raise(&mut peak, &sidecars);
        } else {
            let mut now = sidecars.clone();
            add(&mut now, &own);
            raise(&mut peak, &now);
        }
    }
    raise(&mut sum, &peak);
    sum
}

fn of(container: &Value, field: &str) -> Amounts {
    let path = format!("resources.{field}");
    entries(container, &path)
        .filter_map(|(name, amount)| Some((name.to_owned(), Quantity::from_value(amount).ok()?)))
        .collect()
}

fn add(to: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let total = to.entry(name.clone()).or_insert(Quantity::ZERO);
        *total = *total + *amount;
    }
}

fn raise(to: &mut Amounts, at_least: &Amounts) {
    for (name, amount) in at_least {
        let current = to.entry(name.clone()).or_insert(*amount);
        *current = (*current).max(*amount);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(cpu: &str, sidecar: bool) -> Value {
        let mut c = json!({"resources": {"requests": {"cpu": cpu}}});
        if sidecar {
            c["restartPolicy"] = "Always".into();
        }
        c
    }

    #[test]
    fn init_containers_count_when_they_need_more_than_all_others_together() {
        let cpu = |spec: &Value| pod_requests(spec)["cpu"].to_string();
        let both = [container("1", false), container("1", false)];
        assert_eq!(cpu(&json!({"containers": both})), "2");
        assert_eq!(
            cpu(&json!({"containers": both, "initContainers": [container("3", false)]})),
            "3"
        );
        let init = [container("500m", true), container("3", false)];
        assert_eq!(cpu(&json!({"containers": both, "initContainers": init})), "3500m");
        let init = [container("3", false), container("500m", true)];
        assert_eq!(cpu(&json!({"containers": both, "initContainers": init})), "3");
    }
}
