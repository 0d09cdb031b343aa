//! What Kubernetes publishes about its types, as static tables: no heap, nothing to parse at start.
//!
//! `generated.rs` is written by `generate.py`; this module gives the tables their types and the look-ups.

#[rustfmt::skip]
mod generated;

/// Field must be present.
pub(crate) const REQUIRED: u8 = 1;
/// Patch strategy `merge`.
pub(crate) const MERGE: u8 = 2;
/// Patch strategy `retainKeys`.
pub(crate) const RETAIN: u8 = 4;
/// Patch strategy `replace`.
pub(crate) const REPLACE: u8 = 8;

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// Anything, kept untouched (raw extensions, JSON schema values, field sets); with the published name of the
    /// type, or empty.
    Any(&'static str),
    String,
    Bool,
    Int32,
    Int64,
    Number,
    /// Base64 in a string.
    Bytes,
    /// RFC 3339, seconds.
    Time,
    /// RFC 3339, microseconds.
    MicroTime,
    /// `500m`, `1Gi`; numbers are taken as strings.
    Quantity,
    IntOrString,
    Object(&'static Struct),
    /// An object whose type is atomic by default, but whose fields are owned one by one here.
    Granular(&'static Struct),
    List(&'static List),
    Map(&'static Map),
}

/// An object with known fields.
#[derive(Debug)]
pub(crate) struct Struct {
    /// Published name, e.g. `io.k8s.api.apps.v1.Deployment`.
    pub(crate) name: &'static str,
    /// `x-kubernetes-map-type: atomic`: owned and replaced as a whole by server-side apply.
    pub(crate) atomic: bool,
    /// Sorted by name.
    pub(crate) fields: &'static [Field],
}

/// A field of a [`Struct`].
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// [`REQUIRED`], [`MERGE`], [`RETAIN`], [`REPLACE`].
    pub(crate) flags: u8,
    /// Merge key of strategic merge patches, or empty.
    pub(crate) merge_key: &'static str,
}

/// A list.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) items: Shape,
    pub(crate) kind: ListKind,
}

/// How server-side apply merges a list.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ListKind {
    Atomic,
    Set,
    Keyed(&'static [Key]),
}

/// A list-map key and the value an element has when it leaves it out.
#[derive(Debug)]
pub(crate) struct Key(pub(crate) &'static str, pub(crate) Option<&'static str>);

/// A map from strings.
#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) values: Shape,
    pub(crate) atomic: bool,
}

impl Struct {
    /// The field called `name`.
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        let index = self.fields.binary_search_by(|field| field.name.cmp(name)).ok()?;
        Some(&self.fields[index])
    }

    /// The last part of the published name, as Go calls the type: `DeploymentSpec`.
    pub(crate) fn go_name(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }

    /// The type as Go prints it: `v1.DeploymentSpec`.
    pub(crate) fn go_type(&self) -> &'static str {
        let dot = self.name.rmatch_indices('.').nth(1);
        dot.map_or(self.name, |(at, _)| &self.name[at + 1..])
    }
}

impl Shape {
    /// The shape of the member `name` of an object or map; `None`: not known, or not an object.
    pub(crate) fn member(self, name: &str) -> Option<Shape> {
        match self {
            Shape::Object(of) | Shape::Granular(of) => of.field(name).map(|field| field.shape),
            Shape::Map(map) => Some(map.values),
            _ => None,
        }
    }

    /// The Go type that an error message names.
    pub(crate) fn go_type(self) -> String {
        match self {
            Shape::Any(_) => "interface {}".into(),
            Shape::String => "string".into(),
            Shape::Bool => "bool".into(),
            Shape::Int32 => "int32".into(),
            Shape::Int64 => "int64".into(),
            Shape::Number => "float64".into(),
            Shape::Bytes => "[]uint8".into(),
            Shape::Time => "v1.Time".into(),
            Shape::MicroTime => "v1.MicroTime".into(),
            Shape::Quantity => "resource.Quantity".into(),
            Shape::IntOrString => "intstr.IntOrString".into(),
            Shape::Object(of) | Shape::Granular(of) => of.go_type().into(),
            Shape::List(list) => format!("[]{}", list.items.go_type()),
            Shape::Map(map) => format!("map[string]{}", map.values.go_type()),
        }
    }
}

/// The type of a kind, by `apiVersion` and `kind`.
pub(crate) fn kind(api_version: &str, kind: &str) -> Option<&'static Struct> {
    let key = (api_version, kind);
    let index = generated::KINDS
        .binary_search_by(|row| (row.0, row.1).cmp(&key))
        .ok()?;
    Some(generated::KINDS[index].2)
}

/// The type with a published name.
pub(crate) fn named(name: &str) -> Option<&'static Struct> {
    let index = generated::TYPES.binary_search_by(|of| of.name.cmp(name)).ok()?;
    Some(generated::TYPES[index])
}

/// Every kind, sorted by `apiVersion` and `kind`.
pub(crate) fn kinds() -> &'static [(&'static str, &'static str, &'static Struct)] {
    generated::KINDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_for_binary_search() {
        assert!(generated::KINDS.is_sorted_by_key(|row| (row.0, row.1)));
        assert!(generated::TYPES.is_sorted_by_key(|of| of.name));
        for of in generated::TYPES {
            assert!(of.fields.is_sorted_by_key(|field| field.name), "{}", of.name);
        }
    }

    fn list_keys(kind_name: (&str, &str), path: &[&str]) -> Vec<&'static str> {
        let mut shape = Shape::Object(kind(kind_name.0, kind_name.1).unwrap());
        for name in path {
            if let Shape::List(list) = shape {
                shape = list.items;
            }
            shape = shape.member(name).unwrap_or_else(|| panic!("{name}"));
        }
        match shape {
            Shape::List(List {
                kind: ListKind::Keyed(keys),
                ..
            }) => keys.iter().map(|key| key.0).collect(),
            other => panic!("{path:?} is {other:?}"),
        }
    }

    #[test]
    fn list_map_keys_are_the_published_ones() {
        assert_eq!(
            list_keys(("v1", "Service"), &["spec", "ports"]),
            ["port", "protocol"]
        );
        let pod = ("v1", "Pod");
        assert_eq!(list_keys(pod, &["spec", "containers"]), ["name"]);
        assert_eq!(
            list_keys(pod, &["spec", "containers", "ports"]),
            ["containerPort", "protocol"]
        );
        assert_eq!(list_keys(pod, &["spec", "containers", "env"]), ["name"]);
        assert_eq!(
            list_keys(pod, &["spec", "containers", "volumeMounts"]),
            ["mountPath"]
        );
        assert_eq!(list_keys(pod, &["spec", "volumes"]), ["name"]);
        assert_eq!(list_keys(pod, &["status", "conditions"]), ["type"]);
        assert_eq!(list_keys(pod, &["metadata", "ownerReferences"]), ["uid"]);
        assert_eq!(
            list_keys(("apps/v1", "Deployment"), &["status", "conditions"]),
            ["type"]
        );
    }

    #[test]
    fn selectors_and_references_are_atomic() {
        let deployment = kind("apps/v1", "Deployment").unwrap();
        let Shape::Object(spec) = deployment.field("spec").unwrap().shape else {
            panic!()
        };
        let Shape::Object(selector) = spec.field("selector").unwrap().shape else {
            panic!()
        };
        assert!(selector.atomic);
        assert!(named("io.k8s.api.core.v1.ObjectReference").unwrap().atomic);
    }
}
