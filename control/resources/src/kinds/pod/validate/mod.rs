//! Validation of pods and pod templates.

mod containers;
mod env;
mod probes;
mod scheduling;
mod spec;
pub(super) mod update;
mod volumes;

use serde_json::Value;

pub(crate) use spec::spec;
pub(crate) use volumes::host_path;

use crate::{
    validate::{
        Errors, Path,
        meta::{self, Scope},
        names,
    },
    value::{get, list},
};

const NULL: &Value = &Value::Null;

/// A new pod.
pub(super) fn create(pod: &Value) -> Errors {
    let mut errors = whole(pod);
    if !list(pod, "spec.ephemeralContainers").is_empty() {
        errors.forbidden(&Path::root("spec.ephemeralContainers"), "cannot be set on create");
    }
    errors
}

/// What must hold for every pod, also after an update.
fn whole(pod: &Value) -> Errors {
    let mut errors = Errors::new();
    meta::object(&mut errors, pod, Scope::Namespaced, names::dns1123_subdomain);
    spec(&mut errors, &Path::root("spec"), get(pod, "spec").unwrap_or(NULL));
    errors
}

/// A pod template.
pub(crate) fn template(errors: &mut Errors, path: &Path<'_>, template: &Value) {
    meta::labels_and_annotations(errors, &path.field("metadata"), get(template, "metadata"));
    let at = path.field("spec");
    let pod_spec = get(template, "spec").unwrap_or(NULL);
    spec(errors, &at, pod_spec);
    if !list(pod_spec, "ephemeralContainers").is_empty() {
        errors.forbidden(
            &at.field("ephemeralContainers"),
            "ephemeral containers not allowed in pod template",
        );
    }
}
