//! `/openapi/v2` and `/openapi/v3`: documents of `skiff-schema`, built when first asked for and kept.

use std::sync::OnceLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use skiff_schema::openapi::{self, Row, Subresource};

use crate::{
    request::{accept, query::Query},
    server::{body::Body, respond},
    status::Status,
};

/// A document and the hash clients cache it under.
struct Document {
    path: String,
    bytes: Bytes,
    hash: String,
}

impl Document {
    fn new(path: String, bytes: Bytes) -> Self {
        let hash = openapi::hash(&bytes);
        Self { path, bytes, hash }
    }
}

/// The documents.
#[derive(Default)]
pub(crate) struct OpenApi {
    v3: OnceLock<Vec<Document>>,
    v2: OnceLock<Document>,
    v2_protobuf: OnceLock<Document>,
}

fn rows() -> Vec<Row<'static>> {
    let row = |r: &'static skiff_resources::Resource| Row {
        group: &r.group,
        version: &r.version,
        kind: &r.kind,
        plural: &r.plural,
        namespaced: r.namespaced,
        verbs: r.verbs,
        subresources: r
            .subresources
            .iter()
            .map(|s| Subresource {
                name: s.name,
                gvk: s.gvk,
                verbs: s.verbs,
            })
            .collect(),
    };
    skiff_resources::table().iter().map(row).collect()
}

fn v3_documents() -> Vec<Document> {
    let rows = rows();
    let mut done: Vec<Document> = Vec::new();
    for row in &rows {
        let path = openapi::group_path(row.group, row.version);
        if !done.iter().any(|d| d.path == path) {
            let bytes = openapi::v3(row.group, row.version, &rows);
            done.push(Document::new(path, bytes));
        }
    }
    done
}

impl OpenApi {
    /// Answers a path under `/openapi/`. Building a document takes a while: once per process, off the event loop.
    pub(crate) fn answer(
        &self,
        path: &str,
        headers: &HeaderMap,
        query: &Query,
    ) -> Result<Response<Body>, Status> {
        match path {
            "/openapi/v2" => {
                let accepted = accept::header(headers);
                let protobuf = accepted.split(',').next().is_some_and(|first| {
                    first.contains(openapi::V2_PROTOBUF_ACCEPTED) || first.contains(openapi::V2_PROTOBUF)
                });
                let (document, kind) = if protobuf {
                    let build = || Document::new(String::new(), openapi::v2_protobuf(&rows()));
                    (
                        self.v2_protobuf.get_or_init(|| off_loop(build)),
                        openapi::V2_PROTOBUF,
                    )
                } else {
                    let build = || Document::new(String::new(), openapi::v2(&rows()));
                    (self.v2.get_or_init(|| off_loop(build)), "application/json")
                };
                Ok(cached(document, kind, headers))
            }
            "/openapi/v3" => {
                let documents = self.v3.get_or_init(|| off_loop(v3_documents));
                let index = openapi::v3_index(documents.iter().map(|d| (&*d.path, &*d.hash)));
                let document = Document::new(String::new(), Bytes::from(index.to_string()));
                Ok(cached(&document, "application/json", headers))
            }
            _ => {
                let name = path
                    .strip_prefix("/openapi/v3/")
                    .ok_or_else(Status::no_such_path)?;
                let documents = self.v3.get_or_init(|| off_loop(v3_documents));
                let document = documents
                    .iter()
                    .find(|d| d.path == name)
                    .ok_or_else(Status::no_such_path)?;
                let mut response = cached(document, "application/json", headers);
                if query.get("hash") == Some(&document.hash) {
                    let forever = HeaderValue::from_static("public, immutable");
                    response.headers_mut().insert(header::CACHE_CONTROL, forever);
                }
                Ok(response)
            }
        }
    }
}

fn off_loop<T>(build: impl FnOnce() -> T) -> T {
    match tokio::runtime::Handle::try_current().map(|h| h.runtime_flavor()) {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(build),
        _ => build(),
    }
}

fn cached(document: &Document, kind: &'static str, headers: &HeaderMap) -> Response<Body> {
    let etag = format!("\"{}\"", document.hash);
    let same = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.contains(&etag));
    let mut response = if same {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        respond::with_type(200, document.bytes.clone(), kind, headers)
    };
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
        .headers_mut()
        .append(header::VARY, HeaderValue::from_static("Accept"));
    response
}
