use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{lookup, prune};

fn writer<'a>(manager: &'a str, time: &'a str) -> Writer<'a> {
    Writer {
        manager,
        subresource: "",
        api_version: "apps/v1",
        time,
    }
}

fn deployment(spec: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
        "spec": spec})
}

fn containers(list: Value) -> Value {
    deployment(json!({"template": {"spec": {"containers": list}}}))
}

fn ty() -> Type {
    lookup("apps/v1", "Deployment").unwrap()
}

fn apply_as(live: Option<&Value>, applied: &Value, manager: &str, time: &str) -> Result<Value, PatchError> {
    apply(live, applied, ty(), &writer(manager, time), false)
}

fn track_as(old: Option<&Value>, mut new: Value, manager: &str, time: &str) -> Value {
    track(old, &mut new, ty(), &writer(manager, time)).unwrap();
    new
}

fn entry<'a>(object: &'a Value, manager: &str) -> &'a Value {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries
        .iter()
        .find(|entry| entry["manager"] == manager)
        .unwrap_or_else(|| panic!("{manager}: {entries:#?}"))
}

fn managers(object: &Value) -> Vec<&str> {
    let entries = object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten();
    entries.map(|entry| entry["manager"].as_str().unwrap()).collect()
}

fn conflicts(result: Result<Value, PatchError>) -> Vec<(String, String)> {
    match result {
        Err(PatchError::Conflicts(list)) => list.into_iter().map(|one| (one.message, one.field)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn applying_to_nothing_owns_what_was_applied() {
    let applied = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app": "web"}, "finalizers": ["a/b"]},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}},
            "template": {"spec": {"volumes": [{"name": "v", "emptyDir": {}}], "nodeSelector": {"a": "b"},
                "containers": [{"name": "c", "image": "i", "args": ["x"],
                    "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]}]}}}});
    let object = apply_as(None, &applied, "me", "2024-01-01T00:00:00Z").unwrap();
    assert_eq!(
        object["metadata"]["managedFields"],
        json!([{"manager": "me", "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
            "time": "2024-01-01T00:00:00Z", "fieldsV1": {
                "f:metadata": {"f:labels": {"f:app": {}}, "f:finalizers": {"v:\"a/b\"": {}}},
                "f:spec": {"f:replicas": {}, "f:selector": {}, "f:template": {"f:spec": {
                    "f:volumes": {"k:{\"name\":\"v\"}": {".": {}, "f:name": {}, "f:emptyDir": {}}},
                    "f:nodeSelector": {},
                    "f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:name": {}, "f:image": {}, "f:args": {},
                        "f:ports": {
                            "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}},
                            "k:{\"containerPort\":53,\"protocol\":\"UDP\"}":
                                {".": {}, "f:containerPort": {}, "f:protocol": {}}}}}}}}}}])
    );
}

#[test]
fn creating_owns_every_field_with_the_marks_kubernetes_sets() {
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "uid": "u", "generation": 1, "labels": {"app": "web"}},
        "spec": {"replicas": 1, "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "resources": {}, "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}}},
        "status": {"replicas": 1}});
    let object = track_as(None, object, "kubectl-create", "2024-01-01T00:00:00Z");
    assert_eq!(
        entry(&object, "kubectl-create")["fieldsV1"],
        json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {"f:replicas": {}, "f:strategy": {"f:type": {}, "f:rollingUpdate": {".": {}, "f:maxSurge": {}}},
                "f:template": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {
                    "f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:name": {}, "f:resources": {}, "f:ports": {
                        ".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}":
                            {".": {}, "f:containerPort": {}, "f:protocol": {}}}}}}}}})
    );
}

#[test]
fn another_manager_conflicts_unless_it_forces_or_agrees() {
    let live = apply_as(
        None,
        &deployment(json!({"replicas": 1, "paused": true})),
        "one",
        "t1",
    )
    .unwrap();
    let wanted = deployment(json!({"replicas": 2}));
    let refused = apply_as(Some(&live), &wanted, "two", "t2");
    assert_eq!(
        refused.as_ref().unwrap_err().to_string(),
        "Apply failed with 1 conflict: conflict with \"one\": .spec.replicas"
    );
    assert_eq!(
        conflicts(refused),
        [("conflict with \"one\"".into(), ".spec.replicas".into())]
    );

    let forced = apply(Some(&live), &wanted, ty(), &writer("two", "t2"), true).unwrap();
    assert_eq!(forced["spec"], json!({"replicas": 2, "paused": true}));
    assert_eq!(
        entry(&forced, "one")["fieldsV1"],
        json!({"f:spec": {"f:paused": {}}})
    );
    assert_eq!(
        entry(&forced, "two")["fieldsV1"],
        json!({"f:spec": {"f:replicas": {}}})
    );

    let shared = apply_as(Some(&live), &deployment(json!({"replicas": 1})), "two", "t2").unwrap();
    assert_eq!(
        entry(&shared, "one")["fieldsV1"],
        json!({"f:spec": {"f:replicas": {}, "f:paused": {}}})
    );
    assert_eq!(
        entry(&shared, "two")["fieldsV1"],
        json!({"f:spec": {"f:replicas": {}}})
    );
}

#[test]
fn conflicts_name_updaters_with_their_version_and_paths_with_their_keys() {
    let live = containers(json!([{"name": "web", "image": "1", "env": [{"name": "A", "value": "1"}]}]));
    let live = track_as(None, live, "kubectl-client-side-apply", "2024-01-01T00:00:00Z");
    let wanted = containers(json!([{"name": "web", "image": "2", "env": [{"name": "A", "value": "2"}]}]));
    let refused = apply_as(Some(&live), &wanted, "me", "t");
    let owner = "conflict with \"kubectl-client-side-apply\" using apps/v1";
    let container = ".spec.template.spec.containers[name=\"web\"]";
    assert_eq!(
        refused.as_ref().unwrap_err().to_string(),
        format!(
            "Apply failed with 2 conflicts: conflicts with \"kubectl-client-side-apply\" using apps/v1:\n\
             - {container}.env[name=\"A\"].value\n- {container}.image"
        )
    );
    assert_eq!(
        conflicts(refused),
        [
            (owner.to_owned(), format!("{container}.env[name=\"A\"].value")),
            (owner.to_owned(), format!("{container}.image")),
        ]
    );
}

#[test]
fn a_conflict_with_a_sub_resource_says_so() {
    let mut live = deployment(json!({"replicas": 1}));
    let scale = Writer {
        subresource: "scale",
        ..writer("hpa", "t1")
    };
    track(None, &mut live, ty(), &scale).unwrap();
    let refused = apply_as(Some(&live), &deployment(json!({"replicas": 2})), "me", "t2");
    let owner = "conflict with \"hpa\" with subresource \"scale\" using apps/v1";
    assert_eq!(conflicts(refused), [(owner.into(), ".spec.replicas".into())]);
}

#[test]
fn fields_no_longer_applied_go_unless_someone_else_owns_them() {
    let first = containers(json!([
        {"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "1"}]},
        {"name": "b", "image": "1"}]));
    let live = apply_as(None, &first, "one", "t1").unwrap();
    let live = apply_as(
        Some(&live),
        &containers(json!([{"name": "b", "image": "1"}])),
        "two",
        "t2",
    )
    .unwrap();
    let second = containers(json!([{"name": "a", "env": [{"name": "Y", "value": "1"}]}]));
    let object = apply_as(Some(&live), &second, "one", "t3").unwrap();
    assert_eq!(
        object["spec"]["template"]["spec"]["containers"],
        json!([{"name": "a", "env": [{"name": "Y", "value": "1"}]}, {"name": "b", "image": "1"}])
    );
    assert_eq!(managers(&object), ["two", "one"]);
}

#[test]
fn giving_up_everything_removes_the_containers_of_the_fields_too() {
    let first = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"a": "1"}, "finalizers": ["x"]}, "spec": {"paused": true}});
    let live = apply_as(None, &first, "one", "t1").unwrap();
    let bare = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}});
    let object = apply_as(Some(&live), &bare, "one", "t2").unwrap();
    assert_eq!(object, bare);
}

#[test]
fn what_an_updater_changed_stays_when_the_applier_lets_it_go() {
    let live = apply_as(
        None,
        &deployment(json!({"replicas": 1, "paused": true})),
        "one",
        "t1",
    )
    .unwrap();
    let mut scaled = live.clone();
    scaled["spec"]["replicas"] = json!(5);
    let live = track_as(Some(&live), scaled, "hpa", "t2");
    assert_eq!(
        entry(&live, "one")["fieldsV1"],
        json!({"f:spec": {"f:paused": {}}})
    );
    let object = apply_as(Some(&live), &deployment(json!({"paused": true})), "one", "t3").unwrap();
    assert_eq!(object["spec"], json!({"replicas": 5, "paused": true}));
}

#[test]
fn nobody_owns_a_field_that_was_removed() {
    let live = apply_as(
        None,
        &deployment(json!({"replicas": 1, "paused": true})),
        "one",
        "t1",
    )
    .unwrap();
    let mut less = live.clone();
    less["spec"].as_object_mut().unwrap().remove("paused");
    let object = track_as(Some(&live), less, "two", "t2");
    assert_eq!(managers(&object), ["one"]);
    assert_eq!(
        entry(&object, "one")["fieldsV1"],
        json!({"f:spec": {"f:replicas": {}}})
    );
}

#[test]
fn times_change_only_with_the_fields() {
    let applied = deployment(json!({"replicas": 1}));
    let live = apply_as(None, &applied, "one", "t1").unwrap();
    assert_eq!(apply_as(Some(&live), &applied, "one", "t2").unwrap(), live);
    assert_eq!(track_as(Some(&live), live.clone(), "two", "t2"), live);
    let more = apply_as(
        Some(&live),
        &deployment(json!({"replicas": 1, "paused": true})),
        "one",
        "t3",
    )
    .unwrap();
    assert_eq!(entry(&more, "one")["time"], "t3");

    let mut changed = live.clone();
    changed["spec"]["replicas"] = json!(2);
    let live = track_as(Some(&live), changed, "two", "t4");
    let mut removed = live.clone();
    removed["spec"]["paused"] = json!(true);
    let live = track_as(Some(&live), removed, "two", "t5");
    assert_eq!(entry(&live, "two")["time"], "t5");
    let mut less = live.clone();
    less["spec"].as_object_mut().unwrap().remove("paused");
    let live = track_as(Some(&live), less, "two", "t6");
    assert_eq!(entry(&live, "two")["time"], "t5");
}

#[test]
fn writes_through_the_status_sub_resource_own_status_alone() {
    let live = track_as(None, deployment(json!({"replicas": 1})), "one", "t1");
    let mut new = live.clone();
    new["spec"]["replicas"] = json!(9);
    new["status"] = json!({"conditions": [{"type": "Available", "status": "True"}], "replicas": 1});
    let status = Writer {
        subresource: "status",
        ..writer("controller", "t2")
    };
    track(Some(&live), &mut new, ty(), &status).unwrap();
    assert_eq!(
        entry(&new, "controller"),
        &json!({"manager": "controller", "operation": "Update", "apiVersion": "apps/v1", "time": "t2",
            "subresource": "status", "fieldsType": "FieldsV1", "fieldsV1": {"f:status": {"f:replicas": {},
                "f:conditions": {".": {}, "k:{\"type\":\"Available\"}": {".": {}, "f:type": {}, "f:status": {}}}}}})
    );
    assert_eq!(
        entry(&new, "one")["fieldsV1"],
        json!({"f:spec": {"f:replicas": {}}})
    );
}

#[test]
fn duplicate_keys_unknown_fields_and_managed_fields_are_refused() {
    let text = |applied: &Value| match apply_as(None, applied, "me", "t") {
        Err(PatchError::BadRequest(text)) => text,
        other => panic!("{other:?}"),
    };
    let env = json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]);
    assert_eq!(
        text(&containers(json!([{"name": "web", "env": env}]))),
        "failed to create typed patch object (default/web; apps/v1, Kind=Deployment): \
         .spec.template.spec.containers[name=\"web\"].env: duplicate entries for key [name=\"A\"]"
    );
    assert_eq!(
        text(&deployment(json!({"foo": 1}))),
        "failed to create typed patch object (default/web; apps/v1, Kind=Deployment): \
         .spec.foo: field not declared in schema"
    );
    assert_eq!(
        text(&containers(json!([{"image": "i"}]))),
        "failed to create typed patch object (default/web; apps/v1, Kind=Deployment): \
         .spec.template.spec.containers: element 0: associative list with keys has an element that omits all key \
         fields [\"name\"] (and doesn't have default values for any key fields)"
    );
    let managed = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "managedFields": [{"manager": "x"}]}});
    assert_eq!(text(&managed), "metadata.managedFields must be nil");
}

#[test]
fn merged_lists_follow_the_applied_order() {
    let names = |object: &Value| -> Vec<String> {
        let list = object["spec"]["template"]["spec"]["containers"]
            .as_array()
            .unwrap();
        list.iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let list =
        |names: &[&str]| -> Value { containers(names.iter().map(|name| json!({"name": name})).collect()) };
    for (live, applied, expected) in [
        (vec!["a", "b", "c"], vec!["c"], vec!["a", "b", "c"]),
        (vec!["a", "b"], vec!["b", "a"], vec!["b", "a"]),
        (vec!["a", "x", "b"], vec!["b", "a"], vec!["x", "b", "a"]),
        (vec!["a", "b"], vec!["n", "b"], vec!["a", "n", "b"]),
        (vec!["a"], vec!["n"], vec!["a", "n"]),
    ] {
        let live = track_as(None, list(&live), "one", "t1");
        assert_eq!(
            names(&apply_as(Some(&live), &list(&applied), "two", "t2").unwrap()),
            expected,
            "{applied:?}"
        );
    }
}

#[test]
fn an_object_without_owners_gets_them_with_the_first_apply() {
    let live = deployment(json!({"replicas": 1, "paused": true}));
    let refused = apply_as(Some(&live), &deployment(json!({"replicas": 2})), "me", "t");
    assert_eq!(
        conflicts(refused),
        [(
            "conflict with \"before-first-apply\" using apps/v1".into(),
            ".spec.replicas".into()
        )]
    );
    let object = apply_as(Some(&live), &deployment(json!({"replicas": 1})), "me", "t").unwrap();
    assert_eq!(managers(&object), ["me", "before-first-apply"]);
    // Plain updates of such an object stay untracked.
    let mut changed = live.clone();
    changed["spec"]["replicas"] = json!(3);
    assert_eq!(track_as(Some(&live), changed.clone(), "me", "t"), changed);
}

#[test]
fn managed_fields_can_be_reset_and_edited_but_not_lost_by_accident() {
    let live = track_as(None, deployment(json!({"replicas": 1})), "one", "t1");
    let mut without = live.clone();
    without["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("managedFields");
    assert_eq!(track_as(Some(&live), without.clone(), "two", "t2"), live);
    let mut reset = live.clone();
    reset["metadata"]["managedFields"] = json!([{}]);
    assert_eq!(track_as(Some(&live), reset, "two", "t2"), without);
    let mut edited = live.clone();
    edited["metadata"]["managedFields"][0]["manager"] = json!("kubectl");
    edited["metadata"]["managedFields"][0]["operation"] = json!("Apply");
    assert_eq!(track_as(Some(&live), edited.clone(), "two", "t2"), edited);
    let mut through_status = edited.clone();
    let status = Writer {
        subresource: "status",
        ..writer("two", "t2")
    };
    track(Some(&live), &mut through_status, ty(), &status).unwrap();
    assert_eq!(through_status, live);
}

#[test]
fn more_than_ten_updaters_are_folded_into_ancient_changes() {
    let mut live = deployment(json!({"template": {"metadata": {"labels": {}}}}));
    live = track_as(None, live, "creator", "2024-01-01T00:00:00Z");
    for index in 0..12 {
        let mut new = live.clone();
        new["spec"]["template"]["metadata"]["labels"][format!("l{index:02}")] = json!("x");
        live = track_as(
            Some(&live),
            new,
            &format!("m{index:02}"),
            &format!("2024-01-01T00:01:{index:02}Z"),
        );
    }
    let expected: Vec<String> = std::iter::once("ancient-changes".into())
        .chain((3..12).map(|index| format!("m{index:02}")))
        .collect();
    assert_eq!(managers(&live), expected);
    assert_eq!(
        entry(&live, "ancient-changes")["fieldsV1"],
        json!({"f:spec": {"f:template": {"f:metadata": {"f:labels": {".": {}, "f:l00": {}, "f:l01": {}, "f:l02": {}}}}}})
    );
}

#[test]
fn kubectl_takes_over_what_it_applied_on_the_client_side() {
    let annotation = deployment(json!({"replicas": 1})).to_string();
    let mut live = deployment(json!({"replicas": 1, "paused": true}));
    live["metadata"]["annotations"] = json!({LAST_APPLIED: annotation});
    let live = track_as(None, live, "kubectl-client-side-apply", "t1");
    let wanted = deployment(json!({"replicas": 2}));
    assert_eq!(conflicts(apply_as(Some(&live), &wanted, "me", "t2")).len(), 1);
    let object = apply_as(Some(&live), &wanted, "kubectl", "t2").unwrap();
    assert_eq!(object["spec"]["replicas"], 2);
    let expected = format!("{wanted}\n");
    assert_eq!(object["metadata"]["annotations"][LAST_APPLIED], expected.as_str());
    // What the annotation does not have is somebody else's.
    let refused = apply_as(
        Some(&live),
        &deployment(json!({"paused": false})),
        "kubectl",
        "t2",
    );
    assert_eq!(conflicts(refused).len(), 1);
}

#[test]
fn atomic_parts_are_owned_as_a_whole() {
    let selector = |app: &str| deployment(json!({"selector": {"matchLabels": {"app": app}}}));
    let live = apply_as(None, &selector("a"), "one", "t1").unwrap();
    let refused = apply_as(Some(&live), &selector("b"), "two", "t2");
    assert_eq!(
        conflicts(refused),
        [("conflict with \"one\"".into(), ".spec.selector".into())]
    );
    let two = deployment(json!({"template": {"spec": {"tolerations": [{"key": "x"}]}}}));
    let live = apply_as(Some(&live), &two, "two", "t2").unwrap();
    let one = deployment(json!({"template": {"spec": {"tolerations": [{"key": "y"}]}}}));
    let object = apply(Some(&live), &one, ty(), &writer("one", "t3"), true).unwrap();
    assert_eq!(
        object["spec"]["template"]["spec"]["tolerations"],
        json!([{"key": "y"}])
    );
    assert_eq!(managers(&object), ["one"]);
}

#[test]
fn an_update_of_a_pod_status_is_cheap() {
    // Not a gate, a figure: run with --release --nocapture to see it.
    let pod = lookup("v1", "Pod").unwrap();
    let container = |index: usize| {
        json!({"name": format!("c{index}"), "image": "registry/app:1", "imagePullPolicy": "Always",
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            "ports": [{"containerPort": 80, "protocol": "TCP"}], "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
            "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/token", "readOnly": true}]})
    };
    let mut live = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"app": "a"}},
        "spec": {"containers": [container(0), container(1)], "nodeName": "n", "restartPolicy": "Always",
            "volumes": [{"name": "token", "projected": {"sources": []}}]}});
    let time = "2024-01-01T00:00:00Z";
    track(
        None,
        &mut live,
        pod,
        &Writer {
            manager: "rs",
            subresource: "",
            api_version: "v1",
            time,
        },
    )
    .unwrap();
    let kubelet = Writer {
        manager: "kubelet",
        subresource: "status",
        api_version: "v1",
        time,
    };
    let rounds = 200_u32;
    let started = std::time::Instant::now();
    for round in 0..rounds {
        let mut new = live.clone();
        new["status"] = json!({"phase": "Running", "podIP": "10.0.0.1", "conditions": [
            {"type": "Ready", "status": if round % 2 == 0 { "True" } else { "False" }},
            {"type": "Initialized", "status": "True"}], "startTime": time});
        track(Some(&live), &mut new, pod, &kubelet).unwrap();
        live = new;
    }
    println!("one pod status update: {:?}", started.elapsed() / rounds);
    assert_eq!(managers(&live), ["kubelet", "rs"]);
}

fn arbitrary_deployment() -> impl Strategy<Value = Value> {
    let labels = prop::collection::btree_map("[a-c]", "[xy]", 0..3);
    let env = prop::collection::btree_map("[A-C]", "[xy]", 0..3);
    let container = (env, prop::option::of("[12]"), prop::collection::vec("[pq]", 0..2)).prop_map(
        |(env, image, args)| {
            let env: Vec<Value> = env
                .iter()
                .map(|(name, value)| json!({"name": name, "value": value}))
                .collect();
            let mut container = json!({"env": env, "args": args});
            if let Some(image) = image {
                container["image"] = image.into();
            }
            container
        },
    );
    let list = prop::collection::btree_map("[a-c]", container, 0..3).prop_shuffle_values();
    (
        labels,
        list,
        prop::option::of(0..3_i32),
        prop::collection::btree_set("[f-h]", 0..3),
    )
        .prop_map(|(labels, list, replicas, finalizers)| {
            let mut object = containers(Value::Array(list));
            object["metadata"]["labels"] = json!(labels);
            object["metadata"]["finalizers"] = json!(finalizers);
            if let Some(replicas) = replicas {
                object["spec"]["replicas"] = replicas.into();
            }
            object
        })
}

/// Turns a map of containers into a list in any order.
trait ShuffleValues: Strategy<Value = std::collections::BTreeMap<String, Value>> + Sized {
    fn prop_shuffle_values(self) -> impl Strategy<Value = Vec<Value>> {
        self.prop_map(|map| {
            map.into_iter()
                .map(|(name, mut container)| {
                    container["name"] = name.into();
                    container
                })
                .collect::<Vec<_>>()
        })
        .prop_shuffle()
    }
}

impl<S: Strategy<Value = std::collections::BTreeMap<String, Value>>> ShuffleValues for S {}

proptest! {
    #[test]
    fn applying_twice_is_applying_once(live in arbitrary_deployment(), applied in arbitrary_deployment()) {
        let live = track_as(None, live, "one", "t1");
        let once = apply(Some(&live), &applied, ty(), &writer("two", "t2"), true).unwrap();
        let twice = apply(Some(&once), &applied, ty(), &writer("two", "t3"), false).unwrap();
        prop_assert_eq!(&once, &twice);
    }

    #[test]
    fn what_was_applied_is_there_and_what_was_let_go_is_not(
        first in arbitrary_deployment(),
        second in arbitrary_deployment(),
    ) {
        let live = apply_as(None, &first, "one", "t1").unwrap();
        let object = apply_as(Some(&live), &second, "one", "t2").unwrap();
        let mut bare = object.clone();
        take_managed(&mut bare);
        let shape = Shape::Object(ty().0);
        let delta = walk::compare(Some(&second), Some(&bare), shape);
        // A sole owner's object is what it applied last, but for empty containers.
        let leaves = |set: &FieldSet| set.paths().into_iter().filter(|path| !empty_at(path)).collect::<Vec<_>>();
        prop_assert_eq!(leaves(&delta.changed), Vec::<String>::new());
        prop_assert_eq!(leaves(&delta.removed), Vec::<String>::new());
    }

    #[test]
    fn owners_never_hold_what_is_not_there(
        first in arbitrary_deployment(),
        second in arbitrary_deployment(),
        third in arbitrary_deployment(),
    ) {
        let live = apply_as(None, &first, "one", "t1").unwrap();
        let live = track_as(Some(&live), second, "two", "t2");
        let live = apply(Some(&live), &third, ty(), &writer("one", "t3"), true).unwrap();
        let shape = Shape::Object(ty().0);
        let mut held = FieldSet::default();
        let managed = managers::parse(live["metadata"].get("managedFields")).unwrap();
        managed.iter().for_each(|entry| held.union(&entry.set));
        let mut there = walk::with_named_fields(&walk::field_set(&live, shape), shape);
        there.union(&walk::compare(None, Some(&live), shape).changed);
        held.subtract(&there);
        let lost: Vec<_> = held.paths().into_iter().filter(|path| !empty_at(path)).collect();
        prop_assert_eq!(lost, Vec::<String>::new());
    }

    #[test]
    fn pruning_a_result_changes_nothing(live in arbitrary_deployment(), applied in arbitrary_deployment()) {
        let live = track_as(None, live, "one", "2024-01-01T00:00:00Z");
        let mut object = apply(Some(&live), &applied, ty(), &writer("two", "2024-01-01T00:00:01Z"), true).unwrap();
        let before = object.clone();
        prop_assert_eq!(prune(&mut object, ty()), Ok(vec![]));
        prop_assert_eq!(object, before);
    }
}

/// Paths whose value may be an empty container on one side and missing on the other.
fn empty_at(path: &str) -> bool {
    [".args", ".env", ".labels", ".finalizers", ".containers"]
        .iter()
        .any(|end| path.ends_with(end))
}
