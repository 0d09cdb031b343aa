//! Quality of service and the tree of cgroups: `<node>/kubepods/{burstable,besteffort}/pod<uid>/<container>`, guaranteed
//! pods directly below `kubepods`. Pure, apart from asking the runtime what there is.

use std::path::Path;

use k8s_openapi::{
    api::core::v1::{Container, Pod, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};
use serde_json::{Value, json};

use crate::quantity;

/// Whether limits can be enforced here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Support {
    /// Cgroups can be made.
    pub any: bool,
    /// `cpu`, `memory`, `pids`: those of them that are enforced.
    pub controllers: Vec<String>,
    /// Why something is missing.
    pub reason: Option<String>,
}

impl Support {
    /// Asks the runtime.
    pub fn find() -> Self {
        let available = skiff_runtime::cgroups_available();
        Self {
            any: available.version != skiff_runtime::Version::None,
            controllers: available.controllers,
            reason: available.reason,
        }
    }

    /// Limits on CPU, memory and processes that are not enforced here.
    pub fn missing(&self) -> Vec<&'static str> {
        ["cpu", "memory", "pids"]
            .into_iter()
            .filter(|wanted| !self.controllers.iter().any(|have| have == wanted))
            .collect()
    }
}

/// `Guaranteed`, `Burstable` or `BestEffort`. Source: Kubernetes, "Pod Quality of Service Classes".
pub(crate) fn qos(pod: &Pod) -> &'static str {
    let Some(spec) = &pod.spec else {
        return "BestEffort";
    };
    let mut any = false;
    let mut guaranteed = true;
    for container in spec
        .containers
        .iter()
        .chain(spec.init_containers.iter().flatten())
    {
        for name in ["cpu", "memory"] {
            let limit = amount(container.resources.as_ref(), true, name);
            let request = amount(container.resources.as_ref(), false, name).or(limit);
            any |= limit.is_some() || request.is_some();
            guaranteed &= limit.is_some() && request == limit;
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// A limit or request that is set and not zero: millicores or bytes.
fn amount(resources: Option<&ResourceRequirements>, limit: bool, name: &str) -> Option<i64> {
    let resources = resources?;
    let map = if limit {
        resources.limits.as_ref()
    } else {
        resources.requests.as_ref()
    };
    let quantity: &Quantity = map?.get(name)?;
    let value = if name == "cpu" {
        quantity::milli(quantity)
    } else {
        quantity::value(quantity)
    };
    value.filter(|value| *value > 0)
}

/// Cgroup of a pod, relative to where ours start. Nodes on one machine have a tree each, named after the run directory.
pub(crate) fn pod_path(run_dir: &Path, pod: &Pod) -> String {
    let node = run_dir.to_string_lossy().trim_matches('/').replace('/', "-");
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    match qos(pod) {
        "Guaranteed" => format!("{node}/kubepods/pod{uid}"),
        "Burstable" => format!("{node}/kubepods/burstable/pod{uid}"),
        _ => format!("{node}/kubepods/besteffort/pod{uid}"),
    }
}

/// OCI `linux.resources` of a container.
pub(crate) fn container_resources(container: &Container) -> Value {
    resources(
        amount(container.resources.as_ref(), false, "cpu")
            .or_else(|| amount(container.resources.as_ref(), true, "cpu")),
        amount(container.resources.as_ref(), true, "cpu"),
        amount(container.resources.as_ref(), true, "memory"),
    )
}

/// OCI `linux.resources` of the pod's cgroup: the sum over its containers; a limit only when all have one.
pub(crate) fn pod_resources(pod: &Pod) -> Value {
    resources(
        sum(pod, false, "cpu"),
        sum(pod, true, "cpu"),
        sum(pod, true, "memory"),
    )
}

/// What a pod asks for: millicores of `cpu`, or bytes of `memory`.
pub(crate) fn requested(pod: &Pod, name: &str) -> i64 {
    sum(pod, false, name).unwrap_or(0)
}

/// Limits or requests of all containers that run at the same time. None: not all have such a limit.
fn sum(pod: &Pod, limit: bool, name: &str) -> Option<i64> {
    let spec = pod.spec.as_ref()?;
    let is_sidecar = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let (sidecars, init): (Vec<&Container>, Vec<&Container>) =
        spec.init_containers.iter().flatten().partition(is_sidecar);
    let mut total = 0;
    for container in spec.containers.iter().chain(sidecars) {
        match amount(container.resources.as_ref(), limit, name) {
            Some(value) => total += value,
            None if limit => return None,
            None => total += amount(container.resources.as_ref(), true, name).unwrap_or(0),
        }
    }
    for container in init {
        match amount(container.resources.as_ref(), limit, name) {
            Some(value) => total = total.max(value),
            None if limit => return None,
            None => {}
        }
    }
    Some(total)
}

/// As a change of what is in force: limits that are not there are lifted, and one of memory that is used already is refused.
pub(crate) fn changed(mut resources: Value) -> Value {
    if resources["cpu"]["quota"].is_null() {
        resources["cpu"]["quota"] = json!(-1);
    }
    if resources["memory"]["limit"].is_null() {
        resources["memory"]["limit"] = json!(-1);
    }
    resources["memory"]["checkBeforeUpdate"] = json!(true);
    resources
}

/// CPU in millicores, memory in bytes. Source: Kubernetes' conversion to shares (1024 per core, at least 2) and quota
/// (period 100 ms, at least 1 ms).
fn resources(cpu_request: Option<i64>, cpu_limit: Option<i64>, memory_limit: Option<i64>) -> Value {
    let shares = cpu_request.map_or(2, |milli| (milli * 1024 / 1000).clamp(2, 262_144));
    let mut value = json!({ "cpu": { "shares": shares } });
    if let Some(milli) = cpu_limit {
        value["cpu"]["period"] = json!(100_000);
        value["cpu"]["quota"] = json!((milli * 100).max(1000));
    }
    if let Some(bytes) = memory_limit {
        value["memory"] = json!({ "limit": bytes });
    }
    value
}

/// Names the limits a pod asks for that are not enforced here.
pub(crate) fn unenforced(pod: &Pod, support: &Support) -> Vec<&'static str> {
    let missing = support.missing();
    let spec = pod.spec.iter();
    let containers: Vec<&Container> = spec
        .flat_map(|s| s.containers.iter().chain(s.init_containers.iter().flatten()))
        .collect();
    ["cpu", "memory"]
        .into_iter()
        .filter(|name| missing.contains(name))
        .filter(|name| {
            containers
                .iter()
                .any(|c| amount(c.resources.as_ref(), true, name).is_some())
        })
        .collect()
}

/// How readily the kernel kills the container when memory runs out.
/// Source: Kubernetes, "Node-pressure Eviction", node out of memory behavior.
pub(crate) fn oom_score_adj(pod: &Pod, container: &Container, node_memory: i64) -> i64 {
    match qos(pod) {
        "Guaranteed" => -997,
        "BestEffort" => 1000,
        _ => {
            let request = amount(container.resources.as_ref(), false, "memory")
                .or_else(|| amount(container.resources.as_ref(), true, "memory"))
                .unwrap_or(0);
            (1000 - (1000 * request) / node_memory.max(1)).clamp(3, 999)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(resources: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"uid": "u"},
            "spec": {"containers": [{"name": "a", "resources": resources}]}
        }))
        .expect("pod")
    }

    #[test]
    fn qos_follows_requests_and_limits() {
        assert_eq!(qos(&pod(json!({}))), "BestEffort");
        assert_eq!(qos(&pod(json!({"requests": {"cpu": "1"}}))), "Burstable");
        assert_eq!(
            qos(&pod(json!({"limits": {"cpu": "1", "memory": "1Gi"}}))),
            "Guaranteed"
        );
        let unequal = json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}});
        assert_eq!(qos(&pod(unequal)), "Burstable");
    }

    #[test]
    fn cgroups_follow_the_quality_of_service() {
        let run = Path::new("/run/skiff/agent");
        assert_eq!(
            pod_path(run, &pod(json!({}))),
            "run-skiff-agent/kubepods/besteffort/podu"
        );
        assert_eq!(
            pod_path(run, &pod(json!({"limits": {"cpu": "1", "memory": "1"}}))),
            "run-skiff-agent/kubepods/podu"
        );
    }

    #[test]
    fn limits_become_quota_and_shares() {
        let pod = pod(json!({"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "250m"}}));
        let container = &pod.spec.as_ref().expect("spec").containers[0];
        assert_eq!(
            container_resources(container),
            json!({"cpu": {"shares": 256, "period": 100_000, "quota": 50_000}, "memory": {"limit": 67_108_864}})
        );
        assert_eq!(pod_resources(&pod)["memory"]["limit"], 67_108_864);
    }

    #[test]
    fn missing_controllers_name_the_limits_they_would_enforce() {
        let pod = pod(json!({"limits": {"memory": "64Mi"}}));
        assert_eq!(unenforced(&pod, &Support::default()), vec!["memory"]);
        let memory = Support {
            any: true,
            controllers: vec!["memory".into()],
            reason: None,
        };
        assert!(unenforced(&pod, &memory).is_empty());
    }
}
