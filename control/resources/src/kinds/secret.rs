//! Secret.

use serde_json::Value;

use crate::{
    Column, Strategy,
    print::{self, AGE, NAME, column},
    value::{entries, text},
};

pub(crate) struct Secret;

impl Strategy for Secret {
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
