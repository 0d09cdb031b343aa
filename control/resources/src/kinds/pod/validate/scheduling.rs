//! Tolerations, affinity, spreading, gates.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    validate::{Errors, Path, labels, names},
    value::{get, has, int, list, text},
};

/// What decides where a pod goes.
pub(super) fn all(errors: &mut Errors, path: &Path<'_>, spec: &Value) {
    let at = path.field("tolerations");
    for (i, found) in list(spec, "tolerations").iter().enumerate() {
        toleration(errors, &at.index(i), found);
    }
    affinity(errors, &path.field("affinity"), spec);
    spread(errors, &path.field("topologySpreadConstraints"), spec);
    let at = path.field("readinessGates");
    for (i, gate) in list(spec, "readinessGates").iter().enumerate() {
        let kind = text(gate, "conditionType");
        errors.invalid_each(
            &at.index(i).field("conditionType"),
            kind,
            names::qualified_name(kind),
        );
    }
    let at = path.field("schedulingGates");
    let mut seen = BTreeSet::new();
    let gates = list(spec, "schedulingGates");
    for (i, gate) in gates.iter().enumerate() {
        let name = text(gate, "name");
        errors.invalid_each(&at.index(i), name, names::qualified_name(name));
        if !seen.insert(name) {
            errors.duplicate(&at.index(i), name);
        }
    }
    if !gates.is_empty() && !text(spec, "nodeName").is_empty() {
        errors.forbidden(
            &path.field("nodeName"),
            "cannot be set until all schedulingGates have been cleared",
        );
    }
}

fn toleration(errors: &mut Errors, path: &Path<'_>, toleration: &Value) {
    let (key, operator) = (text(toleration, "key"), text(toleration, "operator"));
    let (value, effect) = (text(toleration, "value"), text(toleration, "effect"));
    if key.is_empty() {
        if operator != "Exists" {
            errors.invalid(
                &path.field("operator"),
                operator,
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            );
        }
    } else {
        errors.invalid_each(&path.field("key"), key, names::qualified_name(key));
    }
    if has(toleration, "tolerationSeconds") && effect != "NoExecute" {
        errors.invalid(
            &path.field("effect"),
            effect,
            "effect must be 'NoExecute' when `tolerationSeconds` is set",
        );
    }
    match operator {
        "" | "Equal" => errors.invalid_each(&path.field("operator"), value, names::label_value(value)),
        "Exists" if !value.is_empty() => errors.invalid(
            &path.field("operator"),
            value,
            "value must be empty when `operator` is 'Exists'",
        ),
        "Exists" => {}
        _ => errors.not_supported(&path.field("operator"), operator, &["Equal", "Exists"]),
    }
    errors.one_of(
        &path.field("effect"),
        effect,
        &["NoSchedule", "PreferNoSchedule", "NoExecute"],
        false,
    );
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

fn affinity(errors: &mut Errors, path: &Path<'_>, spec: &Value) {
    if let Some(node) = get(spec, "affinity.nodeAffinity") {
        let at = path.field("nodeAffinity");
        if let Some(selector) = get(node, REQUIRED) {
            let required = at.field(REQUIRED);
            let terms = required.field("nodeSelectorTerms");
            if list(selector, "nodeSelectorTerms").is_empty() {
                errors.required(&terms, "must have at least one node selector term");
            }
            for (i, term) in list(selector, "nodeSelectorTerms").iter().enumerate() {
                node_term(errors, &terms.index(i), term);
            }
        }
        let preferred = at.field(PREFERRED);
        for (i, term) in list(node, PREFERRED).iter().enumerate() {
            let at = preferred.index(i);
            weight(errors, &at, term);
            node_term(
                errors,
                &at.field("preference"),
                get(term, "preference").unwrap_or(super::NULL),
            );
        }
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let Some(pods) = get(spec, "affinity").and_then(|a| get(a, kind)) else {
            continue;
        };
        let at = path.field(kind);
        let required = at.field(REQUIRED);
        for (i, term) in list(pods, REQUIRED).iter().enumerate() {
            pod_term(errors, &required.index(i), term);
        }
        let preferred = at.field(PREFERRED);
        for (i, term) in list(pods, PREFERRED).iter().enumerate() {
            let at = preferred.index(i);
            weight(errors, &at, term);
            pod_term(
                errors,
                &at.field("podAffinityTerm"),
                get(term, "podAffinityTerm").unwrap_or(super::NULL),
            );
        }
    }
}

fn weight(errors: &mut Errors, path: &Path<'_>, term: &Value) {
    let weight = int(term, "weight").unwrap_or_default();
    if !(1..=100).contains(&weight) {
        errors.invalid(&path.field("weight"), weight, "must be in the range 1-100");
    }
}

fn node_term(errors: &mut Errors, path: &Path<'_>, term: &Value) {
    for field in ["matchExpressions", "matchFields"] {
        let at = path.field(field);
        for (i, requirement) in list(term, field).iter().enumerate() {
            let at = at.index(i);
            let values = list(requirement, "values").len();
            match text(requirement, "operator") {
                "In" | "NotIn" if values == 0 => errors.required(
                    &at.field("values"),
                    "must be specified when `operator` is 'In' or 'NotIn'",
                ),
                "Exists" | "DoesNotExist" if values > 0 => errors.forbidden(
                    &at.field("values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                ),
                "Gt" | "Lt" if values != 1 => errors.required(
                    &at.field("values"),
                    "must be specified single value when `operator` is 'Lt' or 'Gt'",
                ),
                "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
                other => errors.invalid(&at.field("operator"), other, "not a valid selector operator"),
            }
            let key = text(requirement, "key");
            if field == "matchExpressions" {
                errors.invalid_each(&at.field("key"), key, names::qualified_name(key));
            } else if key != "metadata.name" {
                errors.invalid(&at.field("key"), key, "not a valid field selector key");
            }
        }
    }
}

fn pod_term(errors: &mut Errors, path: &Path<'_>, term: &Value) {
    labels::selector(errors, &path.field("labelSelector"), get(term, "labelSelector"));
    labels::selector(
        errors,
        &path.field("namespaceSelector"),
        get(term, "namespaceSelector"),
    );
    let at = path.field("namespaces");
    for name in list(term, "namespaces").iter().filter_map(Value::as_str) {
        errors.invalid_each(&at, name, names::dns1123_label(name));
    }
    match text(term, "topologyKey") {
        "" => errors.required(&path.field("topologyKey"), "can not be empty"),
        key => errors.invalid_each(&path.field("topologyKey"), key, names::qualified_name(key)),
    }
}

fn spread(errors: &mut Errors, path: &Path<'_>, spec: &Value) {
    let constraints = list(spec, "topologySpreadConstraints");
    for (i, constraint) in constraints.iter().enumerate() {
        let at = path.index(i);
        let skew = int(constraint, "maxSkew").unwrap_or_default();
        if skew <= 0 {
            errors.invalid(&at.field("maxSkew"), skew, "must be greater than zero");
        }
        let key = text(constraint, "topologyKey");
        match key {
            "" => errors.required(&at.field("topologyKey"), "can not be empty"),
            key => errors.invalid_each(&at.field("topologyKey"), key, names::qualified_name(key)),
        }
        let action = text(constraint, "whenUnsatisfiable");
        if !matches!(action, "DoNotSchedule" | "ScheduleAnyway") {
            errors.not_supported(
                &at.field("whenUnsatisfiable"),
                action,
                &["DoNotSchedule", "ScheduleAnyway"],
            );
        }
        // All but the last of those that say the same: each is compared with what comes after it.
        let is_same =
            |later: &Value| text(later, "topologyKey") == key && text(later, "whenUnsatisfiable") == action;
        if constraints[i + 1..].iter().any(is_same) {
            errors.duplicate(
                &at.field("{topologyKey, whenUnsatisfiable}"),
                format!("{{{key}, {action}}}"),
            );
        }
        if let Some(domains) = int(constraint, "minDomains") {
            if domains <= 0 {
                errors.invalid(&at.field("minDomains"), domains, "must be greater than zero");
            }
            if action != "DoNotSchedule" {
                errors.invalid(
                    &at.field("minDomains"),
                    domains,
                    &format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"),
                );
            }
        }
        for field in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            errors.one_of(
                &at.field(field),
                text(constraint, field),
                &["Honor", "Ignore"],
                false,
            );
        }
        labels::selector(
            errors,
            &at.field("labelSelector"),
            get(constraint, "labelSelector"),
        );
    }
}
