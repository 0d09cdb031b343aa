//! Admission: what the cluster adds to objects, and what it refuses although the user may do it.

mod escalation;
mod limits;
pub(crate) mod namespace;
mod node;
mod pod;
mod service_account;

use serde_json::Value;
use skiff_resources::{Part, Resource};

use crate::{
    registry::{Registry, RequestContext, meta},
    status::Status,
};

fn is(resource: &Resource, group: &str, plural: &str) -> bool {
    resource.group == group && resource.plural == plural
}

/// Completes a new object, and refuses what nothing would complete. Its name may not be made yet.
pub(crate) fn mutate_create(
    registry: &Registry,
    ctx: &RequestContext,
    resource: &Resource,
    object: &mut Value,
) -> Result<(), Status> {
    // First of all, so that whoever creates in a namespace that is ending is told that and nothing else.
    namespace::guard(
        registry,
        resource,
        meta::namespace(object),
        name_or_prefix(object),
    )?;
    if is(resource, "", "pods") {
        limits::fill(registry, object)?;
        service_account::admit(registry, resource, object)?;
    }
    node::check_create(ctx, resource, object)?;
    if is(resource, "", "pods") {
        pod::add_default_tolerations(object);
        pod::resolve_priority(registry, resource, object)?;
    }
    escalation::check(registry, ctx, resource, object, None)
}

/// What a refusal calls an object whose name is perhaps not made yet. Source: `extractResourceName` in Kubernetes.
fn name_or_prefix(object: &Value) -> &str {
    match meta::name(object) {
        "" => meta::text(object, &["metadata", "generateName"]),
        name => name,
    }
}

/// Completes a changed object.
pub(crate) fn mutate_update(
    _registry: &Registry,
    _ctx: &RequestContext,
    resource: &Resource,
    part: Part,
    new: &mut Value,
    _old: &Value,
) -> Result<(), Status> {
    if is(resource, "", "pods") && part == Part::Main {
        pod::add_default_tolerations(new);
    }
    Ok(())
}

/// Refuses a new object.
pub(crate) fn check_create(registry: &Registry, resource: &Resource, object: &Value) -> Result<(), Status> {
    limits::check(registry, resource, object)
}

/// Refuses a change.
pub(crate) fn check_update(
    registry: &Registry,
    ctx: &RequestContext,
    resource: &Resource,
    part: Part,
    new: &Value,
    old: &Value,
) -> Result<(), Status> {
    node::check_update(ctx, resource, part, new, old)?;
    if part == Part::Other("resize") || (part == Part::Main && is(resource, "", "persistentvolumeclaims")) {
        limits::check(registry, resource, new)?;
    }
    escalation::check(registry, ctx, resource, new, Some(old))
}

/// Refuses a deletion.
pub(crate) fn check_delete(
    _registry: &Registry,
    ctx: &RequestContext,
    resource: &Resource,
    old: &Value,
) -> Result<(), Status> {
    namespace::check_delete(resource, old)?;
    node::check_delete(ctx, resource, old)
}
