//! Walks over objects by schema: which fields an object has, what differs between two, merging one into the other,
//! taking fields out.
//!
//! Source: the merge strategy section of "Server-Side Apply" in the Kubernetes documentation; the behaviour at the
//! edges (empty containers, order of merged lists) is that of the structured-merge-diff library Kubernetes uses.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::set::{FieldSet, key_edge, print_edge, push_json};
use crate::facts::{Field, List, ListKind, REQUIRED, Shape};

/// How a value takes part.
#[derive(Clone, Copy)]
enum Node {
    /// Owned and replaced as a whole.
    Leaf,
    /// Members one by one.
    Object,
    /// Items one by one.
    Items(&'static List),
}

fn node(shape: Shape, value: &Value) -> Node {
    match shape {
        Shape::Object(of) if !of.atomic => Node::Object,
        Shape::Granular(_) => Node::Object,
        Shape::Map(map) if !map.atomic => Node::Object,
        Shape::List(list) if !matches!(list.kind, ListKind::Atomic) => Node::Items(list),
        Shape::Any(_) if value.is_object() => Node::Object,
        _ => Node::Leaf,
    }
}

/// The shape of a member, and its field when the object is a struct.
fn member(shape: Shape, name: &str) -> (Shape, Option<&'static Field>) {
    match shape {
        Shape::Object(of) | Shape::Granular(of) => {
            let field = of.field(name);
            (field.map_or(Shape::Any(""), |field| field.shape), field)
        }
        Shape::Map(map) => (map.values, None),
        _ => (Shape::Any(""), None),
    }
}

/// The edge of a list item.
fn item_edge(list: &List, item: &Value) -> Result<String, String> {
    match list.kind {
        ListKind::Keyed(keys) => {
            let Some(object) = item.as_object() else {
                return Err("associative list with keys may not have non-map elements".into());
            };
            let defaults: Vec<Value> = keys
                .iter()
                .map(|key| key.1.map_or(Value::Null, Value::from))
                .collect();
            let present = keys
                .iter()
                .zip(&defaults)
                .filter_map(|(key, default)| match object.get(key.0) {
                    Some(value) => Some((key.0, value)),
                    None if key.1.is_some() => Some((key.0, default)),
                    None => None,
                });
            let edge = key_edge(present);
            if edge == "k:{}" {
                let names: Vec<_> = keys.iter().map(|key| format!("{:?}", key.0)).collect();
                return Err(format!(
                    "associative list with keys has an element that omits all key fields [{}] (and doesn't have \
                     default values for any key fields)",
                    names.join(" ")
                ));
            }
            Ok(edge)
        }
        _ => match item {
            Value::Object(_) => Err("associative list without keys has an element that's a map type".into()),
            Value::Array(_) => Err("not supported: associative list with lists as elements".into()),
            Value::Null => Err("associative list without keys has an element that's an explicit null".into()),
            scalar => {
                let mut edge = String::from("v:");
                push_json(&mut edge, scalar);
                Ok(edge)
            }
        },
    }
}

/// The edges of all items; `None`: some item has none, so the list is taken as a whole.
fn item_edges(list: &List, items: &[Value]) -> Option<Vec<String>> {
    items.iter().map(|item| item_edge(list, item).ok()).collect()
}

/// Every field and item mentioned in `value`.
pub(super) fn field_set(value: &Value, shape: Shape) -> FieldSet {
    let mut set = FieldSet::default();
    match (node(shape, value), value) {
        (Node::Object, Value::Object(object)) => {
            for (name, value) in object {
                let (shape, field) = member(shape, name);
                let mut child = field_set(value, shape);
                let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                child.member |= empty || field.is_none();
                set.push(format!("f:{name}"), child);
            }
        }
        (Node::Items(list), Value::Array(items)) => {
            for item in items {
                if let Ok(edge) = item_edge(list, item) {
                    let mut child = field_set(item, list.items);
                    child.member = true;
                    set.children.insert(edge, child);
                }
            }
        }
        (Node::Leaf, _) => set.member = true,
        _ => {}
    }
    set
}

/// What differs between two values.
#[derive(Default)]
pub(super) struct Delta {
    /// Added or of another value.
    pub(super) changed: FieldSet,
    pub(super) removed: FieldSet,
}

/// Structs that Go keeps by value: they are there even in an empty object, so that nobody adds or removes them.
const ALWAYS_THERE: &[&str] = &[
    "daemonEndpoints",
    "jobTemplate",
    "loadBalancer",
    "metadata",
    "nodeInfo",
    "spec",
    "status",
    "strategy",
    "template",
    "updateStrategy",
];

/// Compares `old` with `new`.
pub(super) fn compare(old: Option<&Value>, new: Option<&Value>, shape: Shape) -> Delta {
    let mut delta = compare_node(old, new, shape, None);
    delta.changed.member = false;
    delta.removed.member = false;
    delta
}

fn compare_node(
    old: Option<&Value>,
    new: Option<&Value>,
    shape: Shape,
    field: Option<&'static Field>,
) -> Delta {
    let (old, new) = (
        old.filter(|value| !value.is_null()),
        new.filter(|value| !value.is_null()),
    );
    let mut delta = Delta::default();
    let Some(some) = new.or(old) else { return delta };
    let descended = match node(shape, some) {
        Node::Leaf => false,
        Node::Object => compare_objects(old, new, shape, &mut delta),
        Node::Items(list) => compare_items(old, new, list, &mut delta),
    };
    let kept = descended
        && field.is_some_and(|field| field.flags & REQUIRED != 0 || ALWAYS_THERE.contains(&field.name));
    match (old, new) {
        (None, _) => delta.changed.member = !kept,
        (_, None) => delta.removed.member = !kept,
        (old, new) => delta.changed.member = !descended && old != new,
    }
    delta
}

/// `false`: nothing to descend into; the value counts as a leaf (that keeps "empty" apart from "not there").
fn compare_objects(old: Option<&Value>, new: Option<&Value>, shape: Shape, delta: &mut Delta) -> bool {
    let nothing = Map::new();
    let (Some(old), Some(new)) = (as_map(old, &nothing), as_map(new, &nothing)) else {
        return false;
    };
    if old.is_empty() && new.is_empty() {
        return false;
    }
    let mut visit = |name: &String, old: Option<&Value>, new: Option<&Value>| {
        let (shape, field) = member(shape, name);
        let below = compare_node(old, new, shape, field);
        if !below.changed.is_empty() {
            delta.changed.push(format!("f:{name}"), below.changed);
        }
        if !below.removed.is_empty() {
            delta.removed.push(format!("f:{name}"), below.removed);
        }
    };
    for (name, value) in old {
        visit(name, Some(value), new.get(name));
    }
    for (name, value) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
        visit(name, None, Some(value));
    }
    true
}

fn as_map<'a>(value: Option<&'a Value>, nothing: &'a Map<String, Value>) -> Option<&'a Map<String, Value>> {
    value.map_or(Some(nothing), Value::as_object)
}

fn as_list(value: Option<&Value>) -> Option<&[Value]> {
    value.map_or(Some(&[]), |value| value.as_array().map(Vec::as_slice))
}

fn compare_items(old: Option<&Value>, new: Option<&Value>, list: &List, delta: &mut Delta) -> bool {
    let (Some(old), Some(new)) = (as_list(old), as_list(new)) else {
        return false;
    };
    if old.is_empty() && new.is_empty() {
        return false;
    }
    let (Some(old_edges), Some(new_edges)) = (item_edges(list, old), item_edges(list, new)) else {
        return false;
    };
    let mut visit = |edge: &str, old: Option<&Value>, new: Option<&Value>| {
        let below = compare_node(old, new, list.items, None);
        if !below.changed.is_empty() {
            delta.changed.push(edge.to_owned(), below.changed);
        }
        if !below.removed.is_empty() {
            delta.removed.push(edge.to_owned(), below.removed);
        }
    };
    let find = |edges: &[String], at: usize, edge: &String| {
        // Items mostly keep their place.
        if edges.get(at) == Some(edge) {
            Some(at)
        } else {
            edges.iter().position(|other| other == edge)
        }
    };
    for (at, edge) in old_edges.iter().enumerate() {
        if find(&old_edges, 0, edge) == Some(at) {
            visit(
                edge,
                Some(&old[at]),
                find(&new_edges, at, edge).map(|at| &new[at]),
            );
        }
    }
    for (at, edge) in new_edges.iter().enumerate() {
        if find(&old_edges, at, edge).is_none() && find(&new_edges, 0, edge) == Some(at) {
            visit(edge, None, Some(&new[at]));
        }
    }
    true
}

/// Merges the configuration `new` into `old`. Nothing is removed but what `new` sets to null.
pub(super) fn merge(old: Option<&Value>, new: Option<&Value>, shape: Shape) -> Option<Value> {
    let Some(new) = new else { return old.cloned() };
    match (node(shape, new), old, new) {
        (_, _, Value::Null) => None,
        (Node::Object, Some(Value::Object(old)), Value::Object(new)) => {
            let mut merged = Map::new();
            for (name, value) in old {
                let (shape, _) = member(shape, name);
                if let Some(value) = merge(Some(value), new.get(name), shape) {
                    merged.insert(name.clone(), value);
                }
            }
            for (name, value) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
                if let Some(value) = merge(None, Some(value), member(shape, name).0) {
                    merged.insert(name.clone(), value);
                }
            }
            Some(Value::Object(merged))
        }
        (Node::Object, None, Value::Object(new)) => {
            let members = new.iter().filter_map(|(name, value)| {
                merge(None, Some(value), member(shape, name).0).map(|value| (name.clone(), value))
            });
            Some(Value::Object(members.collect()))
        }
        (Node::Items(list), Some(Value::Array(old)), Value::Array(new)) => Some(merge_items(old, new, list)),
        (Node::Items(list), None, Value::Array(new)) => Some(Value::Array(
            new.iter()
                .filter_map(|item| merge(None, Some(item), list.items))
                .collect(),
        )),
        _ => Some(new.clone()),
    }
}

/// The order is that of `new` for what it names; other items of `old` stay where they are among them.
fn merge_items(old: &[Value], new: &[Value], list: &List) -> Value {
    let (Some(old_edges), Some(new_edges)) = (item_edges(list, old), item_edges(list, new)) else {
        return Value::Array(new.to_vec());
    };
    let place = |edges: &'_ [String]| -> HashMap<String, usize> {
        let mut places = HashMap::new();
        for (at, edge) in edges.iter().enumerate() {
            places.entry(edge.clone()).or_insert(at);
        }
        places
    };
    let (in_old, in_new) = (place(&old_edges), place(&new_edges));
    let mut shared = new_edges.iter().filter(|edge| in_old.contains_key(*edge));
    let mut next_shared = shared.next();
    let mut merged = Vec::with_capacity(old.len().max(new.len()));
    let (mut left, mut right) = (0, 0);
    while left < old.len() || right < new.len() {
        if left < old.len() && right < new.len() {
            let edge = &old_edges[left];
            if *edge == new_edges[right] {
                merged.extend(merge(Some(&old[left]), Some(&new[right]), list.items));
                left += 1;
                right += 1;
                next_shared = shared.next();
                continue;
            }
            if in_new.contains_key(edge) && next_shared.is_some_and(|next| next != edge) {
                // Named by `new`, but not next there: it comes with its turn.
                left += 1;
                continue;
            }
        }
        if left < old.len() && !in_new.contains_key(&old_edges[left]) {
            merged.push(old[left].clone());
            left += 1;
            continue;
        }
        if right < new.len() {
            let edge = &new_edges[right];
            merged.extend(merge(
                in_old.get(edge).map(|at| &old[*at]),
                Some(&new[right]),
                list.items,
            ));
            if next_shared == Some(edge) {
                next_shared = shared.next();
            }
            right += 1;
        } else {
            // A second item with a key that `new` has: its place is taken.
            left += 1;
        }
    }
    Value::Array(merged)
}

/// `value` without the members and items in `doomed`; `None`: nothing is left.
pub(super) fn remove(value: &Value, doomed: &FieldSet, shape: Shape) -> Option<Value> {
    match (node(shape, value), value) {
        (Node::Object, Value::Object(object)) => {
            let mut left = Map::new();
            for (name, value) in object {
                let kept = match doomed.children.get(&format!("f:{name}")) {
                    None => Some(value.clone()),
                    Some(below) if below.member => None,
                    Some(below) => remove(value, below, member(shape, name).0),
                };
                if let Some(kept) = kept {
                    left.insert(name.clone(), kept);
                }
            }
            (!left.is_empty()).then_some(Value::Object(left))
        }
        (Node::Items(list), Value::Array(items)) => {
            let mut left = Vec::with_capacity(items.len());
            for item in items {
                match item_edge(list, item)
                    .ok()
                    .and_then(|edge| doomed.children.get(&edge))
                {
                    None => left.push(item.clone()),
                    Some(below) if below.member => {}
                    Some(below) => left.extend(remove(item, below, list.items)),
                }
            }
            (!left.is_empty()).then_some(Value::Array(left))
        }
        _ => Some(value.clone()),
    }
}

/// The set with every named field on its paths as a member: whoever owns `.spec.a.b` also holds `.spec.a`.
pub(super) fn with_named_fields(set: &FieldSet, shape: Shape) -> FieldSet {
    let mut result = FieldSet {
        member: set.member,
        ..FieldSet::default()
    };
    for (edge, child) in &set.children {
        let (below, named) = match (shape, edge.strip_prefix("f:")) {
            (Shape::List(list), _) => (list.items, false),
            (shape, Some(name)) => {
                let (below, field) = member(shape, name);
                (below, field.is_some())
            }
            _ => (Shape::Any(""), false),
        };
        let mut child = with_named_fields(child, below);
        child.member |= named;
        result.children.insert(edge.clone(), child);
    }
    result
}

/// What is wrong with an applied configuration: fields that don't exist, list items given twice or without a key.
pub(super) fn faults(value: &Value, shape: Shape) -> Vec<String> {
    fn walk(value: &Value, shape: Shape, at: &str, faults: &mut Vec<String>) {
        match (node(shape, value), value) {
            (_, Value::Null) => {}
            (Node::Object, Value::Object(object)) => {
                for (name, value) in object {
                    let (below, field) = member(shape, name);
                    if matches!(shape, Shape::Object(_) | Shape::Granular(_)) && field.is_none() {
                        faults.push(format!("{at}.{name}: field not declared in schema"));
                        continue;
                    }
                    walk(value, below, &format!("{at}.{name}"), faults);
                }
            }
            (Node::Items(list), Value::Array(items)) => {
                let mut seen = HashMap::new();
                for (index, item) in items.iter().enumerate() {
                    match item_edge(list, item) {
                        Err(fault) => faults.push(format!("{at}: element {index}: {fault}")),
                        Ok(edge) => {
                            let printed = print_edge(&edge);
                            if seen.insert(edge, ()).is_some() {
                                faults.push(format!("{at}: duplicate entries for key {printed}"));
                                continue;
                            }
                            walk(item, list.items, &format!("{at}{printed}"), faults);
                        }
                    }
                }
            }
            (Node::Object, other) => faults.push(format!("{at}: expected map, got {other}")),
            (Node::Items(_), other) => faults.push(format!("{at}: expected list, got {other}")),
            (Node::Leaf, _) => {}
        }
    }
    let mut faults_found = Vec::new();
    walk(value, shape, "", &mut faults_found);
    faults_found
}
