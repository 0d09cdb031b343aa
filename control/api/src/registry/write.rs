//! Create and update: from a client's object to a transaction.

use std::sync::Arc;

use serde_json::{Value, json};
use skiff_resources::{FieldError, Part, Resource, names};
use skiff_schema::Writer;
use skiff_store::{Compare, Entry, Op, Txn};

use super::{Registry, RequestContext, Target, Written, allocate::Allocation, api_version_of, key, meta};
use crate::{admission, status::Status};

/// How often a write is tried again when somebody else was faster and the client did not ask for a revision.
const RETRIES: usize = 32;
/// How many generated names are tried.
const NAME_TRIES: usize = 8;

/// Whether managed fields are still to be brought up to date, or the patch has done it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tracking {
    /// To be done.
    Needed,
    /// To be done, under the name of a sub-resource that changes the object itself.
    Under(&'static str),
    /// Server-side apply has done it.
    Done,
}

/// What [`Registry::prepare_create`] found out.
pub(super) struct Prepared {
    warnings: Vec<String>,
    /// The name was made from `generateName`.
    generated: bool,
}

/// What must hold for a write, as the client said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// The object's uid.
    pub uid: Option<String>,
    /// The object's resourceVersion.
    pub resource_version: Option<String>,
}

impl Preconditions {
    pub(super) fn check(&self, target: &Target<'_>, object: &Value, revision: u64) -> Result<(), Status> {
        if let Some(wanted) = &self.uid
            && wanted != meta::uid(object)
        {
            let why = format!(
                "Precondition failed: UID in precondition: {wanted}, UID in object meta: {}",
                meta::uid(object)
            );
            return Err(Status::conflict(target.resource, target.name, &why));
        }
        if let Some(wanted) = &self.resource_version
            && *wanted != revision.to_string()
        {
            let why = format!(
                "Precondition failed: ResourceVersion in precondition: {wanted}, ResourceVersion in object meta: {revision}"
            );
            return Err(Status::conflict(target.resource, target.name, &why));
        }
        Ok(())
    }
}

/// Whether the object is the one that a PUT or a Binding means, if it says which; `stored` is none where there is none.
/// Source: `InterpretUpdateError` makes a conflict of what the store of Kubernetes says.
pub(super) fn check_uid(target: &Target<'_>, wanted: &str, stored: Option<&Value>) -> Result<(), Status> {
    let uid = stored.map_or("", meta::uid);
    if wanted.is_empty() || wanted == uid {
        return Ok(());
    }
    let why = format!(
        "StorageError: invalid object, Code: 4, AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, \
         UID in object meta: {uid}"
    );
    Err(Status::conflict(target.resource, target.name, &why))
}

/// Kinds where a PUT may create. Source: `AllowCreateOnUpdate` of the strategies in Kubernetes.
fn may_create_on_update(resource: &Resource) -> bool {
    matches!(
        (&*resource.group, &*resource.plural),
        ("", "events" | "endpoints" | "services" | "limitranges")
            | ("events.k8s.io", "events")
            | ("coordination.k8s.io", "leases")
            | ("rbac.authorization.k8s.io", _)
    )
}

/// Kinds whose PUT must carry a resourceVersion. Source: `AllowUnconditionalUpdate`.
fn needs_version_on_update(resource: &Resource) -> bool {
    matches!(&*resource.plural, "leases" | "customresourcedefinitions")
}

impl Registry {
    /// Creates an object in a namespace (empty for cluster scope).
    ///
    /// # Errors
    /// 409 `AlreadyExists`, 422 with field errors, 403 from admission, 404 when the namespace is missing.
    pub async fn create(
        &self,
        ctx: &RequestContext,
        resource: &'static Resource,
        namespace: &str,
        object: Value,
    ) -> Result<Written, Status> {
        self.create_tracked(ctx, resource, namespace, object, Tracking::Needed)
            .await
    }

    pub(super) async fn create_tracked(
        &self,
        ctx: &RequestContext,
        resource: &'static Resource,
        namespace: &str,
        mut object: Value,
        tracking: Tracking,
    ) -> Result<Written, Status> {
        let Prepared { warnings, generated } =
            self.prepare_create(ctx, resource, namespace, &mut object, tracking)?;
        let prefix = meta::text(&object, &["metadata", "generateName"]).to_owned();
        let mut names_left = if generated { NAME_TRIES } else { 1 };
        let mut tries = RETRIES;
        loop {
            let name = meta::name(&object).to_owned();
            let object_key = key(resource, namespace, &name);
            let guard = admission::namespace::guard(self, resource, namespace, &name)?;
            let mut allocation = Allocation::default();
            let mut attempt = object.clone_if(resource);
            let attempt = attempt.as_mut().unwrap_or(&mut object);
            self.allocate(resource, None, attempt, &mut allocation)?;
            if ctx.dry_run {
                if self.store().get(&object_key).is_some() {
                    return Err(Status::already_exists(resource, &name));
                }
                return Ok(Written::dry(resource, attempt, true, warnings));
            }
            let mut txn = Txn {
                compare: vec![Compare::Absent(object_key.clone())],
                ops: vec![Op::Put(
                    object_key.clone(),
                    self.inner.parts.codec.encode(resource, &object_key, attempt)?,
                )],
            };
            txn.compare.extend(guard);
            allocation.into_txn(&mut txn);
            match self.store().commit(txn).await {
                Ok(committed) => {
                    let entry = committed.entries.into_iter().next().flatten();
                    return self.written(resource, entry, true, warnings);
                }
                Err(skiff_store::Error::Conflict { key, .. }) if key == object_key => {
                    names_left -= 1;
                    if names_left == 0 {
                        return Err(Status::already_exists(resource, &name));
                    }
                    let name = names::generate(&prefix);
                    meta::metadata(&mut object).insert("name".into(), json!(name));
                }
                // The namespace changed, or an address was taken in between: look again.
                Err(skiff_store::Error::Conflict { .. }) if tries > 0 => tries -= 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Everything about a create but the transaction.
    pub(super) fn prepare_create(
        &self,
        ctx: &RequestContext,
        resource: &'static Resource,
        namespace: &str,
        object: &mut Value,
        tracking: Tracking,
    ) -> Result<Prepared, Status> {
        to_storage(resource, object)?;
        fill_namespace(resource, namespace, object)?;
        let now = meta::now();
        let metadata = meta::metadata(object);
        if metadata
            .get("resourceVersion")
            .and_then(Value::as_str)
            .is_some_and(|v| !v.is_empty())
        {
            return Err(Status::bad_request(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        for field in [
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "selfLink",
            "resourceVersion",
        ] {
            metadata.remove(field);
        }
        metadata.insert("uid".into(), json!(uuid::Uuid::new_v4().to_string()));
        metadata.insert("creationTimestamp".into(), json!(meta::rfc3339(now)));
        let text = |field| metadata.get(field).and_then(Value::as_str).unwrap_or_default();
        let generated = text("name").is_empty();
        let prefix = text("generateName").to_owned();
        if generated && prefix.is_empty() {
            let error = FieldError {
                reason: "FieldValueRequired",
                field: "metadata.name".into(),
                message: "Required value: name or generateName is required".into(),
            };
            return Err(Status::invalid(resource, "", &[error]));
        }
        let strategy = resource.strategy;
        strategy.default(object);
        admission::mutate_create(self, ctx, resource, object)?;
        // Only now, as in Kubernetes: what admission has refused so far was refused by its prefix.
        if generated {
            meta::metadata(object).insert("name".into(), json!(names::generate(&prefix)));
        }
        strategy.prepare_create(object);
        let errors = strategy.validate(object);
        if !errors.is_empty() {
            return Err(Status::invalid(resource, meta::name(object), &errors));
        }
        let warnings = strategy.warnings(object);
        admission::check_create(self, resource, object)?;
        if tracking == Tracking::Needed {
            track(ctx, resource, "", None, object)?;
        }
        Ok(Prepared { warnings, generated })
    }

    /// Replaces an object (or one part of it). `object.metadata.resourceVersion`, where given, is a precondition.
    ///
    /// # Errors
    /// 404, 409 `Conflict`, 422, 403.
    pub async fn update(
        &self,
        ctx: &RequestContext,
        target: &Target<'_>,
        part: Part,
        object: Value,
    ) -> Result<Written, Status> {
        let resource = target.resource;
        check_identity(target, &object)?;
        let version = meta::text(&object, &["metadata", "resourceVersion"]);
        let uid = meta::uid(&object).to_owned();
        if part == Part::Main && self.store().get(&target.key()).is_none() && may_create_on_update(resource) {
            check_uid(target, &uid, None)?;
            if !version.is_empty() && version != "0" {
                return Err(Status::conflict(
                    resource,
                    target.name,
                    "StorageError: invalid object, Code: 4, AdditionalErrorMsg: Precondition failed: the object does not exist",
                ));
            }
            let mut object = object;
            meta::metadata(&mut object).insert("name".into(), json!(target.name));
            meta::metadata(&mut object).remove("resourceVersion");
            return self.create(ctx, resource, target.namespace, object).await;
        }
        if version.is_empty() && needs_version_on_update(resource) {
            let error = FieldError {
                reason: "FieldValueInvalid",
                field: "metadata.resourceVersion".into(),
                message: "Invalid value: 0: must be specified for an update".into(),
            };
            return Err(Status::invalid(resource, target.name, &[error]));
        }
        let unconditional = version.is_empty();
        let mut object = object;
        to_storage(resource, &mut object)?;
        let mut object = Some(object);
        self.modify(
            ctx,
            target,
            part,
            Tracking::Needed,
            &Preconditions::default(),
            |old| {
                check_uid(target, &uid, Some(old))?;
                // A second try happens only for updates without a revision, which then need their own copy.
                let next = if unconditional {
                    object.clone()
                } else {
                    object.take()
                };
                next.ok_or_else(|| Status::modified(resource, target.name))
            },
        )
        .await
    }

    /// Reads, changes and writes until nobody else was faster.
    pub(super) async fn modify(
        &self,
        ctx: &RequestContext,
        target: &Target<'_>,
        part: Part,
        tracking: Tracking,
        preconditions: &Preconditions,
        mut change: impl FnMut(&Arc<Value>) -> Result<Value, Status>,
    ) -> Result<Written, Status> {
        let resource = target.resource;
        let object_key = target.key();
        for _ in 0..RETRIES {
            let entry = self
                .store()
                .get(&object_key)
                .ok_or_else(|| Status::not_found(resource, target.name))?;
            let old = self.parse(&entry)?;
            preconditions.check(target, &old, entry.mod_revision)?;
            let mut new = change(&old)?;
            let warnings = self.prepare_update(ctx, target, part, tracking, &old, &entry, &mut new)?;
            let mut allocation = Allocation::default();
            self.allocate(resource, Some(&old), &mut new, &mut allocation)?;
            if is_same(&old, &new) {
                let bytes = self
                    .inner
                    .parts
                    .codec
                    .bytes(resource, &entry, entry.mod_revision)?;
                return Ok(Written {
                    bytes,
                    value: old,
                    created: false,
                    warnings,
                });
            }
            if ctx.dry_run {
                return Ok(Written::dry(resource, &new, false, warnings));
            }
            let value = self.inner.parts.codec.encode(resource, &object_key, &new)?;
            let mut txn = Txn {
                compare: vec![Compare::At(object_key.clone(), entry.mod_revision)],
                ops: Vec::new(),
            };
            if is_to_be_removed(resource, &new) {
                self.release(resource, &new, &mut allocation);
                txn.ops.push(Op::Delete(object_key.clone(), Some(value)));
            } else {
                txn.ops.push(Op::Put(object_key.clone(), value));
            }
            allocation.into_txn(&mut txn);
            match self.store().commit(txn).await {
                Ok(committed) => {
                    let entry = committed.entries.into_iter().next().flatten();
                    return self.written(resource, entry, false, warnings);
                }
                Err(skiff_store::Error::Conflict { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
        }
        Err(Status::modified(resource, target.name))
    }

    /// Everything about an update but the transaction.
    #[allow(clippy::too_many_arguments)] // One call site; a struct would only name the same things twice.
    fn prepare_update(
        &self,
        ctx: &RequestContext,
        target: &Target<'_>,
        part: Part,
        tracking: Tracking,
        old: &Value,
        entry: &Entry,
        new: &mut Value,
    ) -> Result<Vec<String>, Status> {
        let resource = target.resource;
        fill_namespace(resource, target.namespace, new)?;
        check_identity(target, new)?;
        let version = meta::text(new, &["metadata", "resourceVersion"]);
        if !matches!(version, "" | "0") && version != entry.mod_revision.to_string() {
            if version.parse::<u64>().is_err() {
                let error = FieldError {
                    reason: "FieldValueInvalid",
                    field: "metadata.resourceVersion".into(),
                    message: format!("Invalid value: \"{version}\": must be a number"),
                };
                return Err(Status::invalid(resource, target.name, &[error]));
            }
            return Err(Status::modified(resource, target.name));
        }
        let uid = meta::uid(new);
        if !uid.is_empty() && uid != meta::uid(old) {
            // A patch: what a PUT says has been looked at.
            let error = FieldError {
                reason: "FieldValueInvalid",
                field: "metadata.uid".into(),
                message: format!("Invalid value: {uid:?}: field is immutable"),
            };
            return Err(Status::invalid(resource, target.name, &[error]));
        }
        carry_over(old, new);
        refuse_new_finalizers(target, old, new)?;
        let strategy = resource.strategy;
        strategy.default(new);
        admission::mutate_update(self, ctx, resource, part, new, old)?;
        strategy.prepare_update(part, new, old);
        let errors = strategy.validate_update(part, new, old);
        if !errors.is_empty() {
            return Err(Status::invalid(resource, target.name, &errors));
        }
        let warnings = strategy.warnings(new);
        admission::check_update(self, ctx, resource, part, new, old)?;
        match tracking {
            Tracking::Needed => track(ctx, resource, part_name(part), Some(old), new)?,
            Tracking::Under(subresource) => track(ctx, resource, subresource, Some(old), new)?,
            Tracking::Done => {}
        }
        Ok(warnings)
    }

    fn written(
        &self,
        resource: &'static Resource,
        entry: Option<Entry>,
        created: bool,
        warnings: Vec<String>,
    ) -> Result<Written, Status> {
        let entry = entry.ok_or_else(|| Status::internal("the store returned no entry for a write"))?;
        let codec = &self.inner.parts.codec;
        let bytes = codec.bytes(resource, &entry, entry.mod_revision)?;
        let value = codec.value(&entry, entry.mod_revision)?;
        Ok(Written {
            bytes,
            value,
            created,
            warnings,
        })
    }
}

impl Written {
    /// What a dry run would have left behind.
    fn dry(resource: &Resource, object: &Value, created: bool, warnings: Vec<String>) -> Self {
        Self {
            bytes: super::wire(resource, object.clone()),
            value: Arc::new(object.clone()),
            created,
            warnings,
        }
    }
}

/// Services alone are changed by allocation, so only they are copied before it.
trait CloneIf {
    fn clone_if(&self, resource: &Resource) -> Option<Value>;
}

impl CloneIf for Value {
    fn clone_if(&self, resource: &Resource) -> Option<Value> {
        super::allocate::is_service(resource).then(|| self.clone())
    }
}

/// The name of a part as managed fields and admission have it.
pub(crate) fn part_name(part: Part) -> &'static str {
    match part {
        Part::Main => "",
        Part::Status => "status",
        Part::Other(name) => name,
    }
}

/// Turns a client's object into the stored shape: fills in apiVersion and kind, and refuses others than the row's.
pub(super) fn to_storage(resource: &Resource, object: &mut Value) -> Result<(), Status> {
    fill_type(resource, object)?;
    if !resource.strategy.is_storage_form() {
        resource.strategy.to_storage(object);
    }
    Ok(())
}

/// Fills in apiVersion and kind, and refuses others than the row's.
fn fill_type(resource: &Resource, object: &mut Value) -> Result<(), Status> {
    let expected = api_version_of(resource);
    let Some(map) = object.as_object_mut() else {
        return Err(Status::bad_request("the object is not a JSON object"));
    };
    let kind = map.get("kind").and_then(Value::as_str).unwrap_or_default();
    let version = map.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    if !kind.is_empty() && kind != resource.kind {
        return Err(Status::bad_request(format!(
            "{kind} in version \"{}\" cannot be handled as a {}",
            version.rsplit('/').next().unwrap_or_default(),
            resource.kind
        )));
    }
    if !version.is_empty() && version != expected {
        return Err(Status::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({expected})"
        )));
    }
    let (no_kind, no_version) = (kind.is_empty(), version.is_empty());
    if no_kind {
        map.insert("kind".into(), json!(resource.kind));
    }
    if no_version {
        map.insert("apiVersion".into(), json!(expected));
    }
    Ok(())
}

fn fill_namespace(resource: &Resource, namespace: &str, object: &mut Value) -> Result<(), Status> {
    let metadata = meta::metadata(object);
    let given = metadata
        .get("namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !resource.namespaced {
        metadata.remove("namespace");
        return Ok(());
    }
    if given.is_empty() {
        metadata.insert("namespace".into(), json!(namespace));
    } else if given != namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

fn check_identity(target: &Target<'_>, object: &Value) -> Result<(), Status> {
    let name = meta::name(object);
    if name.is_empty() {
        return Err(Status::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            target.name
        )));
    }
    if name != target.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name
        )));
    }
    let namespace = meta::namespace(object);
    if target.resource.namespaced && !namespace.is_empty() && namespace != target.namespace {
        return Err(Status::bad_request(format!(
            "the namespace of the object ({namespace}) does not match the namespace on the URL ({})",
            target.namespace
        )));
    }
    Ok(())
}

/// What an update can't change: taken from the stored object.
fn carry_over(old: &Value, new: &mut Value) {
    let metadata = meta::metadata(new);
    metadata.remove("selfLink");
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
        "generateName",
    ] {
        match old["metadata"].get(field) {
            Some(value) => metadata.insert(field.to_owned(), value.clone()),
            None => metadata.remove(field),
        };
    }
}

fn refuse_new_finalizers(target: &Target<'_>, old: &Value, new: &Value) -> Result<(), Status> {
    if !meta::deleting(old) {
        return Ok(());
    }
    let known = meta::finalizers(old);
    let added: Vec<String> = meta::finalizers(new)
        .into_iter()
        .filter(|f| !known.contains(f))
        .map(|f| format!("{f:?}"))
        .collect();
    if added.is_empty() {
        return Ok(());
    }
    let error = FieldError {
        reason: "FieldValueForbidden",
        field: "metadata.finalizers".into(),
        message: format!(
            "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            added.join(", ")
        ),
    };
    Err(Status::invalid(target.resource, target.name, &[error]))
}

fn track(
    ctx: &RequestContext,
    resource: &Resource,
    subresource: &str,
    old: Option<&Value>,
    new: &mut Value,
) -> Result<(), Status> {
    let api_version = meta::text(new, &["apiVersion"]).to_owned();
    let Some(ty) = skiff_schema::lookup(&api_version, &resource.kind) else {
        return Ok(());
    };
    let time = meta::rfc3339(meta::now());
    let writer = Writer {
        manager: ctx.manager(),
        subresource,
        api_version: &api_version,
        time: &time,
    };
    skiff_schema::track(old, new, ty, &writer).map_err(Status::patch)
}

/// Whether an update changed nothing: the times of managed fields don't count (Kubernetes, `SkipNonApplied`).
fn is_same(old: &Value, new: &Value) -> bool {
    let (Some(a), Some(b)) = (old.as_object(), new.as_object()) else {
        return false;
    };
    a.len() == b.len()
        && a.iter().all(|(key, value)| match b.get(key) {
            Some(other) if key == "metadata" => is_same_metadata(value, other),
            Some(other) => value == other,
            None => false,
        })
}

fn is_same_metadata(old: &Value, new: &Value) -> bool {
    let (Some(a), Some(b)) = (old.as_object(), new.as_object()) else {
        return false;
    };
    a.len() == b.len()
        && a.iter().all(|(key, value)| match b.get(key) {
            Some(other) if key == "managedFields" => is_same_managers(value, other),
            Some(other) => value == other,
            None => false,
        })
}

fn is_same_managers(old: &Value, new: &Value) -> bool {
    let (Some(a), Some(b)) = (old.as_array(), new.as_array()) else {
        return old == new;
    };
    let fields = ["manager", "operation", "subresource", "apiVersion", "fieldsV1"];
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(x, y)| fields.iter().all(|f| x.get(f) == y.get(f)))
}

/// Whether nothing keeps a deleted object any more: no finalizer, no grace to wait for, and for a namespace no
/// finalizer in its spec.
pub(super) fn is_to_be_removed(resource: &Resource, object: &Value) -> bool {
    let metadata = &object["metadata"];
    meta::deleting(object)
        && meta::finalizers(object).is_empty()
        && metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
        && !(resource.kind == "Namespace"
            && object["spec"]["finalizers"]
                .as_array()
                .is_some_and(|f| !f.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_time_of_managed_fields_is_no_change() {
        let old = json!({"metadata": {"name": "a", "managedFields": [{"manager": "m", "time": "1", "fieldsV1": {}}]}});
        let mut new = old.clone();
        new["metadata"]["managedFields"][0]["time"] = json!("2");
        assert!(is_same(&old, &new));
        new["metadata"]["labels"] = json!({});
        assert!(!is_same(&old, &new));
    }

    #[test]
    fn a_deleted_object_stays_while_something_holds_it() {
        let row = skiff_resources::table()
            .iter()
            .find(|r| r.kind == "Namespace")
            .expect("a row");
        let mut namespace =
            json!({"metadata": {"deletionTimestamp": "x"}, "spec": {"finalizers": ["kubernetes"]}});
        assert!(!is_to_be_removed(row, &namespace));
        namespace["spec"]["finalizers"] = json!([]);
        assert!(is_to_be_removed(row, &namespace));
        namespace["metadata"]["finalizers"] = json!(["a/b"]);
        assert!(!is_to_be_removed(row, &namespace));
    }
}
