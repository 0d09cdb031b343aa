//! Messages as the API server prints them.

use serde_json::{Value, json};

use super::errors;

/// A sample of a kind with one change.
fn changed(kind: &str, change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut object = super::samples().into_iter().find(|s| s["kind"] == kind).unwrap();
    change(&mut object);
    errors(object)
}

#[test]
fn samples_are_valid() {
    for object in super::samples() {
        assert_eq!(errors(object.clone()), [""; 0], "{object}");
    }
}

#[test]
fn metadata() {
    const NAME: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    assert_eq!(
        changed("ConfigMap", |o| o["metadata"]["name"] = "Foo".into()),
        [format!("metadata.name: Invalid value: \"Foo\": {NAME}")]
    );
    assert_eq!(
        changed("ConfigMap", |o| o["metadata"]["name"] = "".into()),
        ["metadata.name: Required value: name or generateName is required"]
    );
    assert_eq!(
        changed("ConfigMap", |o| o["metadata"]["labels"] = json!({"a": "b c"})),
        [
            "metadata.labels: Invalid value: \"b c\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        ]
    );
    assert_eq!(
        changed("ConfigMap", |o| {
            o["metadata"]["annotations"] = json!({"a": "x".repeat(262_144)});
        }),
        ["metadata.annotations: Too long: may not be more than 262144 bytes"]
    );
    assert_eq!(
        changed("ConfigMap", |o| o["metadata"]["finalizers"] = json!(["mine"])),
        [
            "metadata.finalizers[0]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified"
        ]
    );
    assert_eq!(
        changed("ConfigMap", |o| {
            o["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "Pod", "name": "p"}]);
        }),
        ["metadata.ownerReferences.uid: Invalid value: \"\": must not be empty"]
    );
    assert_eq!(
        changed("Node", |o| o["metadata"]["namespace"] = "x".into()),
        ["metadata.namespace: Forbidden: not allowed on this type"]
    );
}

#[test]
fn containers() {
    let container = |change: Value| {
        changed("Pod", |o| {
            for (key, value) in change.as_object().unwrap() {
                o["spec"]["containers"][0][key] = value.clone();
            }
        })
    };
    assert_eq!(
        changed("Pod", |o| o["spec"]["containers"] = json!([])),
        ["spec.containers: Required value"]
    );
    assert_eq!(
        container(json!({"name": ""})),
        ["spec.containers[0].name: Required value"]
    );
    assert_eq!(
        container(json!({"image": ""})),
        ["spec.containers[0].image: Required value"]
    );
    assert_eq!(
        container(json!({"name": "i"})),
        ["spec.initContainers[0].name: Duplicate value: \"i\""]
    );
    assert_eq!(
        container(json!({"ports": [{"containerPort": 70000, "name": "http"}]})),
        [
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"
        ]
    );
    assert_eq!(
        container(json!({"ports": [{"containerPort": 80, "protocol": "ICMP", "name": "http"}]})),
        [
            r#"spec.containers[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP""#
        ]
    );
    assert_eq!(
        container(json!({"imagePullPolicy": "Sometimes"})),
        [
            r#"spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never""#
        ]
    );
    assert_eq!(
        container(json!({"volumeMounts": [{"name": "none", "mountPath": "/v"}]})),
        [r#"spec.containers[0].volumeMounts[0].name: Not found: "none""#]
    );
    assert_eq!(
        container(
            json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "t", "mountPath": "/v"}]})
        ),
        [r#"spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/v": must be unique"#]
    );
    assert_eq!(
        container(json!({"livenessProbe": {}})),
        ["spec.containers[0].livenessProbe: Required value: must specify a handler type"]
    );
    assert_eq!(
        container(
            json!({"livenessProbe": {"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}, "successThreshold": 2}})
        ),
        [
            "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ]
    );
    assert_eq!(
        container(json!({"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}})),
        [
            r#"spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1"#
        ]
    );
    assert_eq!(
        container(json!({"resources": {"limits": {"cpu": "1x"}}})),
        [
            "spec.containers[0].resources.limits[cpu]: Invalid value: \"1x\": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            "spec.containers[0].resources.requests[cpu]: Invalid value: \"1x\": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ]
    );
    assert_eq!(
        container(json!({"resources": {"requests": {"memory": "-1"}}})),
        [
            r#"spec.containers[0].resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0"#
        ]
    );
    assert_eq!(
        container(json!({"env": [{"name": "a=b"}, {"name": "B", "valueFrom": {}}]})),
        [
            "spec.containers[0].env[0].name: Invalid value: \"a=b\": a valid environment variable name must consist only of printable ASCII characters other than '=' (regex used for validation is '^[ -<>-~]+$')",
            "spec.containers[0].env[1].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
        ]
    );
    assert_eq!(
        changed("Pod", |o| o["spec"]["initContainers"][0]["lifecycle"] =
            json!({"preStop": {"sleep": {"seconds": 1}}})),
        [
            "spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without restartPolicy=Always"
        ]
    );
}

#[test]
fn pods() {
    let spec = |key: &str, value: Value| {
        let key = key.to_owned();
        changed("Pod", move |o| o["spec"][key.as_str()] = value)
    };
    assert_eq!(
        spec("restartPolicy", json!("Maybe")),
        [
            r#"spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never""#
        ]
    );
    assert_eq!(
        spec("dnsPolicy", json!("None")),
        ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"]
    );
    assert_eq!(
        spec("activeDeadlineSeconds", json!(0)),
        ["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"]
    );
    assert_eq!(
        spec("tolerations", json!([{"key": "", "operator": "Equal"}])),
        [
            "spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \"match all values and all keys\""
        ]
    );
    assert_eq!(
        spec(
            "volumes",
            json!([{"name": "v", "emptyDir": {}, "hostPath": {"path": "/x"}}])
        ),
        ["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"]
    );
    assert_eq!(
        changed("Pod", |o| {
            o["spec"]["volumes"]
                .as_array_mut()
                .unwrap()
                .push(json!({"name": "s", "secret": {}}));
        }),
        ["spec.volumes[2].secret.secretName: Required value"]
    );
    assert_eq!(
        spec("hostPID", json!(true)).len() + spec("shareProcessNamespace", json!(true)).len(),
        0
    );
    assert_eq!(
        spec(
            "topologySpreadConstraints",
            json!([{"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "X"}])
        ),
        [
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
            "spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
            r#"spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "X": supported values: "DoNotSchedule", "ScheduleAnyway""#,
        ]
    );
    let spread = |key: &str| json!({"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule"});
    assert_eq!(
        spec(
            "topologySpreadConstraints",
            json!([spread("a"), spread("b"), spread("a"), spread("a")])
        ),
        [0, 2].map(|i| format!(
            r#"spec.topologySpreadConstraints[{i}].{{topologyKey, whenUnsatisfiable}}: Duplicate value: "{{a, DoNotSchedule}}""#
        ))
    );
    assert_eq!(
        spec("ephemeralContainers", json!([{"name": "e", "image": "i"}])),
        ["spec.ephemeralContainers: Forbidden: cannot be set on create"]
    );
}

#[test]
fn workloads() {
    assert_eq!(
        changed("Deployment", |o| o["spec"]["selector"]["matchLabels"] =
            json!({"app": "other"})),
        [
            r#"spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`"#
        ]
    );
    assert_eq!(
        changed("Deployment", |o| o["spec"]["selector"] = json!({})),
        ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"]
    );
    assert_eq!(
        changed("Deployment", |o| o["spec"]["selector"] = Value::Null),
        [
            "spec.selector: Required value",
            r#"spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`"#,
        ]
    );
    assert_eq!(
        changed("Deployment", |o| o["spec"]["template"]["spec"]["restartPolicy"] =
            "Never".into()),
        [r#"spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always""#]
    );
    assert_eq!(
        changed("Deployment", |o| {
            o["spec"]["strategy"] = json!({"type": "Recreate", "rollingUpdate": {}});
        }),
        ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"]
    );
    assert_eq!(
        changed("Deployment", |o| {
            o["spec"]["strategy"] = json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}});
        }),
        [
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0"
        ]
    );
    assert_eq!(
        changed("Deployment", |o| o["spec"]["replicas"] = (-1).into()),
        ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]
    );
    assert_eq!(
        changed("Deployment", |o| o["spec"]["template"]["spec"]["containers"] =
            json!([])),
        ["spec.template.spec.containers: Required value"]
    );
    assert_eq!(
        changed("ReplicaSet", |o| o["spec"]["template"] = Value::Null),
        [
            "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`",
            "spec.template.spec.containers: Required value",
        ]
    );
}

#[test]
fn services() {
    let spec = |value: Value| changed("Service", |o| o["spec"] = value);
    assert_eq!(spec(json!({})), ["spec.ports: Required value"]);
    assert_eq!(spec(json!({"clusterIP": "None"})), [""; 0]);
    assert_eq!(
        spec(json!({"ports": [{"port": 80}, {"port": 81, "name": "b"}]})),
        ["spec.ports[0].name: Required value"]
    );
    assert_eq!(
        spec(json!({"ports": [{"port": 0, "targetPort": 1}]})),
        ["spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"]
    );
    assert_eq!(
        spec(json!({"ports": [{"port": 80, "nodePort": 30000}]})),
        ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"]
    );
    assert_eq!(
        spec(json!({"type": "NodePort", "ports": [
            {"name": "a", "port": 80, "nodePort": 30000}, {"name": "b", "port": 81, "nodePort": 30000}
        ]})),
        ["spec.ports[1].nodePort: Duplicate value: 30000"]
    );
    assert_eq!(
        spec(json!({"type": "Magic", "ports": [{"port": 80}]})),
        [
            r#"spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort""#
        ]
    );
    assert_eq!(
        spec(json!({"type": "ExternalName"})),
        ["spec.externalName: Required value"]
    );
    assert_eq!(
        spec(json!({"type": "NodePort", "clusterIP": "None", "ports": [{"port": 80}]})),
        ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"]
    );
    assert_eq!(
        spec(json!({"ports": [{"port": 80}], "externalTrafficPolicy": "Local"})),
        [
            "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services"
        ]
    );
    assert!(
        changed("Service", |o| o["metadata"]["name"] = "1web".into())[0]
            .starts_with("metadata.name: Invalid value: \"1web\": a DNS-1035 label must consist of"),
    );
}

#[test]
fn other_kinds() {
    assert_eq!(
        changed("Role", |o| o["rules"] =
            json!([{"verbs": [], "nonResourceURLs": ["/x"]}])),
        [
            "rules[0].verbs: Required value: verbs must contain at least one value",
            r#"rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs"#,
        ]
    );
    assert_eq!(
        changed("ClusterRoleBinding", |o| o["roleRef"]["kind"] = "Role".into()),
        [r#"roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole""#]
    );
    assert_eq!(
        changed("ConfigMap", |o| o["data"] = json!({"a b": "", "x": ""})),
        [
            "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
            "data[x]: Invalid value: \"x\": duplicate of key present in binaryData",
        ]
    );
    assert_eq!(
        changed("Secret", |o| o["stringData"] =
            json!({"a": "x".repeat(1024 * 1024 + 1)})),
        ["data: Too long: may not be more than 1048576 bytes"]
    );
    assert_eq!(
        changed("Secret", |o| o["type"] = "kubernetes.io/tls".into()),
        ["data[tls.crt]: Required value", "data[tls.key]: Required value"]
    );
    assert_eq!(
        changed("Lease", |o| o["spec"]["leaseDurationSeconds"] = 0.into()),
        ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"]
    );
    assert_eq!(
        changed("EndpointSlice", |o| o["addressType"] = "IPv6".into()),
        [r#"endpoints[0].addresses[0]: Invalid value: "10.0.0.1": must be a valid IPv6 address"#]
    );
    assert_eq!(
        changed("PodDisruptionBudget", |o| o["spec"]["maxUnavailable"] = 1.into()).len(),
        1
    );
    assert_eq!(
        changed("PriorityClass", |o| o["value"] = 2_000_000_000.into()),
        ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"]
    );
    assert_eq!(
        changed("Event", |o| o["involvedObject"]["namespace"] = "other".into()),
        [r#"involvedObject.namespace: Invalid value: "other": does not match event.namespace"#]
    );
    assert_eq!(
        changed("LimitRange", |o| o["spec"]["limits"][0]["min"] =
            json!({"cpu": "3"})),
        [
            r#"spec.limits[0].min[cpu]: Invalid value: "3": min value 3 is greater than max value 1"#,
            r#"spec.limits[0].min[cpu]: Invalid value: "3": min value 3 is greater than default request value 1"#,
            r#"spec.limits[0].min[cpu]: Invalid value: "3": min value 3 is greater than default value 1"#,
        ]
    );
    assert_eq!(
        changed("PersistentVolume", |o| o["spec"]["hostPath"] = Value::Null),
        ["spec: Required value: must specify a volume type"]
    );
    assert_eq!(
        changed("Node", |o| o["spec"]["taints"] =
            json!([{"key": "a", "effect": "Maybe"}])),
        [
            r#"metadata.taints[0].effect: Unsupported value: "Maybe": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute""#
        ]
    );
}

/// A network policy with one thing wrong each.
#[test]
fn network_policies() {
    let port = |value: Value| changed("NetworkPolicy", |o| o["spec"]["ingress"][0]["ports"][0] = value);
    let place = "spec.ingress[0].ports[0]";
    assert_eq!(
        port(json!({"protocol": "ICMP"})),
        [format!(
            r#"{place}.protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP""#
        )]
    );
    assert_eq!(
        port(json!({"port": 80, "endPort": 79})),
        [format!(
            "{place}.endPort: Invalid value: 80: must be greater than or equal to `port`"
        )]
    );
    assert_eq!(
        port(json!({"port": "http", "endPort": 80})),
        [format!(
            "{place}.endPort: Invalid value: 80: may not be specified when `port` is non-numeric"
        )]
    );
    assert_eq!(
        port(json!({"endPort": 80})),
        [format!(
            "{place}.endPort: Invalid value: 80: may not be specified when `port` is not specified"
        )]
    );
    assert_eq!(port(json!({"port": 0})).len(), 1);
    let peer = |value: Value| changed("NetworkPolicy", |o| o["spec"]["ingress"][0]["from"][0] = value);
    let place = "spec.ingress[0].from[0]";
    assert_eq!(
        peer(json!({})),
        [format!("{place}: Required value: must specify a peer")]
    );
    assert_eq!(
        peer(json!({"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}})),
        [format!(
            "{place}: Forbidden: may not specify both ipBlock and another peer"
        )]
    );
    assert_eq!(
        peer(json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8", "11.0.0.0/16"]}})),
        [
            format!(
                r#"{place}.ipBlock.except[0]: Invalid value: "10.0.0.0/8": must be a strict subset of `cidr`"#
            ),
            format!(
                r#"{place}.ipBlock.except[1]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`"#
            ),
        ]
    );
    assert_eq!(peer(json!({"ipBlock": {"cidr": "ten"}})).len(), 1);
    assert_eq!(
        changed("NetworkPolicy", |o| o["spec"]["policyTypes"][0] = "Both".into()),
        [r#"spec.policyTypes[0]: Unsupported value: "Both": supported values: "Egress", "Ingress""#]
    );
}

/// A missing spec is an empty one: its defaults are no errors of the client.
#[test]
fn objects_without_a_spec() {
    let without = |kind: &str| changed(kind, |o| drop(o.as_object_mut().unwrap().remove("spec")));
    assert_eq!(without("Pod"), ["spec.containers: Required value"]);
    assert_eq!(
        without("Deployment"),
        [
            "spec.selector: Required value",
            "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`",
            "spec.template.spec.containers: Required value",
        ]
    );
}

#[test]
fn a_selector_that_selects_nothing_known_hides_what_is_wrong_with_the_template() {
    let selector = json!({"matchExpressions": [{"key": "x", "operator": "Near"}]});
    let found = changed("Deployment", |o| {
        o["spec"]["selector"] = selector.clone();
        o["spec"]["minReadySeconds"] = json!(-1);
        o["spec"]["template"]["spec"]["containers"] = json!([]);
    });
    assert_eq!(
        found,
        [
            r#"spec.selector.matchExpressions[0].operator: Invalid value: "Near": not a valid selector operator"#.to_owned(),
            format!("spec.selector: Invalid value: {selector}: invalid label selector"),
            "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0".to_owned(),
        ]
    );
}

#[test]
fn scopes_of_quotas() {
    let scopes = |scopes: Value| {
        changed("ResourceQuota", |o| {
            o["spec"] = json!({"hard": {"pods": "1"}, "scopes": scopes});
        })
    };
    assert_eq!(scopes(json!(["BestEffort"])), [""; 0]);
    assert_eq!(
        scopes(json!(["Odd"])),
        [r#"spec.scopes: Invalid value: ["Odd"]: unsupported scope"#]
    );
    assert_eq!(
        scopes(json!(["Terminating", "NotTerminating"])),
        [r#"spec.scopes: Invalid value: ["Terminating","NotTerminating"]: conflicting scopes"#]
    );
    assert_eq!(
        changed("ResourceQuota", |o| {
            o["spec"] = json!({"hard": {"cpu": "1"}, "scopes": ["BestEffort"]});
        }),
        [r#"spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource"#]
    );
}

#[test]
fn a_service_can_not_be_led_to_the_loopback_however_its_address_is_written() {
    for (family, address) in [
        ("IPv4", "127.0.0.1"),
        ("IPv6", "::1"),
        ("IPv6", "::ffff:127.0.0.1"),
    ] {
        let errors = changed("EndpointSlice", |o| {
            o["addressType"] = family.into();
            o["endpoints"][0]["addresses"] = json!([address]);
        });
        let is_told = errors
            .iter()
            .any(|error| error.contains("may not be in the loopback range"));
        assert!(is_told, "{address}: {errors:?}");
    }
}
