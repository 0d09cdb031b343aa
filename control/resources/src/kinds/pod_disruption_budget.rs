//! PodDisruptionBudget.

use serde_json::{Value, json};

use crate::{
    Column, Part, Strategy, meta,
    print::{self, AGE, NAME, column},
    value::{int, set},
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
