//! PriorityClass.

use serde_json::Value;

use crate::{
    Column, Part, Strategy, meta,
    print::{self, AGE, NAME, column},
    value::{flag, int, set_default, text},
};

pub(crate) struct PriorityClass;

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
