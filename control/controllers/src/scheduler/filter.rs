//! Which nodes can take a pod, and why the others can't.

use k8s_openapi::api::core::v1::{
    Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Taint, Toleration,
};

use super::{
    amounts::{Amounts, requests},
    snapshot::{ANY, HostPort, NodeState, Snapshot, host_ports},
    topology::{Namespaces, Topology},
};
use crate::{
    machinery::{Object, selector},
    node::tolerates as node_tolerates,
};

/// Why a node can't take a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// As Kubernetes says it.
    pub text: String,
    /// Whether room made on the node would help.
    pub is_room: bool,
}

fn never(text: impl Into<String>) -> Vec<Reason> {
    vec![Reason {
        text: text.into(),
        is_room: false,
    }]
}

fn no_room(text: impl Into<String>) -> Vec<Reason> {
    vec![Reason {
        text: text.into(),
        is_room: true,
    }]
}

/// A pod to place, with what is worked out once for all nodes.
pub struct Wanted<'a> {
    pub pod: &'a Pod,
    pub spec: &'a PodSpec,
    pub requests: Amounts,
    ports: Vec<HostPort>,
    pub topology: Topology,
}

impl<'a> Wanted<'a> {
    /// Works it out. `None`: a pod without a spec.
    pub fn new(pod: &'a Pod, snapshot: &Snapshot, namespaces: &Namespaces<'_>) -> Option<Self> {
        let spec = pod.spec.as_ref()?;
        Some(Self {
            pod,
            spec,
            requests: requests(pod),
            ports: host_ports(pod),
            topology: Topology::new(pod, spec, snapshot, namespaces),
        })
    }

    /// Whether `node` can take it; the reasons are those of the first rule that it breaks.
    pub fn fits(&self, node: &Node, state: &NodeState) -> Result<(), Vec<Reason>> {
        self.fits_but_for_others(node)?;
        self.ports_free(state)?;
        self.resources_free(state)?;
        if let Some(reason) = self.topology.spread_broken(node) {
            return Err(reason);
        }
        self.topology.affinity_broken(node).map_or(Ok(()), Err)
    }

    /// The rules in which other pods play no part.
    fn fits_but_for_others(&self, node: &Node) -> Result<(), Vec<Reason>> {
        let node_spec = node.spec.as_ref();
        let tolerations = self.spec.tolerations.as_deref().unwrap_or_default();
        if node_spec.is_some_and(|s| s.unschedulable == Some(true)) {
            let taint = Taint {
                key: "node.kubernetes.io/unschedulable".into(),
                effect: "NoSchedule".into(),
                ..Taint::default()
            };
            if !is_tolerated(&taint, tolerations) {
                return Err(never("node(s) were unschedulable"));
            }
        }
        if self
            .spec
            .node_name
            .as_deref()
            .is_some_and(|n| !n.is_empty() && n != node.name())
        {
            return Err(never("node(s) didn't match the requested node name"));
        }
        if let Some(taint) = untolerated(node, tolerations) {
            let value = taint.value.as_deref().unwrap_or_default();
            return Err(never(format!(
                "node(s) had untolerated taint {{{}: {value}}}",
                taint.key
            )));
        }
        if !matches_node(self.spec, node) {
            return Err(never("node(s) didn't match Pod's node affinity/selector"));
        }
        Ok(())
    }

    fn ports_free(&self, state: &NodeState) -> Result<(), Vec<Reason>> {
        let clash = |(protocol, ip, port): &HostPort| {
            state
                .ports
                .iter()
                .any(|(p, i, n)| p == protocol && n == port && (i == ip || i == ANY || ip == ANY))
        };
        if self.ports.iter().any(clash) {
            return Err(no_room(
                "node(s) didn't have free ports for the requested pod ports",
            ));
        }
        Ok(())
    }

    fn resources_free(&self, state: &NodeState) -> Result<(), Vec<Reason>> {
        let mut reasons = Vec::new();
        let count = i64::try_from(state.pods.len()).unwrap_or(i64::MAX);
        if count >= state.max_pods {
            reasons.extend(no_room("Too many pods"));
        }
        let mut check = |name: &str, wanted: i64, allocatable: i64, used: i64| {
            if wanted > 0 && wanted > allocatable.saturating_sub(used) {
                let is_room = wanted <= allocatable;
                reasons.push(Reason {
                    text: format!("Insufficient {name}"),
                    is_room,
                });
            }
        };
        let (wanted, all, used) = (&self.requests, &state.allocatable, &state.used);
        check("cpu", wanted.cpu_milli, all.cpu_milli, used.cpu_milli);
        check("memory", wanted.memory, all.memory, used.memory);
        check(
            "ephemeral-storage",
            wanted.ephemeral,
            all.ephemeral,
            used.ephemeral,
        );
        for (name, amount) in &wanted.other {
            let of = |a: &Amounts| a.other.get(name).copied().unwrap_or(0);
            check(name, *amount, of(all), of(used));
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }
}

/// Whether any toleration covers the taint.
pub fn is_tolerated(taint: &Taint, tolerations: &[Toleration]) -> bool {
    tolerations.iter().any(|t| node_tolerates(t, taint))
}

/// The first taint that keeps the pod away.
pub fn untolerated<'n>(node: &'n Node, tolerations: &[Toleration]) -> Option<&'n Taint> {
    let taints = node.spec.iter().flat_map(|s| s.taints.iter().flatten());
    let mut strict = taints.filter(|t| t.effect == "NoSchedule" || t.effect == "NoExecute");
    strict.find(|t| !is_tolerated(t, tolerations))
}

/// Whether the node has what `nodeSelector` and the required node affinity ask for.
pub fn matches_node(spec: &PodSpec, node: &Node) -> bool {
    let selected = spec
        .node_selector
        .as_ref()
        .is_none_or(|s| selector::matches_map(s, node.labels()));
    let affinity = spec.affinity.as_ref().and_then(|a| a.node_affinity.as_ref());
    let required = affinity.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    selected && required.is_none_or(|r| r.node_selector_terms.iter().any(|t| matches_term(t, node)))
}

/// Whether a node matches a term; an empty term matches nothing.
pub fn matches_term(term: &NodeSelectorTerm, node: &Node) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let name = node.name().to_owned();
    (!expressions.is_empty() || !fields.is_empty())
        && expressions
            .iter()
            .all(|r| requirement(r, node.labels().get(&r.key)))
        && fields
            .iter()
            .all(|r| requirement(r, (r.key == "metadata.name").then_some(&name)))
}

fn requirement(requirement: &NodeSelectorRequirement, value: Option<&String>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let number = |s: &String| s.parse::<i64>().ok();
    let bound = values.first().and_then(number);
    let actual = value.and_then(number);
    match requirement.operator.as_str() {
        "In" => value.is_some_and(|v| values.contains(v)),
        "NotIn" => value.is_none_or(|v| !values.contains(v)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => actual.zip(bound).is_some_and(|(a, b)| a > b),
        "Lt" => actual.zip(bound).is_some_and(|(a, b)| a < b),
        _ => false,
    }
}
