//! `metadata`.

use serde_json::Value;

use super::{Errors, Path, labels, names};
use crate::value::{entries, flag, get, has, int, list, text};

/// The largest size of all annotations of an object, in bytes.
pub const MAX_ANNOTATIONS: usize = 256 * 1024;

/// Where a kind lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// In the cluster.
    Cluster,
}

/// The form of names of a kind.
pub type NameRule = fn(&str) -> Vec<String>;

/// `metadata` of a whole object.
pub fn object(errors: &mut Errors, object: &Value, scope: Scope, rule: NameRule) {
    let root = Path::root("metadata");
    let generate = text(object, "metadata.generateName");
    if !generate.is_empty() {
        // The base of a generated name may end in a dash.
        let base = generate
            .strip_suffix('-')
            .map_or_else(|| generate.to_owned(), |b| format!("{b}a"));
        errors.invalid_each(&root.field("generateName"), generate, rule(&base));
    }
    match text(object, "metadata.name") {
        "" => errors.required(&root.field("name"), "name or generateName is required"),
        name => errors.invalid_each(&root.field("name"), name, rule(name)),
    }
    let namespace = text(object, "metadata.namespace");
    match scope {
        Scope::Namespaced if namespace.is_empty() => errors.required(&root.field("namespace"), ""),
        Scope::Namespaced => {
            errors.invalid_each(
                &root.field("namespace"),
                namespace,
                names::dns1123_label(namespace),
            );
        }
        Scope::Cluster if !namespace.is_empty() => {
            errors.forbidden(&root.field("namespace"), "not allowed on this type");
        }
        Scope::Cluster => {}
    }
    labels_and_annotations(errors, &root, get(object, "metadata"));
    owners(
        errors,
        &root.field("ownerReferences"),
        list(object, "metadata.ownerReferences"),
    );
    let path = root.field("finalizers");
    for (i, finalizer) in list(object, "metadata.finalizers").iter().enumerate() {
        self::finalizer(errors, &path.index(i), finalizer.as_str().unwrap_or_default());
    }
}

/// Labels and annotations of `metadata`, also that of a template.
pub fn labels_and_annotations(errors: &mut Errors, root: &Path<'_>, metadata: Option<&Value>) {
    let Some(metadata) = metadata else {
        return;
    };
    labels::labels(errors, &root.field("labels"), get(metadata, "labels"));
    let path = root.field("annotations");
    let mut size = 0;
    for (key, value) in entries(metadata, "annotations") {
        errors.invalid_each(&path, key, names::qualified_name(&key.to_lowercase()));
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > MAX_ANNOTATIONS {
        errors.too_long(&path, MAX_ANNOTATIONS);
    }
}

/// The name of a finalizer: qualified, or one of the three that Kubernetes has itself.
pub fn finalizer(errors: &mut Errors, path: &Path<'_>, name: &str) {
    let wrong = names::qualified_name(name);
    if wrong.is_empty()
        && !name.contains('/')
        && !matches!(name, "kubernetes" | "orphan" | "foregroundDeletion")
    {
        errors.invalid(
            path,
            name,
            "name is neither a standard finalizer name nor is it fully qualified",
        );
    }
    errors.invalid_each(path, name, wrong);
}

fn owners(errors: &mut Errors, path: &Path<'_>, owners: &[Value]) {
    let mut controller: Option<&str> = None;
    for owner in owners {
        let api_version = text(owner, "apiVersion");
        let version = api_version.rsplit('/').next().unwrap_or_default();
        if version.is_empty() {
            errors.invalid(
                &path.field("apiVersion"),
                api_version,
                "version must not be empty",
            );
        }
        for field in ["kind", "name", "uid"] {
            if text(owner, field).is_empty() {
                errors.invalid(&path.field(field), "", "must not be empty");
            }
        }
        if text(owner, "kind") == "Event" && matches!(api_version, "v1" | "events.k8s.io/v1") {
            errors.invalid(
                path,
                owner.clone(),
                &format!("{api_version}, Kind=Event is disallowed from being an owner"),
            );
        }
        if flag(owner, "controller") {
            let name = text(owner, "name");
            if let Some(first) = controller {
                errors.invalid(
                    path,
                    owners.to_vec(),
                    &format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
                    ),
                );
            }
            controller = Some(name);
        }
    }
}

/// What of `metadata` an update may not change.
pub fn update(errors: &mut Errors, new: &Value, old: &Value) {
    let root = Path::root("metadata");
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        let at = |object| get(object, "metadata").and_then(|m| get(m, field));
        errors.immutable(&root.field(field), at(new), at(old));
    }
    let generation = |object| int(object, "metadata.generation").unwrap_or_default();
    if generation(new) < generation(old) {
        errors.invalid(
            &root.field("generation"),
            generation(new),
            "must not be decremented",
        );
    }
    if has(old, "metadata.deletionTimestamp") {
        let before = list(old, "metadata.finalizers");
        let added: Vec<&str> = list(new, "metadata.finalizers")
            .iter()
            .filter(|f| !before.contains(f))
            .filter_map(Value::as_str)
            .collect();
        if !added.is_empty() {
            errors.forbidden(
                &root.field("finalizers"),
                &format!(
                    "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                    added.iter().map(|f| format!("{f:?}")).collect::<Vec<_>>().join(", ")
                ),
            );
        }
    }
}
