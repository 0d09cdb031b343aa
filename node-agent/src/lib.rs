//! The node agent: registers this node, runs the pods bound to it, and reports on them.
//!
//! [`main`] is the table of contents: `enter` (namespaces; single-threaded) → spawner → `agent::run` (tokio: API
//! client, pod network, proxy, DNS, pods, streams).
//!
//! ```text
//! API server ──watch pods of this node──► pod::manager ──► one pod::worker per pod
//!                                                             │ pod::plan: pod + view + now → actions, status
//!                       image, volume, container, probe ◄─────┤
//!                       runtime supervisor, pod network ◄─────┘──► pod::publish: status patches, final delete
//! API server ──watch services, slices──► services ──► netns-proxy (listeners, DNS)
//! API server ──watch nodes──► peers ──► pod network (tunnel), relay (streams between agents)
//! API server ──watch policies, pods, namespaces──► policy ──► pod network (rules)
//! API server ◄──tunnel── stream (logs, exec, attach, port-forward)
//! ```

mod agent;
mod causes;
mod cgroup;
mod clean;
mod container;
mod descriptors;
mod enter;
mod env;
mod events;
mod node;
mod peers;
mod pod;
mod policy;
mod probe;
mod quantity;
mod relay;
mod servers;
mod services;
mod stream;
pub mod tls;
mod volume;

pub use skiff_pod_network::DualRange;

use std::path::PathBuf;

pub use skiff_pod_network::EgressWay;

use tracing::error;

/// Settings of the agent.
#[derive(Clone, Debug)]
pub struct Config {
    /// Data directory (images, pod volumes, logs): `<data>/agent`.
    pub data_dir: PathBuf,
    /// Run directory (sockets, state of running pods): `<run>/agent`.
    pub run_dir: PathBuf,
    /// Kubeconfig with the node's client certificate.
    pub kubeconfig: PathBuf,
    /// What names the key of that certificate, for the server to know this node by.
    pub key: String,
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
    pub cluster_cidr: DualRange,
    /// Service addresses.
    pub service_cidr: DualRange,
    /// Addresses of the host that node ports listen on; empty: all.
    pub node_port_addresses: Vec<std::net::IpAddr>,
    /// Largest number of pods.
    pub max_pods: u32,
    /// Port of loopback that leads to a living API server; `None`: the one before, or one that is free.
    pub forwarder_port: Option<u16>,
    /// How pods reach the world; `None`: the best way there is.
    pub egress: Option<EgressWay>,
    /// Registries spoken to without TLS.
    pub insecure_registries: Vec<String>,
    /// Registry mirrors, `(registry, mirror)`.
    pub mirrors: Vec<(String, String)>,
}

/// Runs the agent in the calling process until SIGTERM; returns the exit code. Must be called before any thread is
/// started: as an ordinary user it first moves the process into a user and mount namespace (or into those of pods that
/// are still running), forks the spawner, and only then starts the async runtime. On SIGTERM pods keep running.
pub fn main(config: Config) -> i32 {
    match start(config) {
        Ok(()) => 0,
        Err(source) => {
            error!(error = %format!("{source:#}"), "node agent failed");
            eprintln!("skiff agent: {source:#}");
            1
        }
    }
}

fn start(config: Config) -> anyhow::Result<()> {
    use anyhow::Context as _;

    for dir in [&config.data_dir, &config.run_dir] {
        std::fs::create_dir_all(dir).with_context(|| format!("create {dir:?}"))?;
    }
    let _alone = alone(&config.run_dir)?;
    let entered = enter::enter(&config.run_dir)?;
    // May move this process within its cgroup, so before the spawner is forked.
    let cgroups = cgroup::Support::find();
    let spawner = skiff_runtime::spawner::Spawner::start().context("start the spawner")?;
    // An error only means that another part of the process was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(32)
        .thread_keep_alive(std::time::Duration::from_secs(2))
        .thread_name("agent")
        .enable_all()
        .build()
        .context("start the async runtime")?;
    let result = runtime.block_on(agent::run(config, entered, cgroups, spawner));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

/// Waits until no other agent works in this directory: two would fight over the pods. The lock goes with the last process
/// that holds the file, which is the spawner's if that outlives its agent.
fn alone(run_dir: &std::path::Path) -> anyhow::Result<std::fs::File> {
    use anyhow::Context as _;

    let path = run_dir.join("lock");
    let lock = std::fs::File::create(&path).with_context(|| format!("create {path:?}"))?;
    if lock.try_lock().is_err() {
        tracing::info!("waiting for the end of another agent of this node");
        lock.lock().with_context(|| format!("lock {path:?}"))?;
    }
    Ok(lock)
}

/// Stops all pods of a node whose agent is not running and removes every mount, process, cgroup and namespace they
/// left (`skiff down`). Must be called before any thread is started.
pub fn clean(config: &Config) -> anyhow::Result<()> {
    clean::clean(config)
}

/// Opens the image store of this node, as the agent does: moves the process into the agent's user namespace first, where
/// the owners of files in layers exist. Must be called before any thread is started.
pub fn open_images(config: &Config) -> anyhow::Result<skiff_image::ImageStore> {
    use anyhow::Context as _;

    let entered = enter::enter(&config.run_dir).context("enter the agent's namespaces")?;
    Ok(skiff_image::ImageStore::open(image_config(config, entered))?)
}

fn image_config(config: &Config, entered: enter::Entered) -> skiff_image::Config {
    skiff_image::Config {
        dir: config.data_dir.join("images"),
        insecure_registries: config.insecure_registries.clone(),
        mirrors: config.mirrors.clone(),
        user_xattr: entered.rootless,
    }
}
