//! Other amounts for containers that run.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use skiff_tests::{Cluster, Namespace, User, container_status, eventually, pod};

use crate::{has, same};

skiff_tests::cases! {
    shared: a_running_container_gets_what_it_asks_for_now;
}

/// Asks for other amounts of the only container.
fn resize(ns: &Namespace<'_>, cpu: &str, memory: &str) -> Result<()> {
    let amounts = json!({"cpu": cpu, "memory": memory});
    let patch = json!({"spec": {"containers": [{"name": "main", "resources": {"limits": amounts, "requests": amounts}}]}});
    let pods: Api<Pod> = ns.api();
    let (how, patch) = (PatchParams::default(), Patch::Strategic(patch));
    ns.cluster()
        .block_on(pods.patch_subresource("resize", "p", &how, &patch))?;
    Ok(())
}

/// The condition of a kind that is there while a resize is not done: its reason.
fn condition(pod: &Pod, kind: &str) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|condition| condition.type_ == kind)?;
    Some(found.reason.clone().unwrap_or_default())
}

/// Waits until the container has these limits, and for what its restarts are then.
fn given(ns: &Namespace<'_>, cpu: &str, memory: &str) -> Result<i32> {
    let wanted = json!({"cpu": cpu, "memory": memory});
    let has_it = |pod: &Pod| {
        let is_over = ["PodResizePending", "PodResizeInProgress"]
            .iter()
            .all(|kind| condition(pod, kind).is_none());
        let status = container_status(pod, "main");
        let resources = status.and_then(|status| status.resources.as_ref());
        let limits = resources.map(|resources| serde_json::to_value(&resources.limits).unwrap_or_default());
        is_over && limits.as_ref() == Some(&wanted)
    };
    let pod = ns.wait_pod("p", &format!("to have {wanted}"), has_it)?;
    let status = container_status(&pod, "main").context("its status")?;
    same(serde_json::to_value(&status.allocated_resources)?, wanted)?;
    Ok(status.restart_count)
}

/// What the kernel says, where limits are enforced: of the CPU in microseconds of 100 milliseconds, and bytes.
fn enforced(ns: &Namespace<'_>, quota: u32, bytes: u32) -> Result<()> {
    if ns.cluster().user() != User::Root {
        return Ok(());
    }
    let script = "cd /sys/fs/cgroup; cat cpu.max memory.max 2>/dev/null || cat cpu/cpu.cfs_quota_us memory/memory.limit_in_bytes";
    let words = ns.kubectl(["exec", "p", "--", "sh", "-c", script]).ok()?;
    let numbers: Vec<&str> = words
        .split_whitespace()
        .filter(|word| *word != "100000")
        .collect();
    same(numbers, vec![&*quota.to_string(), &*bytes.to_string()])
}

fn a_running_container_gets_what_it_asks_for_now(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let amounts = json!({"cpu": "200m", "memory": "64Mi"});
    let object: Value = pod(
        "p",
        json!({"terminationGracePeriodSeconds": 0, "containers": [{
            "name": "main", "image": cluster.image("v1")?,
            "resources": {"limits": amounts, "requests": amounts},
            "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"},
                {"resourceName": "memory", "restartPolicy": "RestartContainer"}],
        }]}),
    );
    ns.apply(&[object])?;
    ns.wait_ready("p")?;
    same(given(&ns, "200m", "64Mi")?, 0)?;
    enforced(&ns, 20_000, 64 << 20)?;

    resize(&ns, "150m", "64Mi")?;
    same(given(&ns, "150m", "64Mi")?, 0)?;
    enforced(&ns, 15_000, 64 << 20)?;
    resize(&ns, "300m", "64Mi")?;
    same(given(&ns, "300m", "64Mi")?, 0)?;
    enforced(&ns, 30_000, 64 << 20)?;

    // As its policy says.
    resize(&ns, "300m", "96Mi")?;
    same(given(&ns, "300m", "96Mi")?, 1)?;
    eventually("its new limit", || enforced(&ns, 30_000, 96 << 20))?;

    // More than the node has.
    resize(&ns, "5000", "96Mi")?;
    let refused = |pod: &Pod| condition(pod, "PodResizePending").as_deref() == Some("Infeasible");
    let pod = ns.wait_pod("p", "to be refused", refused)?;
    let status = container_status(&pod, "main").context("its status")?;
    let kept = serde_json::to_string(&(&status.resources, &status.allocated_resources))?;
    has(&kept, &["\"cpu\":\"300m\""])?;
    enforced(&ns, 30_000, 96 << 20)?;
    resize(&ns, "250m", "96Mi")?;
    same(given(&ns, "250m", "96Mi")?, 1)?;
    enforced(&ns, 25_000, 96 << 20)
}
