//! Labels and selectors.

use serde_json::Value;

use super::{Errors, Path, names};
use crate::value::{entries, list, text};

/// A map of labels.
pub fn labels(errors: &mut Errors, path: &Path<'_>, map: Option<&Value>) {
    let Some(map) = map else {
        return;
    };
    for (key, value) in entries(map, "") {
        errors.invalid_each(path, key, names::qualified_name(key));
        match value.as_str() {
            Some(value) => errors.invalid_each(path, value, names::label_value(value)),
            None => errors.invalid(path, value.clone(), "must be a string"),
        }
    }
}

/// A LabelSelector object.
pub fn selector(errors: &mut Errors, path: &Path<'_>, selector: Option<&Value>) {
    let Some(selector) = selector else {
        return;
    };
    labels(errors, &path.field("matchLabels"), selector.get("matchLabels"));
    let expressions = path.field("matchExpressions");
    for (i, expression) in list(selector, "matchExpressions").iter().enumerate() {
        let path = expressions.index(i);
        let values = list(expression, "values");
        match text(expression, "operator") {
            "In" | "NotIn" if values.is_empty() => errors.required(
                &path.field("values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            ),
            "Exists" | "DoesNotExist" if !values.is_empty() => errors.forbidden(
                &path.field("values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => errors.invalid(&path.field("operator"), other, "not a valid selector operator"),
        }
        let key = text(expression, "key");
        errors.invalid_each(&path.field("key"), key, names::qualified_name(key));
        let at = path.field("values");
        for (i, value) in values.iter().filter_map(Value::as_str).enumerate() {
            errors.invalid_each(&at.index(i), value, names::label_value(value));
        }
    }
}
