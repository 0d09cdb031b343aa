//! Delete: grace periods, finalizers, propagation, preconditions. Source: apiserver `registry/rest/delete.go`,
//! `registry/generic/registry/store.go`.

use bytes::Bytes;
use serde_json::{Value, json};
use skiff_resources::{FieldError, Resource};
use skiff_store::{Compare, Entry, Op, Txn};

use super::{
    Registry, RequestContext, Target,
    allocate::Allocation,
    meta,
    write::{Preconditions, is_to_be_removed},
};
use crate::{
    admission,
    request::query::ListOptions,
    status::{Status, success},
};

/// What happens to the objects that an object owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They lose their owner and stay.
    Orphan,
    /// They go later.
    Background,
    /// They go first.
    Foreground,
}

/// `meta/v1 DeleteOptions`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// `gracePeriodSeconds`.
    pub grace_seconds: Option<i64>,
    /// `propagationPolicy` (or the older `orphanDependents`).
    pub propagation: Option<Propagation>,
    /// `orphanDependents: false`, the older way to ask for dependents to go.
    pub asks_dependents_deleted: bool,
    /// `preconditions`.
    pub preconditions: Preconditions,
}

impl DeleteOptions {
    /// From the body of a request.
    ///
    /// # Errors
    /// 422 for values that are not known.
    pub fn from_value(value: &Value) -> Result<Self, Status> {
        let invalid = |reason, field: &str, message: String| {
            let error = FieldError {
                reason,
                field: field.into(),
                message,
            };
            Status::invalid_kind("meta.k8s.io", "DeleteOptions", "", &[error])
        };
        let propagation = match (
            value.get("propagationPolicy").and_then(Value::as_str),
            &value["orphanDependents"],
        ) {
            (Some(policy), Value::Bool(_)) => {
                let message = format!(
                    "Invalid value: {policy:?}: orphanDependents and deletionPropagation cannot be both set"
                );
                return Err(invalid("FieldValueInvalid", "propagationPolicy", message));
            }
            (Some("Orphan"), _) => Some(Propagation::Orphan),
            (Some("Background"), _) => Some(Propagation::Background),
            (Some("Foreground"), _) => Some(Propagation::Foreground),
            (Some(other), _) => {
                let message = format!(
                    "Unsupported value: \"{other}\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
                );
                return Err(invalid("FieldValueNotSupported", "propagationPolicy", message));
            }
            (None, Value::Bool(true)) => Some(Propagation::Orphan),
            (None, Value::Bool(false)) => Some(Propagation::Background),
            (None, _) => None,
        };
        let text = |path: &[&str]| Some(meta::text(value, path).to_owned()).filter(|t| !t.is_empty());
        Ok(Self {
            grace_seconds: value["gracePeriodSeconds"].as_i64(),
            propagation,
            asks_dependents_deleted: value["orphanDependents"] == false,
            preconditions: Preconditions {
                uid: text(&["preconditions", "uid"]),
                resource_version: text(&["preconditions", "resourceVersion"]),
            },
        })
    }
}

/// What a delete left.
#[derive(Clone, Debug)]
pub struct Deleted {
    /// The body of the answer: the object, or a `Status`.
    pub bytes: Bytes,
    /// Whether the object is gone.
    pub gone: bool,
}

/// Kinds whose delete answers with the object. Source: `ReturnDeletedObject` in Kubernetes.
fn returns_object(resource: &Resource) -> bool {
    resource.group.is_empty()
        && matches!(
            &*resource.plural,
            "pods"
                | "services"
                | "serviceaccounts"
                | "replicationcontrollers"
                | "resourcequotas"
                | "podtemplates"
                | "persistentvolumes"
                | "persistentvolumeclaims"
        )
}

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
const RETRIES: usize = 32;
/// How many objects of a collection are deleted at a time: they share log writes.
const SIDE_BY_SIDE: usize = 32;

impl Registry {
    /// Deletes an object, or begins to.
    ///
    /// # Errors
    /// 404, 409 when a precondition fails, 403 from admission.
    pub async fn delete(
        &self,
        ctx: &RequestContext,
        target: &Target<'_>,
        options: &DeleteOptions,
    ) -> Result<Deleted, Status> {
        let resource = target.resource;
        let object_key = target.key();
        for _ in 0..RETRIES {
            let entry = self
                .store()
                .get(&object_key)
                .ok_or_else(|| Status::not_found(resource, target.name))?;
            let old = self.parse(&entry)?;
            options.preconditions.check(target, &old, entry.mod_revision)?;
            admission::check_delete(self, ctx, resource, &old)?;
            let mut new = (*old).clone();
            mark(resource, &mut new, options);
            let gone = is_to_be_removed(resource, &new);
            if !gone && new == *old {
                let bytes = self
                    .inner
                    .parts
                    .codec
                    .bytes(resource, &entry, entry.mod_revision)?;
                return Ok(Deleted { bytes, gone: false });
            }
            if ctx.dry_run {
                return Ok(answer(
                    resource,
                    &old,
                    super::wire(resource, (*old).clone()),
                    gone,
                ));
            }
            let mut txn = Txn {
                compare: vec![Compare::At(object_key.clone(), entry.mod_revision)],
                ops: Vec::new(),
            };
            if gone {
                // Watchers see the object as it was; only one that was being deleted keeps the marks of that.
                let last = if meta::deleting(&old) { &new } else { &old };
                let last = self.inner.parts.codec.encode(resource, &object_key, last)?;
                txn.ops.push(Op::Delete(object_key.clone(), Some(last)));
                let mut allocation = Allocation::default();
                self.release(resource, &old, &mut allocation);
                allocation.into_txn(&mut txn);
            } else {
                let value = self.inner.parts.codec.encode(resource, &object_key, &new)?;
                txn.ops.push(Op::Put(object_key.clone(), value));
            }
            match self.store().commit(txn).await {
                Ok(committed) => {
                    let revision = committed.revision;
                    let entry = committed.entries.into_iter().next().flatten();
                    let bytes = match entry {
                        Some(entry) => self.inner.parts.codec.bytes(resource, &entry, revision)?,
                        None => super::wire(resource, new),
                    };
                    return Ok(answer(resource, &old, bytes, gone));
                }
                Err(skiff_store::Error::Conflict { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
        }
        Err(Status::modified(resource, target.name))
    }

    /// Deletes everything that is selected; returns it, as it was, in a list.
    ///
    /// # Errors
    /// The first failure that is not "already gone".
    pub async fn delete_collection(
        &self,
        ctx: &RequestContext,
        resource: &'static Resource,
        namespace: &str,
        list: &ListOptions,
        options: &DeleteOptions,
    ) -> Result<Bytes, Status> {
        let page = self.list(resource, namespace, list).await?;
        for some in page.items.chunks(SIDE_BY_SIDE) {
            let deletes = some
                .iter()
                .map(|item| self.delete_listed(ctx, resource, &item.entry, options));
            futures::future::try_join_all(deletes).await?;
        }
        Ok(page.to_bytes(&super::api_version_of(resource), &resource.kind))
    }
}

impl Registry {
    async fn delete_listed(
        &self,
        ctx: &RequestContext,
        resource: &'static Resource,
        entry: &Entry,
        options: &DeleteOptions,
    ) -> Result<(), Status> {
        let value = self.parse(entry)?;
        let target = Target {
            resource,
            namespace: meta::namespace(&value),
            name: meta::name(&value),
        };
        match self.delete(ctx, &target, options).await {
            Err(status) if status.code != 404 => Err(status),
            _ => Ok(()),
        }
    }
}

fn answer(resource: &Resource, old: &Value, bytes: Bytes, gone: bool) -> Deleted {
    let bytes = if gone && !returns_object(resource) {
        Bytes::from(success(200, Some((resource, meta::name(old), meta::uid(old)))).to_string())
    } else {
        bytes
    };
    Deleted { bytes, gone }
}

/// Puts the marks of a deletion on an object: finalizers of the propagation policy, the time and the grace period.
fn mark(resource: &Resource, object: &mut Value, options: &DeleteOptions) {
    propagate(object, options.propagation);
    let now = meta::now();
    let grace = grace(resource, object, options.grace_seconds);
    let held = !meta::finalizers(object).is_empty();
    let was_deleting = meta::deleting(object);
    let left = object["metadata"]["deletionGracePeriodSeconds"].as_i64();
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    let metadata = meta::metadata(object);
    if was_deleting {
        // A second delete can only shorten the wait.
        if left.is_some_and(|left| grace < left) || (left.is_none() && !held) {
            metadata.insert("deletionGracePeriodSeconds".into(), json!(grace));
            if let Some(left) = left {
                let begun = metadata
                    .get("deletionTimestamp")
                    .and_then(Value::as_str)
                    .and_then(|t| t.parse::<jiff::Timestamp>().ok())
                    .map_or(now, |t| t.as_second() - left);
                metadata.insert("deletionTimestamp".into(), json!(meta::rfc3339(begun + grace)));
            }
        }
        return;
    }
    metadata.insert("deletionTimestamp".into(), json!(meta::rfc3339(now + grace)));
    metadata.insert("deletionGracePeriodSeconds".into(), json!(grace));
    if generation > 0 {
        metadata.insert("generation".into(), json!(generation + 1));
    }
    if resource.kind == "Namespace" && resource.group.is_empty() {
        metadata.remove("deletionGracePeriodSeconds");
        meta::child(object, "status").insert("phase".into(), json!("Terminating"));
    }
}

/// How long the object is given. Only kinds with a default know grace at all.
fn grace(resource: &Resource, object: &Value, asked: Option<i64>) -> i64 {
    let Some(default) = resource.strategy.default_grace_seconds(object) else {
        return 0;
    };
    if resource.kind == "Pod" {
        let scheduled = !meta::text(object, &["spec", "nodeName"]).is_empty();
        let ended = matches!(meta::text(object, &["status", "phase"]), "Succeeded" | "Failed");
        if !scheduled || ended {
            return 0;
        }
    }
    match asked.unwrap_or(default) {
        negative if negative < 0 => 1,
        seconds => seconds,
    }
}

fn propagate(object: &mut Value, policy: Option<Propagation>) {
    let Some(policy) = policy else { return };
    let mut finalizers: Vec<String> = meta::finalizers(object)
        .into_iter()
        .filter(|f| *f != ORPHAN && *f != FOREGROUND)
        .map(str::to_owned)
        .collect();
    match policy {
        Propagation::Orphan => finalizers.push(ORPHAN.into()),
        Propagation::Foreground => finalizers.push(FOREGROUND.into()),
        Propagation::Background => {}
    }
    let metadata = meta::metadata(object);
    if finalizers.is_empty() {
        metadata.remove("finalizers");
    } else {
        metadata.insert("finalizers".into(), json!(finalizers));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: &str) -> &'static Resource {
        skiff_resources::table()
            .iter()
            .find(|r| r.kind == kind)
            .expect("a row")
    }

    #[test]
    fn a_foreground_delete_leaves_a_finalizer() {
        let mut object = json!({"metadata": {"name": "a", "generation": 1}});
        let options = DeleteOptions {
            propagation: Some(Propagation::Foreground),
            ..DeleteOptions::default()
        };
        mark(row("Deployment"), &mut object, &options);
        assert_eq!(object["metadata"]["finalizers"], json!(["foregroundDeletion"]));
        assert_eq!(object["metadata"]["generation"], 2);
        assert!(!is_to_be_removed(row("Deployment"), &object));
    }

    #[test]
    fn an_unscheduled_pod_goes_at_once_and_a_running_one_gets_its_grace() {
        let mut pod = json!({"metadata": {"name": "a"}, "spec": {"terminationGracePeriodSeconds": 30}});
        mark(row("Pod"), &mut pod, &DeleteOptions::default());
        assert!(is_to_be_removed(row("Pod"), &pod));
        let mut pod = json!({"metadata": {"name": "a"},
            "spec": {"terminationGracePeriodSeconds": 30, "nodeName": "n"}});
        mark(row("Pod"), &mut pod, &DeleteOptions::default());
        assert_eq!(pod["metadata"]["deletionGracePeriodSeconds"], 30);
        assert!(!is_to_be_removed(row("Pod"), &pod));
        let now = DeleteOptions {
            grace_seconds: Some(0),
            ..DeleteOptions::default()
        };
        mark(row("Pod"), &mut pod, &now);
        assert!(is_to_be_removed(row("Pod"), &pod));
    }
}
