//! The roles and bindings every Kubernetes cluster starts with.
use serde_json::Value;

/// ClusterRoles, ClusterRoleBindings, Roles and RoleBindings to create at start, and to reconcile (unless annotated
/// `rbac.authorization.kubernetes.io/autoupdate: "false"`) at every start.
pub fn objects() -> Vec<Value> {
    unimplemented!()
}
