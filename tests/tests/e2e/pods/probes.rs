//! Probes of real servers: gRPC health and HTTPS.

use std::{fs, os::unix::fs::PermissionsExt as _};

use anyhow::Result;
use serde_json::{Value, json};
use skiff_tests::{Cluster, container_status, eventually, pod};

use super::host;
use crate::has;

skiff_tests::cases! {
    shared:
        a_grpc_server_is_asked_for_its_health,
        an_https_server_is_asked_whatever_its_certificate,
        probes_that_fail_say_what_they_got;
}

/// A pod `p` with the test server, which listens for gRPC on 9000 and for HTTPS on 9001.
fn server(cluster: &Cluster, name: &str, probes: Value) -> Result<Value> {
    let dir = cluster.home().join("bin");
    fs::create_dir_all(&dir)?;
    let program = dir.join("skiff-test-server");
    if !program.exists() {
        // The build's own place may be closed to the cluster's user. Renamed into place: other tests copy too.
        let copy = tempfile::NamedTempFile::new_in(&dir)?;
        fs::copy(env!("CARGO_BIN_EXE_skiff-test-server"), copy.path())?;
        fs::set_permissions(copy.path(), fs::Permissions::from_mode(0o755))?;
        copy.persist(&program)?;
    }
    let (mut volumes, mut mounts) = host::libraries();
    volumes.push(json!({"name": "server", "hostPath": {"path": dir}}));
    mounts.push(json!({"name": "server", "mountPath": "/server", "readOnly": true}));
    let mut container = json!({
        "name": "main", "image": cluster.image("v1")?, "volumeMounts": mounts,
        "command": ["/server/skiff-test-server", "9000", "9001"],
    });
    for (name, probe) in probes.as_object().into_iter().flatten() {
        container[name] = probe.clone();
    }
    Ok(pod(
        name,
        json!({"terminationGracePeriodSeconds": 0, "volumes": volumes, "containers": [container]}),
    ))
}

fn a_grpc_server_is_asked_for_its_health(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let probe = json!({"grpc": {"port": 9000, "service": "app"}, "periodSeconds": 1, "failureThreshold": 1});
    ns.apply(&[server(
        cluster,
        "p",
        json!({"startupProbe": {"tcpSocket": {"port": 9000}, "periodSeconds": 1}, "readinessProbe": probe}),
    )?])?;
    ns.wait_ready("p")?;
    ns.kubectl("exec p -- touch /tmp/sick").ok()?;
    ns.wait_pod("p", "not to be ready", |pod| {
        container_status(pod, "main").is_some_and(|status| !status.ready)
    })?;
    eventually("the event", || {
        has(
            &ns.kubectl("get events").ok()?,
            &["Readiness probe failed: service unhealthy (responded with \"NOT_SERVING\")"],
        )
    })?;
    ns.kubectl("exec p -- rm /tmp/sick").ok()?;
    ns.wait_ready("p")?;
    Ok(())
}

fn an_https_server_is_asked_whatever_its_certificate(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let get = json!({"path": "/health", "port": 9001, "scheme": "HTTPS"});
    ns.apply(&[server(
        cluster,
        "p",
        json!({
            "readinessProbe": {"httpGet": get, "periodSeconds": 1},
            "livenessProbe": {"httpGet": get, "periodSeconds": 1, "failureThreshold": 2, "initialDelaySeconds": 1},
        }),
    )?])?;
    ns.wait_ready("p")?;
    // The file goes with the container.
    ns.kubectl("exec p -- touch /tmp/sick").ok()?;
    ns.wait_pod("p", "to be restarted", |pod| {
        container_status(pod, "main").is_some_and(|status| status.restart_count > 0)
    })?;
    ns.wait_ready("p")?;
    eventually("the events", || {
        has(
            &ns.kubectl("get events").ok()?,
            &[
                "Liveness probe failed: HTTP probe failed with statuscode: 503",
                "Container main failed liveness probe, will be restarted",
            ],
        )
    })
}

fn probes_that_fail_say_what_they_got(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let with = |name: &str, probe: Value| server(cluster, name, json!({"readinessProbe": probe}));
    ns.apply(&[
        with("unknown", json!({"grpc": {"port": 9000, "service": "other"}}))?,
        with("no-tls", json!({"httpGet": {"port": 9000, "scheme": "HTTPS"}}))?,
        with(
            "missing",
            json!({"httpGet": {"port": 9001, "scheme": "HTTPS", "path": "none"}}),
        )?,
        with("closed", json!({"tcpSocket": {"port": 9002}}))?,
        with("no-grpc", json!({"grpc": {"port": 9002}}))?,
        with(
            "command",
            json!({"exec": {"command": ["sh", "-c", "echo bad news; exit 1"]}}),
        )?,
        with("no-command", json!({"exec": {"command": ["nonsense"]}}))?,
        with("no-port", json!({"tcpSocket": {"port": "web"}}))?,
    ])?;
    eventually("the events", || {
        let events = ns.kubectl("get events").ok()?;
        has(
            &events,
            &[
                "Readiness probe failed: error: health rpc probe failed: ",
                "unknown service",
                "Readiness probe failed: Get \"https://",
                "Readiness probe failed: HTTP probe failed with statuscode: 404",
                ":9002: connect: connection refused",
                "Readiness probe failed: timeout: failed to connect service",
                "Readiness probe failed: bad news",
                "Readiness probe errored and resulted in unknown state: exec: \"nonsense\": executable file not found",
                "Readiness probe errored and resulted in unknown state: the container has no port named \"web\"",
            ],
        )
    })
}
