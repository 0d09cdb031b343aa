//! The Node authorizer: a node reads what its own pods refer to, and writes itself, its lease and its pods' status.
use crate::{Attributes, Decision};

/// What the authorizer must know about the cluster.
pub trait Graph: Send + Sync {
    /// Whether a pod bound to `node` refers to this object (`secrets`, `configmaps`, `persistentvolumeclaims`, …).
    fn refers(&self, node: &str, resource: &str, namespace: &str, name: &str) -> bool;
    /// The node a pod is bound to.
    fn pod_node(&self, namespace: &str, pod: &str) -> Option<String>;
    /// Whether a pod bound to `node` runs as this service account.
    fn runs_as(&self, node: &str, namespace: &str, service_account: &str) -> bool;
}

/// Decides for `system:node:<node>`.
pub fn authorize(node: &str, what: &Attributes<'_>, graph: &dyn Graph) -> Decision {
    let _ = (node, what, graph);
    unimplemented!()
}
