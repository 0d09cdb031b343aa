//! LimitRanges (Kubernetes, `LimitRanger`): defaults for the containers of new pods, bounds for pods and claims.

use std::sync::Arc;

use serde_json::Value;
use skiff_resources::{Resource, limits};

use super::is;
use crate::{
    registry::{Registry, meta},
    status::Status,
};

/// The LimitRanges of a namespace.
fn ranges(registry: &Registry, namespace: &str) -> Result<Vec<Arc<Value>>, Status> {
    match registry.resource("", "v1", "limitranges") {
        Some(row) => Ok(registry.all(row, namespace)?.1),
        None => Ok(Vec::new()),
    }
}

/// Gives a new pod's containers the defaults of its namespace.
pub(super) fn fill(registry: &Registry, pod: &mut Value) -> Result<(), Status> {
    let ranges = ranges(registry, meta::namespace(pod))?;
    limits::fill(pod, &ranges);
    Ok(())
}

/// Refuses a pod or claim outside the bounds of its namespace.
pub(super) fn check(registry: &Registry, resource: &Resource, object: &Value) -> Result<(), Status> {
    let check = if is(resource, "", "pods") {
        limits::check_pod
    } else if is(resource, "", "persistentvolumeclaims") {
        limits::check_claim
    } else {
        return Ok(());
    };
    let found = check(object, &ranges(registry, meta::namespace(object))?);
    let why = match found.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    Err(Status::forbidden(resource, meta::name(object), &why))
}
