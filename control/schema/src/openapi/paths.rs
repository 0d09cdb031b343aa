//! The paths of the API with their operations: which verbs a resource has, what they take and give.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::queries::{
    ATTACH, CHANGE, CREATE, DELETE, DELETE_COLLECTION, EXEC, LIST, LOG, PORT_FORWARD, PRETTY, PROXY, Query,
};
use super::schemas::{Format, PATCH, Schemas};
use super::{Row, Subresource, group_path};
use crate::facts;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const RESOURCE_LIST: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.APIResourceList";
const WATCH_EVENT: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent";

const PATCH_TYPES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
const OBJECT_TYPES: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];
const LIST_TYPES: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
];

/// What an operation is about.
struct Target<'a> {
    row: &'a Row<'a>,
    gvk: (&'a str, &'a str, &'a str),
    /// Part of the operation's name: `NamespacedPodStatus`.
    subject: String,
    /// Published name of the type, when it is known.
    type_name: Option<&'static str>,
}

/// Writes paths and collects the schemas they need.
pub(super) struct Paths<'s> {
    format: Format,
    schemas: &'s mut Schemas,
}

impl<'s> Paths<'s> {
    pub(super) fn new(format: Format, schemas: &'s mut Schemas) -> Paths<'s> {
        Paths { format, schemas }
    }

    pub(super) fn of_rows<'a>(mut self, rows: impl Iterator<Item = &'a Row<'a>>) -> Map<String, Value> {
        let mut paths = Map::new();
        let mut groups = BTreeSet::new();
        // Every client expects these, whether an operation refers to them or not.
        for name in [DELETE_OPTIONS, STATUS, WATCH_EVENT, PATCH] {
            self.schemas.add(name);
        }
        for row in rows {
            groups.insert((row.group, row.version));
            self.row(row, &mut paths);
        }
        for (group, version) in groups {
            let (path, item) = self.discovery(group, version);
            paths.insert(path, item);
        }
        paths
    }

    /// `/apis/apps/v1/`: the resources of the group.
    fn discovery(&mut self, group: &str, version: &str) -> (String, Value) {
        let name = format!("{}{}", camel_group(group), capital(version));
        let responses = self.responses(&[("200", "OK")], Some(RESOURCE_LIST), OBJECT_TYPES);
        let mut operation = json!({
            "description": "get available resources",
            "operationId": format!("get{name}APIResources"),
            "tags": [tag(group, version)],
            "responses": responses,
        });
        self.media(&mut operation, None, OBJECT_TYPES);
        (
            format!("/{}/", group_path(group, version)),
            json!({"get": operation}),
        )
    }

    fn row<'a>(&mut self, row: &'a Row<'a>, paths: &mut Map<String, Value>) {
        let base = format!("/{}", group_path(row.group, row.version));
        let collection = match row.namespaced {
            true => format!("{base}/namespaces/{{namespace}}/{}", row.plural),
            false => format!("{base}/{}", row.plural),
        };
        let scope = if row.namespaced { "Namespaced" } else { "" };
        let gvk = (row.group, row.version, row.kind);
        let type_name = type_name(gvk);
        let target = |subject: String| Target {
            row,
            gvk,
            subject,
            type_name,
        };
        let has = |verb: &str| row.verbs.contains(&verb);

        let one = target(format!("{scope}{}", row.kind));
        let many = target(format!("Collection{scope}{}", row.kind));
        let mut item = Map::new();
        if has("list") {
            item.insert("get".into(), self.operation("list", &one));
        }
        if has("create") {
            item.insert("post".into(), self.operation("create", &one));
        }
        if has("deletecollection") {
            item.insert("delete".into(), self.operation("deletecollection", &many));
        }
        self.put(paths, collection.clone(), item, row.namespaced, false);
        if row.namespaced && has("list") {
            let all = target(format!("{}ForAllNamespaces", row.kind));
            let item = Map::from_iter([("get".to_owned(), self.operation("list", &all))]);
            self.put(paths, format!("{base}/{}", row.plural), item, false, false);
        }

        let path = format!("{collection}/{{name}}");
        let item = ["get", "update", "patch", "delete"]
            .into_iter()
            .filter(|verb| has(verb));
        let item = item
            .map(|verb| (method(verb).to_owned(), self.operation(verb, &one)))
            .collect();
        self.put(paths, path.clone(), item, row.namespaced, true);
        for sub in &row.subresources {
            let target = Target {
                row,
                gvk: sub.gvk,
                subject: format!("{scope}{}{}", row.kind, capital_words(sub.name)),
                type_name: self::type_name(sub.gvk),
            };
            self.subresource(paths, &format!("{path}/{}", sub.name), sub, &target);
        }
    }

    fn subresource(
        &mut self,
        paths: &mut Map<String, Value>,
        path: &str,
        sub: &Subresource<'_>,
        target: &Target<'_>,
    ) {
        let query: Option<&[Query]> = match sub.name {
            "log" => Some(LOG),
            "exec" => Some(EXEC),
            "attach" => Some(ATTACH),
            "portforward" => Some(PORT_FORWARD),
            "proxy" => Some(PROXY),
            _ => None,
        };
        let mut item = Map::new();
        for verb in ["get", "create", "update", "patch", "delete"] {
            if sub.verbs.contains(&verb) {
                let operation = match query {
                    None => self.operation(verb, target),
                    Some(query) => self.connect(verb, target, query),
                };
                item.insert(method(verb).to_owned(), operation);
            }
        }
        if sub.name == "proxy" {
            self.put(
                paths,
                format!("{path}/{{path}}"),
                item.clone(),
                target.row.namespaced,
                true,
            );
        }
        self.put(paths, path.to_owned(), item, target.row.namespaced, true);
    }

    /// Adds a path with the parameters all its operations share.
    fn put(
        &self,
        paths: &mut Map<String, Value>,
        path: String,
        mut item: Map<String, Value>,
        namespaced: bool,
        named: bool,
    ) {
        if item.is_empty() {
            return;
        }
        let mut shared = Vec::new();
        if named {
            shared.push(self.parameter("name", "path", "string", "Name of the object.", true));
        }
        if namespaced {
            shared.push(self.parameter("namespace", "path", "string", "Name of the namespace.", true));
        }
        if path.ends_with("/{path}") {
            shared.push(self.parameter("path", "path", "string", PROXY[0].2, true));
        } else {
            shared.push(self.query(PRETTY));
        }
        item.insert("parameters".into(), shared.into());
        paths.insert(path, Value::Object(item));
    }

    fn operation(&mut self, verb: &str, target: &Target<'_>) -> Value {
        let object = target.type_name;
        let ok: &[(&str, &str)] = &[("200", "OK")];
        let stored: &[(&str, &str)] = &[("200", "OK"), ("201", "Created")];
        let (query, body, codes, answer): (&[Query], _, _, _) = match verb {
            "list" => (LIST, None, ok, object.and_then(list_of)),
            "create" => (
                CREATE,
                object,
                &[("200", "OK"), ("201", "Created"), ("202", "Accepted")][..],
                object,
            ),
            "update" => (CREATE, object, stored, object),
            "patch" => (CHANGE, Some(PATCH), stored, object),
            "delete" => (
                DELETE,
                Some(DELETE_OPTIONS),
                &[("200", "OK"), ("202", "Accepted")][..],
                Some(STATUS),
            ),
            "deletecollection" => (DELETE_COLLECTION, Some(DELETE_OPTIONS), ok, Some(STATUS)),
            _ => (&[], None, ok, object),
        };
        let (group, version, kind) = target.gvk;
        let row = target.row;
        let (name, action, text) = wording(verb, kind);
        let id = format!(
            "{name}{}{}{}",
            camel_group(row.group),
            capital(row.version),
            target.subject
        );
        let answers = if verb == "list" { LIST_TYPES } else { OBJECT_TYPES };
        let mut operation = json!({
            "description": text,
            "operationId": id,
            "tags": [tag(row.group, row.version)],
            "parameters": query.iter().map(|query| self.query(*query)).collect::<Vec<_>>(),
            "responses": self.responses(codes, answer, answers),
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
        });
        let takes = if verb == "patch" { PATCH_TYPES } else { &["*/*"] };
        let required = !verb.starts_with("delete");
        self.media(&mut operation, body.map(|body| (body, takes, required)), answers);
        operation
    }

    /// Streams and proxies: the answer is no object.
    fn connect(&mut self, verb: &str, target: &Target<'_>, query: &[Query]) -> Value {
        let (group, version, kind) = target.gvk;
        let row = target.row;
        let method = capital(method(verb));
        let log = target.subject.ends_with("Log");
        let name = if log {
            "read".into()
        } else {
            format!(
                "connect{}{}{method}",
                camel_group(row.group),
                capital(row.version)
            )
        };
        let id = match log {
            true => format!(
                "{name}{}{}{}",
                camel_group(row.group),
                capital(row.version),
                target.subject
            ),
            false => format!("{name}{}", target.subject),
        };
        let content = if log { "text/plain" } else { "*/*" };
        let answer = match self.format {
            Format::V2 => json!({"description": "OK", "schema": {"type": "string"}}),
            Format::V3 => json!({"description": "OK", "content": {content: {"schema": {"type": "string"}}}}),
        };
        let mut operation = json!({
            "description": if log { "read log of the specified Pod".into() } else { format!("connect {method} requests to {}", row.kind) },
            "operationId": id,
            "tags": [tag(row.group, row.version)],
            "parameters": query.iter().map(|query| self.query(*query)).collect::<Vec<_>>(),
            "responses": {"200": answer, "401": {"description": "Unauthorized"}},
            "x-kubernetes-action": if log { "get" } else { "connect" },
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
        });
        self.media(&mut operation, None, &[content]);
        operation
    }

    /// What the operation takes, and in version 2 the media types, which version 3 has elsewhere.
    fn media(
        &mut self,
        operation: &mut Value,
        body: Option<(&'static str, &[&str], bool)>,
        produces: &[&str],
    ) {
        if let Some((name, takes, required)) = body {
            self.schemas.add(name);
            let schema = self.format.reference(name);
            match self.format {
                Format::V3 => {
                    let content: Map<String, Value> = takes
                        .iter()
                        .map(|kind| ((*kind).to_owned(), json!({"schema": schema})))
                        .collect();
                    operation["requestBody"] = match required {
                        true => json!({"content": content, "required": true}),
                        false => json!({"content": content}),
                    };
                }
                Format::V2 => {
                    let mut body = json!({"name": "body", "in": "body", "schema": schema});
                    if required {
                        body["required"] = true.into();
                    }
                    if let Some(list) = operation["parameters"].as_array_mut() {
                        list.push(body);
                    }
                }
            }
        }
        if self.format == Format::V2 {
            operation["consumes"] = body.map_or(&["*/*"][..], |(_, takes, _)| takes).into();
            operation["produces"] = produces.into();
            operation["schemes"] = json!(["https"]);
        }
    }

    fn responses(&mut self, codes: &[(&str, &str)], answer: Option<&'static str>, types: &[&str]) -> Value {
        let mut responses = json!({"401": {"description": "Unauthorized"}});
        for (code, text) in codes {
            let mut response = json!({"description": text});
            if let Some(name) = answer {
                self.schemas.add(name);
                let schema = self.format.reference(name);
                match self.format {
                    Format::V2 => response["schema"] = schema,
                    Format::V3 => {
                        let content: Map<String, Value> = types
                            .iter()
                            .map(|kind| ((*kind).to_owned(), json!({"schema": schema})))
                            .collect();
                        response["content"] = content.into();
                    }
                }
            }
            responses[*code] = response;
        }
        responses
    }

    fn query(&self, (name, kind, text): Query) -> Value {
        self.parameter(name, "query", kind, text, false)
    }

    fn parameter(&self, name: &str, place: &str, kind: &str, text: &str, required: bool) -> Value {
        let mut parameter = json!({"name": name, "in": place, "description": text});
        match self.format {
            Format::V2 => {
                parameter["type"] = kind.into();
                parameter["uniqueItems"] = true.into();
            }
            Format::V3 => parameter["schema"] = json!({"type": kind, "uniqueItems": true}),
        }
        if required {
            parameter["required"] = true.into();
        }
        parameter
    }
}

fn method(verb: &str) -> &'static str {
    match verb {
        "create" => "post",
        "update" => "put",
        "patch" => "patch",
        "delete" => "delete",
        _ => "get",
    }
}

/// The beginning of the operation's name, its action, its description.
fn wording(verb: &str, kind: &str) -> (&'static str, &'static str, String) {
    match verb {
        "list" => ("list", "list", format!("list or watch objects of kind {kind}")),
        "create" => ("create", "post", format!("create a {kind}")),
        "update" => ("replace", "put", format!("replace the specified {kind}")),
        "patch" => ("patch", "patch", format!("partially update the specified {kind}")),
        "delete" => ("delete", "delete", format!("delete a {kind}")),
        "deletecollection" => (
            "delete",
            "deletecollection",
            format!("delete collection of {kind}"),
        ),
        _ => ("read", "get", format!("read the specified {kind}")),
    }
}

/// The published name of a kind's type.
fn type_name((group, version, kind): (&str, &str, &str)) -> Option<&'static str> {
    let api_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    facts::kind(&api_version, kind).map(|of| of.name)
}

/// The published name of the list of a type.
fn list_of(name: &'static str) -> Option<&'static str> {
    if name.starts_with(META) {
        return None;
    }
    facts::named(&format!("{name}List")).map(|of| of.name)
}

/// `rbac.authorization.k8s.io` is `RbacAuthorization` in names of operations.
fn camel_group(group: &str) -> String {
    match group.strip_suffix(".k8s.io").unwrap_or(group) {
        "" => "Core".into(),
        name => name.split('.').map(capital).collect(),
    }
}

fn tag(group: &str, version: &str) -> String {
    let camel = camel_group(group);
    let (first, rest) = camel.split_at(1);
    format!("{}{rest}_{version}", first.to_ascii_lowercase())
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    first.to_ascii_uppercase() + rest
}

fn capital_words(name: &str) -> String {
    name.split(['-', '/']).map(capital).collect()
}
