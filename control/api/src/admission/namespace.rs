//! Nothing is created in a namespace that is not there or is going (Kubernetes, `NamespaceLifecycle`).

use serde_json::Value;
use skiff_resources::Resource;
use skiff_store::Compare;

use super::is;
use crate::{
    registry::{Registry, key, meta},
    status::{Cause, Status},
};

/// Namespaces that always exist.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Checks the namespace of an object to be created; returns the condition under which that stays true.
pub(crate) fn guard(
    registry: &Registry,
    resource: &Resource,
    namespace: &str,
    name: &str,
) -> Result<Option<Compare>, Status> {
    if !resource.namespaced {
        return Ok(None);
    }
    let Some(row) = registry.resource("", "v1", "namespaces") else {
        return Ok(None);
    };
    let key = key(row, "", namespace);
    let entry = registry
        .store()
        .get(&key)
        .ok_or_else(|| Status::not_found(row, namespace))?;
    let object = registry.parse(&entry)?;
    if meta::deleting(&object) || object["status"]["phase"] == "Terminating" {
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut status = Status::forbidden(resource, name, &why);
        status.details.get_or_insert_default().causes = vec![Cause {
            reason: "NamespaceTerminating".into(),
            message: format!("namespace {namespace} is being terminated"),
            field: "metadata.namespace".into(),
        }];
        return Err(status);
    }
    Ok(Some(Compare::At(key, entry.mod_revision)))
}

/// Refuses to delete the namespaces the cluster stands on.
pub(super) fn check_delete(resource: &Resource, object: &Value) -> Result<(), Status> {
    let name = meta::name(object);
    if is(resource, "", "namespaces") && IMMORTAL.contains(&name) {
        return Err(Status::forbidden(
            resource,
            name,
            "this namespace may not be deleted",
        ));
    }
    Ok(())
}
