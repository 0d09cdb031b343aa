//! Starting, probing, restarting and ending.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use skiff_tests::{Cluster, User, container_status, eventually, is_ready, pod, shell_pod};

use crate::{has, same};

skiff_tests::cases! {
    shared:
        readiness_decides_who_is_behind_the_service,
        liveness_restarts_a_container,
        a_failing_container_is_restarted_with_back_off,
        exit_codes_make_the_phase,
        pre_stop_runs_within_the_grace_period,
        a_container_that_takes_too_much_memory_is_killed,
        a_pod_no_node_can_take_says_why;
}

fn readiness_decides_who_is_behind_the_service(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let probe = json!({"exec": {"command": ["test", "-f", "/tmp/ready"]}, "periodSeconds": 1});
    let container = json!({"name": "web", "image": cluster.image("v1")?, "readinessProbe": probe});
    ns.apply(&[
        pod(
            "web",
            json!({"terminationGracePeriodSeconds": 0, "containers": [container]}),
        ),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}}),
    ])?;
    let running = |pod: &Pod| {
        container_status(pod, "web").is_some_and(|s| s.state.as_ref().is_some_and(|s| s.running.is_some()))
    };
    let pod = ns.wait_pod("web", "to run", running)?;
    ensure!(!is_ready(&pod), "ready before its probe succeeded");
    let ready = "get endpointslices -l kubernetes.io/service-name=web -o jsonpath={.items[*].endpoints[*].conditions.ready}";
    eventually("an endpoint that is not ready", || {
        same(ns.kubectl(ready).ok()?.as_str(), "false")
    })?;
    same(
        ns.kubectl("get endpoints web -o jsonpath={.subsets[*].addresses[*].ip}")
            .ok()?
            .as_str(),
        "",
    )?;
    ns.kubectl("exec web -- touch /tmp/ready").ok()?;
    ns.wait_ready("web")?;
    eventually("a ready endpoint", || {
        same(ns.kubectl(ready).ok()?.as_str(), "true")
    })?;
    ns.kubectl("exec web -- rm /tmp/ready").ok()?;
    ns.wait_pod("web", "not to be ready", |pod| !is_ready(pod))?;
    eventually("an endpoint that is not ready", || {
        same(ns.kubectl(ready).ok()?.as_str(), "false")
    })?;
    eventually("the event", || {
        has(
            &ns.kubectl("get events").ok()?,
            &["Unhealthy", "Readiness probe failed"],
        )
    })
}

fn liveness_restarts_a_container(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let mut object = shell_pod("p", &cluster.image("v1")?, "touch /tmp/alive; sleep 1000");
    object["spec"]["restartPolicy"] = json!("Always");
    object["spec"]["containers"][0]["livenessProbe"] = json!(
        {"exec": {"command": ["test", "-f", "/tmp/alive"]}, "periodSeconds": 1, "failureThreshold": 1, "initialDelaySeconds": 1});
    ns.apply(&[object])?;
    ns.wait_ready("p")?;
    ns.kubectl("exec p -- rm /tmp/alive").ok()?;
    ns.wait_pod("p", "to be restarted", |pod| {
        container_status(pod, "main").is_some_and(|s| s.restart_count > 0)
    })?;
    eventually("the events", || {
        has(
            &ns.kubectl("get events").ok()?,
            &[
                "Liveness probe failed",
                "Container main failed liveness probe, will be restarted",
            ],
        )
    })
}

fn a_failing_container_is_restarted_with_back_off(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let mut object = shell_pod("p", &cluster.image("v1")?, "exit 3");
    object["spec"]["restartPolicy"] = json!("Always");
    ns.apply(&[object])?;
    let backs_off = |pod: &Pod| {
        let waiting = container_status(pod, "main")
            .and_then(|s| s.state.as_ref())
            .and_then(|s| s.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some("CrashLoopBackOff"))
    };
    let pod = ns.wait_pod("p", "to back off", backs_off)?;
    let status = container_status(&pod, "main").context("status")?;
    let last = status
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref())
        .context("last state")?;
    same((last.exit_code, last.reason.as_deref()), (3, Some("Error")))?;
    has(&ns.kubectl("get pod p").ok()?, &["0/1", "CrashLoopBackOff"])
        .or_else(|_| has(&ns.kubectl("get pod p").ok()?, &["Error"]))?;
    eventually("the event", || {
        has(
            &ns.kubectl("get events").ok()?,
            &["BackOff", "Back-off restarting failed container main in pod p_"],
        )
    })
}

fn exit_codes_make_the_phase(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let image = cluster.image("v1")?;
    ns.apply(&[
        shell_pod("good", &image, "exit 0"),
        shell_pod("bad", &image, "exit 5"),
        shell_pod("killed", &image, "kill -9 $$; sleep 5"),
    ])?;
    let phase = |name: &str, phase: &str| {
        ns.wait_pod(name, "to end", |pod| {
            pod.status.as_ref().and_then(|s| s.phase.as_deref()) == Some(phase)
        })
        .map(|_| ())
    };
    phase("good", "Succeeded")?;
    phase("bad", "Failed")?;
    let code = ns
        .kubectl("get pod bad -o jsonpath={.status.containerStatuses[0].state.terminated.exitCode}")
        .ok()?;
    same(code.as_str(), "5")?;
    let table = ns.kubectl("get pods").ok()?;
    has(&table, &["Completed", "Error"])?;
    // Also of those that had ended before anybody asked how they started, and where they were can still be seen.
    for name in ["good", "bad", "killed"] {
        eventually("the events", || {
            let reasons = "-o jsonpath={.items[*].reason}";
            let events = ns
                .kubectl(format!(
                    "get events --field-selector involvedObject.name={name} {reasons}"
                ))
                .ok()?;
            has(&events, &["Created", "Started"])
        })?;
        let address = ns
            .kubectl(format!("get pod {name} -o jsonpath={{.status.podIP}}"))
            .ok()?;
        ensure!(
            address.parse::<std::net::Ipv4Addr>().is_ok(),
            "{name} has the address {address:?}"
        );
    }
    Ok(())
}

fn pre_stop_runs_within_the_grace_period(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let folder = cluster.home().join(ns.name());
    std::fs::create_dir_all(&folder)?;
    cluster.user().own(&folder)?;
    let script = "trap 'echo term >>/host/log; exit 0' TERM; while true; do sleep 0.1; done";
    let mut object = shell_pod("p", &cluster.image("v1")?, script);
    object["spec"]["terminationGracePeriodSeconds"] = json!(20);
    object["spec"]["volumes"] = json!([{"name": "host", "hostPath": {"path": folder}}]);
    let container = &mut object["spec"]["containers"][0];
    container["volumeMounts"] = json!([{"name": "host", "mountPath": "/host"}]);
    container["lifecycle"] = json!({
        "postStart": {"exec": {"command": ["sh", "-c", "echo start >>/host/log"]}},
        "preStop": {"exec": {"command": ["sh", "-c", "sleep 0.5; echo stop >>/host/log"]}},
    });
    ns.apply(&[object])?;
    ns.wait_ready("p")?;
    ns.kubectl("delete pod p").ok()?;
    same(
        std::fs::read_to_string(folder.join("log"))?.as_str(),
        "start\nstop\nterm\n",
    )
}

fn a_container_that_takes_too_much_memory_is_killed(cluster: &Cluster) -> Result<()> {
    if cluster.user() == User::Ordinary {
        // Only where control groups are delegated; without, the pod gets an event, which another test sees.
        return Ok(());
    }
    let ns = cluster.namespace()?;
    let mut object = shell_pod("p", &cluster.image("v1")?, "tail /dev/zero");
    object["spec"]["containers"][0]["resources"] = json!({"limits": {"memory": "16Mi"}});
    ns.apply(&[object])?;
    let pod = ns.wait_pod("p", "to fail", |pod| {
        pod.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Failed")
    })?;
    let state = container_status(&pod, "main")
        .and_then(|s| s.state.as_ref())
        .and_then(|s| s.terminated.as_ref());
    let ended = state.context("terminated")?;
    same(
        (ended.exit_code, ended.reason.as_deref()),
        (137, Some("OOMKilled")),
    )?;
    has(&ns.kubectl("get pods").ok()?, &["OOMKilled"])
}

fn a_pod_no_node_can_take_says_why(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let mut object = shell_pod("p", &cluster.image("v1")?, "true");
    object["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1000"}});
    let mut picky = shell_pod("picky", &cluster.image("v1")?, "true");
    picky["spec"]["nodeSelector"] = json!({"color": "none"});
    ns.apply(&[object, picky])?;
    eventually("the events", || {
        has(
            &ns.kubectl("get events").ok()?,
            &[
                "FailedScheduling",
                "0/1 nodes are available: 1 Insufficient cpu",
                "1 node(s) didn't match Pod's node affinity/selector",
            ],
        )
    })?;
    has(&ns.kubectl("get pods").ok()?, &["Pending"])
}
