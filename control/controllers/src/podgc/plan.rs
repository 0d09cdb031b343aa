//! Which pods go.

use std::{collections::HashSet, sync::Arc};

use k8s_openapi::api::core::v1::Pod;

use crate::machinery::{Object, pods};

/// Ended pods are kept up to this many (Kubernetes, `--terminated-pod-gc-threshold`).
const ENDED_MAX: usize = 12_500;

/// What there is.
pub struct Observed {
    pub pods: Vec<Arc<Pod>>,
    /// Nodes that have been gone for long enough.
    pub gone: Vec<String>,
}

/// Why a pod goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its node does not exist.
    NodeGone,
    /// It ended, and there are too many of those.
    Ended,
    /// It is to be deleted, and no node will ever do so.
    NeverBound,
}

/// Plans.
pub fn plan(observed: &Observed) -> Vec<(Arc<Pod>, Reason)> {
    let gone: HashSet<&str> = observed.gone.iter().map(String::as_str).collect();
    let mut delete = Vec::new();
    let mut ended = Vec::new();
    for pod in &observed.pods {
        let node = pods::node_name(pod);
        if node.is_empty() && pod.is_terminating() {
            delete.push((pod.clone(), Reason::NeverBound));
        } else if gone.contains(node) {
            delete.push((pod.clone(), Reason::NodeGone));
        } else if pods::is_terminal(pod) && !pod.is_terminating() {
            ended.push(pod.clone());
        }
    }
    if ended.len() > ENDED_MAX {
        let excess = ended.len() - ENDED_MAX;
        ended.sort_by(|a, b| a.metadata.creation_timestamp.cmp(&b.metadata.creation_timestamp));
        delete.extend(ended.into_iter().take(excess).map(|p| (p, Reason::Ended)));
    }
    delete
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_of_lost_nodes_and_unbound_ones_to_be_deleted_go() {
        let pod = |name: &str, node: &str, deleted: bool| {
            let time = deleted.then_some("2026-01-01T00:00:00Z");
            let value = json!({"metadata": {"name": name, "deletionTimestamp": time}, "spec": {"nodeName": node, "containers": []}});
            Arc::new(serde_json::from_value::<Pod>(value).unwrap())
        };
        let pods = vec![
            pod("a", "n1", false),
            pod("b", "n2", false),
            pod("c", "", true),
            pod("d", "", false),
        ];
        let plan = plan(&Observed {
            pods,
            gone: vec!["n2".into()],
        });
        let names: Vec<_> = plan.iter().map(|(p, r)| (p.name(), *r)).collect();
        assert_eq!(names, [("b", Reason::NodeGone), ("c", Reason::NeverBound)]);
    }
}
