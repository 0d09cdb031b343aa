//! Reading and writing fields of a `serde_json::Value` by dotted path. A JSON `null` counts as absent, as it does
//! when Kubernetes decodes an object.

use serde_json::{Map, Value};

/// The value at a dotted path such as `spec.nodeName`; `None` when absent or null. Path segments are plain field
/// names: label keys and list indexes are not reachable this way. The empty path is the value itself.
pub fn get<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = value;
    if !path.is_empty() {
        for key in path.split('.') {
            at = at.as_object()?.get(key)?;
        }
    }
    (!at.is_null()).then_some(at)
}

/// The string at a path; empty when absent or not a string.
pub fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    get(value, path).and_then(Value::as_str).unwrap_or_default()
}

/// The integer at a path.
pub fn int(value: &Value, path: &str) -> Option<i64> {
    get(value, path).and_then(Value::as_i64)
}

/// The boolean at a path; false when absent.
pub fn flag(value: &Value, path: &str) -> bool {
    get(value, path).and_then(Value::as_bool).unwrap_or_default()
}

/// The list at a path; empty when absent.
pub fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    get(value, path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The entries of the object at a path; none when absent.
pub fn entries<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    get(value, path)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(k, v)| (k.as_str(), v))
}

/// Whether there is anything but null at a path.
pub fn has(value: &Value, path: &str) -> bool {
    get(value, path).is_some()
}

/// The value at a path for changing; `None` when absent or null.
pub fn get_mut<'a>(value: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let mut at = value;
    if !path.is_empty() {
        for key in path.split('.') {
            at = at.as_object_mut()?.get_mut(key)?;
        }
    }
    (!at.is_null()).then_some(at)
}

/// The list at a path for changing; empty when absent.
pub fn list_mut<'a>(value: &'a mut Value, path: &str) -> &'a mut [Value] {
    get_mut(value, path)
        .and_then(Value::as_array_mut)
        .map_or(&mut [], Vec::as_mut_slice)
}

/// The object at a path for changing, made when absent. Something else than an object in the way is left alone:
/// `None`; validation reports it.
pub fn make_object<'a>(value: &'a mut Value, path: &str) -> Option<&'a mut Map<String, Value>> {
    let mut at = value;
    if !path.is_empty() {
        for key in path.split('.') {
            let map = at.as_object_mut()?;
            at = map.entry(key).or_insert(Value::Null);
            if at.is_null() {
                *at = Value::Object(Map::new());
            }
        }
    }
    at.as_object_mut()
}

/// Sets a path, making the objects on the way.
pub fn set(value: &mut Value, path: &str, to: impl Into<Value>) {
    let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
    if let Some(map) = make_object(value, parent) {
        map.insert(key.to_owned(), to.into());
    }
}

/// Sets `key` of an object unless it has a value already.
pub fn set_default(value: &mut Value, key: &str, to: impl Into<Value>) {
    if let Some(map) = value.as_object_mut()
        && map.get(key).is_none_or(Value::is_null)
    {
        map.insert(key.to_owned(), to.into());
    }
}

/// Sets `key` of an object when it is absent, null or the empty string: for string fields whose Go type has no
/// pointer, where empty means unset.
pub fn set_default_text(value: &mut Value, key: &str, to: &str) {
    if let Some(map) = value.as_object_mut()
        && map.get(key).is_none_or(|v| v.is_null() || v.as_str() == Some(""))
    {
        map.insert(key.to_owned(), to.into());
    }
}

/// Sets `key` of an object when it is absent, null or zero: for integer fields whose Go type has no pointer.
pub fn set_default_int(value: &mut Value, key: &str, to: i64) {
    if let Some(map) = value.as_object_mut()
        && map.get(key).is_none_or(|v| v.is_null() || v.as_i64() == Some(0))
    {
        map.insert(key.to_owned(), to.into());
    }
}

/// Removes the field at a path.
pub fn remove(value: &mut Value, path: &str) -> Option<Value> {
    let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
    get_mut(value, parent)?.as_object_mut()?.remove(key)
}

/// Makes the field at `path` in `to` what it is in `from`, absence included.
pub fn carry(path: &str, from: &Value, to: &mut Value) {
    match get(from, path) {
        Some(v) => set(to, path, v.clone()),
        None => {
            remove(to, path);
        }
    }
}

/// Whether two values mean the same: null, a missing field, and an empty list or object are equal, as in Kubernetes'
/// semantic comparison.
pub fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    fn empty(v: &Value) -> bool {
        match v {
            Value::Null => true,
            Value::Array(a) => a.is_empty(),
            Value::Object(m) => m.values().all(empty_field),
            _ => false,
        }
    }
    // An object inside an object is a choice somebody made (`emptyDir: {}`), so only null and empty lists vanish.
    fn empty_field(v: &Value) -> bool {
        v.is_null() || v.as_array().is_some_and(Vec::is_empty)
    }
    match (a, b) {
        (None, None) => true,
        (None, Some(v)) | (Some(v), None) => empty(v),
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            a.iter().all(|(k, v)| match b.get(k) {
                Some(w) => same(Some(v), Some(w)),
                None => empty_field(v) || v.as_object().is_some_and(Map::is_empty) && is_plain_map(k),
            }) && b.iter().all(|(k, v)| {
                a.contains_key(k)
                    || empty_field(v)
                    || v.as_object().is_some_and(Map::is_empty) && is_plain_map(k)
            })
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(v, w)| same(Some(v), Some(w)))
        }
        (Some(a), Some(b)) => a == b || empty(a) && empty(b),
    }
}

/// Fields that are maps of strings, where empty and absent are one.
fn is_plain_map(key: &str) -> bool {
    matches!(
        key,
        "labels"
            | "annotations"
            | "matchLabels"
            | "nodeSelector"
            | "selector"
            | "limits"
            | "requests"
            | "data"
            | "binaryData"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_and_empty_mean_absent() {
        assert!(same(
            Some(&json!({"a": null, "b": [], "c": 1})),
            Some(&json!({"c": 1}))
        ));
        assert!(same(Some(&json!({"labels": {}})), Some(&json!({}))));
        assert!(!same(Some(&json!({"emptyDir": {}})), Some(&json!({}))));
        assert!(!same(Some(&json!({"a": 1})), Some(&json!({"a": 2}))));
        assert!(same(None, Some(&json!({}))));
    }

    #[test]
    fn setting_a_path_makes_the_way() {
        let mut v = json!({"a": null});
        set(&mut v, "a.b.c", 1);
        assert_eq!(v, json!({"a": {"b": {"c": 1}}}));
        carry("a.x", &json!({"a": {"x": 2}}), &mut v);
        carry("a.b", &json!({}), &mut v);
        assert_eq!(v, json!({"a": {"x": 2}}));
    }
}
