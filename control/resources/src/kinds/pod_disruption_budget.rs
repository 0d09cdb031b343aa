//! PodDisruptionBudget.

use serde_json::{Value, json};

use crate::{
    Column, FieldError, Part, Strategy, meta,
    print::{self, AGE, NAME, column},
    validate::{
        Errors, Path, count_or_percent, labels,
        meta::{self as metadata, Scope},
        names, percent,
    },
    value::{get, int, set, text},
};

pub(crate) struct PodDisruptionBudget;

impl Strategy for PodDisruptionBudget {
    fn prepare_create(&self, object: &mut Value) {
        set(
            object,
            "status",
            json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0}),
        );
        meta::first_generation(object);
    }

    fn prepare_update(&self, part: Part, new: &mut Value, old: &Value) {
        meta::separate_status(part, new, old);
        match part {
            Part::Status => meta::keep_generation(new, old),
            _ => meta::count_changes(new, old, &["spec"]),
        }
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, Scope::Namespaced, names::dns1123_subdomain);
        let path = Path::root("spec");
        let (least, most) = (
            get(object, "spec.minAvailable"),
            get(object, "spec.maxUnavailable"),
        );
        if least.is_some() && most.is_some() {
            errors.invalid(
                &path,
                get(object, "spec").cloned().unwrap_or_default(),
                "minAvailable and maxUnavailable cannot be both set",
            );
        }
        for (field, value) in [("minAvailable", least), ("maxUnavailable", most)] {
            count_or_percent(&mut errors, &path.field(field), value);
            if percent(value).is_some_and(|p| p > 100) {
                errors.invalid(
                    &path.field(field),
                    value.cloned().unwrap_or_default(),
                    "must not be greater than 100%",
                );
            }
        }
        labels::selector(&mut errors, &path.field("selector"), get(object, "spec.selector"));
        errors.one_of(
            &path.field("unhealthyPodEvictionPolicy"),
            text(object, "spec.unhealthyPodEvictionPolicy"),
            &["AlwaysAllow", "IfHealthyBudget"],
            false,
        );
        errors.into_vec()
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Min Available", "string", "Pods that must stay available."),
            column("Max Unavailable", "string", "Pods that may be unavailable."),
            column("Allowed Disruptions", "integer", "Evictions allowed now."),
            AGE,
        ];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        let amount = |path| -> Value {
            print::int_or_text(object, path)
                .unwrap_or_else(|| "N/A".to_owned())
                .into()
        };
        vec![
            print::name(object),
            amount("spec.minAvailable"),
            amount("spec.maxUnavailable"),
            int(object, "status.disruptionsAllowed")
                .unwrap_or_default()
                .into(),
            print::age(object, now),
        ]
    }
}
