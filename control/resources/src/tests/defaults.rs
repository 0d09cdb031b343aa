//! Defaults of kinds other than pods, and what must hold for any object whatever it is.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Part, table};

fn defaulted(mut object: Value) -> Value {
    super::row(&object).strategy.default(&mut object);
    object
}

fn created(object: Value) -> Value {
    let mut object = defaulted(object);
    super::row(&object).strategy.prepare_create(&mut object);
    object
}

#[test]
fn defaults_are_idempotent_over_samples() {
    for mut object in super::samples() {
        let strategy = super::row(&object).strategy;
        strategy.to_storage(&mut object);
        strategy.default(&mut object);
        strategy.prepare_create(&mut object);
        strategy.default(&mut object);
        let mut again = object.clone();
        strategy.default(&mut again);
        assert_eq!(again, object);
    }
}

#[test]
fn deployments() {
    let object = created(
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, "spec": {},
        "status": {"replicas": 9}}),
    );
    assert_eq!(
        object,
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"generation": 1},
            "spec": {
                "progressDeadlineSeconds": 600,
                "replicas": 1,
                "revisionHistoryLimit": 10,
                "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}, "type": "RollingUpdate"},
                "template": {
                    "metadata": {},
                    "spec": {
                        "dnsPolicy": "ClusterFirst",
                        "restartPolicy": "Always",
                        "schedulerName": "default-scheduler",
                        "securityContext": {},
                        "terminationGracePeriodSeconds": 30,
                    },
                },
            },
            "status": {},
        })
    );
    let recreate = defaulted(json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "spec": {"replicas": 0, "strategy": {"type": "Recreate"}}}));
    assert_eq!(recreate["spec"]["strategy"], json!({"type": "Recreate"}));
    assert_eq!(recreate["spec"]["replicas"], 0);
}

#[test]
fn services() {
    let object = created(
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": {
            "ports": [{"port": 80}, {"port": 81, "targetPort": "web"}],
        }}),
    );
    assert_eq!(
        object["spec"],
        json!({
            "internalTrafficPolicy": "Cluster",
            "ports": [
                {"port": 80, "protocol": "TCP", "targetPort": 80},
                {"port": 81, "protocol": "TCP", "targetPort": "web"},
            ],
            "sessionAffinity": "None",
            "type": "ClusterIP",
        })
    );
    assert_eq!(object["status"], json!({"loadBalancer": {}}));
    let balancer = created(
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": {
            "type": "LoadBalancer", "clusterIP": "10.96.0.5", "sessionAffinity": "ClientIP",
        }}),
    );
    assert_eq!(balancer["spec"]["externalTrafficPolicy"], "Cluster");
    assert_eq!(balancer["spec"]["allocateLoadBalancerNodePorts"], true);
    assert_eq!(balancer["spec"]["clusterIPs"], json!(["10.96.0.5"]));
    assert_eq!(
        balancer["spec"]["sessionAffinityConfig"],
        json!({"clientIP": {"timeoutSeconds": 10800}})
    );
    let name = created(
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": {
            "type": "ExternalName", "externalName": "example.com",
        }}),
    );
    assert_eq!(
        name["spec"],
        json!({"type": "ExternalName", "externalName": "example.com", "sessionAffinity": "None"})
    );
}

#[test]
fn namespaces() {
    assert_eq!(
        created(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})),
        json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "team", "labels": {"kubernetes.io/metadata.name": "team"}},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        })
    );
}

#[test]
fn secrets_take_plain_text() {
    let object = defaulted(json!({"apiVersion": "v1", "kind": "Secret",
        "data": {"a": "eA==", "b": "eQ=="}, "stringData": {"b": "new"}}));
    assert_eq!(
        object,
        json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"a": "eA==", "b": "bmV3"}})
    );
}

#[test]
fn limit_ranges_are_completed_from_each_other() {
    let object = defaulted(
        json!({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [{
            "type": "Container", "max": {"cpu": "2000m"}, "min": {"memory": "1024Ki"},
        }]}}),
    );
    assert_eq!(
        object["spec"]["limits"][0],
        json!({
            "type": "Container",
            "max": {"cpu": "2"},
            "min": {"memory": "1Mi"},
            "default": {"cpu": "2"},
            "defaultRequest": {"cpu": "2", "memory": "1Mi"},
        })
    );
}

#[test]
fn nodes_keep_the_status_they_register_with() {
    let node = created(json!({"apiVersion": "v1", "kind": "Node", "metadata": {},
        "spec": {"podCIDR": "10.0.0.0/24"}, "status": {"capacity": {"cpu": "2000m"}}}));
    assert_eq!(node["spec"]["podCIDRs"], json!(["10.0.0.0/24"]));
    assert_eq!(
        node["status"],
        json!({"capacity": {"cpu": "2"}, "allocatable": {"cpu": "2"}})
    );
}

#[test]
fn bindings_get_the_api_group() {
    let object = defaulted(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "roleRef": {"kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"}],
    }));
    assert_eq!(object["roleRef"]["apiGroup"], "rbac.authorization.k8s.io");
    assert_eq!(object["subjects"][0]["apiGroup"], "rbac.authorization.k8s.io");
    assert!(object["subjects"][1].get("apiGroup").is_none());
}

#[test]
fn new_pods_get_status_and_both_names_of_their_account() {
    let pod = created(
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generation": 7},
        "spec": {"serviceAccountName": "s"}, "status": {"phase": "Running"}}),
    );
    assert_eq!(
        pod["status"],
        json!({"phase": "Pending", "qosClass": "BestEffort"})
    );
    assert_eq!(pod["spec"]["serviceAccount"], "s");
    assert_eq!(pod["metadata"]["generation"], 1);
}

/// Field names that the strategies look at.
const FIELDS: &[&str] = &[
    "metadata",
    "name",
    "namespace",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "spec",
    "status",
    "containers",
    "initContainers",
    "volumes",
    "ports",
    "containerPort",
    "hostPort",
    "protocol",
    "image",
    "resources",
    "limits",
    "requests",
    "cpu",
    "env",
    "valueFrom",
    "fieldRef",
    "livenessProbe",
    "httpGet",
    "port",
    "template",
    "selector",
    "matchLabels",
    "matchExpressions",
    "strategy",
    "rollingUpdate",
    "maxSurge",
    "type",
    "clusterIP",
    "clusterIPs",
    "ipFamilies",
    "rules",
    "subjects",
    "roleRef",
    "kind",
    "data",
    "stringData",
    "subsets",
    "addresses",
    "endpoints",
    "capacity",
    "hard",
    "max",
    "taints",
    "conditions",
    "containerStatuses",
    "state",
    "terminated",
    "series",
    "tolerations",
    "affinity",
    "nodeAffinity",
    "projected",
    "sources",
    "loadBalancer",
    "ingress",
];

/// Any JSON with the field names above.
fn json_tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-zA-Z0-9%é./:-]{0,6}".prop_map(Value::from),
        Just(json!("ClusterIP")),
        Just(json!("100m")),
    ];
    leaf.prop_recursive(6, 64, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(FIELDS), inner), 0..5)
                .prop_map(|fields| fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

/// JSON whose top is an object with a spec and a status.
fn object() -> impl Strategy<Value = Value> {
    (json_tree(), json_tree(), json_tree(), json_tree()).prop_map(|(metadata, spec, status, other)| {
        let mut object = if other.is_object() { other } else { json!({}) };
        object["metadata"] = metadata;
        object["spec"] = spec;
        object["status"] = status;
        object
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_a_client_sends_makes_a_strategy_panic(new in object(), old in object()) {
        for row in table() {
            let strategy = row.strategy;
            let mut object = new.clone();
            strategy.to_storage(&mut object);
            strategy.default(&mut object);
            let mut again = object.clone();
            strategy.default(&mut again);
            prop_assert_eq!(&again, &object, "defaults of {} are not idempotent", row.plural);
            strategy.validate(&object);
            let mut created = object.clone();
            strategy.prepare_create(&mut created);
            for part in [Part::Main, Part::Status, Part::Other("resize"), Part::Other("ephemeralcontainers")] {
                let mut updated = object.clone();
                strategy.prepare_update(part, &mut updated, &old);
                strategy.validate_update(part, &updated, &old);
            }
            prop_assert_eq!(strategy.cells(&object, 0).len(), strategy.columns().len());
            strategy.warnings(&object);
            strategy.field(&object, "spec.nodeName");
            strategy.default_grace_seconds(&object);
            strategy.from_storage(&mut object);
        }
    }
}
