//! Objects that many tests use.

use std::{
    net::TcpListener,
    ops::Range,
    sync::atomic::{AtomicU16, Ordering},
};

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use serde_json::{Value, json};

/// A pod with this specification.
pub fn pod(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec})
}

/// A pod with one container `main` that runs a shell script once.
pub fn shell_pod(name: &str, image: &str, script: &str) -> Value {
    let container = json!({"name": "main", "image": image, "command": ["sh", "-c", script]});
    pod(
        name,
        json!({"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]}),
    )
}

/// A deployment of the test's web server with a readiness probe; pods are labelled `app: NAME`.
pub fn web_deployment(name: &str, image: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "terminationGracePeriodSeconds": 2,
                    "containers": [{
                        "name": "web",
                        "image": image,
                        "ports": [{"name": "http", "containerPort": 8080}],
                        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
                    }],
                },
            },
        },
    })
}

/// A service of type NodePort in front of [`web_deployment`]. Its port is one that no other cluster of this test run has: they share
/// the machine's, and each would choose as if it were alone.
pub fn web_service(name: &str) -> Value {
    // The part of the range that the API gives away last.
    const PORTS: Range<u16> = 30000..30086;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let port =
        std::iter::repeat_with(|| PORTS.start + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS.len() as u16)
            .take(PORTS.len())
            .find(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok());
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {
            "type": "NodePort",
            "selector": {"app": name},
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "nodePort": port}],
        },
    })
}

/// Whether a condition of a pod is true.
pub fn has_condition(pod: &Pod, kind: &str) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    conditions
        .iter()
        .any(|condition| condition.type_ == kind && condition.status == "True")
}

/// Whether a pod is ready and is to stay.
pub fn is_ready(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && has_condition(pod, "Ready")
}

/// Status of a container, init containers included.
pub fn container_status<'p>(pod: &'p Pod, name: &str) -> Option<&'p ContainerStatus> {
    let status = pod.status.as_ref()?;
    let all = status
        .container_statuses
        .iter()
        .chain(&status.init_container_statuses)
        .flatten();
    all.into_iter().find(|container| container.name == name)
}
