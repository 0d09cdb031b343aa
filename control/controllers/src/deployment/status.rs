//! Status and conditions, with Kubernetes' reasons and messages.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};

use super::rollout;
use crate::machinery::{Object, seconds};

/// The new template is fully rolled out.
pub const DONE: &str = "NewReplicaSetAvailable";
/// The progress deadline has passed.
pub const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// A condition.
pub fn get<'a>(status: &'a DeploymentStatus, type_: &str) -> Option<&'a DeploymentCondition> {
    status
        .conditions
        .iter()
        .flatten()
        .find(|c| c.type_.as_deref() == Some(type_))
}

fn remove(status: &mut DeploymentStatus, type_: &str) {
    status
        .conditions
        .iter_mut()
        .for_each(|c| c.retain(|c| c.type_.as_deref() != Some(type_)));
}

/// Sets a condition; one with the same status and reason stays as it is, and with the same status keeps the time of
/// its last transition.
pub fn set(
    status: &mut DeploymentStatus,
    type_: &str,
    value: &str,
    reason: &str,
    message: impl Into<String>,
    now: Timestamp,
) {
    let current = get(status, type_).filter(|c| c.status.as_deref() == Some(value));
    if current.is_some_and(|c| c.reason.as_deref() == Some(reason)) {
        return;
    }
    let since = current
        .and_then(|c| c.last_transition_time.clone())
        .unwrap_or_else(|| seconds(now));
    remove(status, type_);
    status
        .conditions
        .get_or_insert_default()
        .push(DeploymentCondition {
            type_: Some(type_.to_owned()),
            status: Some(value.to_owned()),
            reason: Some(reason.to_owned()),
            message: Some(message.into()),
            last_update_time: Some(seconds(now)),
            last_transition_time: Some(since),
        });
}

/// Progress deadline in seconds; `None`: none.
fn deadline(deployment: &Deployment) -> Option<i32> {
    deployment
        .spec
        .progress_deadline_seconds
        .filter(|d| *d != i32::MAX)
}

/// Whether progress is to be told of.
pub fn has_deadline(deployment: &Deployment) -> bool {
    deadline(deployment).is_some()
}

/// Numbers and Available.
pub fn calculate(
    deployment: &Deployment,
    sets: &[&ReplicaSet],
    newest: Option<&ReplicaSet>,
    now: Timestamp,
) -> DeploymentStatus {
    let sum = |f: &dyn Fn(&ReplicaSet) -> Option<i32>| sets.iter().filter_map(|s| f(s)).sum::<i32>();
    let of = |f: fn(&k8s_openapi::api::apps::v1::ReplicaSetStatus) -> Option<i32>| {
        move |s: &ReplicaSet| s.status.as_ref().and_then(f)
    };
    let available = sum(&of(|s| s.available_replicas));
    let planned: i32 = sets.iter().map(|s| rollout::size(s)).sum();
    let shown = |n: i32| Some(n).filter(|n| *n != 0);
    let before = deployment.status.clone().unwrap_or_default();
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: shown(sum(&of(|s| Some(s.replicas)))),
        updated_replicas: newest
            .and_then(|s| s.status.as_ref())
            .and_then(|s| shown(s.replicas)),
        ready_replicas: shown(sum(&of(|s| s.ready_replicas))),
        available_replicas: shown(available),
        unavailable_replicas: shown((planned - available).max(0)),
        terminating_replicas: Some(sum(&of(|s| s.terminating_replicas))),
        collision_count: before.collision_count,
        conditions: before.conditions,
    };
    if available >= rollout::replicas(deployment) - rollout::max_unavailable(deployment) {
        let text = "Deployment has minimum availability.";
        set(
            &mut status,
            "Available",
            "True",
            "MinimumReplicasAvailable",
            text,
            now,
        );
    } else {
        let text = "Deployment does not have minimum availability.";
        set(
            &mut status,
            "Available",
            "False",
            "MinimumReplicasUnavailable",
            text,
            now,
        );
    }
    status
}

/// Whether the rollout is complete.
pub fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = rollout::replicas(deployment);
    status.updated_replicas.unwrap_or(0) == wanted
        && status.replicas.unwrap_or(0) == wanted
        && status.available_replicas.unwrap_or(0) == wanted
        && status.observed_generation >= deployment.metadata.generation
}

fn is_progressing(old: &DeploymentStatus, new: &DeploymentStatus) -> bool {
    let n = |v: Option<i32>| v.unwrap_or(0);
    let outdated = |s: &DeploymentStatus| n(s.replicas) - n(s.updated_replicas);
    n(new.updated_replicas) > n(old.updated_replicas)
        || outdated(new) < outdated(old)
        || n(new.ready_replicas) > n(old.ready_replicas)
        || n(new.available_replicas) > n(old.available_replicas)
}

/// Progressing and ReplicaFailure. Returns when the deadline passes, if it can.
pub fn progress(
    deployment: &Deployment,
    sets: &[&ReplicaSet],
    newest: Option<&ReplicaSet>,
    status: &mut DeploymentStatus,
    now: Timestamp,
) -> Option<Duration> {
    let old = deployment.status.clone().unwrap_or_default();
    // What this pass has already said (a new set was made or found) counts as current.
    let current = get(status, "Progressing").cloned();
    let settled = status.replicas == status.updated_replicas
        && current
            .as_ref()
            .is_some_and(|c| c.reason.as_deref() == Some(DONE));
    let (kind, name) = match newest {
        Some(set) => ("ReplicaSet", set.name()),
        None => ("Deployment", deployment.name()),
    };
    if !has_deadline(deployment) {
        remove(status, "Progressing");
    } else if !settled {
        if is_complete(deployment, status) {
            let text = format!("{kind} {name:?} has successfully progressed.");
            set(status, "Progressing", "True", DONE, text, now);
        } else if is_progressing(&old, status) {
            let text = format!("{kind} {name:?} is progressing.");
            // Even with the same reason its time moves on: the deadline counts from the last progress.
            let since = current
                .filter(|c| c.status.as_deref() == Some("True"))
                .and_then(|c| c.last_transition_time);
            remove(status, "Progressing");
            set(status, "Progressing", "True", "ReplicaSetUpdated", text, now);
            if let (Some(since), Some(c)) = (since, status.conditions.iter_mut().flatten().last()) {
                c.last_transition_time = Some(since);
            }
        } else if left(deployment, status, now).is_some_and(|left| left.is_zero()) {
            let text = format!("{kind} {name:?} has timed out progressing.");
            set(status, "Progressing", "False", TIMED_OUT, text, now);
        }
    }
    failures(sets, newest, status);
    if is_complete(deployment, status) {
        None
    } else {
        left(deployment, status, now).filter(|l| !l.is_zero())
    }
}

/// Time left until the deadline, zero when it has passed; `None` when it does not run.
fn left(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> Option<Duration> {
    let condition = get(status, "Progressing")?;
    if matches!(condition.reason.as_deref(), Some(DONE | TIMED_OUT)) {
        return None;
    }
    let from = condition.last_update_time.as_ref()?.0;
    let end = from + SignedDuration::from_secs(deadline(deployment)?.into());
    // Conditions carry whole seconds: a deadline is over when its second is.
    Some(Duration::try_from((end + SignedDuration::from_secs(1)).duration_since(now)).unwrap_or_default())
}

fn failures(sets: &[&ReplicaSet], newest: Option<&ReplicaSet>, status: &mut DeploymentStatus) {
    let failure = |set: &ReplicaSet| {
        let conditions = set.status.iter().flat_map(|s| s.conditions.iter().flatten());
        conditions
            .clone()
            .find(|c| c.type_.as_deref() == Some("ReplicaFailure"))
            .cloned()
    };
    let found = newest
        .and_then(failure)
        .or_else(|| sets.iter().find_map(|s| failure(s)));
    let before = get(status, "ReplicaFailure").cloned();
    remove(status, "ReplicaFailure");
    if let Some(found) = found {
        let same = before.filter(|b| b.status == found.status && b.reason == found.reason);
        let new = DeploymentCondition {
            type_: Some("ReplicaFailure".into()),
            status: found.status,
            reason: found.reason,
            message: found.message,
            last_update_time: found.last_transition_time.clone(),
            last_transition_time: found.last_transition_time,
        };
        status
            .conditions
            .get_or_insert_default()
            .push(same.unwrap_or(new));
    }
}

/// Paused and resumed, as conditions.
pub fn pause(deployment: &Deployment, status: &mut DeploymentStatus, now: Timestamp) {
    let reason = get(status, "Progressing").and_then(|c| c.reason.clone());
    if !has_deadline(deployment) || reason.as_deref() == Some(TIMED_OUT) {
        return;
    }
    let paused = deployment.spec.paused == Some(true);
    let said = reason.as_deref() == Some("DeploymentPaused");
    if paused && !said {
        set(
            status,
            "Progressing",
            "Unknown",
            "DeploymentPaused",
            "Deployment is paused",
            now,
        );
    } else if !paused && said {
        set(
            status,
            "Progressing",
            "Unknown",
            "DeploymentResumed",
            "Deployment is resumed",
            now,
        );
    }
}
