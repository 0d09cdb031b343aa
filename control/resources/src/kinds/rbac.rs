//! Role, ClusterRole, RoleBinding, ClusterRoleBinding.

use serde_json::Value;

use crate::{
    Column, Strategy,
    print::{self, AGE, NAME, PLAIN, column, wide},
    value::{get_mut, list, list_mut, set_default, set_default_text, text},
};

const GROUP: &str = "rbac.authorization.k8s.io";

/// Role and ClusterRole.
pub(crate) struct Role {
    pub(crate) cluster: bool,
}

/// RoleBinding and ClusterRoleBinding.
pub(crate) struct RoleBinding {
    pub(crate) cluster: bool,
}

impl Strategy for Role {
    fn default(&self, object: &mut Value) {
        set_default(object, "rules", Value::Array(Vec::new()));
    }

    fn columns(&self) -> &'static [Column] {
        PLAIN
    }

    fn cells(&self, object: &Value, _now: i64) -> Vec<Value> {
        print::plain(object)
    }
}

impl Strategy for RoleBinding {
    fn default(&self, object: &mut Value) {
        if let Some(role) = get_mut(object, "roleRef") {
            set_default_text(role, "apiGroup", GROUP);
        }
        for subject in list_mut(object, "subjects") {
            if matches!(text(subject, "kind"), "User" | "Group") {
                set_default_text(subject, "apiGroup", GROUP);
            }
        }
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Role", "string", "The role that is granted."),
            AGE,
            wide("Users", "string", "Users it is granted to."),
            wide("Groups", "string", "Groups it is granted to."),
            wide("ServiceAccounts", "string", "Service accounts it is granted to."),
        ];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        let subjects = |kind: &str| -> Value {
            list(object, "subjects")
                .iter()
                .filter(|s| text(s, "kind") == kind)
                .map(|s| match text(s, "namespace") {
                    namespace if kind == "ServiceAccount" && !namespace.is_empty() => {
                        format!("{namespace}/{}", text(s, "name"))
                    }
                    _ => text(s, "name").to_owned(),
                })
                .collect::<Vec<_>>()
                .join(", ")
                .into()
        };
        vec![
            print::name(object),
            format!(
                "{}/{}",
                text(object, "roleRef.kind"),
                text(object, "roleRef.name")
            )
            .into(),
            print::age(object, now),
            subjects("User"),
            subjects("Group"),
            subjects("ServiceAccount"),
        ]
    }
}
