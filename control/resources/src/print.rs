//! What printer columns and cells of several kinds have in common.

use serde_json::Value;

use crate::{
    Column, age,
    selector::LabelSelector,
    value::{entries, get, list, text},
};

/// A column that is always shown.
pub(crate) const fn column(name: &'static str, kind: &'static str, description: &'static str) -> Column {
    Column {
        name,
        kind,
        format: "",
        priority: 0,
        description,
    }
}

/// A column shown with `-o wide` only.
pub(crate) const fn wide(name: &'static str, kind: &'static str, description: &'static str) -> Column {
    Column {
        priority: 1,
        ..column(name, kind, description)
    }
}

/// The name.
pub(crate) const NAME: Column = Column {
    format: "name",
    ..column("Name", "string", "Name of the object, unique in its namespace.")
};

/// How long ago the object was made.
pub(crate) const AGE: Column = column("Age", "string", "How long ago the object was created.");

/// Kinds without columns of their own.
pub(crate) const PLAIN: &[Column] = &[NAME, column("Created At", "date", "When the object was created.")];

/// Cells for [`PLAIN`].
pub(crate) fn plain(object: &Value) -> Vec<Value> {
    vec![name(object), text(object, "metadata.creationTimestamp").into()]
}

pub(crate) fn name(object: &Value) -> Value {
    text(object, "metadata.name").into()
}

pub(crate) fn age(object: &Value, now: i64) -> Value {
    age::since(text(object, "metadata.creationTimestamp"), now).into()
}

/// The string at a path as a cell, or `other` when empty.
pub(crate) fn text_or(object: &Value, path: &str, other: &str) -> Value {
    match text(object, path) {
        "" => other.into(),
        text => text.into(),
    }
}

/// `a=1,b=2` or `<none>`.
pub(crate) fn labels(map: Option<&Value>) -> String {
    let Some(map) = map else {
        return "<none>".to_owned();
    };
    let mut pairs: Vec<String> = entries(map, "")
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()))
        .collect();
    if pairs.is_empty() {
        return "<none>".to_owned();
    }
    pairs.sort_unstable();
    pairs.join(",")
}

/// A LabelSelector object as text, `<none>` when it selects everything or is absent.
pub(crate) fn label_selector(selector: Option<&Value>) -> String {
    match LabelSelector::from_object(selector) {
        Ok(selector) if selector.requirements().is_empty() => "<none>".to_owned(),
        Ok(selector) => selector.to_string(),
        Err(_) => "<error>".to_owned(),
    }
}

/// Names and images of the containers of a pod spec, each joined by commas.
pub(crate) fn containers(pod_spec: Option<&Value>) -> (String, String) {
    let containers = pod_spec.map_or(&[][..], |spec| list(spec, "containers"));
    let join = |field| {
        containers
            .iter()
            .map(|c| text(c, field))
            .collect::<Vec<_>>()
            .join(",")
    };
    (join("name"), join("image"))
}

/// At most three of a list, and how many more there are.
pub(crate) fn first_three(items: &[String], none: &str) -> String {
    const SHOWN: usize = 3;
    if items.len() > SHOWN {
        return format!("{} + {} more...", items[..SHOWN].join(","), items.len() - SHOWN);
    }
    if items.is_empty() {
        return none.to_owned();
    }
    items.join(",")
}

/// `address:port`, with brackets around an IPv6 address.
pub(crate) fn host_port(host: &str, port: i64) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// `RWO,ROX,RWX,RWOP` in that order.
pub(crate) fn access_modes(modes: Option<&Value>) -> String {
    let has = |mode: &str| {
        modes
            .and_then(Value::as_array)
            .is_some_and(|m| m.iter().any(|v| v.as_str() == Some(mode)))
    };
    [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ]
    .iter()
    .filter(|(mode, _)| has(mode))
    .map(|(_, short)| *short)
    .collect::<Vec<_>>()
    .join(",")
}

/// The integer or string at a path (IntOrString) as text.
pub(crate) fn int_or_text(object: &Value, path: &str) -> Option<String> {
    match get(object, path)? {
        Value::String(s) => Some(s.clone()),
        other => Some(other.to_string()),
    }
}
