//! `skiff status`: what runs and how it is.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api,
    api::ListParams,
    runtime::{WatchStreamExt, watcher},
};

use crate::{kubeconfig::client, members, paths::Paths, process, server};

/// Prints processes, nodes and pods; fails when the cluster is not up.
pub fn run(paths: &Paths) -> Result<()> {
    let mut running = 0;
    for role in ["monitor", "server", "agent"] {
        let mut is_there = false;
        for process in process::running(&paths.run, role) {
            is_there = true;
            running += 1;
            crate::output::say!(
                "{role:8} running, process {}, {}",
                process.pid(),
                memory(process.pid())
            );
        }
        if !is_there {
            crate::output::say!("{role:8} not running");
        }
    }
    if running == 0 {
        bail!("no cluster runs here (start one with `skiff up`)");
    }
    if !paths.admin_kubeconfig().exists() && paths.node_kubeconfig().exists() {
        crate::output::say!(
            "api      elsewhere: this is a node; `skiff status` on a server tells of the cluster"
        );
        return Ok(());
    }
    server::runtime()?.block_on(async {
        let client = client(paths).await?;
        let version = client.apiserver_version().await.context("ask the API server")?;
        crate::output::say!(
            "api      {}, kubeconfig {}",
            version.git_version,
            paths.admin_kubeconfig().display()
        );
        let members = members::ask(&client).await?;
        if members["members"].as_array().is_some_and(|all| all.len() > 1) {
            members::print(&members);
        }
        for node in Api::<Node>::all(client.clone())
            .list(&ListParams::default())
            .await?
            .items
        {
            print_node(&node);
        }
        let pods = Api::<Pod>::all(client).list(&ListParams::default()).await?.items;
        let is_ready =
            |pod: &&Pod| is_true(pod.status.as_ref().and_then(|s| s.conditions.as_deref()), "Ready");
        crate::output::say!(
            "pods     {}, {} ready",
            pods.len(),
            pods.iter().filter(is_ready).count()
        );
        Ok(())
    })
}

fn print_node(node: &Node) {
    let name = node.metadata.name.as_deref().unwrap_or_default();
    let conditions = node
        .status
        .as_ref()
        .and_then(|s| s.conditions.as_deref())
        .unwrap_or_default();
    let ready = node_is_ready(node);
    crate::output::say!("node     {name}, {}", if ready { "ready" } else { "not ready" });
    for condition in conditions
        .iter()
        .filter(|c| c.type_ != "Ready" && c.status == "True")
    {
        let text = condition
            .message
            .as_deref()
            .or(condition.reason.as_deref())
            .unwrap_or_default();
        crate::output::say!("         {}: {text}", condition.type_);
    }
}

pub fn node_is_ready(node: &Node) -> bool {
    let conditions = node
        .status
        .as_ref()
        .and_then(|s| s.conditions.as_deref())
        .unwrap_or_default();
    conditions
        .iter()
        .any(|c| c.type_ == "Ready" && c.status == "True")
}

fn is_true(conditions: Option<&[k8s_openapi::api::core::v1::PodCondition]>, kind: &str) -> bool {
    conditions
        .unwrap_or_default()
        .iter()
        .any(|c| c.type_ == kind && c.status == "True")
}

/// Proportional set size of a process (proc(5), smaps_rollup).
fn memory(pid: i32) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let kib = text
        .lines()
        .find_map(|l| l.strip_prefix("Pss:"))
        .and_then(|v| v.split_whitespace().next()?.parse::<f64>().ok());
    kib.map_or_else(
        || "memory unknown".into(),
        |kib| format!("{:.1} MiB", kib / 1024.0),
    )
}

/// Waits until the node is ready; no polling: it is watched.
pub async fn wait_for_node(paths: &Paths, name: &str, timeout: Duration) -> Result<()> {
    let nodes: Api<Node> = Api::all(client(paths).await?);
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut last = anyhow!("it has not registered");
    let ready = async {
        let mut events = std::pin::pin!(watcher(nodes, config).default_backoff().applied_objects());
        while let Some(node) = events.try_next().await.transpose() {
            match node {
                Ok(node) if node_is_ready(&node) => return,
                Ok(node) => {
                    let conditions = node.status.and_then(|s| s.conditions).unwrap_or_default();
                    let ready = conditions.into_iter().find(|c| c.type_ == "Ready");
                    last = anyhow!(
                        "{}",
                        ready
                            .and_then(|c| c.message)
                            .unwrap_or("it has no Ready condition".into())
                    );
                }
                Err(error) => last = error.into(),
            }
        }
    };
    match tokio::time::timeout(timeout, ready).await {
        Ok(()) => Ok(()),
        Err(_) => Err(last),
    }
}
