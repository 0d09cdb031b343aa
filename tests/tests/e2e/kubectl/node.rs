//! Cordon and drain, on a cluster of its own: other tests want a node that takes pods.

use anyhow::Result;
use serde_json::json;
use skiff_tests::{Cluster, User, eventually, shell_pod, web_deployment};

use crate::{has, same};

skiff_tests::cases! {
    own: a_cordoned_node_takes_no_pods_and_a_drained_one_has_none;
}

fn a_cordoned_node_takes_no_pods_and_a_drained_one_has_none(user: User) -> Result<()> {
    let cluster = Cluster::start(user)?;
    let ns = cluster.namespace()?;
    let image = cluster.image("v1")?;
    let node = cluster
        .kubectl("get nodes -o jsonpath={.items[0].metadata.name}")
        .ok()?;
    ns.apply(&[web_deployment("web", &image, 2)])?;
    ns.wait_rolled_out("web")?;
    same(
        cluster.kubectl(["cordon", &node]).ok()?.trim(),
        &format!("node/{node} cordoned"),
    )?;
    has(&cluster.kubectl("get nodes").ok()?, &["Ready,SchedulingDisabled"])?;
    ns.apply(&[shell_pod("waits", &image, "exit 0")])?;
    let unschedulable = |pod: &k8s_openapi::api::core::v1::Pod| {
        let conditions = pod
            .status
            .as_ref()
            .and_then(|s| s.conditions.as_deref())
            .unwrap_or_default();
        conditions
            .iter()
            .any(|c| c.type_ == "PodScheduled" && c.reason.as_deref() == Some("Unschedulable"))
    };
    let pod = ns.wait_pod("waits", "to be unschedulable", unschedulable)?;
    has(
        &serde_json::to_string(&pod.status)?,
        &["0/1 nodes are available: 1 node(s) were unschedulable"],
    )?;
    // A budget that allows no disruption holds the drain up; without it the drain ends.
    ns.apply(&[
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}}),
    ])?;
    eventually("the budget's status", || {
        let seen = "get pdb web -o jsonpath={.status.currentHealthy}/{.status.disruptionsAllowed}";
        same(ns.kubectl(seen).ok()?.as_str(), "2/0")
    })?;
    let held = cluster
        .kubectl(["drain", &node, "--force", "--timeout=1s"])
        .fails(1)?;
    has(
        &held,
        &["Cannot evict pod as it would violate the pod's disruption budget."],
    )?;
    ns.kubectl("delete pdb web").ok()?;
    let drained = cluster
        .kubectl([
            "drain",
            &node,
            "--ignore-daemonsets",
            "--delete-emptydir-data",
            "--force",
            "--timeout=60s",
        ])
        .ok()?;
    has(&drained, &["evicting pod", &format!("node/{node} drained")])
        .or_else(|_| has(&drained, &["drained"]))?;
    same(
        ns.kubectl("get pods -l app=web --field-selector=status.phase=Running -o name")
            .ok()?
            .as_str(),
        "",
    )?;
    same(
        cluster.kubectl(["uncordon", &node]).ok()?.trim(),
        &format!("node/{node} uncordoned"),
    )?;
    ns.wait_rolled_out("web")?;
    ns.wait_succeeded("waits")?;
    let about =
        "get events -A --field-selector involvedObject.kind=Node -o custom-columns=M:.message --no-headers";
    let is_now = |reason: &str| format!("Node {node} status is now: {reason}");
    eventually("the events", || {
        let events = cluster.kubectl(about).ok()?;
        for reason in [
            "NodeReady",
            "NodeHasSufficientMemory",
            "NodeNotSchedulable",
            "NodeSchedulable",
        ] {
            has(&events, &[&is_now(reason)])?;
        }
        Ok(())
    })?;
    // The lease goes with its Node.
    eventually("the lease's owner", || {
        let owner = "-o jsonpath={.metadata.ownerReferences[*].kind}/{.metadata.ownerReferences[*].name}";
        let lease = cluster
            .kubectl(format!("get lease -n kube-node-lease {node} {owner}"))
            .ok()?;
        same(lease.as_str(), &format!("Node/{node}"))
    })
}
