//! `meta.k8s.io Table` and `PartialObjectMetadata`: what `kubectl get` and metadata informers ask for.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use skiff_resources::Resource;

use crate::{
    registry::{List, Object, Registry, api_version_of, meta},
    request::{accept::Shape, query::Query},
    status::Status,
};

/// What each row carries of its object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Include {
    /// Nothing.
    None,
    /// `PartialObjectMetadata`.
    #[default]
    Metadata,
    /// Everything.
    Object,
}

impl Include {
    pub(crate) fn from_query(query: &Query) -> Result<Self, Status> {
        match query.get("includeObject") {
            None | Some("Metadata") => Ok(Self::Metadata),
            Some("None") => Ok(Self::None),
            Some("Object") => Ok(Self::Object),
            Some(other) => Err(Status::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', \
                 'Object', 'None', or empty"
            ))),
        }
    }
}

/// How objects are to be shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct View {
    pub(crate) shape: Shape,
    pub(crate) include: Include,
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    metadata: &'a RawValue,
}

fn meta_version(beta: bool) -> &'static str {
    if beta {
        "meta.k8s.io/v1beta1"
    } else {
        "meta.k8s.io/v1"
    }
}

/// `PartialObjectMetadata` of an object.
fn partial(bytes: &[u8], beta: bool) -> String {
    let metadata = serde_json::from_slice::<Raw<'_>>(bytes).map_or("{}", |r| r.metadata.get());
    format!(
        "{{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"{}\",\"metadata\":{metadata}}}",
        meta_version(beta)
    )
}

/// The column definitions of a kind.
fn columns(resource: &Resource) -> Vec<Value> {
    let column = |c: &skiff_resources::Column| json!({"name": c.name, "type": c.kind, "format": c.format, "description": c.description, "priority": c.priority});
    resource.strategy.columns().iter().map(column).collect()
}

fn row(resource: &Resource, bytes: &[u8], value: &Value, include: Include, beta: bool, now: i64) -> String {
    let cells = Value::Array(resource.strategy.cells(value, now));
    let object = match include {
        Include::None => "null".to_owned(),
        Include::Metadata => partial(bytes, beta),
        Include::Object => String::from_utf8_lossy(bytes).into_owned(),
    };
    format!("{{\"cells\":{cells},\"object\":{object}}}")
}

fn table(beta: bool, metadata: &Value, columns: Vec<Value>, rows: &[String]) -> Bytes {
    let columns = if columns.is_empty() {
        Value::Null
    } else {
        Value::Array(columns)
    };
    Bytes::from(format!(
        "{{\"kind\":\"Table\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"columnDefinitions\":{columns},\"rows\":[{}]}}",
        meta_version(beta),
        rows.join(",")
    ))
}

impl View {
    /// One object in this view. `headers`: with column definitions (a watch sends them once).
    pub(crate) fn object(
        &self,
        resource: &Resource,
        bytes: &Bytes,
        value: impl FnOnce() -> Value,
        headers: bool,
    ) -> Bytes {
        match self.shape {
            Shape::Object => bytes.clone(),
            Shape::Metadata { beta } => Bytes::from(partial(bytes, beta)),
            Shape::Table { beta } => {
                let value = value();
                let metadata =
                    json!({"resourceVersion": meta::text(&value, &["metadata", "resourceVersion"])});
                let columns = if headers { columns(resource) } else { Vec::new() };
                let row = row(resource, bytes, &value, self.include, beta, meta::now());
                table(beta, &metadata, columns, &[row])
            }
        }
    }

    /// Objects are shown as they are stored.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.shape, Shape::Object)
    }

    /// A list in this view.
    pub(crate) fn list(
        &self,
        registry: &Registry,
        resource: &'static Resource,
        list: &List,
    ) -> Result<Bytes, Status> {
        match self.shape {
            Shape::Object => Ok(list.to_bytes(&api_version_of(resource), &resource.kind)),
            Shape::Metadata { beta } => {
                let items: Vec<String> = list.items.iter().map(|i| partial(&i.bytes, beta)).collect();
                Ok(Bytes::from(format!(
                    "{{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"{}\",\"metadata\":{},\"items\":[{}]}}",
                    meta_version(beta),
                    list.metadata(),
                    items.join(",")
                )))
            }
            Shape::Table { beta } => {
                let now = meta::now();
                let show = |item: &Object| {
                    let value = registry.parse(&item.entry)?;
                    Ok(row(resource, &item.bytes, &value, self.include, beta, now))
                };
                let rows: Result<Vec<String>, Status> = list.items.iter().map(show).collect();
                Ok(table(beta, &list.metadata(), columns(resource), &rows?))
            }
        }
    }

    /// A bookmark in this view.
    pub(crate) fn bookmark(&self, resource: &Resource, revision: u64, initial_end: bool) -> Value {
        let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        match self.shape {
            Shape::Object => {
                json!({"kind": resource.kind, "apiVersion": api_version_of(resource), "metadata": metadata})
            }
            Shape::Metadata { beta } => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": meta_version(beta), "metadata": metadata})
            }
            Shape::Table { beta } => {
                let object = json!({"kind": "PartialObjectMetadata", "apiVersion": meta_version(beta),
                    "metadata": metadata});
                json!({"kind": "Table", "apiVersion": meta_version(beta),
                    "metadata": {"resourceVersion": revision.to_string()}, "columnDefinitions": null,
                    "rows": [{"cells": [], "object": object}]})
            }
        }
    }
}
