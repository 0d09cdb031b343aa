//! Role, ClusterRole, RoleBinding, ClusterRoleBinding.

use serde_json::Value;

use crate::{
    Column, FieldError, Part, Strategy,
    print::{self, AGE, NAME, PLAIN, column, wide},
    validate::{
        Errors, Path, labels,
        meta::{self as metadata, Scope},
        names,
    },
    value::{get, get_mut, list, list_mut, set_default, set_default_text, text},
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

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, scope(self.cluster), names::path_segment);
        let rules = Path::root("rules");
        for (i, rule) in list(object, "rules").iter().enumerate() {
            self.rule(&mut errors, &rules.index(i), rule);
        }
        if let Some(aggregation) = get(object, "aggregationRule") {
            let selectors = list(aggregation, "clusterRoleSelectors");
            if selectors.is_empty() {
                errors.required(
                    &Path::root("aggregationRule.clusterRoleSelectors"),
                    "at least one clusterRoleSelector required if aggregationRule is non-nil",
                );
            }
            for (i, selector) in selectors.iter().enumerate() {
                let path = Path::root("aggregationRule.clusterRoleSelectors");
                labels::selector(&mut errors, &path.index(i), Some(selector));
            }
        }
        errors.into_vec()
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

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, scope(self.cluster), names::path_segment);
        self.role_ref(&mut errors, object);
        let subjects = Path::root("subjects");
        for (i, found) in list(object, "subjects").iter().enumerate() {
            subject(&mut errors, &subjects.index(i), found);
        }
        errors.into_vec()
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::update(&mut errors, new, old);
        if get(new, "roleRef") != get(old, "roleRef") {
            errors.invalid(
                &Path::root("roleRef"),
                get(new, "roleRef").cloned().unwrap_or_default(),
                "cannot change roleRef",
            );
        }
        let mut errors = errors.into_vec();
        errors.extend(self.validate(new));
        errors
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

fn scope(cluster: bool) -> Scope {
    if cluster {
        Scope::Cluster
    } else {
        Scope::Namespaced
    }
}

impl Role {
    fn rule(&self, errors: &mut Errors, path: &Path<'_>, rule: &Value) {
        if list(rule, "verbs").is_empty() {
            errors.required(&path.field("verbs"), "verbs must contain at least one value");
        }
        let urls = list(rule, "nonResourceURLs");
        let resources = ["apiGroups", "resources", "resourceNames"]
            .iter()
            .any(|f| !list(rule, f).is_empty());
        if !urls.is_empty() {
            let at = path.field("nonResourceURLs");
            if !self.cluster {
                errors.invalid(
                    &at,
                    urls.to_vec(),
                    "namespaced rules cannot apply to non-resource URLs",
                );
            }
            if resources {
                errors.invalid(
                    &at,
                    urls.to_vec(),
                    "rules cannot apply to both regular resources and non-resource URLs",
                );
            }
            return;
        }
        if list(rule, "apiGroups").is_empty() {
            errors.required(
                &path.field("apiGroups"),
                "resource rules must supply at least one api group",
            );
        }
        if list(rule, "resources").is_empty() {
            errors.required(
                &path.field("resources"),
                "resource rules must supply at least one resource",
            );
        }
    }
}

impl RoleBinding {
    fn role_ref(&self, errors: &mut Errors, object: &Value) {
        let path = Path::root("roleRef");
        let group = text(object, "roleRef.apiGroup");
        if group != GROUP {
            errors.not_supported(&path.field("apiGroup"), group, &[GROUP]);
        }
        let kinds: &[&str] = if self.cluster {
            &["ClusterRole"]
        } else {
            &["Role", "ClusterRole"]
        };
        let kind = text(object, "roleRef.kind");
        if !kinds.contains(&kind) {
            errors.not_supported(&path.field("kind"), kind, kinds);
        }
        match text(object, "roleRef.name") {
            "" => errors.required(&path.field("name"), ""),
            name => errors.invalid_each(&path.field("name"), name, names::path_segment(name)),
        }
    }
}

fn subject(errors: &mut Errors, path: &Path<'_>, subject: &Value) {
    let (name, group) = (text(subject, "name"), text(subject, "apiGroup"));
    if name.is_empty() {
        errors.required(&path.field("name"), "");
    }
    let kind = text(subject, "kind");
    match kind {
        "ServiceAccount" => {
            if !name.is_empty() {
                errors.invalid_each(&path.field("name"), name, names::dns1123_subdomain(name));
            }
            if !group.is_empty() {
                errors.not_supported(&path.field("apiGroup"), group, &[""]);
            }
            if text(subject, "namespace").is_empty() {
                errors.required(&path.field("namespace"), "");
            }
        }
        "User" | "Group" => {
            if group != GROUP {
                errors.not_supported(&path.field("apiGroup"), group, &[GROUP]);
            }
        }
        _ => errors.not_supported(&path.field("kind"), kind, &["ServiceAccount", "User", "Group"]),
    }
}
