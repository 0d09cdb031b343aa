//! RBAC: an index of roles and bindings, rebuilt when one of them changes.
use serde_json::Value;

use crate::{Attributes, Decision, User};

/// All roles and bindings, indexed. Build a new one when any changes.
#[derive(Default)]
pub struct Policy {}

/// A rule as reviews show it.
pub type Rule = Value;

impl Policy {
    /// From Role, ClusterRole, RoleBinding and ClusterRoleBinding objects (aggregated ClusterRoles are resolved
    /// here too). Objects that do not parse are left out.
    pub fn build<'a>(objects: impl Iterator<Item = &'a Value>) -> Self {
        let _ = objects.count();
        unimplemented!()
    }

    /// Whether some binding allows it. `system:masters` may do everything.
    pub fn authorize(&self, user: &User, what: &Attributes<'_>) -> Decision {
        let _ = (user, what);
        unimplemented!()
    }

    /// Resource rules and path rules of a user in a namespace (SelfSubjectRulesReview).
    pub fn rules(&self, user: &User, namespace: &str) -> (Vec<Rule>, Vec<Rule>) {
        let _ = (user, namespace);
        unimplemented!()
    }

    /// The first rule of `wanted` (rules of a role to be created or bound) that the user does not hold already: a
    /// write of it would be an escalation. `None`: fine.
    pub fn escalates(&self, user: &User, namespace: &str, wanted: &[Rule]) -> Option<Rule> {
        let _ = (user, namespace, wanted);
        unimplemented!()
    }

    /// The rules of the role a binding refers to, for [`Policy::escalates`].
    pub fn role_rules(&self, kind: &str, namespace: &str, name: &str) -> Option<Vec<Rule>> {
        let _ = (kind, namespace, name);
        unimplemented!()
    }
}
