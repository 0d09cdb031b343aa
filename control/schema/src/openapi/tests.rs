use std::collections::BTreeSet;

use super::*;

const ALL: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
const CHANGE: &[&str] = &["get", "patch", "update"];

fn rows() -> Vec<Row<'static>> {
    let row = |group, version, kind, plural, namespaced, subresources| Row {
        group,
        version,
        kind,
        plural,
        namespaced,
        verbs: ALL,
        subresources,
    };
    let sub = |name, gvk, verbs| Subresource { name, gvk, verbs };
    vec![
        row(
            "",
            "v1",
            "Pod",
            "pods",
            true,
            vec![
                sub("status", ("", "v1", "Pod"), CHANGE),
                sub("log", ("", "v1", "Pod"), &["get"]),
                sub("exec", ("", "v1", "PodExecOptions"), &["create", "get"]),
                sub("eviction", ("policy", "v1", "Eviction"), &["create"]),
                sub("binding", ("", "v1", "Binding"), &["create"]),
            ],
        ),
        row(
            "",
            "v1",
            "Node",
            "nodes",
            false,
            vec![sub("proxy", ("", "v1", "NodeProxyOptions"), &["get", "create"])],
        ),
        row("", "v1", "ConfigMap", "configmaps", true, vec![]),
        row(
            "apps",
            "v1",
            "Deployment",
            "deployments",
            true,
            vec![
                sub("status", ("apps", "v1", "Deployment"), CHANGE),
                sub("scale", ("autoscaling", "v1", "Scale"), CHANGE),
            ],
        ),
        row(
            "rbac.authorization.k8s.io",
            "v1",
            "ClusterRole",
            "clusterroles",
            false,
            vec![],
        ),
        row("example.com", "v1", "Unknown", "unknowns", true, vec![]),
        row(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
            false,
            vec![],
        ),
    ]
}

fn v3_of(group: &str) -> Value {
    serde_json::from_slice(&v3(group, "v1", &rows())).unwrap()
}

fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(map) => {
            if let Some(name) = map.get("$ref").and_then(Value::as_str) {
                found.insert(name);
            }
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    for group in [
        "",
        "apps",
        "rbac.authorization.k8s.io",
        "example.com",
        "apiextensions.k8s.io",
    ] {
        let document = v3_of(group);
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        for name in found {
            assert!(document.pointer(name.trim_start_matches('#')).is_some(), "{name}");
        }
    }
    let document: Value = serde_json::from_slice(&v2(&rows())).unwrap();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 100);
    for name in found {
        assert!(document.pointer(name.trim_start_matches('#')).is_some(), "{name}");
    }
}

#[test]
fn paths_are_those_of_the_api() {
    let document = v3_of("");
    let paths: Vec<&str> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let mut expected = vec![
        "/api/v1/",
        "/api/v1/configmaps",
        "/api/v1/namespaces/{namespace}/configmaps",
        "/api/v1/namespaces/{namespace}/configmaps/{name}",
        "/api/v1/namespaces/{namespace}/pods",
        "/api/v1/namespaces/{namespace}/pods/{name}",
        "/api/v1/namespaces/{namespace}/pods/{name}/binding",
        "/api/v1/namespaces/{namespace}/pods/{name}/eviction",
        "/api/v1/namespaces/{namespace}/pods/{name}/exec",
        "/api/v1/namespaces/{namespace}/pods/{name}/log",
        "/api/v1/namespaces/{namespace}/pods/{name}/status",
        "/api/v1/nodes",
        "/api/v1/nodes/{name}",
        "/api/v1/nodes/{name}/proxy",
        "/api/v1/nodes/{name}/proxy/{path}",
        "/api/v1/pods",
    ];
    expected.sort_unstable();
    let mut paths = paths;
    paths.sort_unstable();
    assert_eq!(paths, expected);
}

#[test]
fn kubectl_finds_field_validation_on_the_patch_of_a_kind() {
    let document = v3_of("apps");
    let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    let gvk = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
    assert_eq!(patch["x-kubernetes-group-version-kind"], gvk);
    assert_eq!(patch["operationId"], "patchAppsV1NamespacedDeployment");
    let names: Vec<_> = patch["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["dryRun", "fieldManager", "fieldValidation", "force"]);
    let content = patch["requestBody"]["content"].as_object().unwrap();
    assert!(content.contains_key("application/apply-patch+yaml"));
    let role =
        &v3_of("rbac.authorization.k8s.io")["paths"]["/apis/rbac.authorization.k8s.io/v1/clusterroles"];
    assert_eq!(role["get"]["operationId"], "listRbacAuthorizationV1ClusterRole");
    assert_eq!(role["get"]["tags"], json!(["rbacAuthorization_v1"]));
}

#[test]
fn schemas_have_sentences_and_what_patches_need() {
    let document = v3_of("apps");
    let schemas = &document["components"]["schemas"];
    let deployment = &schemas["io.k8s.api.apps.v1.Deployment"];
    let gvk = json!([{"group": "apps", "version": "v1", "kind": "Deployment"}]);
    assert_eq!(deployment["x-kubernetes-group-version-kind"], gvk);
    assert!(
        deployment["description"]
            .as_str()
            .unwrap()
            .starts_with("Deployment enables")
    );
    let spec = &deployment["properties"]["spec"];
    assert_eq!(
        spec["allOf"],
        json!([{"$ref": "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"}])
    );
    assert!(spec["description"].is_string());
    let strategy = &schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["strategy"];
    assert_eq!(strategy["x-kubernetes-patch-strategy"], "retainKeys");
    let ports = &schemas["io.k8s.api.core.v1.Container"]["properties"]["ports"];
    assert_eq!(ports["x-kubernetes-patch-merge-key"], "containerPort");
    assert_eq!(ports["x-kubernetes-list-type"], "map");
    assert_eq!(
        ports["x-kubernetes-list-map-keys"],
        json!(["containerPort", "protocol"])
    );
    let int_or_string = &schemas["io.k8s.apimachinery.pkg.util.intstr.IntOrString"];
    assert_eq!(int_or_string["format"], "int-or-string");
    assert_eq!(
        schemas["io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector"]["x-kubernetes-map-type"],
        "atomic"
    );
    assert!(schemas["io.k8s.api.apps.v1.DeploymentList"]["properties"]["items"].is_object());
    assert!(schemas["io.k8s.api.autoscaling.v1.Scale"].is_object());
}

#[test]
fn every_type_and_field_of_the_main_kinds_is_described() {
    for group in ["", "apps"] {
        let document = v3_of(group);
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            if name.contains("meta.v1.WatchEvent") || name.contains("RawExtension") || name.ends_with("Patch")
            {
                continue;
            }
            assert!(schema["description"].is_string(), "{name}");
            for (field, property) in schema["properties"].as_object().into_iter().flatten() {
                assert!(property["description"].is_string(), "{name}.{field}");
            }
        }
    }
}

#[test]
fn the_index_names_documents_by_their_hash() {
    let document = v3("apps", "v1", &rows());
    let index = v3_index([("apis/apps/v1", hash(&document).as_str())]);
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
        .as_str()
        .unwrap();
    let (path, hash) = url.split_once("?hash=").unwrap();
    assert_eq!(path, "/openapi/v3/apis/apps/v1");
    assert_eq!(hash.len(), 128);
    assert_eq!(v3("apps", "v1", &rows()), document);
}

/// The fields of a protobuf message: number and bytes (of varints: their value).
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        match tag & 7 {
            0 => fields.push((tag >> 3, varint(&mut bytes).to_le_bytes().to_vec())),
            2 => {
                let length = varint(&mut bytes) as usize;
                fields.push((tag >> 3, bytes[..length].to_vec()));
                bytes = &bytes[length..];
            }
            other => panic!("wire type {other}"),
        }
    }
    fields
}

#[test]
fn the_protobuf_document_holds_what_the_json_one_holds() {
    let document: Value = serde_json::from_slice(&v2(&rows())).unwrap();
    let encoded = fields(&v2_protobuf(&rows()));
    let get = |field: u64| {
        encoded
            .iter()
            .find(|(number, _)| *number == field)
            .unwrap()
            .1
            .as_slice()
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(text(get(1)), "2.0");
    let names = |bytes: &[u8]| -> BTreeSet<String> {
        fields(bytes)
            .iter()
            .map(|(_, pair)| text(&fields(pair)[0].1))
            .collect()
    };
    let expected = |member: &str| -> BTreeSet<String> {
        document[member].as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(names(get(8)), expected("paths"));
    assert_eq!(names(get(9)), expected("definitions"));

    let definitions = fields(get(9));
    let deployment = definitions
        .iter()
        .map(|(_, pair)| fields(pair))
        .find(|pair| text(&pair[0].1) == "io.k8s.api.apps.v1.Deployment")
        .unwrap();
    let schema = fields(&deployment[1].1);
    let extension = fields(&schema.iter().find(|(number, _)| *number == 31).unwrap().1);
    assert_eq!(text(&extension[0].1), "x-kubernetes-group-version-kind");
    let yaml = text(&fields(&extension[1].1)[0].1);
    let gvk: Value = serde_json::from_str(&yaml).unwrap();
    assert_eq!(
        gvk,
        json!([{"group": "apps", "version": "v1", "kind": "Deployment"}])
    );
}
