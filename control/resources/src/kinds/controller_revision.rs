//! ControllerRevision.

use serde_json::Value;

use crate::{
    Column, Strategy,
    print::{self, AGE, NAME, column},
    value::{flag, get, list, text},
};

pub(crate) struct ControllerRevision;

impl Strategy for ControllerRevision {
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
