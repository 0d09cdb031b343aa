//! Lifecycle hooks: what runs after the start and before the end.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use skiff_tests::{Cluster, Namespace, container_status, eventually, shell_pod};

use crate::{has, same};

skiff_tests::cases! {
    shared:
        a_container_runs_for_others_when_its_post_start_hook_is_through,
        a_post_start_hook_that_fails_ends_the_container,
        pre_stop_asks_a_server_before_the_signal,
        pre_stop_sleeps_before_the_signal,
        a_pre_stop_hook_that_fails_or_never_ends_does_not_hold_the_pod;
}

/// A folder of the host that the pods of this namespace write to, as a volume and its mount.
fn notes(ns: &Namespace<'_>) -> Result<(std::path::PathBuf, Value, Value)> {
    let folder = ns.cluster().home().join(ns.name());
    std::fs::create_dir_all(&folder)?;
    ns.cluster().user().own(&folder)?;
    let volume = json!([{"name": "notes", "hostPath": {"path": folder}}]);
    Ok((folder, volume, json!([{"name": "notes", "mountPath": "/notes"}])))
}

fn a_container_runs_for_others_when_its_post_start_hook_is_through(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let mut object = shell_pod("p", &cluster.image("v1")?, "sleep 1000");
    object["spec"]["containers"][0]["lifecycle"] = json!({"postStart": {"exec": {"command":
        ["sh", "-c", "until [ -f /tmp/go ]; do sleep 0.05; done"]}}});
    ns.apply(&[object])?;
    // The process is there, and so is exec.
    eventually("the process", || ns.kubectl("exec p -- true").ok())?;
    // Which the status may say a little later.
    eventually("it to wait", || {
        let pod: Pod = ns.get("p")?;
        let status = pod.status.as_ref().context("status")?;
        same(status.phase.as_deref(), Some("Pending"))?;
        let state = container_status(&pod, "main").and_then(|s| s.state.as_ref());
        let waiting = state
            .and_then(|state| state.waiting.as_ref())
            .context("it does not wait")?;
        same(waiting.reason.as_deref(), Some("ContainerCreating"))
    })?;
    ns.kubectl("exec p -- touch /tmp/go").ok()?;
    ns.wait_ready("p")?;
    Ok(())
}

fn a_post_start_hook_that_fails_ends_the_container(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let with = |name: &str, hook: Value| -> Result<Value> {
        let mut object = shell_pod(name, &cluster.image("v1")?, "sleep 1000");
        object["spec"]["containers"][0]["lifecycle"] = json!({ "postStart": hook });
        Ok(object)
    };
    ns.apply(&[
        with(
            "command",
            json!({"exec": {"command": ["sh", "-c", "echo why; exit 4"]}}),
        )?,
        with("nobody", json!({"httpGet": {"port": 81}}))?,
        // As the API documents it: accepted, and fails.
        with("tcp", json!({"tcpSocket": {"port": 81}}))?,
    ])?;
    for name in ["command", "nobody", "tcp"] {
        ns.wait_pod(name, "to fail", |pod| {
            pod.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Failed")
        })?;
        eventually("the events", || {
            let events = ns
                .kubectl(format!("get events --field-selector involvedObject.name={name}"))
                .ok()?;
            has(
                &events,
                &["FailedPostStartHook", "PostStartHook failed", "Killing"],
            )
        })?;
    }
    Ok(())
}

fn pre_stop_asks_a_server_before_the_signal(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let (folder, volumes, mounts) = notes(&ns)?;
    let script = "mkdir -p /tmp/www/cgi-bin; \
        printf '#!/bin/sh\\necho asked by $HTTP_USER_AGENT with $HTTP_X_WHO >>/notes/log; echo Status: 500 no; echo\\n' \
            >/tmp/www/cgi-bin/stop; chmod 755 /tmp/www/cgi-bin/stop; \
        trap 'echo term >>/notes/log; exit 0' TERM; httpd -f -p 8080 -h /tmp/www & while true; do sleep 0.1; done";
    let mut object = shell_pod("p", &cluster.image("v1")?, script);
    object["spec"]["terminationGracePeriodSeconds"] = json!(30);
    object["spec"]["volumes"] = volumes;
    let container = &mut object["spec"]["containers"][0];
    container["volumeMounts"] = mounts;
    container["ports"] = json!([{"name": "web", "containerPort": 8080}]);
    container["readinessProbe"] = json!({"tcpSocket": {"port": "web"}, "periodSeconds": 1});
    container["lifecycle"] = json!({"preStop": {"httpGet": {
        "port": "web", "path": "/cgi-bin/stop", "httpHeaders": [{"name": "X-Who", "value": "me"}]}}});
    ns.apply(&[object])?;
    ns.wait_ready("p")?;
    ns.kubectl("delete pod p").ok()?;
    let log = std::fs::read_to_string(folder.join("log"))?;
    has(&log, &["asked by kube-lifecycle/", "with me\nterm\n"])
}

fn pre_stop_sleeps_before_the_signal(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let (folder, volumes, mounts) = notes(&ns)?;
    let script = "trap 'date +%s >>/notes/term; exit 0' TERM; while true; do sleep 0.1; done";
    let mut object = shell_pod("p", &cluster.image("v1")?, script);
    object["spec"]["terminationGracePeriodSeconds"] = json!(30);
    object["spec"]["volumes"] = volumes;
    object["spec"]["containers"][0]["volumeMounts"] = mounts;
    object["spec"]["containers"][0]["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 2}}});
    ns.apply(&[object])?;
    ns.wait_ready("p")?;
    let told = jiff::Timestamp::now().as_second();
    ns.kubectl("delete pod p").ok()?;
    let at: i64 = std::fs::read_to_string(folder.join("term"))?.trim().parse()?;
    ensure!(at - told >= 2, "the signal came after {} s", at - told);
    Ok(())
}

fn a_pre_stop_hook_that_fails_or_never_ends_does_not_hold_the_pod(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let (folder, volumes, mounts) = notes(&ns)?;
    let with = |name: &str, command: &str| -> Result<Value> {
        let script = format!("trap 'echo term >>/notes/{name}; exit 0' TERM; while true; do sleep 0.1; done");
        let mut object = shell_pod(name, &cluster.image("v1")?, &script);
        object["spec"]["terminationGracePeriodSeconds"] = json!(2);
        object["spec"]["volumes"] = volumes.clone();
        object["spec"]["containers"][0]["volumeMounts"] = mounts.clone();
        object["spec"]["containers"][0]["lifecycle"] =
            json!({"preStop": {"exec": {"command": ["sh", "-c", command]}}});
        Ok(object)
    };
    ns.apply(&[with("fails", "exit 3")?, with("hangs", "sleep 1000")?])?;
    ns.wait_ready("fails")?;
    ns.wait_ready("hangs")?;
    ns.kubectl("delete pod fails hangs").ok()?;
    for name in ["fails", "hangs"] {
        same(std::fs::read_to_string(folder.join(name))?.as_str(), "term\n")?;
    }
    eventually("the event", || {
        let events = ns
            .kubectl("get events --field-selector involvedObject.name=fails")
            .ok()?;
        has(&events, &["FailedPreStopHook", "PreStopHook failed"])
    })
}
