//! Request bodies: read with a limit, parsed once.

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use serde_json::Value;
use skiff_schema::PatchError;

use super::{protobuf, query::FieldValidation};
use crate::status::Status;

/// Largest request body in bytes. Kubernetes: 3 MiB.
pub const LIMIT: usize = 3 << 20;

/// Reads a whole body.
///
/// # Errors
/// 413 over [`LIMIT`], 400 when the client stops in the middle.
pub async fn read<B>(mut body: B) -> Result<Bytes, Status>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut first: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Status::bad_request(format!("error reading the request body: {e}")))?;
        let Ok(data) = frame.into_data() else { continue };
        size += data.remaining();
        if size > LIMIT {
            return Err(Status::new(
                413,
                "RequestEntityTooLarge",
                format!("Request entity too large: limit is {LIMIT}"),
            ));
        }
        if joined.is_empty() {
            match first.take() {
                None => first = Some(data),
                Some(head) => {
                    joined.extend_from_slice(&head);
                    joined.extend_from_slice(&data);
                }
            }
        } else {
            joined.extend_from_slice(&data);
        }
    }
    Ok(first.unwrap_or_else(|| joined.freeze()))
}

/// The media type of a body, without parameters; empty when not given.
pub fn media_type(headers: &HeaderMap) -> &str {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .map(|v| v.split(';').next().unwrap_or_default().trim())
        .unwrap_or_default()
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// Kubernetes' protobuf.
    Protobuf,
}

/// The media types of objects, as a 415 lists them.
const ACCEPTED: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

impl Syntax {
    /// From a media type.
    ///
    /// # Errors
    /// 415 for anything but JSON, YAML and protobuf.
    pub fn of(media: &str) -> Result<Self, Status> {
        match media {
            "" | "application/json" | "*/*" => Ok(Self::Json),
            "application/yaml" | "application/x-yaml" | "text/yaml" => Ok(Self::Yaml),
            protobuf::MEDIA_TYPE => Ok(Self::Protobuf),
            _ => Err(Status::unsupported_media_type(ACCEPTED)),
        }
    }
}

/// Parses an object of a type (`api_version`, `kind`), with unknown fields dropped and told (`Warn`), refused (`Strict`) or dropped
/// (`Ignore`). Returns the object and the warnings.
///
/// # Errors
/// 400, worded as Kubernetes words it.
pub fn parse(
    bytes: &[u8],
    syntax: Syntax,
    api_version: &str,
    kind: &str,
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), Status> {
    let ty = skiff_schema::lookup(api_version, kind);
    let version = api_version.rsplit('/').next().unwrap_or_default();
    let cannot = |why: &str| {
        Status::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: {why}"
        ))
    };
    let text = |error: PatchError| cannot(&error.to_string());
    let (value, problems) = match syntax {
        Syntax::Json => skiff_schema::decode(bytes, ty).map_err(text)?,
        Syntax::Yaml | Syntax::Protobuf => {
            let mut value = match syntax {
                Syntax::Protobuf => {
                    protobuf::decode(bytes, api_version, kind).map_err(|e| cannot(&e.to_string()))?
                }
                _ => yaml(bytes)?,
            };
            let problems = match ty {
                Some(ty) => skiff_schema::prune(&mut value, ty).map_err(text)?,
                None => Vec::new(),
            };
            (value, problems)
        }
    };
    if !value.is_object() {
        return Err(cannot("json: cannot unmarshal a value that is not an object"));
    }
    let warnings = strict(problems.into_iter().map(|p| p.0).collect(), validation, &cannot)?;
    Ok((value, warnings))
}

/// Applies a field validation level to the problems found.
pub fn strict(
    problems: Vec<String>,
    validation: FieldValidation,
    cannot: &dyn Fn(&str) -> Status,
) -> Result<Vec<String>, Status> {
    match validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(problems),
        FieldValidation::Strict if problems.is_empty() => Ok(problems),
        FieldValidation::Strict => Err(cannot(&format!("strict decoding error: {}", problems.join(", ")))),
    }
}

/// Parses YAML (or JSON, which is YAML).
///
/// # Errors
/// 400 when it does not parse.
pub fn yaml(bytes: &[u8]) -> Result<Value, Status> {
    let text =
        std::str::from_utf8(bytes).map_err(|e| Status::bad_request(format!("error decoding YAML: {e}")))?;
    serde_saphyr::from_str(text).map_err(|e| Status::bad_request(format!("error decoding YAML: {e}")))
}

/// Parses JSON without a schema.
///
/// # Errors
/// 400 when it does not parse.
pub fn json(bytes: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(bytes).map_err(|e| Status::bad_request(format!("error decoding JSON: {e}")))
}
