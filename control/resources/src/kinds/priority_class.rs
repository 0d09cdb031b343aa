//! PriorityClass.

use serde_json::Value;

use crate::{
    Column, FieldError, Part, Strategy, meta,
    print::{self, AGE, NAME, column},
    validate::{
        Errors, Path,
        meta::{self as metadata, Scope},
        names,
    },
    value::{flag, get, int, set_default, text},
};

pub(crate) struct PriorityClass;

/// The highest value for classes of users.
const HIGHEST: i64 = 1_000_000_000;
/// The classes every cluster has.
const SYSTEM: [(&str, i64); 2] = [
    ("system-cluster-critical", 2_000_000_000),
    ("system-node-critical", 2_000_001_000),
];

impl Strategy for PriorityClass {
    fn default(&self, object: &mut Value) {
        set_default(object, "preemptionPolicy", "PreemptLowerPriority");
    }

    fn prepare_create(&self, object: &mut Value) {
        meta::first_generation(object);
    }

    fn prepare_update(&self, _part: Part, new: &mut Value, old: &Value) {
        meta::keep_generation(new, old);
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, Scope::Cluster, names::dns1123_subdomain);
        let name = text(object, "metadata.name");
        let value = int(object, "value").unwrap_or_default();
        match SYSTEM.iter().find(|(known, _)| *known == name) {
            Some((_, known)) if *known == value => {}
            None if !name.starts_with("system-") => {
                if value > HIGHEST {
                    errors.forbidden(
                        &Path::root("value"),
                        &format!("maximum allowed value of a user defined priority is {HIGHEST}"),
                    );
                }
            }
            _ => errors.forbidden(
                &Path::root("metadata.name"),
                &format!(
                    "priority class names with 'system-' prefix are reserved for system use only. error: {name} is not a known system priority class"
                ),
            ),
        }
        errors.one_of(
            &Path::root("preemptionPolicy"),
            text(object, "preemptionPolicy"),
            &["Never", "PreemptLowerPriority"],
            true,
        );
        errors.into_vec()
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::update(&mut errors, new, old);
        let value = |o| int(o, "value").unwrap_or_default();
        if value(new) != value(old) {
            errors.forbidden(&Path::root("value"), "may not be changed in an update.");
        }
        errors.immutable(
            &Path::root("preemptionPolicy"),
            get(new, "preemptionPolicy"),
            get(old, "preemptionPolicy"),
        );
        let mut errors = errors.into_vec();
        errors.extend(self.validate(new));
        errors
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Value", "integer", "The priority."),
            column("Global-Default", "boolean", "For pods that name no class."),
            AGE,
            column(
                "PreemptionPolicy",
                "string",
                "Whether it pushes out lower priorities.",
            ),
        ];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        vec![
            print::name(object),
            int(object, "value").unwrap_or_default().into(),
            flag(object, "globalDefault").into(),
            print::age(object, now),
            text(object, "preemptionPolicy").into(),
        ]
    }
}
