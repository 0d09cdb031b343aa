use serde_json::json;

use super::*;
use crate::lookup;

fn deployment() -> Type {
    lookup("apps/v1", "Deployment").unwrap()
}

fn strict(json: &str, ty: Option<Type>) -> Vec<String> {
    decode(json.as_bytes(), ty)
        .unwrap()
        .1
        .into_iter()
        .map(|error| error.0)
        .collect()
}

fn refusal(value: Value, ty: Type) -> String {
    match decode(value.to_string().as_bytes(), Some(ty)) {
        Err(PatchError::BadRequest(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn unknown_and_duplicate_fields_are_reported_with_their_path() {
    let json = r#"{"apiVersion":"apps/v1","kind":"Deployment","foo":1,
        "metadata":{"name":"a","labels":{"x":"1","x":"2"}},
        "spec":{"replicas":1,"replicas":2,"bar":{"a":1,"a":2},
          "template":{"spec":{"containers":[{"name":"c","imagePullPolice":"Always"}]}}}}"#;
    let (value, errors) = decode(json.as_bytes(), Some(deployment())).unwrap();
    let errors: Vec<&str> = errors.iter().map(|error| error.0.as_str()).collect();
    assert_eq!(
        errors,
        [
            r#"unknown field "foo""#,
            r#"duplicate field "metadata.labels.x""#,
            r#"duplicate field "spec.replicas""#,
            r#"unknown field "spec.bar""#,
            r#"unknown field "spec.template.spec.containers[0].imagePullPolice""#,
        ]
    );
    assert_eq!(
        value,
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "a", "labels": {"x": "2"}},
            "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "c"}]}}},
        })
    );
}

#[test]
fn without_a_type_only_duplicates_are_reported() {
    let errors = strict(r#"{"spec":{"a":1,"b":[{"c":1,"c":2}],"a":null}}"#, None);
    assert_eq!(
        errors,
        [r#"duplicate field "spec.b[0].c""#, r#"duplicate field "spec.a""#]
    );
}

#[test]
fn a_field_given_twice_is_a_duplicate_even_when_one_is_null() {
    assert_eq!(
        strict(r#"{"spec":{"replicas":null,"replicas":1}}"#, Some(deployment())),
        [r#"duplicate field "spec.replicas""#]
    );
}

#[test]
fn wrong_types_are_worded_as_go_words_them() {
    let of = deployment();
    let container = |container: Value| json!({"spec": {"template": {"spec": {"containers": [container]}}}});
    for (value, message) in [
        (
            json!({"spec": {"replicas": "3"}}),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            json!({"spec": {"replicas": 3000000000_i64}}),
            "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            json!({"spec": {"replicas": 1.5}}),
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            json!({"metadata": {"labels": {"a": 1}}}),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            container(json!({"env": [{"name": "A", "value": true}]})),
            "json: cannot unmarshal bool into Go struct field \
             EnvVar.spec.template.spec.containers.env.value of type string",
        ),
        (
            json!({"spec": {"template": {"spec": {"containers": {"name": "c"}}}}}),
            "json: cannot unmarshal object into Go struct field \
             PodSpec.spec.template.spec.containers of type []v1.Container",
        ),
        (
            json!({"spec": []}),
            "json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec",
        ),
        (
            json!([]),
            "json: cannot unmarshal array into Go value of type v1.Deployment",
        ),
        (
            json!({"spec": {"strategy": {"rollingUpdate": {"maxSurge": true}}}}),
            "json: cannot unmarshal bool into Go value of type int32",
        ),
        (
            container(json!({"resources": {"limits": {"cpu": "lots"}}})),
            "quantities must match the regular expression \
             '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            json!({"metadata": {"creationTimestamp": "today"}}),
            "parsing time \"today\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"today\" as \"2006\"",
        ),
    ] {
        assert_eq!(refusal(value, of), message);
    }
    let secret = lookup("v1", "Secret").unwrap();
    assert_eq!(
        refusal(json!({"data": {"a": "a*b="}}), secret),
        "illegal base64 data at input byte 1"
    );
}

#[test]
fn values_get_the_form_in_which_kubernetes_stores_them() {
    let pod = lookup("v1", "Pod").unwrap();
    let json = json!({
        "metadata": {"creationTimestamp": null, "deletionTimestamp": "2024-05-01T12:00:00.7+02:00"},
        "spec": {
            "nodeName": null,
            "containers": [{
                "name": "c", "args": ["a", null],
                "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}, "requests": {"cpu": 2}},
                "livenessProbe": {"httpGet": {"port": "http"}, "periodSeconds": null},
                "readinessProbe": {"tcpSocket": {"port": 80}},
            }],
        },
    });
    let (value, errors) = decode(json.to_string().as_bytes(), Some(pod)).unwrap();
    assert_eq!(errors, []);
    let expected = json!({
        "metadata": {"deletionTimestamp": "2024-05-01T10:00:00Z"},
        "spec": {
            "containers": [{
                "name": "c", "args": ["a", ""],
                "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "2"}},
                "livenessProbe": {"httpGet": {"port": "http"}},
                "readinessProbe": {"tcpSocket": {"port": 80}},
            }],
        },
    });
    assert_eq!(value, expected);
}

#[test]
fn micro_times_keep_six_digits() {
    let lease = lookup("coordination.k8s.io/v1", "Lease").unwrap();
    let json =
        br#"{"spec":{"renewTime":"2024-05-01T12:00:00Z","acquireTime":"2024-05-01T12:00:00.123456Z"}}"#;
    let (value, _) = decode(json, Some(lease)).unwrap();
    let spec =
        json!({"renewTime": "2024-05-01T12:00:00.000000Z", "acquireTime": "2024-05-01T12:00:00.123456Z"});
    assert_eq!(value["spec"], spec);
}

#[test]
fn raw_objects_are_kept_untouched() {
    let revision = lookup("apps/v1", "ControllerRevision").unwrap();
    let data = json!({"spec": {"template": {"$patch": "replace", "x": null}}});
    let json = json!({"revision": 1, "data": data,
        "metadata": {"managedFields": [{"manager": "m", "fieldsV1": {"f:data": {".": {}, "f:x": {}}}}]}});
    let (value, errors) = decode(json.to_string().as_bytes(), Some(revision)).unwrap();
    assert_eq!((value, errors), (json, vec![]));
}

#[test]
fn malformed_json_is_a_bad_request() {
    for json in ["", "{", "{} {}", r#"{"a":}"#] {
        assert!(
            matches!(decode(json.as_bytes(), None), Err(PatchError::BadRequest(_))),
            "{json}"
        );
    }
}

#[test]
fn whole_floats_from_yaml_are_integers() {
    let mut value = json!({"spec": {"replicas": 3.0}});
    assert_eq!(prune(&mut value, deployment()), Ok(vec![]));
    assert_eq!(value, json!({"spec": {"replicas": 3}}));
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// Pods with values right and wrong in right and wrong places.
    fn wild() -> impl Strategy<Value = Value> {
        let names = prop::sample::select(vec![
            "metadata",
            "labels",
            "creationTimestamp",
            "spec",
            "containers",
            "name",
            "resources",
            "limits",
            "cpu",
            "livenessProbe",
            "httpGet",
            "port",
            "args",
            "status",
            "conditions",
            "bogus",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-10.0..10.0).prop_map(|number: f64| json!(number)),
            prop::sample::select(vec!["", "a", "500m", "0.5", "2024-05-01T12:00:00+02:00"])
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 32, 4, move |inner| {
            prop_oneof![
                1 => prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
                3 => prop::collection::btree_map(names.clone().prop_map(str::to_owned), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn pruning_twice_is_pruning_once(value in wild()) {
            let pod = lookup("v1", "Pod").unwrap();
            let mut once = value.clone();
            if prune(&mut once, pod).is_ok() {
                let mut twice = once.clone();
                prop_assert_eq!(prune(&mut twice, pod), Ok(vec![]));
                prop_assert_eq!(twice, once);
            }
        }

        #[test]
        fn bytes_and_parsed_values_are_decoded_alike(value in wild()) {
            let pod = lookup("v1", "Pod").unwrap();
            if let Ok((decoded, errors)) = decode(value.to_string().as_bytes(), Some(pod)) {
                let mut pruned = value.clone();
                prop_assert_eq!(prune(&mut pruned, pod), Ok(errors));
                prop_assert_eq!(pruned, decoded);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes, lookup("v1", "Pod"));
        }
    }
}
