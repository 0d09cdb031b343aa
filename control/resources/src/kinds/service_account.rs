//! ServiceAccount.

use serde_json::Value;

use crate::{
    Column, Strategy,
    print::{self, AGE, NAME},
};

pub(crate) struct ServiceAccount;

impl Strategy for ServiceAccount {
    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, AGE];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        vec![print::name(object), print::age(object, now)]
    }
}
