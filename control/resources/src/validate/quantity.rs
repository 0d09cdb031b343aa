//! Amounts of resources.

use serde_json::Value;

use super::{Errors, Path, names};
use crate::{
    quantity::{FORMAT_ERROR, Quantity},
    value::{entries, get},
};

/// A quantity that may not be negative; `None` when it is not a quantity (reported).
pub fn amount(errors: &mut Errors, path: &Path<'_>, value: &Value) -> Option<Quantity> {
    let Ok(quantity) = Quantity::from_value(value) else {
        errors.invalid(path, value.clone(), FORMAT_ERROR);
        return None;
    };
    if quantity.is_negative() {
        errors.invalid(path, quantity.to_string(), "must be greater than or equal to 0");
    }
    Some(quantity)
}

/// Whether a container may ask for this resource by its bare name.
pub fn is_standard_for_containers(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-")
}

/// Whether requests of this resource may be lower than the limit.
fn may_overcommit(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage")
}

/// `limits` and `requests` of a container: known names, amounts that are quantities, requests within limits.
pub fn requirements(errors: &mut Errors, path: &Path<'_>, resources: &Value) {
    let (limits, requests) = (path.field("limits"), path.field("requests"));
    for (name, value) in entries(resources, "limits") {
        container_amount(errors, &limits.key(name), name, value);
    }
    for (name, value) in entries(resources, "requests") {
        let Some(request) = container_amount(errors, &requests.key(name), name, value) else {
            continue;
        };
        let limit = get(resources, "limits")
            .and_then(|l| l.get(name))
            .and_then(|l| Quantity::from_value(l).ok());
        match limit {
            Some(limit) if !may_overcommit(name) && request != limit => errors.invalid(
                &requests,
                request.to_string(),
                &format!("must be equal to {name} limit of {limit}"),
            ),
            Some(limit) if request > limit => errors.invalid(
                &requests,
                request.to_string(),
                &format!("must be less than or equal to {name} limit of {limit}"),
            ),
            None if !may_overcommit(name) => {
                errors.required(&limits, "Limit must be set for non overcommitable resources");
            }
            _ => {}
        }
    }
}

fn container_amount(errors: &mut Errors, path: &Path<'_>, name: &str, value: &Value) -> Option<Quantity> {
    errors.invalid_each(path, name, names::qualified_name(name));
    if !name.contains('/') && !is_standard_for_containers(name) {
        if !matches!(
            name,
            "pods" | "storage" | "services" | "secrets" | "configmaps" | "requests.cpu" | "limits.cpu"
        ) {
            errors.invalid(path, name, "must be a standard resource type or fully qualified");
        }
        errors.invalid(path, name, "must be a standard resource for containers");
    }
    let quantity = amount(errors, path, value)?;
    if name.contains('/') && !quantity.is_whole() {
        errors.invalid(path, quantity.to_string(), "must be an integer");
    }
    Some(quantity)
}

/// A plain list of amounts (capacity, overhead).
pub fn amounts(errors: &mut Errors, path: &Path<'_>, object: &Value) {
    for (name, value) in entries(object, "") {
        errors.invalid_each(&path.key(name), name, names::qualified_name(name));
        amount(errors, &path.key(name), value);
    }
}
