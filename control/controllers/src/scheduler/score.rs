//! Which of the nodes that can take a pod is the best. Each rule gives 0 to 100 points, times its weight
//! (Kubernetes' default weights).

use k8s_openapi::api::core::v1::{Node, Pod};

use super::{
    filter::{Wanted, is_tolerated, matches_term},
    snapshot::NodeState,
};
use crate::machinery::{Object, selector};

const FULL: i64 = 100;
const LEAST_ALLOCATED: i64 = 1;
const BALANCED: i64 = 1;
const SPREAD: i64 = 2;
const POD_AFFINITY: i64 = 2;
const NODE_AFFINITY: i64 = 2;
const TAINTS: i64 = 3;

/// How many pods of the same group are on a node.
pub enum Group<'a> {
    /// The same controller.
    Owner(&'a str),
    /// The same services: their selectors together.
    Services(Vec<std::collections::BTreeMap<String, String>>),
    /// None.
    Alone,
}

impl Group<'_> {
    fn count(&self, pod: &Pod, state: &NodeState) -> i64 {
        match self {
            Self::Owner(uid) => state.by_owner.get(*uid).copied().unwrap_or(0),
            Self::Services(selectors) => {
                let same = |p: &Pod| {
                    p.namespace() == pod.namespace()
                        && selectors.iter().all(|s| selector::matches_map(s, p.labels()))
                };
                i64::try_from(state.pods.values().filter(|p| same(&p.pod)).count()).unwrap_or(i64::MAX)
            }
            Self::Alone => 0,
        }
    }
}

/// Points of each node, in order.
pub fn score(wanted: &Wanted<'_>, group: &Group<'_>, nodes: &[(&Node, &NodeState)]) -> Vec<i64> {
    let mut totals: Vec<i64> = nodes.iter().map(|(_, state)| resources(wanted, state)).collect();
    let mut add = |weight: i64, points: Vec<i64>| {
        totals
            .iter_mut()
            .zip(points)
            .for_each(|(total, p)| *total += weight * p);
    };
    let raw = |f: &dyn Fn(&Node, &NodeState) -> i64| nodes.iter().map(|(n, s)| f(n, s)).collect::<Vec<_>>();

    let soft = raw(&|node, _| wanted.topology.crowd(node).unwrap_or(0));
    add(SPREAD, fewest(&soft));
    add(SPREAD, fewest(&raw(&|_, state| group.count(wanted.pod, state))));
    add(
        POD_AFFINITY,
        most(&raw(&|node, _| wanted.topology.preference(node))),
    );
    add(
        NODE_AFFINITY,
        most(&raw(&|node, _| node_preference(wanted, node))),
    );
    add(TAINTS, fewest(&raw(&|node, _| discouraging(wanted, node))));
    totals
}

/// Much left, and cpu and memory left in like proportion.
fn resources(wanted: &Wanted<'_>, state: &NodeState) -> i64 {
    let (cpu, memory) = wanted.requests.for_score();
    let fraction = |used: i64, all: i64| {
        if all <= 0 {
            FULL
        } else {
            (used.saturating_mul(FULL) / all).clamp(0, FULL)
        }
    };
    let cpu = fraction(state.score_used.0 + cpu, state.allocatable.cpu_milli);
    let memory = fraction(state.score_used.1 + memory, state.allocatable.memory);
    let least = ((FULL - cpu) + (FULL - memory)) / 2;
    // The standard deviation of two values is half their distance.
    let balanced = FULL - (cpu - memory).abs() / 2;
    LEAST_ALLOCATED * least + BALANCED * balanced
}

fn node_preference(wanted: &Wanted<'_>, node: &Node) -> i64 {
    let affinity = wanted
        .spec
        .affinity
        .as_ref()
        .and_then(|a| a.node_affinity.as_ref());
    let terms = affinity.and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_ref());
    let matching = terms
        .into_iter()
        .flatten()
        .filter(|t| matches_term(&t.preference, node));
    matching.map(|t| i64::from(t.weight)).sum()
}

fn discouraging(wanted: &Wanted<'_>, node: &Node) -> i64 {
    let tolerations = wanted.spec.tolerations.as_deref().unwrap_or_default();
    let taints = node.spec.iter().flat_map(|s| s.taints.iter().flatten());
    let soft = taints.filter(|t| t.effect == "PreferNoSchedule" && !is_tolerated(t, tolerations));
    i64::try_from(soft.count()).unwrap_or(i64::MAX)
}

/// Most points for the lowest number.
fn fewest(raw: &[i64]) -> Vec<i64> {
    scaled(raw).into_iter().map(|p| FULL - p).collect()
}

/// Most points for the highest number.
fn most(raw: &[i64]) -> Vec<i64> {
    scaled(raw)
}

fn scaled(raw: &[i64]) -> Vec<i64> {
    let (min, max) = (
        raw.iter().min().copied().unwrap_or(0),
        raw.iter().max().copied().unwrap_or(0),
    );
    raw.iter()
        .map(|n| {
            if max == min {
                0
            } else {
                (n - min) * FULL / (max - min)
            }
        })
        .collect()
}
