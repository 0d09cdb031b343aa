//! Eviction: a delete that asks the disruption budgets first. Source: `pkg/registry/core/pod/storage/eviction.go`.

use std::sync::Arc;

use serde_json::{Value, json};
use skiff_resources::{Part, selector::LabelSelector};

use super::{
    DeleteOptions, Registry, RequestContext, Target, meta,
    write::{Preconditions, Tracking},
};
use crate::status::{Cause, Status};

impl Registry {
    /// Evicts a pod.
    ///
    /// # Errors
    /// 429 when a disruption budget does not allow it now.
    pub async fn evict(
        &self,
        ctx: &RequestContext,
        target: &Target<'_>,
        options: &DeleteOptions,
    ) -> Result<(), Status> {
        let pod = self.get_value(target).await?;
        let revision = meta::text(&pod, &["metadata", "resourceVersion"])
            .parse()
            .unwrap_or_default();
        options.preconditions.check(target, &pod, revision)?;
        let phase = meta::text(&pod, &["status", "phase"]);
        let counts = !matches!(phase, "Succeeded" | "Failed" | "Pending") && !meta::deleting(&pod);
        // What was looked at must be what is deleted: the pod may have become ready, or another one, meanwhile.
        let mut options = options.clone();
        if counts {
            self.take_from_budget(ctx, target, &pod).await?;
            options
                .preconditions
                .uid
                .get_or_insert_with(|| meta::uid(&pod).to_owned());
        }
        if !ctx.dry_run && !meta::deleting(&pod) {
            let marked = self.mark_evicted(ctx, target, &options.preconditions).await?;
            // The mark is a change of ours: what the caller wanted to hold was checked with it.
            if let Some(version) = &mut options.preconditions.resource_version {
                *version = meta::text(&marked, &["metadata", "resourceVersion"]).to_owned();
            }
        }
        self.delete(ctx, target, &options).await?;
        Ok(())
    }

    /// Notes on the pod why it goes: its controllers and Jobs count such an end apart.
    async fn mark_evicted(
        &self,
        ctx: &RequestContext,
        target: &Target<'_>,
        preconditions: &Preconditions,
    ) -> Result<Arc<Value>, Status> {
        const CONDITION: &str = "DisruptionTarget";
        let condition = json!({
            "type": CONDITION,
            "status": "True",
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
            "lastProbeTime": null,
            "lastTransitionTime": meta::rfc3339(meta::now()),
        });
        let written = self
            .modify(
                ctx,
                target,
                Part::Status,
                Tracking::Needed,
                preconditions,
                |old| {
                    let mut new = (**old).clone();
                    let conditions = &mut meta::child(&mut new, "status")
                        .entry("conditions")
                        .or_insert_with(|| json!([]));
                    if let Some(conditions) = conditions.as_array_mut() {
                        conditions.retain(|c| c["type"] != CONDITION);
                        conditions.push(condition.clone());
                    }
                    Ok(new)
                },
            )
            .await?;
        Ok(written.value)
    }

    async fn take_from_budget(
        &self,
        ctx: &RequestContext,
        target: &Target<'_>,
        pod: &Value,
    ) -> Result<(), Status> {
        let Some(resource) = self.resource("policy", "v1", "poddisruptionbudgets") else {
            return Ok(());
        };
        let budgets: Vec<_> = self
            .all(resource, target.namespace)?
            .1
            .into_iter()
            .filter(|b| LabelSelector::from_object(b["spec"].get("selector")).is_ok_and(|s| s.matches(pod)))
            .collect();
        let budget = match budgets.as_slice() {
            [] => return Ok(()),
            [one] => one,
            _ => {
                return Err(Status::internal(
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
                ));
            }
        };
        let is_ready = pod["status"]["conditions"]
            .as_array()
            .is_some_and(|c| c.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"));
        if !is_ready && may_go_unready(budget) {
            return Ok(());
        }
        let budget_target = Target {
            resource,
            namespace: target.namespace,
            name: meta::name(budget),
        };
        self.modify(
            ctx,
            &budget_target,
            Part::Status,
            Tracking::Needed,
            &Preconditions::default(),
            |old| {
                let status = &old["status"];
                let allowed = status["disruptionsAllowed"].as_i64().unwrap_or(0);
                let observed = status["observedGeneration"].as_i64().unwrap_or(0);
                let behind = observed < old["metadata"]["generation"].as_i64().unwrap_or(0);
                if behind {
                    let message = format!(
                        "The disruption budget {} is still being processed by the server.",
                        meta::name(old)
                    );
                    return Err(refused(&message).retry_after(10));
                }
                if allowed <= 0 {
                    let message = format!(
                        "The disruption budget {} needs {} healthy pods and has {} currently",
                        meta::name(old),
                        status["desiredHealthy"].as_i64().unwrap_or(0),
                        status["currentHealthy"].as_i64().unwrap_or(0)
                    );
                    return Err(refused(&message));
                }
                let mut new = (**old).clone();
                new["status"]["disruptionsAllowed"] = json!(allowed - 1);
                if !new["status"]["disruptedPods"].is_object() {
                    new["status"]["disruptedPods"] = json!({});
                }
                new["status"]["disruptedPods"][target.name] = json!(meta::rfc3339(meta::now()));
                Ok(new)
            },
        )
        .await?;
        Ok(())
    }
}

/// Whether the budget lets this unready pod go without counting it.
fn may_go_unready(budget: &Value) -> bool {
    let status = &budget["status"];
    let (healthy, desired) = (
        status["currentHealthy"].as_i64().unwrap_or(0),
        status["desiredHealthy"].as_i64().unwrap_or(0),
    );
    match budget["spec"]["unhealthyPodEvictionPolicy"].as_str() {
        Some("AlwaysAllow") => true,
        _ => {
            let observed = status["observedGeneration"].as_i64().unwrap_or(0);
            observed >= budget["metadata"]["generation"].as_i64().unwrap_or(0)
                && desired > 0
                && healthy >= desired
        }
    }
}

fn refused(why: &str) -> Status {
    let mut status = Status::new(
        429,
        "TooManyRequests",
        "Cannot evict pod as it would violate the pod's disruption budget.",
    );
    status.details.get_or_insert_default().causes = vec![Cause {
        reason: "DisruptionBudget".into(),
        message: why.to_owned(),
        field: String::new(),
    }];
    status
}
