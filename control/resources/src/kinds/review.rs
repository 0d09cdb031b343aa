//! Kinds that are never stored: access and token reviews, bindings, which the API server answers, and definitions of
//! custom resources, of which there are none.

use serde_json::Value;

use crate::{
    Column, Strategy,
    print::{self, PLAIN},
};

/// A request in the form of an object.
pub(crate) struct Virtual;

impl Strategy for Virtual {
    fn columns(&self) -> &'static [Column] {
        PLAIN
    }

    fn cells(&self, object: &Value, _now: i64) -> Vec<Value> {
        print::plain(object)
    }
}
