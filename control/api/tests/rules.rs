//! What the rules of a namespace and of the cluster do to writes: LimitRanges, namespaces that end, budgets of
//! disruptions, server-side apply of a scale; and answers in protobuf.

mod support;

use serde_json::{Value, json};
use support::{Client, Cluster};

const DEFAULT: &str = "/api/v1/namespaces/default";

fn pod(name: &str, resources: Value) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "i", "resources": resources}]}})
}

async fn post(client: &Client, path: &str, body: Value) -> anyhow::Result<Value> {
    let made = client.post(path, &body).await?;
    anyhow::ensure!(made.code == 201, "{path}: {:?}", made.body);
    Ok(made.json())
}

async fn service_account(client: &Client) -> anyhow::Result<()> {
    let account = json!({"metadata": {"name": "default"}});
    post(client, &format!("{DEFAULT}/serviceaccounts"), account).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn limit_ranges_fill_in_defaults_and_refuse_what_lies_outside() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    service_account(&client).await?;
    let range = json!({"metadata": {"name": "r"}, "spec": {"limits": [
        {"type": "Container", "default": {"memory": "64Mi"}, "defaultRequest": {"cpu": "10m"}, "max": {"memory": "1Gi"}}]}});
    post(&client, &format!("{DEFAULT}/limitranges"), range).await?;
    let pods = format!("{DEFAULT}/pods");
    let made = post(&client, &pods, pod("a", json!({}))).await?;
    assert_eq!(
        made["spec"]["containers"][0]["resources"],
        json!({"limits": {"memory": "64Mi"}, "requests": {"cpu": "10m", "memory": "64Mi"}})
    );
    assert_eq!(made["status"]["qosClass"], "Burstable");
    let refused = client
        .post(&pods, &pod("b", json!({"limits": {"memory": "2Gi"}})))
        .await?;
    assert_eq!(refused.code, 403);
    assert_eq!(
        refused.json()["message"],
        "pods \"b\" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi"
    );
    cluster.stop().await;
    Ok(())
}

/// `extractResourceName` and `AdmissionToValidateObjectFunc` in Kubernetes: names are made after the one and before the
/// other kind of admission.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_prefix_of_a_name_until_the_name_is_made() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    let pods = format!("{DEFAULT}/pods");
    let refused = async |pod: &Value| -> anyhow::Result<String> {
        let refused = client.post(&pods, pod).await?;
        anyhow::ensure!(refused.code == 403, "{:?}", refused.body);
        Ok(refused.json()["message"].as_str().unwrap_or_default().to_owned())
    };
    let mut unnamed = pod("", json!({"limits": {"memory": "2Gi"}}));
    unnamed["metadata"] = json!({"generateName": "web-"});
    assert_eq!(
        refused(&unnamed).await?,
        "pods \"web-\" is forbidden: error looking up service account default/default: serviceaccount \"default\" not \
         found"
    );
    service_account(&client).await?;
    let mut urgent = unnamed.clone();
    urgent["spec"]["priorityClassName"] = json!("none");
    assert_eq!(
        refused(&urgent).await?,
        "pods \"web-\" is forbidden: no PriorityClass with name none was found"
    );
    let range = json!({"metadata": {"name": "r"}, "spec": {"limits": [{"type": "Container", "max": {"memory": "1Gi"}}]}});
    post(&client, &format!("{DEFAULT}/limitranges"), range).await?;
    let why = refused(&unnamed).await?;
    let name = why.strip_prefix("pods \"web-").and_then(|rest| {
        rest.strip_suffix("\" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi")
    });
    assert_eq!(name.map(str::len), Some(5), "{why}");
    // What is made of the name waits for it.
    let made = post(
        &client,
        "/api/v1/namespaces",
        json!({"metadata": {"generateName": "web-"}}),
    )
    .await?;
    assert_eq!(
        made["metadata"]["labels"],
        json!({"kubernetes.io/metadata.name": made["metadata"]["name"]})
    );
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ending_namespace_is_the_first_thing_a_creator_hears_of() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    post(&client, "/api/v1/namespaces", json!({"metadata": {"name": "x"}})).await?;
    client.delete("/api/v1/namespaces/x", &json!({})).await?;
    // No service account, and not even valid.
    let refused = client
        .post(
            "/api/v1/namespaces/x/pods",
            &json!({"metadata": {"name": "p"}, "spec": {}}),
        )
        .await?;
    assert_eq!(refused.code, 403, "{:?}", refused.body);
    let status = refused.json();
    assert_eq!(status["details"]["causes"][0]["reason"], "NamespaceTerminating");
    assert_eq!(
        status["message"],
        "pods \"p\" is forbidden: unable to create new content in namespace x because it is being terminated"
    );
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn evictions_take_from_the_budget_and_stop_when_it_is_used_up() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    service_account(&client).await?;
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let budget = json!({"metadata": {"name": "web"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}});
    post(&client, budgets, budget).await?;
    let running =
        json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    for name in ["a", "b"] {
        let mut pod = pod(name, json!({}));
        pod["spec"]["nodeName"] = json!("n1");
        post(&client, &format!("{DEFAULT}/pods"), pod).await?;
        client
            .patch(
                &format!("{DEFAULT}/pods/{name}/status"),
                "merge-patch+json",
                &running,
            )
            .await?;
    }
    let evict = |name: &'static str| {
        let client = client.clone();
        async move {
            let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
            client
                .post(&format!("{DEFAULT}/pods/{name}/eviction"), &body)
                .await
        }
    };
    let early = evict("a").await?;
    assert_eq!(early.code, 429, "{:?}", early.body);
    assert_eq!(early.headers["retry-after"], "10");
    let seen = json!({"status": {"observedGeneration": 1, "disruptionsAllowed": 1, "desiredHealthy": 1,
        "currentHealthy": 2, "expectedPods": 2}});
    let status = format!("{budgets}/web/status");
    assert_eq!(client.patch(&status, "merge-patch+json", &seen).await?.code, 200);
    assert_eq!(evict("a").await?.code, 201);
    let live = client.get(&format!("{budgets}/web")).await?.json();
    assert_eq!(live["status"]["disruptionsAllowed"], 0);
    assert!(live["status"]["disruptedPods"]["a"].is_string(), "{live}");
    let gone = client.get(&format!("{DEFAULT}/pods/a")).await?;
    let gone = gone.json();
    assert!(gone["metadata"]["deletionTimestamp"].is_string());
    let conditions = gone["status"]["conditions"].as_array().unwrap();
    assert!(
        conditions
            .iter()
            .any(|c| c["type"] == "DisruptionTarget" && c["reason"] == "EvictionByEvictionAPI")
    );
    let refused = evict("b").await?;
    assert_eq!(refused.code, 429);
    let refused = refused.json();
    assert_eq!(
        refused["message"],
        "Cannot evict pod as it would violate the pod's disruption budget."
    );
    assert_eq!(
        refused["details"]["causes"][0],
        json!({"reason": "DisruptionBudget",
            "message": "The disruption budget web needs 1 healthy pods and has 2 currently"})
    );
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applied_scale_owns_the_replicas_and_conflicts_over_them() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    let path = format!("{deployments}/a");
    let apply = |to: String, body: Value| {
        let client = client.clone();
        async move { client.patch(&to, "apply-patch+yaml", &body).await }
    };
    assert_eq!(apply(format!("{path}?fieldManager=owner"), body).await?.code, 201);
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a"}, "spec": {"replicas": 4}});
    let conflict = apply(format!("{path}/scale?fieldManager=scaler"), scale.clone()).await?;
    assert_eq!(conflict.code, 409, "{:?}", conflict.body);
    assert_eq!(conflict.json()["details"]["causes"][0]["field"], ".spec.replicas");
    let forced = apply(format!("{path}/scale?fieldManager=scaler&force=true"), scale).await?;
    assert_eq!(forced.json()["spec"]["replicas"], 4);
    let live = client.get(&path).await?.json();
    assert_eq!(live["spec"]["replicas"], 4);
    let managers = live["metadata"]["managedFields"].as_array().unwrap();
    let entry = managers.iter().find(|m| m["manager"] == "scaler").unwrap();
    assert_eq!(
        (
            entry["subresource"].as_str(),
            entry["operation"].as_str(),
            entry["apiVersion"].as_str()
        ),
        (Some("scale"), Some("Apply"), Some("apps/v1"))
    );
    assert_eq!(entry["fieldsV1"], json!({"f:spec": {"f:replicas": {}}}));
    let owner = managers.iter().find(|m| m["manager"] == "owner").unwrap();
    assert!(owner["fieldsV1"]["f:spec"].get("f:replicas").is_none());
    let patched = client
        .patch(
            &format!("{path}/scale?fieldManager=hand"),
            "merge-patch+json",
            &json!({"spec": {"replicas": 1}}),
        )
        .await?;
    assert_eq!(patched.code, 200);
    let live = client.get(&path).await?.json();
    let managers = live["metadata"]["managedFields"].as_array().unwrap();
    assert!(
        managers
            .iter()
            .any(|m| m["manager"] == "hand" && m["subresource"] == "scale" && m["operation"] == "Update")
    );
    cluster.stop().await;
    Ok(())
}

/// The position of `needle` in `bytes`.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|w| w == needle)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_accepts_protobuf_gets_objects_lists_errors_and_watches_in_it() -> anyhow::Result<()> {
    use http_body_util::BodyExt as _;
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    let accept = [("accept", "application/vnd.kubernetes.protobuf")];
    for (path, code, kind) in [
        ("/api/v1/namespaces/default", 200, "Namespace"),
        ("/api/v1/namespaces", 200, "NamespaceList"),
        (
            "/apis/rbac.authorization.k8s.io/v1/clusterroles?limit=2",
            200,
            "ClusterRoleList",
        ),
        ("/api/v1/namespaces/missing", 404, "Status"),
    ] {
        let answer = client.send("GET", path, &accept, "").await?;
        assert_eq!(answer.code, code, "{path}");
        assert_eq!(
            answer.headers["content-type"], "application/vnd.kubernetes.protobuf",
            "{path}"
        );
        // Magic, then Unknown { typeMeta { apiVersion, kind } }.
        assert!(answer.body.starts_with(b"k8s\0\x0a"), "{path}");
        let text = [&[0x12, kind.len() as u8], kind.as_bytes()].concat();
        assert!(find(&answer.body, &text).is_some_and(|at| at < 64), "{path}");
    }
    // A typed Go client names both; a table is JSON whatever else is accepted.
    let both = [(
        "accept",
        "application/vnd.kubernetes.protobuf;stream=watch,application/json;stream=watch",
    )];
    let response = client
        .open(
            "GET",
            "/api/v1/namespaces?watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3Ddefault",
            &both,
            "",
        )
        .await?;
    assert_eq!(
        response.headers()["content-type"],
        "application/vnd.kubernetes.protobuf;stream=watch"
    );
    let body = response.into_body().collect().await?.to_bytes();
    let length = u32::from_be_bytes(body[..4].try_into()?) as usize;
    let frame = &body[4..4 + length];
    assert!(frame.starts_with(b"\x0a\x05ADDED\x12"));
    assert!(find(frame, b"k8s\0").is_some());
    let table = [(
        "accept",
        "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1,application/json",
    )];
    let shown = client.send("GET", "/api/v1/namespaces", &table, "").await?;
    assert_eq!(shown.headers["content-type"], "application/json");
    let metadata = [(
        "accept",
        "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    )];
    let shown = client.send("GET", "/api/v1/namespaces", &metadata, "").await?;
    assert!(find(&shown.body, b"PartialObjectMetadataList").is_some());
    cluster.stop().await;
    Ok(())
}
