//! Writes a version 2 document as the protobuf message `openapi.v2.Document` of the gnostic compiler, which kubectl
//! before 1.27 and older Helm ask for. Only the parts our documents have.
//!
//! Source: gnostic, openapiv2/OpenAPIv2.proto (the field numbers).

use serde_json::Value;

/// A message being written. Embedded messages are written apart and copied in: documents are made seldom.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        if !text.is_empty() {
            self.bytes(field, text.as_bytes());
        }
    }

    /// A string member of `value`, if it is there.
    fn member(&mut self, field: u64, value: &Value, name: &str) {
        self.text(field, value[name].as_str().unwrap_or_default());
    }

    fn texts(&mut self, field: u64, values: &Value) {
        for text in values.as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.bytes(field, text.as_bytes());
        }
    }

    fn flag(&mut self, field: u64, value: &Value) {
        if value.as_bool() == Some(true) {
            self.varint(field << 3);
            self.varint(1);
        }
    }

    fn message(&mut self, field: u64, message: Message) {
        self.bytes(field, &message.0);
    }

    /// A name and a value, as maps are encoded.
    fn named(&mut self, field: u64, name: &str, value: Message) {
        let mut pair = Message::default();
        pair.text(1, name);
        pair.message(2, value);
        self.message(field, pair);
    }

    /// Members that begin with `x-`.
    fn extensions(&mut self, field: u64, object: &Value) {
        for (name, value) in members(object).filter(|(name, _)| name.starts_with("x-")) {
            self.named(field, name, any(value));
        }
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Wraps a message into one with it as its only field.
fn wrapped(field: u64, inner: Message) -> Message {
    let mut outer = Message::default();
    outer.message(field, inner);
    outer
}

/// `Any`: YAML, of which JSON is a part.
fn any(value: &Value) -> Message {
    let mut message = Message::default();
    message.text(2, &format!("{value}\n"));
    message
}

pub(super) fn document(document: &Value) -> Vec<u8> {
    let mut message = Message::default();
    message.member(1, document, "swagger");
    let mut info = Message::default();
    info.member(1, &document["info"], "title");
    info.member(2, &document["info"], "version");
    message.message(2, info);
    let mut paths = Message::default();
    for (name, item) in members(&document["paths"]) {
        paths.named(2, name, path_item(item));
    }
    message.message(8, paths);
    let mut definitions = Message::default();
    for (name, value) in members(&document["definitions"]) {
        definitions.named(1, name, schema(value));
    }
    message.message(9, definitions);
    for requirement in document["security"].as_array().into_iter().flatten() {
        let mut security = Message::default();
        for (name, scopes) in members(requirement) {
            let mut list = Message::default();
            list.texts(1, scopes);
            security.named(1, name, list);
        }
        message.message(12, security);
    }
    let mut definitions = Message::default();
    for (name, value) in members(&document["securityDefinitions"]) {
        let mut key = Message::default();
        for (field, member) in [(1, "type"), (2, "name"), (3, "in"), (4, "description")] {
            key.member(field, value, member);
        }
        definitions.named(1, name, wrapped(2, key));
    }
    message.message(13, definitions);
    message.0
}

fn path_item(item: &Value) -> Message {
    let mut message = Message::default();
    for (field, method) in [(2, "get"), (3, "put"), (4, "post"), (5, "delete"), (8, "patch")] {
        if let Some(value) = item.get(method) {
            message.message(field, operation(value));
        }
    }
    for value in item["parameters"].as_array().into_iter().flatten() {
        message.message(9, parameter(value));
    }
    message
}

fn operation(operation: &Value) -> Message {
    let mut message = Message::default();
    message.texts(1, &operation["tags"]);
    message.member(3, operation, "description");
    message.member(5, operation, "operationId");
    message.texts(6, &operation["produces"]);
    message.texts(7, &operation["consumes"]);
    for value in operation["parameters"].as_array().into_iter().flatten() {
        message.message(8, parameter(value));
    }
    let mut responses = Message::default();
    for (code, value) in members(&operation["responses"]) {
        let mut response = Message::default();
        response.member(1, value, "description");
        if let Some(value) = value.get("schema") {
            response.message(2, wrapped(1, schema(value)));
        }
        responses.named(1, code, wrapped(1, response));
    }
    message.message(9, responses);
    message.texts(10, &operation["schemes"]);
    message.extensions(13, operation);
    message
}

/// `ParametersItem` with a `Parameter` in it.
fn parameter(parameter: &Value) -> Message {
    let mut message = Message::default();
    let place = parameter["in"].as_str().unwrap_or_default();
    if place == "body" {
        message.member(1, parameter, "description");
        message.member(2, parameter, "name");
        message.text(3, place);
        message.flag(4, &parameter["required"]);
        message.message(5, schema(&parameter["schema"]));
        return wrapped(1, wrapped(1, message));
    }
    message.flag(1, &parameter["required"]);
    message.text(2, place);
    message.member(3, parameter, "description");
    message.member(4, parameter, "name");
    // Query parameters have one field more before the type, and so do all after it.
    let (kind, shift) = if place == "query" { (3, 1) } else { (4, 0) };
    message.member(5 + shift, parameter, "type");
    message.member(6 + shift, parameter, "format");
    message.flag(19 + shift, &parameter["uniqueItems"]);
    wrapped(1, wrapped(2, wrapped(kind, message)))
}

fn schema(value: &Value) -> Message {
    let mut message = Message::default();
    message.member(1, value, "$ref");
    message.member(2, value, "format");
    message.member(4, value, "description");
    if let Some(default) = value.get("default") {
        message.message(5, any(default));
    }
    message.texts(19, &value["required"]);
    if let Some(values) = value.get("additionalProperties") {
        message.message(21, wrapped(1, schema(values)));
    }
    if let Some(kind) = value["type"].as_str() {
        let mut item = Message::default();
        item.text(1, kind);
        message.message(22, item);
    }
    if let Some(items) = value.get("items") {
        message.message(23, wrapped(1, schema(items)));
    }
    if value.get("properties").is_some() {
        let mut properties = Message::default();
        for (name, value) in members(&value["properties"]) {
            properties.named(1, name, schema(value));
        }
        message.message(25, properties);
    }
    message.extensions(31, value);
    message
}
