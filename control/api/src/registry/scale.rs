//! `/scale`: an `autoscaling/v1 Scale` seen through the paths a kind names.

use serde_json::{Value, json};
use skiff_resources::{FieldError, Part, ScalePaths, selector::LabelSelector};

use super::{
    Patch, PatchFormat, Registry, RequestContext, Target, Written, meta,
    write::{Preconditions, Tracking},
};
use crate::{request::body, status::Status};

/// The sub-resource's name in managed fields.
const SCALE: &str = "scale";

/// The Scale of an object.
pub(crate) fn of(object: &Value, paths: &ScalePaths) -> Value {
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    let metadata = &object["metadata"];
    let mut scale = json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {},
        "status": {"replicas": number(paths.status_replicas)},
    });
    let replicas = number(paths.spec_replicas);
    if replicas != 0 {
        scale["spec"]["replicas"] = json!(replicas);
    }
    if let Some(selector) = object.pointer(paths.selector)
        && let Ok(selector) = LabelSelector::from_object(Some(selector))
    {
        scale["status"]["selector"] = json!(selector.to_string());
    }
    scale
}

impl Registry {
    fn scale_paths(target: &Target<'_>) -> Result<ScalePaths, Status> {
        target.resource.strategy.scale().ok_or_else(Status::no_such_path)
    }

    /// Reads the Scale of an object.
    ///
    /// # Errors
    /// 404.
    pub async fn get_scale(&self, target: &Target<'_>) -> Result<Value, Status> {
        let paths = Self::scale_paths(target)?;
        Ok(of(&*self.get_value(target).await?, &paths))
    }

    /// Replaces the Scale of an object.
    ///
    /// # Errors
    /// Those of an update.
    pub async fn update_scale(
        &self,
        ctx: &RequestContext,
        target: &Target<'_>,
        scale: &Value,
    ) -> Result<Value, Status> {
        self.change_scale(ctx, target, |_| Ok(scale.clone())).await
    }

    /// Patches the Scale of an object.
    ///
    /// # Errors
    /// Those of a patch.
    pub async fn patch_scale(
        &self,
        ctx: &RequestContext,
        target: &Target<'_>,
        patch: &Patch,
    ) -> Result<Value, Status> {
        if patch.format == PatchFormat::Apply {
            return self.apply_scale(ctx, target, patch).await;
        }
        let parsed = body::json(&patch.body)?;
        self.change_scale(ctx, target, |scale| match patch.format {
            PatchFormat::Json => skiff_schema::json_patch(scale, &parsed).map_err(Status::patch),
            // Scale has no lists: the strategic patch means the same as the merge patch.
            _ => Ok(skiff_schema::merge_patch(scale, &parsed)),
        })
        .await
    }

    /// Server-side apply of a Scale: the replicas are applied to the object itself, and its managed fields say so
    /// under the sub-resource (Kubernetes, `ScaleHandler`).
    async fn apply_scale(
        &self,
        ctx: &RequestContext,
        target: &Target<'_>,
        patch: &Patch,
    ) -> Result<Value, Status> {
        let paths = Self::scale_paths(target)?;
        let applied = body::yaml(&patch.body)?;
        if applied["apiVersion"] != "autoscaling/v1" || applied["kind"] != "Scale" {
            return Err(Status::bad_request(
                "the apply patch must be a Scale of autoscaling/v1",
            ));
        }
        let name = meta::name(&applied);
        if !name.is_empty() && name != target.name {
            return Err(Status::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                target.name
            )));
        }
        let mut own = json!({
            "apiVersion": super::api_version_of(target.resource),
            "kind": target.resource.kind,
            "metadata": {"name": target.name, "namespace": target.namespace},
        });
        if let Some(replicas) = applied.pointer("/spec/replicas").filter(|r| !r.is_null()) {
            check(target, replicas.as_i64())?;
            set(&mut own, paths.spec_replicas, replicas.clone());
        }
        let written = self
            .apply_value(ctx, target, Part::Main, SCALE, own, patch.force)
            .await?;
        Ok(of(&written.value, &paths))
    }

    async fn change_scale(
        &self,
        ctx: &RequestContext,
        target: &Target<'_>,
        change: impl Fn(&Value) -> Result<Value, Status>,
    ) -> Result<Value, Status> {
        let paths = Self::scale_paths(target)?;
        let written: Written = self
            .modify(
                ctx,
                target,
                Part::Main,
                Tracking::Under(SCALE),
                &Preconditions::default(),
                |old| {
                    let scale = change(&of(old, &paths))?;
                    let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
                    check(target, Some(replicas))?;
                    let mut new = (**old).clone();
                    set(&mut new, paths.spec_replicas, json!(replicas));
                    let version = meta::text(&scale, &["metadata", "resourceVersion"]);
                    if !version.is_empty() {
                        new["metadata"]["resourceVersion"] = json!(version);
                    }
                    let uid = meta::uid(&scale);
                    if !uid.is_empty() {
                        new["metadata"]["uid"] = json!(uid);
                    }
                    Ok(new)
                },
            )
            .await?;
        Ok(of(&written.value, &paths))
    }
}

/// Refuses a number of replicas that can't be.
fn check(target: &Target<'_>, replicas: Option<i64>) -> Result<(), Status> {
    if replicas.is_some_and(|r| r >= 0 && i32::try_from(r).is_ok()) {
        return Ok(());
    }
    let shown = replicas.map_or_else(|| "null".to_owned(), |r| r.to_string());
    let error = FieldError {
        reason: "FieldValueInvalid",
        field: "spec.replicas".into(),
        message: format!("Invalid value: {shown}: must be greater than or equal to 0"),
    };
    Err(Status::invalid_kind(
        "autoscaling",
        "Scale",
        target.name,
        &[error],
    ))
}

/// Sets a value at a JSON pointer of plain keys, making objects on the way.
fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut keys: Vec<&str> = pointer.split('/').skip(1).collect();
    let Some(last) = keys.pop() else { return };
    let mut at = object;
    for key in keys {
        meta::child(at, key);
        at = &mut at[key];
    }
    at[last] = value;
}
