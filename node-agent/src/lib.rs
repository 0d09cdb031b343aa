//! The node agent: registers this node, runs the pods bound to it, and reports on them.
//!
//! `start` (namespaces, spawner; single-threaded) → `run` (tokio: API client, pod network, proxy, DNS, pods, streams).

#![allow(unused_variables, clippy::unimplemented)]

use std::path::PathBuf;

/// Settings of the agent.
#[derive(Clone, Debug)]
pub struct Config {
    /// Data directory (images, pod volumes, logs): `<data>/agent`.
    pub data_dir: PathBuf,
    /// Run directory (sockets, state of running pods): `<run>/agent`.
    pub run_dir: PathBuf,
    /// Kubeconfig with the node's client certificate.
    pub kubeconfig: PathBuf,
    /// Node name, lower case.
    pub node_name: String,
    /// The node's address; `None`: that of the route to the API server.
    pub node_ip: Option<std::net::IpAddr>,
    /// Labels to register with, beside the well-known ones.
    pub labels: Vec<(String, String)>,
    /// Cluster domain.
    pub cluster_domain: String,
    /// Address of the cluster DNS service.
    pub cluster_dns: std::net::Ipv4Addr,
    /// All pods of the cluster.
    pub cluster_cidr: ipnet::Ipv4Net,
    /// Service addresses.
    pub service_cidr: ipnet::Ipv4Net,
    /// Largest number of pods.
    pub max_pods: u32,
    /// Registries spoken to without TLS.
    pub insecure_registries: Vec<String>,
    /// Registry mirrors, `(registry, mirror)`.
    pub mirrors: Vec<(String, String)>,
}

/// Runs the agent in the calling process until SIGTERM; returns the exit code. Must be called before any thread is
/// started: as an ordinary user it first moves the process into a user and mount namespace (or into those of pods that
/// are still running), forks the spawner, and only then starts the async runtime. On SIGTERM pods keep running.
pub fn main(config: Config) -> i32 {
    unimplemented!()
}

/// Stops all pods of a node whose agent is not running and removes every mount, process, cgroup and namespace they
/// left (`skiff down`). Must be called before any thread is started.
pub fn clean(config: &Config) -> anyhow::Result<()> {
    unimplemented!()
}
