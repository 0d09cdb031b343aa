//! Lease.

use serde_json::Value;

use crate::{
    Column, Strategy,
    print::{self, AGE, NAME, column},
    value::text,
};

pub(crate) struct Lease;

impl Strategy for Lease {
    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, column("Holder", "string", "Who holds the lease."), AGE];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        vec![
            print::name(object),
            text(object, "spec.holderIdentity").into(),
            print::age(object, now),
        ]
    }
}
