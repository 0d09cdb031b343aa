//! Strategic merge patch: lists merged by key, directives, and the order of the result.
//!
//! Source: "Update API Objects in Place Using kubectl patch" and the design proposals "Strategic Merge Patch",
//! "preserve order in strategic merge patch" of Kubernetes.

use serde_json::{Map, Value};

use crate::facts::{Field, MERGE, REPLACE, Shape};
use crate::{PatchError, Type};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ORDER: &str = "$setElementOrder/";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

type Object = Map<String, Value>;

/// Kubernetes' strategic merge patch with the published merge keys and the directives `$patch`, `$retainKeys`,
/// `$setElementOrder/…` and `$deleteFromPrimitiveList/…`.
///
/// # Errors
/// `BadRequest` for a malformed patch (directives of the wrong form, list elements without their merge key),
/// `Invalid` for lists of lists.
pub fn strategic_merge_patch(object: &Value, patch: &Value, ty: Type) -> Result<Value, PatchError> {
    let (Value::Object(original), Value::Object(patch)) = (object, patch) else {
        return Err(PatchError::BadRequest("invalid JSON document".into()));
    };
    merge_map(original.clone(), patch.clone(), Some(Shape::Object(ty.0))).map(Value::Object)
}

/// What the schema says about a member of an object.
#[derive(Clone, Copy)]
struct Meta {
    shape: Option<Shape>,
    merge: bool,
    replace: bool,
    key: &'static str,
}

impl Meta {
    fn of(parent: Option<Shape>, name: &str) -> Meta {
        let field: Option<&'static Field> = match parent {
            Some(Shape::Object(of) | Shape::Granular(of)) => of.field(name),
            _ => None,
        };
        match field {
            Some(field) => Meta {
                shape: Some(field.shape),
                merge: field.flags & MERGE != 0,
                replace: field.flags & REPLACE != 0,
                key: field.merge_key,
            },
            None => Meta {
                shape: parent.and_then(|shape| shape.member(name)),
                merge: false,
                replace: false,
                key: "",
            },
        }
    }

    fn items(self) -> Option<Shape> {
        match self.shape {
            Some(Shape::List(list)) => Some(list.items),
            _ => None,
        }
    }
}

fn merge_map(mut original: Object, mut patch: Object, shape: Option<Shape>) -> Result<Object, PatchError> {
    if let Some(directive) = patch.remove(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => Ok(patch),
            Some("delete") => Ok(Object::new()),
            _ => Err(bad_directive(&directive, &patch)),
        };
    }
    retain_keys(&mut original, &mut patch)?;
    merge_ordered_lists(&mut original, &mut patch, shape)?;
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix(DELETE_FROM) {
            delete_from_list(&mut original, list, value)?;
            continue;
        }
        if value.is_null() {
            original.remove(&name);
            continue;
        }
        let meta = Meta::of(shape, &name);
        let merged = match (original.remove(&name), value) {
            (Some(Value::Object(old)), Value::Object(new)) if !meta.replace => {
                Value::Object(merge_map(old, new, meta.shape)?)
            }
            (Some(Value::Array(old)), Value::Array(new)) if meta.merge => {
                Value::Array(merge_list(old, new, meta, None)?)
            }
            (_, value) => without_directives(value),
        };
        original.insert(name, merged);
    }
    Ok(original)
}

/// `$retainKeys`: members not named are dropped; the patch may not set others.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), PatchError> {
    let Some(retained) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let malformed = || PatchError::BadRequest("invalid patch format of retainKeys".into());
    let retained = retained.as_array().ok_or_else(malformed)?;
    let named = |name: &str| retained.iter().any(|item| item.as_str() == Some(name));
    let directive = |name: &str| name.starts_with(DELETE_FROM) || name.starts_with(SET_ORDER);
    if patch
        .iter()
        .any(|(name, value)| !value.is_null() && !directive(name) && !named(name))
    {
        return Err(malformed());
    }
    original.retain(|name, _| named(name));
    Ok(())
}

/// Merges the lists that have a `$setElementOrder/…` beside them, and takes both out of the patch.
fn merge_ordered_lists(
    original: &mut Object,
    patch: &mut Object,
    shape: Option<Shape>,
) -> Result<(), PatchError> {
    let ordered: Vec<String> = patch
        .keys()
        .filter(|name| name.starts_with(SET_ORDER))
        .cloned()
        .collect();
    for directive in ordered {
        let malformed = || PatchError::BadRequest("invalid patch format of setElementOrder list".into());
        let Some(Value::Array(order)) = patch.remove(&directive) else {
            return Err(malformed());
        };
        let name = &directive[SET_ORDER.len()..];
        let meta = Meta::of(shape, name);
        let old = match original.remove(name) {
            None => None,
            Some(Value::Array(list)) => Some(list),
            Some(_) => return Err(malformed()),
        };
        // An explicit null beside the order clears the list.
        if patch.get(name).is_some_and(Value::is_null) {
            continue;
        }
        let new = match patch.remove(name) {
            None => None,
            Some(Value::Array(list)) => Some(list),
            Some(_) => return Err(malformed()),
        };
        check_order(new.as_deref().unwrap_or_default(), &order, meta.key)?;
        let merged = match (old, new) {
            (None, None) => continue,
            (Some(old), None) => arrange(old.clone(), &order, &old, meta.key)?,
            (None, Some(new)) => {
                let new: Vec<Value> = new
                    .into_iter()
                    .filter(|item| directive_of(item).is_none())
                    .collect();
                arrange(
                    new.into_iter().map(without_directives).collect(),
                    &order,
                    &[],
                    meta.key,
                )?
            }
            (Some(old), Some(new)) if meta.merge => merge_list(old, new, meta, Some(&order))?,
            (Some(old), Some(new)) => arrange(new, &order, &old, meta.key)?,
        };
        original.insert(name.to_owned(), Value::Array(merged));
    }
    Ok(())
}

/// The items of the patch must come in the order the directive gives.
fn check_order(list: &[Value], order: &[Value], key: &str) -> Result<(), PatchError> {
    if order.is_empty() {
        return Ok(());
    }
    let mut expected = order.iter();
    for item in list.iter().filter(|item| directive_of(item).is_none()) {
        if !expected.any(|other| same_item(item, other, key)) {
            return Err(PatchError::BadRequest(format!(
                "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                go(&Value::Array(list.to_vec())),
                go(&Value::Array(order.to_vec())),
            )));
        }
    }
    Ok(())
}

fn delete_from_list(original: &mut Object, name: &str, doomed: Value) -> Result<(), PatchError> {
    let Value::Array(doomed) = doomed else {
        return Err(PatchError::BadRequest(
            "invalid patch format of primitive list".into(),
        ));
    };
    if let Some(Value::Array(list)) = original.get_mut(name) {
        list.retain(|item| !doomed.contains(item));
    }
    Ok(())
}

/// Merges lists of scalars as sets, lists of objects by key. `order` is the `$setElementOrder` of the list.
fn merge_list(
    mut old: Vec<Value>,
    new: Vec<Value>,
    meta: Meta,
    order: Option<&[Value]>,
) -> Result<Vec<Value>, PatchError> {
    if old.iter().chain(&new).any(Value::is_array) {
        return Err(PatchError::Invalid("lists of lists are not supported".into()));
    }
    let objects = old.iter().chain(&new).any(Value::is_object);
    if !objects {
        let mut merged: Vec<Value> = Vec::with_capacity(old.len() + new.len());
        for item in old.iter().chain(&new) {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        return arrange(merged, order.unwrap_or(&new), &old, "");
    }
    if meta.key.is_empty() {
        return Err(PatchError::BadRequest(
            "cannot merge lists without merge key".into(),
        ));
    }
    let mut replace = false;
    let mut additions = Vec::with_capacity(new.len());
    for item in new {
        match directive_of(&item).map(Value::as_str) {
            None => additions.push(item),
            Some(Some("delete")) => {
                let doomed = key_of(&item, meta.key)?.clone();
                for other in &old {
                    key_of(other, meta.key)?;
                }
                old.retain(|other| other.get(meta.key) != Some(&doomed));
            }
            Some(Some("replace")) => replace = true,
            Some(Some("merge")) => {
                return Err(PatchError::BadRequest(
                    "merging lists cannot yet be specified in the patch".into(),
                ));
            }
            Some(_) => {
                let map = item.as_object().cloned().unwrap_or_default();
                return Err(bad_directive(&map[DIRECTIVE], &map));
            }
        }
    }
    if replace {
        // As they are: among new items alone there may be several with one key, as with the addresses of a Node.
        let new = additions.into_iter().map(without_directives).collect();
        return arrange(new, order.unwrap_or_default(), &[], meta.key);
    }
    let keys = additions.clone();
    let mut merged = old.clone();
    for item in additions {
        let key = key_of(&item, meta.key)?.clone();
        let at = merged.iter().position(|other| other.get(meta.key) == Some(&key));
        match (at, item) {
            (Some(at), Value::Object(patch)) => {
                let Value::Object(into) = merged[at].take() else {
                    return Err(PatchError::BadRequest(
                        "expected objects in a list merged by key".into(),
                    ));
                };
                merged[at] = Value::Object(merge_map(into, patch, meta.items())?);
            }
            (_, item) => merged.push(without_directives(item)),
        }
    }
    arrange(merged, order.unwrap_or(&keys), &old, meta.key)
}

/// Orders `merged`: items in `order` come in that order; the others keep the order of `live` and are put before
/// the first item that follows them there. New items that `live` does not know come first.
fn arrange(merged: Vec<Value>, order: &[Value], live: &[Value], key: &str) -> Result<Vec<Value>, PatchError> {
    if !key.is_empty() {
        for item in merged.iter().chain(order) {
            key_of(item, key)?;
        }
    }
    let place = |list: &[Value], item: &Value| list.iter().position(|other| same_item(item, other, key));
    let (mut ordered, mut others) = (Vec::new(), Vec::new());
    for item in merged {
        match place(order, &item) {
            Some(at) => ordered.push((at, item)),
            None => others.push((place(live, &item).unwrap_or(usize::MAX), item)),
        }
    }
    ordered.sort_by_key(|(at, _)| *at);
    others.sort_by_key(|(at, _)| *at);
    let mut result = Vec::with_capacity(ordered.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (_, item) in ordered {
        if let Some(mine) = place(live, &item) {
            while let Some((_, other)) = others.next_if(|(at, _)| *at < mine) {
                result.push(other);
            }
        }
        result.push(item);
    }
    result.extend(others.map(|(_, item)| item));
    Ok(result)
}

fn same_item(a: &Value, b: &Value, key: &str) -> bool {
    match key {
        "" => a == b,
        key => a.get(key).is_some() && a.get(key) == b.get(key),
    }
}

fn key_of<'a>(item: &'a Value, key: &str) -> Result<&'a Value, PatchError> {
    item.get(key).ok_or_else(|| {
        PatchError::BadRequest(format!(
            "map: {} does not contain declared merge key: {key}",
            go(item)
        ))
    })
}

fn directive_of(item: &Value) -> Option<&Value> {
    item.get(DIRECTIVE)
}

fn bad_directive(directive: &Value, map: &Object) -> PatchError {
    PatchError::BadRequest(format!(
        "unknown patch type: {} in map: {}",
        go(directive),
        go(&Value::Object(map.clone()))
    ))
}

/// A value of the patch that meets nothing in the object: directives and nulls have no place in it.
fn without_directives(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .filter(|(name, value)| !value.is_null() && !is_directive(name))
                .map(|(name, value)| (name, without_directives(value)))
                .collect(),
        ),
        Value::Array(list) => Value::Array(
            list.into_iter()
                .filter(|item| directive_of(item).is_none())
                .map(without_directives)
                .collect(),
        ),
        other => other,
    }
}

fn is_directive(name: &str) -> bool {
    name == DIRECTIVE || name == RETAIN_KEYS || name.starts_with(SET_ORDER) || name.starts_with(DELETE_FROM)
}

/// A value as Go's `%v` prints it, for error messages.
fn go(value: &Value) -> String {
    let joined = |items: Vec<String>| items.join(" ");
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Array(list) => format!("[{}]", joined(list.iter().map(go).collect())),
        Value::Object(map) => {
            let mut items: Vec<_> = map
                .iter()
                .map(|(name, value)| format!("{name}:{}", go(value)))
                .collect();
            items.sort();
            format!("map[{}]", joined(items))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
