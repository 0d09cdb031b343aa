//! What client libraries take for granted, one behaviour per test: discovery and OpenAPI, list versions, errors,
//! identities, sizes. The numbers in messages and codes are those of kube-apiserver.

mod support;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use support::{Client, Cluster};

const DEFAULT: &str = "/api/v1/namespaces/default";
const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

async fn cluster() -> anyhow::Result<(Cluster, Client)> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    Ok((cluster, client))
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_is_aggregated_for_those_who_ask_and_answers_304_when_nothing_changed() -> anyhow::Result<()>
{
    let (cluster, client) = cluster().await?;
    for path in ["/api", "/apis"] {
        let answer = client.send("GET", path, &[("accept", V2)], "").await?;
        assert_eq!(answer.json()["kind"], "APIGroupDiscoveryList", "{path}");
        let etag = answer.headers["etag"].to_str()?;
        let again = client
            .send("GET", path, &[("accept", V2), ("if-none-match", etag)], "")
            .await?;
        assert_eq!((again.code, again.body.len()), (304, 0), "{path}");
    }
    assert_eq!(client.get("/api").await?.json()["kind"], "APIVersions");
    assert_eq!(client.get("/apis").await?.json()["kind"], "APIGroupList");
    let list = client.get("/apis/policy/v1").await?.json();
    let names: Vec<_> = list["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["name"])
        .collect();
    assert_eq!(names, ["poddisruptionbudgets", "poddisruptionbudgets/status"]);
    let missing = client.get("/apis/nothing.example.org/v1").await?;
    assert_eq!(
        (missing.code, missing.json()["reason"].as_str()),
        (404, Some("NotFound"))
    );
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn openapi_documents_are_named_by_their_hash_and_compressed_on_request() -> anyhow::Result<()> {
    let (cluster, client) = cluster().await?;
    let index = client.get("/openapi/v3").await?.json();
    let path = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
        .as_str()
        .unwrap();
    assert!(path.starts_with("/openapi/v3/apis/apps/v1?hash="), "{path}");
    let document = client
        .send("GET", path, &[("accept-encoding", "gzip")], "")
        .await?;
    assert_eq!(document.headers["content-encoding"], "gzip");
    assert_eq!(document.headers["cache-control"], "public, immutable");
    let wanted = [(
        "accept",
        "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    )];
    let old = client.send("GET", "/openapi/v2", &wanted, "").await?;
    assert_eq!(
        old.headers["content-type"],
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    );
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_keep_the_rules_of_resource_versions() -> anyhow::Result<()> {
    let (cluster, client) = cluster().await?;
    let namespaces = |query: String| {
        let client = client.clone();
        async move { client.get(&format!("/api/v1/namespaces?{query}")).await }
    };
    let now = namespaces(String::new()).await?.json()["metadata"]["resourceVersion"].clone();
    let now = now.as_str().unwrap();
    for (query, code) in [
        ("resourceVersion=0".to_owned(), 200),
        (format!("resourceVersion={now}&resourceVersionMatch=Exact"), 200),
        (
            format!("resourceVersion={now}&resourceVersionMatch=NotOlderThan"),
            200,
        ),
        ("resourceVersionMatch=Exact".to_owned(), 422),
        ("resourceVersion=0&resourceVersionMatch=Exact".to_owned(), 422),
        ("resourceVersion=99999999".to_owned(), 504),
        ("resourceVersion=x".to_owned(), 400),
        ("limit=1&continue=abc".to_owned(), 400),
        ("watch=1&sendInitialEvents=true".to_owned(), 422),
    ] {
        let answer = namespaces(query.clone()).await?;
        assert_eq!(answer.code, code, "{query}: {:?}", answer.body);
        if code >= 400 {
            assert_eq!(answer.json()["kind"], "Status", "{query}");
        }
    }
    let ahead = namespaces("resourceVersion=99999999".to_owned()).await?.json();
    assert_eq!(ahead["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_described_and_other_shapes_are_not_acceptable() -> anyhow::Result<()> {
    let (cluster, client) = cluster().await?;
    let show = |path: &'static str, shape: &'static str| {
        let client = client.clone();
        async move {
            let accept = format!("application/json;as={shape};v=v1;g=meta.k8s.io");
            client.send("GET", path, &[("accept", &accept)], "").await
        }
    };
    let table = show("/api/v1/pods", "Table").await?.json();
    let columns = table["columnDefinitions"].as_array().unwrap();
    assert!(columns.iter().all(|c| c["description"] != ""), "{columns:?}");
    assert_eq!(show("/api/v1/pods", "Nothing").await?.code, 406);
    assert_eq!(show("/version", "Table").await?.code, 406);
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_that_can_not_be_applied_say_why() -> anyhow::Result<()> {
    let (cluster, client) = cluster().await?;
    let maps = format!("{DEFAULT}/configmaps");
    client
        .post(&maps, &json!({"metadata": {"name": "m"}, "data": {"k": "v"}}))
        .await?;
    let map = format!("{maps}/m");
    let test = json!([{"op": "test", "path": "/data/k", "value": "other"}]);
    let failed = client.patch(&map, "json-patch+json", &test).await?;
    assert_eq!(failed.code, 422);
    let status = failed.json();
    assert_eq!(status["reason"], "Invalid");
    // With a kind or name in its details kubectl would leave the message out.
    assert_eq!(status["details"], json!({}));
    assert_eq!(status["message"], "testing value /data/k failed: test failed");
    let unknown = client.patch(&map, "nothing+json", &json!({})).await?;
    assert_eq!(unknown.code, 415);
    let twice = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [
            {"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}]}}}});
    let path = "/apis/apps/v1/namespaces/default/deployments/d?fieldManager=m";
    let refused = client.patch(path, "apply-patch+yaml", &twice).await?;
    assert_eq!(refused.code, 400);
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.ends_with("env: duplicate entries for key [name=\"A\"]"),
        "{message}"
    );
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_keep_their_preconditions() -> anyhow::Result<()> {
    let (cluster, client) = cluster().await?;
    let map = format!("{DEFAULT}/configmaps/m");
    client
        .post(
            &format!("{DEFAULT}/configmaps"),
            &json!({"metadata": {"name": "m"}}),
        )
        .await?;
    for preconditions in [json!({"resourceVersion": "1"}), json!({"uid": "other"})] {
        let refused = client
            .delete(&map, &json!({"preconditions": preconditions}))
            .await?;
        assert_eq!(
            (refused.code, refused.json()["reason"].as_str()),
            (409, Some("Conflict"))
        );
    }
    let dry = client.delete(&format!("{map}?dryRun=All"), &json!({})).await?;
    assert_eq!((dry.code, client.get(&map).await?.code), (200, 200));
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reviews_and_impersonation_tell_who_may_do_what() -> anyhow::Result<()> {
    let (cluster, client) = cluster().await?;
    let status = |path: &'static str, body: Value| {
        let client = client.clone();
        async move { anyhow::Ok(client.post(path, &body).await?.json()["status"].clone()) }
    };
    let asked = json!({"verb": "get", "resource": "pods", "namespace": "default"});
    let own = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let spec = json!({"spec": {"resourceAttributes": asked}});
    assert_eq!(status(own, spec).await?["allowed"], true);
    let others = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let spec = json!({"spec": {"user": "bob", "resourceAttributes": asked}});
    assert_eq!(status(others, spec).await?["allowed"], false);
    let as_bob = [("impersonate-user", "bob")];
    let refused = client
        .send("GET", &format!("{DEFAULT}/pods"), &as_bob, "")
        .await?;
    assert_eq!(
        (refused.code, refused.json()["message"].as_str()),
        (
            403,
            Some(
                "pods is forbidden: User \"bob\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""
            )
        )
    );
    let headers = [
        ("impersonate-user", "bob"),
        ("impersonate-group", "system:masters"),
        ("content-type", "application/json"),
    ];
    let who = client
        .send(
            "POST",
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            &headers,
            "{}",
        )
        .await?;
    assert_eq!(
        who.json()["status"]["userInfo"],
        json!({"username": "bob", "groups": ["system:masters", "system:authenticated"]})
    );
    let view = client
        .get("/apis/rbac.authorization.k8s.io/v1/clusterroles/view")
        .await?;
    let labels = &view.json()["aggregationRule"]["clusterRoleSelectors"][0]["matchLabels"];
    assert_eq!(labels["rbac.authorization.k8s.io/aggregate-to-view"], "true");
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_hold_a_mebibyte_and_no_more() -> anyhow::Result<()> {
    let (cluster, client) = cluster().await?;
    let secrets = format!("{DEFAULT}/secrets");
    let secret = |name: &str, size: usize| {
        json!({"metadata": {"name": name, "labels": {"owner": "helm"}}, "type": "helm.sh/release.v1",
            "data": {"release": STANDARD.encode(vec![b'x'; size])}})
    };
    assert_eq!(client.post(&secrets, &secret("a", 1 << 20)).await?.code, 201);
    assert_eq!(
        client.post(&secrets, &secret("b", (1 << 20) + 1)).await?.code,
        422
    );
    let found = client
        .get(&format!(
            "{secrets}?labelSelector=owner%3Dhelm,status+notin+(superseded)"
        ))
        .await?;
    assert_eq!(found.json()["items"].as_array().map(Vec::len), Some(1));
    cluster.stop().await;
    Ok(())
}
