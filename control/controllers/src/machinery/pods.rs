//! What controllers ask about pods.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodCondition};

/// The node a pod is bound to, or empty.
pub fn node_name(pod: &Pod) -> &str {
    pod.spec
        .as_ref()
        .and_then(|s| s.node_name.as_deref())
        .unwrap_or_default()
}

/// Phase, or empty.
pub fn phase(pod: &Pod) -> &str {
    pod.status
        .as_ref()
        .and_then(|s| s.phase.as_deref())
        .unwrap_or_default()
}

/// Whether all its containers have ended for good.
pub fn is_terminal(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// A condition.
pub fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    pod.status
        .as_ref()?
        .conditions
        .iter()
        .flatten()
        .find(|c| c.type_ == type_)
}

/// Whether the Ready condition is True.
pub fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|c| c.status == "True")
}

/// When the Ready condition last changed.
pub fn ready_since(pod: &Pod) -> Option<Timestamp> {
    condition(pod, "Ready")?
        .last_transition_time
        .as_ref()
        .map(|t| t.0)
}

/// Available: ready for at least `min_ready` seconds. `Err`: ready, and how long until it is available.
pub fn availability(pod: &Pod, min_ready: i32, now: Timestamp) -> Result<bool, Duration> {
    if !is_ready(pod) {
        return Ok(false);
    }
    if min_ready <= 0 {
        return Ok(true);
    }
    let Some(since) = ready_since(pod) else {
        return Ok(false);
    };
    let left = (since + SignedDuration::from_secs(min_ready.into())).duration_since(now);
    match Duration::try_from(left) {
        Ok(left) if !left.is_zero() => Err(left),
        _ => Ok(true),
    }
}
