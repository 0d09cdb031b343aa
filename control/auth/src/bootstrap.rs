//! The roles and bindings every Kubernetes cluster starts with, as far as this cluster serves their resources
//! (Kubernetes, "Default roles and role bindings").
//!
//! A rule is written `verbs @ groups : resources`, or `verbs @ /paths`; `core` is the empty group, `R`, `W` and `RW`
//! stand for the read verbs, the write verbs, and both.

use serde_json::{Map, Value, json};

const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";
const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];

/// A ClusterRole: name, the role it is aggregated to (or empty), rules.
const CLUSTER_ROLES: &[(&str, &str, &[&str])] = &[
    ("cluster-admin", "", &["* @ * : *", "* @ *"]),
    (
        "system:discovery",
        "",
        &["get @ /api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/"],
    ),
    (
        "system:basic-user",
        "",
        &[
            "create @ authorization.k8s.io : selfsubjectaccessreviews selfsubjectrulesreviews",
            "create @ authentication.k8s.io : selfsubjectreviews",
        ],
    ),
    (
        "system:public-info-viewer",
        "",
        &["get @ /healthz /livez /readyz /version /version/"],
    ),
    (
        "system:monitoring",
        "",
        &["get @ /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*"],
    ),
    (
        "system:service-account-issuer-discovery",
        "",
        &[
            "get @ /.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/",
        ],
    ),
    (
        "system:auth-delegator",
        "",
        &[
            "create @ authentication.k8s.io : tokenreviews",
            "create @ authorization.k8s.io : subjectaccessreviews",
        ],
    ),
    (
        "system:aggregate-to-admin",
        "admin",
        &[
            "create @ authorization.k8s.io : localsubjectaccessreviews",
            "RW @ rbac.authorization.k8s.io : roles rolebindings",
        ],
    ),
    (
        "system:aggregate-to-edit",
        "edit",
        &[
            "R @ core : pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy",
            "impersonate @ core : serviceaccounts",
            "W @ core : pods pods/attach pods/exec pods/portforward pods/proxy",
            "create @ core : pods/eviction",
            "W @ core : configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale \
             secrets serviceaccounts services services/proxy",
            "create @ core : serviceaccounts/token",
            "W @ apps : daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale \
             statefulsets statefulsets/scale",
            "W @ autoscaling : horizontalpodautoscalers",
            "W @ batch : cronjobs jobs",
            "W @ networking.k8s.io : ingresses networkpolicies",
            "W @ policy : poddisruptionbudgets",
            "RW @ coordination.k8s.io : leases",
        ],
    ),
    (
        "system:aggregate-to-view",
        "view",
        &[
            "R @ core : configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods \
             replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status",
            "R @ core : bindings events limitranges namespaces/status pods/log pods/status \
             replicationcontrollers/status resourcequotas resourcequotas/status",
            "R @ core : namespaces",
            "R @ discovery.k8s.io : endpointslices",
            "R @ apps : controllerrevisions daemonsets daemonsets/status deployments deployments/scale \
             deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale \
             statefulsets/status",
            "R @ autoscaling : horizontalpodautoscalers horizontalpodautoscalers/status",
            "R @ batch : cronjobs cronjobs/status jobs jobs/status",
            "R @ networking.k8s.io : ingresses ingresses/status networkpolicies",
            "R @ policy : poddisruptionbudgets poddisruptionbudgets/status",
        ],
    ),
    // Bound to nobody: nodes are authorised by the Node authorizer. Kept for those who bind it themselves.
    (
        "system:node",
        "",
        &[
            "create @ authentication.k8s.io : tokenreviews",
            "create @ authorization.k8s.io : localsubjectaccessreviews subjectaccessreviews",
            "R @ core : services",
            "create get list watch @ core : nodes",
            "patch update @ core : nodes nodes/status",
            "create patch update @ core : events",
            "R @ core : pods",
            "create delete @ core : pods",
            "patch update @ core : pods/status",
            "create @ core : pods/eviction",
            "R @ core : configmaps secrets",
            "get @ core : persistentvolumeclaims persistentvolumes",
            "create @ core : serviceaccounts/token",
            "create delete get patch update @ coordination.k8s.io : leases",
        ],
    ),
    (
        "system:node-proxier",
        "",
        &[
            "list watch @ core : endpoints services",
            "R @ core : nodes",
            "create patch update @ core events.k8s.io : events",
            "list watch @ discovery.k8s.io : endpointslices",
        ],
    ),
    (
        "system:kube-scheduler",
        "",
        &[
            "create patch update @ core events.k8s.io : events",
            "R @ core : nodes namespaces services replicationcontrollers persistentvolumeclaims persistentvolumes",
            "delete get list watch @ core : pods",
            "create @ core : bindings pods/binding",
            "patch update @ core : pods/status",
            "R @ apps : replicasets statefulsets",
            "R @ policy : poddisruptionbudgets",
            "RW @ coordination.k8s.io : leases",
        ],
    ),
    (
        "system:kube-controller-manager",
        "",
        &[
            "create patch update @ core events.k8s.io : events",
            "create @ core : namespaces secrets serviceaccounts serviceaccounts/token",
            "delete @ core : secrets",
            "get @ core : configmaps namespaces secrets serviceaccounts",
            "update @ core : secrets serviceaccounts",
            "create @ authentication.k8s.io : tokenreviews",
            "create @ authorization.k8s.io : subjectaccessreviews",
            "list watch @ * : *",
            "RW @ coordination.k8s.io : leases",
        ],
    ),
];

/// Controllers, each with the service account of its name in kube-system.
const CONTROLLERS: &[(&str, &[&str])] = &[
    (
        "deployment-controller",
        &[
            "R update @ apps : deployments",
            "update @ apps : deployments/finalizers deployments/status",
            "create delete R patch update @ apps : replicasets",
            "R update @ core : pods",
        ],
    ),
    (
        "replicaset-controller",
        &[
            "R update @ apps : replicasets",
            "update @ apps : replicasets/finalizers replicasets/status",
            "create delete list patch watch @ core : pods",
        ],
    ),
    (
        "endpointslice-controller",
        &[
            "R @ core : nodes pods services",
            "update @ core : services/finalizers",
            "create delete R update @ discovery.k8s.io : endpointslices",
        ],
    ),
    (
        "endpoint-controller",
        &[
            "R @ core : pods services",
            "create delete R update @ core : endpoints",
            "create @ core : endpoints/restricted",
        ],
    ),
    (
        "service-controller",
        &[
            "R @ core : nodes services",
            "R @ discovery.k8s.io : endpointslices",
            "patch update @ core : services/status",
        ],
    ),
    (
        "namespace-controller",
        &[
            "delete R @ core : namespaces",
            "update @ core : namespaces/finalize namespaces/status",
            "delete deletecollection get list @ * : *",
        ],
    ),
    ("service-account-controller", &["create @ core : serviceaccounts"]),
    ("root-ca-cert-publisher", &["create update @ core : configmaps"]),
    ("generic-garbage-collector", &["delete R patch update @ * : *"]),
    (
        "node-controller",
        &[
            "delete get list patch update @ core : nodes",
            "patch update @ core : nodes/status",
            "patch update @ core : pods/status",
            "delete list @ core : pods",
        ],
    ),
    (
        "disruption-controller",
        &[
            "R @ apps : deployments replicasets",
            "R @ core : pods",
            "R @ policy : poddisruptionbudgets",
            "patch update @ policy : poddisruptionbudgets/status",
        ],
    ),
    (
        "pod-garbage-collector",
        &[
            "delete list watch @ core : pods",
            "get list @ core : nodes",
            "patch @ core : pods/status",
        ],
    ),
];

/// ClusterRoleBindings: name and role, subjects (`Group/…` or `User/…`).
const CLUSTER_ROLE_BINDINGS: &[(&str, &str, &[&str])] = &[
    ("cluster-admin", "cluster-admin", &["Group/system:masters"]),
    (
        "system:discovery",
        "system:discovery",
        &["Group/system:authenticated"],
    ),
    (
        "system:basic-user",
        "system:basic-user",
        &["Group/system:authenticated"],
    ),
    (
        "system:public-info-viewer",
        "system:public-info-viewer",
        &["Group/system:authenticated", "Group/system:unauthenticated"],
    ),
    (
        "system:monitoring",
        "system:monitoring",
        &["Group/system:monitoring"],
    ),
    (
        "system:service-account-issuer-discovery",
        "system:service-account-issuer-discovery",
        &["Group/system:serviceaccounts"],
    ),
    (
        "system:node-proxier",
        "system:node-proxier",
        &["User/system:kube-proxy"],
    ),
    (
        "system:kube-scheduler",
        "system:kube-scheduler",
        &["User/system:kube-scheduler"],
    ),
    (
        "system:kube-controller-manager",
        "system:kube-controller-manager",
        &["User/system:kube-controller-manager"],
    ),
];

/// Roles of kube-system and of what applications lean on.
const ROLES: &[(&str, &str, &[&str])] = &[(
    "kube-system",
    "extension-apiserver-authentication-reader",
    &["R @ core : configmaps = extension-apiserver-authentication"],
)];

/// ClusterRoles, ClusterRoleBindings, Roles and RoleBindings to create at start, and to reconcile (unless annotated
/// `rbac.authorization.kubernetes.io/autoupdate: "false"`) at every start.
pub fn objects() -> Vec<Value> {
    let mut objects: Vec<Value> = CLUSTER_ROLES
        .iter()
        .map(|(name, aggregated_to, rules)| {
            let mut role = object("ClusterRole", "", name);
            if !aggregated_to.is_empty() {
                role["metadata"]["labels"][aggregate_label(aggregated_to)] = "true".into();
            }
            role["rules"] = rules.iter().map(|r| rule(r)).collect();
            role
        })
        .collect();
    // Each takes in the next: `admin` also what is aggregated to `edit`, `edit` what is aggregated to `view`.
    for (name, taken_in_by) in [("admin", None), ("edit", Some("admin")), ("view", Some("edit"))] {
        let mut role = object("ClusterRole", "", name);
        if let Some(by) = taken_in_by {
            role["metadata"]["labels"][aggregate_label(by)] = "true".into();
        }
        role["aggregationRule"] =
            json!({"clusterRoleSelectors": [{"matchLabels": {aggregate_label(name): "true"}}]});
        role["rules"] = aggregated_rules(name);
        objects.push(role);
    }
    for (name, role, subjects) in CLUSTER_ROLE_BINDINGS {
        objects.push(binding(name, role, subjects.iter().map(|s| subject(s)).collect()));
    }
    for (name, rules) in CONTROLLERS {
        let role_name = format!("system:controller:{name}");
        let mut role = object("ClusterRole", "", &role_name);
        let events = "create patch update @ core events.k8s.io : events";
        role["rules"] = rules.iter().copied().chain([events]).map(rule).collect();
        objects.push(role);
        let account = json!({"kind": "ServiceAccount", "name": name, "namespace": "kube-system"});
        objects.push(binding(&role_name, &role_name, vec![account]));
    }
    for (namespace, name, rules) in ROLES {
        let mut role = object("Role", namespace, name);
        role["rules"] = rules.iter().map(|r| rule(r)).collect();
        objects.push(role);
    }
    objects
}

fn aggregate_label(role: &str) -> String {
    format!("rbac.authorization.k8s.io/aggregate-to-{role}")
}

/// The rules an aggregated role has at start, so that a reader of the object sees them.
fn aggregated_rules(name: &str) -> Value {
    let takes_in: &[&str] = match name {
        "admin" => &["admin", "edit", "view"],
        "edit" => &["edit", "view"],
        _ => &["view"],
    };
    let parts = CLUSTER_ROLES.iter().filter(|(_, to, _)| takes_in.contains(to));
    parts
        .flat_map(|(_, _, rules)| rules.iter())
        .map(|r| rule(r))
        .collect()
}

fn object(kind: &str, namespace: &str, name: &str) -> Value {
    let mut metadata = json!({
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {AUTOUPDATE: "true"},
    });
    if !namespace.is_empty() {
        metadata["namespace"] = namespace.into();
    }
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata})
}

fn binding(name: &str, role: &str, subjects: Vec<Value>) -> Value {
    let mut binding = object("ClusterRoleBinding", "", name);
    binding["roleRef"] =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role});
    binding["subjects"] = subjects.into();
    binding
}

fn subject(text: &str) -> Value {
    let (kind, name) = text.split_once('/').unwrap_or(("User", text));
    json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name})
}

/// Parses one rule of the tables above.
fn rule(text: &str) -> Value {
    let words = |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    let (verbs, what) = text.split_once('@').unwrap_or((text, ""));
    let mut rule = Map::new();
    let verbs = words(verbs).into_iter().flat_map(|verb| match verb.as_str() {
        "R" => READ.iter().map(|v| (*v).to_owned()).collect(),
        "W" => WRITE.iter().map(|v| (*v).to_owned()).collect(),
        "RW" => READ.iter().chain(WRITE).map(|v| (*v).to_owned()).collect(),
        _ => vec![verb],
    });
    rule.insert("verbs".into(), verbs.collect());
    let Some((groups, resources)) = what.split_once(':') else {
        rule.insert("nonResourceURLs".into(), words(what).into());
        return rule.into();
    };
    let groups = words(groups)
        .into_iter()
        .map(|g| if g == "core" { String::new() } else { g });
    rule.insert("apiGroups".into(), groups.collect());
    let (resources, names) = resources.split_once('=').unwrap_or((resources, ""));
    rule.insert("resources".into(), words(resources).into());
    if !names.is_empty() {
        rule.insert("resourceNames".into(), words(names).into());
    }
    rule.into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_binding_refers_to_a_role_and_names_are_unique() {
        let objects = objects();
        let names: BTreeSet<_> = objects
            .iter()
            .map(|o| (o["kind"].to_string(), o["metadata"]["name"].to_string()))
            .collect();
        assert_eq!(names.len(), objects.len());
        for binding in objects.iter().filter(|o| o["kind"] == "ClusterRoleBinding") {
            let role = (
                "\"ClusterRole\"".to_owned(),
                binding["roleRef"]["name"].to_string(),
            );
            assert!(names.contains(&role), "{role:?}");
        }
    }

    #[test]
    fn the_rule_notation_reads_as_written() {
        assert_eq!(
            rule("R create @ core apps : pods pods/log = a b"),
            json!({"verbs": ["get", "list", "watch", "create"], "apiGroups": ["", "apps"],
                "resources": ["pods", "pods/log"], "resourceNames": ["a", "b"]})
        );
        assert_eq!(
            rule("get @ /api /api/*"),
            json!({"verbs": ["get"], "nonResourceURLs": ["/api", "/api/*"]})
        );
        assert_eq!(rule("* @ *"), json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
        assert_eq!(
            rule("* @ * : *"),
            json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})
        );
    }
}
