//! Selectors: over labels (text such as `a=b,c in (d,e),!f` and LabelSelector objects) and over fields.

mod field;
mod label;
mod parse;

pub use field::{FieldRequirement, FieldSelector};
pub use label::{LabelSelector, Operator, Requirement};

/// Text or an object that is not a selector; the text is what Kubernetes answers (400).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub String);
