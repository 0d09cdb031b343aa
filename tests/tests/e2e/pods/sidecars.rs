//! Containers beside the main ones: sidecars and those added for debugging; and pods that are told to end.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use skiff_tests::{Cluster, Role, container_status, eventually, pod, shell_pod};

use crate::{has, same};

skiff_tests::cases! {
    shared:
        sidecars_start_before_the_others_and_end_after_them,
        a_sidecar_is_restarted_and_does_not_keep_its_pod_alive,
        a_debugging_container_sees_the_one_it_targets,
        containers_that_share_their_processes_see_each_other,
        a_pod_past_its_deadline_fails,
        a_forced_deletion_waits_for_nobody,
        a_long_grace_period_can_be_cut_short;
}

fn phase_is(phase: &'static str) -> impl Fn(&Pod) -> bool {
    move |pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some(phase)
}

fn sidecars_start_before_the_others_and_end_after_them(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let folder = cluster.home().join(ns.name());
    std::fs::create_dir_all(&folder)?;
    cluster.user().own(&folder)?;
    let image = cluster.image("v1")?;
    let container = |name: &str, script: &str| {
        json!({"name": name, "image": image, "command": ["sh", "-c", script],
            "volumeMounts": [{"name": "notes", "mountPath": "/notes"}]})
    };
    let stays = |name: &str| {
        let script = format!(
            "trap 'echo {name} down >>/notes/log; exit 0' TERM; echo {name} up >>/notes/log; sleep 0.3; \
             touch /tmp/started; while true; do sleep 0.1; done"
        );
        container(name, &script)
    };
    let sidecar = |name: &str| {
        let mut container = stays(name);
        container["restartPolicy"] = json!("Always");
        container["startupProbe"] = json!({"exec": {"command": ["sh", "-c", "test -f /tmp/started && echo NAME started >>/notes/log"
                .replace("NAME", name)]}, "periodSeconds": 1, "failureThreshold": 30});
        container
    };
    ns.apply(&[pod(
        "p",
        json!({
            "volumes": [{"name": "notes", "hostPath": {"path": folder}}],
            "initContainers": [
                container("first", "echo first >>/notes/log"),
                sidecar("one"),
                container("between", "echo between >>/notes/log"),
                sidecar("two"),
            ],
            "containers": [stays("main")],
        }),
    )])?;
    ns.wait_ready("p")?;
    has(&ns.kubectl("get pod p").ok()?, &["3/3", "Running"])?;
    eventually("the main container", || {
        has(&std::fs::read_to_string(folder.join("log"))?, &["main up"])
    })?;
    ns.kubectl("delete pod p").ok()?;
    same(
        std::fs::read_to_string(folder.join("log"))?.as_str(),
        "first\none up\none started\nbetween\ntwo up\ntwo started\nmain up\nmain down\ntwo down\none down\n",
    )
}

fn a_sidecar_is_restarted_and_does_not_keep_its_pod_alive(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let script = "until [ -f /tmp/go ]; do sleep 0.05; done; echo done";
    let mut object = shell_pod("p", &cluster.image("v1")?, script);
    object["spec"]["initContainers"] = json!([{"name": "side", "image": cluster.image("v1")?, "restartPolicy": "Always",
        "command": ["sh", "-c", "trap 'exit 7' USR1; while true; do sleep 0.1; done"]}]);
    ns.apply(&[object])?;
    ns.wait_ready("p")?;
    ns.kubectl("exec p -c side -- kill -USR1 1").ok()?;
    let restarted =
        |pod: &Pod| container_status(pod, "side").is_some_and(|s| s.restart_count == 1 && s.ready);
    let pod = ns.wait_pod("p", "to have its sidecar again", restarted)?;
    let last =
        container_status(&pod, "side").and_then(|status| status.last_state.as_ref()?.terminated.as_ref());
    same(last.context("last state")?.exit_code, 7)?;
    same(container_status(&pod, "main").context("main")?.restart_count, 0)?;
    ns.kubectl("exec p -c main -- touch /tmp/go").ok()?;
    ns.wait_succeeded("p")?;
    has(&ns.kubectl("get pod p").ok()?, &["Completed"])
}

fn a_debugging_container_sees_the_one_it_targets(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let image = cluster.image("v1")?;
    ns.apply(&[shell_pod("p", &image, "echo secret >/tmp/file; exec sleep 4321")])?;
    ns.wait_ready("p")?;
    let debug = |name: &str, target: &[&str], script: &str| {
        let image = format!("--image={image}");
        let container = format!("--container={name}");
        let mut words = vec![
            "debug",
            "-q",
            "--attach=true",
            "--profile=sysadmin",
            "p",
            &image,
            &container,
        ];
        words.extend(target);
        words.extend(["--", "sh", "-c", script]);
        ns.kubectl(words.as_slice()).ok()
    };
    let script = "until [ -f /tmp/go ]; do sleep 0.05; done; ps -o pid,args; cat /proc/1/root/tmp/file";
    let name = "--target=main";
    // Attached before it says anything.
    let words = [
        "debug",
        "-q",
        "--attach=true",
        "--profile=sysadmin",
        "p",
        "--container=with",
        name,
    ];
    let mut words: Vec<&str> = words.to_vec();
    let image_word = format!("--image={image}");
    words.extend([image_word.as_str(), "--", "sh", "-c", script]);
    let attached = ns.kubectl_in_background(words.as_slice())?;
    eventually("the container", || {
        ns.kubectl("exec p -c with -- touch /tmp/go").ok()
    })?;
    let (code, text) = attached.end()?;
    same(code, 0)?;
    has(&text, &["sleep 4321", "secret"])?;
    // Without a target it has processes of its own only.
    debug("without", &[], "sleep 0.5; ps -o pid,args").ok();
    let text = eventually("its log", || {
        let text = ns.kubectl("logs p -c without").ok()?;
        has(&text, &["PID"])?;
        Ok(text)
    })?;
    ensure!(!text.contains("sleep 4321"), "{text}");
    has(&ns.kubectl("describe pod p").ok()?, &["Ephemeral Containers:"])?;
    let columns = "custom-columns=F:.involvedObject.fieldPath,R:.reason";
    let events = ns.kubectl(format!("get events -o {columns} --no-headers")).ok()?;
    ensure!(
        events.lines().any(|line| line
            .split_whitespace()
            .eq(["spec.ephemeralContainers{with}", "Started"])),
        "{events}"
    );
    Ok(())
}

fn containers_that_share_their_processes_see_each_other(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let image = cluster.image("v1")?;
    let container =
        |name: &str, script: &str| json!({"name": name, "image": image, "command": ["sh", "-c", script]});
    ns.apply(&[pod(
        "p",
        json!({
            "restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "shareProcessNamespace": true,
            "containers": [
                container("one", "exec sleep 1234"),
                container("two", "until ps -o args | grep -q '^sleep 1234'; do sleep 0.05; done; echo pid $$; \
                    kill $(ps -o pid,args | grep 'sleep 1234' | grep -v grep | sed 's/^ *//' | cut -d' ' -f1)"),
            ],
        }),
    )])?;
    let pod = ns.wait_pod("p", "to end", phase_is("Failed"))?;
    let ended = container_status(&pod, "one").and_then(|status| status.state.as_ref()?.terminated.as_ref());
    same(ended.context("it ended")?.exit_code, 143)?;
    // Process 1 is the pod's, not a container's.
    let log = ns.kubectl("logs p -c two").ok()?;
    ensure!(log.starts_with("pid ") && log.trim() != "pid 1", "{log}");
    Ok(())
}

fn a_pod_past_its_deadline_fails(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let mut object = shell_pod("p", &cluster.image("v1")?, "sleep 1000");
    object["spec"]["activeDeadlineSeconds"] = json!(2);
    ns.apply(&[object])?;
    let pod = ns.wait_pod("p", "to fail", phase_is("Failed"))?;
    let status = pod.status.context("status")?;
    same(status.reason.as_deref(), Some("DeadlineExceeded"))?;
    same(
        status.message.as_deref(),
        Some("Pod was active on the node longer than the specified deadline"),
    )?;
    eventually("the event", || {
        has(&ns.kubectl("get events").ok()?, &["DeadlineExceeded"])
    })?;
    has(&ns.kubectl("get pods").ok()?, &["0/1", "DeadlineExceeded"])
        .or_else(|_| has(&ns.kubectl("get pods").ok()?, &["0/1", "Error"]))
}

/// Processes of the cluster with this in their command line.
fn running(cluster: &Cluster, command: &str) -> usize {
    let containers = cluster.processes_with(Role::Container);
    containers
        .iter()
        .filter(|process| process.command.contains(command) && process.is_alive())
        .count()
}

fn a_forced_deletion_waits_for_nobody(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let mark = format!("7{}", ns.name().replace("test-", "00"));
    let script = format!("trap '' TERM; echo up; while true; do sleep {mark}; done");
    let stubborn = |name: &str, grace: i64| -> Result<Value> {
        let mut object = shell_pod(name, &cluster.image("v1")?, &script);
        object["spec"]["terminationGracePeriodSeconds"] = json!(grace);
        Ok(object)
    };
    ns.apply(&[stubborn("forced", 3600)?, stubborn("zero", 0)?])?;
    ns.wait_ready("forced")?;
    ns.wait_ready("zero")?;
    ensure!(running(cluster, &mark) > 0, "nothing runs");
    let output = ns.kubectl("delete pod forced --force --grace-period=0");
    has(
        &output.stderr,
        &["Immediate deletion does not wait for confirmation"],
    )?;
    output.ok()?;
    ns.kubectl("delete pod zero").ok()?;
    ns.wait_gone::<Pod>("forced")?;
    eventually("the processes to end", || {
        let count = running(cluster, &mark);
        ensure!(count == 0, "{count} processes run");
        Ok(())
    })
}

fn a_long_grace_period_can_be_cut_short(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let script = "trap 'echo term' TERM; while true; do sleep 0.1; done";
    let mut object = shell_pod("p", &cluster.image("v1")?, script);
    object["spec"]["terminationGracePeriodSeconds"] = json!(3600);
    ns.apply(&[object])?;
    ns.wait_ready("p")?;
    ns.kubectl("delete pod p --wait=false").ok()?;
    eventually("the signal", || has(&ns.kubectl("logs p").ok()?, &["term"]))?;
    has(&ns.kubectl("get pods").ok()?, &["1/1", "Terminating"])?;
    ns.kubectl("delete pod p --grace-period=1").ok()?;
    ns.wait_gone::<Pod>("p")
}
