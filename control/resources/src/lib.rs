//! The resource table: every kind the API serves is one row ([`Resource`]) and one [`Strategy`] (defaults,
//! validation, what each sub-resource may change, selectable fields, printer columns).
//!
//! Adding a kind is one file in `kinds/` and one row in [`table`](table()). Pure: no I/O, and the time is passed in.
//!
//! The order of a write: decode → [`Strategy::to_storage`] → [`Strategy::default`] → admission →
//! [`Strategy::prepare_create`] or [`Strategy::prepare_update`] → [`Strategy::validate`] or
//! [`Strategy::validate_update`] → store. An answer goes through [`Strategy::from_storage`].

pub mod age;
pub mod kinds;
pub mod limits;
mod meta;
pub mod names;
mod print;
pub mod quantity;
pub mod selector;
mod table;
#[cfg(test)]
mod tests;
pub mod validate;
pub mod value;

use std::borrow::Cow;

pub use kinds::pod::qos_class;
pub use table::{find, find_kind, table};

use serde_json::Value;

/// One served kind in one version.
#[derive(Clone)]
pub struct Resource {
    /// API group, empty for core.
    pub group: Cow<'static, str>,
    /// Version, e.g. `v1`.
    pub version: Cow<'static, str>,
    /// Kind, e.g. `Deployment`; the list kind is this with `List`.
    pub kind: Cow<'static, str>,
    /// Plural name in paths.
    pub plural: Cow<'static, str>,
    /// Singular name.
    pub singular: Cow<'static, str>,
    /// Short names for kubectl.
    pub short_names: &'static [&'static str],
    /// Categories such as `all`.
    pub categories: &'static [&'static str],
    /// Lives in a namespace.
    pub namespaced: bool,
    /// Verbs as discovery shows them.
    pub verbs: &'static [&'static str],
    /// Sub-resources as discovery shows them.
    pub subresources: &'static [Subresource],
    /// Key segments under which objects are stored (`events` of both groups share one place).
    pub storage: (&'static str, &'static str),
    /// Behaviour.
    pub strategy: &'static dyn Strategy,
}

/// A sub-resource row for discovery.
#[derive(Clone, Copy, Debug)]
pub struct Subresource {
    /// Name, e.g. `status`.
    pub name: &'static str,
    /// Group, version and kind of what is sent and returned, e.g. `("autoscaling", "v1", "Scale")`.
    pub gvk: (&'static str, &'static str, &'static str),
    /// Verbs.
    pub verbs: &'static [&'static str],
}

/// Which part of an object a write addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The object itself (its status is kept as stored where the kind has a status sub-resource).
    Main,
    /// `/status`: only status (and what Kubernetes allows beside it) changes.
    Status,
    /// Another sub-resource that writes the object (`ephemeralcontainers`, `resize`, `binding`, `finalize`).
    Other(&'static str),
}

/// One validation error; the API turns a list of them into a 422 `Status` with causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// `FieldValueRequired`, `FieldValueInvalid`, `FieldValueNotSupported`, `FieldValueDuplicate`,
    /// `FieldValueForbidden`, `FieldValueTooLong`, `FieldValueTypeInvalid`, …
    pub reason: &'static str,
    /// Path as Kubernetes prints it, e.g. `spec.containers[0].image`.
    pub field: String,
    /// The message after the path, e.g. `Required value` or `Invalid value: "a b": a lowercase RFC 1123 …`.
    pub message: String,
}

/// A printer column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Header as kubectl prints it in upper case, e.g. `Ready`.
    pub name: &'static str,
    /// `string`, `integer`, `date` …
    pub kind: &'static str,
    /// `name` for the first column, else empty.
    pub format: &'static str,
    /// 0 shown always, 1 only with `-o wide`.
    pub priority: i32,
    /// One sentence for people.
    pub description: &'static str,
}

/// Behaviour of a kind. Default methods suit a kind without status and without special rules.
pub trait Strategy: Send + Sync + 'static {
    /// Turns the shape of this row's version into the shape that is stored. Every other method but
    /// [`from_storage`](Self::from_storage) sees the stored shape.
    fn to_storage(&self, _object: &mut Value) {}

    /// Turns the stored shape into the shape of this row's version.
    #[allow(clippy::wrong_self_convention, reason = "`self` is the kind, not the object")]
    fn from_storage(&self, _object: &mut Value) {}

    /// Whether objects of this row are stored as they are sent: their stored bytes go out unchanged.
    fn is_storage_form(&self) -> bool {
        true
    }

    /// Fills in what Kubernetes defaults and puts quantities into canonical form. Idempotent.
    fn default(&self, _object: &mut Value) {}

    /// Before a create: clear what clients may not set (status), set generation.
    fn prepare_create(&self, object: &mut Value) {
        meta::without_generation(object);
    }

    /// Before an update of `part`: carry over what the part may not change and bump `metadata.generation` when the
    /// spec changed.
    fn prepare_update(&self, _part: Part, new: &mut Value, old: &Value) {
        meta::keep_generation(new, old);
    }

    /// Validates a new object.
    fn validate(&self, _object: &Value) -> Vec<FieldError> {
        Vec::new()
    }

    /// Validates a change: the metadata that nothing may change, and the whole new object. Kinds with immutable fields of
    /// their own bring their own.
    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = validate::Errors::new();
        validate::meta::update(&mut errors, new, old);
        let mut errors = errors.into_vec();
        errors.extend(self.validate(new));
        errors
    }

    /// Warnings to send back with a write (deprecated fields and so on).
    fn warnings(&self, _object: &Value) -> Vec<String> {
        Vec::new()
    }

    /// The value of a selectable field such as `spec.nodeName`; `None`: this kind can't be selected by it
    /// (400). `metadata.name` and `metadata.namespace` are handled by the caller.
    fn field(&self, _object: &Value, _path: &str) -> Option<String> {
        None
    }

    /// Printer columns; the first is the name, but for events.
    fn columns(&self) -> &'static [Column];

    /// The cells of one row, one per column. `now` in seconds since the epoch.
    fn cells(&self, object: &Value, now: i64) -> Vec<Value>;

    /// Grace period for a delete when the client gives none; `None`: deleted at once.
    fn default_grace_seconds(&self, _object: &Value) -> Option<i64> {
        None
    }

    /// What `/scale` reads and writes: JSON pointers of replicas in spec and status and of the selector.
    fn scale(&self) -> Option<ScalePaths> {
        None
    }
}

/// Where a scalable kind keeps its numbers, as JSON pointers.
#[derive(Clone, Copy, Debug)]
pub struct ScalePaths {
    /// Desired replicas.
    pub spec_replicas: &'static str,
    /// Observed replicas.
    pub status_replicas: &'static str,
    /// Label selector (a LabelSelector object, printed as a string in Scale.status.selector).
    pub selector: &'static str,
}
