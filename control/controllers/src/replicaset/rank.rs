//! Which pods go first in a scale-down: those that do least.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::machinery::{Object, pods};

/// Annotation: the higher, the later a pod is deleted.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The `count` pods to delete. Order (Kubernetes, "ReplicaSet", scaling): not bound; Pending before Unknown before
/// Running; not ready; lower deletion cost; more related pods on the same node; ready for less time; more restarts;
/// younger. Ages are compared by their order of magnitude, so that the victims of equal age are spread.
pub fn first_to_go(
    mut from: Vec<Arc<Pod>>,
    related: &[Arc<Pod>],
    count: usize,
    now: Timestamp,
) -> Vec<Arc<Pod>> {
    if count < from.len() {
        let mut on_node: HashMap<&str, usize> = HashMap::new();
        for pod in related.iter().filter(|p| !pods::is_terminal(p)) {
            *on_node.entry(pods::node_name(pod)).or_default() += 1;
        }
        from.sort_by_cached_key(|pod| {
            let ready = pods::is_ready(pod);
            let rank = on_node.get(pods::node_name(pod)).copied().unwrap_or_default();
            (
                (
                    !pods::node_name(pod).is_empty(),
                    phase_order(pod),
                    ready,
                    cost(pod),
                    Reverse(rank),
                ),
                if ready {
                    magnitude(pods::ready_since(pod), now)
                } else {
                    None
                },
                Reverse(restarts(pod)),
                magnitude(pod.metadata.creation_timestamp.as_ref().map(|t| t.0), now),
                pod.uid().to_owned(),
            )
        });
    }
    from.truncate(count);
    from
}

fn phase_order(pod: &Pod) -> u8 {
    match pods::phase(pod) {
        "Running" => 2,
        "Unknown" => 1,
        _ => 0,
    }
}

fn cost(pod: &Pod) -> i32 {
    pod.annotations()
        .get(DELETION_COST)
        .and_then(|c| c.parse().ok())
        .unwrap_or(0)
}

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod
        .status
        .iter()
        .flat_map(|s| s.container_statuses.iter().flatten());
    statuses.map(|c| c.restart_count).max().unwrap_or(0)
}

/// log2 of an age in seconds; no time at all sorts first, as the youngest.
fn magnitude(since: Option<Timestamp>, now: Timestamp) -> Option<u32> {
    since.map(|t| {
        now.duration_since(t)
            .as_secs()
            .max(0)
            .unsigned_abs()
            .checked_ilog2()
            .unwrap_or(0)
    })
}
