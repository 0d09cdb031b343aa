//! Rules about other pods: affinity, anti-affinity and spreading over topology domains. Worked out once per pod to
//! be placed; per node only look-ups remain.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use k8s_openapi::{
    api::core::v1::{Node, Pod, PodAffinityTerm, PodSpec, TopologySpreadConstraint},
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
};

use super::{
    filter::{Reason, matches_node, untolerated},
    snapshot::Snapshot,
};
use crate::machinery::{Object, selector};

/// A label of nodes and one of its values.
type Domain = (String, String);

/// What is worked out for one pod.
#[derive(Default)]
pub struct Topology {
    spread: Vec<Spread>,
    /// Required: topology key, and the domains with a matching pod.
    affinity: Vec<(String, HashSet<String>)>,
    /// No pod matches yet, and this one does itself: it may be the first.
    is_first: bool,
    /// Domains with a pod that this one keeps away from.
    anti: HashSet<Domain>,
    /// Domains with a pod that keeps this one away.
    repelled: HashSet<Domain>,
    /// Preferences, as points per domain.
    preferred: HashMap<Domain, i64>,
}

struct Spread {
    key: String,
    max_skew: i64,
    is_required: bool,
    /// Matching pods per domain, over the nodes that count.
    counts: BTreeMap<String, i64>,
    min: i64,
    /// 1 when the pod matches its own constraint.
    own: i64,
}

/// Namespaces that match: the pod's own when the term names none.
struct Term<'a> {
    term: &'a PodAffinityTerm,
    selector: Option<LabelSelector>,
    namespaces: HashSet<String>,
    all: bool,
}

impl<'a> Term<'a> {
    fn new(term: &'a PodAffinityTerm, owner: &Pod, namespaces: &Namespaces<'_>) -> Self {
        let mut names: HashSet<String> = term.namespaces.iter().flatten().cloned().collect();
        let mut all = false;
        match &term.namespace_selector {
            Some(selector) if selector::is_empty(selector) => all = true,
            Some(selector) => names.extend(namespaces(selector)),
            None if names.is_empty() => {
                names.insert(owner.namespace().to_owned());
            }
            None => {}
        }
        let keys = |list: &Option<Vec<String>>, operator: &str| {
            let values = list.iter().flatten().filter_map(|key| {
                let value = owner.labels().get(key)?;
                Some(LabelSelectorRequirement {
                    key: key.clone(),
                    operator: operator.to_owned(),
                    values: Some(vec![value.clone()]),
                })
            });
            values.collect::<Vec<_>>()
        };
        let selector = term.label_selector.clone().map(|mut selector| {
            let more = [
                keys(&term.match_label_keys, "In"),
                keys(&term.mismatch_label_keys, "NotIn"),
            ]
            .concat();
            if !more.is_empty() {
                selector.match_expressions.get_or_insert_default().extend(more);
            }
            selector
        });
        Self {
            term,
            selector,
            namespaces: names,
            all,
        }
    }

    fn matches(&self, pod: &Pod) -> bool {
        (self.all || self.namespaces.contains(pod.namespace()))
            && self
                .selector
                .as_ref()
                .is_some_and(|s| selector::matches(s, pod.labels()))
    }

    fn domain(&self, node: &Node) -> Option<Domain> {
        domain(&self.term.topology_key, node)
    }
}

fn domain(key: &str, node: &Node) -> Option<Domain> {
    node.labels()
        .get(key)
        .map(|value| (key.to_owned(), value.clone()))
}

/// Names the namespaces whose labels match.
pub type Namespaces<'a> = dyn Fn(&LabelSelector) -> Vec<String> + 'a;

impl Topology {
    /// Works it out.
    pub fn new(pod: &Pod, spec: &PodSpec, snapshot: &Snapshot, namespaces: &Namespaces<'_>) -> Self {
        let mut topology = Self::default();
        let constraints = spec.topology_spread_constraints.iter().flatten();
        topology.spread = constraints.map(|c| spread(c, pod, spec, snapshot)).collect();
        topology.own_terms(pod, spec, snapshot, namespaces);
        topology.terms_of_others(pod, snapshot, namespaces);
        topology
    }

    fn own_terms(&mut self, pod: &Pod, spec: &PodSpec, snapshot: &Snapshot, namespaces: &Namespaces<'_>) {
        let Some(affinity) = &spec.affinity else { return };
        let (with, without) = (
            affinity.pod_affinity.as_ref(),
            affinity.pod_anti_affinity.as_ref(),
        );
        let required = with.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
        let required: Vec<_> = required
            .into_iter()
            .flatten()
            .map(|t| Term::new(t, pod, namespaces))
            .collect();
        let anti = without.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
        let anti: Vec<_> = anti
            .into_iter()
            .flatten()
            .map(|t| Term::new(t, pod, namespaces))
            .collect();
        let likes = with.and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_ref());
        let dislikes = without.and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_ref());
        let likes = likes
            .into_iter()
            .flatten()
            .map(|w| (i64::from(w.weight), &w.pod_affinity_term));
        let dislikes = dislikes
            .into_iter()
            .flatten()
            .map(|w| (-i64::from(w.weight), &w.pod_affinity_term));
        let preferred: Vec<_> = likes
            .chain(dislikes)
            .map(|(w, t)| (w, Term::new(t, pod, namespaces)))
            .collect();
        if required.is_empty() && anti.is_empty() && preferred.is_empty() {
            return;
        }
        self.affinity = required
            .iter()
            .map(|t| (t.term.topology_key.clone(), HashSet::new()))
            .collect();
        for (node, state) in snapshot.existing() {
            for placed in state.pods.values() {
                // A pod counts for the affinity only if it matches every term.
                if !required.is_empty() && required.iter().all(|t| t.matches(&placed.pod)) {
                    for (term, (_, domains)) in required.iter().zip(&mut self.affinity) {
                        domains.extend(term.domain(node).map(|(_, value)| value));
                    }
                }
                self.anti.extend(
                    anti.iter()
                        .filter(|t| t.matches(&placed.pod))
                        .filter_map(|t| t.domain(node)),
                );
                for (weight, term) in preferred.iter().filter(|(_, t)| t.matches(&placed.pod)) {
                    if let Some(domain) = term.domain(node) {
                        *self.preferred.entry(domain).or_default() += weight;
                    }
                }
            }
        }
        let nobody = self.affinity.iter().all(|(_, domains)| domains.is_empty());
        self.is_first = nobody && required.iter().all(|t| t.matches(pod));
    }

    fn terms_of_others(&mut self, pod: &Pod, snapshot: &Snapshot, namespaces: &Namespaces<'_>) {
        for (other, node) in snapshot.affine_pods() {
            let Some(affinity) = other.spec.as_ref().and_then(|s| s.affinity.as_ref()) else {
                continue;
            };
            let anti = affinity.pod_anti_affinity.as_ref();
            let required = anti.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
            for term in required.into_iter().flatten() {
                let term = Term::new(term, other, namespaces);
                if term.matches(pod) {
                    self.repelled.extend(term.domain(node));
                }
            }
            let with = affinity.pod_affinity.as_ref();
            let likes = with.and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_ref());
            let dislikes = anti.and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_ref());
            let likes = likes
                .into_iter()
                .flatten()
                .map(|w| (i64::from(w.weight), &w.pod_affinity_term));
            let dislikes = dislikes
                .into_iter()
                .flatten()
                .map(|w| (-i64::from(w.weight), &w.pod_affinity_term));
            for (weight, term) in likes.chain(dislikes) {
                let term = Term::new(term, other, namespaces);
                if term.matches(pod)
                    && let Some(domain) = term.domain(node)
                {
                    *self.preferred.entry(domain).or_default() += weight;
                }
            }
        }
    }

    /// Why the spread constraints refuse a node.
    pub fn spread_broken(&self, node: &Node) -> Option<Vec<Reason>> {
        let broken = |text: &str, is_room| {
            Some(vec![Reason {
                text: text.to_owned(),
                is_room,
            }])
        };
        const TEXT: &str = "node(s) didn't match pod topology spread constraints";
        for spread in self.spread.iter().filter(|s| s.is_required) {
            let Some(value) = node.labels().get(&spread.key) else {
                return broken(&format!("{TEXT} (missing required label)"), false);
            };
            let count = spread.counts.get(value).copied().unwrap_or(0);
            if count + spread.own - spread.min > spread.max_skew {
                return broken(TEXT, true);
            }
        }
        None
    }

    /// Why affinity refuses a node.
    pub fn affinity_broken(&self, node: &Node) -> Option<Vec<Reason>> {
        let broken = |text: &str, is_room| {
            Some(vec![Reason {
                text: text.to_owned(),
                is_room,
            }])
        };
        let labels = node.labels();
        let there = |(key, domains): &(String, HashSet<String>)| {
            labels
                .get(key)
                .is_some_and(|value| self.is_first || domains.contains(value))
        };
        if !self.affinity.iter().all(there) {
            return broken("node(s) didn't match pod affinity rules", false);
        }
        let touches = |domains: &HashSet<Domain>| {
            domains
                .iter()
                .any(|(key, value)| labels.get(key).is_some_and(|v| v == value))
        };
        if touches(&self.anti) {
            return broken("node(s) didn't match pod anti-affinity rules", true);
        }
        if touches(&self.repelled) {
            return broken("node(s) didn't satisfy existing pods anti-affinity rules", true);
        }
        None
    }

    /// Points for preferred affinity.
    pub fn preference(&self, node: &Node) -> i64 {
        let here = |(key, value): &Domain| node.labels().get(key).is_some_and(|v| v == value);
        self.preferred
            .iter()
            .filter(|(domain, _)| here(domain))
            .map(|(_, points)| points)
            .sum()
    }

    /// How crowded the domains of the preferred spread constraints are on a node; `None` without such constraints.
    pub fn crowd(&self, node: &Node) -> Option<i64> {
        let soft = self.spread.iter().filter(|s| !s.is_required);
        let counts = soft.map(|s| {
            let value = node.labels().get(&s.key);
            // A node without the label is in no domain: last choice.
            value.map_or(i64::from(i32::MAX), |v| s.counts.get(v).copied().unwrap_or(0))
        });
        counts.fold(None, |sum: Option<i64>, n| Some(sum.unwrap_or(0) + n))
    }
}

fn spread(constraint: &TopologySpreadConstraint, pod: &Pod, spec: &PodSpec, snapshot: &Snapshot) -> Spread {
    let mut wanted = constraint.label_selector.clone();
    for key in constraint.match_label_keys.iter().flatten() {
        if let (Some(selector), Some(value)) = (&mut wanted, pod.labels().get(key)) {
            selector
                .match_expressions
                .get_or_insert_default()
                .push(LabelSelectorRequirement {
                    key: key.clone(),
                    operator: "In".to_owned(),
                    values: Some(vec![value.clone()]),
                });
        }
    }
    let matches = |p: &Pod| {
        p.namespace() == pod.namespace() && wanted.as_ref().is_some_and(|s| selector::matches(s, p.labels()))
    };
    let by_affinity = constraint.node_affinity_policy.as_deref() != Some("Ignore");
    let by_taints = constraint.node_taints_policy.as_deref() == Some("Honor");
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    let counts_for = |node: &Arc<Node>| {
        (!by_affinity || matches_node(spec, node)) && (!by_taints || untolerated(node, tolerations).is_none())
    };
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for (node, state) in snapshot.existing() {
        let Some(value) = node
            .labels()
            .get(&constraint.topology_key)
            .filter(|_| counts_for(node))
        else {
            continue;
        };
        let here = state
            .pods
            .values()
            .filter(|p| !p.pod.is_terminating() && matches(&p.pod))
            .count();
        *counts.entry(value.clone()).or_default() += i64::try_from(here).unwrap_or(i64::MAX);
    }
    let domains = i64::try_from(counts.len()).unwrap_or(i64::MAX);
    let enough = domains >= i64::from(constraint.min_domains.unwrap_or(1));
    let min = if enough {
        counts.values().copied().min().unwrap_or(0)
    } else {
        0
    };
    Spread {
        key: constraint.topology_key.clone(),
        max_skew: constraint.max_skew.into(),
        is_required: constraint.when_unsatisfiable != "ScheduleAnyway",
        counts,
        min,
        own: i64::from(matches(pod)),
    }
}
