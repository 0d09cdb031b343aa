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
