//! Which representation the client wants: `Accept`, in its order of preference.

use http::{HeaderMap, header};

use super::protobuf;
use crate::status::Status;

/// How objects are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// As they are.
    #[default]
    Object,
    /// `meta.k8s.io/v1 Table` (or v1beta1).
    Table {
        /// `v1beta1` instead of `v1`.
        beta: bool,
    },
    /// `meta.k8s.io/v1 PartialObjectMetadata(List)` (or v1beta1).
    Metadata {
        /// `v1beta1` instead of `v1`.
        beta: bool,
    },
}

/// How bytes are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `application/json`.
    #[default]
    Json,
    /// `application/yaml`.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

/// The representation agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Shape.
    pub shape: Shape,
    /// Format.
    pub format: Format,
}

/// One media range of an `Accept` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRange<'a> {
    /// `application/json`, lower case as sent.
    pub media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> MediaRange<'a> {
    /// A parameter such as `as`.
    pub fn parameter(&self, key: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(k, _)| *k == key).map(|(_, v)| *v)
    }
}

/// The media ranges of a header, best first (stable by `q`).
pub fn ranges(header: &str) -> Vec<MediaRange<'_>> {
    let mut out: Vec<(f32, MediaRange<'_>)> = header
        .split(',')
        .filter_map(|part| {
            let mut pieces = part.split(';').map(str::trim);
            let media = pieces.next().filter(|m| !m.is_empty())?;
            let parameters: Vec<(&str, &str)> = pieces.filter_map(|p| p.split_once('=')).collect();
            let q = parameters
                .iter()
                .find(|(k, _)| *k == "q")
                .and_then(|(_, v)| v.parse().ok())
                .unwrap_or(1.0);
            Some((q, MediaRange { media, parameters }))
        })
        .collect();
    out.sort_by(|a, b| b.0.total_cmp(&a.0));
    out.into_iter().map(|(_, range)| range).collect()
}

/// The `Accept` header as text; `*/*` when missing.
pub fn header(headers: &HeaderMap) -> &str {
    headers
        .get(header::ACCEPT)
        .and_then(|v| v.to_str().ok())
        .filter(|v| !v.is_empty())
        .unwrap_or("*/*")
}

/// What an answer can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Table and PartialObjectMetadata make sense here.
    pub transforms: bool,
    /// The kind has a protobuf form.
    pub protobuf: bool,
}

/// An answer that is JSON or YAML.
pub const PLAIN: Offer = Offer {
    transforms: false,
    protobuf: false,
};

/// Picks the first media range we can write.
///
/// # Errors
/// 406 when there is none.
pub fn negotiate(headers: &HeaderMap, offer: Offer) -> Result<Accepted, Status> {
    for range in ranges(header(headers)) {
        let format = match range.media {
            "application/json" | "*/*" | "application/*" => Format::Json,
            "application/yaml" => Format::Yaml,
            protobuf::MEDIA_TYPE => Format::Protobuf,
            _ => continue,
        };
        let beta = range.parameter("v") == Some("v1beta1");
        let shape = match range.parameter("as") {
            None => Shape::Object,
            Some(_) if !offer.transforms => continue,
            Some(_) if !matches!(range.parameter("g"), Some("meta.k8s.io")) => continue,
            Some(_) if !matches!(range.parameter("v"), Some("v1" | "v1beta1")) => continue,
            Some("Table") => Shape::Table { beta },
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Shape::Metadata { beta },
            Some(_) => continue,
        };
        // Tables have no protobuf form; metadata has one whatever the kind.
        let is_writable = match shape {
            Shape::Object => offer.protobuf,
            Shape::Metadata { beta } => !beta,
            Shape::Table { .. } => false,
        };
        if format == Format::Protobuf && !is_writable {
            continue;
        }
        return Ok(Accepted { shape, format });
    }
    Err(Status::not_acceptable())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept_kind(value: &str, protobuf: bool) -> Result<Accepted, Status> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, value.parse().unwrap());
        let offer = Offer {
            transforms: true,
            protobuf,
        };
        negotiate(&headers, offer)
    }

    fn accept(value: &str) -> Result<Accepted, Status> {
        accept_kind(value, true)
    }

    #[test]
    fn kubectl_gets_a_table() {
        let got = accept(
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
        );
        assert_eq!(got.unwrap().shape, Shape::Table { beta: false });
    }

    #[test]
    fn protobuf_is_for_kinds_that_have_it_and_never_for_tables() {
        let both = "application/vnd.kubernetes.protobuf,application/json";
        assert_eq!(accept(both).unwrap().format, Format::Protobuf);
        assert_eq!(accept_kind(both, false).unwrap(), Accepted::default());
        assert_eq!(
            accept_kind("application/vnd.kubernetes.protobuf", false)
                .unwrap_err()
                .code,
            406
        );
        let table = "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1";
        assert_eq!(accept(table).unwrap_err().code, 406);
        let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        let got = accept_kind(metadata, false).unwrap();
        assert_eq!(
            (got.format, got.shape),
            (Format::Protobuf, Shape::Metadata { beta: false })
        );
    }

    #[test]
    fn quality_orders_the_ranges() {
        assert_eq!(
            accept("application/yaml;q=0.1, */*;q=0.9").unwrap().format,
            Format::Json
        );
        assert_eq!(accept("application/yaml").unwrap().format, Format::Yaml);
    }
}
