//! `/openapi/v2` and `/openapi/v3`: documents of `skiff-schema`, built when first asked for and kept.

use http::{HeaderMap, Response};

use crate::{request::query::Query, server::body::Body, status::Status};

/// The documents.
#[derive(Default)]
pub(crate) struct OpenApi {}

impl OpenApi {
    /// Answers a path under `/openapi/`.
    pub(crate) fn answer(
        &self,
        _path: &str,
        _headers: &HeaderMap,
        _query: &Query,
    ) -> Result<Response<Body>, Status> {
        Err(Status::no_such_path())
    }
}
