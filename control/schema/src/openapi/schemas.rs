//! Schemas of the types: structure from the published facts, sentences from `k8s-openapi`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::roots::ROOTS;
use crate::facts::{self, Field, ListKind, MERGE, REPLACE, REQUIRED, RETAIN, Shape, Struct};

/// Version of the OpenAPI format: they differ in how they refer and in which forms of a value they can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    V2,
    V3,
}

pub(super) const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
pub(super) const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
pub(super) const TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
pub(super) const MICRO_TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";
pub(super) const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

impl Format {
    /// A reference to a schema.
    pub(super) fn reference(self, name: &str) -> Value {
        match self {
            Format::V2 => json!({"$ref": format!("#/definitions/{name}")}),
            Format::V3 => json!({"$ref": format!("#/components/schemas/{name}")}),
        }
    }
}

/// Collects the schemas that a document refers to.
pub(super) struct Schemas {
    format: Format,
    wanted: BTreeSet<&'static str>,
}

impl Schemas {
    pub(super) fn new(format: Format) -> Schemas {
        Schemas {
            format,
            wanted: BTreeSet::new(),
        }
    }

    /// Adds the type called `name` and all it refers to.
    pub(super) fn add(&mut self, name: &'static str) {
        if !self.wanted.insert(name) {
            return;
        }
        for field in facts::named(name).map_or(&[][..], |of| of.fields) {
            self.add_shape(field.shape);
        }
    }

    fn add_shape(&mut self, shape: Shape) {
        match shape {
            Shape::Object(of) | Shape::Granular(of) => self.add(of.name),
            Shape::List(list) => self.add_shape(list.items),
            Shape::Map(map) => self.add_shape(map.values),
            other => {
                if let Some(name) = special_name(other) {
                    self.add(name);
                }
            }
        }
    }

    /// All schemas added, by name.
    pub(super) fn build(self) -> Map<String, Value> {
        let texts = Texts::of(&self.wanted);
        let mut schemas = Map::new();
        for name in &self.wanted {
            let schema = match facts::named(name) {
                Some(of) => object(of, self.format, &texts),
                None => special(name, self.format, &texts),
            };
            schemas.insert((*name).to_owned(), schema);
        }
        schemas
    }
}

/// The sentences about types and fields.
struct Texts(Map<String, Value>);

impl Texts {
    fn of(wanted: &BTreeSet<&'static str>) -> Texts {
        let mut generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
        for (name, describe) in ROOTS {
            if wanted.contains(name) {
                describe(&mut generator);
            }
        }
        Texts(generator.take_definitions(false).into_iter().collect())
    }

    fn of_type(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.get("description")?.as_str()
    }

    fn of_field(&self, of: &Struct, field: &str) -> Option<&str> {
        self.0
            .get(of.name)?
            .get("properties")?
            .get(field)?
            .get("description")?
            .as_str()
    }
}

/// The published name of a type that is no struct.
fn special_name(shape: Shape) -> Option<&'static str> {
    match shape {
        Shape::Quantity => Some(QUANTITY),
        Shape::IntOrString => Some(INT_OR_STRING),
        Shape::Time => Some(TIME),
        Shape::MicroTime => Some(MICRO_TIME),
        Shape::Any("") => None,
        Shape::Any(name) => Some(name),
        _ => None,
    }
}

fn special(name: &str, format: Format, texts: &Texts) -> Value {
    let mut schema = match (name, format) {
        (QUANTITY, Format::V3) => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        (QUANTITY, Format::V2) => json!({"type": "string"}),
        (INT_OR_STRING, Format::V3) => {
            json!({"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"})
        }
        (INT_OR_STRING, Format::V2) => json!({"type": "string", "format": "int-or-string"}),
        (TIME | MICRO_TIME, _) => json!({"type": "string", "format": "date-time"}),
        // JSON values and schemas that may be a boolean or a list have no type.
        (name, _) if name.contains(".apiextensions.") => json!({}),
        _ => json!({"type": "object"}),
    };
    if let Some(text) = texts.of_type(name) {
        schema["description"] = text.into();
    }
    schema
}

fn object(of: &'static Struct, format: Format, texts: &Texts) -> Value {
    let mut schema = Map::new();
    if let Some(text) = texts.of_type(of.name) {
        schema.insert("description".into(), text.into());
    } else if let Some(kind) = of.go_name().strip_suffix("List") {
        schema.insert(
            "description".into(),
            format!("{} is a list of {kind} objects.", of.go_name()).into(),
        );
    }
    schema.insert("type".into(), "object".into());
    if !of.fields.is_empty() {
        let properties = of
            .fields
            .iter()
            .map(|field| (field.name.to_owned(), property(of, field, format, texts)));
        schema.insert("properties".into(), Value::Object(properties.collect()));
    }
    let required: Vec<_> = of
        .fields
        .iter()
        .filter(|field| field.flags & REQUIRED != 0)
        .map(|field| field.name)
        .collect();
    if !required.is_empty() {
        schema.insert("required".into(), required.into());
    }
    if of.atomic {
        schema.insert("x-kubernetes-map-type".into(), "atomic".into());
    }
    let kinds = group_version_kinds(of);
    if !kinds.is_empty() {
        schema.insert("x-kubernetes-group-version-kind".into(), kinds.into());
    }
    Value::Object(schema)
}

fn property(of: &Struct, field: &Field, format: Format, texts: &Texts) -> Value {
    let mut schema = value(field.shape, format);
    let mut extra = BTreeMap::new();
    if let Some(text) = texts.of_field(of, field.name).or_else(|| list_text(of, field)) {
        extra.insert("description", Value::from(text));
    }
    let strategy: Vec<&str> = [(MERGE, "merge"), (RETAIN, "retainKeys"), (REPLACE, "replace")]
        .into_iter()
        .filter(|(flag, _)| field.flags & flag != 0)
        .map(|(_, name)| name)
        .collect();
    if !strategy.is_empty() {
        extra.insert("x-kubernetes-patch-strategy", strategy.join(",").into());
    }
    if !field.merge_key.is_empty() {
        extra.insert("x-kubernetes-patch-merge-key", field.merge_key.into());
    }
    match field.shape {
        // The items of a list of objects are no list that anybody merges.
        Shape::List(_) if field.name == "items" && of.name.ends_with("List") => {}
        Shape::List(list) => match list.kind {
            ListKind::Atomic => _ = extra.insert("x-kubernetes-list-type", "atomic".into()),
            ListKind::Set => _ = extra.insert("x-kubernetes-list-type", "set".into()),
            ListKind::Keyed(keys) => {
                extra.insert("x-kubernetes-list-type", "map".into());
                let keys: Vec<&str> = keys.iter().map(|key| key.0).collect();
                extra.insert("x-kubernetes-list-map-keys", keys.into());
            }
        },
        Shape::Map(map) if map.atomic => _ = extra.insert("x-kubernetes-map-type", "atomic".into()),
        Shape::Granular(_) => _ = extra.insert("x-kubernetes-map-type", "granular".into()),
        _ => {}
    }
    // In version 3 nothing may stand beside a reference.
    if format == Format::V3 && schema.get("$ref").is_some() && !extra.is_empty() {
        schema = json!({"allOf": [schema]});
    }
    for (name, value) in extra {
        schema[name] = value;
    }
    schema
}

fn value(shape: Shape, format: Format) -> Value {
    match shape {
        Shape::String => json!({"type": "string"}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Int32 => json!({"type": "integer", "format": "int32"}),
        Shape::Int64 => json!({"type": "integer", "format": "int64"}),
        Shape::Number => json!({"type": "number", "format": "double"}),
        Shape::Bytes => json!({"type": "string", "format": "byte"}),
        Shape::Object(of) | Shape::Granular(of) => format.reference(of.name),
        Shape::List(list) => json!({"type": "array", "items": value(list.items, format)}),
        Shape::Map(map) => json!({"type": "object", "additionalProperties": value(map.values, format)}),
        other => special_name(other).map_or_else(|| json!({}), |name| format.reference(name)),
    }
}

/// Lists of objects are generic in `k8s-openapi`: their fields get their text here.
fn list_text(of: &Struct, field: &Field) -> Option<&'static str> {
    if !of.name.ends_with("List") {
        return None;
    }
    Some(match field.name {
        "apiVersion" => "The version of the schema of this object.",
        "items" => "The objects.",
        "kind" => "The kind of this object.",
        "metadata" => "Standard list metadata.",
        _ => return None,
    })
}

/// The group, version and kind triples of a type; kinds that every group has are listed for their own.
fn group_version_kinds(of: &'static Struct) -> Vec<Value> {
    facts::kinds()
        .iter()
        .filter(|(_, _, other)| std::ptr::eq(*other, of))
        .map(|(api_version, kind, _)| {
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            json!({"group": group, "version": version, "kind": kind})
        })
        .collect()
}
