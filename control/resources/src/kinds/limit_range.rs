//! LimitRange.

use serde_json::Value;

use super::pod::resources;

use crate::{
    Column, FieldError, Strategy,
    print::{self, PLAIN},
    quantity::Quantity,
    validate::{
        Errors, Path,
        meta::{self as metadata, Scope},
        names, quantity,
    },
    value::{entries, get, get_mut, list, list_mut, make_object, text},
};

pub(crate) struct LimitRange;

/// The amounts of a limit that may be given.
const AMOUNTS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];

impl Strategy for LimitRange {
    fn default(&self, object: &mut Value) {
        for limit in list_mut(object, "spec.limits") {
            for field in AMOUNTS {
                if let Some(amounts) = get_mut(limit, field) {
                    resources::canonicalize(amounts);
                }
            }
            if text(limit, "type") == "Container" {
                fill(limit, "max", "default");
                fill(limit, "default", "defaultRequest");
                fill(limit, "min", "defaultRequest");
            }
        }
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, Scope::Namespaced, names::dns1123_subdomain);
        limits(&mut errors, list(object, "spec.limits"));
        errors.into_vec()
    }

    fn columns(&self) -> &'static [Column] {
        PLAIN
    }

    fn cells(&self, object: &Value, _now: i64) -> Vec<Value> {
        print::plain(object)
    }
}

/// Copies the amounts that `to` lacks.
fn fill(limit: &mut Value, from: &str, to: &str) {
    let amounts: Vec<(String, Value)> = entries(limit, from)
        .map(|(name, amount)| (name.to_owned(), amount.clone()))
        .collect();
    if amounts.is_empty() {
        return;
    }
    if let Some(target) = make_object(limit, to) {
        for (name, amount) in amounts {
            target.entry(name).or_insert(amount);
        }
    }
}

fn limits(errors: &mut Errors, limits: &[Value]) {
    let path = Path::root("spec.limits");
    let mut seen: Vec<&str> = Vec::new();
    for (i, limit) in limits.iter().enumerate() {
        let path = path.index(i);
        let kind = text(limit, "type");
        if !matches!(kind, "Container" | "Pod" | "PersistentVolumeClaim") && !kind.contains('/') {
            errors.invalid(
                &path.field("type"),
                kind,
                "must be a standard limit type or fully qualified",
            );
        }
        if seen.contains(&kind) {
            errors.duplicate(&path.field("type"), kind);
        }
        seen.push(kind);
        for field in AMOUNTS {
            if let Some(amounts) = get(limit, field) {
                quantity::amounts(errors, &path.field(field), amounts);
            }
        }
        if kind == "Pod" {
            for field in ["default", "defaultRequest"] {
                if entries(limit, field).next().is_some() {
                    errors.forbidden(&path.field(field), "may not be specified when `type` is 'Pod'");
                }
            }
        }
        order(errors, &path, limit);
    }
}

/// min ≤ defaultRequest ≤ default ≤ max, for each resource.
fn order(errors: &mut Errors, path: &Path<'_>, limit: &Value) {
    let amount = |field: &str, name: &str| {
        get(limit, field)
            .and_then(|a| a.get(name))
            .and_then(|a| Quantity::from_value(a).ok())
    };
    for (low, high, what) in [
        ("min", "max", "min value %l is greater than max value %h"),
        (
            "min",
            "defaultRequest",
            "min value %l is greater than default request value %h",
        ),
        (
            "defaultRequest",
            "max",
            "default request value %l is greater than max value %h",
        ),
        (
            "defaultRequest",
            "default",
            "default request value %l is greater than default limit value %h",
        ),
        ("min", "default", "min value %l is greater than default value %h"),
        ("default", "max", "default value %l is greater than max value %h"),
    ] {
        for (name, _) in entries(limit, low) {
            if let (Some(l), Some(h)) = (amount(low, name), amount(high, name))
                && l > h
            {
                let detail = what.replace("%l", &l.to_string()).replace("%h", &h.to_string());
                errors.invalid(&path.field(low).key(name), l.to_string(), &detail);
            }
        }
    }
}
