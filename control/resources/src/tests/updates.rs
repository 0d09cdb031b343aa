//! Generation, status apart from spec, and what may not change.

use serde_json::{Value, json};

use crate::Part;

fn sample(kind: &str) -> Value {
    let mut object = super::samples().into_iter().find(|s| s["kind"] == kind).unwrap();
    let strategy = super::row(&object).strategy;
    strategy.default(&mut object);
    strategy.prepare_create(&mut object);
    object
}

/// Prepares and validates a change; returns the object as it would be stored, and the errors.
fn update(part: Part, old: &Value, change: impl FnOnce(&mut Value)) -> (Value, Vec<String>) {
    let mut new = old.clone();
    change(&mut new);
    let strategy = super::row(old).strategy;
    strategy.default(&mut new);
    strategy.prepare_update(part, &mut new, old);
    let errors = super::shown(strategy.validate_update(part, &new, old));
    (new, errors)
}

#[test]
fn a_change_of_spec_counts_and_a_change_of_status_does_not() {
    for kind in ["Deployment", "ReplicaSet"] {
        let old = sample(kind);
        let (new, errors) = update(Part::Main, &old, |o| {
            o["spec"]["replicas"] = 5.into();
            o["status"]["replicas"] = 9.into();
        });
        assert_eq!(errors, [""; 0]);
        assert_eq!(new["metadata"]["generation"], 2, "{kind}");
        assert_eq!(new["status"], old["status"], "{kind}");
        let (new, errors) = update(Part::Status, &old, |o| {
            o["spec"]["replicas"] = 5.into();
            o["status"]["replicas"] = 9.into();
        });
        assert_eq!(errors, [""; 0]);
        assert_eq!(new["metadata"]["generation"], 1, "{kind}");
        assert_eq!(new["spec"], old["spec"], "{kind}");
        assert_eq!(new["status"]["replicas"], 9, "{kind}");
    }
    let old = sample("Deployment");
    let (new, _) = update(Part::Main, &old, |o| o["metadata"]["labels"] = json!({"a": "b"}));
    assert_eq!(new["metadata"]["generation"], 1);
    let (new, _) = update(Part::Main, &old, |o| {
        o["metadata"]["annotations"] = json!({"a": "b"})
    });
    assert_eq!(new["metadata"]["generation"], 2);
}

#[test]
fn a_selector_may_not_change() {
    let (_, errors) = update(Part::Main, &sample("Deployment"), |o| {
        o["spec"]["selector"]["matchLabels"] = json!({"app": "x"});
        o["spec"]["template"]["metadata"]["labels"] = json!({"app": "x"});
    });
    assert_eq!(
        errors,
        [r#"spec.selector: Invalid value: {"matchLabels":{"app":"x"}}: field is immutable"#]
    );
}

#[test]
fn of_a_pod_only_few_fields_may_change() {
    let old = sample("Pod");
    let (new, errors) = update(Part::Main, &old, |o| {
        o["spec"]["containers"][0]["image"] = "nginx:2".into()
    });
    assert_eq!(errors, [""; 0]);
    assert_eq!(new["metadata"]["generation"], 2);
    let (_, errors) = update(Part::Main, &old, |o| {
        o["spec"]["tolerations"]
            .as_array_mut()
            .unwrap()
            .push(json!({"key": "a", "operator": "Exists"}));
    });
    assert_eq!(errors, [""; 0]);
    let (_, errors) = update(Part::Main, &old, |o| o["spec"]["tolerations"] = json!([]));
    assert_eq!(
        errors,
        ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"]
    );
    let (_, errors) = update(Part::Main, &old, |o| o["spec"]["nodeName"] = "n2".into());
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].starts_with(
            "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`"
        ),
        "{errors:?}"
    );
    let (_, errors) = update(Part::Main, &old, |o| {
        o["spec"]["containers"]
            .as_array_mut()
            .unwrap()
            .push(json!({"name": "d", "image": "e"}));
    });
    assert_eq!(
        errors,
        ["spec.containers: Forbidden: pod updates may not add or remove containers"]
    );
}

#[test]
fn the_status_of_a_pod_is_written_apart() {
    let old = sample("Pod");
    let (new, errors) = update(Part::Status, &old, |o| {
        o["spec"]["nodeName"] = "n2".into();
        o["status"] = json!({"phase": "Running", "podIP": "10.0.0.1", "qosClass": "BestEffort"});
    });
    assert_eq!(errors, [""; 0]);
    assert_eq!(new["spec"], old["spec"]);
    assert_eq!(new["status"]["podIPs"], json!([{"ip": "10.0.0.1"}]));
    assert_eq!(new["status"]["qosClass"], old["status"]["qosClass"]);
    // A binding sets the node and its condition at once.
    let (new, errors) = update(Part::Other("binding"), &old, |o| {
        o["spec"]["nodeName"] = "n2".into();
        o["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "True"}]);
    });
    assert_eq!(errors, [""; 0]);
    assert_eq!(new["spec"]["nodeName"], "n2");
    assert_eq!(new["status"]["conditions"][0]["type"], "PodScheduled");
}

#[test]
fn ephemeral_containers_and_sizes_have_their_own_way_in() {
    let old = sample("Pod");
    let debug = json!([{"name": "debug", "image": "busybox"}]);
    let (new, errors) = update(Part::Other("ephemeralcontainers"), &old, |o| {
        o["spec"]["ephemeralContainers"] = debug.clone();
    });
    assert_eq!(errors, [""; 0]);
    let (_, errors) = update(Part::Other("ephemeralcontainers"), &new, |o| {
        o["spec"]["ephemeralContainers"] = json!([]);
    });
    assert_eq!(
        errors,
        ["spec.ephemeralContainers: Forbidden: existing ephemeral containers \"debug\" may not be removed\n"]
    );
    let (unchanged, errors) = update(Part::Main, &old, |o| {
        o["spec"]["ephemeralContainers"] = debug.clone()
    });
    assert_eq!(errors, [""; 0]);
    assert!(unchanged["spec"].get("ephemeralContainers").is_none());
    let (_, errors) = update(Part::Other("resize"), &old, |o| {
        o["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "2".into();
    });
    assert_eq!(errors, [""; 0]);
    let (_, errors) = update(Part::Other("resize"), &old, |o| {
        o["spec"]["containers"][0]["image"] = "x:1".into();
    });
    assert_eq!(
        errors,
        ["spec: Forbidden: only cpu and memory resources are mutable"]
    );
}

#[test]
fn namespaces_are_finalized_apart() {
    let old = sample("Namespace");
    let (new, _) = update(Part::Main, &old, |o| o["spec"]["finalizers"] = json!([]));
    assert_eq!(new["spec"]["finalizers"], json!(["kubernetes"]));
    let (new, errors) = update(Part::Other("finalize"), &old, |o| {
        o["spec"]["finalizers"] = json!([])
    });
    assert_eq!(errors, [""; 0]);
    assert_eq!(new["spec"]["finalizers"], json!([]));
    let (new, _) = update(Part::Status, &old, |o| {
        o["status"]["phase"] = "Terminating".into()
    });
    assert_eq!(new["status"]["phase"], "Terminating");
}

#[test]
fn a_service_keeps_what_it_was_given() {
    let mut old = sample("Service");
    old["spec"]["type"] = "NodePort".into();
    old["spec"]["clusterIP"] = "10.96.0.7".into();
    old["spec"]["clusterIPs"] = json!(["10.96.0.7"]);
    old["spec"]["ports"][0]["nodePort"] = 30080.into();
    super::row(&old).strategy.default(&mut old);
    let applied =
        json!({"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80, "name": "http"}]});
    let (new, errors) = update(Part::Main, &old, |o| o["spec"] = applied.clone());
    assert_eq!(errors, [""; 0]);
    assert_eq!(new["spec"]["clusterIP"], "10.96.0.7");
    assert_eq!(new["spec"]["clusterIPs"], json!(["10.96.0.7"]));
    assert_eq!(new["spec"]["ports"][0]["nodePort"], 30080);
    // A patch of the type alone drops what only that type had.
    let (new, errors) = update(Part::Main, &old, |o| o["spec"]["type"] = "ClusterIP".into());
    assert_eq!(errors, [""; 0]);
    assert!(new["spec"]["ports"][0].get("nodePort").is_none());
    assert!(new["spec"].get("externalTrafficPolicy").is_none());
    let (new, errors) = update(Part::Main, &old, |o| {
        o["spec"]["type"] = "ExternalName".into();
        o["spec"]["externalName"] = "example.com".into();
    });
    assert_eq!(errors, [""; 0]);
    assert!(new["spec"].get("clusterIP").is_none());
    let (_, errors) = update(Part::Main, &old, |o| {
        o["spec"]["clusterIP"] = "10.96.0.8".into();
        o["spec"]["clusterIPs"] = json!(["10.96.0.8"]);
    });
    assert_eq!(
        errors,
        [r#"spec.clusterIPs[0]: Invalid value: ["10.96.0.8"]: may not change once set"#]
    );
    let (_, errors) = update(Part::Main, &old, |o| o["spec"]["clusterIP"] = "10.96.0.8".into());
    assert_eq!(
        errors,
        [r#"spec.clusterIPs[0]: Invalid value: ["10.96.0.8"]: may not change once set"#]
    );
}

#[test]
fn fields_that_are_set_for_good() {
    let (_, errors) = update(Part::Main, &sample("Secret"), |o| o["type"] = "x".into());
    assert_eq!(errors, [r#"type: Invalid value: "x": field is immutable"#]);
    let mut frozen = sample("ConfigMap");
    frozen["immutable"] = true.into();
    let (_, errors) = update(Part::Main, &frozen, |o| o["data"]["a"] = "z".into());
    assert_eq!(
        errors,
        ["data: Forbidden: field is immutable when `immutable` is set"]
    );
    let (_, errors) = update(Part::Main, &frozen, |o| o["immutable"] = false.into());
    assert_eq!(
        errors,
        ["immutable: Forbidden: field is immutable when `immutable` is set"]
    );
    let (_, errors) = update(Part::Main, &sample("RoleBinding"), |o| {
        o["roleRef"]["name"] = "y".into()
    });
    assert_eq!(errors.len(), 1);
    assert!(errors[0].ends_with("cannot change roleRef"), "{errors:?}");
    let (_, errors) = update(Part::Main, &sample("PriorityClass"), |o| o["value"] = 1.into());
    assert_eq!(errors, ["value: Forbidden: may not be changed in an update."]);
    let (_, errors) = update(Part::Main, &sample("EndpointSlice"), |o| {
        o["addressType"] = "FQDN".into()
    });
    assert!(
        errors.iter().any(|e| e.ends_with("field is immutable")),
        "{errors:?}"
    );
    let (_, errors) = update(Part::Main, &sample("ConfigMap"), |o| {
        o["metadata"]["name"] = "d".into()
    });
    assert_eq!(
        errors,
        [r#"metadata.name: Invalid value: "d": field is immutable"#]
    );
    let (_, errors) = update(Part::Main, &sample("PersistentVolumeClaim"), |o| {
        o["spec"]["accessModes"] = json!(["ReadOnlyMany"]);
    });
    assert_eq!(
        errors,
        [
            "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        ]
    );
}
