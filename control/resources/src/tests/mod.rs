//! Tests over the whole table and tables of expectations per kind.

mod columns;
mod defaults;
mod rows;
mod updates;
mod validation;

use serde_json::Value;

use crate::{Resource, find_kind};

/// The row an object belongs to.
fn row(object: &Value) -> &'static Resource {
    let (version, kind) = (
        object["apiVersion"].as_str().unwrap(),
        object["kind"].as_str().unwrap(),
    );
    find_kind(version, kind).unwrap_or_else(|| panic!("no row for {version} {kind}"))
}

/// The errors of a new object after defaults, as `field: message`.
fn errors(mut object: Value) -> Vec<String> {
    let strategy = row(&object).strategy;
    strategy.to_storage(&mut object);
    strategy.default(&mut object);
    strategy.prepare_create(&mut object);
    strategy.default(&mut object);
    shown(strategy.validate(&object))
}

fn shown(errors: Vec<crate::FieldError>) -> Vec<String> {
    errors
        .into_iter()
        .map(|e| format!("{}: {}", e.field, e.message))
        .collect()
}

/// A good object of every kind that is stored.
fn samples() -> Vec<Value> {
    let text = include_str!("samples.json");
    serde_json::from_str(text).expect("samples are JSON")
}
