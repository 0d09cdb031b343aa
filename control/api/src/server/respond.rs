//! From results to HTTP responses: format, compression, warnings.

use std::io::Write as _;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::body::Body;
use crate::{
    request::{
        accept::{self, Accepted, Format, Offer},
        protobuf,
        query::Query,
    },
    status::Status,
};

/// Bodies from this size on are compressed when the client can read that. Kubernetes: 128 KiB.
const GZIP_FROM: usize = 128 << 10;

/// An answer before it is written out.
pub(crate) struct Answer {
    pub(crate) code: u16,
    /// JSON.
    pub(crate) bytes: Bytes,
    pub(crate) accepted: Accepted,
    pub(crate) warnings: Vec<String>,
}

impl Answer {
    pub(crate) fn new(code: u16, bytes: impl Into<Bytes>, accepted: Accepted) -> Self {
        Self {
            code,
            bytes: bytes.into(),
            accepted,
            warnings: Vec::new(),
        }
    }

    /// The response, for a request with these headers and parameters.
    pub(crate) fn into_response(self, headers: &HeaderMap, query: &Query) -> Response<Body> {
        let (bytes, content_type) = match self.accepted.format {
            Format::Yaml => (to_yaml(&self.bytes), "application/yaml"),
            Format::Json if wants_pretty(headers, query) => (to_pretty(self.bytes), "application/json"),
            Format::Json => (self.bytes, "application/json"),
            Format::Protobuf => match to_protobuf(&self.bytes) {
                Ok(bytes) => (bytes, protobuf::MEDIA_TYPE),
                Err(status) => return failure(&status, headers),
            },
        };
        let mut response = with_type(self.code, bytes, content_type, headers);
        for text in self.warnings {
            if let Ok(value) = HeaderValue::from_str(&format!("299 - {}", quote(&text))) {
                response.headers_mut().append(header::WARNING, value);
            }
        }
        response
    }
}

fn quote(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A response of some type, compressed if that pays.
pub(crate) fn with_type(
    code: u16,
    bytes: Bytes,
    content_type: &'static str,
    headers: &HeaderMap,
) -> Response<Body> {
    let gzip = bytes.len() >= GZIP_FROM && takes_gzip(headers);
    let (bytes, encoded) = if gzip { compress(bytes) } else { (bytes, false) };
    let mut response = plain(Body::full(bytes), content_type);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let out = response.headers_mut();
    if encoded {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        out.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    response
}

fn plain(body: Body, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    out.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    response
}

/// JSON whose pieces are made while it is sent; `size` is what they are together.
pub(crate) fn pieces(size: usize, pieces: impl Iterator<Item = Bytes> + Send + 'static) -> Response<Body> {
    let mut response = plain(Body::stream(futures::stream::iter(pieces)), "application/json");
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    response
}

/// Whether JSON for this client goes out byte by byte as it is stored.
pub(crate) fn is_sent_as_it_is(headers: &HeaderMap, query: &Query) -> bool {
    !takes_gzip(headers) && !wants_pretty(headers, query)
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| {
            v.split(',')
                .any(|e| e.split(';').next().unwrap_or_default().trim() == "gzip")
        })
}

fn compress(bytes: Bytes) -> (Bytes, bool) {
    // The lowest level: it is for links that are slower than memory, and the server has better things to do.
    let mut encoder =
        flate2::write::GzEncoder::new(Vec::with_capacity(bytes.len() / 4), flate2::Compression::fast());
    match encoder.write_all(&bytes).and_then(|()| encoder.finish()) {
        Ok(out) => (out.into(), true),
        Err(_) => (bytes, false),
    }
}

fn wants_pretty(headers: &HeaderMap, query: &Query) -> bool {
    if query.get("pretty").is_some() {
        return query.flag("pretty");
    }
    // As Kubernetes does for people with a plain HTTP client.
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    agent.starts_with("curl") || agent.starts_with("Wget")
}

fn to_pretty(bytes: Bytes) -> Bytes {
    let value: Result<serde_json::Value, _> = serde_json::from_slice(&bytes);
    value
        .and_then(|v| serde_json::to_vec_pretty(&v))
        .map_or(bytes, Bytes::from)
}

fn to_protobuf(bytes: &Bytes) -> Result<Bytes, Status> {
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(Status::internal)?;
    protobuf::encode(&value)
        .map(Bytes::from)
        .map_err(Status::internal)
}

fn to_yaml(bytes: &Bytes) -> Bytes {
    let value: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
    value
        .and_then(|v| serde_saphyr::to_string(&v).ok())
        .map_or_else(|| bytes.clone(), Bytes::from)
}

/// The response of a failure.
pub(crate) fn failure(status: &Status, headers: &HeaderMap) -> Response<Body> {
    let offer = Offer {
        transforms: true,
        protobuf: true,
    };
    let wanted = accept::negotiate(headers, offer).unwrap_or_default().format;
    let encoded = (wanted == Format::Protobuf)
        .then(|| protobuf::encode(&status.to_value()).ok())
        .flatten();
    let mut response = match encoded {
        Some(bytes) => with_type(status.code, bytes.into(), protobuf::MEDIA_TYPE, headers),
        None => with_type(status.code, status.to_bytes(), "application/json", headers),
    };
    let seconds = status.details.as_ref().map_or(0, |d| d.retry_after_seconds);
    if seconds > 0 {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status.code == 401 {
        let realm = HeaderValue::from_static("Basic realm=\"kubernetes-master\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
    }
    response
}
