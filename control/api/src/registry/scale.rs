//! `/scale`: an `autoscaling/v1 Scale` seen through the paths a kind names.

use serde_json::{Value, json};
use skiff_resources::{FieldError, Part, ScalePaths};

use super::{
    Patch, PatchFormat, Registry, RequestContext, Target, Written, meta,
    write::{Preconditions, Tracking},
};
use crate::{request::body, selector::LabelSelector, status::Status};

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
    if let Some(selector) = object
        .pointer(paths.selector)
        .and_then(LabelSelector::from_object)
    {
        scale["status"]["selector"] = json!(selector.to_text());
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
        let parsed = match patch.format {
            PatchFormat::Apply => body::yaml(&patch.body)?,
            _ => body::json(&patch.body)?,
        };
        self.change_scale(ctx, target, |scale| match patch.format {
            PatchFormat::Json => skiff_schema::json_patch(scale, &parsed)
                .map_err(|e| Status::patch(target.resource, target.name, e)),
            // Scale has no lists: the strategic and the applied patch mean the same as the merge patch.
            _ => Ok(skiff_schema::merge_patch(scale, &parsed)),
        })
        .await
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
                Tracking::Needed,
                &Preconditions::default(),
                |old| {
                    let scale = change(&of(old, &paths))?;
                    let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
                    if replicas < 0 || i32::try_from(replicas).is_err() {
                        let error = FieldError {
                            reason: "FieldValueInvalid",
                            field: "spec.replicas".into(),
                            message: format!("Invalid value: {replicas}: must be greater than or equal to 0"),
                        };
                        return Err(Status::invalid_kind(
                            "autoscaling",
                            "Scale",
                            target.name,
                            &[error],
                        ));
                    }
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
