use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::ReplicaSet,
    core::v1::{Event, Pod},
};
use serde_json::{Value, json};

use super::rank::first_to_go;
use crate::{DeleteOptions, machinery::Object, testing::Cluster};

fn pod(name: &str, change: impl FnOnce(&mut Value)) -> Arc<Pod> {
    let mut value = json!({
        "metadata": {"name": name, "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {}},
        "spec": {"nodeName": "n1", "containers": []},
        "status": {"phase": "Running", "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
    });
    change(&mut value);
    Arc::new(serde_json::from_value(value).unwrap())
}

#[test]
fn the_pods_that_do_least_go_first() {
    let pods = vec![
        pod("plain", |_| {}),
        pod("cheap", |p| {
            p["metadata"]["annotations"]["controller.kubernetes.io/pod-deletion-cost"] = json!("-5")
        }),
        pod("dear", |p| {
            p["metadata"]["annotations"]["controller.kubernetes.io/pod-deletion-cost"] = json!("9")
        }),
        pod("unready", |p| {
            p["status"]["conditions"][0]["status"] = json!("False")
        }),
        pod("pending", |p| p["status"]["phase"] = json!("Pending")),
        pod("unbound", |p| p["spec"]["nodeName"] = Value::Null),
        pod("crowded", |p| p["spec"]["nodeName"] = json!("n2")),
        pod("crowded-too", |p| p["spec"]["nodeName"] = json!("n2")),
        pod("late", |p| {
            p["status"]["conditions"][0]["lastTransitionTime"] = json!("2026-01-01T09:59:00Z");
        }),
        pod("restarted", |p| {
            p["status"]["containerStatuses"] = json!([{"name": "c", "image": "", "imageID": "",
                                                                        "ready": true, "restartCount": 3}])
        }),
    ];
    let mut related = pods.clone();
    related.extend((0..6).map(|i| pod(&format!("other{i}"), |p| p["spec"]["nodeName"] = json!("n2"))));
    let now: Timestamp = "2026-01-01T10:00:00Z".parse().unwrap();
    let order = first_to_go(pods, &related, 9, now);
    let names: Vec<&str> = order.iter().map(|p| p.name()).collect();
    assert_eq!(
        names,
        [
            "unbound",
            "pending",
            "unready",
            "cheap",
            "crowded",
            "crowded-too",
            "late",
            "restarted",
            "plain"
        ]
    );
}

fn replica_set(replicas: i32) -> Value {
    json!({
        "metadata": {"namespace": "default", "name": "rs", "labels": {"app": "x"}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "x"}},
                 "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c"}]}}},
    })
}

#[tokio::test(start_paused = true)]
async fn pods_that_end_or_are_deleted_are_replaced_and_matching_orphans_adopted() {
    let mut cluster = Cluster::new();
    cluster.node("n1", "8");
    cluster.api.put::<Pod>(
        json!({"metadata": {"namespace": "default", "name": "orphan", "labels": {"app": "x"}},
                                  "spec": {"nodeName": "n1", "containers": [{"name": "c"}]}}),
    );
    cluster.start();
    cluster.api.put::<ReplicaSet>(replica_set(3));
    cluster.settle(Duration::from_secs(30)).await;
    let names = |c: &Cluster| {
        c.api
            .all::<Pod>()
            .iter()
            .map(|p| p.name().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&cluster).len(), 3);
    assert!(names(&cluster).contains(&"orphan".to_owned()));
    assert_eq!(
        cluster
            .api
            .one::<Pod>("default", "orphan")
            .unwrap()
            .controller()
            .unwrap()
            .name,
        "rs"
    );

    cluster
        .api
        .remove::<Pod>("default", "orphan", &DeleteOptions::default());
    let ended = names(&cluster).into_iter().find(|n| n != "orphan").unwrap();
    cluster
        .api
        .change::<Pod>("default", &ended, |p| p["status"] = json!({"phase": "Failed"}));
    cluster.settle(Duration::from_secs(30)).await;
    // The failed one stays to be looked at; three others are alive.
    assert_eq!(names(&cluster).len(), 4);
    let status = cluster
        .api
        .one::<ReplicaSet>("default", "rs")
        .unwrap()
        .status
        .unwrap();
    assert_eq!(
        (status.replicas, status.ready_replicas, status.available_replicas),
        (3, Some(3), Some(3))
    );
    assert_eq!(status.fully_labeled_replicas, Some(3));

    cluster
        .api
        .change::<ReplicaSet>("default", "rs", |s| s["spec"]["replicas"] = json!(1));
    cluster.settle(Duration::from_secs(30)).await;
    assert_eq!(names(&cluster).len(), 2);
    let mut messages: Vec<String> = cluster
        .api
        .all::<Event>()
        .into_iter()
        .filter_map(|e| e.message)
        .collect();
    messages.retain(|m| m.starts_with("Deleted pod: rs-"));
    assert_eq!(messages.len(), 2);
    cluster.stop().await;
}
