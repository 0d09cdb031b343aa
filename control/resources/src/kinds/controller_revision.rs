//! ControllerRevision.

use serde_json::Value;

use crate::{
    Column, FieldError, Part, Strategy,
    print::{self, AGE, NAME, column},
    validate::{
        Errors, Path,
        meta::{self as metadata, Scope},
        names,
    },
    value::{flag, get, int, list, text},
};

pub(crate) struct ControllerRevision;

impl Strategy for ControllerRevision {
    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, Scope::Namespaced, names::dns1123_subdomain);
        if get(object, "data").is_none() {
            errors.required(&Path::root("data"), "data is mandatory");
        }
        errors.not_negative(&Path::root("revision"), int(object, "revision"));
        errors.into_vec()
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::update(&mut errors, new, old);
        errors.immutable(&Path::root("data"), get(new, "data"), get(old, "data"));
        let mut errors = errors.into_vec();
        errors.extend(self.validate(new));
        errors
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Controller", "string", "The controller that owns the revision."),
            column("Revision", "string", "The number of the revision."),
            AGE,
        ];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        let controller = list(object, "metadata.ownerReferences")
            .iter()
            .find(|o| flag(o, "controller"))
            .map_or_else(
                || "<none>".to_owned(),
                |o| {
                    let group = text(o, "apiVersion")
                        .split_once('/')
                        .map_or("", |(group, _)| group);
                    let kind = text(o, "kind").to_lowercase();
                    let dot = if group.is_empty() { "" } else { "." };
                    format!("{kind}{dot}{group}/{}", text(o, "name"))
                },
            );
        vec![
            print::name(object),
            controller.into(),
            get(object, "revision").cloned().unwrap_or(0.into()),
            print::age(object, now),
        ]
    }
}
