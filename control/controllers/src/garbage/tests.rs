use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::{ConfigMap, Event, Namespace, Pod, ServiceAccount},
};
use serde_json::{Value, json};

use crate::{
    DeleteOptions,
    machinery::Object,
    testing::{Cluster, cluster::deployment},
};

const MINUTE: Duration = Duration::from_secs(60);

fn delete(propagation: &'static str) -> DeleteOptions {
    DeleteOptions {
        propagation: Some(propagation),
        ..DeleteOptions::default()
    }
}

async fn running() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.node("n1", "8");
    cluster.start();
    cluster.api.put::<Deployment>(deployment("web", 3, "v1"));
    cluster.settle(MINUTE).await;
    assert_eq!(cluster.api.all::<Pod>().len(), 3);
    cluster
}

fn left(cluster: &Cluster) -> (usize, usize, usize) {
    let api = &cluster.api;
    (
        api.all::<Deployment>().len(),
        api.all::<ReplicaSet>().len(),
        api.all::<Pod>().len(),
    )
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_a_deleted_owner_goes() {
    let mut cluster = running().await;
    cluster
        .api
        .remove::<Deployment>("default", "web", &delete("Background"));
    assert_eq!(left(&cluster).0, 0);
    cluster.settle(MINUTE).await;
    assert_eq!(left(&cluster), (0, 0, 0));
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn in_the_foreground_the_owner_goes_last() {
    let mut cluster = running().await;
    cluster
        .api
        .remove::<Deployment>("default", "web", &delete("Foreground"));
    let mut seen = Vec::new();
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = left(&cluster);
        assert!(
            now.0 == 1 || (now.1, now.2) == (0, 0),
            "the owner left before its dependents: {now:?}"
        );
        assert!(now.1 == 1 || now.2 == 0, "the set left before its pods: {now:?}");
        seen.push(now);
        cluster.agents(|_| true);
    }
    assert_eq!(left(&cluster), (0, 0, 0), "{seen:?}");
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn orphans_stay_without_their_owner() {
    let mut cluster = running().await;
    cluster
        .api
        .remove::<Deployment>("default", "web", &delete("Orphan"));
    cluster.settle(MINUTE).await;
    assert_eq!(left(&cluster), (0, 1, 3));
    assert!(cluster.api.all::<ReplicaSet>()[0].controller().is_none());
    cluster.stop().await;
}

fn owned(name: &str, owners: Value) -> Value {
    json!({"metadata": {"namespace": "default", "name": name, "ownerReferences": owners}})
}

#[tokio::test(start_paused = true)]
async fn one_owner_left_is_enough_and_unknown_kinds_are_left_alone() {
    let mut cluster = Cluster::new();
    cluster.start();
    let owner: ConfigMap = cluster
        .api
        .put(json!({"metadata": {"namespace": "default", "name": "owner"}}));
    let reference = |kind: &str, name: &str, uid: &str| json!({"apiVersion": "v1", "kind": kind, "name": name, "uid": uid});
    let there = reference("ConfigMap", "owner", owner.uid());
    let gone = reference("ConfigMap", "gone", "uid-of-nobody");
    let foreign = reference("Widget", "w", "uid-of-a-widget");
    cluster.api.put::<ConfigMap>(owned("two", json!([there, gone])));
    cluster.api.put::<ConfigMap>(owned("none", json!([gone])));
    cluster.api.put::<ConfigMap>(owned("foreign", json!([foreign])));
    cluster
        .api
        .put::<Namespace>(json!({"metadata": {"name": "other"}}));
    // Its owner is real, but lives elsewhere.
    let mut across = owned("across", json!([there]));
    across["metadata"]["namespace"] = json!("other");
    cluster.api.put::<ConfigMap>(across);
    cluster.settle(MINUTE).await;
    let two: ConfigMap = cluster.api.one("default", "two").unwrap();
    assert_eq!(two.metadata.owner_references.unwrap().len(), 1);
    assert!(cluster.api.one::<ConfigMap>("default", "none").is_none());
    assert!(cluster.api.one::<ConfigMap>("default", "foreign").is_some());
    assert!(cluster.api.one::<ConfigMap>("other", "across").is_none());
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn killed_after_any_write_and_started_again_the_collector_ends_in_the_same_state() {
    for propagation in ["Background", "Foreground", "Orphan"] {
        let expected = if propagation == "Orphan" {
            (0, 1, 3)
        } else {
            (0, 0, 0)
        };
        let mut survived = false;
        for writes in 0..60 {
            let mut cluster = running().await;
            cluster.api.die_after(Some(writes));
            cluster
                .api
                .remove::<Deployment>("default", "web", &delete(propagation));
            cluster.settle(Duration::from_secs(8)).await;
            survived = !cluster.api.is_dead();
            cluster.stop().await;
            cluster.api.die_after(None);
            cluster.start();
            cluster.settle(MINUTE).await;
            assert_eq!(
                left(&cluster),
                expected,
                "{propagation}, killed after {writes} writes"
            );
            cluster.stop().await;
            if survived {
                break;
            }
        }
        assert!(survived, "no run was long enough to finish");
    }
}

#[tokio::test(start_paused = true)]
async fn a_namespace_has_its_account_and_ca_and_goes_with_all_it_contains() {
    let mut cluster = running().await;
    cluster
        .api
        .put::<Namespace>(json!({"metadata": {"name": "team"}}));
    cluster.settle(MINUTE).await;
    assert!(cluster.api.one::<ServiceAccount>("team", "default").is_some());
    let ca = |c: &Cluster| {
        c.api
            .one::<ConfigMap>("team", "kube-root-ca.crt")
            .and_then(|m| m.data)
    };
    assert_eq!(ca(&cluster).unwrap()["ca.crt"], "CA");
    cluster.api.change::<ConfigMap>("team", "kube-root-ca.crt", |m| {
        m["data"] = json!({"ca.crt": "forged"})
    });
    cluster.settle(MINUTE).await;
    assert_eq!(ca(&cluster).unwrap()["ca.crt"], "CA");
    cluster.root_ca.send_replace("next CA, CA".into());
    cluster.settle(MINUTE).await;
    assert_eq!(ca(&cluster).unwrap()["ca.crt"], "next CA, CA");
    cluster
        .api
        .remove::<ServiceAccount>("team", "default", &DeleteOptions::default());
    cluster
        .api
        .remove::<ConfigMap>("team", "kube-root-ca.crt", &DeleteOptions::default());
    cluster.settle(MINUTE).await;
    assert!(cluster.api.one::<ServiceAccount>("team", "default").is_some());
    assert!(ca(&cluster).is_some());

    let mut web = deployment("web", 2, "v1");
    web["metadata"]["namespace"] = json!("team");
    cluster.api.put::<Deployment>(web);
    cluster.settle(MINUTE).await;
    cluster
        .api
        .remove::<Namespace>("", "team", &DeleteOptions::default());
    cluster.settle(MINUTE).await;
    assert!(cluster.api.one::<Namespace>("", "team").is_none());
    assert_eq!(
        cluster
            .api
            .all::<Pod>()
            .iter()
            .filter(|p| p.namespace() == "team")
            .count(),
        0
    );
    assert!(cluster.api.one::<ServiceAccount>("team", "default").is_none());
    assert_eq!(left(&cluster), (1, 1, 3), "other namespaces are untouched");
    let warnings = cluster
        .api
        .all::<Event>()
        .into_iter()
        .filter(|e| e.type_.as_deref() == Some("Warning"));
    assert_eq!(warnings.count(), 0);
    cluster.stop().await;
}
