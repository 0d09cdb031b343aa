use serde_json::json;

use super::*;

fn policy(objects: &[Value]) -> Policy {
    Policy::build(objects.iter())
}

fn cluster() -> Policy {
    let mut objects = crate::bootstrap::objects();
    objects.extend([
        json!({"kind": "Role", "metadata": {"namespace": "shop", "name": "reader"},
            "rules": [{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]},
                      {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["tls"], "verbs": ["get"]}]}),
        json!({"kind": "RoleBinding", "metadata": {"namespace": "shop", "name": "b"},
            "roleRef": {"kind": "Role", "name": "reader"},
            "subjects": [{"kind": "User", "name": "jane"}, {"kind": "ServiceAccount", "name": "bot", "namespace": "ci"}]}),
        json!({"kind": "RoleBinding", "metadata": {"namespace": "shop", "name": "c"},
            "roleRef": {"kind": "ClusterRole", "name": "edit"}, "subjects": [{"kind": "Group", "name": "devs"}]}),
    ]);
    policy(&objects)
}

fn resource<'a>(verb: &'a str, group: &'a str, resource: &'a str, namespace: &'a str) -> Attributes<'a> {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Attributes {
        verb,
        group,
        resource,
        subresource,
        namespace,
        ..Attributes::default()
    }
}

#[test]
fn a_role_binding_holds_in_its_namespace_only() {
    let policy = cluster();
    let jane = User::authenticated("jane", &[]);
    assert!(
        policy
            .authorize(&jane, &resource("list", "", "pods", "shop"))
            .is_allowed()
    );
    assert!(
        policy
            .authorize(&jane, &resource("get", "", "pods/log", "shop"))
            .is_allowed()
    );
    assert!(
        !policy
            .authorize(&jane, &resource("list", "", "pods", "default"))
            .is_allowed()
    );
    assert!(
        !policy
            .authorize(&jane, &resource("list", "", "pods", ""))
            .is_allowed()
    );
    assert!(
        !policy
            .authorize(&jane, &resource("create", "", "pods/exec", "shop"))
            .is_allowed()
    );
    assert!(
        !policy
            .authorize(&jane, &resource("list", "apps", "pods", "shop"))
            .is_allowed()
    );
}

#[test]
fn resource_names_limit_a_rule_to_those_objects() {
    let policy = cluster();
    let bot = User::authenticated("system:serviceaccount:ci:bot", &["system:serviceaccounts"]);
    let named = |name| Attributes {
        name,
        ..resource("get", "", "secrets", "shop")
    };
    assert!(policy.authorize(&bot, &named("tls")).is_allowed());
    assert!(!policy.authorize(&bot, &named("other")).is_allowed());
    assert!(!policy.authorize(&bot, &named("")).is_allowed());
}

#[test]
fn aggregated_roles_take_in_what_their_parts_grant() {
    let policy = cluster();
    let dev = User::authenticated("joe", &["devs"]);
    assert!(
        policy
            .authorize(&dev, &resource("create", "apps", "deployments", "shop"))
            .is_allowed()
    );
    assert!(
        policy
            .authorize(&dev, &resource("get", "", "pods", "shop"))
            .is_allowed(),
        "edit takes in view"
    );
    let roles = resource("create", "rbac.authorization.k8s.io", "roles", "shop");
    assert!(
        !policy.authorize(&dev, &roles).is_allowed(),
        "only admin writes roles"
    );
}

#[test]
fn anonymous_gets_health_and_version_and_nothing_else() {
    let policy = cluster();
    let path = |path| Attributes {
        verb: "get",
        path,
        ..Attributes::default()
    };
    let nobody = User::anonymous();
    for allowed in ["/healthz", "/livez", "/readyz", "/version", "/version/"] {
        assert!(
            policy.authorize(&nobody, &path(allowed)).is_allowed(),
            "{allowed}"
        );
    }
    for refused in ["/api", "/apis/apps/v1", "/metrics", "/openapi/v2"] {
        assert!(
            !policy.authorize(&nobody, &path(refused)).is_allowed(),
            "{refused}"
        );
        let known = User::authenticated("jane", &[]);
        assert_eq!(
            policy.authorize(&known, &path(refused)).is_allowed(),
            refused != "/metrics",
            "{refused}"
        );
    }
    assert!(
        !policy
            .authorize(&nobody, &resource("get", "", "pods", "default"))
            .is_allowed()
    );
}

#[test]
fn masters_may_do_everything_even_without_any_role() {
    let root = User::authenticated("root", &["system:masters"]);
    assert!(
        policy(&[])
            .authorize(&root, &resource("delete", "", "nodes", ""))
            .is_allowed()
    );
    let (resources, paths) = policy(&[]).rules(&root, "default");
    assert_eq!(
        resources,
        [json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})]
    );
    assert_eq!(paths, [json!({"verbs": ["*"], "nonResourceURLs": ["*"]})]);
}

#[test]
fn nobody_grants_what_they_do_not_hold() {
    let policy = cluster();
    let jane = User::authenticated("jane", &[]);
    let rule =
        |resources: Value, verbs: Value| json!({"apiGroups": [""], "resources": resources, "verbs": verbs});
    assert_eq!(
        policy.escalates(&jane, "shop", &[rule(json!(["pods"]), json!(["get"]))]),
        None
    );
    let secrets = rule(json!(["secrets"]), json!(["get"]));
    assert_eq!(
        policy.escalates(&jane, "shop", std::slice::from_ref(&secrets)),
        Some(secrets)
    );
    let star = rule(json!(["pods"]), json!(["*"]));
    assert!(policy.escalates(&jane, "shop", &[star]).is_some());
    assert!(
        policy
            .escalates(&jane, "default", &[rule(json!(["pods"]), json!(["get"]))])
            .is_some()
    );
    let held = policy.role_rules("Role", "shop", "reader").unwrap();
    assert_eq!(policy.escalates(&jane, "shop", &held), None);
}

#[test]
fn a_cycle_of_aggregation_ends() {
    let role = |name: &str, label: &str, selects: &str| {
        json!({"kind": "ClusterRole", "metadata": {"name": name, "labels": {label: "true"}},
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {selects: "true"}}]}})
    };
    let policy = policy(&[role("a", "is-a", "is-b"), role("b", "is-b", "is-a")]);
    assert_eq!(policy.role_rules("ClusterRole", "", "a"), Some(vec![]));
}
