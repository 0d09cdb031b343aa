//! Resizing in place: what running containers have been given of cpu and memory, beside what their pod asks for now; and whether
//! the node has as much. Source: Kubernetes, "Resize CPU and Memory Resources assigned to Containers".

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};
use parking_lot::Mutex;

use super::model::{self, Instance, State, View};
use crate::{cgroup, quantity};

/// What can be changed of a running container.
const CPU: &str = "cpu";
const MEMORY: &str = "memory";

/// What differs between what a container asks for and what its instance has been given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub cpu: bool,
    pub memory: bool,
}

impl Change {
    /// Of a running instance; of any other there is nothing to change, for the next one begins with what is asked for.
    pub fn of(container: &Container, instance: &Instance) -> Self {
        match instance.state {
            State::Running { .. } => Self::since_start(container, instance),
            _ => Self::default(),
        }
    }

    /// Whether the instance runs or not.
    fn since_start(container: &Container, instance: &Instance) -> Self {
        let Some(given) = &instance.given else {
            return Self::default();
        };
        let nothing = ResourceRequirements::default();
        let wanted = container.resources.as_ref().unwrap_or(&nothing);
        let differs = |name: &str| {
            let amounts = |resources: &ResourceRequirements| {
                [&resources.limits, &resources.requests]
                    .map(|map| map.as_ref().and_then(|map| quantity::milli(map.get(name)?)))
            };
            amounts(wanted) != amounts(given)
        };
        Self {
            cpu: differs(CPU),
            memory: differs(MEMORY),
        }
    }

    /// Whether there is one.
    pub fn any(self) -> bool {
        self.cpu || self.memory
    }

    /// Whether the container must be started anew for it.
    pub fn restarts(self, container: &Container) -> bool {
        let mut policies = container.resize_policy.iter().flatten();
        policies.any(|policy| {
            policy.restart_policy == "RestartContainer"
                && match policy.resource_name.as_str() {
                    CPU => self.cpu,
                    MEMORY => self.memory,
                    _ => false,
                }
        })
    }
}

/// Whether any container is to have other amounts than the last instance of it.
pub(crate) fn is_wanted(pod: &Pod, view: &View) -> bool {
    let containers = model::containers(pod);
    let mut instances = containers
        .iter()
        .filter_map(|(_, container)| Some((container, view.containers.get(&container.name)?)));
    instances.any(|(container, instance)| Change::since_start(container, instance).any())
}

/// Millicores, and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    pub cpu: i64,
    pub memory: i64,
}

impl Amounts {
    /// What a pod asks for.
    pub fn of(pod: &Pod) -> Self {
        Self {
            cpu: cgroup::requested(pod, CPU),
            memory: cgroup::requested(pod, MEMORY),
        }
    }
}

/// What the pods of the node may count on.
#[derive(Debug, Default)]
pub(crate) struct Promises(Mutex<BTreeMap<String, Amounts>>);

/// Why a pod does not get what it asks for now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It never will on this node.
    #[error("Node didn't have enough capacity: {name}, requested: {requested}, capacity: {capacity}")]
    Infeasible {
        name: &'static str,
        requested: i64,
        capacity: i64,
    },
    /// Others have it.
    #[error(
        "Node didn't have enough resource: {name}, requested: {requested}, used: {used}, capacity: {capacity}"
    )]
    Deferred {
        name: &'static str,
        requested: i64,
        used: i64,
        capacity: i64,
    },
}

impl Refusal {
    /// As the condition of the pod has it.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Infeasible { .. } => "Infeasible",
            Self::Deferred { .. } => "Deferred",
        }
    }
}

impl Promises {
    /// What the scheduler has decided, or an earlier agent: it is not questioned.
    pub fn note(&self, uid: &str, amounts: Amounts) {
        self.0.lock().insert(uid.to_owned(), amounts);
    }

    /// The pod needs nothing any more.
    pub fn forget(&self, uid: &str) {
        self.0.lock().remove(uid);
    }

    /// Gives a pod other amounts, if the node has them.
    pub fn change(&self, uid: &str, wanted: Amounts, capacity: Amounts) -> Result<(), Refusal> {
        let mut promises = self.0.lock();
        let before = promises.get(uid).copied().unwrap_or_default();
        let others = promises.iter().filter(|(other, _)| *other != uid);
        let used = others.fold(Amounts::default(), |sum, (_, amounts)| Amounts {
            cpu: sum.cpu + amounts.cpu,
            memory: sum.memory + amounts.memory,
        });
        for (name, requested, before, used, capacity) in [
            (CPU, wanted.cpu, before.cpu, used.cpu, capacity.cpu),
            (MEMORY, wanted.memory, before.memory, used.memory, capacity.memory),
        ] {
            if requested > capacity {
                return Err(Refusal::Infeasible {
                    name,
                    requested,
                    capacity,
                });
            }
            // To take less is always possible.
            if requested > before && used + requested > capacity {
                return Err(Refusal::Deferred {
                    name,
                    requested,
                    used,
                    capacity,
                });
            }
        }
        promises.insert(uid.to_owned(), wanted);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    fn container(resources: Value, policy: Value) -> Container {
        serde_json::from_value(json!({"name": "c", "resources": resources, "resizePolicy": policy}))
            .expect("container")
    }

    fn running(given: Value) -> Instance {
        Instance {
            given: serde_json::from_value(given).expect("resources"),
            state: State::Running {
                started_at: Timestamp::UNIX_EPOCH,
            },
            ..Instance::default()
        }
    }

    #[test]
    fn amounts_that_are_written_differently_are_no_change() {
        let instance = running(json!({"limits": {"cpu": "0.5", "memory": "64Mi"}}));
        let change = |resources: Value| {
            let change = Change::of(&container(resources, json!([])), &instance);
            (change.cpu, change.memory)
        };
        assert_eq!(
            change(json!({"limits": {"cpu": "500m", "memory": "65536Ki"}})),
            (false, false)
        );
        assert_eq!(
            change(json!({"limits": {"cpu": "1", "memory": "64Mi"}})),
            (true, false)
        );
        assert_eq!(change(json!({"limits": {"cpu": "500m"}})), (false, true));
        let ended = Instance {
            state: State::Waiting,
            ..instance.clone()
        };
        assert!(!Change::of(&container(json!({}), json!([])), &ended).any());
        // Of an agent that did not write it down.
        let unknown = Instance {
            given: None,
            ..instance
        };
        assert!(!Change::of(&container(json!({}), json!([])), &unknown).any());
    }

    #[test]
    fn a_container_is_started_anew_for_a_change_of_what_its_policy_names() {
        let policy = json!([{"resourceName": "cpu", "restartPolicy": "NotRequired"},
            {"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
        let container = container(json!({}), policy);
        let restarts = |cpu, memory| Change { cpu, memory }.restarts(&container);
        assert!(!restarts(true, false));
        assert!(restarts(false, true));
    }

    #[test]
    fn what_the_node_has_not_is_refused_and_what_others_have_is_put_off() {
        let amounts = |cpu, memory| Amounts { cpu, memory };
        let capacity = amounts(2000, 100);
        let promises = Promises::default();
        promises.note("a", amounts(500, 40));
        promises.note("b", amounts(1000, 40));
        let reason = |cpu, memory| {
            let changed = promises.change("a", amounts(cpu, memory), capacity);
            changed.err().map(|refusal| refusal.reason())
        };
        assert_eq!(reason(1000, 60), None);
        assert_eq!(reason(1001, 60), Some("Deferred"));
        assert_eq!(reason(1000, 61), Some("Deferred"));
        assert_eq!(reason(2001, 60), Some("Infeasible"));
        promises.forget("b");
        assert_eq!(reason(2000, 100), None);
        // On a node that is overcommitted, to take less is fine.
        promises.note("b", amounts(1000, 40));
        assert_eq!(reason(1500, 100), None);
    }
}
