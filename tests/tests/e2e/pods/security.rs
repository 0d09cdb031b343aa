//! What a container may do.

use anyhow::Result;
use serde_json::{Value, json};
use skiff_tests::{Cluster, eventually, shell_pod};

use crate::{has, same};

skiff_tests::cases! {
    shared:
        a_container_runs_as_the_user_it_asks_for,
        a_read_only_root_can_not_be_written,
        capabilities_are_dropped_and_added,
        the_default_profile_refuses_dangerous_calls,
        a_profile_of_the_node_filters_calls,
        sysctls_are_set_in_the_namespaces_of_the_pod,
        the_namespaces_of_the_host_are_there_for_who_asks;
}

/// Runs a script with this security context and returns what it printed.
fn run(cluster: &Cluster, context: Value, script: &str) -> Result<String> {
    let ns = cluster.namespace()?;
    let mut object = shell_pod("p", &cluster.image("v1")?, script);
    object["spec"]["containers"][0]["securityContext"] = context;
    ns.apply(&[object])?;
    ns.wait_succeeded("p")
}

fn a_container_runs_as_the_user_it_asks_for(cluster: &Cluster) -> Result<()> {
    let context = json!({"runAsUser": 1000, "runAsGroup": 1000});
    has(
        &run(
            cluster,
            context,
            "id -u; id -g; touch /x 2>/dev/null || echo refused",
        )?,
        &["1000\n1000\nrefused\n"],
    )?;
    let ns = cluster.namespace()?;
    let mut object = shell_pod("p", &cluster.image("v1")?, "true");
    object["spec"]["containers"][0]["securityContext"] = json!({"runAsNonRoot": true});
    ns.apply(&[object])?;
    let pod = ns.wait_pod("p", "to be refused", |pod| {
        let waiting =
            skiff_tests::container_status(pod, "main").and_then(|s| s.state.as_ref()?.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some("CreateContainerConfigError"))
    })?;
    let uid = pod.metadata.uid.unwrap_or_default();
    let text = format!(
        "Error: container has runAsNonRoot and image will run as root (pod: \"p_{}({uid})\", container: main)",
        ns.name()
    );
    eventually("the event", || has(&ns.kubectl("get events").ok()?, &[&text]))
}

fn a_read_only_root_can_not_be_written(cluster: &Cluster) -> Result<()> {
    let text = run(
        cluster,
        json!({"readOnlyRootFilesystem": true}),
        "touch /tmp/x 2>&1; echo then >/dev/null; echo $?",
    )?;
    has(&text, &["Read-only file system", "0\n"])
}

fn capabilities_are_dropped_and_added(cluster: &Cluster) -> Result<()> {
    let script = "grep CapEff /proc/self/status | cut -f2";
    let caps = |context: Value| -> Result<u64> {
        Ok(u64::from_str_radix(run(cluster, context, script)?.trim(), 16)?)
    };
    const NET_ADMIN: u64 = 1 << 12;
    // The fourteen that container engines give by default.
    same(caps(json!({}))?, 0xa80425fb)?;
    same(caps(json!({"capabilities": {"drop": ["ALL"]}}))?, 0)?;
    same(
        caps(json!({"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}))?,
        NET_ADMIN,
    )
}

fn the_default_profile_refuses_dangerous_calls(cluster: &Cluster) -> Result<()> {
    let context = json!({"seccompProfile": {"type": "RuntimeDefault"}});
    let text = run(
        cluster,
        context,
        "grep Seccomp: /proc/self/status; mount -t tmpfs x /tmp 2>&1 || echo refused",
    )?;
    has(&text, &["Seccomp:\t2", "refused"])?;
    let context = json!({"allowPrivilegeEscalation": false});
    has(
        &run(cluster, context, "grep NoNewPrivs /proc/self/status")?,
        &["NoNewPrivs:\t1"],
    )
}

fn a_profile_of_the_node_filters_calls(cluster: &Cluster) -> Result<()> {
    let folder = cluster.data_dir().join("agent/seccomp/profiles");
    std::fs::create_dir_all(&folder)?;
    // To be removed by `skiff down`.
    for made in [folder.parent().unwrap_or(&folder), &folder] {
        cluster.user().own(made)?;
    }
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]});
    let file = folder.join("no-mkdir.json");
    std::fs::write(&file, profile.to_string())?;
    cluster.user().own(&file)?;
    let context = |name: &str| json!({"seccompProfile": {"type": "Localhost", "localhostProfile": name}});
    let text = run(
        cluster,
        context("profiles/no-mkdir.json"),
        "touch /tmp/x && echo touched; mkdir /tmp/y 2>&1 || true; grep Seccomp: /proc/self/status",
    )?;
    has(&text, &["touched", "Operation not permitted", "Seccomp:\t2"])?;
    let text = run(
        cluster,
        json!({"seccompProfile": {"type": "Unconfined"}}),
        "grep Seccomp: /proc/self/status",
    )?;
    has(&text, &["Seccomp:\t0"])?;
    let ns = cluster.namespace()?;
    let mut object = shell_pod("p", &cluster.image("v1")?, "true");
    object["spec"]["containers"][0]["securityContext"] = context("profiles/none.json");
    ns.apply(&[object])?;
    eventually("the event", || {
        has(
            &ns.kubectl("get events").ok()?,
            &["cannot load seccomp profile", "profiles/none.json"],
        )
    })
}

fn sysctls_are_set_in_the_namespaces_of_the_pod(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let script = "cat /proc/sys/net/ipv4/ip_local_port_range /proc/sys/kernel/shm_rmid_forced";
    let mut object = shell_pod("p", &cluster.image("v1")?, script);
    object["spec"]["securityContext"] = json!({"sysctls": [
        {"name": "net.ipv4.ip_local_port_range", "value": "20000 30000"},
        {"name": "kernel.shm_rmid_forced", "value": "1"},
    ]});
    ns.apply(&[object])?;
    has(&ns.wait_succeeded("p")?, &["20000\t30000\n1\n"])
}

fn the_namespaces_of_the_host_are_there_for_who_asks(cluster: &Cluster) -> Result<()> {
    let script = "for kind in net ipc uts pid; do readlink /proc/self/ns/$kind; done; hostname";
    let ours = |kind: &str| -> Result<String> {
        Ok(std::fs::read_link(format!("/proc/self/ns/{kind}"))?
            .to_string_lossy()
            .into_owned())
    };
    let namespaces = |spec: Value| -> Result<Vec<String>> {
        let ns = cluster.namespace()?;
        let mut object = shell_pod("p", &cluster.image("v1")?, &script.replace("readlink", "ls -l"));
        for (key, value) in spec.as_object().into_iter().flatten() {
            object["spec"][key] = value.clone();
        }
        ns.apply(&[object])?;
        let text = ns.wait_succeeded("p")?;
        Ok(text
            .lines()
            .map(|line| line.rsplit(' ').next().unwrap_or_default().to_owned())
            .collect())
    };
    let kinds = ["net", "ipc", "uts", "pid"];
    let host: Vec<String> = kinds.iter().map(|kind| ours(kind)).collect::<Result<_>>()?;
    let own = namespaces(json!({}))?;
    for (own, host) in own.iter().zip(&host) {
        anyhow::ensure!(own != host, "{own} is the host's");
    }
    same(own[4].as_str(), "p")?;
    let network = namespaces(json!({"hostNetwork": true}))?;
    same((&network[0], &network[2]), (&host[0], &host[2]))?;
    anyhow::ensure!(network[1] != host[1] && network[3] != host[3], "{network:?}");
    let ipc = namespaces(json!({"hostIPC": true}))?;
    same(&ipc[1], &host[1])?;
    anyhow::ensure!(ipc[0] != host[0] && ipc[3] != host[3], "{ipc:?}");
    let pid = namespaces(json!({"hostPID": true}))?;
    same(&pid[3], &host[3])
}
