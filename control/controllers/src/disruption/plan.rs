//! How many pods of a budget may go.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        core::v1::Pod,
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus},
    },
    apimachinery::pkg::{
        apis::meta::v1::{Condition, Time},
        util::intstr::IntOrString,
    },
};

use crate::machinery::{Object, amounts::scaled, pods};

/// An evicted pod that has not begun to go after this time is taken to stay. Kubernetes: `DeletionTimeout`.
const DELETION: Duration = Duration::from_secs(120);
const CONDITION: &str = "DisruptionAllowed";

/// What there is.
pub struct Observed<'a> {
    pub budget: &'a PodDisruptionBudget,
    /// Pods its selector selects.
    pub pods: Vec<Arc<Pod>>,
    /// Replicas that the controllers of those pods want, all together; an error when a controller is unknown.
    pub wanted: Result<i32, String>,
}

/// What to do.
pub struct Plan {
    pub status: PodDisruptionBudgetStatus,
    /// When the next evicted pod is taken to stay.
    pub again: Option<Duration>,
}

/// Plans. Source: `pkg/controller/disruption/disruption.go`.
pub fn plan(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let budget = observed.budget;
    let spec = budget.spec.clone().unwrap_or_default();
    let before = budget.status.clone().unwrap_or_default();
    let (evicted, again) = going(&before, &observed.pods, now);
    let (expected, desired) = match expectations(&spec, &observed.pods, &observed.wanted) {
        Ok(both) => both,
        Err(why) => {
            // No disruption is the safe answer to a budget that can't be computed.
            let mut status = before;
            status.disruptions_allowed = Some(0);
            status.observed_generation = budget.metadata.generation;
            set_condition(&mut status, "SyncFailed", &why, budget.metadata.generation, now);
            return Plan { status, again };
        }
    };
    let is_healthy =
        |p: &&Arc<Pod>| !p.is_terminating() && !evicted.contains_key(p.name()) && pods::is_ready(p);
    let healthy = i32::try_from(observed.pods.iter().filter(is_healthy).count()).unwrap_or(i32::MAX);
    let allowed = if expected > 0 {
        (healthy - desired).max(0)
    } else {
        0
    };
    let mut status = PodDisruptionBudgetStatus {
        conditions: before.conditions,
        current_healthy: Some(healthy),
        desired_healthy: Some(desired),
        disrupted_pods: (!evicted.is_empty()).then_some(evicted),
        disruptions_allowed: Some(allowed),
        expected_pods: Some(expected),
        observed_generation: budget.metadata.generation,
    };
    let reason = if allowed > 0 {
        "SufficientPods"
    } else {
        "InsufficientPods"
    };
    set_condition(&mut status, reason, "", budget.metadata.generation, now);
    Plan { status, again }
}

/// Evicted pods whose deletion has not been seen yet, and when the first of them is taken to stay.
fn going(
    status: &PodDisruptionBudgetStatus,
    pods: &[Arc<Pod>],
    now: Timestamp,
) -> (BTreeMap<String, Time>, Option<Duration>) {
    let (mut evicted, mut again) = (BTreeMap::new(), None::<Duration>);
    for (name, time) in status.disrupted_pods.iter().flatten() {
        let Some(pod) = pods.iter().find(|p| p.name() == name) else {
            continue;
        };
        let Ok(left) = Duration::try_from((time.0 + DELETION).duration_since(now)) else {
            continue;
        };
        if !pod.is_terminating() && !left.is_zero() {
            evicted.insert(name.clone(), time.clone());
            again = Some(again.map_or(left, |a| a.min(left)));
        }
    }
    (evicted, again)
}

/// Expected pods and how many must be healthy.
fn expectations(
    spec: &PodDisruptionBudgetSpec,
    pods: &[Arc<Pod>],
    wanted: &Result<i32, String>,
) -> Result<(i32, i32), String> {
    if let Some(most) = &spec.max_unavailable {
        let wanted = wanted.clone()?;
        return Ok((wanted, (wanted - scaled(most, wanted, true)).max(0)));
    }
    match &spec.min_available {
        Some(least @ IntOrString::String(_)) => {
            let wanted = wanted.clone()?;
            Ok((wanted, scaled(least, wanted, true)))
        }
        least => {
            let count = i32::try_from(pods.len()).unwrap_or(i32::MAX);
            // Neither field is the same as `minAvailable: 1` (`SetDefaults_PodDisruptionBudget` of v1beta1), but v1
            // sets nothing: then nothing must be healthy.
            Ok((count, least.as_ref().map_or(0, |l| scaled(l, 0, true))))
        }
    }
}

fn set_condition(
    status: &mut PodDisruptionBudgetStatus,
    reason: &str,
    message: &str,
    generation: Option<i64>,
    now: Timestamp,
) {
    let conditions = status.conditions.get_or_insert_default();
    let value = if reason == "SufficientPods" {
        "True"
    } else {
        "False"
    };
    let since = conditions
        .iter()
        .find(|c| c.type_ == CONDITION && c.status == value)
        .map(|c| c.last_transition_time.clone());
    conditions.retain(|c| c.type_ != CONDITION);
    conditions.push(Condition {
        type_: CONDITION.into(),
        status: value.into(),
        reason: reason.into(),
        message: message.into(),
        last_transition_time: since.unwrap_or_else(|| crate::machinery::seconds(now)),
        observed_generation: generation,
    });
}
