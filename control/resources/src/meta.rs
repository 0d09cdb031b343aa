//! What strategies have in common when an object is written: status apart from spec, and `metadata.generation`.

use serde_json::Value;

use crate::{
    Part,
    value::{carry, get, int, remove, same, set},
};

/// A create of a kind that has no generation.
pub(crate) fn without_generation(object: &mut Value) {
    remove(object, "metadata.generation");
}

/// A create of a kind that counts changes of its spec.
pub(crate) fn first_generation(object: &mut Value) {
    set(object, "metadata.generation", 1);
}

/// Clients may not set status with the object.
pub(crate) fn clear_status(object: &mut Value) {
    set(object, "status", serde_json::json!({}));
}

/// The generation stays what it was.
pub(crate) fn keep_generation(new: &mut Value, old: &Value) {
    carry("metadata.generation", old, new);
}

/// The generation goes up when any of `fields` means something else than before.
pub(crate) fn count_changes(new: &mut Value, old: &Value, fields: &[&str]) {
    keep_generation(new, old);
    if fields.iter().any(|f| !same(get(new, f), get(old, f))) {
        let generation = int(old, "metadata.generation").unwrap_or_default();
        set(new, "metadata.generation", generation + 1);
    }
}

/// An update of a kind with `spec` and `status`: each part keeps the other as stored.
pub(crate) fn separate_status(part: Part, new: &mut Value, old: &Value) {
    match part {
        Part::Main => carry("status", old, new),
        Part::Status => carry("spec", old, new),
        Part::Other(_) => {}
    }
}
