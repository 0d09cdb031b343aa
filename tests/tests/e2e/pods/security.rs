//! What a container may do.

use anyhow::Result;
use serde_json::{Value, json};
use skiff_tests::{Cluster, shell_pod};

use crate::{has, same};

skiff_tests::cases! {
    shared:
        a_container_runs_as_the_user_it_asks_for,
        a_read_only_root_can_not_be_written,
        capabilities_are_dropped_and_added,
        the_default_profile_refuses_dangerous_calls;
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
    ns.wait_pod("p", "to be refused", |pod| {
        let waiting =
            skiff_tests::container_status(pod, "main").and_then(|s| s.state.as_ref()?.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some("CreateContainerConfigError"))
    })?;
    Ok(())
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
