//! The OpenAPI documents: version 3 per group, version 2 as a whole, in JSON and in the protobuf encoding older
//! clients ask for.
//!
//! Made from the rows of the resource table and the published facts, on request; nothing is kept here. Clients read
//! from them the schemas for `kubectl explain` and for patches, and which query parameters a verb takes (`kubectl`
//! leaves validation to the server when the PATCH of a kind has `fieldValidation`).

mod gnostic;
mod paths;
mod queries;
#[rustfmt::skip]
mod roots;
mod schemas;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha512};

use crate::{KUBERNETES_MAJOR, KUBERNETES_MINOR};
use paths::Paths;
use schemas::{Format, Schemas};

/// Media type of [`v2_protobuf`] in answers, and in the `Accept` of newer clients.
pub const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// The same in the `Accept` of all kubectls. Not for answers: no client can parse it as a media type.
pub const V2_PROTOBUF_ACCEPTED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// A kind that is served, as a row of the resource table.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// API group, empty for core.
    pub group: &'a str,
    /// Version, e.g. `v1`.
    pub version: &'a str,
    /// Kind, e.g. `Deployment`.
    pub kind: &'a str,
    /// Plural name in paths.
    pub plural: &'a str,
    /// Lives in a namespace.
    pub namespaced: bool,
    /// Verbs as discovery shows them.
    pub verbs: &'a [&'a str],
    /// Sub-resources.
    pub subresources: Vec<Subresource<'a>>,
}

/// A sub-resource of a [`Row`].
#[derive(Clone, Debug)]
pub struct Subresource<'a> {
    /// Name, e.g. `status`.
    pub name: &'a str,
    /// Group, version and kind of what is sent and returned.
    pub gvk: (&'a str, &'a str, &'a str),
    /// Verbs.
    pub verbs: &'a [&'a str],
}

/// Where a group version lives: `api/v1`, `apis/apps/v1`. The keys of the version 3 index.
pub fn group_path(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}

/// The name under which a document may be cached for ever: changes with its bytes.
pub fn hash(document: &[u8]) -> String {
    hex::encode_upper(Sha512::digest(document))
}

/// The body of `/openapi/v3`: for each document its [`group_path`] and its [`hash`].
pub fn v3_index<'a>(documents: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let paths: Map<String, Value> = documents
        .into_iter()
        .map(|(path, hash)| {
            (
                path.to_owned(),
                json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")}),
            )
        })
        .collect();
    json!({"paths": paths})
}

/// The version 3 document of a group version, from the rows that belong to it.
pub fn v3(group: &str, version: &str, rows: &[Row<'_>]) -> Bytes {
    let rows = rows
        .iter()
        .filter(|row| row.group == group && row.version == version);
    let mut schemas = Schemas::new(Format::V3);
    let paths = Paths::new(Format::V3, &mut schemas).of_rows(rows);
    let document = json!({
        "openapi": "3.0.0",
        "info": info(),
        "paths": paths,
        "components": {
            "schemas": schemas.build(),
            "securitySchemes": {"BearerToken": security()},
        },
    });
    Bytes::from(document.to_string())
}

/// The version 2 document in JSON.
pub fn v2(rows: &[Row<'_>]) -> Bytes {
    Bytes::from(v2_document(rows).to_string())
}

/// The version 2 document as the protobuf message `openapi.v2.Document` ([`V2_PROTOBUF`]).
pub fn v2_protobuf(rows: &[Row<'_>]) -> Bytes {
    Bytes::from(gnostic::document(&v2_document(rows)))
}

fn v2_document(rows: &[Row<'_>]) -> Value {
    let mut schemas = Schemas::new(Format::V2);
    let paths = Paths::new(Format::V2, &mut schemas).of_rows(rows.iter());
    json!({
        "swagger": "2.0",
        "info": info(),
        "paths": paths,
        "definitions": schemas.build(),
        "securityDefinitions": {"BearerToken": security()},
        "security": [{"BearerToken": []}],
    })
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": format!("v{KUBERNETES_MAJOR}.{KUBERNETES_MINOR}.0")})
}

fn security() -> Value {
    json!({"type": "apiKey", "name": "authorization", "in": "header", "description": "Bearer token authentication"})
}

#[cfg(test)]
mod tests;
