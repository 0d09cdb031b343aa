//! Label and field selectors. Source: apimachinery `labels.Parse` and `fields.ParseSelector`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use skiff_resources::Resource;

use crate::status::Status;

/// A condition on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Label {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    Greater(String, i64),
    Less(String, i64),
}

/// A parsed `labelSelector`; the empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Label>);

impl LabelSelector {
    /// Parses `a=b,c!=d,e in (f,g),h,!i,j>3`.
    ///
    /// # Errors
    /// 400 when it can't be read.
    pub fn parse(text: &str) -> Result<Self, Status> {
        let bad = |why: &str| Status::bad_request(format!("unable to parse requirement: {why}"));
        let mut conditions = Vec::new();
        for part in split_outside_parentheses(text) {
            let part = part.trim();
            if part.is_empty() {
                if text.trim().is_empty() {
                    break;
                }
                return Err(bad("found ',', expected: identifier"));
            }
            conditions.push(parse_label(part).ok_or_else(|| bad(part))?);
        }
        Ok(Self(conditions))
    }

    /// From a `LabelSelector` object (`matchLabels`, `matchExpressions`). A missing one selects nothing: `None`.
    pub fn from_object(selector: &Value) -> Option<Self> {
        let selector = selector.as_object()?;
        let mut out = Vec::new();
        for (key, value) in selector
            .get("matchLabels")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            out.push(Label::In(
                key.clone(),
                vec![value.as_str().unwrap_or_default().to_owned()],
            ));
        }
        for e in selector
            .get("matchExpressions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let key = e["key"].as_str().unwrap_or_default().to_owned();
            let values = e["values"].as_array().into_iter().flatten();
            let values = values.filter_map(|v| v.as_str().map(str::to_owned)).collect();
            out.push(match e["operator"].as_str()? {
                "In" => Label::In(key, values),
                "NotIn" => Label::NotIn(key, values),
                "Exists" => Label::Exists(key),
                "DoesNotExist" => Label::Absent(key),
                _ => return None,
            });
        }
        Some(Self(out))
    }

    /// The text form, as `Scale.status.selector` has it.
    pub fn to_text(&self) -> String {
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|label| match label {
                Label::In(k, v) if v.len() == 1 => format!("{k}={}", v[0]),
                Label::In(k, v) => format!("{k} in ({})", v.join(",")),
                Label::NotIn(k, v) => format!("{k} notin ({})", v.join(",")),
                Label::Exists(k) => k.clone(),
                Label::Absent(k) => format!("!{k}"),
                Label::Greater(k, n) => format!("{k}>{n}"),
                Label::Less(k, n) => format!("{k}<{n}"),
            })
            .collect();
        parts.join(",")
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an object with these labels is selected; `get` looks a label up.
    pub fn matches<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|label| match label {
            Label::In(key, values) => get(key).is_some_and(|v| values.iter().any(|w| w == v)),
            Label::NotIn(key, values) => get(key).is_none_or(|v| values.iter().all(|w| w != v)),
            Label::Exists(key) => get(key).is_some(),
            Label::Absent(key) => get(key).is_none(),
            Label::Greater(key, n) => get(key)
                .and_then(|v| v.parse::<i64>().ok())
                .is_some_and(|v| v > *n),
            Label::Less(key, n) => get(key)
                .and_then(|v| v.parse::<i64>().ok())
                .is_some_and(|v| v < *n),
        })
    }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0u32, 0);
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn parse_label(part: &str) -> Option<Label> {
    if let Some(key) = part.strip_prefix('!') {
        return key_ok(key.trim()).map(Label::Absent);
    }
    if let Some(open) = part.find('(') {
        let list = part[open + 1..].strip_suffix(')')?;
        let mut words = part[..open].split_whitespace();
        let (key, word) = (key_ok(words.next()?)?, words.next()?);
        if words.next().is_some() {
            return None;
        }
        let values = list.split(',').map(|v| v.trim().to_owned()).collect();
        return match word {
            "in" => Some(Label::In(key, values)),
            "notin" => Some(Label::NotIn(key, values)),
            _ => None,
        };
    }
    for (sign, negative) in [("!=", true), ("==", false), ("=", false)] {
        if let Some((key, value)) = part.split_once(sign) {
            let (key, value) = (key_ok(key.trim())?, vec![value_ok(value.trim())?]);
            return Some(if negative {
                Label::NotIn(key, value)
            } else {
                Label::In(key, value)
            });
        }
    }
    if let Some((key, value)) = part.split_once('>') {
        return Some(Label::Greater(key_ok(key.trim())?, value.trim().parse().ok()?));
    }
    if let Some((key, value)) = part.split_once('<') {
        return Some(Label::Less(key_ok(key.trim())?, value.trim().parse().ok()?));
    }
    key_ok(part).map(Label::Exists)
}

fn key_ok(key: &str) -> Option<String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    (!key.is_empty() && key.chars().all(fine)).then(|| key.to_owned())
}

fn value_ok(value: &str) -> Option<String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    value.chars().all(fine).then(|| value.to_owned())
}

/// A parsed `fieldSelector`: `(path, value, equal)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<(String, String, bool)>);

impl FieldSelector {
    /// Parses `a.b=c,d!=e` and refuses fields the resource can't be selected by.
    ///
    /// # Errors
    /// 400.
    pub fn parse(text: &str, resource: &Resource) -> Result<Self, Status> {
        let mut out = Vec::new();
        for part in text.split(',').filter(|p| !p.trim().is_empty()) {
            let (path, value, equal) = ["!=", "==", "="]
                .iter()
                .find_map(|sign| part.split_once(sign).map(|(k, v)| (k, v, *sign != "!=")))
                .ok_or_else(|| {
                    Status::bad_request(format!("invalid selector: '{text}'; can't understand '{part}'"))
                })?;
            let path = path.trim();
            let empty = Value::Object(serde_json::Map::new());
            let known = matches!(path, "metadata.name" | "metadata.namespace")
                || resource.strategy.field(&empty, path).is_some();
            if !known {
                return Err(Status::bad_request(format!("field label not supported: {path}")));
            }
            out.push((path.to_owned(), value.trim().to_owned(), equal));
        }
        Ok(Self(out))
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name when only one object can match.
    pub fn exact_name(&self) -> Option<&str> {
        self.0
            .iter()
            .find(|(path, _, equal)| path == "metadata.name" && *equal)
            .map(|(_, value, _)| value.as_str())
    }

    /// Whether it looks at nothing but name and namespace.
    fn only_metadata(&self) -> bool {
        self.0.iter().all(|(path, _, _)| path.starts_with("metadata."))
    }

    fn matches(&self, get: impl Fn(&str) -> String) -> bool {
        self.0
            .iter()
            .all(|(path, value, equal)| (get(path) == *value) == *equal)
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
        Ok(Self {
            labels: LabelSelector::parse(labels)?,
            fields: FieldSelector::parse(fields, resource)?,
        })
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
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
        if !self.fields.only_metadata() {
            return self.matches_value(resource, &parsed());
        }
        let Ok(object) = serde_json::from_slice::<Labelled<'_>>(bytes) else {
            return false;
        };
        let labels = object.metadata.labels.unwrap_or_default();
        self.labels.matches(|key| labels.get(key).map(String::as_str))
            && self.fields.matches(|path| match path {
                "metadata.name" => object.metadata.name.to_string(),
                _ => object.metadata.namespace.to_string(),
            })
    }

    /// Whether a parsed object is selected.
    pub fn matches_value(&self, resource: &Resource, object: &Value) -> bool {
        let metadata = &object["metadata"];
        self.labels.matches(|key| metadata["labels"][key].as_str())
            && self.fields.matches(|path| match path {
                "metadata.name" => metadata["name"].as_str().unwrap_or_default().to_owned(),
                "metadata.namespace" => metadata["namespace"].as_str().unwrap_or_default().to_owned(),
                _ => resource.strategy.field(object, path).unwrap_or_default(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(selector: &str, labels: &[(&str, &str)]) -> bool {
        let selector = LabelSelector::parse(selector).unwrap();
        selector.matches(|key| labels.iter().find(|(k, _)| *k == key).map(|(_, v)| *v))
    }

    #[test]
    fn set_based_selectors_select() {
        let web = [("app", "web"), ("tier", "front")];
        assert!(selects("", &web));
        assert!(selects("app=web,tier in (front, back)", &web));
        assert!(selects("app==web,!other", &web));
        assert!(!selects("app!=web", &web));
        assert!(selects("missing!=x,missing notin (a)", &web));
        assert!(!selects("missing", &web));
        assert!(selects("n>3,n<5", &[("n", "4")]));
    }

    #[test]
    fn broken_selectors_are_refused() {
        for text in ["a=b=c(", "a in b", ",a", "a b", "a in (b", "=x"] {
            assert_eq!(LabelSelector::parse(text).unwrap_err().code, 400, "{text}");
        }
    }
}
