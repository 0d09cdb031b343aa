//! Namespace.

use serde_json::{Value, json};

use crate::{
    Column, FieldError, Part, Strategy, meta,
    print::{self, AGE, NAME, column},
    validate::{
        Errors, Path,
        meta::{self as metadata, Scope},
        names,
    },
    value::{carry, list, make_object, set, text},
};

pub(crate) struct Namespace;

/// The finalizer that the namespace controller removes once everything inside is gone.
const FINALIZER: &str = "kubernetes";

impl Strategy for Namespace {
    fn default(&self, object: &mut Value) {
        label_with_name(object);
        make_object(object, "spec");
        make_object(object, "status");
    }

    fn prepare_create(&self, object: &mut Value) {
        // The name may have been made only after the defaults.
        label_with_name(object);
        set(object, "status", json!({"phase": "Active"}));
        if !list(object, "spec.finalizers").iter().any(|f| f == FINALIZER) {
            let mut finalizers = list(object, "spec.finalizers").to_vec();
            finalizers.push(FINALIZER.into());
            set(object, "spec.finalizers", finalizers);
        }
        meta::without_generation(object);
    }

    fn prepare_update(&self, part: Part, new: &mut Value, old: &Value) {
        // Finalizers change through `finalize` only, which in turn changes nothing else.
        match part {
            Part::Main => {
                carry("spec.finalizers", old, new);
                carry("status", old, new);
            }
            Part::Status => carry("spec", old, new),
            Part::Other(_) => carry("status", old, new),
        }
        meta::keep_generation(new, old);
    }

    fn field(&self, object: &Value, path: &str) -> Option<String> {
        match path {
            "status.phase" => Some(text(object, path).to_owned()),
            "name" => Some(text(object, "metadata.name").to_owned()),
            _ => None,
        }
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, Scope::Cluster, names::dns1123_label);
        let path = Path::root("spec.finalizers");
        for (i, finalizer) in list(object, "spec.finalizers").iter().enumerate() {
            metadata::finalizer(
                &mut errors,
                &path.index(i),
                finalizer.as_str().unwrap_or_default(),
            );
        }
        errors.into_vec()
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Status", "string", "Active, or Terminating while it is emptied."),
            AGE,
        ];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        vec![
            print::name(object),
            text(object, "status.phase").into(),
            print::age(object, now),
        ]
    }
}

fn label_with_name(object: &mut Value) {
    let name = text(object, "metadata.name").to_owned();
    if !name.is_empty()
        && let Some(labels) = make_object(object, "metadata.labels")
    {
        labels.insert("kubernetes.io/metadata.name".to_owned(), name.into());
    }
}
