//! What a pod is given: environment, volumes, tokens.

use anyhow::{Result, ensure};
use serde_json::json;
use skiff_tests::{Cluster, User, eventually, pod, shell_pod};

use crate::{has, same};

skiff_tests::cases! {
    shared:
        init_containers_run_first_and_share_a_volume,
        the_environment_comes_from_everywhere,
        volumes_of_every_kind_are_mounted,
        a_changed_config_map_reaches_the_volume,
        a_pod_has_a_token_and_reaches_the_api,
        resources_make_the_quality_of_service;
}

fn init_containers_run_first_and_share_a_volume(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let image = cluster.image("v1")?;
    let mount = json!([{"name": "shared", "mountPath": "/shared"}]);
    let init = |name: &str, script: &str| json!({"name": name, "image": image, "command": ["sh", "-c", script], "volumeMounts": mount});
    ns.apply(&[pod(
        "p",
        json!({
            "restartPolicy": "Never",
            "volumes": [{"name": "shared", "emptyDir": {}}],
            "initContainers": [init("one", "echo one >/shared/file"), init("two", "echo two >>/shared/file")],
            "containers": [
                init("main", "until [ -f /shared/done ]; do sleep 0.05; done; cat /shared/file"),
                init("side", "echo three >>/shared/file; touch /shared/done"),
            ],
        }),
    )])?;
    ns.wait_pod("p", "to succeed", |pod| {
        pod.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Succeeded")
    })?;
    same(ns.kubectl("logs p -c main").ok()?.as_str(), "one\ntwo\nthree\n")
}

fn the_environment_comes_from_everywhere(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    ns.apply(&[
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"KEY": "map", "ALL": "all"}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"KEY": "secret"}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a-service"},
            "spec": {"selector": {"app": "x"}, "ports": [{"name": "web", "port": 81}]}}),
    ])?;
    let env = json!([
        {"name": "PLAIN", "value": "plain"},
        {"name": "COMPOSED", "value": "$(PLAIN)-$$(PLAIN)-$(NONE)"},
        {"name": "MAP", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "KEY"}}},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "KEY"}}},
        {"name": "ABSENT", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "NONE", "optional": true}}},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
        {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "requests.memory"}}},
    ]);
    let from = json!([{"prefix": "P_", "configMapRef": {"name": "m"}}]);
    let mut object = shell_pod("p", &cluster.image("v1")?, "env");
    let container = &mut object["spec"]["containers"][0];
    container["env"] = env;
    container["envFrom"] = from;
    container["resources"] = json!({"limits": {"cpu": "250m", "memory": "32Mi"}});
    ns.apply(&[object])?;
    let text = ns.wait_succeeded("p")?;
    for line in [
        "PLAIN=plain",
        "COMPOSED=plain-$(PLAIN)-$(NONE)",
        "MAP=map",
        "SECRET=secret",
        "POD=p",
        "LABEL=p",
        "CPU=250",
        "MEMORY=33554432",
        "P_KEY=map",
        "P_ALL=all",
        "HOSTNAME=p",
        "A_SERVICE_SERVICE_PORT=81",
        "KUBERNETES_SERVICE_PORT=443",
        "A_SERVICE_SERVICE_PORT_WEB=81",
    ] {
        ensure!(
            text.lines().any(|found| found == line),
            "{line} is missing in\n{text}"
        );
    }
    has(
        &text,
        &[
            "IP=10.244.",
            "A_SERVICE_SERVICE_HOST=10.96.",
            "A_SERVICE_PORT_81_TCP=tcp://10.96.",
        ],
    )?;
    ensure!(!text.contains("ABSENT"), "{text}");
    Ok(())
}

fn volumes_of_every_kind_are_mounted(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let folder = cluster.home().join(ns.name());
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("file"), "host\n")?;
    ns.apply(&[
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"key": "map\n", "other": "o"}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"key": "secret\n"}}),
    ])?;
    let script = "cat /map/key /secret/key /host/file /down/labels /all/renamed /all/mode /single; echo; ls /map /items; \
                  touch /map/x 2>/dev/null || echo read-only; df /memory | grep -c tmpfs; stat -L -c %a /secret/key; \
                  touch /empty/x && echo writable";
    let mut object = shell_pod("p", &cluster.image("v1")?, script);
    object["spec"]["volumes"] = json!([
        {"name": "map", "configMap": {"name": "m"}},
        {"name": "items", "configMap": {"name": "m", "items": [{"key": "other", "path": "below/it"}]}},
        {"name": "secret", "secret": {"secretName": "s", "defaultMode": 0o400}},
        {"name": "host", "hostPath": {"path": folder, "type": "Directory"}},
        {"name": "down", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"name": "all", "projected": {"sources": [
            {"configMap": {"name": "m", "items": [{"key": "key", "path": "renamed"}]}},
            {"secret": {"name": "s", "items": [{"key": "key", "path": "mode"}]}},
        ]}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
        {"name": "empty", "emptyDir": {}},
    ]);
    object["spec"]["containers"][0]["volumeMounts"] = json!([
        {"name": "map", "mountPath": "/map"}, {"name": "items", "mountPath": "/items"},
        {"name": "secret", "mountPath": "/secret"}, {"name": "host", "mountPath": "/host", "readOnly": true},
        {"name": "down", "mountPath": "/down"}, {"name": "all", "mountPath": "/all"},
        {"name": "memory", "mountPath": "/memory"}, {"name": "empty", "mountPath": "/empty"},
        {"name": "map", "mountPath": "/single", "subPath": "other"},
    ]);
    ns.apply(&[object])?;
    let text = ns.wait_succeeded("p")?;
    has(
        &text,
        &[
            "map\nsecret\nhost\napp=\"p\"",
            "map\nsecret\no\n",
            "below\n",
            "key\nother\n",
            "read-only\n1\n400\nwritable\n",
        ],
    )
}

fn a_changed_config_map_reaches_the_volume(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let map = |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"key": value}});
    let mut object = shell_pod("p", &cluster.image("v1")?, "sleep 1000");
    object["spec"]["volumes"] = json!([{"name": "map", "configMap": {"name": "m"}}]);
    object["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "map", "mountPath": "/map"}]);
    ns.apply(&[map("old"), object])?;
    ns.wait_ready("p")?;
    same(ns.kubectl("exec p -- cat /map/key").ok()?.as_str(), "old")?;
    ns.apply(&[map("new")])?;
    eventually("the new value", || {
        same(ns.kubectl("exec p -- cat /map/key").ok()?.as_str(), "new")
    })
}

fn a_pod_has_a_token_and_reaches_the_api(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let script = "cd /var/run/secrets/kubernetes.io/serviceaccount; cat namespace; echo; grep -c BEGIN ca.crt; \
                  cut -d. -f2 token | wc -c; nc -w 5 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT </dev/null && echo reached; \
                  wget -q -O - --no-check-certificate --header \"Authorization: Bearer $(cat token)\" \
                  https://kubernetes.default.svc/api/v1/namespaces/$(cat namespace)/configmaps/x; true";
    ns.apply(&[shell_pod("p", &cluster.image("v1")?, script)])?;
    let text = ns.wait_succeeded("p")?;
    has(&text, &[&format!("{}\n1\n", ns.name()), "reached"])?;
    // The same token, used from here: it is this pod's and ends with it.
    ns.apply(&[shell_pod(
        "q",
        &cluster.image("v1")?,
        "cat /var/run/secrets/kubernetes.io/serviceaccount/token; echo; sleep 1000",
    )])?;
    ns.wait_ready("q")?;
    let token = eventually("the token", || {
        let token = ns.kubectl("logs q").ok()?;
        ensure!(token.matches('.').count() == 2, "{token}");
        Ok(token.trim().to_owned())
    })?;
    let server = format!("https://127.0.0.1:{}", cluster.port());
    let who = [
        "--kubeconfig=/dev/null",
        "--insecure-skip-tls-verify",
        "--server",
        &server,
        "--token",
        &token,
        "auth",
        "whoami",
    ];
    let text = ns.kubectl(who).ok()?;
    has(
        &text,
        &[
            &format!("system:serviceaccount:{}:default", ns.name()),
            "authentication.kubernetes.io/pod-name",
            "q",
        ],
    )?;
    ns.kubectl("delete pod q --grace-period=0 --force").ok()?;
    eventually("the token to end", || {
        has(&ns.kubectl(who).fails(1)?, &["logged in"])
    })
}

fn resources_make_the_quality_of_service(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let with = |name: &str, resources: serde_json::Value| -> Result<serde_json::Value> {
        let mut object = shell_pod(name, &cluster.image("v1")?, "true");
        object["spec"]["containers"][0]["resources"] = resources;
        Ok(object)
    };
    let both = json!({"cpu": "100m", "memory": "16Mi"});
    ns.apply(&[
        with("best-effort", json!({}))?,
        with("burstable", json!({"requests": {"cpu": "10m"}}))?,
        with("guaranteed", json!({"limits": both}))?,
    ])?;
    for (name, class) in [
        ("best-effort", "BestEffort"),
        ("burstable", "Burstable"),
        ("guaranteed", "Guaranteed"),
    ] {
        same(
            ns.kubectl(format!("get pod {name} -o jsonpath={{.status.qosClass}}"))
                .ok()?
                .as_str(),
            class,
        )?;
        ns.wait_succeeded(name)?;
    }
    if cluster.user() == User::Ordinary && !std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
    {
        eventually("the event about limits", || {
            has(
                &ns.kubectl("get events --field-selector involvedObject.name=guaranteed")
                    .ok()?,
                &["Warning"],
            )
        })?;
    }
    Ok(())
}
