//! How many pods to make, which to delete, what the status says.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{ReplicaSet, ReplicaSetStatus},
    core::v1::Pod,
};

use super::rank;
use crate::machinery::{Object, pods, selector};

/// At most this many pods are made or deleted in one run.
const BURST: usize = 500;

/// What there is.
pub struct Observed<'a> {
    pub set: &'a ReplicaSet,
    /// Its namespace takes new objects.
    pub may_create: bool,
    /// Its pods that have neither ended nor begun to be deleted.
    pub active: Vec<Arc<Pod>>,
    /// How many are being deleted.
    pub terminating: usize,
    /// Active pods of sets with the same owner.
    pub related: Vec<Arc<Pod>>,
}

/// What to do.
#[derive(Debug)]
pub struct Plan {
    pub create: usize,
    pub delete: Vec<Arc<Pod>>,
    pub status: ReplicaSetStatus,
    /// When a ready pod becomes available.
    pub again: Option<Duration>,
}

/// Plans.
pub fn plan(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let set = observed.set;
    let spec = set.spec.clone();
    let wanted = usize::try_from(spec.replicas.unwrap_or(1)).unwrap_or_default();
    let have = observed.active.len();
    let (mut create, mut delete) = (0, Vec::new());
    if !set.is_terminating() {
        if observed.may_create {
            create = wanted.saturating_sub(have).min(BURST);
        }
        let excess = have.saturating_sub(wanted).min(BURST);
        if excess > 0 {
            delete = rank::first_to_go(observed.active.clone(), &observed.related, excess, now);
        }
    }

    let min_ready = spec.min_ready_seconds.unwrap_or(0);
    let template_labels = spec
        .template
        .and_then(|t| t.metadata)
        .and_then(|m| m.labels)
        .unwrap_or_default();
    let (mut labeled, mut ready, mut available, mut again) = (0, 0, 0, None::<Duration>);
    for pod in &observed.active {
        labeled += i32::from(selector::matches_map(&template_labels, pod.labels()));
        ready += i32::from(pods::is_ready(pod));
        match pods::availability(pod, min_ready, now) {
            Ok(is) => available += i32::from(is),
            Err(left) => again = Some(again.map_or(left, |a| a.min(left))),
        }
    }
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let status = ReplicaSetStatus {
        replicas: count(have),
        fully_labeled_replicas: Some(labeled).filter(|n| *n > 0),
        ready_replicas: Some(ready).filter(|n| *n > 0),
        available_replicas: Some(available).filter(|n| *n > 0),
        terminating_replicas: Some(count(observed.terminating)),
        observed_generation: set.metadata.generation,
        conditions: set.status.as_ref().and_then(|s| s.conditions.clone()),
    };
    Plan {
        create,
        delete,
        status,
        again,
    }
}
