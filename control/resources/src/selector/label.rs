//! Label selectors: requirements that must all hold.

use std::{collections::BTreeSet, fmt};

use serde_json::Value;

use super::{SelectorError, parse};
use crate::{validate::names, value};

/// How a requirement compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `key`
    Exists,
    /// `!key`
    DoesNotExist,
    /// `key=value`
    Equals,
    /// `key!=value`: also true without the label.
    NotEquals,
    /// `key in (a,b)`
    In,
    /// `key notin (a,b)`: also true without the label.
    NotIn,
    /// `key>1`
    GreaterThan,
    /// `key<1`
    LessThan,
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    key: String,
    operator: Operator,
    values: BTreeSet<String>,
}

impl Requirement {
    /// A requirement.
    ///
    /// # Errors
    /// When the key or a value is not valid, or their number does not suit the operator.
    pub fn new(key: &str, operator: Operator, values: BTreeSet<String>) -> Result<Self, SelectorError> {
        let fail = |text: String| Err(SelectorError(text));
        if let [first, ..] = names::qualified_name(key).as_slice() {
            return fail(format!("key: Invalid value: {key:?}: {first}"));
        }
        match operator {
            Operator::In | Operator::NotIn if values.is_empty() => {
                return fail(
                    "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
                        .into(),
                );
            }
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                return fail(
                    "values: Invalid value: values set must be empty for exists and does not exist".into(),
                );
            }
            Operator::GreaterThan | Operator::LessThan => {
                for value in &values {
                    if value.parse::<i64>().is_err() {
                        return fail(format!(
                            "values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
                        ));
                    }
                }
            }
            _ => {}
        }
        for (i, value) in values.iter().enumerate() {
            if let [first, ..] = names::label_value(value).as_slice() {
                return fail(format!("values[{i}][{key}]: Invalid value: {value:?}: {first}"));
            }
        }
        Ok(Self {
            key: key.to_owned(),
            operator,
            values,
        })
    }

    /// The label this is about.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How it compares.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// What it compares with.
    pub fn values(&self) -> &BTreeSet<String> {
        &self.values
    }

    fn holds(&self, value: Option<&str>) -> bool {
        let listed = |v: &str| self.values.contains(v);
        let compare = |v: &str, greater: bool| {
            let bound = self.values.first().and_then(|b| b.parse::<i64>().ok());
            match (v.parse::<i64>().ok(), bound) {
                (Some(v), Some(b)) if greater => v > b,
                (Some(v), Some(b)) => v < b,
                _ => false,
            }
        };
        match self.operator {
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Equals | Operator::In => value.is_some_and(listed),
            Operator::NotEquals | Operator::NotIn => !value.is_some_and(listed),
            Operator::GreaterThan => value.is_some_and(|v| compare(v, true)),
            Operator::LessThan => value.is_some_and(|v| compare(v, false)),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let joined = || {
            self.values
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(",")
        };
        match self.operator {
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::Equals => write!(f, "{key}={}", joined()),
            Operator::NotEquals => write!(f, "{key}!={}", joined()),
            Operator::In => write!(f, "{key} in ({})", joined()),
            Operator::NotIn => write!(f, "{key} notin ({})", joined()),
            Operator::GreaterThan => write!(f, "{key}>{}", joined()),
            Operator::LessThan => write!(f, "{key}<{}", joined()),
        }
    }
}

/// Requirements that must all hold; without any it selects everything. [`LabelSelector::nothing`] selects nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
    nothing: bool,
}

impl LabelSelector {
    /// Selects everything.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Selects nothing: what an absent LabelSelector means.
    pub fn nothing() -> Self {
        Self {
            requirements: Vec::new(),
            nothing: true,
        }
    }

    /// Parses the text form of the `labelSelector` parameter.
    ///
    /// # Errors
    /// With the text Kubernetes answers (400).
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut requirements = parse::requirements(text)?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self {
            requirements,
            nothing: false,
        })
    }

    /// Reads a LabelSelector object (`matchLabels`, `matchExpressions`). `None` and null select nothing, an empty
    /// object everything.
    ///
    /// # Errors
    /// When an expression is not valid.
    pub fn from_object(selector: Option<&Value>) -> Result<Self, SelectorError> {
        let Some(selector) = selector.filter(|s| !s.is_null()) else {
            return Ok(Self::nothing());
        };
        let mut requirements = Vec::new();
        for (key, label) in value::entries(selector, "matchLabels") {
            let values = BTreeSet::from([label.as_str().unwrap_or_default().to_owned()]);
            requirements.push(Requirement::new(key, Operator::Equals, values)?);
        }
        for expression in value::list(selector, "matchExpressions") {
            let operator = match value::text(expression, "operator") {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => {
                    return Err(SelectorError(format!(
                        "{other:?} is not a valid label selector operator"
                    )));
                }
            };
            let values = value::list(expression, "values")
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            requirements.push(Requirement::new(
                value::text(expression, "key"),
                operator,
                values,
            )?);
        }
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self {
            requirements,
            nothing: false,
        })
    }

    /// A selector over a plain map of labels, as in `Service.spec.selector`.
    pub fn from_map(labels: &Value) -> Self {
        let requirements = value::entries(labels, "")
            .map(|(key, label)| Requirement {
                key: key.to_owned(),
                operator: Operator::Equals,
                values: BTreeSet::from([label.as_str().unwrap_or_default().to_owned()]),
            })
            .collect();
        Self {
            requirements,
            nothing: false,
        }
    }

    /// Whether it selects everything.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty() && !self.nothing
    }

    /// The requirements, ordered by key.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether labels, looked up by key, are selected.
    pub fn matches_with<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        !self.nothing && self.requirements.iter().all(|r| r.holds(label(&r.key)))
    }

    /// Whether an object is selected by its `metadata.labels`.
    pub fn matches(&self, object: &Value) -> bool {
        self.matches_labels(value::get(object, "metadata.labels"))
    }

    /// Whether a map of labels is selected.
    pub fn matches_labels(&self, labels: Option<&Value>) -> bool {
        self.matches_with(|key| labels.and_then(|l| l.get(key)).and_then(Value::as_str))
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.requirements.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_selects_as_its_text_form_does() {
        let object = json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["b", "a"]},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        });
        let selector = LabelSelector::from_object(Some(&object)).unwrap();
        assert_eq!(selector.to_string(), "app=web,!old,tier in (a,b)");
        assert_eq!(LabelSelector::parse(&selector.to_string()).unwrap(), selector);
        assert!(selector.matches_labels(Some(&json!({"app": "web", "tier": "a"}))));
        assert!(!selector.matches_labels(Some(&json!({"app": "web", "tier": "a", "old": ""}))));
        assert!(!selector.matches_labels(Some(&json!({"app": "web"}))));
    }

    #[test]
    fn absent_selects_nothing_and_empty_everything() {
        let labels = json!({"metadata": {"labels": {"a": "b"}}});
        assert!(!LabelSelector::from_object(None).unwrap().matches(&labels));
        assert!(
            LabelSelector::from_object(Some(&json!({})))
                .unwrap()
                .matches(&labels)
        );
        assert!(LabelSelector::parse("").unwrap().matches(&json!({})));
    }

    #[test]
    fn negative_requirements_hold_without_the_label() {
        let bare = json!({});
        for text in ["a!=b", "a notin (b)", "!a"] {
            assert!(LabelSelector::parse(text).unwrap().matches(&bare), "{text}");
        }
        for text in ["a=b", "a in (b)", "a", "a>1", "a<1"] {
            assert!(!LabelSelector::parse(text).unwrap().matches(&bare), "{text}");
        }
        let five = json!({"metadata": {"labels": {"a": "5"}}});
        assert!(LabelSelector::parse("a>4,a<6").unwrap().matches(&five));
    }
}
