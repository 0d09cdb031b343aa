//! Event, in two shapes: core/v1 (stored) and events.k8s.io/v1.

use serde_json::{Map, Value};

use crate::{
    Column, FieldError, Part, Strategy, age,
    print::{self, NAME, column, wide},
    validate::{
        Errors, Path,
        meta::{self as metadata, Scope},
        names,
    },
    value::{get, int, set_default, text},
};

/// Events of both groups; stored in the shape of core/v1.
pub(crate) struct Event {
    /// Whether this row is events.k8s.io/v1.
    pub(crate) modern: bool,
}

/// Fields that changed their names from core/v1 to events.k8s.io/v1.
const RENAMED: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

fn rename(event: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = event.remove(from) {
        event.insert(to.to_owned(), value);
    }
}

/// Turns an events.k8s.io/v1 Event into the shape of core/v1.
pub fn to_core(event: &mut Value) {
    if let Some(map) = event.as_object_mut() {
        map.insert("apiVersion".to_owned(), "v1".into());
        for (core, modern) in RENAMED {
            rename(map, modern, core);
        }
    }
}

/// Turns a core/v1 Event into the shape of events.k8s.io/v1.
pub fn from_core(event: &mut Value) {
    if let Some(map) = event.as_object_mut() {
        map.insert("apiVersion".to_owned(), "events.k8s.io/v1".into());
        for (core, modern) in RENAMED {
            rename(map, core, modern);
        }
    }
}

impl Event {
    /// Events of core/v1 are named after what they are about, which may be any name.
    fn name_rule(&self) -> metadata::NameRule {
        if self.modern {
            names::dns1123_subdomain
        } else {
            names::path_segment
        }
    }
}

impl Strategy for Event {
    fn to_storage(&self, object: &mut Value) {
        if self.modern {
            to_core(object);
        }
    }

    fn from_storage(&self, object: &mut Value) {
        if self.modern {
            from_core(object);
        }
    }

    fn is_storage_form(&self) -> bool {
        !self.modern
    }

    fn default(&self, object: &mut Value) {
        for field in ["reportingComponent", "reportingInstance"] {
            set_default(object, field, "");
        }
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, Scope::Namespaced, self.name_rule());
        about(&mut errors, object);
        if self.modern {
            modern(&mut errors, object);
        }
        errors.into_vec()
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, new, Scope::Namespaced, self.name_rule());
        metadata::update(&mut errors, new, old);
        about(&mut errors, new);
        if self.modern {
            // Of a modern event only the series changes.
            for (core, modern) in [
                ("involvedObject", "regarding"),
                ("reason", "reason"),
                ("action", "action"),
                ("related", "related"),
                ("message", "note"),
                ("type", "type"),
                ("eventTime", "eventTime"),
                ("reportingComponent", "reportingController"),
                ("reportingInstance", "reportingInstance"),
            ] {
                errors.immutable(&Path::root(modern), get(new, core), get(old, core));
            }
        }
        errors.into_vec()
    }

    fn field(&self, object: &Value, path: &str) -> Option<String> {
        // Read from either shape; the selectable names are those of core/v1, and of `regarding` in the other group.
        let at = |core: &str| {
            let modern = RENAMED
                .iter()
                .find_map(|(old, new)| core.strip_prefix(old).map(|rest| format!("{new}{rest}")));
            let value = match text(object, core) {
                "" => modern.map_or("", |m| text(object, &m)),
                value => value,
            };
            value.to_owned()
        };
        if let Some(rest) = path
            .strip_prefix("involvedObject.")
            .or_else(|| path.strip_prefix("regarding."))
        {
            let known = matches!(
                rest,
                "kind" | "namespace" | "name" | "uid" | "apiVersion" | "resourceVersion" | "fieldPath"
            );
            return known.then(|| at(&format!("involvedObject.{rest}")));
        }
        match path {
            "reason" | "type" => Some(text(object, path).to_owned()),
            "reportingComponent" | "reportingController" => Some(at("reportingComponent")),
            "source" => {
                let source = at("source.component");
                Some(if source.is_empty() {
                    at("reportingComponent")
                } else {
                    source
                })
            }
            _ => None,
        }
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            column("Last Seen", "string", "When this was last observed."),
            column("Type", "string", "Normal or Warning."),
            column("Reason", "string", "Why, in one word."),
            column("Object", "string", "What it is about."),
            wide("Subobject", "string", "The part of the object."),
            wide("Source", "string", "Who reports it."),
            column("Message", "string", "What happened."),
            wide("First Seen", "string", "When this was first observed."),
            wide("Count", "string", "How often it was observed."),
            Column { priority: 1, ..NAME },
        ];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        let mut converted;
        let object = if self.modern && object.get("regarding").is_some() {
            converted = object.clone();
            to_core(&mut converted);
            &converted
        } else {
            object
        };
        let since = |path: &str| age::since(text(object, path), now);
        let first = match text(object, "firstTimestamp") {
            "" => since("eventTime"),
            _ => since("firstTimestamp"),
        };
        let mut last = match text(object, "lastTimestamp") {
            "" => first.clone(),
            _ => since("lastTimestamp"),
        };
        let mut count = int(object, "count").unwrap_or_default();
        if let Some(series) = get(object, "series") {
            last = age::since(text(series, "lastObservedTime"), now);
            count = int(series, "count").unwrap_or_default();
        } else if count == 0 {
            count = 1;
        }
        let kind = text(object, "involvedObject.kind").to_lowercase();
        let about = match text(object, "involvedObject.name") {
            "" => kind,
            name => format!("{kind}/{name}"),
        };
        vec![
            last.into(),
            text(object, "type").into(),
            text(object, "reason").into(),
            about.into(),
            text(object, "involvedObject.fieldPath").into(),
            source(object).into(),
            text(object, "message").trim().into(),
            first.into(),
            count.into(),
            print::name(object),
        ]
    }
}

/// `component, host`; events of the newer kind name a controller and its instance instead.
fn source(event: &Value) -> String {
    let pick = |old: &str, new: &str| match text(event, old) {
        "" => text(event, new).to_owned(),
        value => value.to_owned(),
    };
    let component = pick("source.component", "reportingComponent");
    match pick("source.host", "reportingInstance") {
        host if host.is_empty() => component,
        host => format!("{component}, {host}"),
    }
}

/// The object is in the namespace of its event; events of cluster-wide objects are in `default` or `kube-system`.
fn about(errors: &mut Errors, event: &Value) {
    let (own, theirs) = (
        text(event, "metadata.namespace"),
        text(event, "involvedObject.namespace"),
    );
    let path = Path::root("involvedObject.namespace");
    if theirs.is_empty() {
        if !matches!(own, "default" | "kube-system") {
            errors.invalid(&path, theirs, "does not match event.namespace");
        }
    } else if own != theirs {
        errors.invalid(&path, theirs, "does not match event.namespace");
    }
}

/// What events.k8s.io/v1 demands of a new event. Fields are named as that version names them.
fn modern(errors: &mut Errors, event: &Value) {
    if get(event, "eventTime").is_none() {
        errors.required(&Path::root("eventTime"), "");
    }
    let component = text(event, "reportingComponent");
    let at = Path::root("reportingController");
    if component.is_empty() {
        errors.required(&at, "");
    } else {
        errors.invalid_each(&at, component, names::qualified_name(component));
    }
    for field in ["reportingInstance", "action", "reason"] {
        let at = Path::root(field);
        match text(event, field) {
            "" => errors.required(&at, ""),
            value if value.len() > 128 => errors.invalid(&at, "", "can have at most 128 characters"),
            _ => {}
        }
    }
    if text(event, "message").len() > 1024 {
        errors.invalid(&Path::root("note"), "", "can have at most 1024 characters");
    }
    let kind = text(event, "type");
    if !matches!(kind, "Normal" | "Warning") {
        errors.invalid(
            &Path::root("type"),
            kind,
            "has invalid value: should be Normal or Warning",
        );
    }
    for field in ["firstTimestamp", "lastTimestamp"] {
        if get(event, field).is_some() {
            errors.invalid(&Path::root(field), text(event, field), "needs to be unset");
        }
    }
    if int(event, "count").unwrap_or_default() != 0 {
        errors.invalid(
            &Path::root("count"),
            int(event, "count").unwrap_or_default(),
            "needs to be unset",
        );
    }
    for field in ["source.component", "source.host"] {
        if !text(event, field).is_empty() {
            errors.invalid(&Path::root("source"), text(event, field), "needs to be unset");
        }
    }
}
