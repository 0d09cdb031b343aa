use std::time::Duration;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod, policy::v1::PodDisruptionBudget};
use serde_json::{Value, json};

use crate::{
    machinery::Object,
    testing::{Cluster, cluster::deployment},
};

const LIMIT: Duration = Duration::from_secs(60);

async fn budget(spec: Value) -> (Cluster, impl Fn(&Cluster) -> Value) {
    let mut cluster = Cluster::new();
    cluster.node("n1", "8");
    cluster.api.put::<Deployment>(deployment("web", 4, "image"));
    let mut spec = spec;
    spec["selector"] = json!({"matchLabels": {"app": "web"}});
    cluster.api.put::<PodDisruptionBudget>(
        json!({"metadata": {"namespace": "default", "name": "web", "generation": 1}, "spec": spec}),
    );
    cluster.start();
    cluster.settle(LIMIT).await;
    let status = |cluster: &Cluster| {
        let budget: PodDisruptionBudget = cluster.api.one("default", "web").unwrap();
        serde_json::to_value(budget.status.unwrap()).unwrap()
    };
    (cluster, status)
}

#[tokio::test(start_paused = true)]
async fn a_budget_follows_its_pods_and_their_owner() {
    let (mut cluster, status) = budget(json!({"maxUnavailable": "25%"})).await;
    let now = status(&cluster);
    assert_eq!(now["expectedPods"], 4);
    assert_eq!(now["desiredHealthy"], 3);
    assert_eq!(now["currentHealthy"], 4);
    assert_eq!(now["disruptionsAllowed"], 1);
    assert_eq!(now["conditions"][0]["reason"], "SufficientPods");

    cluster
        .api
        .change::<Deployment>("default", "web", |d| d["spec"]["replicas"] = json!(8));
    cluster.settle(LIMIT).await;
    let now = status(&cluster);
    assert_eq!(
        (now["expectedPods"].clone(), now["disruptionsAllowed"].clone()),
        (json!(8), json!(2))
    );
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_evicted_pod_counts_as_gone_until_it_is_clear_that_it_stays() {
    let (mut cluster, status) = budget(json!({"minAvailable": 3})).await;
    assert_eq!(status(&cluster)["disruptionsAllowed"], 1);
    let pod = cluster.api.all::<Pod>()[0].name().to_owned();
    let time = cluster.time();
    cluster.api.change::<PodDisruptionBudget>("default", "web", |b| {
        b["status"]["disruptionsAllowed"] = json!(0);
        b["status"]["disruptedPods"] = json!({pod.as_str(): time});
    });
    cluster.settle(Duration::from_secs(20)).await;
    let now = status(&cluster);
    assert_eq!(now["disruptionsAllowed"], 0);
    assert_eq!(now["currentHealthy"], 3);
    assert_eq!(now["conditions"][0]["reason"], "InsufficientPods");
    let allowed_again = |api: &crate::testing::MemoryApi| {
        let budget: PodDisruptionBudget = api.one("default", "web").unwrap();
        budget.status.unwrap().disruptions_allowed == Some(1)
    };
    cluster
        .until("the pod stays", Duration::from_secs(150), allowed_again)
        .await;
    assert!(status(&cluster).get("disruptedPods").is_none());
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_can_not_be_computed_allows_nothing() {
    let (mut cluster, status) = budget(json!({"maxUnavailable": 1})).await;
    cluster.api.put::<Pod>(json!({
        "metadata": {"namespace": "default", "name": "other", "labels": {"app": "web"}, "ownerReferences": [
            {"apiVersion": "example.org/v1", "kind": "Game", "name": "g", "uid": "g", "controller": true}]},
        "spec": {"nodeName": "n1", "containers": []},
    }));
    cluster.settle(Duration::from_secs(20)).await;
    let now = status(&cluster);
    assert_eq!(now["disruptionsAllowed"], 0);
    assert_eq!(now["conditions"][0]["reason"], "SyncFailed");
    cluster.stop().await;
}
