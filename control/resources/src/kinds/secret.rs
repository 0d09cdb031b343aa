//! Secret.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::config_map::{Form, files, frozen};

use crate::{
    Column, FieldError, Part, Strategy,
    print::{self, AGE, NAME, column},
    validate::{
        Errors, MAX_DATA, Path,
        meta::{self as metadata, Scope},
        names,
    },
    value::{entries, get, make_object, remove, set_default_text, text},
};

pub(crate) struct Secret;

impl Strategy for Secret {
    fn default(&self, object: &mut Value) {
        set_default_text(object, "type", "Opaque");
        // Plain text is only a way to write data.
        let plain = remove(object, "stringData").unwrap_or_default();
        let encoded: Vec<(String, Value)> = entries(&plain, "")
            .map(|(key, text)| {
                let text = text.as_str().unwrap_or_default();
                (key.to_owned(), STANDARD.encode(text).into())
            })
            .collect();
        if !encoded.is_empty()
            && let Some(data) = make_object(object, "data")
        {
            data.extend(encoded);
        }
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, Scope::Namespaced, names::dns1123_subdomain);
        let size = files(&mut errors, object, "data", Form::Base64);
        if size > MAX_DATA {
            errors.too_long(&Path::root("data"), MAX_DATA);
        }
        of_type(&mut errors, object);
        errors.into_vec()
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::update(&mut errors, new, old);
        errors.immutable(&Path::root("type"), get(new, "type"), get(old, "type"));
        frozen(&mut errors, new, old, &["data"]);
        let mut errors = errors.into_vec();
        errors.extend(self.validate(new));
        errors
    }

    fn field(&self, object: &Value, path: &str) -> Option<String> {
        (path == "type").then(|| text(object, path).to_owned())
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Type", "string", "What the data is for."),
            column("Data", "string", "Number of entries."),
            AGE,
        ];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        vec![
            print::name(object),
            text(object, "type").into(),
            entries(object, "data").count().into(),
            print::age(object, now),
        ]
    }
}

/// What secrets of the known types must have.
fn of_type(errors: &mut Errors, object: &Value) {
    let data = Path::root("data");
    let has = |key: &str| get(object, "data").is_some_and(|d| d.get(key).is_some());
    let need = |errors: &mut Errors, keys: &[&str]| {
        for key in keys.iter().filter(|k| !has(k)) {
            errors.required(&data.key(key), "");
        }
    };
    match text(object, "type") {
        "kubernetes.io/service-account-token" => {
            const ANNOTATION: &str = "kubernetes.io/service-account.name";
            let account = get(object, "metadata.annotations")
                .and_then(|a| a.get(ANNOTATION))
                .and_then(Value::as_str)
                .unwrap_or_default();
            if account.is_empty() {
                errors.required(&Path::root("metadata.annotations").key(ANNOTATION), "");
            }
        }
        "kubernetes.io/dockercfg" => json_entry(errors, object, ".dockercfg"),
        "kubernetes.io/dockerconfigjson" => json_entry(errors, object, ".dockerconfigjson"),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            need(errors, &["username", "password"]);
        }
        "kubernetes.io/ssh-auth" => need(errors, &["ssh-privatekey"]),
        "kubernetes.io/tls" => need(errors, &["tls.crt", "tls.key"]),
        _ => {}
    }
}

fn json_entry(errors: &mut Errors, object: &Value, key: &str) {
    let data = Path::root("data");
    let Some(text) = get(object, "data")
        .and_then(|d| d.get(key))
        .and_then(Value::as_str)
    else {
        errors.required(&data.key(key), "");
        return;
    };
    let parses = STANDARD
        .decode(text)
        .is_ok_and(|bytes| serde_json::from_slice::<Value>(&bytes).is_ok());
    if !parses {
        // The value is secret: it stays out of the message.
        errors.invalid(
            &data.key(key),
            "<secret contents redacted>",
            "invalid character in JSON",
        );
    }
}
