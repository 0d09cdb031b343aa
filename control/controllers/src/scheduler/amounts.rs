//! Resources of pods and nodes as numbers.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, Pod, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};

/// What a pod without a request counts as in scores, so that such pods spread too.
const DEFAULT_CPU_MILLI: i64 = 100;
const DEFAULT_MEMORY: i64 = 200 << 20;

/// Amounts by resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Amounts {
    /// Thousandths of a core.
    pub cpu_milli: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes.
    pub ephemeral: i64,
    /// Extended resources and huge pages, in units.
    pub other: BTreeMap<String, i64>,
}

impl Amounts {
    /// From a resource list.
    pub fn of(list: Option<&BTreeMap<String, Quantity>>) -> Self {
        let mut amounts = Self::default();
        for (name, quantity) in list.into_iter().flatten() {
            let Ok(quantity) = quantity.0.parse::<skiff_resources::quantity::Quantity>() else {
                continue;
            };
            match name.as_str() {
                "cpu" => amounts.cpu_milli = quantity.to_milli(),
                "memory" => amounts.memory = quantity.to_units(),
                "ephemeral-storage" => amounts.ephemeral = quantity.to_units(),
                "pods" => {}
                _ => {
                    amounts.other.insert(name.clone(), quantity.to_units());
                }
            }
        }
        amounts
    }

    /// Adds.
    pub fn add(&mut self, other: &Self) {
        self.combine(other, i64::saturating_add);
    }

    /// Takes away.
    pub fn subtract(&mut self, other: &Self) {
        self.combine(other, i64::saturating_sub);
    }

    fn max(&mut self, other: &Self) {
        self.combine(other, i64::max);
    }

    fn combine(&mut self, other: &Self, f: fn(i64, i64) -> i64) {
        self.cpu_milli = f(self.cpu_milli, other.cpu_milli);
        self.memory = f(self.memory, other.memory);
        self.ephemeral = f(self.ephemeral, other.ephemeral);
        for (name, amount) in &other.other {
            let own = self.other.entry(name.clone()).or_default();
            *own = f(*own, *amount);
        }
    }

    /// For scores: what is not asked for counts as a little.
    pub fn for_score(&self) -> (i64, i64) {
        let or = |value, default| if value == 0 { default } else { value };
        (
            or(self.cpu_milli, DEFAULT_CPU_MILLI),
            or(self.memory, DEFAULT_MEMORY),
        )
    }
}

/// What a pod asks for: the larger of its containers together and each init container with the sidecars started
/// before it, and the overhead (Kubernetes, "Init containers", resource sharing; "Sidecar containers"). Requests of
/// the pod as a whole replace the sum.
pub fn requests(pod: &Pod) -> Amounts {
    let Some(spec) = &pod.spec else {
        return Amounts::default();
    };
    let mut running = Amounts::default();
    for container in &spec.containers {
        running.add(&of_container(container));
    }
    let mut sidecars = Amounts::default();
    let mut starting = Amounts::default();
    for container in spec.init_containers.iter().flatten() {
        let own = of_container(container);
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars.add(&own);
            starting.max(&sidecars);
        } else {
            let mut with_sidecars = sidecars.clone();
            with_sidecars.add(&own);
            starting.max(&with_sidecars);
        }
    }
    running.add(&sidecars);
    running.max(&starting);
    if let Some(list) = spec.resources.as_ref().and_then(|r| r.requests.as_ref()) {
        let whole = Amounts::of(Some(list));
        if list.contains_key("cpu") {
            running.cpu_milli = whole.cpu_milli;
        }
        if list.contains_key("memory") {
            running.memory = whole.memory;
        }
    }
    running.add(&Amounts::of(spec.overhead.as_ref()));
    running
}

fn of_container(container: &Container) -> Amounts {
    let requests = |r: &ResourceRequirements| Amounts::of(r.requests.as_ref());
    container.resources.as_ref().map(requests).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_asks_for_the_larger_of_running_and_starting() {
        let requests_of = |spec| {
            let pod: Pod = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
            requests(&pod).cpu_milli
        };
        let container = |cpu: &str| json!({"name": "c", "resources": {"requests": {"cpu": cpu}}});
        let mut sidecar = container("200m");
        sidecar["restartPolicy"] = json!("Always");
        assert_eq!(
            requests_of(json!({"containers": [container("1"), container("500m")]})),
            1500
        );
        let spec =
            json!({"containers": [container("1")], "initContainers": [container("3"), container("2")]});
        assert_eq!(requests_of(spec), 3000);
        let spec = json!({"containers": [container("1")], "initContainers": [sidecar, container("500m")]});
        assert_eq!(requests_of(spec), 1200);
        let spec = json!({"containers": [container("1")], "overhead": {"cpu": "50m"}});
        assert_eq!(requests_of(spec), 1050);
    }
}
