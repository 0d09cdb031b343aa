use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::{Event, Pod},
};
use serde_json::{Value, json};

use super::{revision, rollout};
use crate::{
    machinery::{Object, pods},
    testing::{Cluster, cluster::deployment},
};

const MINUTE: Duration = Duration::from_secs(60);

fn typed(value: Value) -> Deployment {
    serde_json::from_value(value).unwrap()
}

fn set(name: &str, created: i64, replicas: i32, max: i32) -> ReplicaSet {
    let created = jiff::Timestamp::from_second(created).unwrap().to_string();
    serde_json::from_value(json!({
        "metadata": {"name": name, "creationTimestamp": created,
                     "annotations": {"deployment.kubernetes.io/max-replicas": max.to_string()}},
        "spec": {"replicas": replicas, "selector": {}},
    }))
    .unwrap()
}

#[test]
fn surge_rounds_up_unavailable_rounds_down_and_not_both_are_zero() {
    let bounds = |replicas: i32, surge: Value, unavailable: Value| {
        let mut value = deployment("web", replicas, "a");
        value["spec"]["strategy"]["rollingUpdate"] =
            json!({"maxSurge": surge, "maxUnavailable": unavailable});
        let d = typed(value);
        (rollout::max_surge(&d), rollout::max_unavailable(&d))
    };
    assert_eq!(bounds(3, json!("25%"), json!("25%")), (1, 0));
    assert_eq!(bounds(10, json!("25%"), json!("25%")), (3, 2));
    assert_eq!(bounds(3, json!(2), json!(5)), (2, 3));
    assert_eq!(bounds(1, json!(0), json!("10%")), (0, 1));
    assert_eq!(bounds(0, json!("25%"), json!("25%")), (0, 0));
}

#[test]
fn a_new_size_is_shared_in_proportion_and_the_rest_goes_to_the_largest() {
    // Kubernetes, "Proportional scaling": 8 old + 5 new of 10 + 3, scaled to 15 + 3: 11 old + 7 new.
    let mut value = deployment("web", 15, "a");
    value["spec"]["strategy"]["rollingUpdate"] = json!({"maxSurge": 3, "maxUnavailable": 2});
    let d = typed(value);
    let (old, new) = (set("old", 1, 8, 13), set("new", 2, 5, 13));
    let mut sizes = rollout::proportional(&d, &[(0, &old), (1, &new)], 13);
    sizes.sort();
    assert_eq!(sizes, [(0, 11), (1, 7)]);
}

#[test]
fn the_hash_is_stable_and_ten_safe_characters() {
    let d = typed(deployment("web", 1, "a"));
    let hash = revision::hash(&d.spec.template, None);
    assert_eq!(hash, revision::hash(&d.spec.template, Some(0)));
    assert_ne!(hash, revision::hash(&d.spec.template, Some(1)));
    assert_ne!(
        hash,
        revision::hash(&typed(deployment("web", 1, "b")).spec.template, None)
    );
    assert_eq!(hash.len(), 10);
    assert!(
        hash.chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c)),
        "{hash}"
    );
}

fn condition(d: &Deployment, type_: &str) -> (String, String, String) {
    let conditions = d.status.as_ref().unwrap().conditions.as_ref().unwrap();
    let c = conditions
        .iter()
        .find(|c| c.type_.as_deref() == Some(type_))
        .unwrap();
    (
        c.status.clone().unwrap(),
        c.reason.clone().unwrap(),
        c.message.clone().unwrap(),
    )
}

fn events(cluster: &Cluster, reason: &str) -> Vec<String> {
    let mut events = cluster.api.all::<Event>();
    events.retain(|e| e.reason.as_deref() == Some(reason));
    events.sort_by_key(|e| e.revision());
    events.into_iter().map(|e| e.message.unwrap()).collect()
}

fn sizes(cluster: &Cluster) -> Vec<(String, i32)> {
    let mut sets = cluster.api.all::<ReplicaSet>();
    sets.sort_by_key(revision::of);
    let text = |s: &ReplicaSet| s.annotations()[revision::REVISION].clone();
    sets.iter().map(|s| (text(s), rollout::size(s))).collect()
}

fn image(cluster: &Cluster, name: &str, image: &str) {
    cluster.api.change::<Deployment>("default", name, |d| {
        d["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    });
}

async fn running(replicas: i32) -> Cluster {
    let mut cluster = Cluster::new();
    cluster.node("n1", "8");
    cluster.node("n2", "8");
    cluster.start();
    cluster.api.put::<Deployment>(deployment("web", replicas, "v1"));
    cluster.settle(MINUTE).await;
    cluster
}

#[tokio::test(start_paused = true)]
async fn a_deployment_gets_its_pods_and_says_so_in_kubernetes_words() {
    let mut cluster = running(3).await;
    let d: Deployment = cluster.api.one("default", "web").unwrap();
    let status = d.status.clone().unwrap();
    assert_eq!(status.replicas, Some(3));
    assert_eq!(status.updated_replicas, Some(3));
    assert_eq!(status.ready_replicas, Some(3));
    assert_eq!(status.available_replicas, Some(3));
    assert_eq!(status.unavailable_replicas, None);
    assert_eq!(status.observed_generation, Some(1));
    let set = cluster.api.all::<ReplicaSet>().remove(0);
    assert_eq!(
        condition(&d, "Progressing"),
        (
            "True".into(),
            "NewReplicaSetAvailable".into(),
            format!("ReplicaSet \"{}\" has successfully progressed.", set.name())
        )
    );
    assert_eq!(
        condition(&d, "Available"),
        (
            "True".into(),
            "MinimumReplicasAvailable".into(),
            "Deployment has minimum availability.".into()
        )
    );
    assert_eq!(
        events(&cluster, "ScalingReplicaSet"),
        [format!("Scaled up replica set {} from 0 to 3", set.name())]
    );
    assert_eq!(events(&cluster, "SuccessfulCreate").len(), 3);
    assert_eq!(events(&cluster, "Scheduled").len(), 3);
    assert_eq!(d.annotations()[revision::REVISION], "1");
    assert_eq!(set.annotations()[revision::DESIRED], "3");
    assert_eq!(set.annotations()[revision::MAX], "4");
    let pod = cluster.api.all::<Pod>().remove(0);
    assert!(pod.name().starts_with(&format!("{}-", set.name())));
    assert_eq!(
        pod.labels()[revision::HASH_LABEL],
        set.labels()[revision::HASH_LABEL]
    );
    assert_eq!(pod.controller().unwrap().block_owner_deletion, Some(true));
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_template_rolls_within_bounds_and_an_old_one_rolls_back() {
    let mut cluster = running(4).await;
    image(&cluster, "web", "v2");
    // At most 1 over (25 % of 4) and at most 1 unavailable, at every moment.
    for _ in 0..400 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let alive: Vec<Pod> = cluster
            .api
            .all::<Pod>()
            .into_iter()
            .filter(|p| !p.is_terminating())
            .collect();
        assert!(alive.len() <= 5, "{} pods", alive.len());
        assert!(alive.iter().filter(|p| pods::is_ready(p)).count() >= 3);
        cluster.agents(|_| true);
    }
    cluster.settle(MINUTE).await;
    assert_eq!(sizes(&cluster), [("1".into(), 0), ("2".into(), 4)]);
    let d: Deployment = cluster.api.one("default", "web").unwrap();
    assert_eq!(d.annotations()[revision::REVISION], "2");
    assert_eq!(condition(&d, "Progressing").1, "NewReplicaSetAvailable");

    image(&cluster, "web", "v1");
    cluster.settle(MINUTE).await;
    assert_eq!(sizes(&cluster), [("2".into(), 0), ("3".into(), 4)]);
    let back = cluster
        .api
        .all::<ReplicaSet>()
        .into_iter()
        .find(|s| revision::of(s) == 3)
        .unwrap();
    assert_eq!(back.annotations()[revision::HISTORY], "1");
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn scaling_changes_the_set_and_its_notes_and_is_told() {
    let mut cluster = running(3).await;
    cluster
        .api
        .change::<Deployment>("default", "web", |d| d["spec"]["replicas"] = json!(5));
    cluster.settle(MINUTE).await;
    let set = cluster.api.all::<ReplicaSet>().remove(0);
    assert_eq!(
        (rollout::size(&set), set.annotations()[revision::DESIRED].as_str()),
        (5, "5")
    );
    cluster
        .api
        .change::<Deployment>("default", "web", |d| d["spec"]["replicas"] = json!(0));
    cluster.settle(MINUTE).await;
    assert_eq!(cluster.api.all::<Pod>().len(), 0);
    let name = set.name();
    assert_eq!(
        events(&cluster, "ScalingReplicaSet"),
        [
            format!("Scaled up replica set {name} from 0 to 3"),
            format!("Scaled up replica set {name} from 3 to 5"),
            format!("Scaled down replica set {name} from 5 to 0"),
        ]
    );
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn recreate_waits_for_the_last_old_pod() {
    let mut cluster = Cluster::new();
    cluster.node("n1", "8");
    cluster.start();
    let mut value = deployment("web", 3, "v1");
    value["spec"]["strategy"] = json!({"type": "Recreate"});
    cluster.api.put::<Deployment>(value);
    cluster.settle(MINUTE).await;
    image(&cluster, "web", "v2");
    for _ in 0..300 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let pods = cluster.api.all::<Pod>();
        let hashes: std::collections::BTreeSet<_> = pods
            .iter()
            .map(|p| p.labels()[revision::HASH_LABEL].clone())
            .collect();
        assert!(hashes.len() <= 1, "old and new pods at the same time");
        cluster.agents(|_| true);
    }
    cluster.settle(MINUTE).await;
    assert_eq!(sizes(&cluster), [("1".into(), 0), ("2".into(), 3)]);
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_deployment_scales_but_does_not_roll() {
    let mut cluster = running(2).await;
    cluster
        .api
        .change::<Deployment>("default", "web", |d| d["spec"]["paused"] = json!(true));
    image(&cluster, "web", "v2");
    cluster
        .api
        .change::<Deployment>("default", "web", |d| d["spec"]["replicas"] = json!(4));
    cluster.settle(MINUTE).await;
    assert_eq!(sizes(&cluster), [("1".into(), 4)]);
    let d: Deployment = cluster.api.one("default", "web").unwrap();
    assert_eq!(condition(&d, "Progressing").1, "DeploymentPaused");
    cluster
        .api
        .change::<Deployment>("default", "web", |d| d["spec"]["paused"] = json!(false));
    cluster.settle(MINUTE).await;
    assert_eq!(sizes(&cluster), [("1".into(), 0), ("2".into(), 4)]);
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_can_not_progress_says_so_and_recovers() {
    let mut cluster = running(4).await;
    cluster.api.change::<Deployment>("default", "web", |d| {
        d["spec"]["progressDeadlineSeconds"] = json!(30)
    });
    image(&cluster, "web", "broken");
    let starts = |p: &Pod| p.spec.as_ref().unwrap().containers[0].image.as_deref() != Some("broken");
    cluster.settle_with(Duration::from_secs(10), starts).await;
    // The heartbeats of the nodes have to go on meanwhile.
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        cluster.beat("n1");
        cluster.beat("n2");
    }
    let d: Deployment = cluster.api.one("default", "web").unwrap();
    let set = cluster
        .api
        .all::<ReplicaSet>()
        .into_iter()
        .find(|s| revision::of(s) == 2)
        .unwrap();
    assert_eq!(
        condition(&d, "Progressing"),
        (
            "False".into(),
            "ProgressDeadlineExceeded".into(),
            format!("ReplicaSet \"{}\" has timed out progressing.", set.name())
        )
    );
    // One old pod was given up, two new ones tried: 3 available, 5 in all.
    assert_eq!(sizes(&cluster), [("1".into(), 3), ("2".into(), 2)]);
    image(&cluster, "web", "v1");
    cluster.settle(MINUTE).await;
    assert_eq!(sizes(&cluster), [("2".into(), 0), ("3".into(), 4)]);
    let d: Deployment = cluster.api.one("default", "web").unwrap();
    assert_eq!(condition(&d, "Progressing").1, "NewReplicaSetAvailable");
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn history_beyond_the_limit_is_dropped_oldest_first() {
    let mut cluster = running(1).await;
    cluster
        .api
        .change::<Deployment>("default", "web", |d| d["spec"]["revisionHistoryLimit"] = json!(2));
    for version in 2..=5 {
        image(&cluster, "web", &format!("v{version}"));
        cluster.settle(MINUTE).await;
    }
    let revisions: Vec<String> = sizes(&cluster).into_iter().map(|(r, _)| r).collect();
    assert_eq!(revisions, ["3", "4", "5"]);
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn pods_count_as_available_only_after_min_ready_seconds() {
    let mut cluster = Cluster::new();
    cluster.node("n1", "8");
    cluster.start();
    let mut value = deployment("web", 2, "v1");
    value["spec"]["minReadySeconds"] = json!(20);
    cluster.api.put::<Deployment>(value);
    cluster.settle(Duration::from_secs(5)).await;
    let status = |c: &Cluster| c.api.one::<Deployment>("default", "web").unwrap().status.unwrap();
    assert_eq!(
        (
            status(&cluster).ready_replicas,
            status(&cluster).available_replicas
        ),
        (Some(2), None)
    );
    tokio::time::sleep(Duration::from_secs(21)).await;
    assert_eq!(status(&cluster).available_replicas, Some(2));
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_set_without_owner_is_adopted_and_one_that_no_longer_matches_released() {
    let mut cluster = running(1).await;
    let set = cluster.api.all::<ReplicaSet>().remove(0);
    cluster.api.change::<ReplicaSet>("default", set.name(), |s| {
        s["metadata"]["ownerReferences"] = json!([])
    });
    cluster.settle(MINUTE).await;
    let adopted: ReplicaSet = cluster.api.one("default", set.name()).unwrap();
    assert_eq!(adopted.controller().unwrap().kind, "Deployment");
    assert_eq!(cluster.api.all::<ReplicaSet>().len(), 1);
    cluster.api.change::<ReplicaSet>("default", set.name(), |s| {
        s["metadata"]["labels"]["app"] = json!("other")
    });
    cluster.settle(MINUTE).await;
    let released: ReplicaSet = cluster.api.one("default", set.name()).unwrap();
    assert!(released.controller().is_none());
    cluster.stop().await;
}

/// The state that matters, without names that chance or history gives.
fn outcome(cluster: &Cluster) -> (Vec<(String, i32)>, usize, String, Option<i32>) {
    let d: Deployment = cluster.api.one("default", "web").unwrap();
    let pods = cluster.api.all::<Pod>();
    let images = pods
        .iter()
        .map(|p| p.spec.as_ref().unwrap().containers[0].image.clone().unwrap());
    let mut images: Vec<String> = images.collect();
    images.dedup();
    let progressing = condition(&d, "Progressing").1;
    (
        sizes(cluster),
        pods.len(),
        format!("{images:?} {progressing}"),
        d.status.unwrap().available_replicas,
    )
}

#[tokio::test(start_paused = true)]
async fn killed_after_any_write_and_started_again_it_ends_in_the_same_state() {
    let expected = {
        let mut cluster = running(3).await;
        image(&cluster, "web", "v2");
        cluster.settle(MINUTE).await;
        let outcome = outcome(&cluster);
        cluster.stop().await;
        outcome
    };
    assert_eq!(expected.0, [("1".into(), 0), ("2".into(), 3)]);
    let mut survived = false;
    for writes in 1..150 {
        let mut cluster = running(3).await;
        cluster.api.die_after(Some(writes));
        image(&cluster, "web", "v2");
        cluster.settle(Duration::from_secs(8)).await;
        survived = !cluster.api.is_dead();
        cluster.stop().await;
        cluster.api.die_after(None);
        cluster.start();
        cluster.settle(MINUTE).await;
        assert_eq!(outcome(&cluster), expected, "killed after {writes} writes");
        cluster.stop().await;
        if survived {
            assert!(writes > 20, "a rollout takes more than {writes} writes");
            break;
        }
    }
    assert!(survived, "no run was long enough to finish");
}
