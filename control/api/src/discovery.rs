//! What is served: `/version`, `/api` and `/apis` in the old form and aggregated (`APIGroupDiscoveryList`), with
//! entity tags. Built once: the table does not change.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use skiff_resources::Resource;

use crate::{
    request::{
        accept::{self, Accepted},
        query::Query,
    },
    server::{
        body::Body,
        respond::{self, Answer},
    },
    status::Status,
};

/// `/version`.
pub(crate) fn version() -> Bytes {
    let (major, minor) = (skiff_schema::KUBERNETES_MAJOR, skiff_schema::KUBERNETES_MINOR);
    let value = json!({
        "major": major,
        "minor": minor,
        "gitVersion": format!("v{major}.{minor}.0+skiff{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": option_env!("SKIFF_COMMIT").unwrap_or_default(),
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none (rust)",
        "compiler": "rustc",
        "platform": format!("linux/{}", match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        }),
    });
    Bytes::from(value.to_string())
}

/// A document and its entity tag.
struct Document {
    bytes: Bytes,
    etag: String,
}

impl Document {
    fn new(value: &Value) -> Self {
        let bytes = Bytes::from(value.to_string());
        let etag = format!("\"{}\"", hex::encode_upper(Sha256::digest(&bytes)));
        Self { bytes, etag }
    }
}

/// The documents.
pub(crate) struct Discovery {
    core: [Document; 2],
    groups: [Document; 2],
    names: Vec<(String, Vec<String>)>,
}

/// Versions of the aggregated form, best first.
const AGGREGATED: [&str; 2] = ["v2", "v2beta1"];

impl Discovery {
    pub(crate) fn new() -> Self {
        let mut names: Vec<(String, Vec<String>)> = Vec::new();
        for row in skiff_resources::table() {
            match names.iter_mut().find(|(group, _)| *group == row.group) {
                Some((_, versions)) if versions.iter().any(|v| *v == row.version) => {}
                Some((_, versions)) => versions.push(row.version.to_string()),
                None => names.push((row.group.to_string(), vec![row.version.to_string()])),
            }
        }
        let aggregate = |core: bool| {
            AGGREGATED.map(|form| {
                let items: Vec<Value> = names
                    .iter()
                    .filter(|(group, _)| group.is_empty() == core)
                    .map(|(group, versions)| aggregated_group(group, versions))
                    .collect();
                Document::new(&json!({
                    "kind": "APIGroupDiscoveryList",
                    "apiVersion": format!("apidiscovery.k8s.io/{form}"),
                    "metadata": {},
                    "items": items,
                }))
            })
        };
        Self {
            core: aggregate(true),
            groups: aggregate(false),
            names,
        }
    }

    /// Answers `/api`, `/apis`, `/api/v1`, `/apis/{group}`, `/apis/{group}/{version}`; `None` for other paths.
    pub(crate) fn answer(
        &self,
        path: &str,
        headers: &HeaderMap,
        query: &Query,
    ) -> Result<Option<Response<Body>>, Status> {
        let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        let value = match segments.as_slice() {
            ["api"] => match wanted_form(headers) {
                Some(form) => return Ok(Some(aggregated(&self.core[form], form, headers))),
                None => self.legacy_core(),
            },
            ["apis"] => match wanted_form(headers) {
                Some(form) => return Ok(Some(aggregated(&self.groups[form], form, headers))),
                None => self.legacy_groups(),
            },
            ["apis", group] => match self.versions(group) {
                Some(versions) => {
                    let mut value = group_value(group, versions);
                    value["kind"] = json!("APIGroup");
                    value["apiVersion"] = json!("v1");
                    value
                }
                None => return Ok(None),
            },
            ["api", version] | ["apis", _, version] => {
                let group = if segments.len() == 2 { "" } else { segments[1] };
                if !self
                    .versions(group)
                    .is_some_and(|v| v.iter().any(|v| v == version))
                {
                    return Ok(None);
                }
                resource_list(group, version)
            }
            _ => return Ok(None),
        };
        let accepted = accept::negotiate(headers, accept::PLAIN).unwrap_or_else(|_| Accepted::default());
        let answer = Answer::new(200, value.to_string(), accepted);
        Ok(Some(answer.into_response(headers, query)))
    }

    /// The paths of `/`.
    pub(crate) fn paths(&self) -> Bytes {
        let mut paths = vec!["/.well-known/openid-configuration".to_owned(), "/api".into()];
        for (group, versions) in &self.names {
            let root = if group.is_empty() {
                "/api".to_owned()
            } else {
                format!("/apis/{group}")
            };
            if !group.is_empty() {
                paths.push(root.clone());
            }
            paths.extend(versions.iter().map(|v| format!("{root}/{v}")));
        }
        for path in [
            "/apis",
            "/healthz",
            "/livez",
            "/metrics",
            "/openapi/v2",
            "/openapi/v3",
            "/openid/v1/jwks",
            "/readyz",
            "/version",
        ] {
            paths.push(path.into());
        }
        paths.sort();
        Bytes::from(json!({"paths": paths}).to_string())
    }

    fn versions(&self, group: &str) -> Option<&[String]> {
        self.names
            .iter()
            .find(|(g, _)| g == group)
            .map(|(_, versions)| versions.as_slice())
    }

    fn legacy_core(&self) -> Value {
        json!({"kind": "APIVersions", "versions": self.versions("").unwrap_or_default(),
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}]})
    }

    fn legacy_groups(&self) -> Value {
        let groups: Vec<Value> = self
            .names
            .iter()
            .filter(|(group, _)| !group.is_empty())
            .map(|(group, versions)| group_value(group, versions))
            .collect();
        json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
    }
}

/// Which aggregated form the client prefers to the old one, as an index of [`AGGREGATED`].
fn wanted_form(headers: &HeaderMap) -> Option<usize> {
    for range in accept::ranges(accept::header(headers)) {
        match range.media {
            "application/json" if range.parameter("g") == Some("apidiscovery.k8s.io") => {
                let form = AGGREGATED.iter().position(|v| Some(*v) == range.parameter("v"));
                if form.is_some() && range.parameter("as") == Some("APIGroupDiscoveryList") {
                    return form;
                }
            }
            "application/json" | "*/*" | "application/*" if range.parameter("as").is_none() => return None,
            _ => {}
        }
    }
    None
}

fn aggregated(document: &Document, form: usize, headers: &HeaderMap) -> Response<Body> {
    let kinds = [
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
    ];
    let same = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v == "*" || v.contains(&document.etag));
    let mut response = if same {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        respond::with_type(200, document.bytes.clone(), kinds[form], headers)
    };
    if let Ok(etag) = HeaderValue::from_str(&document.etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
    response
        .headers_mut()
        .append(header::VARY, HeaderValue::from_static("Accept"));
    response
}

fn rows<'a>(group: &'a str, version: &'a str) -> impl Iterator<Item = &'static Resource> + 'a {
    skiff_resources::table()
        .iter()
        .filter(move |row| row.group == group && row.version == version)
}

fn group_value(group: &str, versions: &[String]) -> Value {
    let version = |v: &String| json!({"groupVersion": format!("{group}/{v}"), "version": v});
    json!({"name": group, "versions": versions.iter().map(version).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(version)})
}

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

/// `APIResourceList`, the old form.
fn resource_list(group: &str, version: &str) -> Value {
    let mut resources = Vec::new();
    for row in rows(group, version) {
        let mut value = json!({
            "name": row.plural,
            "singularName": row.singular,
            "namespaced": row.namespaced,
            "kind": row.kind,
            "verbs": row.verbs,
        });
        if !row.short_names.is_empty() {
            value["shortNames"] = json!(row.short_names);
        }
        if !row.categories.is_empty() {
            value["categories"] = json!(row.categories);
        }
        if row.verbs.contains(&"get") {
            value["storageVersionHash"] = json!(storage_hash(row));
        }
        resources.push(value);
        for sub in row.subresources {
            let (group, version, kind) = sub.gvk;
            let mut value = json!({
                "name": format!("{}/{}", row.plural, sub.name),
                "singularName": "",
                "namespaced": row.namespaced,
                "kind": kind,
                "verbs": sub.verbs,
            });
            if (group, version) != (&*row.group, &*row.version) {
                value["group"] = json!(group);
                value["version"] = json!(version);
            }
            resources.push(value);
        }
    }
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version(group, version),
        "resources": resources})
}

fn storage_hash(row: &Resource) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let digest = Sha256::digest(format!("{}/{}/{}", row.group, row.version, row.kind));
    STANDARD.encode(&digest[..8])
}

/// One item of the aggregated form.
fn aggregated_group(group: &str, versions: &[String]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| {
            let resources: Vec<Value> = rows(group, version).map(aggregated_resource).collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        })
        .collect();
    let mut metadata = json!({"creationTimestamp": null});
    if !group.is_empty() {
        metadata["name"] = json!(group);
    }
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated_resource(row: &'static Resource) -> Value {
    let kind = |(group, version, kind): (&str, &str, &str)| json!({"group": group, "version": version, "kind": kind});
    let mut value = json!({
        "resource": row.plural,
        "responseKind": kind((&row.group, &row.version, &row.kind)),
        "scope": if row.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": row.singular,
        "verbs": row.verbs,
    });
    if !row.short_names.is_empty() {
        value["shortNames"] = json!(row.short_names);
    }
    if !row.categories.is_empty() {
        value["categories"] = json!(row.categories);
    }
    if !row.subresources.is_empty() {
        let subs: Vec<Value> = row
            .subresources
            .iter()
            .map(|sub| json!({"subresource": sub.name, "responseKind": kind(sub.gvk), "verbs": sub.verbs}))
            .collect();
        value["subresources"] = json!(subs);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(accept: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        headers
    }

    #[test]
    fn the_first_form_the_client_names_is_sent() {
        let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let beta = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
        assert_eq!(
            wanted_form(&headers(&format!("{v2},{beta},application/json"))),
            Some(0)
        );
        assert_eq!(
            wanted_form(&headers(&format!("{beta},application/json"))),
            Some(1)
        );
        assert_eq!(wanted_form(&headers("application/json")), None);
    }

    #[test]
    fn an_unchanged_document_is_not_sent_again() {
        let document = Document::new(&json!({"a": 1}));
        let mut headers = HeaderMap::new();
        assert_eq!(aggregated(&document, 0, &headers).status(), 200);
        headers.insert(header::IF_NONE_MATCH, document.etag.parse().unwrap());
        assert_eq!(aggregated(&document, 0, &headers).status(), 304);
    }
}
