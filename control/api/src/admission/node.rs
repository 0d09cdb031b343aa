//! A node changes itself and its own pods, nothing else (Kubernetes, `NodeRestriction`).

use serde_json::Value;
use skiff_auth::node::BALANCER_LEASES;
use skiff_resources::{Part, Resource};

use super::{is, name_or_prefix};
use crate::{
    registry::{RequestContext, meta},
    status::Status,
};

const RESTRICTED: &str = "node-restriction.kubernetes.io/";
const MIRROR: &str = "kubernetes.io/config.mirror";

pub(super) fn check_create(ctx: &RequestContext, resource: &Resource, object: &Value) -> Result<(), Status> {
    let Some(node) = ctx.user.node() else {
        return Ok(());
    };
    let name = meta::name(object);
    let refuse = |why: String| Err(Status::forbidden(resource, name_or_prefix(object), &why));
    if is(resource, "", "nodes") {
        if name != node {
            return refuse(format!(
                "node \"{node}\" is not allowed to create node \"{name}\""
            ));
        }
        if let Some(label) = restricted_labels(object, &Value::Null).first() {
            return refuse(format!("is not allowed to set the following labels: {label}"));
        }
    }
    if is(resource, "", "pods") {
        if object["metadata"]["annotations"].get(MIRROR).is_none() {
            return refuse(format!(
                "pod does not have \"{MIRROR}\" annotation, node \"{node}\" can only create mirror pods"
            ));
        }
        if meta::text(object, &["spec", "nodeName"]) != node {
            return refuse(format!(
                "node \"{node}\" can only create pods with spec.nodeName set to itself"
            ));
        }
    }
    let is_balancer = meta::namespace(object) == "kube-system" && name.starts_with(BALANCER_LEASES);
    if is(resource, "coordination.k8s.io", "leases") && name != node && !is_balancer {
        return refuse(format!(
            "can only access node lease with the same name as the requesting node: {node}"
        ));
    }
    Ok(())
}

pub(super) fn check_update(
    ctx: &RequestContext,
    resource: &Resource,
    part: Part,
    new: &Value,
    old: &Value,
) -> Result<(), Status> {
    let Some(node) = ctx.user.node() else {
        return Ok(());
    };
    let name = meta::name(old);
    let refuse = |why: String| Err(Status::forbidden(resource, name, &why));
    if is(resource, "", "nodes") {
        if name != node {
            return refuse(format!(
                "node \"{node}\" is not allowed to modify node \"{name}\""
            ));
        }
        if new["spec"]["taints"] != old["spec"]["taints"] {
            return refuse(format!("node \"{node}\" is not allowed to modify taints"));
        }
        if let Some(label) = restricted_labels(new, old).first() {
            return refuse(format!("is not allowed to modify labels: {label}"));
        }
    }
    if is(resource, "", "pods") {
        let bound = meta::text(old, &["spec", "nodeName"]);
        if part == Part::Status && bound != node {
            return refuse(format!(
                "node \"{node}\" can only update pod status for pods with spec.nodeName set to itself"
            ));
        }
        if part == Part::Status && new["metadata"]["labels"] != old["metadata"]["labels"] {
            return refuse(format!("node \"{node}\" cannot update labels through pod status"));
        }
    }
    Ok(())
}

pub(super) fn check_delete(ctx: &RequestContext, resource: &Resource, old: &Value) -> Result<(), Status> {
    let Some(node) = ctx.user.node() else {
        return Ok(());
    };
    if is(resource, "", "pods") && meta::text(old, &["spec", "nodeName"]) != node {
        let why = format!("node \"{node}\" can only delete pods with spec.nodeName set to itself");
        return Err(Status::forbidden(resource, meta::name(old), &why));
    }
    Ok(())
}

/// Labels that nodes may not give themselves and that differ.
fn restricted_labels(new: &Value, old: &Value) -> Vec<String> {
    let labels = |v: &Value| v["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    let (new, old) = (labels(new), labels(old));
    let mut keys: Vec<String> = new.keys().chain(old.keys()).cloned().collect();
    keys.retain(|k| k.starts_with(RESTRICTED) && new.get(k) != old.get(k));
    keys
}
