//! Collects what is wrong with an object, worded as the Kubernetes API server words it.

use serde_json::Value;

use super::Path;
use crate::FieldError;

/// The errors found so far.
#[derive(Debug, Default)]
pub struct Errors(Vec<FieldError>);

impl Errors {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// All that were found.
    pub fn into_vec(self) -> Vec<FieldError> {
        self.0
    }

    fn push(&mut self, reason: &'static str, path: &Path<'_>, title: &str, detail: &str) {
        let colon = if detail.is_empty() { "" } else { ": " };
        self.0.push(FieldError {
            reason,
            field: path.to_string(),
            message: format!("{title}{colon}{detail}"),
        });
    }

    /// Must have a value.
    pub fn required(&mut self, path: &Path<'_>, detail: &str) {
        self.push("FieldValueRequired", path, "Required value", detail);
    }

    /// Has a value it may not have.
    pub fn invalid(&mut self, path: &Path<'_>, value: impl Into<Value>, detail: &str) {
        let title = format!("Invalid value: {}", shown(&value.into()));
        self.push("FieldValueInvalid", path, &title, detail);
    }

    /// An [`invalid`](Self::invalid) for each message.
    pub fn invalid_each(&mut self, path: &Path<'_>, value: &str, messages: Vec<String>) {
        for message in messages {
            self.invalid(path, value, &message);
        }
    }

    /// Has a value that is not one of a few.
    pub fn not_supported(&mut self, path: &Path<'_>, value: &str, supported: &[&str]) {
        let supported: Vec<String> = supported.iter().map(|s| format!("{s:?}")).collect();
        let title = format!("Unsupported value: {value:?}");
        let detail = format!("supported values: {}", supported.join(", "));
        self.push("FieldValueNotSupported", path, &title, &detail);
    }

    /// Is there twice.
    pub fn duplicate(&mut self, path: &Path<'_>, value: impl Into<Value>) {
        let title = format!("Duplicate value: {}", shown(&value.into()));
        self.push("FieldValueDuplicate", path, &title, "");
    }

    /// May not be set or changed here.
    pub fn forbidden(&mut self, path: &Path<'_>, detail: &str) {
        self.push("FieldValueForbidden", path, "Forbidden", detail);
    }

    /// Names something that does not exist.
    pub fn not_found(&mut self, path: &Path<'_>, value: &str) {
        self.push("FieldValueNotFound", path, &format!("Not found: {value:?}"), "");
    }

    /// Is longer than `max` bytes.
    pub fn too_long(&mut self, path: &Path<'_>, max: usize) {
        let detail = format!("may not be more than {max} bytes");
        self.push("FieldValueTooLong", path, "Too long", &detail);
    }

    /// Has more than `max` items.
    pub fn too_many(&mut self, path: &Path<'_>, count: usize, max: usize) {
        let detail = format!("must have at most {max} items");
        self.push("FieldValueTooMany", path, &format!("Too many: {count}"), &detail);
    }

    /// Requires one of a few texts; `required` says whether it may be empty.
    pub fn one_of(&mut self, path: &Path<'_>, value: &str, supported: &[&str], required: bool) {
        if value.is_empty() && required {
            self.required(path, "");
        } else if !value.is_empty() && !supported.contains(&value) {
            self.not_supported(path, value, supported);
        }
    }

    /// Requires a number of at least zero, if there is one.
    pub fn not_negative(&mut self, path: &Path<'_>, value: Option<i64>) {
        if let Some(value) = value.filter(|v| *v < 0) {
            self.invalid(path, value, "must be greater than or equal to 0");
        }
    }

    /// Requires a number in `[low, high]`, if there is one.
    pub fn within(&mut self, path: &Path<'_>, value: Option<i64>, low: i64, high: i64) {
        if let Some(value) = value.filter(|v| !(low..=high).contains(v)) {
            self.invalid(
                path,
                value,
                &format!("must be between {low} and {high}, inclusive"),
            );
        }
    }

    /// Requires `new` to mean the same as `old`.
    pub fn immutable(&mut self, path: &Path<'_>, new: Option<&Value>, old: Option<&Value>) {
        if !crate::value::same(new, old) {
            self.invalid(path, new.cloned().unwrap_or_default(), "field is immutable");
        }
    }
}

/// A value as it appears in a message.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}
