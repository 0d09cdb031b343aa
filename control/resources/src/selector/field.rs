//! Field selectors: `metadata.name=web,status.phase!=Running`.

use std::fmt;

use super::SelectorError;

/// One condition on one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRequirement {
    /// Path such as `spec.nodeName`.
    pub field: String,
    /// Whether the field must be (`=`) or must not be (`!=`) the value.
    pub equals: bool,
    /// The value.
    pub value: String,
}

/// Conditions that must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    /// The conditions in the order written.
    pub requirements: Vec<FieldRequirement>,
}

impl FieldSelector {
    /// Parses the text form of the `fieldSelector` parameter. `\` escapes `\`, `,` and `=` in values.
    ///
    /// # Errors
    /// With the text Kubernetes answers (400).
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut requirements = Vec::new();
        for term in terms(text) {
            if term.is_empty() {
                continue;
            }
            let Some((field, equals, value)) = split(term) else {
                return Err(SelectorError(format!(
                    "invalid selector: '{text}'; can't understand '{term}'"
                )));
            };
            requirements.push(FieldRequirement {
                field: field.to_owned(),
                equals,
                value: unescape(value)?,
            });
        }
        Ok(Self { requirements })
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The value a field is required to have, if it is: lets a caller go straight to one object or one index.
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.requirements
            .iter()
            .find(|r| r.equals && r.field == field)
            .map(|r| r.value.as_str())
    }

    /// Whether an object whose fields `lookup` tells is selected.
    ///
    /// # Errors
    /// The first field for which `lookup` knows nothing (`None`): not selectable for this kind.
    pub fn matches(&self, lookup: impl Fn(&str) -> Option<String>) -> Result<bool, SelectorError> {
        for requirement in &self.requirements {
            let Some(value) = lookup(&requirement.field) else {
                return Err(SelectorError(format!(
                    "field label not supported: {}",
                    requirement.field
                )));
            };
            if (value == requirement.value) != requirement.equals {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The terms between unescaped commas.
fn terms(text: &str) -> Vec<&str> {
    let (mut found, mut start, mut escaped) = (Vec::new(), 0, false);
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                found.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    found.push(&text[start..]);
    found
}

fn split(term: &str) -> Option<(&str, bool, &str)> {
    for (i, _) in term.char_indices() {
        let rest = &term[i..];
        for (operator, equals) in [("!=", false), ("==", true), ("=", true)] {
            if let Some(value) = rest.strip_prefix(operator) {
                return Some((&term[..i], equals, value));
            }
        }
    }
    None
}

fn unescape(value: &str) -> Result<String, SelectorError> {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => plain.push(c),
                other => {
                    let sequence = format!("\\{}", other.map(String::from).unwrap_or_default());
                    return Err(SelectorError(format!(
                        "invalid field selector: invalid escape sequence: {sequence}"
                    )));
                }
            },
            ',' | '=' => {
                return Err(SelectorError(format!(
                    "invalid field selector: unescaped character in value: {c}"
                )));
            }
            c => plain.push(c),
        }
    }
    Ok(plain)
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, r) in self.requirements.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            let operator = if r.equals { "=" } else { "!=" };
            let value = r
                .value
                .replace('\\', "\\\\")
                .replace(',', "\\,")
                .replace('=', "\\=");
            write!(f, "{comma}{}{operator}{value}", r.field)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_read_with_escapes() {
        let selector =
            FieldSelector::parse(r"metadata.name=a\,b,spec.nodeName!=n1,status.phase==Running").unwrap();
        assert_eq!(selector.exact("metadata.name"), Some("a,b"));
        assert_eq!(selector.exact("spec.nodeName"), None);
        assert_eq!(selector.exact("status.phase"), Some("Running"));
        assert_eq!(
            selector.to_string(),
            r"metadata.name=a\,b,spec.nodeName!=n1,status.phase=Running"
        );
        assert!(FieldSelector::parse("").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_term_is_refused() {
        assert_eq!(
            FieldSelector::parse("a=b,c").unwrap_err().0,
            "invalid selector: 'a=b,c'; can't understand 'c'"
        );
        assert!(FieldSelector::parse(r"a=b\c").is_err());
        assert!(FieldSelector::parse("a=b=c").is_err());
    }

    #[test]
    fn a_field_that_cannot_be_selected_is_an_error() {
        let selector = FieldSelector::parse("a=1,b!=2").unwrap();
        let lookup = |f: &str| match f {
            "a" => Some("1".to_owned()),
            "b" => Some("3".to_owned()),
            _ => None,
        };
        assert_eq!(selector.matches(lookup), Ok(true));
        assert_eq!(
            FieldSelector::parse("x=1")
                .unwrap()
                .matches(lookup)
                .unwrap_err()
                .0,
            "field label not supported: x"
        );
    }
}
