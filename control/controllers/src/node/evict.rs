//! Which pods a node's taints drive away, and when (Kubernetes, "Taint based evictions").

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod, Taint, Toleration};

/// Who goes.
#[derive(Debug, Default)]
pub struct Plan {
    pub now: Vec<Arc<Pod>>,
    /// Until the next one has to go.
    pub next: Option<Duration>,
}

/// The taints that drive pods away.
pub fn taints(node: &Node) -> impl Iterator<Item = &Taint> {
    node.spec
        .iter()
        .flat_map(|s| s.taints.iter().flatten())
        .filter(|t| t.effect == "NoExecute")
}

/// Whether a toleration covers a taint.
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let filled = |s: &Option<String>| s.clone().filter(|s| !s.is_empty());
    let key = filled(&toleration.key);
    filled(&toleration.effect).is_none_or(|e| e == taint.effect)
        && key.as_ref().is_none_or(|k| *k == taint.key)
        && match toleration.operator.as_deref() {
            Some("Exists") => true,
            Some("") | None | Some("Equal") => {
                key.is_some()
                    && toleration.value.as_deref().unwrap_or_default()
                        == taint.value.as_deref().unwrap_or_default()
            }
            Some(order @ ("Gt" | "Lt")) => {
                let number = |s: &Option<String>| s.as_deref().and_then(|s| s.parse::<i64>().ok());
                match (number(&taint.value), number(&toleration.value)) {
                    (Some(is), Some(than)) => {
                        if order == "Gt" {
                            is > than
                        } else {
                            is < than
                        }
                    }
                    _ => false,
                }
            }
            Some(_) => false,
        }
}

/// Plans for the pods of a node.
pub fn plan(node: &Node, pods: &[Arc<Pod>], now: Timestamp) -> Plan {
    let taints: Vec<&Taint> = taints(node).collect();
    let mut plan = Plan::default();
    for pod in pods.iter().filter(|_| !taints.is_empty()) {
        match stays(pod, &taints) {
            Stay::No => plan.now.push(pod.clone()),
            Stay::Forever => {}
            Stay::For(period) => {
                let tainted = taints
                    .iter()
                    .filter_map(|t| t.time_added.as_ref())
                    .map(|t| t.0)
                    .min();
                let made = pod.metadata.creation_timestamp.as_ref().map(|t| t.0);
                let since = tainted.max(made).unwrap_or(now);
                match Duration::try_from((since + period).duration_since(now)) {
                    Ok(left) if !left.is_zero() => plan.next = Some(plan.next.map_or(left, |n| n.min(left))),
                    _ => plan.now.push(pod.clone()),
                }
            }
        }
    }
    plan
}

enum Stay {
    No,
    For(SignedDuration),
    Forever,
}

fn stays(pod: &Pod, taints: &[&Taint]) -> Stay {
    let tolerations: Vec<&Toleration> = pod
        .spec
        .iter()
        .flat_map(|s| s.tolerations.iter().flatten())
        .collect();
    let mut shortest = None;
    for taint in taints {
        let mut covering = tolerations.iter().filter(|t| tolerates(t, taint)).peekable();
        if covering.peek().is_none() {
            return Stay::No;
        }
        // Of all tolerations in use the shortest counts.
        let limit = covering.filter_map(|t| t.toleration_seconds).min();
        shortest = [shortest, limit].into_iter().flatten().min();
    }
    match shortest {
        None => Stay::Forever,
        Some(seconds) => Stay::For(SignedDuration::from_secs(seconds.clamp(0, 10 * 365 * 86_400))),
    }
}
