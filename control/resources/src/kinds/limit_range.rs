//! LimitRange.

use serde_json::Value;

use super::pod::resources;

use crate::{
    Column, Strategy,
    print::{self, PLAIN},
    value::{entries, get_mut, list_mut, make_object, text},
};

pub(crate) struct LimitRange;

/// The amounts of a limit that may be given.
const AMOUNTS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];

impl Strategy for LimitRange {
    fn default(&self, object: &mut Value) {
        for limit in list_mut(object, "spec.limits") {
            for field in AMOUNTS {
                if let Some(amounts) = get_mut(limit, field) {
                    resources::canonicalize(amounts);
                }
            }
            if text(limit, "type") == "Container" {
                fill(limit, "max", "default");
                fill(limit, "default", "defaultRequest");
                fill(limit, "min", "defaultRequest");
            }
        }
    }

    fn columns(&self) -> &'static [Column] {
        PLAIN
    }

    fn cells(&self, object: &Value, _now: i64) -> Vec<Value> {
        print::plain(object)
    }
}

/// Copies the amounts that `to` lacks.
fn fill(limit: &mut Value, from: &str, to: &str) {
    let amounts: Vec<(String, Value)> = entries(limit, from)
        .map(|(name, amount)| (name.to_owned(), amount.clone()))
        .collect();
    if amounts.is_empty() {
        return;
    }
    if let Some(target) = make_object(limit, to) {
        for (name, amount) in amounts {
            target.entry(name).or_insert(amount);
        }
    }
}
