//! Many pods, one after the other and all at once: nothing of them stays.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::json;
use skiff_tests::{Cluster, Role, User, eventually, is_ready, shell_pod};

skiff_tests::cases! {
    own: a_hundred_pods_leave_nothing_behind;
}

/// What there is of pods on the machine; a line each.
fn traces(cluster: &Cluster) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for process in cluster.processes() {
        let known = [Role::Supervisor, Role::Container].contains(&process.role);
        if known || process.is_zombie() {
            found.insert(format!(
                "process {} ({:?}): {}",
                process.pid, process.role, process.command
            ));
        }
    }
    let agent = cluster
        .processes_with(Role::Agent)
        .into_iter()
        .next()
        .context("the agent")?;
    let of_agent = |file: &str| format!("/proc/{}/{file}", agent.pid);
    for line in fs::read_to_string(of_agent("mountinfo"))?.lines() {
        let target = line.split(' ').nth(4).unwrap_or_default();
        found.insert(format!("mount {target}"));
    }
    // Namespaces are held by processes, descriptors and mounts; threads hold theirs.
    for entry in fs::read_dir(of_agent("fd"))?.flatten() {
        let target = fs::read_link(entry.path())
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if ["net:", "mnt:", "pid:", "ipc:", "uts:", "[pidfd]"]
            .iter()
            .any(|kind| target.contains(kind))
        {
            found.insert(format!("descriptor {target} of the agent"));
        }
    }
    let mut threads = BTreeSet::new();
    for task in fs::read_dir(of_agent("task"))?.flatten() {
        threads.extend(fs::read_link(task.path().join("ns/net")).ok());
        // Links of the node namespace, seen by the threads in it.
        let table = fs::read_to_string(task.path().join("net/dev")).unwrap_or_default();
        found.extend(
            table
                .lines()
                .skip(2)
                .filter_map(|line| Some(format!("link {}", line.split(':').next()?.trim()))),
        );
    }
    found.extend(
        threads
            .iter()
            .map(|namespace| format!("network namespace {namespace:?}")),
    );
    for dir in [
        cluster.run_dir().join("agent/pods"),
        cluster.data_dir().join("agent/pods"),
        cluster.data_dir().join("agent/logs"),
    ] {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            found.insert(format!("file {}", entry.path().display()));
        }
    }
    let addresses = fs::read(cluster.run_dir().join("agent/network/addresses.json"))?;
    let addresses: serde_json::Value = serde_json::from_slice(&addresses)?;
    let pods = addresses["pods"].as_object().context("the addresses of pods")?;
    found.extend(
        pods.iter()
            .map(|(pod, address)| format!("address {address} of {pod}")),
    );
    Ok(found)
}

fn a_hundred_pods_leave_nothing_behind(user: User) -> Result<()> {
    const AT_ONCE: usize = 100;
    // By hand as many as asked for.
    let in_a_row: usize = std::env::var("SKIFF_TEST_PODS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(30);
    let cluster = Cluster::start(user)?;
    let ns = cluster.namespace()?;
    let image = cluster.image("v1")?;
    let pods = ns.api::<Pod>();
    let object = |name: &str| -> Result<Pod> {
        let mut object = shell_pod(name, &image, "sleep 1000");
        object["spec"]["volumes"] =
            json!([{"name": "v", "emptyDir": {"medium": "Memory"}}, {"name": "w", "emptyDir": {}}]);
        object["spec"]["containers"][0]["volumeMounts"] = json!([
            {"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/w", "subPath": "below"}]);
        object["spec"]["terminationGracePeriodSeconds"] = json!(1);
        Ok(serde_json::from_value(object)?)
    };
    let create = |name: &str| -> Result<()> {
        cluster.block_on(pods.create(&PostParams::default(), &object(name)?))?;
        Ok(())
    };
    // The first one may leave what is made once and kept.
    create("first")?;
    ns.wait_ready("first")?;
    ns.kubectl("delete pod first").ok()?;
    let before = eventually("the first pod to be gone", || {
        let found = traces(&cluster)?;
        ensure!(!found.iter().any(|line| line.starts_with("process")), "{found:?}");
        Ok(found)
    })?;
    for number in 0..in_a_row {
        let name = format!("row-{number}");
        create(&name)?;
        ns.wait_ready(&name)?;
        cluster.block_on(pods.delete(&name, &DeleteParams::default()))?;
    }
    for number in 0..AT_ONCE {
        create(&format!("at-once-{number}"))?;
    }
    eventually("all pods to be ready", || {
        let list = cluster.block_on(pods.list(&ListParams::default()))?;
        let ready = list.items.iter().filter(|pod| is_ready(pod)).count();
        ensure!(ready == AT_ONCE, "{ready} of {AT_ONCE} pods are ready");
        Ok(())
    })?;
    let addresses: BTreeSet<String> = cluster
        .block_on(pods.list(&ListParams::default()))?
        .into_iter()
        .filter_map(|pod| pod.status?.pod_ip)
        .collect();
    ensure!(addresses.len() == AT_ONCE, "{} addresses", addresses.len());
    cluster.block_on(pods.delete_collection(&DeleteParams::default(), &ListParams::default()))?;
    eventually("nothing to be left", || {
        let list = cluster.block_on(pods.list(&ListParams::default()))?;
        ensure!(list.items.is_empty(), "{} pods are there", list.items.len());
        let left: Vec<String> = traces(&cluster)?.difference(&before).cloned().collect();
        ensure!(left.is_empty(), "{}", left.join("\n"));
        Ok(())
    })?;
    // The addresses can be had again.
    create("last")?;
    let last = ns.wait_ready("last")?;
    let address = last.status.and_then(|status| status.pod_ip).context("address")?;
    println!(
        "{} pods in a row and {AT_ONCE} at once; the last has {address}",
        in_a_row + 1
    );
    Ok(())
}
