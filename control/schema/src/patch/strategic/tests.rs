use serde_json::json;

use super::*;
use crate::lookup;

fn pod(object: Value, patch: Value) -> Result<Value, PatchError> {
    strategic_merge_patch(&object, &patch, lookup("v1", "Pod").unwrap())
}

fn containers(old: Value, new: Value) -> Value {
    let patched = pod(
        json!({"spec": {"containers": old}}),
        json!({"spec": {"containers": new}}),
    )
    .unwrap();
    patched["spec"]["containers"].clone()
}

fn refusal(object: Value, patch: Value) -> String {
    match pod(object, patch) {
        Err(PatchError::BadRequest(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn lists_with_a_merge_key_are_merged_by_it() {
    let old = json!([{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}]);
    let new = json!([{"name": "a", "image": "2", "env": [{"name": "Y", "value": "2"}]}]);
    let merged = containers(old, new);
    let env = json!([{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}]);
    assert_eq!(
        merged,
        json!([{"name": "a", "image": "2", "env": env}, {"name": "b"}])
    );
}

#[test]
fn new_items_come_first_without_an_order() {
    let merged = containers(json!([{"name": "a"}, {"name": "b"}]), json!([{"name": "c"}]));
    assert_eq!(merged, json!([{"name": "c"}, {"name": "a"}, {"name": "b"}]));
}

#[test]
fn atomic_lists_are_replaced_and_nulls_delete() {
    let object = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"hostname": "h",
        "containers": [{"name": "a", "args": ["1", "2"]}]}});
    let patch = json!({"metadata": {"labels": {"a": null, "c": "3"}}, "spec": {"hostname": null,
        "containers": [{"name": "a", "args": ["3"]}]}});
    let expected = json!({"metadata": {"labels": {"b": "2", "c": "3"}}, "spec": {
        "containers": [{"name": "a", "args": ["3"]}]}});
    assert_eq!(pod(object, patch), Ok(expected));
}

#[test]
fn an_item_is_deleted_by_its_key() {
    let old = json!([{"name": "a"}, {"name": "b"}, {"name": "c"}]);
    let merged = containers(old, json!([{"name": "b", "$patch": "delete"}]));
    assert_eq!(merged, json!([{"name": "a"}, {"name": "c"}]));
}

#[test]
fn a_list_is_replaced_by_directive() {
    let old = json!([{"name": "a"}, {"name": "b"}]);
    let merged = containers(old, json!([{"name": "z", "image": "i"}, {"$patch": "replace"}]));
    assert_eq!(merged, json!([{"name": "z", "image": "i"}]));
    let twice = json!([{"name": "z", "image": "i"}, {"name": "z", "image": "j"}]);
    let mut patch = twice.as_array().unwrap().clone();
    patch.push(json!({"$patch": "replace"}));
    assert_eq!(containers(json!([{"name": "z"}]), patch.into()), twice);
}

#[test]
fn a_map_is_replaced_or_emptied_by_directive() {
    let object = json!({"metadata": {"labels": {"a": "1"}, "annotations": {"x": "1"}}});
    let patch = json!({"metadata": {"labels": {"$patch": "replace", "b": "2"},
        "annotations": {"$patch": "delete"}}});
    let expected = json!({"metadata": {"labels": {"b": "2"}, "annotations": {}}});
    assert_eq!(pod(object, patch), Ok(expected));
}

#[test]
fn retain_keys_drops_the_members_of_the_former_kind() {
    // What kubectl apply sends when a volume changes from emptyDir to configMap, and a strategy to Recreate.
    let object = json!({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}});
    let patch = json!({"spec": {"$setElementOrder/volumes": [{"name": "v"}],
        "volumes": [{"$retainKeys": ["configMap", "name"], "configMap": {"name": "c"}, "emptyDir": null, "name": "v"}]}});
    let expected = json!({"spec": {"volumes": [{"name": "v", "configMap": {"name": "c"}}]}});
    assert_eq!(pod(object, patch), Ok(expected));

    let object = json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
    let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    let deployment = lookup("apps/v1", "Deployment").unwrap();
    let expected = json!({"spec": {"strategy": {"type": "Recreate"}}});
    assert_eq!(strategic_merge_patch(&object, &patch, deployment), Ok(expected));
}

#[test]
fn retain_keys_refuses_members_it_does_not_name() {
    let patch = json!({"spec": {"volumes": [{"$retainKeys": ["name"], "name": "v", "emptyDir": {}}]}});
    let object = json!({"spec": {"volumes": [{"name": "v"}]}});
    assert_eq!(refusal(object, patch), "invalid patch format of retainKeys");
}

#[test]
fn set_element_order_orders_and_keeps_items_of_others_in_place() {
    let object = json!({"spec": {"containers": [{"name": "a"}, {"name": "server"}, {"name": "b"}]}});
    let patch = json!({"spec": {
        "$setElementOrder/containers": [{"name": "b"}, {"name": "new"}, {"name": "a"}],
        "containers": [{"name": "new", "image": "i"}]}});
    let patched = pod(object, patch).unwrap();
    let names: Vec<_> = patched["spec"]["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["name"])
        .collect();
    assert_eq!(names, ["server", "b", "new", "a"]);
}

#[test]
fn set_element_order_alone_only_reorders() {
    let object = json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
    let patch = json!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}});
    assert_eq!(
        pod(object, patch),
        Ok(json!({"spec": {"containers": [{"name": "b"}, {"name": "a"}]}}))
    );
}

#[test]
fn set_element_order_for_a_list_that_is_not_there_adds_it() {
    let patch = json!({"spec": {"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
        "containers": [{"name": "a"}, {"name": "b"}]}});
    let expected = json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
    assert_eq!(pod(json!({"spec": {}}), patch), Ok(expected));
}

#[test]
fn a_patch_out_of_order_is_refused() {
    let patch = json!({"spec": {"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
        "containers": [{"name": "b"}, {"name": "a"}]}});
    assert_eq!(
        refusal(json!({"spec": {"containers": []}}), patch),
        "The order in patch list:\n[map[name:b] map[name:a]]\n doesn't match $setElementOrder list:\n\
         [map[name:a] map[name:b]]\n"
    );
}

#[test]
fn finalizers_are_merged_as_a_set_and_deleted_by_directive() {
    let object = json!({"metadata": {"finalizers": ["a", "b", "c"]}});
    let patch = json!({"metadata": {"finalizers": ["d", "a"]}});
    assert_eq!(
        pod(object.clone(), patch),
        Ok(json!({"metadata": {"finalizers": ["d", "a", "b", "c"]}}))
    );
    let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"],
        "$setElementOrder/finalizers": ["c", "a"]}});
    assert_eq!(
        pod(object, patch),
        Ok(json!({"metadata": {"finalizers": ["c", "a"]}}))
    );
}

#[test]
fn items_without_their_key_and_unknown_directives_are_refused() {
    let object = json!({"spec": {"containers": [{"name": "a"}]}});
    assert_eq!(
        refusal(object.clone(), json!({"spec": {"containers": [{"image": "i"}]}})),
        "map: map[image:i] does not contain declared merge key: name"
    );
    assert_eq!(
        refusal(
            object.clone(),
            json!({"spec": {"containers": [{"name": "a", "$patch": "jump"}]}})
        ),
        "unknown patch type: jump in map: map[$patch:jump name:a]"
    );
    assert_eq!(
        refusal(object, json!({"spec": {"$patch": "merge"}})),
        "unknown patch type: merge in map: map[]"
    );
}

#[test]
fn set_image_and_rollout_restart_change_what_they_name() {
    let deployment = lookup("apps/v1", "Deployment").unwrap();
    let object = json!({"spec": {"template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [
        {"name": "web", "image": "web:1", "ports": [{"containerPort": 80, "protocol": "TCP"}]}, {"name": "side"}]}}}});
    let patch = json!({"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "t"}},
        "spec": {"$setElementOrder/containers": [{"name": "web"}, {"name": "side"}],
            "containers": [{"name": "web", "image": "web:2"}]}}}});
    let expected = json!({"spec": {"template": {
        "metadata": {"labels": {"app": "a"}, "annotations": {"kubectl.kubernetes.io/restartedAt": "t"}},
        "spec": {"containers": [
            {"name": "web", "image": "web:2", "ports": [{"containerPort": 80, "protocol": "TCP"}]}, {"name": "side"}]}}}});
    assert_eq!(strategic_merge_patch(&object, &patch, deployment), Ok(expected));
}

#[test]
fn directives_do_not_end_up_in_new_parts_of_the_object() {
    let patch = json!({"spec": {"affinity": {"$retainKeys": ["nodeAffinity"], "nodeAffinity": {"x": null}},
        "containers": [{"name": "a", "$setElementOrder/env": [{"name": "E"}], "env": [{"name": "E"}]}]}});
    let expected = json!({"spec": {"affinity": {"nodeAffinity": {}},
        "containers": [{"name": "a", "env": [{"name": "E"}]}]}});
    assert_eq!(pod(json!({}), patch), Ok(expected));
}

#[test]
fn a_client_side_apply_that_changes_much_is_merged_as_kubectl_means_it() {
    // Recorded from kubectl 1.33 apply: strategy to Recreate, container `b` gone, `c` new and first, `a` changed.
    let deployment = lookup("apps/v1", "Deployment").unwrap();
    let live = json!({"spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
            {"name": "a", "image": "a:1", "imagePullPolicy": "Always"}, {"name": "b", "image": "b:1"}]}}}});
    let patch = json!({"spec": {"replicas": 2, "strategy": {"$retainKeys": ["type"], "type": "Recreate"},
        "template": {"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}], "containers": [
            {"image": "c:1", "name": "c"}, {"image": "a:2", "name": "a", "ports": [{"containerPort": 80}]},
            {"$patch": "delete", "name": "b"}]}}}});
    let expected = json!({"spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"type": "Recreate"},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
            {"name": "c", "image": "c:1"},
            {"name": "a", "image": "a:2", "imagePullPolicy": "Always", "ports": [{"containerPort": 80}]}]}}}});
    assert_eq!(strategic_merge_patch(&live, &patch, deployment), Ok(expected));
}

#[test]
fn a_null_list_beside_its_order_clears_it() {
    let patch = json!({"metadata": {"$setElementOrder/finalizers": [], "finalizers": null}});
    let object = json!({"metadata": {"finalizers": ["a"], "name": "p"}});
    assert_eq!(pod(object, patch), Ok(json!({"metadata": {"name": "p"}})));
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn list() -> impl Strategy<Value = Vec<Value>> {
        let env = prop::collection::btree_map("[A-C]", "[xy]", 0..3).prop_map(|map| {
            map.iter()
                .map(|(name, value)| json!({"name": name, "value": value}))
                .collect::<Vec<_>>()
        });
        prop::collection::btree_map("[a-d]", (env, prop::option::of("[12]")), 0..4)
            .prop_map(|map| {
                map.into_iter()
                    .map(|(name, (env, image))| match image {
                        Some(image) => json!({"name": name, "env": env, "image": image}),
                        None => json!({"name": name, "env": env}),
                    })
                    .collect::<Vec<_>>()
            })
            .prop_shuffle()
    }

    /// Patches with directives in places good and bad.
    fn wild() -> impl Strategy<Value = Value> {
        let names = prop::sample::select(vec![
            "name",
            "env",
            "containers",
            "spec",
            "metadata",
            "finalizers",
            "$patch",
            "$retainKeys",
            "$setElementOrder/containers",
            "$setElementOrder/finalizers",
            "$deleteFromPrimitiveList/finalizers",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..3).prop_map(Value::from),
            prop::sample::select(vec!["a", "b", "replace", "delete", "merge"]).prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::btree_map(names.clone().prop_map(str::to_owned), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn of(list: &[Value]) -> Value {
        json!({"spec": {"containers": list}})
    }

    proptest! {
        #[test]
        fn patching_twice_is_patching_once(live in list(), patch in list()) {
            let once = pod(of(&live), of(&patch)).unwrap();
            prop_assert_eq!(pod(once.clone(), of(&patch)).unwrap(), once);
        }

        #[test]
        fn an_object_is_its_own_patch(live in list()) {
            prop_assert_eq!(pod(of(&live), of(&live)).unwrap(), of(&live));
        }

        #[test]
        fn the_order_given_is_the_order_got(live in list(), wanted in list()) {
            let name = |item: &Value| json!({"name": item["name"]});
            let mut patch = of(&wanted);
            patch["spec"]["$setElementOrder/containers"] = wanted.iter().map(name).collect();
            let patched = pod(of(&live), patch).unwrap();
            let got: Vec<Value> = patched["spec"]["containers"].as_array().into_iter().flatten()
                .map(name).filter(|item| wanted.iter().any(|other| name(other) == *item)).collect();
            prop_assert_eq!(got, wanted.iter().map(name).collect::<Vec<_>>());
        }

        #[test]
        fn no_patch_makes_it_panic(live in wild(), patch in wild()) {
            let _ = pod(live, patch);
        }
    }
}
