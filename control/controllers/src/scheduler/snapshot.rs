//! What the scheduler knows of nodes and the pods on them, including pods it has placed and whose binding is under
//! way. Kept up to date step by step, never copied.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use k8s_openapi::api::core::v1::{Node, Pod};

use super::amounts::{Amounts, requests};
use crate::machinery::Object;

/// Protocol, address (`0.0.0.0` for all) and port on the host.
pub type HostPort = (String, String, i32);

/// A node.
#[derive(Default)]
pub struct NodeState {
    /// `None`: pods name it, but it does not exist (yet, or any more).
    pub node: Option<Arc<Node>>,
    pub allocatable: Amounts,
    pub max_pods: i64,
    pub used: Amounts,
    /// Used cpu and memory for scores.
    pub score_used: (i64, i64),
    /// By uid.
    pub pods: HashMap<String, Placed>,
    pub ports: Vec<HostPort>,
    /// Pods by uid of their controller.
    pub by_owner: HashMap<String, i64>,
}

/// A pod on a node.
pub struct Placed {
    pub pod: Arc<Pod>,
    pub requests: Amounts,
}

/// All nodes.
#[derive(Default)]
pub struct Snapshot {
    pub nodes: BTreeMap<String, NodeState>,
    /// uid → node.
    placed: HashMap<String, String>,
    /// uids of pods with pod (anti-)affinity, which others must be checked against.
    pub affine: HashSet<String>,
}

impl Snapshot {
    /// Takes in a node. Returns whether a pod that did not fit might fit now.
    pub fn set_node(&mut self, node: Arc<Node>) -> bool {
        let state = self.nodes.entry(node.name().to_owned()).or_default();
        let relevant = state.node.as_ref().is_none_or(|old| {
            let spec = |n: &Node| n.spec.as_ref().map(|s| (s.unschedulable, s.taints.clone()));
            let allocatable = |n: &Node| n.status.as_ref().and_then(|s| s.allocatable.clone());
            old.labels() != node.labels()
                || spec(old) != spec(&node)
                || allocatable(old) != allocatable(&node)
        });
        if relevant {
            let list = node.status.as_ref().and_then(|s| s.allocatable.as_ref());
            state.allocatable = Amounts::of(list);
            let pods = list.and_then(|l| l.get("pods"));
            let pods = pods.and_then(|p| p.0.parse::<skiff_resources::quantity::Quantity>().ok());
            state.max_pods = pods.map_or(0, |p| p.to_units());
        }
        state.node = Some(node);
        relevant
    }

    /// A node is gone; its pods stay counted until they are gone too.
    pub fn remove_node(&mut self, name: &str) {
        if let Some(state) = self.nodes.get_mut(name) {
            state.node = None;
            if state.pods.is_empty() {
                self.nodes.remove(name);
            }
        }
    }

    /// Puts a pod on a node. Returns whether it was not there before.
    pub fn place(&mut self, pod: Arc<Pod>, node: &str) -> bool {
        let uid = pod.uid().to_owned();
        let same_node = self.placed.get(&uid).is_some_and(|n| n == node);
        if same_node && let Some(known) = self.nodes.get_mut(node).and_then(|n| n.pods.get_mut(&uid)) {
            let spec = |p: &Pod| p.spec.clone();
            if known.pod.labels() == pod.labels() && spec(&known.pod) == spec(&pod) {
                known.pod = pod;
                return false;
            }
        }
        self.remove(&uid);
        if has_affinity(&pod) {
            self.affine.insert(uid.clone());
        }
        let requests = requests(&pod);
        let state = self.nodes.entry(node.to_owned()).or_default();
        state.used.add(&requests);
        let (cpu, memory) = requests.for_score();
        state.score_used = (state.score_used.0 + cpu, state.score_used.1 + memory);
        state.ports.extend(host_ports(&pod));
        if let Some(owner) = pod.controller() {
            *state.by_owner.entry(owner.uid.clone()).or_default() += 1;
        }
        state.pods.insert(uid.clone(), Placed { pod, requests });
        self.placed.insert(uid, node.to_owned());
        !same_node
    }

    /// Takes a pod away. Returns whether it was there.
    pub fn remove(&mut self, uid: &str) -> bool {
        self.affine.remove(uid);
        let Some(name) = self.placed.remove(uid) else {
            return false;
        };
        let Some(state) = self.nodes.get_mut(&name) else {
            return false;
        };
        let Some(Placed { pod, requests }) = state.pods.remove(uid) else {
            return false;
        };
        state.used.subtract(&requests);
        let (cpu, memory) = requests.for_score();
        state.score_used = (state.score_used.0 - cpu, state.score_used.1 - memory);
        for port in host_ports(&pod) {
            if let Some(index) = state.ports.iter().position(|p| *p == port) {
                state.ports.swap_remove(index);
            }
        }
        if let Some(owner) = pod.controller()
            && let Some(count) = state.by_owner.get_mut(&owner.uid)
        {
            *count -= 1;
            if *count == 0 {
                state.by_owner.remove(&owner.uid);
            }
        }
        if state.node.is_none() && state.pods.is_empty() {
            self.nodes.remove(&name);
        }
        true
    }

    /// Existing nodes, with their state.
    pub fn existing(&self) -> impl Iterator<Item = (&Arc<Node>, &NodeState)> {
        self.nodes
            .values()
            .filter_map(|s| s.node.as_ref().map(|n| (n, s)))
    }

    /// Pods with affinity, with the node they are on.
    pub fn affine_pods(&self) -> impl Iterator<Item = (&Arc<Pod>, &Arc<Node>)> {
        self.affine.iter().filter_map(|uid| {
            let state = self.nodes.get(self.placed.get(uid)?)?;
            Some((&state.pods.get(uid)?.pod, state.node.as_ref()?))
        })
    }
}

fn has_affinity(pod: &Pod) -> bool {
    let affinity = pod.spec.as_ref().and_then(|s| s.affinity.as_ref());
    affinity.is_some_and(|a| a.pod_affinity.is_some() || a.pod_anti_affinity.is_some())
}

/// The ports a pod takes on its host.
pub fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let sidecars = spec.init_containers.iter().flatten();
    let sidecars = sidecars.filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let ports = spec
        .containers
        .iter()
        .chain(sidecars)
        .flat_map(|c| c.ports.iter().flatten());
    let host = ports.filter_map(|p| {
        let port = p.host_port.filter(|p| *p > 0)?;
        let ip = p
            .host_ip
            .clone()
            .filter(|ip| !ip.is_empty())
            .unwrap_or_else(|| ANY.to_owned());
        Some((p.protocol.clone().unwrap_or_else(|| "TCP".to_owned()), ip, port))
    });
    host.collect()
}

/// The address that means all.
pub const ANY: &str = "0.0.0.0";
