use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::{Event, Node, Pod};
use serde_json::{Value, json};

use crate::{DeleteOptions, machinery::pods, testing::Cluster};

fn pod(name: &str, cpu: &str, spec: Value) -> Value {
    let mut value = json!({
        "metadata": {"namespace": "default", "name": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]},
    });
    for (key, field) in spec.as_object().unwrap() {
        value["spec"][key] = field.clone();
    }
    value
}

async fn cluster(nodes: &[(&str, &str)]) -> Cluster {
    let mut cluster = Cluster::new();
    for (name, cpu) in nodes {
        cluster.node(name, cpu);
    }
    cluster.start();
    blink().await;
    cluster
}

async fn blink() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

fn node_of(cluster: &Cluster, pod: &str) -> String {
    pods::node_name(&cluster.api.one::<Pod>("default", pod).unwrap()).to_owned()
}

fn refusal(cluster: &Cluster, pod: &str) -> String {
    let pod: Pod = cluster.api.one("default", pod).unwrap();
    let condition = pods::condition(&pod, "PodScheduled").unwrap();
    assert_eq!(
        (condition.status.as_str(), condition.reason.as_deref()),
        ("False", Some("Unschedulable"))
    );
    condition.message.clone().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_bound_within_milliseconds_and_the_event_says_where() {
    let cluster = cluster(&[("n1", "2")]).await;
    cluster.api.put::<Pod>(pod("a", "1", json!({})));
    blink().await;
    assert_eq!(node_of(&cluster, "a"), "n1");
    blink().await;
    let event = cluster
        .api
        .all::<Event>()
        .into_iter()
        .find(|e| e.reason.as_deref() == Some("Scheduled"))
        .unwrap();
    assert_eq!(
        event.message.as_deref(),
        Some("Successfully assigned default/a to n1")
    );
    assert_eq!(
        event.source.unwrap().component.as_deref(),
        Some("default-scheduler")
    );
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_says_why_and_is_placed_when_there_is_room() {
    let cluster = cluster(&[("n1", "2")]).await;
    cluster.api.put::<Pod>(pod("a", "1500m", json!({})));
    blink().await;
    cluster.api.put::<Pod>(pod("b", "1", json!({})));
    blink().await;
    assert_eq!(
        refusal(&cluster, "b"),
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims \
         found for incoming pod."
    );
    let failed: Vec<Event> = cluster
        .api
        .all::<Event>()
        .into_iter()
        .filter(|e| e.reason.as_deref() == Some("FailedScheduling"))
        .collect();
    assert_eq!(failed.len(), 1);
    let at_once = DeleteOptions {
        grace_seconds: Some(0),
        ..DeleteOptions::default()
    };
    cluster.api.remove::<Pod>("default", "a", &at_once);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(node_of(&cluster, "b"), "n1");
}

#[tokio::test(start_paused = true)]
async fn each_rule_gives_its_reason() {
    let cluster = cluster(&[("n1", "2"), ("n2", "2"), ("n3", "2")]).await;
    cluster.api.change::<Node>("", "n1", |n| {
        n["spec"]["taints"] = json!([{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]);
    });
    cluster
        .api
        .change::<Node>("", "n2", |n| n["spec"]["unschedulable"] = json!(true));
    blink().await;
    cluster
        .api
        .put::<Pod>(pod("a", "1", json!({"nodeSelector": {"disk": "ssd"}})));
    blink().await;
    assert_eq!(
        refusal(&cluster, "a"),
        "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had untolerated \
         taint {gpu: yes}, 1 node(s) were unschedulable. preemption: 0/3 nodes are available: 3 Preemption is not \
         helpful for scheduling."
    );
    // A label on a node lets it in, once its back-off is over.
    cluster
        .api
        .change::<Node>("", "n3", |n| n["metadata"]["labels"]["disk"] = json!("ssd"));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(node_of(&cluster, "a"), "n3");
    let tolerant = json!({"tolerations": [{"key": "gpu", "operator": "Exists"}],
                          "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
                              {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]}}}});
    cluster.api.put::<Pod>(pod("b", "1", tolerant));
    blink().await;
    assert_eq!(node_of(&cluster, "b"), "n1");
}

#[tokio::test(start_paused = true)]
async fn gated_pods_and_those_of_other_schedulers_are_left_alone() {
    let cluster = cluster(&[("n1", "2")]).await;
    cluster
        .api
        .put::<Pod>(pod("gated", "1", json!({"schedulingGates": [{"name": "x/y"}]})));
    cluster
        .api
        .put::<Pod>(pod("foreign", "1", json!({"schedulerName": "mine"})));
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(
        (node_of(&cluster, "gated"), node_of(&cluster, "foreign")),
        (String::new(), String::new())
    );
    cluster.beat("n1");
    cluster.api.change::<Node>("", "n1", |n| {
        n["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    });
    blink().await;
    cluster
        .api
        .change::<Pod>("default", "gated", |p| p["spec"]["schedulingGates"] = json!([]));
    blink().await;
    assert_eq!(node_of(&cluster, "gated"), "n1");
}

#[tokio::test(start_paused = true)]
async fn host_ports_affinity_and_spread_are_kept() {
    let cluster = cluster(&[("n1", "8"), ("n2", "8")]).await;
    let port = json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]});
    for name in ["p1", "p2", "p3"] {
        cluster.api.put::<Pod>(pod(name, "0", port.clone()));
        blink().await;
    }
    assert_ne!(node_of(&cluster, "p1"), node_of(&cluster, "p2"));
    assert!(refusal(&cluster, "p3").contains("2 node(s) didn't have free ports for the requested pod ports"));

    let term = |app: &str| {
        json!({"requiredDuringSchedulingIgnoredDuringExecution": [
            {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "kubernetes.io/hostname"}]})
    };
    let labelled = |mut p: Value, app: &str| {
        p["metadata"]["labels"] = json!({"app": app});
        p
    };
    // The first of a group that wants to be together may go anywhere.
    let together = |name: &str| {
        labelled(
            pod(name, "1", json!({"affinity": {"podAffinity": term("db")}})),
            "db",
        )
    };
    cluster.api.put::<Pod>(together("t1"));
    blink().await;
    cluster.api.put::<Pod>(together("t2"));
    blink().await;
    assert_eq!(node_of(&cluster, "t1"), node_of(&cluster, "t2"));

    let apart = |name: &str| {
        labelled(
            pod(name, "1", json!({"affinity": {"podAntiAffinity": term("lone")}})),
            "lone",
        )
    };
    for name in ["l1", "l2", "l3"] {
        cluster.api.put::<Pod>(apart(name));
        blink().await;
    }
    assert_ne!(node_of(&cluster, "l1"), node_of(&cluster, "l2"));
    assert!(refusal(&cluster, "l3").contains("2 node(s) didn't match pod anti-affinity rules"));

    let spread = |name: &str| {
        let constraint = json!([{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
                                 "labelSelector": {"matchLabels": {"app": "even"}}}]);
        labelled(
            pod(name, "100m", json!({"topologySpreadConstraints": constraint})),
            "even",
        )
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for i in 0..6 {
        let name = format!("s{i}");
        cluster.api.put::<Pod>(spread(&name));
        blink().await;
        *counts.entry(node_of(&cluster, &name)).or_default() += 1;
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [3, 3]);
}

#[tokio::test(start_paused = true)]
async fn many_pods_are_spread_evenly_and_bound_in_few_calls() {
    let names: Vec<String> = (0..100).map(|i| format!("n{i}")).collect();
    let nodes: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "16")).collect();
    let mut cluster = Cluster::new();
    for (name, cpu) in &nodes {
        cluster.node(name, cpu);
    }
    for i in 0..1000 {
        let mut p = pod(&format!("p{i}"), "100m", json!({}));
        p["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "v1", "kind": "Thing", "name": "t", "uid": "t", "controller": true}]);
        cluster.api.put::<Pod>(p);
    }
    let started = std::time::Instant::now();
    cluster.start();
    // Their owner does not exist in any kind that is known, so the collector leaves them alone.
    cluster
        .until("all bound", Duration::from_secs(30), |api| {
            api.all::<Pod>().iter().all(|p| !pods::node_name(p).is_empty())
        })
        .await;
    eprintln!(
        "1000 pods on 100 nodes: {:?} in all, {} calls of bind",
        started.elapsed(),
        cluster.api.binds()
    );
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for pod in cluster.api.all::<Pod>() {
        *counts.entry(pods::node_name(&pod).to_owned()).or_default() += 1;
    }
    assert_eq!(counts.len(), 100);
    assert!(counts.values().all(|n| *n == 10), "{counts:?}");
    assert!(cluster.api.binds() <= 20, "{} calls", cluster.api.binds());
    cluster.stop().await;
}
