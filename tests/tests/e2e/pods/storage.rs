//! Volumes in detail: sub-paths, sizes, owners; and what a container says when it ends.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use skiff_tests::{Cluster, container_status, eventually, pod, shell_pod};

use crate::{has, same};

skiff_tests::cases! {
    shared:
        sub_paths_are_made_and_can_not_lead_out,
        a_volume_in_memory_has_its_size,
        what_is_mounted_below_a_volume_is_read_only_if_that_is_asked,
        a_volume_that_outgrows_its_limit_costs_the_pod,
        a_volume_belongs_to_the_group_of_the_pod,
        a_container_leaves_a_message_when_it_ends;
}

fn sub_paths_are_made_and_can_not_lead_out(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let image = cluster.image("v1")?;
    let script = "echo plain >/plain/file; echo by-name >/by-name/file; find /whole | sort; ls /one; cat /whole/logs/p/file";
    let mut object = shell_pod("p", &image, script);
    object["spec"]["volumes"] =
        json!([{"name": "v", "emptyDir": {}}, {"name": "map", "configMap": {"name": "m"}}]);
    let container = &mut object["spec"]["containers"][0];
    container["env"] = json!([{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]);
    container["volumeMounts"] = json!([
        {"name": "v", "mountPath": "/whole"},
        {"name": "v", "mountPath": "/plain", "subPath": "some/place"},
        {"name": "v", "mountPath": "/by-name", "subPathExpr": "logs/$(POD)"},
        {"name": "map", "mountPath": "/one/renamed", "subPath": "key"},
    ]);
    ns.apply(&[
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"key": "value"}}),
        object,
    ])?;
    let text = ns.wait_succeeded("p")?;
    has(
        &text,
        &[
            "/whole/logs/p/file\n",
            "/whole/some/place/file\n",
            "\nrenamed\nby-name\n",
        ],
    )?;

    // The volume's own container makes a link; the next one asks for what is behind it.
    let mount = |sub: &str| json!([{"name": "v", "mountPath": "/v", "subPath": sub}]);
    let link = json!({"name": "link", "image": image, "command": ["sh", "-c", "ln -s /etc /v/out"],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}]});
    let main = json!({"name": "main", "image": image, "command": ["sh", "-c", "ls /v"], "volumeMounts": mount("out")});
    let mut missing = shell_pod("missing", &image, "true");
    missing["spec"]["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
    missing["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "v", "mountPath": "/v", "subPathExpr": "$(NOT_THERE)"}]);
    ns.apply(&[
        pod(
            "escape",
            json!({"volumes": [{"name": "v", "emptyDir": {}}], "initContainers": [link], "containers": [main],
            "terminationGracePeriodSeconds": 0}),
        ),
        missing,
    ])?;
    for name in ["escape", "missing"] {
        ns.wait_pod(name, "to be refused", |pod| {
            let state = container_status(pod, "main").and_then(|s| s.state.as_ref()?.waiting.as_ref());
            state.is_some_and(|waiting| waiting.reason.as_deref() == Some("CreateContainerConfigError"))
        })?;
    }
    eventually("the event", || {
        has(
            &ns.kubectl("get events").ok()?,
            &["failed to prepare subPath for volumeMount \"v\" of container \"main\""],
        )
    })
}

/// Below the agent's folder of pods are mounts, that of this pod's own volume in memory for one.
fn what_is_mounted_below_a_volume_is_read_only_if_that_is_asked(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let image = cluster.image("v1")?;
    let mut object = shell_pod("p", &image, "");
    let mounts = |mode: Option<&str>| {
        let mut mount = json!({"name": "pods", "mountPath": "/pods", "readOnly": true});
        if let Some(mode) = mode {
            mount["recursiveReadOnly"] = json!(mode);
        }
        json!([mount, {"name": "below", "mountPath": "/below"}])
    };
    let container = |name: &str, mode: Option<&str>| {
        let file = format!("/pods/$UID/volumes/below/{name}");
        json!({
            "name": name, "image": image, "command": ["sh", "-c", format!("touch {file} 2>&1 || true; touch /pods/top 2>&1 || true")],
            "env": [{"name": "UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}],
            "volumeMounts": mounts(mode),
        })
    };
    object["spec"]["containers"] = json!([
        container("plain", None),
        container("disabled", Some("Disabled")),
        container("possible", Some("IfPossible")),
        container("enabled", Some("Enabled")),
    ]);
    object["spec"]["volumes"] = json!([
        {"name": "below", "emptyDir": {"medium": "Memory"}},
        {"name": "pods", "hostPath": {"path": cluster.data_dir().join("agent/pods")}},
    ]);
    ns.apply(&[object])?;
    ns.wait_pod("p", "to end", |pod| {
        pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Succeeded")
    })?;
    let pod: Pod = ns.get("p")?;
    for (name, is_written, says) in [
        ("plain", true, "Disabled"),
        ("disabled", true, "Disabled"),
        ("possible", false, "Enabled"),
        ("enabled", false, "Enabled"),
    ] {
        let log = ns.kubectl(["logs", "p", "-c", name]).ok()?;
        let refused = log.matches("Read-only file system").count();
        same((name, refused), (name, if is_written { 1 } else { 2 }))?;
        let status = container_status(&pod, name).context(name)?;
        let mounts = status.volume_mounts.as_deref().unwrap_or_default();
        same(mounts[0].recursive_read_only.as_deref(), Some(says))?;
    }
    Ok(())
}

fn a_volume_in_memory_has_its_size(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let script = "df -k /memory | tail -1; head -c 3000000 /dev/zero >/memory/file || echo full";
    let mut object = shell_pod("p", &cluster.image("v1")?, script);
    object["spec"]["volumes"] = json!([{"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "2Mi"}}]);
    object["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/memory"}]);
    ns.apply(&[object])?;
    has(&ns.wait_succeeded("p")?, &["tmpfs", " 2048 ", "full"])
}

fn a_volume_that_outgrows_its_limit_costs_the_pod(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let image = cluster.image("v1")?;
    let mut volume = shell_pod("volume", &image, "head -c 3000000 /dev/zero >/v/file; sleep 1000");
    volume["spec"]["volumes"] = json!([{"name": "v", "emptyDir": {"sizeLimit": "2Mi"}}]);
    volume["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}]);
    let mut layer = shell_pod(
        "layer",
        &image,
        "head -c 3000000 /dev/zero >/tmp/file; sleep 1000",
    );
    layer["spec"]["containers"][0]["resources"] = json!({"limits": {"ephemeral-storage": "2Mi"}});
    let mut modest = shell_pod(
        "modest",
        &image,
        "head -c 1000000 /dev/zero >/tmp/file; sleep 1000",
    );
    modest["spec"]["containers"][0]["resources"] = json!({"limits": {"ephemeral-storage": "2Mi"}});
    ns.apply(&[volume, layer, modest])?;
    for (name, message) in [
        (
            "volume",
            "Usage of EmptyDir volume \"v\" exceeds the limit \"2Mi\". ",
        ),
        (
            "layer",
            "Container main exceeded its local ephemeral storage limit \"2Mi\". ",
        ),
    ] {
        let pod = ns.wait_pod(name, "to be evicted", |pod| {
            pod.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Failed")
        })?;
        let status = pod.status.context("status")?;
        same(status.reason.as_deref(), Some("Evicted"))?;
        same(status.message.as_deref(), Some(message))?;
        eventually("the event", || {
            let words = format!("get events --field-selector involvedObject.name={name}");
            has(&ns.kubectl(words).ok()?, &["Evicted", message.trim()])
        })?;
    }
    ensure!(
        skiff_tests::is_ready(&ns.get::<Pod>("modest")?),
        "the modest one is gone too"
    );
    Ok(())
}

fn a_volume_belongs_to_the_group_of_the_pod(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let script = "id -u; id -G; stat -c '%g %a' /v; touch /v/file && stat -c %g /v/file; cat /secret/key; \
                  stat -L -c '%g %a' /secret/key";
    let mut object = shell_pod("p", &cluster.image("v1")?, script);
    object["spec"]["securityContext"] = json!({
        "runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000, "supplementalGroups": [4000]});
    object["spec"]["volumes"] = json!([
        {"name": "v", "emptyDir": {}},
        {"name": "secret", "secret": {"secretName": "s", "defaultMode": 0o400}},
    ]);
    object["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "v", "mountPath": "/v"}, {"name": "secret", "mountPath": "/secret"}]);
    ns.apply(&[
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"key": "open\n"}}),
        object,
    ])?;
    let text = ns.wait_succeeded("p")?;
    let lines: Vec<&str> = text.lines().collect();
    // Source: Kubernetes, "Configure a Security Context": the group may read what the owner may.
    same(
        lines,
        vec!["1000", "3000 2000 4000", "2000 2777", "2000", "open", "2000 440"],
    )
}

fn a_container_leaves_a_message_when_it_ends(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let image = cluster.image("v1")?;
    let with = |name: &str, script: &str, more: Value| {
        let mut object = shell_pod(name, &image, script);
        for (key, value) in more.as_object().into_iter().flatten() {
            object["spec"]["containers"][0][key] = value.clone();
        }
        object
    };
    let logs = json!({"terminationMessagePolicy": "FallbackToLogsOnError"});
    ns.apply(&[
        with("default", "echo -n bye >/dev/termination-log", json!({})),
        with(
            "path",
            "echo -n elsewhere >/tmp/my-end",
            json!({"terminationMessagePath": "/tmp/my-end"}),
        ),
        with("logs", "echo last words; exit 2", logs.clone()),
        with("good", "echo last words", logs),
        with(
            "long",
            "head -c 10000 /dev/zero | tr '\\0' x >/dev/termination-log",
            json!({}),
        ),
    ])?;
    let message = |name: &str| -> Result<Option<String>> {
        let ended = |pod: &Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            matches!(phase, Some("Succeeded" | "Failed"))
        };
        let pod = ns.wait_pod(name, "to end", ended)?;
        let state = container_status(&pod, "main").and_then(|s| s.state.as_ref()?.terminated.as_ref());
        Ok(state.context("terminated")?.message.clone())
    };
    same(message("default")?.as_deref(), Some("bye"))?;
    same(message("path")?.as_deref(), Some("elsewhere"))?;
    same(message("logs")?.as_deref(), Some("last words\n"))?;
    same(message("good")?, None)?;
    same(message("long")?.map(|text| text.len()), Some(4096))
}
