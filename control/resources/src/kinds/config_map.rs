//! ConfigMap.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{
    Column, FieldError, Part, Strategy,
    print::{self, AGE, NAME, column},
    validate::{
        Errors, MAX_DATA, Path,
        meta::{self, Scope},
        names,
    },
    value::{entries, flag, get, same},
};

pub(crate) struct ConfigMap;

/// How entries are written.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Text,
    Base64,
}

/// Checks the entries of a ConfigMap or Secret and returns their size in bytes.
pub(super) fn files(errors: &mut Errors, object: &Value, field: &'static str, form: Form) -> usize {
    let path = Path::root(field);
    let mut size = 0;
    for (key, value) in entries(object, field) {
        errors.invalid_each(&path.key(key), key, names::config_key(key));
        let text = value.as_str().unwrap_or_default();
        match form {
            Form::Text => size += text.len(),
            Form::Base64 => match STANDARD.decode(text) {
                Ok(bytes) => size += bytes.len(),
                Err(_) => errors.invalid(&path.key(key), text, "must be base64-encoded"),
            },
        }
    }
    size
}

/// What may not change once `immutable` is set.
pub(super) fn frozen(errors: &mut Errors, new: &Value, old: &Value, fields: &[&'static str]) {
    if !flag(old, "immutable") {
        return;
    }
    const DETAIL: &str = "field is immutable when `immutable` is set";
    if !flag(new, "immutable") {
        errors.forbidden(&Path::root("immutable"), DETAIL);
    }
    for field in fields {
        if !same(get(new, field), get(old, field)) {
            errors.forbidden(&Path::root(field), DETAIL);
        }
    }
}

impl Strategy for ConfigMap {
    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        meta::object(&mut errors, object, Scope::Namespaced, names::dns1123_subdomain);
        let size = files(&mut errors, object, "data", Form::Text)
            + files(&mut errors, object, "binaryData", Form::Base64);
        let binary = get(object, "binaryData");
        for (key, _) in entries(object, "data") {
            if binary.is_some_and(|b| b.get(key).is_some()) {
                errors.invalid(
                    &Path::root("data").key(key),
                    key,
                    "duplicate of key present in binaryData",
                );
            }
        }
        if size > MAX_DATA {
            errors.too_long(&Path::root(""), MAX_DATA);
        }
        errors.into_vec()
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        meta::update(&mut errors, new, old);
        frozen(&mut errors, new, old, &["data", "binaryData"]);
        let mut errors = errors.into_vec();
        errors.extend(self.validate(new));
        errors
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, column("Data", "string", "Number of entries."), AGE];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        let count = entries(object, "data").count() + entries(object, "binaryData").count();
        vec![print::name(object), count.into(), print::age(object, now)]
    }
}
