//! Objects over HTTP: create, read, change, delete, list, watch.

mod support;

use serde_json::json;
use support::{Cluster, Frames};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test(flavor = "multi_thread")]
async fn an_object_lives_from_create_to_delete() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    let made = client
        .post(MAPS, &json!({"metadata": {"name": "a"}, "data": {"k": "1"}}))
        .await?;
    assert_eq!(made.code, 201, "{:?}", made.body);
    let made = made.json();
    assert_eq!(made["kind"], "ConfigMap");
    assert_eq!(made["metadata"]["namespace"], "default");
    let version: u64 = made["metadata"]["resourceVersion"].as_str().unwrap().parse()?;
    assert!(version > 1);
    assert_eq!(
        client
            .post(MAPS, &json!({"metadata": {"name": "a"}}))
            .await?
            .json()["reason"],
        "AlreadyExists"
    );

    let path = format!("{MAPS}/a");
    assert_eq!(client.get(&path).await?.json(), made);
    // The same again is no change.
    assert_eq!(
        client.put(&path, &made).await?.json()["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );
    let mut changed = made.clone();
    changed["data"]["k"] = json!("2");
    let changed = client.put(&path, &changed).await?.json();
    assert_ne!(
        changed["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );
    // The old revision is refused.
    let stale = client.put(&path, &made).await?;
    assert_eq!(stale.code, 409);
    assert_eq!(
        stale.json()["message"],
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes \
         to the latest version and try again"
    );
    let patched = client
        .patch(&path, "merge-patch+json", &json!({"data": {"k": null, "l": "3"}}))
        .await?;
    assert_eq!(patched.json()["data"], json!({"l": "3"}));

    let gone = client.delete(&path, &json!({})).await?.json();
    assert_eq!(
        (gone["status"].as_str(), gone["details"]["name"].as_str()),
        (Some("Success"), Some("a"))
    );
    let missing = client.get(&path).await?;
    assert_eq!(missing.code, 404);
    assert_eq!(missing.json()["message"], "configmaps \"a\" not found");
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_sees_every_change_in_order() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    let list = client.get(MAPS).await?.json();
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let mut frames = Frames::open(&client, &format!("{MAPS}?watch=true&resourceVersion={version}")).await?;
    let mut labelled = Frames::open(
        &client,
        &format!("{MAPS}?watch=true&resourceVersion={version}&labelSelector=app%3Dweb"),
    )
    .await?;
    client
        .post(
            MAPS,
            &json!({"metadata": {"name": "a", "labels": {"app": "web"}}}),
        )
        .await?;
    let path = format!("{MAPS}/a");
    client
        .patch(
            &path,
            "merge-patch+json",
            &json!({"metadata": {"labels": {"app": null}}}),
        )
        .await?;
    client.delete(&path, &json!({})).await?;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let frame = frames.next().await?.unwrap();
        seen.push((
            frame["type"].as_str().unwrap().to_owned(),
            frame["object"]["metadata"]["resourceVersion"].clone(),
        ));
    }
    let kinds: Vec<&str> = seen.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["ADDED", "MODIFIED", "DELETED"]);
    let versions: Vec<u64> = seen
        .iter()
        .map(|(_, v)| v.as_str().unwrap().parse().unwrap())
        .collect();
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    // Whoever selects by label sees it come, and go when the label goes.
    assert_eq!(labelled.next().await?.unwrap()["type"], "ADDED");
    let left = labelled.next().await?.unwrap();
    assert_eq!(left["type"], "DELETED");
    assert_eq!(left["object"]["metadata"]["resourceVersion"], seen[1].1);
    assert_eq!(left["object"]["metadata"]["labels"]["app"], "web");
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn initial_events_end_with_a_bookmark() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    client.post(MAPS, &json!({"metadata": {"name": "a"}})).await?;
    let query =
        "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut frames = Frames::open(&client, &format!("{MAPS}?{query}")).await?;
    let added = frames.next().await?.unwrap();
    assert_eq!(
        (
            added["type"].as_str(),
            added["object"]["metadata"]["name"].as_str()
        ),
        (Some("ADDED"), Some("a"))
    );
    let bookmark = frames.next().await?.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["kind"], "ConfigMap");
    assert_eq!(
        bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
    let refused = client
        .get(&format!("{MAPS}?watch=true&sendInitialEvents=true"))
        .await?;
    assert_eq!(
        (refused.code, refused.json()["reason"].as_str()),
        (422, Some("Invalid"))
    );
    // A watch ends with its timeout.
    let mut short = Frames::open(
        &client,
        &format!("{MAPS}?watch=true&resourceVersion=0&timeoutSeconds=1"),
    )
    .await?;
    assert_eq!(short.next().await?.unwrap()["type"], "ADDED");
    assert!(short.next().await?.is_none());
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_one_revision() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    for i in 0..7 {
        let labels = json!({"odd": (i % 2).to_string()});
        client
            .post(
                MAPS,
                &json!({"metadata": {"name": format!("m{i}"), "labels": labels}}),
            )
            .await?;
    }
    let first = client.get(&format!("{MAPS}?limit=3")).await?.json();
    assert_eq!(first["items"].as_array().unwrap().len(), 3);
    assert_eq!(first["metadata"]["remainingItemCount"], 4);
    client.delete(&format!("{MAPS}/m6"), &json!({})).await?;
    let token = first["metadata"]["continue"].as_str().unwrap();
    let rest = client
        .get(&format!("{MAPS}?limit=10&continue={token}"))
        .await?
        .json();
    let names: Vec<&str> = rest["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["m3", "m4", "m5", "m6"]);
    assert_eq!(
        rest["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
    let odd = client
        .get(&format!("{MAPS}?limit=2&labelSelector=odd%3D1"))
        .await?
        .json();
    assert_eq!(odd["items"].as_array().unwrap().len(), 2);
    assert!(odd["metadata"]["remainingItemCount"].is_null());
    let field = client
        .get("/api/v1/configmaps?fieldSelector=metadata.name%3Dm2")
        .await?
        .json();
    assert_eq!(field["items"].as_array().unwrap().len(), 1);
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_sealed_on_disk_and_clear_on_the_wire() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    let path = "/api/v1/namespaces/default/secrets";
    let secret = json!({"metadata": {"name": "s"}, "data": {"key": "aGlkZGVuLXRyZWFzdXJl"}});
    let mut frames = Frames::open(&client, &format!("{path}?watch=true")).await?;
    let made = client.post(path, &secret).await?.json();
    assert_eq!(made["data"]["key"], "aGlkZGVuLXRyZWFzdXJl");
    let read = client.get(&format!("{path}/s")).await?.json();
    assert_eq!(read, made);
    let seen = frames.next().await?.unwrap();
    assert_eq!(seen["object"], made);
    let stored = cluster
        .store
        .get(&skiff_store::key::object("", "secrets", "default", "s"))
        .unwrap();
    assert!(!String::from_utf8_lossy(&stored.value).contains("aGlkZGVuLXRyZWFzdXJl"));
    client.delete(&format!("{path}/s"), &json!({})).await?;
    let gone = frames.next().await?.unwrap();
    assert_eq!(gone["type"], "DELETED");
    assert_eq!(gone["object"]["data"], made["data"]);
    assert_ne!(
        gone["object"]["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn anonymous_sees_health_and_version_only() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.client(None)?;
    for path in ["/healthz", "/livez", "/readyz?verbose", "/version"] {
        assert_eq!(client.get(path).await?.code, 200, "{path}");
    }
    let refused = client.get("/api/v1/namespaces/default/pods").await?;
    assert_eq!(refused.code, 403);
    assert_eq!(
        refused.json()["message"],
        "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""
    );
    let token = client
        .send("GET", "/version", &[("authorization", "Bearer nonsense")], "")
        .await?;
    assert_eq!(token.code, 401);
    cluster.stop().await;
    Ok(())
}
