use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Node, Pod};
use serde_json::{Value, json};

use super::{cidr::Ranges, evict::tolerates};
use crate::{
    machinery::{Object, pods},
    testing::Cluster,
};

fn taints(cluster: &Cluster, node: &str) -> Vec<String> {
    let node: Node = cluster.api.one("", node).unwrap();
    let taints = node.spec.unwrap().taints.unwrap_or_default();
    let mut taints: Vec<String> = taints
        .into_iter()
        .map(|t| format!("{}:{}", t.key, t.effect))
        .collect();
    taints.sort();
    taints
}

fn ready(cluster: &Cluster, node: &str) -> (String, String) {
    let node: Node = cluster.api.one("", node).unwrap();
    let conditions = node.status.unwrap().conditions.unwrap();
    let ready = conditions.into_iter().find(|c| c.type_ == "Ready").unwrap();
    (ready.status, ready.reason.unwrap())
}

fn pod(name: &str, node: &str, tolerations: Value) -> Value {
    json!({
        "metadata": {"namespace": "default", "name": name},
        "spec": {"nodeName": node, "containers": [{"name": "c"}], "tolerations": tolerations},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

async fn pass(cluster: &Cluster, seconds: u64, beating: &[&str]) {
    for _ in 0..seconds {
        tokio::time::sleep(Duration::from_secs(1)).await;
        beating.iter().for_each(|n| cluster.beat(n));
    }
}

#[test]
fn every_node_gets_a_range_of_its_own_and_keeps_it() {
    let mut ranges = Ranges::new("10.42.0.0/22");
    let node = |name: &str, cidr: &str| {
        std::sync::Arc::new(
            serde_json::from_value::<Node>(json!({"metadata": {"name": name}, "spec": {"podCIDR": cidr}}))
                .unwrap(),
        )
    };
    let known = [node("old", "10.42.0.0/24")];
    assert_eq!(ranges.take("a", &known).unwrap(), ["10.42.1.0/24"]);
    assert_eq!(ranges.take("a", &known).unwrap(), ["10.42.1.0/24"]);
    assert_eq!(ranges.take("b", &known).unwrap(), ["10.42.2.0/24"]);
    assert_eq!(ranges.take("c", &known).unwrap(), ["10.42.3.0/24"]);
    assert_eq!(ranges.take("d", &known), None);
    ranges.release("b");
    assert_eq!(ranges.take("d", &known).unwrap(), ["10.42.2.0/24"]);

    let mut both = Ranges::new("10.42.0.0/22,fd00:42:0:4000::/62");
    assert_eq!(
        both.take("a", &known).unwrap(),
        ["10.42.1.0/24", "fd00:42:0:4001::/64"]
    );
}

#[test]
fn tolerations_match_as_documented() {
    let check = |toleration: Value, taint: Value, expected: bool| {
        let t = serde_json::from_value(toleration.clone()).unwrap();
        assert_eq!(
            tolerates(&t, &serde_json::from_value(taint.clone()).unwrap()),
            expected,
            "{toleration} {taint}"
        );
    };
    let taint = json!({"key": "k", "value": "v", "effect": "NoSchedule"});
    check(json!({"operator": "Exists"}), taint.clone(), true);
    check(json!({"key": "k", "operator": "Exists"}), taint.clone(), true);
    check(json!({"key": "k", "value": "v"}), taint.clone(), true);
    check(json!({"key": "k", "value": "w"}), taint.clone(), false);
    check(
        json!({"key": "k", "value": "v", "effect": "NoExecute"}),
        taint.clone(),
        false,
    );
    check(json!({"key": "x", "operator": "Exists"}), taint, false);
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_is_tainted_its_pods_not_ready_and_evicted_when_their_time_is_up() {
    let mut cluster = Cluster::new();
    cluster.node("n1", "8");
    cluster.node("n2", "8");
    cluster.start();
    let seconds = |s: i64| json!([{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": s}]);
    cluster.api.put::<Pod>(pod("soon", "n1", seconds(30)));
    cluster
        .api
        .put::<Pod>(pod("never", "n1", json!([{"operator": "Exists"}])));
    cluster.api.put::<Pod>(pod("other", "n2", json!([])));
    pass(&cluster, 60, &["n1", "n2"]).await;
    assert_eq!(ready(&cluster, "n1"), ("True".into(), "KubeletReady".into()));
    assert!(taints(&cluster, "n1").is_empty());
    assert_eq!(
        cluster
            .api
            .one::<Node>("", "n1")
            .unwrap()
            .spec
            .unwrap()
            .pod_cidr
            .unwrap(),
        "10.42.0.0/24"
    );
    assert_eq!(
        cluster
            .api
            .one::<Node>("", "n2")
            .unwrap()
            .spec
            .unwrap()
            .pod_cidr
            .unwrap(),
        "10.42.1.0/24"
    );

    pass(&cluster, 45, &["n2"]).await;
    assert_eq!(
        ready(&cluster, "n1"),
        ("Unknown".into(), "NodeStatusUnknown".into())
    );
    let unreachable = [
        "node.kubernetes.io/unreachable:NoExecute",
        "node.kubernetes.io/unreachable:NoSchedule",
    ];
    assert_eq!(taints(&cluster, "n1"), unreachable);
    let is_ready = |name: &str| pods::is_ready(&cluster.api.one::<Pod>("default", name).unwrap());
    assert_eq!(
        (is_ready("soon"), is_ready("never"), is_ready("other")),
        (false, false, true)
    );

    pass(&cluster, 30, &["n2"]).await;
    let names: Vec<String> = cluster
        .api
        .all::<Pod>()
        .iter()
        .map(|p| p.name().to_owned())
        .collect();
    assert_eq!(names, ["never", "other"]);

    // Back: the agent says so, the taints go.
    cluster.beat("n1");
    cluster.api.change::<Node>("", "n1", |n| {
        n["status"]["conditions"] = json!([{"type": "Ready", "status": "True", "reason": "KubeletReady"}]);
    });
    pass(&cluster, 2, &["n1", "n2"]).await;
    assert!(taints(&cluster, "n1").is_empty());
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn when_no_node_is_ready_nobody_is_evicted() {
    let mut cluster = Cluster::new();
    cluster.node("n1", "8");
    cluster.node("n2", "8");
    cluster.start();
    cluster.api.put::<Pod>(pod("a", "n1", json!([])));
    // The second falls silent somewhat later.
    pass(&cluster, 10, &["n2"]).await;
    pass(&cluster, 120, &[]).await;
    assert_eq!(ready(&cluster, "n1").0, "Unknown");
    assert_eq!(
        taints(&cluster, "n1"),
        ["node.kubernetes.io/unreachable:NoSchedule"]
    );
    assert_eq!(cluster.api.all::<Pod>().len(), 1);
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn cordon_and_pressure_become_taints_and_pods_of_a_removed_node_go() {
    let mut cluster = Cluster::new();
    cluster.node("n1", "8");
    cluster.node("n2", "8");
    cluster.start();
    cluster.api.change::<Node>("", "n1", |n| {
        n["spec"]["unschedulable"] = json!(true);
        n["spec"]["taints"] = json!([{"key": "mine", "effect": "NoSchedule"}]);
    });
    cluster.api.change::<Node>("", "n1", |n| {
        n["status"]["conditions"] = json!([{"type": "Ready", "status": "True", "reason": "KubeletReady"},
                                           {"type": "DiskPressure", "status": "True"}]);
    });
    pass(&cluster, 1, &[]).await;
    assert_eq!(
        taints(&cluster, "n1"),
        [
            "mine:NoSchedule",
            "node.kubernetes.io/disk-pressure:NoSchedule",
            "node.kubernetes.io/unschedulable:NoSchedule"
        ]
    );
    cluster.api.change::<Node>("", "n1", |n| {
        n["spec"]["unschedulable"] = json!(false);
        n["status"]["conditions"][1]["status"] = json!("False");
    });
    pass(&cluster, 1, &[]).await;
    assert_eq!(taints(&cluster, "n1"), ["mine:NoSchedule"]);

    cluster.api.put::<Pod>(pod("a", "n2", json!([])));
    cluster
        .api
        .remove::<Node>("", "n2", &crate::DeleteOptions::default());
    pass(&cluster, 30, &["n1"]).await;
    assert_eq!(
        cluster.api.all::<Pod>().len(),
        1,
        "the node may be about to register again"
    );
    pass(&cluster, 40, &["n1"]).await;
    assert!(cluster.api.all::<Pod>().is_empty());
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_or_goes_is_told_of_once() {
    let mut cluster = Cluster::new();
    cluster.node("n1", "8");
    cluster.start();
    pass(&cluster, 90, &["n1"]).await;
    let uid = cluster.api.one::<Node>("", "n1").unwrap().uid().to_owned();
    cluster
        .api
        .remove::<Node>("", "n1", &crate::DeleteOptions::default());
    pass(&cluster, 1, &[]).await;
    let mut events = cluster.api.all::<Event>();
    events.retain(|e| e.involved_object.name.as_deref() == Some("n1"));
    events.sort_by_key(|e| e.first_timestamp.clone());
    let told: Vec<_> = events
        .iter()
        .map(|e| {
            (
                e.reason.as_deref().unwrap(),
                e.message.as_deref().unwrap(),
                e.count,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (
                "RegisteredNode",
                "Node n1 event: Registered Node n1 in Controller",
                Some(1)
            ),
            (
                "RemovingNode",
                "Node n1 event: Removing Node n1 from Controller",
                Some(1)
            ),
        ]
    );
    assert!(
        events
            .iter()
            .all(|e| e.involved_object.uid.as_deref() == Some(&*uid))
    );
    cluster.stop().await;
}
