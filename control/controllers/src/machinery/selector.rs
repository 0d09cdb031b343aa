//! Label selectors on typed objects.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

type Labels = BTreeMap<String, String>;

/// Whether `labels` match. An empty selector matches everything; a requirement that can't be understood nothing.
pub fn matches(selector: &LabelSelector, labels: &Labels) -> bool {
    selector
        .match_labels
        .as_ref()
        .is_none_or(|wanted| matches_map(wanted, labels))
        && selector
            .match_expressions
            .iter()
            .flatten()
            .all(|r| requirement(r, labels))
}

/// Whether `labels` contain all of `wanted`.
pub fn matches_map(wanted: &Labels, labels: &Labels) -> bool {
    wanted.iter().all(|(k, v)| labels.get(k) == Some(v))
}

/// Whether the selector selects everything.
pub fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
}

fn requirement(requirement: &LabelSelectorRequirement, labels: &Labels) -> bool {
    let value = labels.get(&requirement.key);
    let listed = |v: &String| requirement.values.iter().flatten().any(|x| x == v);
    match requirement.operator.as_str() {
        "In" => value.is_some_and(listed),
        "NotIn" => !value.is_some_and(listed),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_match_as_documented() {
        let labels: Labels = serde_json::from_value(json!({"app": "web", "tier": "a"})).unwrap();
        let check = |selector, expected| {
            let selector: LabelSelector = serde_json::from_value(selector).unwrap();
            assert_eq!(matches(&selector, &labels), expected, "{selector:?}");
        };
        check(json!({}), true);
        check(json!({"matchLabels": {"app": "web"}}), true);
        check(json!({"matchLabels": {"app": "db"}}), false);
        check(
            json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}]}),
            true,
        );
        check(
            json!({"matchExpressions": [{"key": "x", "operator": "NotIn", "values": ["a"]}]}),
            true,
        );
        check(
            json!({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}),
            false,
        );
        check(
            json!({"matchExpressions": [{"key": "app", "operator": "Exists"}]}),
            true,
        );
    }
}
