//! What writes mean: validation, dry run, field validation, services, finalizers, sub-resources, rights.

mod support;

use serde_json::{Value, json};
use support::{Client, Cluster};

const DEFAULT: &str = "/api/v1/namespaces/default";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn deployment(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
}

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

async fn service_account(client: &Client) -> anyhow::Result<()> {
    let made = client
        .post(
            &format!("{DEFAULT}/serviceaccounts"),
            &json!({"metadata": {"name": "default"}}),
        )
        .await?;
    anyhow::ensure!(made.code == 201, "{:?}", made.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn field_validation_ignores_warns_or_refuses() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    let mut object = deployment("a");
    object["spec"]["foo"] = json!(1);
    let strict = client
        .post(&format!("{DEPLOYMENTS}?fieldValidation=Strict"), &object)
        .await?;
    assert_eq!(strict.code, 400);
    assert_eq!(
        strict.json()["message"],
        "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: unknown field \"spec.foo\""
    );
    let warned = client.post(&format!("{DEPLOYMENTS}?dryRun=All"), &object).await?;
    assert_eq!(warned.code, 201, "{:?}", warned.body);
    assert_eq!(
        warned.headers["warning"],
        "299 - \"unknown field \\\"spec.foo\\\"\""
    );
    assert!(warned.json()["spec"].get("foo").is_none());
    assert_eq!(client.get(&format!("{DEPLOYMENTS}/a")).await?.code, 404);
    let ignored = client
        .post(&format!("{DEPLOYMENTS}?fieldValidation=Ignore"), &object)
        .await?;
    assert_eq!(ignored.code, 201);
    assert!(ignored.headers.get("warning").is_none());
    let wrong = json!({"metadata": {"name": "b"}, "spec": {"replicas": "two"}});
    assert_eq!(client.post(DEPLOYMENTS, &wrong).await?.code, 400);
    let empty = client
        .post(DEPLOYMENTS, &json!({"metadata": {"name": "b"}, "spec": {}}))
        .await?;
    assert_eq!(
        (empty.code, empty.json()["reason"].as_str()),
        (422, Some("Invalid"))
    );
    let media = client
        .send("POST", DEPLOYMENTS, &[("content-type", "text/plain")], "x")
        .await?;
    assert_eq!(media.code, 415);
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn yaml_bodies_and_server_side_apply_create_objects() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  a: b\n";
    let path = format!("{DEFAULT}/configmaps");
    let made = client
        .send("POST", &path, &[("content-type", "application/yaml")], yaml)
        .await?;
    assert_eq!(made.code, 201, "{:?}", made.body);
    let apply = [("content-type", "application/apply-patch+yaml")];
    let ssa = yaml.replace("name: yaml", "name: ssa");
    let path = format!("{DEFAULT}/configmaps/ssa");
    assert_eq!(client.send("PATCH", &path, &apply, ssa.clone()).await?.code, 422);
    let path = format!("{path}?fieldManager=one");
    let made = client.send("PATCH", &path, &apply, ssa.clone()).await?;
    assert_eq!(made.code, 201, "{:?}", made.body);
    let made = made.json();
    assert_eq!(made["metadata"]["managedFields"][0]["manager"], "one");
    assert_eq!(made["metadata"]["managedFields"][0]["operation"], "Apply");
    let again = client.send("PATCH", &path, &apply, ssa.clone()).await?;
    assert_eq!(again.code, 200);
    assert_eq!(
        again.json()["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );
    let other = path.replace("one", "two");
    let conflict = client
        .send("PATCH", &other, &apply, ssa.replace("a: b", "a: c"))
        .await?;
    assert_eq!(conflict.code, 409);
    let conflict = conflict.json();
    assert_eq!(conflict["details"]["causes"][0]["reason"], "FieldManagerConflict");
    assert_eq!(conflict["details"]["causes"][0]["field"], ".data.a");
    let forced = client
        .send(
            "PATCH",
            &format!("{other}&force=true"),
            &apply,
            ssa.replace("a: b", "a: c"),
        )
        .await?;
    assert_eq!(forced.json()["data"]["a"], "c");
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn services_get_addresses_that_nobody_else_has() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    let path = format!("{DEFAULT}/services");
    let kubernetes = client.get(&format!("{path}/kubernetes")).await?.json();
    assert_eq!(kubernetes["spec"]["clusterIP"], "10.96.0.1");
    let service = |name: &str, kind: &str| json!({"metadata": {"name": name}, "spec": {"type": kind, "selector": {"a": "b"}, "ports": [{"port": 80}]}});
    let mut addresses = std::collections::BTreeSet::new();
    for i in 0..20 {
        let made = client.post(&path, &service(&format!("s{i}"), "NodePort")).await?;
        assert_eq!(made.code, 201, "{:?}", made.body);
        let made = made.json();
        addresses.insert(made["spec"]["clusterIP"].as_str().unwrap().to_owned());
        let port = made["spec"]["ports"][0]["nodePort"].as_u64().unwrap();
        assert!((30000..=32767).contains(&port));
        assert_eq!(made["spec"]["clusterIPs"][0], made["spec"]["clusterIP"]);
    }
    assert_eq!(addresses.len(), 20);
    let mut taken = service("t", "ClusterIP");
    taken["spec"]["clusterIP"] = json!("10.96.0.1");
    let refused = client.post(&path, &taken).await?;
    assert_eq!(refused.code, 422);
    assert!(
        refused.json()["message"]
            .as_str()
            .unwrap()
            .contains("provided IP is already allocated")
    );
    // An address is free again when its service is gone, and a PUT without addresses keeps them.
    let first = client.get(&format!("{path}/s0")).await?.json();
    let mut bare = service("s0", "NodePort");
    bare["spec"]["ports"][0]["name"] = json!("web");
    let kept = client.put(&format!("{path}/s0"), &bare).await?.json();
    assert_eq!(kept["spec"]["clusterIP"], first["spec"]["clusterIP"]);
    assert_eq!(
        kept["spec"]["ports"][0]["nodePort"],
        first["spec"]["ports"][0]["nodePort"]
    );
    let plain = client
        .patch(
            &format!("{path}/s0"),
            "merge-patch+json",
            &json!({"spec": {"type": "ClusterIP"}}),
        )
        .await?;
    assert!(
        plain.json()["spec"]["ports"][0].get("nodePort").is_none(),
        "{:?}",
        plain.body
    );
    client.delete(&format!("{path}/s0"), &json!({})).await?;
    let mut again = service("u", "NodePort");
    again["spec"]["clusterIP"] = first["spec"]["clusterIP"].clone();
    again["spec"]["ports"][0]["nodePort"] = first["spec"]["ports"][0]["nodePort"].clone();
    let again = client.post(&path, &again).await?;
    assert_eq!(again.code, 201, "{:?}", again.body);
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn services_have_addresses_of_the_families_they_ask_for() -> anyhow::Result<()> {
    let cluster = Cluster::start_with_services("10.96.0.0/24,fd00:96::/112").await?;
    let client = cluster.admin()?;
    let path = format!("{DEFAULT}/services");
    let service = |name: &str, more: Value| {
        let mut spec = json!({"selector": {"a": "b"}, "ports": [{"port": 80}]});
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        json!({"metadata": {"name": name}, "spec": spec})
    };
    let single = client.post(&path, &service("single", json!({}))).await?.json();
    assert_eq!(single["spec"]["ipFamilyPolicy"], "SingleStack");
    assert_eq!(single["spec"]["ipFamilies"], json!(["IPv4"]));
    let dual = service("dual", json!({"ipFamilyPolicy": "PreferDualStack"}));
    let dual = client.post(&path, &dual).await?.json();
    assert_eq!(dual["spec"]["ipFamilies"], json!(["IPv4", "IPv6"]));
    let second = dual["spec"]["clusterIPs"][1].as_str().unwrap().to_owned();
    assert!(second.starts_with("fd00:96::"), "{second}");
    assert_eq!(dual["spec"]["clusterIP"], dual["spec"]["clusterIPs"][0]);

    // The second address comes and goes by the policy, and is another's only then. It is the same however it is written.
    let long = second.replace("::", ":0:0:0:0:0:");
    let wanting = service("wanting", json!({"clusterIP": long}));
    let refused = client.post(&path, &wanting).await?;
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("provided IP is already allocated"), "{message}");
    let policy = async |name: &str, policy: &str| {
        let patch = json!({"spec": {"ipFamilyPolicy": policy}});
        client
            .patch(&format!("{path}/{name}"), "merge-patch+json", &patch)
            .await
    };
    let less = policy("dual", "SingleStack").await?.json();
    assert_eq!(less["spec"]["clusterIPs"], json!([dual["spec"]["clusterIP"]]));
    assert_eq!(less["spec"]["ipFamilies"], json!(["IPv4"]));
    assert_eq!(client.post(&path, &wanting).await?.code, 201);
    let more = policy("single", "RequireDualStack").await?.json();
    assert_eq!(more["spec"]["clusterIPs"].as_array().map(Vec::len), Some(2));
    assert_eq!(more["spec"]["clusterIP"], single["spec"]["clusterIP"]);

    // A client that knows of one address only keeps both; one that changes the second is told.
    let mut old = service("single", json!({"clusterIP": more["spec"]["clusterIP"]}));
    old["spec"]["ports"][0]["name"] = json!("web");
    let kept = client.put(&format!("{path}/single"), &old).await?;
    assert_eq!(
        kept.json()["spec"]["clusterIPs"],
        more["spec"]["clusterIPs"],
        "{:?}",
        kept.body
    );
    let mut other = kept.json();
    other["spec"]["clusterIPs"][1] = json!("fd00:96::fff");
    let refused = client.put(&format!("{path}/single"), &other).await?;
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("spec.clusterIPs[1]") && message.contains("may not change once set"),
        "{message}"
    );
    let outside = service("outside", json!({"clusterIP": "fd00:97::1"}));
    let refused = client.post(&path, &outside).await?;
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("The range of valid IPs is fd00:96::/112"),
        "{message}"
    );
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_completed_bound_and_deleted_with_grace() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    let path = format!("{DEFAULT}/pods");
    let early = client.post(&path, &pod("a")).await?;
    assert_eq!(early.code, 403);
    assert_eq!(
        early.json()["message"],
        "pods \"a\" is forbidden: error looking up service account default/default: serviceaccount \"default\" not found"
    );
    service_account(&client).await?;
    let made = client.post(&path, &pod("a")).await?;
    assert_eq!(made.code, 201, "{:?}", made.body);
    let made = made.json();
    assert_eq!(made["spec"]["serviceAccountName"], "default");
    assert!(
        made["spec"]["volumes"][0]["name"]
            .as_str()
            .unwrap()
            .starts_with("kube-api-access-")
    );
    assert_eq!(made["spec"]["priority"], 0);
    assert_eq!(made["spec"]["tolerations"].as_array().unwrap().len(), 2);
    assert_eq!(made["status"]["phase"], "Pending");
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "a"},
        "target": {"kind": "Node", "name": "n1"}});
    let misshapen = [
        (
            json!({"target": {"name": "n1"}}),
            "name in URL does not match name in Binding object",
        ),
        (
            json!({"metadata": {"name": "b"}, "target": {"name": "n1"}}),
            "name in URL does not match name in Binding object",
        ),
        (json!({"metadata": {"name": "a"}}), "target.name: Required value"),
        (
            json!({"metadata": {"name": "a"}, "target": {"kind": "Pod"}}),
            "[target.kind: Unsupported value: \"Pod\": supported values: \"Node\", \"<empty>\", \
             target.name: Required value]",
        ),
    ];
    for (body, why) in misshapen {
        let refused = client.post(&format!("{path}/a/binding"), &body).await?;
        assert_eq!(
            (refused.code, refused.json()["message"].as_str()),
            (400, Some(why)),
            "{body}"
        );
    }
    let of_another = json!({"metadata": {"name": "a", "uid": "other"}, "target": {"name": "n1"}});
    let refused = client.post(&format!("{path}/a/binding"), &of_another).await?;
    assert_eq!(
        (refused.code, refused.json()["reason"].as_str()),
        (409, Some("Conflict"))
    );
    let bound = client.post(&format!("{path}/a/binding"), &binding).await?;
    assert_eq!(bound.code, 201, "{:?}", bound.body);
    assert_eq!(
        client.post(&format!("{path}/a/binding"), &binding).await?.code,
        409
    );
    let live = client.get(&format!("{path}/a")).await?.json();
    assert_eq!(live["spec"]["nodeName"], "n1");
    assert_eq!(live["status"]["conditions"][0]["type"], "PodScheduled");
    let selected = client
        .get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1")
        .await?
        .json();
    assert_eq!(selected["items"].as_array().unwrap().len(), 1);
    let bad = client.get("/api/v1/pods?fieldSelector=spec.foo%3Dn1").await?;
    assert_eq!(bad.code, 400);
    // Logs need the node.
    let logs = client.get(&format!("{path}/a/log")).await?;
    assert_eq!(
        (logs.code, logs.json()["reason"].as_str()),
        (503, Some("ServiceUnavailable"))
    );
    let deleting = client.delete(&format!("{path}/a"), &json!({})).await?.json();
    assert_eq!(deleting["kind"], "Pod");
    assert_eq!(deleting["metadata"]["deletionGracePeriodSeconds"], 30);
    let status = client
        .patch(
            &format!("{path}/a/status"),
            "merge-patch+json",
            &json!({"status": {"phase": "Running"}}),
        )
        .await?;
    assert_eq!(status.json()["status"]["phase"], "Running", "{:?}", status.body);
    let gone = client
        .delete(&format!("{path}/a"), &json!({"gracePeriodSeconds": 0}))
        .await?;
    assert_eq!(gone.code, 200);
    assert_eq!(client.get(&format!("{path}/a")).await?.code, 404);
    // A pod without a node goes at once.
    client.post(&path, &pod("b")).await?;
    client.delete(&format!("{path}/b"), &json!({})).await?;
    assert_eq!(client.get(&format!("{path}/b")).await?.code, 404);
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn finalizers_hold_an_object() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    let made = client.post(DEPLOYMENTS, &deployment("a")).await?;
    assert_eq!(made.code, 201, "{:?}", made.body);
    let path = format!("{DEPLOYMENTS}/a");
    let waits = client
        .delete(&path, &json!({"propagationPolicy": "Foreground"}))
        .await?;
    assert_eq!(waits.code, 200);
    let live = client.get(&path).await?.json();
    assert_eq!(live["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    assert!(live["metadata"]["deletionTimestamp"].is_string());
    let done = client
        .patch(
            &path,
            "json-patch+json",
            &json!([{"op": "remove", "path": "/metadata/finalizers"}]),
        )
        .await?;
    assert_eq!(done.code, 200, "{:?}", done.body);
    assert_eq!(client.get(&path).await?.code, 404);
    let uid = json!({"preconditions": {"uid": "other"}});
    client.post(DEPLOYMENTS, &deployment("a")).await?;
    assert_eq!(client.delete(&path, &uid).await?.code, 409);
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_scaled_and_its_status_is_apart() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    let made = client.post(DEPLOYMENTS, &deployment("a")).await?.json();
    assert_eq!(made["metadata"]["generation"], 1);
    let path = format!("{DEPLOYMENTS}/a");
    let scale = client.get(&format!("{path}/scale")).await?.json();
    assert_eq!(
        (scale["kind"].as_str(), scale["spec"]["replicas"].as_i64()),
        (Some("Scale"), Some(2))
    );
    assert_eq!(scale["status"]["selector"], "app=a");
    let scaled = client
        .patch(
            &format!("{path}/scale"),
            "merge-patch+json",
            &json!({"spec": {"replicas": 5}}),
        )
        .await?;
    assert_eq!(scaled.json()["spec"]["replicas"], 5);
    let mut live = client.get(&path).await?.json();
    assert_eq!(
        (
            live["spec"]["replicas"].as_i64(),
            live["metadata"]["generation"].as_i64()
        ),
        (Some(5), Some(2))
    );
    live["status"] = json!({"replicas": 3});
    live["spec"]["replicas"] = json!(9);
    let status = client.put(&format!("{path}/status"), &live).await?.json();
    assert_eq!(
        (
            status["spec"]["replicas"].as_i64(),
            status["status"]["replicas"].as_i64()
        ),
        (Some(5), Some(3))
    );
    assert_eq!(status["metadata"]["generation"], 2);
    let strategic = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "new"}]}}}});
    let patched = client
        .patch(&path, "strategic-merge-patch+json", &strategic)
        .await?
        .json();
    assert_eq!(
        patched["spec"]["template"]["spec"]["containers"][0]["image"],
        "new"
    );
    assert_eq!(
        patched["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"],
        "Always"
    );
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_ends_when_its_finalizers_do() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    let missing = client
        .post(
            "/api/v1/namespaces/x/configmaps",
            &json!({"metadata": {"name": "a"}}),
        )
        .await?;
    assert_eq!(
        (missing.code, missing.json()["message"].as_str()),
        (404, Some("namespaces \"x\" not found"))
    );
    client
        .post("/api/v1/namespaces", &json!({"metadata": {"name": "x"}}))
        .await?;
    let going = client.delete("/api/v1/namespaces/x", &json!({})).await?.json();
    assert_eq!(going["status"]["phase"], "Terminating", "{going}");
    let refused = client
        .post(
            "/api/v1/namespaces/x/configmaps",
            &json!({"metadata": {"name": "a"}}),
        )
        .await?;
    assert_eq!(refused.code, 403);
    assert_eq!(
        refused.json()["details"]["causes"][0]["reason"],
        "NamespaceTerminating"
    );
    let mut live = client.get("/api/v1/namespaces/x").await?.json();
    live["spec"]["finalizers"] = json!([]);
    let done = client.put("/api/v1/namespaces/x/finalize", &live).await?;
    assert_eq!(done.code, 200, "{:?}", done.body);
    assert_eq!(client.get("/api/v1/namespaces/x").await?.code, 404);
    assert_eq!(
        client
            .delete("/api/v1/namespaces/default", &json!({}))
            .await?
            .code,
        403
    );
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn service_account_tokens_open_what_roles_allow() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    service_account(&client).await?;
    let request = json!({"spec": {"expirationSeconds": 600}});
    let made = client
        .post(&format!("{DEFAULT}/serviceaccounts/default/token"), &request)
        .await?;
    assert_eq!(made.code, 201, "{:?}", made.body);
    let token = made.json()["status"]["token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let anonymous = cluster.client(None)?;
    let path = format!("{DEFAULT}/configmaps");
    assert_eq!(anonymous.send("GET", &path, &headers, "").await?.code, 403);
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let role = json!({"metadata": {"name": "r"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]});
    let binding = json!({"metadata": {"name": "r"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}]});
    assert_eq!(client.post(&format!("{rbac}/roles"), &role).await?.code, 201);
    assert_eq!(
        client.post(&format!("{rbac}/rolebindings"), &binding).await?.code,
        201
    );
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while anonymous.send("GET", &path, &headers, "").await?.code != 200 {
        anyhow::ensure!(
            tokio::time::Instant::now() < deadline,
            "the role never took effect"
        );
        tokio::task::yield_now().await;
    }
    let review = json!({"spec": {"token": token}});
    let reviewed = client
        .post("/apis/authentication.k8s.io/v1/tokenreviews", &review)
        .await?
        .json();
    assert_eq!(reviewed["status"]["authenticated"], true);
    assert_eq!(
        reviewed["status"]["user"]["username"],
        "system:serviceaccount:default:default"
    );
    let asked = json!({"spec": {"resourceAttributes": {"verb": "list", "resource": "configmaps", "namespace": "default"}}});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let json_type = ("content-type", "application/json");
    let answer = anonymous
        .send("POST", path, &[headers[0], json_type], asked.to_string())
        .await?;
    assert_eq!(answer.json()["status"]["allowed"], true, "{:?}", answer.body);
    // What the account does not hold, it can't grant.
    let editor = json!({"metadata": {"name": "e"}, "rules": [
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["create"]}]});
    client.post(&format!("{rbac}/roles"), &editor).await?;
    let mut more = binding.clone();
    more["metadata"]["name"] = json!("e");
    more["roleRef"]["name"] = json!("e");
    client.post(&format!("{rbac}/rolebindings"), &more).await?;
    let grant = json!({"metadata": {"name": "g"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]});
    let refused = loop {
        let refused = anonymous
            .send(
                "POST",
                &format!("{rbac}/roles"),
                &[headers[0], json_type],
                grant.to_string(),
            )
            .await?;
        if !refused.json()["message"]
            .as_str()
            .unwrap()
            .contains("cannot create resource")
        {
            break refused;
        }
        anyhow::ensure!(
            tokio::time::Instant::now() < deadline,
            "the role never took effect"
        );
    };
    assert_eq!(refused.code, 403);
    assert!(
        refused.json()["message"]
            .as_str()
            .unwrap()
            .contains("is attempting to grant RBAC permissions not currently held")
    );
    client
        .delete(&format!("{DEFAULT}/serviceaccounts/default"), &json!({}))
        .await?;
    assert_eq!(
        anonymous
            .send("GET", &format!("{DEFAULT}/configmaps"), &headers, "")
            .await?
            .code,
        401
    );
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_metadata_and_events_have_their_shapes() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    let table = [(
        "accept",
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    )];
    let shown = client.send("GET", "/api/v1/namespaces", &table, "").await?.json();
    assert_eq!(shown["kind"], "Table");
    assert_eq!(shown["columnDefinitions"][0]["name"], "Name");
    assert_eq!(shown["rows"][0]["cells"][0], "default");
    assert_eq!(shown["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let partial = [(
        "accept",
        "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    )];
    let shown = client
        .send("GET", "/api/v1/namespaces", &partial, "")
        .await?
        .json();
    assert_eq!(shown["kind"], "PartialObjectMetadataList");
    assert!(shown["items"][0].get("spec").is_none());
    let event = json!({"metadata": {"generateName": "e-"}, "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "me", "reportingInstance": "me-1", "action": "Test", "reason": "Tested", "type": "Normal",
        "note": "hello", "regarding": {"kind": "Pod", "name": "p", "namespace": "default"}});
    let made = client
        .post("/apis/events.k8s.io/v1/namespaces/default/events", &event)
        .await?;
    assert_eq!(made.code, 201, "{:?}", made.body);
    let made = made.json();
    assert_eq!(made["note"], "hello");
    let name = made["metadata"]["name"].as_str().unwrap();
    let core = client.get(&format!("{DEFAULT}/events/{name}")).await?.json();
    assert_eq!(
        (core["message"].as_str(), core["involvedObject"]["name"].as_str()),
        (Some("hello"), Some("p"))
    );
    let yaml = client
        .send(
            "GET",
            &format!("{DEFAULT}/events/{name}"),
            &[("accept", "application/yaml")],
            "",
        )
        .await?;
    assert!(
        String::from_utf8_lossy(&yaml.body).contains("\nmessage: hello\n"),
        "{:?}",
        yaml.body
    );
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_may_do_what_nodes_do() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let admin = cluster.admin()?;
    service_account(&admin).await?;
    let node = cluster.client(Some(&cluster.identity("system:node:n1", &["system:nodes"])?))?;
    let made = node
        .post("/api/v1/nodes", &json!({"metadata": {"name": "n1"}}))
        .await?;
    assert_eq!(made.code, 201, "{:?}", made.body);
    assert_eq!(
        node.post("/api/v1/nodes", &json!({"metadata": {"name": "n2"}}))
            .await?
            .code,
        403
    );
    admin
        .post(
            &format!("{DEFAULT}/secrets"),
            &json!({"metadata": {"name": "mine"}}),
        )
        .await?;
    admin
        .post(
            &format!("{DEFAULT}/secrets"),
            &json!({"metadata": {"name": "other"}}),
        )
        .await?;
    let mut pod = pod("p");
    pod["spec"]["nodeName"] = json!("n1");
    pod["spec"]["volumes"] = json!([{"name": "v", "secret": {"secretName": "mine"}}]);
    let made = admin.post(&format!("{DEFAULT}/pods"), &pod).await?;
    assert_eq!(made.code, 201, "{:?}", made.body);
    let made = made.json();
    assert_eq!(node.get(&format!("{DEFAULT}/secrets/mine")).await?.code, 200);
    assert_eq!(
        node.get(&format!("{DEFAULT}/secrets?fieldSelector=metadata.name%3Dmine"))
            .await?
            .code,
        200
    );
    assert_eq!(node.get(&format!("{DEFAULT}/secrets/other")).await?.code, 403);
    let bound = json!({"spec": {"expirationSeconds": 3607, "boundObjectRef": {"kind": "Pod", "apiVersion": "v1",
        "name": "p", "uid": made["metadata"]["uid"]}}});
    let token = node
        .post(&format!("{DEFAULT}/serviceaccounts/default/token"), &bound)
        .await?;
    assert_eq!(token.code, 201, "{:?}", token.body);
    let unbound = node
        .post(
            &format!("{DEFAULT}/serviceaccounts/default/token"),
            &json!({"spec": {}}),
        )
        .await?;
    assert_eq!(unbound.code, 403);
    let status = json!({"status": {"phase": "Running"}});
    let path = format!("{DEFAULT}/pods/p/status");
    assert_eq!(node.patch(&path, "merge-patch+json", &status).await?.code, 200);
    let stranger = cluster.client(Some(&cluster.identity("system:node:n2", &["system:nodes"])?))?;
    assert_eq!(
        stranger.patch(&path, "merge-patch+json", &status).await?.code,
        403
    );
    cluster.stop().await;
    Ok(())
}

/// Each of these was compared with what Kubernetes answers (`tests/compare`).
#[tokio::test(flavor = "multi_thread")]
async fn options_that_make_no_sense_are_refused_by_name() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    let maps = format!("{DEFAULT}/configmaps");
    let map = json!({"metadata": {"name": "a"}, "data": {"k": "v"}});
    let made = client.post(&format!("{maps}?fieldManager=me"), &map).await?;
    assert_eq!(made.code, 201, "{:?}", made.body);
    for (method, path, media, body, code, message) in [
        (
            "POST",
            format!("{maps}?dryRun=Some"),
            "application/json",
            map.to_string(),
            422,
            "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Some\"]: supported values: \"All\"",
        ),
        (
            "POST",
            format!("{maps}?fieldManager=%0a"),
            "application/json",
            map.to_string(),
            422,
            "CreateOptions.meta.k8s.io \"\" is invalid: fieldManager: Invalid value: \"\\n\": invalid character U+000A (at position 0)",
        ),
        (
            "DELETE",
            format!("{maps}/a"),
            "application/json",
            json!({"orphanDependents": true, "propagationPolicy": "Orphan"}).to_string(),
            422,
            "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid value: \"Orphan\": orphanDependents and deletionPropagation cannot be both set",
        ),
        (
            "PATCH",
            format!("{maps}/a"),
            "application/merge-patch+json",
            json!({"data": {"k": 5}}).to_string(),
            422,
            " \"\" is invalid: patch: Invalid value: json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
        ),
        (
            "PATCH",
            format!("{maps}/a?fieldManager=me"),
            "application/apply-patch+yaml",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "dat": {"k": "w"}}).to_string(),
            400,
            "failed to create typed patch object (default/a; v1, Kind=ConfigMap): .dat: field not declared in schema",
        ),
        (
            "PUT",
            maps.clone(),
            "application/json",
            map.to_string(),
            405,
            "the server does not allow this method on the requested resource",
        ),
        (
            "POST",
            "/api/v1/configmaps".to_owned(),
            "application/json",
            map.to_string(),
            405,
            "the server does not allow this method on the requested resource",
        ),
        (
            "POST",
            "/apis/authentication.k8s.io/v1/tokenreviews".to_owned(),
            "application/json",
            json!({"spec": {}}).to_string(),
            400,
            "token is required for TokenReview in authentication",
        ),
    ] {
        let refused = client
            .send(method, &path, &[("content-type", media)], body)
            .await?;
        assert_eq!(
            (refused.code, refused.json()["message"].as_str()),
            (code, Some(message)),
            "{method} {path}"
        );
    }
    let stays = client.get(&format!("{maps}/a")).await?.json();
    assert_eq!(stays["data"], json!({"k": "v"}));
    cluster.stop().await;
    Ok(())
}

/// kubectl lists them when it meets a kind that it does not know, and says so only when that works.
#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_custom_resources() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    assert_eq!(client.get(path).await?.json()["items"], json!([]));
    let made = client
        .post(path, &json!({"metadata": {"name": "a.b.example"}}))
        .await?;
    assert_eq!(made.code, 405);
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_means_another_object_of_the_name_is_refused() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    let maps = "/api/v1/namespaces/default/configmaps";
    let made = client
        .post(maps, &json!({"metadata": {"name": "a"}}))
        .await?
        .json();
    let uid = made["metadata"]["uid"].as_str().expect("a uid").to_owned();
    let path = format!("{maps}/a");
    let other = json!({"metadata": {"name": "a", "uid": "other"}, "data": {"k": "v"}});
    let put = client.put(&path, &other).await?;
    assert_eq!(
        (put.code, put.json()["message"].as_str()),
        (
            409,
            Some(&*format!(
                "Operation cannot be fulfilled on configmaps \"a\": StorageError: invalid object, Code: 4, \
                 AdditionalErrorMsg: Precondition failed: UID in precondition: other, UID in object meta: {uid}"
            ))
        )
    );
    for kind in ["merge-patch", "strategic-merge-patch"] {
        let kind = format!("application/{kind}+json");
        let patched = client
            .send("PATCH", &path, &[("content-type", &kind)], other.to_string())
            .await?;
        assert_eq!(
            (patched.code, patched.json()["message"].as_str()),
            (
                422,
                Some(
                    "ConfigMap \"a\" is invalid: metadata.uid: Invalid value: \"other\": field is immutable"
                )
            )
        );
    }
    // Where a PUT may create, one that means an object that is gone does not.
    let endpoints = "/api/v1/namespaces/default/endpoints/a";
    let put = client
        .put(endpoints, &json!({"metadata": other["metadata"]}))
        .await?;
    assert_eq!((put.code, put.json()["reason"].as_str()), (409, Some("Conflict")));
    // The right uid is no obstacle, nor is none.
    for metadata in [json!({"name": "a", "uid": uid}), json!({"name": "a"})] {
        let body = json!({"metadata": metadata, "data": {"k": uid}});
        assert_eq!(client.put(&path, &body).await?.code, 200);
    }
    cluster.stop().await;
    Ok(())
}
