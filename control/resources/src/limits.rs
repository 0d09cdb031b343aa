//! What the LimitRanges of a namespace do to new pods and claims: admission fills in defaults, then checks.

use std::borrow::Borrow;

use serde_json::{Value, json};

use crate::{
    kinds::pod::resources::{self, Amounts},
    quantity::Quantity,
    value::{entries, get, get_mut, list, list_mut, make_object, text},
};

/// Where the defaults that were filled in are told.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// Gives the containers of a new pod the defaults of the LimitRanges in its namespace, and says so in an annotation.
pub fn fill<R: Borrow<Value>>(pod: &mut Value, ranges: &[R]) {
    let mut told = Vec::new();
    for range in ranges {
        for limit in list(range.borrow(), "spec.limits")
            .iter()
            .filter(|l| text(l, "type") == "Container")
        {
            for (field, what) in [("containers", "container"), ("initContainers", "init container")] {
                for container in list_mut(pod, &format!("spec.{field}")) {
                    fill_container(container, limit, what, &mut told);
                }
            }
        }
    }
    if !told.is_empty()
        && let Some(annotations) = make_object(pod, "metadata.annotations")
    {
        let text = format!("LimitRanger plugin set: {}", told.join("; "));
        annotations.insert(ANNOTATION.to_owned(), json!(text));
    }
}

fn fill_container(container: &mut Value, limit: &Value, what: &str, told: &mut Vec<String>) {
    let name = text(container, "name").to_owned();
    for (from, to, kind) in [
        ("defaultRequest", "requests", "request"),
        ("default", "limits", "limit"),
    ] {
        let mut set = Vec::new();
        for (resource, amount) in entries(limit, from) {
            let Some(amounts) = make_object(container, &format!("resources.{to}")) else {
                continue;
            };
            if !amounts.contains_key(resource) {
                amounts.insert(resource.to_owned(), amount.clone());
                set.push(resource);
            }
        }
        if !set.is_empty() {
            set.sort_unstable();
            told.push(format!("{} {kind} for {what} {name}", set.join(", ")));
        }
    }
    // A map made for nothing is not left behind.
    for field in ["requests", "limits"] {
        if let Some(resources) = get_mut(container, "resources").and_then(Value::as_object_mut)
            && resources
                .get(field)
                .and_then(Value::as_object)
                .is_some_and(|m| m.is_empty())
        {
            resources.remove(field);
        }
    }
}

/// What of a new pod the LimitRanges of its namespace do not allow; each is a reason to answer 403.
pub fn check_pod<R: Borrow<Value>>(pod: &Value, ranges: &[R]) -> Vec<String> {
    let mut found = Vec::new();
    let spec = get(pod, "spec").unwrap_or(&Value::Null);
    for limit in ranges.iter().flat_map(|r| list(r.borrow(), "spec.limits")) {
        match text(limit, "type") {
            "Container" => {
                for container in list(spec, "containers")
                    .iter()
                    .chain(list(spec, "initContainers"))
                {
                    let amounts =
                        |field: &str| amounts(get(container, "resources").and_then(|r| get(r, field)));
                    check(
                        &mut found,
                        limit,
                        "Container",
                        &amounts("requests"),
                        &amounts("limits"),
                    );
                }
            }
            "Pod" => check(
                &mut found,
                limit,
                "Pod",
                &resources::pod_requests(spec),
                &resources::pod_limits(spec),
            ),
            _ => {}
        }
    }
    found
}

/// What of a new claim the LimitRanges of its namespace do not allow.
pub fn check_claim<R: Borrow<Value>>(claim: &Value, ranges: &[R]) -> Vec<String> {
    const KIND: &str = "PersistentVolumeClaim";
    let requests = amounts(get(claim, "spec.resources.requests"));
    let mut found = Vec::new();
    for limit in ranges
        .iter()
        .flat_map(|r| list(r.borrow(), "spec.limits"))
        .filter(|l| text(l, "type") == KIND)
    {
        for (field, word, too_much) in [("min", "minimum", false), ("max", "maximum", true)] {
            for (name, bound) in amounts(get(limit, field)) {
                let usage = format!("{word} {name} usage per {KIND} is {bound}");
                match requests.get(&name) {
                    None => found.push(format!("{usage}.  No request is specified")),
                    Some(request) if (too_much && *request > bound) || (!too_much && *request < bound) => {
                        found.push(format!("{usage}, but request is {request}"));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    found
}

fn amounts(list: Option<&Value>) -> Amounts {
    list.into_iter()
        .flat_map(|l| entries(l, ""))
        .filter_map(|(name, amount)| Some((name.to_owned(), Quantity::from_value(amount).ok()?)))
        .collect()
}

fn check(found: &mut Vec<String>, limit: &Value, kind: &str, requests: &Amounts, limits: &Amounts) {
    for (name, bound) in amounts(get(limit, "min")) {
        let usage = format!("minimum {name} usage per {kind} is {bound}");
        match (requests.get(&name), limits.get(&name)) {
            (None, _) => found.push(format!("{usage}.  No request is specified")),
            (Some(request), _) if *request < bound => {
                found.push(format!("{usage}, but request is {request}"))
            }
            (_, Some(limit)) if *limit < bound => found.push(format!("{usage}, but limit is {limit}")),
            _ => {}
        }
    }
    for (name, bound) in amounts(get(limit, "max")) {
        let usage = format!("maximum {name} usage per {kind} is {bound}");
        match (limits.get(&name), requests.get(&name)) {
            (None, _) => found.push(format!("{usage}.  No limit is specified")),
            (Some(limit), _) if *limit > bound => found.push(format!("{usage}, but limit is {limit}")),
            (_, Some(request)) if *request > bound => {
                found.push(format!("{usage}, but request is {request}"))
            }
            _ => {}
        }
    }
    for (name, bound) in amounts(get(limit, "maxLimitRequestRatio")) {
        let usage = format!("{name} max limit to request ratio per {kind} is {bound}");
        let positive = |amounts: &Amounts| amounts.get(&name).copied().filter(|a| !a.is_zero());
        match (positive(requests), positive(limits)) {
            (None, _) => found.push(format!("{usage}, but no request is specified or request is 0")),
            (_, None) => found.push(format!("{usage}, but no limit is specified or limit is 0")),
            (Some(request), Some(limit)) => {
                let ratio = limit.ratio(request);
                if ratio > bound.ratio(Quantity::units(1)) {
                    found.push(format!("{usage}, but provided ratio is {ratio:.6}"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(limit: Value) -> Value {
        let mut range = json!({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [limit]}});
        crate::find("", "v1", "limitranges")
            .unwrap()
            .strategy
            .default(&mut range);
        range
    }

    #[test]
    fn containers_get_the_defaults_they_lack() {
        let ranges = [range(
            json!({"type": "Container", "default": {"cpu": "500m", "memory": "64Mi"},
            "defaultRequest": {"cpu": "100m"}}),
        )];
        let mut pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [
            {"name": "a"},
            {"name": "b", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}},
        ]}});
        fill(&mut pod, &ranges);
        assert_eq!(
            pod["spec"]["containers"][0]["resources"],
            json!({"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "100m", "memory": "64Mi"}})
        );
        assert_eq!(pod["spec"]["containers"][1]["resources"]["limits"]["cpu"], "1");
        assert_eq!(
            pod["metadata"]["annotations"][ANNOTATION],
            "LimitRanger plugin set: cpu, memory request for container a; cpu, memory limit for container a"
        );
    }

    #[test]
    fn pods_outside_the_limits_are_refused() {
        let ranges = [
            range(json!({"type": "Container", "max": {"cpu": "1"}, "min": {"memory": "64Mi"}})),
            range(json!({"type": "Pod", "max": {"memory": "1Gi"}, "maxLimitRequestRatio": {"cpu": "2"}})),
        ];
        let pod = |requests: Value, limits: Value| json!({"spec": {"containers": [{"name": "a", "resources": {"requests": requests, "limits": limits}}]}});
        assert_eq!(
            check_pod(
                &pod(
                    json!({"cpu": "500m", "memory": "1Gi"}),
                    json!({"cpu": "1", "memory": "1Gi"})
                ),
                &ranges
            ),
            [""; 0]
        );
        assert_eq!(
            check_pod(
                &pod(json!({"cpu": "500m", "memory": "32Mi"}), json!({"cpu": "2"})),
                &ranges
            ),
            [
                "minimum memory usage per Container is 64Mi, but request is 32Mi",
                "maximum cpu usage per Container is 1, but limit is 2",
                "maximum memory usage per Pod is 1Gi.  No limit is specified",
                "cpu max limit to request ratio per Pod is 2, but provided ratio is 4.000000",
            ]
        );
    }

    #[test]
    fn claims_outside_the_limits_are_refused() {
        let ranges = [range(
            json!({"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}),
        )];
        let claim = json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}});
        assert_eq!(
            check_claim(&claim, &ranges),
            ["maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi"]
        );
    }
}
