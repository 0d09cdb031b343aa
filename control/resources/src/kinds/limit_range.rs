//! LimitRange.

use serde_json::Value;

use crate::{
    Column, Strategy,
    print::{self, PLAIN},
};

pub(crate) struct LimitRange;

impl Strategy for LimitRange {
    fn columns(&self) -> &'static [Column] {
        PLAIN
    }

    fn cells(&self, object: &Value, _now: i64) -> Vec<Value> {
        print::plain(object)
    }
}
