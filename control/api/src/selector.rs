//! The selectors of a request, applied to stored bytes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use skiff_resources::{
    Resource,
    selector::{FieldSelector, LabelSelector, SelectorError},
};

use crate::status::Status;

impl From<SelectorError> for Status {
    fn from(error: SelectorError) -> Self {
        Self::bad_request(error.0)
    }
}

/// Both selectors of a request.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    /// By label.
    pub labels: LabelSelector,
    /// By field.
    pub fields: FieldSelector,
}

#[derive(Deserialize)]
struct Labelled<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow, default)]
    name: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: std::borrow::Cow<'a, str>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

impl Selector {
    /// Parses both.
    ///
    /// # Errors
    /// 400.
    pub fn parse(labels: &str, fields: &str, resource: &Resource) -> Result<Self, Status> {
        let fields = FieldSelector::parse(fields)?;
        let selectable = |path: &str| {
            is_metadata(path)
                || resource
                    .strategy
                    .field(&Value::Object(Default::default()), path)
                    .is_some()
        };
        if let Some(unknown) = fields.requirements.iter().find(|r| !selectable(&r.field)) {
            return Err(Status::bad_request(format!(
                "field label not supported: {}",
                unknown.field
            )));
        }
        Ok(Self {
            labels: LabelSelector::parse(labels)?,
            fields,
        })
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.labels.is_everything() && self.fields.is_empty()
    }

    /// Whether a stored object is selected. `parsed` gives the whole value where the selector needs it.
    pub fn matches(
        &self,
        resource: &Resource,
        bytes: &[u8],
        parsed: impl FnOnce() -> std::sync::Arc<Value>,
    ) -> bool {
        if self.is_empty() {
            return true;
        }
        if !self.fields.requirements.iter().all(|r| is_metadata(&r.field)) {
            return self.matches_value(resource, &parsed());
        }
        let Ok(object) = serde_json::from_slice::<Labelled<'_>>(bytes) else {
            return false;
        };
        let labels = object.metadata.labels.unwrap_or_default();
        self.labels
            .matches_with(|key| labels.get(key).map(String::as_str))
            && self.fields_match(|path| match path {
                "metadata.name" => object.metadata.name.to_string(),
                _ => object.metadata.namespace.to_string(),
            })
    }

    /// Whether a parsed object is selected.
    pub fn matches_value(&self, resource: &Resource, object: &Value) -> bool {
        let metadata = &object["metadata"];
        self.labels.matches(object)
            && self.fields_match(|path| match path {
                "metadata.name" => metadata["name"].as_str().unwrap_or_default().to_owned(),
                "metadata.namespace" => metadata["namespace"].as_str().unwrap_or_default().to_owned(),
                _ => resource.strategy.field(object, path).unwrap_or_default(),
            })
    }

    /// Whether the fields, all known to be selectable, are as wanted.
    fn fields_match(&self, get: impl Fn(&str) -> String) -> bool {
        self.fields.matches(|path| Some(get(path))).unwrap_or(false)
    }
}

/// Fields every kind can be selected by.
fn is_metadata(path: &str) -> bool {
    matches!(path, "metadata.name" | "metadata.namespace")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_that_can_not_be_read_or_used_are_bad_requests() {
        let pods = skiff_resources::find("", "v1", "pods").expect("a row");
        for (labels, fields) in [("a in b", ""), (",a", ""), ("", "a"), ("", "spec.nothing=x")] {
            assert_eq!(
                Selector::parse(labels, fields, pods).unwrap_err().code,
                400,
                "{labels} {fields}"
            );
        }
        let error = Selector::parse("", "spec.nothing=x", pods).unwrap_err();
        assert_eq!(error.message, "field label not supported: spec.nothing");
    }

    #[test]
    fn stored_bytes_and_parsed_objects_are_selected_alike() {
        let pods = skiff_resources::find("", "v1", "pods").expect("a row");
        let value = serde_json::json!({"metadata": {"name": "a", "namespace": "n", "labels": {"app": "web"}},
            "spec": {"nodeName": "n1"}});
        for (labels, fields, expected) in [
            ("app=web", "", true),
            ("app in (x,web)", "metadata.name=a,metadata.namespace!=m", true),
            ("app!=web", "", false),
            ("", "metadata.name=b", false),
            ("", "spec.nodeName=n1", true),
            ("", "spec.nodeName!=n1", false),
        ] {
            let selector = Selector::parse(labels, fields, pods).unwrap();
            let bytes = value.to_string();
            let parsed = || std::sync::Arc::new(value.clone());
            assert_eq!(
                selector.matches(pods, bytes.as_bytes(), parsed),
                expected,
                "{labels} {fields}"
            );
            assert_eq!(
                selector.matches_value(pods, &value),
                expected,
                "{labels} {fields}"
            );
        }
    }
}
