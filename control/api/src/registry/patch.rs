//! Patches: JSON, merge, strategic merge and server-side apply.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Value, json};
use skiff_resources::{FieldError, Part};
use skiff_schema::Writer;

use super::{
    Registry, RequestContext, Target, Written, api_version_of, meta,
    write::{Preconditions, Tracking, part_name, to_storage},
};
use crate::{request::body, status::Status};

/// How a patch is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchFormat {
    /// `application/json-patch+json` (RFC 6902).
    Json,
    /// `application/merge-patch+json` (RFC 7386).
    Merge,
    /// `application/strategic-merge-patch+json`.
    Strategic,
    /// `application/apply-patch+yaml`: server-side apply.
    Apply,
}

/// The media types of patches, as a 415 lists them.
const ACCEPTED: &str = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml, \
                        application/strategic-merge-patch+json";

impl PatchFormat {
    /// From the media type of the body.
    ///
    /// # Errors
    /// 415.
    pub fn of(media: &str) -> Result<Self, Status> {
        match media {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            _ => Err(Status::unsupported_media_type(ACCEPTED)),
        }
    }
}

/// A patch as sent.
#[derive(Clone, Debug)]
pub struct Patch {
    /// Its format.
    pub format: PatchFormat,
    /// Its text.
    pub body: Bytes,
    /// `force`: take fields from other managers (server-side apply).
    pub force: bool,
}

/// A stored object in the shape of the request's version.
fn from_storage<'a>(target: &Target<'_>, object: &'a Value) -> Cow<'a, Value> {
    let strategy = target.resource.strategy;
    if strategy.is_storage_form() {
        return Cow::Borrowed(object);
    }
    let mut object = object.clone();
    strategy.from_storage(&mut object);
    Cow::Owned(object)
}

impl Registry {
    /// Patches an object, or with server-side apply creates it.
    ///
    /// # Errors
    /// 400 for a broken patch, 422 for one that can't be applied, 409 for conflicts, and those of an update.
    pub async fn patch(
        &self,
        ctx: &RequestContext,
        target: &Target<'_>,
        part: Part,
        patch: &Patch,
    ) -> Result<Written, Status> {
        if patch.format == PatchFormat::Apply {
            return self.apply(ctx, target, part, patch).await;
        }
        if patch.force {
            let error = FieldError {
                reason: "FieldValueForbidden",
                field: "force".into(),
                message: "Forbidden: may not be specified for non-apply patch".into(),
            };
            return Err(Status::invalid_kind("meta.k8s.io", "PatchOptions", "", &[error]));
        }
        let resource = target.resource;
        let parsed = body::json(&patch.body)?;
        let ty = skiff_schema::lookup(&api_version_of(resource), &resource.kind);
        let mut warnings = Vec::new();
        let mut written = self
            .modify(
                ctx,
                target,
                part,
                Tracking::Needed,
                &Preconditions::default(),
                |old| {
                    let failed = Status::patch;
                    let old = from_storage(target, old);
                    let mut new = match (patch.format, ty) {
                        (PatchFormat::Json, _) => skiff_schema::json_patch(&old, &parsed).map_err(failed)?,
                        (PatchFormat::Strategic, Some(ty)) => {
                            skiff_schema::strategic_merge_patch(&old, &parsed, ty).map_err(failed)?
                        }
                        (PatchFormat::Strategic, None) => {
                            return Err(Status::unsupported_media_type(ACCEPTED));
                        }
                        (PatchFormat::Merge | PatchFormat::Apply, _) => {
                            skiff_schema::merge_patch(&old, &parsed)
                        }
                    };
                    warnings = self.check_fields(ctx, target, &mut new)?;
                    to_storage(resource, &mut new)?;
                    Ok(new)
                },
            )
            .await?;
        written.warnings.splice(0..0, warnings);
        Ok(written)
    }

    fn check_fields(
        &self,
        ctx: &RequestContext,
        target: &Target<'_>,
        object: &mut Value,
    ) -> Result<Vec<String>, Status> {
        let resource = target.resource;
        let Some(ty) = skiff_schema::lookup(&api_version_of(resource), &resource.kind) else {
            return Ok(Vec::new());
        };
        // Kubernetes puts the whole patched object before the reason.
        let invalid = |why: &str| {
            let error = FieldError {
                reason: "FieldValueInvalid",
                field: "patch".into(),
                message: format!("Invalid value: {why}"),
            };
            Status::invalid_kind("", "", "", &[error])
        };
        let problems = skiff_schema::prune(object, ty).map_err(|error| invalid(&error.to_string()))?;
        let problems: Vec<String> = problems.into_iter().map(|p| p.0).collect();
        body::strict(problems, ctx.field_validation, &invalid)
    }

    async fn apply(
        &self,
        ctx: &RequestContext,
        target: &Target<'_>,
        part: Part,
        patch: &Patch,
    ) -> Result<Written, Status> {
        let resource = target.resource;
        let mut applied = body::yaml(&patch.body)?;
        let api_version = api_version_of(resource);
        for (field, expected) in [("apiVersion", api_version.as_str()), ("kind", &resource.kind)] {
            match applied.get(field).and_then(Value::as_str) {
                Some(given) if given == expected => {}
                Some(given) if field == "apiVersion" => {
                    return Err(Status::bad_request(format!(
                        "Incorrect version specified in apply patch. Specified patch version: {given}, expected: \
                         {expected}"
                    )));
                }
                _ => {
                    return Err(Status::bad_request(format!(
                        "the apply patch must be a {} of {api_version}",
                        resource.kind
                    )));
                }
            }
        }
        self.declared(target, &mut applied)?;
        let metadata = meta::metadata(&mut applied);
        match metadata.get("name").and_then(Value::as_str) {
            None | Some("") => {
                metadata.insert("name".into(), json!(target.name));
            }
            Some(name) if name == target.name => {}
            Some(name) => {
                return Err(Status::bad_request(format!(
                    "the name of the object ({name}) does not match the name on the URL ({})",
                    target.name
                )));
            }
        }
        if resource.namespaced && !metadata.contains_key("namespace") {
            metadata.insert("namespace".into(), json!(target.namespace));
        }
        self.apply_value(ctx, target, part, part_name(part), applied, patch.force)
            .await
    }

    /// What is applied may have declared fields only, whatever `fieldValidation` says: a field that nobody knows can't be
    /// owned.
    fn declared(&self, target: &Target<'_>, applied: &mut Value) -> Result<(), Status> {
        let resource = target.resource;
        let api_version = api_version_of(resource);
        let Some(ty) = skiff_schema::lookup(&api_version, &resource.kind) else {
            return Ok(());
        };
        let problems = skiff_schema::prune(applied, ty).map_err(Status::patch)?;
        let unknown: Vec<String> = problems
            .iter()
            .filter_map(|problem| problem.0.strip_prefix("unknown field \"")?.strip_suffix('"'))
            .map(|field| format!(".{field}: field not declared in schema"))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(Status::bad_request(format!(
            "failed to create typed patch object ({}/{}; {api_version}, Kind={}): {}",
            target.namespace,
            target.name,
            resource.kind,
            if let [one] = unknown.as_slice() {
                one.clone()
            } else {
                format!("errors:\n  {}", unknown.join("\n  "))
            }
        )))
    }

    /// Applies an object that was checked; its fields are managed under the name of a sub-resource.
    pub(super) async fn apply_value(
        &self,
        ctx: &RequestContext,
        target: &Target<'_>,
        part: Part,
        subresource: &str,
        applied: Value,
        force: bool,
    ) -> Result<Written, Status> {
        let resource = target.resource;
        if ctx.field_manager.is_empty() {
            let error = FieldError {
                reason: "FieldValueRequired",
                field: "fieldManager".into(),
                message: "Required value: is required for apply patch".into(),
            };
            return Err(Status::invalid_kind("meta.k8s.io", "PatchOptions", "", &[error]));
        }
        let api_version = api_version_of(resource);
        let Some(ty) = skiff_schema::lookup(&api_version, &resource.kind) else {
            return Err(Status::unsupported_media_type(ACCEPTED));
        };
        let metadata = &applied["metadata"];
        let creates = part == Part::Main && subresource.is_empty();
        let uid = metadata.get("uid").and_then(Value::as_str).map(str::to_owned);
        loop {
            let time = meta::rfc3339(meta::now());
            let writer = Writer {
                manager: ctx.manager(),
                subresource,
                api_version: &api_version,
                time: &time,
            };
            let failed = Status::patch;
            let result = if self.store().get(&target.key()).is_some() {
                self.modify(
                    ctx,
                    target,
                    part,
                    Tracking::Done,
                    &Preconditions::default(),
                    |live| {
                        let live = from_storage(target, live);
                        let mut new =
                            skiff_schema::apply(Some(&live), &applied, ty, &writer, force).map_err(failed)?;
                        to_storage(resource, &mut new)?;
                        Ok(new)
                    },
                )
                .await
            } else if !creates {
                Err(Status::not_found(resource, target.name))
            } else if let Some(uid) = &uid {
                Err(Status::conflict(
                    resource,
                    target.name,
                    &format!(
                        "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                    ),
                ))
            } else {
                let object = skiff_schema::apply(None, &applied, ty, &writer, force).map_err(failed)?;
                self.create_tracked(ctx, resource, target.namespace, object, Tracking::Done)
                    .await
            };
            match result {
                // Created or deleted by somebody else in between: what is to be done has changed.
                Err(status) if status.reason == "AlreadyExists" => continue,
                Err(status)
                    if status.code == 404
                        && creates
                        && status
                            .details
                            .as_ref()
                            .is_some_and(|d| d.name == target.name && d.kind == resource.plural) =>
                {
                    continue;
                }
                other => return other,
            }
        }
    }
}
