//! JSON patch, merge patch and strategic merge patch, as the API server applies them.

mod strategic;

use serde_json::Value;

use crate::PatchError;
pub use strategic::strategic_merge_patch;

/// The most operations a JSON patch may have; Kubernetes' limit against floods of `copy`.
const MAX_OPERATIONS: usize = 10_000;

/// RFC 6902. `patch` is an array of operations.
///
/// As in Kubernetes, `test` of a missing path against null holds, and negative list indices count from the end.
///
/// # Errors
/// `BadRequest` for what is no patch; `Invalid` for one that does not apply (a `test` that fails, a missing path).
/// Kubernetes hides the reason of the latter; its `Status` says
/// "the server rejected our request due to an error in our request".
pub fn json_patch(object: &Value, patch: &Value) -> Result<Value, PatchError> {
    let operations = patch
        .as_array()
        .ok_or_else(|| PatchError::BadRequest("a JSON patch is an array of operations".into()))?;
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::BadRequest(format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    let mut object = object.clone();
    for operation in operations {
        let mut operation = operation.clone();
        for name in ["path", "from"] {
            if let Some(Value::String(pointer)) = operation.get_mut(name) {
                resolve_negative_index(&object, pointer);
            }
        }
        let parsed: json_patch::PatchOperation = serde_json::from_value(operation)
            .map_err(|error| PatchError::BadRequest(format!("error decoding patch: {error}")))?;
        if let json_patch::PatchOperation::Test(test) = &parsed
            && test.value.is_null()
            && test.path.resolve(&object).is_err()
        {
            continue;
        }
        json_patch::patch(&mut object, std::slice::from_ref(&parsed))
            .map_err(|error| refused(&parsed, error))?;
    }
    Ok(object)
}

fn refused(operation: &json_patch::PatchOperation, error: json_patch::PatchError) -> PatchError {
    use json_patch::PatchOperation as Op;
    let (name, path) = match operation {
        Op::Test(test) => {
            return PatchError::Invalid(format!("testing value {} failed: test failed", test.path));
        }
        Op::Add(op) => ("add", &op.path),
        Op::Remove(op) => ("remove", &op.path),
        Op::Replace(op) => ("replace", &op.path),
        Op::Move(op) => ("move", &op.path),
        Op::Copy(op) => ("copy", &op.path),
    };
    PatchError::Invalid(format!(
        "{name} operation does not apply at \"{path}\": {}",
        error.kind
    ))
}

/// Turns the last segment `-N` of a pointer into a list into the index it stands for.
fn resolve_negative_index(object: &Value, pointer: &mut String) {
    if let Some((parent, last)) = pointer.rsplit_once('/')
        && let Some(back) = last
            .strip_prefix('-')
            .and_then(|digits| digits.parse::<usize>().ok())
        && let Some(Value::Array(list)) = object.pointer(parent)
        && (1..=list.len()).contains(&back)
    {
        *pointer = format!("{parent}/{}", list.len() - back);
    }
}

/// RFC 7386.
pub fn merge_patch(object: &Value, patch: &Value) -> Value {
    let mut object = object.clone();
    json_patch::merge(&mut object, patch);
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_patch_applies_operations_in_order() {
        let object = json!({"metadata": {"labels": {"a": "1"}}, "list": [1, 2, 3]});
        let patch = json!([
            {"op": "test", "path": "/metadata/labels/a", "value": "1"},
            {"op": "add", "path": "/metadata/labels/b~1c", "value": "2"},
            {"op": "replace", "path": "/list/-1", "value": 9},
            {"op": "remove", "path": "/list/0"},
            {"op": "add", "path": "/list/-", "value": 4},
            {"op": "test", "path": "/metadata/missing", "value": null},
        ]);
        let expected = json!({"metadata": {"labels": {"a": "1", "b/c": "2"}}, "list": [2, 9, 4]});
        assert_eq!(json_patch(&object, &patch), Ok(expected));
    }

    #[test]
    fn json_patch_that_does_not_apply_is_invalid_and_malformed_one_a_bad_request() {
        let object = json!({"a": 1});
        let test = json!([{"op": "test", "path": "/a", "value": 2}]);
        let expected = PatchError::Invalid("testing value /a failed: test failed".into());
        assert_eq!(json_patch(&object, &test), Err(expected));
        for patch in [
            json!([{"op": "remove", "path": "/b"}]),
            json!([{"op": "replace", "path": "/b", "value": 1}]),
            json!([{"op": "add", "path": "/b/c", "value": 1}]),
        ] {
            assert!(
                matches!(json_patch(&object, &patch), Err(PatchError::Invalid(_))),
                "{patch}"
            );
        }
        for patch in [
            json!({}),
            json!([{"op": "jump", "path": "/a"}]),
            json!([{"path": "/a"}]),
        ] {
            assert!(
                matches!(json_patch(&object, &patch), Err(PatchError::BadRequest(_))),
                "{patch}"
            );
        }
    }

    #[test]
    fn merge_patch_deletes_by_null_and_replaces_lists() {
        let object = json!({"a": {"b": 1, "c": 2}, "l": [1, 2]});
        let patch = json!({"a": {"b": null, "d": {"e": null}}, "l": [3]});
        assert_eq!(
            merge_patch(&object, &patch),
            json!({"a": {"c": 2, "d": {}}, "l": [3]})
        );
    }

    mod properties {
        use proptest::prelude::*;

        use super::*;

        fn json_value() -> impl Strategy<Value = Value> {
            let leaf = prop_oneof![
                Just(Value::Null),
                any::<bool>().prop_map(Value::from),
                "[a-c/~]{0,2}".prop_map(Value::from)
            ];
            leaf.prop_recursive(3, 16, 3, |inner| {
                prop_oneof![
                    prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
                    prop::collection::btree_map("[a-c/~]{1,2}", inner, 0..3)
                        .prop_map(|map| Value::Object(map.into_iter().collect())),
                ]
            })
        }

        proptest! {
            #[test]
            fn the_patch_of_a_difference_makes_the_difference(from in json_value(), to in json_value()) {
                let patch = serde_json::to_value(json_patch::diff(&from, &to)).unwrap();
                prop_assert_eq!(super::json_patch(&from, &patch), Ok(to));
            }

            #[test]
            fn merging_twice_is_merging_once(object in json_value(), patch in json_value()) {
                let once = merge_patch(&object, &patch);
                prop_assert_eq!(merge_patch(&once, &patch), once);
            }
        }
    }
}
