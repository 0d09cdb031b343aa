//! What may change in a pod that exists.

use serde_json::Value;

use super::whole;
use crate::{
    Part,
    kinds::pod::qos_class,
    validate::{Errors, Path, meta},
    value::{carry, entries, get, get_mut, has, int, list, list_mut, remove, same, text},
};

/// Validates a change of a pod through `part`.
pub(in crate::kinds::pod) fn update(part: Part, new: &Value, old: &Value) -> Errors {
    if part == Part::Status {
        let mut errors = Errors::new();
        meta::update(&mut errors, new, old);
        status(&mut errors, new, old);
        return errors;
    }
    let mut errors = whole(new);
    meta::update(&mut errors, new, old);
    match part {
        Part::Other("ephemeralcontainers") => ephemeral(&mut errors, new, old),
        Part::Other("resize") => resize(&mut errors, new, old),
        Part::Other(_) => {}
        _ => main(&mut errors, new, old),
    }
    errors
}

const SPEC: Path<'static> = Path::root("spec");

fn status(errors: &mut Errors, new: &Value, old: &Value) {
    let nominated = text(new, "status.nominatedNodeName");
    if !nominated.is_empty() {
        errors.invalid_each(
            &Path::root("status.nominatedNodeName"),
            nominated,
            crate::validate::names::dns1123_subdomain(nominated),
        );
    }
    // What has ended for good does not come back.
    if text(old, "spec.restartPolicy") == "Never" {
        let path = Path::root("status.containerStatuses");
        for (i, before) in list(old, "status.containerStatuses").iter().enumerate() {
            let name = text(before, "name");
            let after = list(new, "status.containerStatuses")
                .iter()
                .find(|s| text(s, "name") == name);
            if has(before, "state.terminated") && after.is_some_and(|s| !has(s, "state.terminated")) {
                errors.forbidden(
                    &path.index(i).field("state"),
                    "may not be transitioned to non-terminated state",
                );
            }
        }
    }
}

fn main(errors: &mut Errors, new: &Value, old: &Value) {
    for field in ["containers", "initContainers"] {
        let path = format!("spec.{field}");
        if list(new, &path).len() != list(old, &path).len() {
            errors.forbidden(&SPEC.field(field), "pod updates may not add or remove containers");
            return;
        }
    }
    let deadline = |pod| int(pod, "spec.activeDeadlineSeconds");
    let at = SPEC.field("activeDeadlineSeconds");
    match (deadline(new), deadline(old)) {
        (Some(new), Some(old)) if new > old => {
            errors.invalid(&at, new, "must be less than or equal to previous value");
        }
        (None, Some(_)) => errors.invalid(
            &at,
            Value::Null,
            "must not update from a positive integer to nil value",
        ),
        _ => {}
    }
    gates(errors, new, old);
    tolerations(errors, new, old);
    if !same(get(&munged(new, old), "spec"), get(old, "spec")) {
        errors.forbidden(
            &SPEC,
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        );
    }
}

/// The new pod with everything that may change put back: what differs from the old pod then, may not.
fn munged(new: &Value, old: &Value) -> Value {
    let mut munged = new.clone();
    for field in ["spec.containers", "spec.initContainers"] {
        let before = list(old, field);
        for (container, before) in list_mut(&mut munged, field).iter_mut().zip(before) {
            carry("image", before, container);
        }
    }
    for field in [
        "spec.activeDeadlineSeconds",
        "spec.tolerations",
        "spec.schedulingGates",
    ] {
        carry(field, old, &mut munged);
    }
    let gated = !list(old, "spec.schedulingGates").is_empty();
    if gated {
        // Before it is scheduled, a pod may be narrowed down to fewer nodes.
        let narrowed = entries(old, "spec.nodeSelector")
            .all(|(key, value)| get(new, "spec.nodeSelector").and_then(|n| n.get(key)) == Some(value));
        if narrowed {
            carry("spec.nodeSelector", old, &mut munged);
        }
        if !has(
            old,
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution",
        ) {
            carry("spec.affinity", old, &mut munged);
        }
    }
    if int(old, "spec.terminationGracePeriodSeconds").is_some_and(|s| s < 0)
        && int(new, "spec.terminationGracePeriodSeconds") == Some(1)
    {
        carry("spec.terminationGracePeriodSeconds", old, &mut munged);
    }
    munged
}

fn gates(errors: &mut Errors, new: &Value, old: &Value) {
    let before = list(old, "spec.schedulingGates");
    for gate in list(new, "spec.schedulingGates") {
        if !before.contains(gate) {
            errors.forbidden(
                &SPEC.field("schedulingGates"),
                &format!(
                    "only deletion is allowed, but found new scheduling gate '{}'",
                    text(gate, "name")
                ),
            );
        }
    }
}

/// Tolerations may be added; of an existing one only `tolerationSeconds` may change.
fn tolerations(errors: &mut Errors, new: &Value, old: &Value) {
    let plain = |toleration: &Value| {
        let mut plain = toleration.clone();
        remove(&mut plain, "tolerationSeconds");
        plain
    };
    let after: Vec<Value> = list(new, "spec.tolerations").iter().map(plain).collect();
    let kept = list(old, "spec.tolerations")
        .iter()
        .all(|t| after.contains(&plain(t)));
    if !kept {
        errors.forbidden(
            &SPEC.field("tolerations"),
            "existing toleration can not be modified except its tolerationSeconds",
        );
    }
}

fn ephemeral(errors: &mut Errors, new: &Value, old: &Value) {
    let path = SPEC.field("ephemeralContainers");
    for before in list(old, "spec.ephemeralContainers") {
        let name = text(before, "name");
        let after = list(new, "spec.ephemeralContainers")
            .iter()
            .find(|c| text(c, "name") == name);
        match after {
            None => errors.forbidden(
                &path,
                &format!("existing ephemeral containers {name:?} may not be removed\n"),
            ),
            Some(after) if !same(Some(after), Some(before)) => errors.forbidden(
                &path,
                &format!("existing ephemeral containers {name:?} may not be changed\n"),
            ),
            Some(_) => {}
        }
    }
    let mut munged = new.clone();
    carry("spec.ephemeralContainers", old, &mut munged);
    if !same(get(&munged, "spec"), get(old, "spec")) {
        errors.forbidden(&SPEC, "may only change `spec.ephemeralContainers`");
    }
}

fn resize(errors: &mut Errors, new: &Value, old: &Value) {
    let mut munged = new.clone();
    for field in ["spec.containers", "spec.initContainers"] {
        let before = list(old, field);
        for (container, before) in list_mut(&mut munged, field).iter_mut().zip(before) {
            for amounts in ["resources.limits", "resources.requests"] {
                for name in ["cpu", "memory"] {
                    let old = get(before, amounts).and_then(|a| a.get(name)).cloned();
                    match (get_mut(container, amounts).and_then(Value::as_object_mut), old) {
                        (Some(now), Some(old)) => {
                            now.insert(name.to_owned(), old);
                        }
                        (Some(now), None) => {
                            now.remove(name);
                        }
                        (None, Some(old)) => {
                            crate::value::set(container, &format!("{amounts}.{name}"), old);
                        }
                        (None, None) => {}
                    }
                }
            }
        }
    }
    if !same(get(&munged, "spec"), get(old, "spec")) {
        errors.forbidden(&SPEC, "only cpu and memory resources are mutable");
    }
    if qos_class(new) != qos_class(old) {
        errors.invalid(
            &SPEC,
            qos_class(new),
            "Pod QOS Class may not change as a result of resizing",
        );
    }
}
