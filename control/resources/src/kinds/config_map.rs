//! ConfigMap.

use serde_json::Value;

use crate::{
    Column, Strategy,
    print::{self, AGE, NAME, column},
    value::entries,
};

pub(crate) struct ConfigMap;

impl Strategy for ConfigMap {
    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, column("Data", "string", "Number of entries."), AGE];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        let count = entries(object, "data").count() + entries(object, "binaryData").count();
        vec![print::name(object), count.into(), print::age(object, now)]
    }
}
