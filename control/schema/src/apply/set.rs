//! Sets of field paths, as `fieldsV1` has them: a tree whose edges are path elements.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A set of paths below some node. An edge is named as on the wire: `f:name` (field or map key), `k:{"name":"a"}`
/// (item of a keyed list), `v:"a"` (item of a set), `i:0`.
///
/// Invariant: no child is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    /// The node itself is in the set.
    pub(super) member: bool,
    pub(super) children: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// Puts `child` under `edge`, which must be new; an empty child is left out.
    pub(super) fn push(&mut self, edge: String, child: FieldSet) {
        if !child.is_empty() {
            self.children.insert(edge, child);
        }
    }

    pub(super) fn union(&mut self, other: &FieldSet) {
        self.member |= other.member;
        for (edge, child) in &other.children {
            match self.children.get_mut(edge) {
                Some(mine) => mine.union(child),
                None => _ = self.children.insert(edge.clone(), child.clone()),
            }
        }
    }

    pub(super) fn subtract(&mut self, other: &FieldSet) {
        self.member &= !other.member;
        for (edge, child) in &other.children {
            if let Some(mine) = self.children.get_mut(edge) {
                mine.subtract(child);
                if mine.is_empty() {
                    self.children.remove(edge);
                }
            }
        }
    }

    pub(super) fn intersection(&self, other: &FieldSet) -> FieldSet {
        let mut both = FieldSet {
            member: self.member && other.member,
            children: BTreeMap::new(),
        };
        for (edge, child) in &self.children {
            if let Some(other) = other.children.get(edge) {
                both.push(edge.clone(), child.intersection(other));
            }
        }
        both
    }

    /// Takes a child out with everything below it.
    pub(super) fn cut(&mut self, edge: &str) {
        self.children.remove(edge);
    }

    /// Reads `fieldsV1`; `None`: malformed.
    pub(super) fn from_json(value: &Value) -> Option<FieldSet> {
        let mut set = FieldSet::default();
        for (edge, child) in value.as_object()? {
            if edge == "." {
                set.member = true;
                continue;
            }
            let mut below = FieldSet::from_json(child)?;
            below.member |= below.children.is_empty();
            set.push(canonical_edge(edge)?, below);
        }
        Some(set)
    }

    /// Writes `fieldsV1`.
    pub(super) fn to_json(&self) -> Value {
        let mut map = Map::new();
        for (edge, child) in &self.children {
            let mut below = child.to_json();
            if child.member
                && !child.children.is_empty()
                && let Value::Object(below) = &mut below
            {
                below.insert(".".into(), Value::Object(Map::new()));
            }
            map.insert(edge.clone(), below);
        }
        Value::Object(map)
    }

    /// Every path in the set as text, e.g. `.spec.containers[name="a"].image`.
    pub(super) fn paths(&self) -> Vec<String> {
        fn walk(set: &FieldSet, at: &str, paths: &mut Vec<String>) {
            if set.member {
                paths.push(at.to_owned());
            }
            for (edge, child) in &set.children {
                walk(child, &format!("{at}{}", print_edge(edge)), paths);
            }
        }
        let mut paths = Vec::new();
        walk(self, "", &mut paths);
        paths
    }
}

/// Edges come from our own writing nearly always; a client may have sent others.
fn canonical_edge(edge: &str) -> Option<String> {
    let (kind, rest) = edge.split_once(':')?;
    if (kind == "k" || kind == "v") && rest.contains([' ', '\n', '\t']) {
        let value: Value = serde_json::from_str(rest).ok()?;
        return Some(match value {
            Value::Object(map) => key_edge(map.iter().map(|(name, value)| (name.as_str(), value))),
            value => format!("{kind}:{value}"),
        });
    }
    matches!(kind, "f" | "k" | "v" | "i").then(|| edge.to_owned())
}

/// The edge of a keyed item; the keys come sorted.
pub(super) fn key_edge<'a>(keys: impl Iterator<Item = (&'a str, &'a Value)>) -> String {
    let mut edge = String::from("k:{");
    for (index, (name, value)) in keys.enumerate() {
        if index > 0 {
            edge.push(',');
        }
        edge.push('"');
        edge.push_str(name);
        edge.push_str("\":");
        push_json(&mut edge, value);
    }
    edge.push('}');
    edge
}

/// Appends a scalar as JSON.
pub(super) fn push_json(edge: &mut String, value: &Value) {
    match value {
        Value::String(text)
            if !text
                .bytes()
                .any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') =>
        {
            edge.push('"');
            edge.push_str(text);
            edge.push('"');
        }
        value => edge.push_str(&value.to_string()),
    }
}

/// An edge as conflicts print it.
pub(super) fn print_edge(edge: &str) -> String {
    let (kind, rest) = edge.split_once(':').unwrap_or(("f", edge));
    match kind {
        "f" => format!(".{rest}"),
        "v" => format!("[={rest}]"),
        "k" => {
            let keys: Map<String, Value> = serde_json::from_str(rest).unwrap_or_default();
            let keys: Vec<String> = keys
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            format!("[{}]", keys.join(","))
        }
        _ => format!("[{rest}]"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn field_sets_survive_the_wire() {
        let json = json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}, "f:finalizers": {"v:\"a\"": {}}},
            "f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:ports": {
                "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {}}}}}});
        let set = FieldSet::from_json(&json).unwrap();
        assert_eq!(set.to_json(), json);
        assert_eq!(
            set.paths(),
            [
                ".metadata.finalizers[=\"a\"]",
                ".metadata.labels",
                ".metadata.labels.app",
                ".spec.containers[name=\"c\"]",
                ".spec.containers[name=\"c\"].image",
                ".spec.containers[name=\"c\"].ports[containerPort=80,protocol=\"TCP\"]",
            ]
        );
    }

    #[test]
    fn spaces_in_keys_do_not_make_another_field() {
        let spaced = json!({"k:{\"protocol\": \"TCP\", \"port\": 80}": {}});
        let plain = json!({"k:{\"port\":80,\"protocol\":\"TCP\"}": {}});
        assert_eq!(FieldSet::from_json(&spaced), FieldSet::from_json(&plain));
    }

    #[test]
    fn subtracting_a_path_keeps_what_is_below_it() {
        let mut set = FieldSet::from_json(&json!({"f:a": {".": {}, "f:b": {}}})).unwrap();
        set.subtract(&FieldSet::from_json(&json!({"f:a": {}})).unwrap());
        assert_eq!(set.to_json(), json!({"f:a": {"f:b": {}}}));
        set.subtract(&FieldSet::from_json(&json!({"f:a": {"f:b": {}}})).unwrap());
        assert!(set.is_empty());
    }
}
