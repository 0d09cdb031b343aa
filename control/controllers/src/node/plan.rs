//! What a node's spec and status are to say.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeCondition, NodeSpec, NodeStatus, Taint};

use crate::machinery::seconds;

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Conditions that keep new pods away, and the taint that does so.
const PRESSURES: [(&str, &str); 4] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "node.kubernetes.io/network-unavailable"),
];

/// What there is.
pub struct Observed<'a> {
    pub node: &'a Node,
    /// No sign of life for longer than the grace period.
    pub is_silent: bool,
    /// Some node is ready. If none is, the fault is likelier ours, or the network's, and nobody is evicted.
    pub any_ready: bool,
    /// The pod ranges to give it, IPv4 first.
    pub ranges: Option<Vec<String>>,
}

/// What to write.
#[derive(Debug)]
pub struct Plan {
    pub spec: NodeSpec,
    pub status: NodeStatus,
    pub is_ready: bool,
    /// It was ready, or never heard of, and is silent now.
    pub went_silent: bool,
}

/// The status of its Ready condition.
pub fn ready(node: &Node) -> Option<&str> {
    condition(node.status.as_ref()?, "Ready")
}

fn condition<'a>(status: &'a NodeStatus, type_: &str) -> Option<&'a str> {
    status
        .conditions
        .iter()
        .flatten()
        .find(|c| c.type_ == type_)
        .map(|c| c.status.as_str())
}

/// Plans.
pub fn plan(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let node = observed.node;
    let mut status = node.status.clone().unwrap_or_default();
    let mut went_silent = false;
    if observed.is_silent {
        for type_ in ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"] {
            let changed = unknown(&mut status, type_, now);
            went_silent |= changed && type_ == "Ready";
        }
    }
    let ready = condition(&status, "Ready").map(str::to_owned);

    let mut spec = node.spec.clone().unwrap_or_default();
    if let Some(ranges) = &observed.ranges {
        spec.pod_cidr = ranges.first().cloned();
        spec.pod_cidrs = Some(ranges.clone());
    }
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    let away = match ready.as_deref() {
        Some("True") => None,
        Some("Unknown") => Some(UNREACHABLE),
        _ => Some(NOT_READY),
    };
    if let Some(key) = away {
        wanted.push((key, "NoSchedule"));
        // A node that has said nothing yet is new: it has no pods to lose.
        if observed.any_ready && ready.is_some() {
            wanted.push((key, "NoExecute"));
        }
    }
    let pressures = PRESSURES
        .iter()
        .filter(|(type_, _)| condition(&status, type_) == Some("True"));
    wanted.extend(pressures.map(|(_, key)| (*key, "NoSchedule")));
    if spec.unschedulable == Some(true) {
        wanted.push((UNSCHEDULABLE, "NoSchedule"));
    }
    let taints = spec.taints.take().unwrap_or_default();
    let taints = taints_of(taints, &wanted, now);
    spec.taints = Some(taints).filter(|t| !t.is_empty());

    Plan {
        spec,
        status,
        is_ready: ready.as_deref() == Some("True"),
        went_silent,
    }
}

fn taints_of(current: Vec<Taint>, wanted: &[(&str, &str)], now: Timestamp) -> Vec<Taint> {
    let is_wanted = |t: &Taint| wanted.iter().any(|(k, e)| t.key == *k && t.effect == *e);
    let is_ours = |t: &Taint| {
        let lifecycle = t.key == NOT_READY || t.key == UNREACHABLE;
        let condition = t.key == UNSCHEDULABLE || PRESSURES.iter().any(|(_, key)| t.key == *key);
        lifecycle || (condition && t.effect == "NoSchedule")
    };
    let mut taints: Vec<Taint> = current
        .into_iter()
        .filter(|t| !is_ours(t) || is_wanted(t))
        .collect();
    for (key, effect) in wanted {
        if !taints.iter().any(|t| t.key == *key && t.effect == *effect) {
            taints.push(Taint {
                key: (*key).to_owned(),
                effect: (*effect).to_owned(),
                value: None,
                time_added: Some(seconds(now)),
            });
        }
    }
    taints
}

/// Says that a condition is not known any more. Returns whether that is news.
fn unknown(status: &mut NodeStatus, type_: &str, now: Timestamp) -> bool {
    let conditions = status.conditions.get_or_insert_default();
    let Some(condition) = conditions.iter_mut().find(|c| c.type_ == type_) else {
        conditions.push(NodeCondition {
            type_: type_.to_owned(),
            status: "Unknown".to_owned(),
            reason: Some("NodeStatusNeverUpdated".to_owned()),
            message: Some("Kubelet never posted node status.".to_owned()),
            last_heartbeat_time: None,
            last_transition_time: Some(seconds(now)),
        });
        return true;
    };
    if condition.status == "Unknown" {
        return false;
    }
    condition.status = "Unknown".to_owned();
    condition.reason = Some("NodeStatusUnknown".to_owned());
    condition.message = Some("Kubelet stopped posting node status.".to_owned());
    condition.last_transition_time = Some(seconds(now));
    true
}
