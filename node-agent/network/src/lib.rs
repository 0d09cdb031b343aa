//! Pod network of one node: the node namespace, routed veth pairs, addresses, egress.
//!
//! Every pod has one veth pair into the node namespace, a /32 and the gateway 169.254.1.1; with a second family a /128 and the
//! gateway fe80::1 beside them. What leaves the cluster is
//! taken by a transparent-proxy rule and sent on from host sockets (rootless), or masqueraded by the kernel (root).

//!
//! The way in: [`PodNetwork::start`] makes or finds the node namespace (`node`), [`PodNetwork::attach`] connects a pod
//! (`pod`, with an address from `address`), `egress` carries what leaves the cluster, `tunnel` what goes to other nodes.

mod address;
mod announce;
mod between;
mod egress;
mod link;
mod netlink;
mod nftables;
mod node;
mod pod;
pub mod policy;
mod translate;
mod tunnel;

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::OwnedFd,
    path::PathBuf,
    sync::Arc,
};

use address::Addresses;
use egress::Egress;
use ipnet::Ipv6Net;
use netlink::Refused;
use nftables::Family;
use parking_lot::RwLock;
use skiff_netns_proxy::{
    Dialer,
    netns::{Hopper, Namespace},
};
use tracing::warn;

pub use address::{DualRange, PodAddress};
pub use between::public_key;
pub use egress::Way as EgressWay;
pub use translate::Translation;
pub use tunnel::{Kind as TunnelKind, Peer};

/// Every pod's gateway.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// The same of the other family: on every link of its own.
const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// Addresses of a link, which are routed nowhere.
const LINK_LOCAL: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10);

/// How to build the network.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory for the state of addresses in use (survives the agent; `<run dir>/network`). The node namespace is
    /// kept here as a bind mount, so that a new agent finds it.
    pub dir: PathBuf,
    /// All pods of the cluster.
    pub cluster_cidr: DualRange,
    /// This node's pods. Of as many families as `cluster_cidr`.
    pub pod_cidr: DualRange,
    /// Service addresses, as well: local in the node namespace.
    pub service_cidr: DualRange,
    /// Inside a user namespace, or root.
    pub rootless: bool,
    /// How pods reach the world; none: the best way there is.
    pub egress: Option<EgressWay>,
}

impl Config {
    fn ranges(&self) -> [DualRange; 3] {
        [self.cluster_cidr, self.pod_cidr, self.service_cidr]
    }

    /// An address of the cluster's pods or services.
    fn is_inside(&self, address: IpAddr) -> bool {
        self.ranges().iter().any(|range| range.contains(address))
    }

    fn families(&self) -> &'static [Family] {
        match self.pod_cidr.v6 {
            None => &[Family::V4],
            Some(_) => &[Family::V4, Family::V6],
        }
    }
}

/// What could not be done.
#[derive(Debug, thiserror::Error)]
#[error("pod network: {operation}")]
pub struct Error {
    /// What was being done, with its object.
    pub operation: String,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

impl Error {
    fn new(operation: impl Into<String>, source: io::Error) -> Self {
        Self {
            operation: operation.into(),
            source,
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self {
            operation: refused.what,
            source: refused.source,
        }
    }
}

/// The namespaces of the node's pods, by their IPv4 addresses.
type Pods = Arc<RwLock<HashMap<Ipv4Addr, Arc<Namespace>>>>;

/// The pod network of this node. Needs a running tokio runtime.
pub struct PodNetwork {
    config: Config,
    node: Arc<Namespace>,
    host: Arc<Namespace>,
    node_address: PodAddress,
    /// Makes sockets in pods.
    dialers: Hopper,
    /// Connects pods; a thread of its own, so that no new connection waits for the kernel's routing lock.
    builders: Hopper,
    /// Held while a pod is connected or disconnected.
    addresses: tokio::sync::Mutex<Addresses>,
    pods: Pods,
    egress: tokio::sync::Mutex<Option<Egress>>,
    egress_way: EgressWay,
    between: between::Between,
    /// Shared with what relays outbound connections.
    rules: policy::Shared,
    translation: Option<Arc<Translation>>,
}

impl PodNetwork {
    /// Builds the network, or takes over what an earlier agent left (same addresses, same node namespace).
    ///
    /// # Errors
    /// `InvalidInput` for a pod range without room for a pod; `PermissionDenied` when the calling process is not root in
    /// its user namespace; what the kernel refused, by name.
    pub async fn start(config: Config) -> Result<Arc<Self>, Error> {
        if config.pod_cidr.v4.prefix_len() > 30 {
            let text = format!("pod range {} has no room for pods", config.pod_cidr);
            return Err(Error::new(
                "start",
                io::Error::new(io::ErrorKind::InvalidInput, text),
            ));
        }
        let at = |operation: &'static str| move |source| Error::new(operation, source);
        std::fs::create_dir_all(&config.dir).map_err(at("make the network's directory"))?;
        let addresses = Addresses::load(&config.dir.join(ADDRESSES), config.pod_cidr.v4)
            .map_err(at("read the addresses in use"))?;
        let node_address = config.pod_cidr.pair(addresses.node());
        let host = Namespace::current("host").map_err(at("start a thread in the host namespace"))?;
        let node = node::find_or_create(&config.dir).map_err(at("make the node namespace"))?;
        let for_node = config.clone();
        node.run(move || node::set_up(&for_node, node_address))
            .await
            .map_err(at("enter the node namespace"))??;
        let rules = policy::Shared::default();
        let egress = Egress::start(&config, &node, &host, &rules).await?;
        let pods = Pods::default();
        let started = Translation::start(&node, config.pod_cidr.v4, &rules, Arc::clone(&pods));
        let translation = match started.await {
            Ok(translation) => Some(Arc::new(translation)),
            Err(refused) => {
                // A kernel without some part of nftables: slower, and nothing else.
                warn!(
                    error = &refused as &dyn std::error::Error,
                    "the proxy carries all connections to services"
                );
                None
            }
        };
        let hopper = |name| Hopper::start(name, &node).map_err(at("start a thread for pods"));
        let (dialers, builders) = (hopper("pods")?, hopper("attach")?);
        Ok(Arc::new(Self {
            node,
            host,
            node_address,
            dialers,
            builders,
            addresses: tokio::sync::Mutex::new(addresses),
            pods,
            egress_way: egress.way(),
            between: between::Between::new(egress.way() != EgressWay::Sockets),
            egress: tokio::sync::Mutex::new(Some(egress)),
            rules,
            translation,
            config,
        }))
    }

    /// The node namespace.
    pub fn node(&self) -> Arc<Namespace> {
        Arc::clone(&self.node)
    }

    /// The host namespace.
    pub fn host(&self) -> Arc<Namespace> {
        Arc::clone(&self.host)
    }

    /// What has the kernel carry connections to services; none where the kernel can't.
    pub fn translation(&self) -> Option<Arc<Translation>> {
        self.translation.clone()
    }

    /// How pods reach the world; IPv6 always through sockets.
    pub fn egress(&self) -> EgressWay {
        self.egress_way
    }

    /// The node's own addresses in the pod ranges: where connections of [`PodNetwork::connect`] come from.
    pub fn node_address(&self) -> PodAddress {
        self.node_address
    }

    /// Connects a pod's network namespace; returns its addresses. Attaching an attached pod again returns the
    /// same ones (adoption).
    ///
    /// # Errors
    /// `AddrNotAvailable` when the pod range is used up; what the kernel refused. The address stays reserved then, for
    /// the next try or [`PodNetwork::detach`].
    pub async fn attach(&self, pod_uid: &str, netns: OwnedFd) -> Result<PodAddress, Error> {
        let address = {
            let mut addresses = self.addresses.lock().await;
            let known = addresses.get(pod_uid);
            let address = addresses.assign(pod_uid).ok_or_else(|| {
                let text = format!("pod range {} is used up", self.config.pod_cidr);
                Error::new(
                    "attach a pod",
                    io::Error::new(io::ErrorKind::AddrNotAvailable, text),
                )
            })?;
            if known.is_none() {
                self.save(&addresses)?;
            }
            address
        };
        let again = netns
            .try_clone()
            .map_err(|source| Error::new("keep the pod's namespace", source))?;
        let builder = self.builders.namespace(pod_uid, again);
        let wire = self.between.wire();
        let both = self.config.pod_cidr.pair(address);
        pod::connect(&self.node, self.node_address, &builder, both, wire).await?;
        let pod = self.dialers.namespace(pod_uid, netns);
        self.pods.write().insert(address, Arc::clone(&pod));
        if self.between.wire() != wire {
            // Changed for all pods while this one was not among them.
            self.rewire_pod(address, &pod).await;
        }
        Ok(both)
    }

    /// Disconnects a pod and frees its address. Idempotent; the namespace may be gone already.
    ///
    /// # Errors
    /// What the kernel refused; the address stays reserved then.
    pub async fn detach(&self, pod_uid: &str) -> Result<(), Error> {
        let Some(address) = self.addresses.lock().await.get(pod_uid) else {
            return Ok(());
        };
        self.pods.write().remove(&address);
        pod::disconnect(&self.node, address).await?;
        let mut addresses = self.addresses.lock().await;
        addresses.release(pod_uid);
        self.save(&addresses)
    }

    /// Frees the addresses of all pods but these.
    ///
    /// # Errors
    /// As [`PodNetwork::detach`], the first one; the others are freed.
    pub async fn retain(&self, pod_uids: &[String]) -> Result<(), Error> {
        let gone: Vec<String> = {
            let addresses = self.addresses.lock().await;
            let known = addresses.pods().map(|(pod, _)| pod.to_owned());
            known.filter(|pod| !pod_uids.contains(pod)).collect()
        };
        let mut outcome = Ok(());
        for pod in gone {
            outcome = outcome.and(self.detach(&pod).await);
        }
        outcome
    }

    /// The namespace of an attached pod, by its address.
    pub fn pod(&self, address: IpAddr) -> Option<Arc<Namespace>> {
        let address = self.config.pod_cidr.v4_of(address)?;
        self.pods.read().get(&address).cloned()
    }

    /// Puts these rules in place of those before, for packets and for whoever asks [`PodNetwork::allows`]. Connections that
    /// are there go on.
    ///
    /// # Errors
    /// What the kernel refused; the rules before are in force then.
    pub async fn set_rules(&self, rules: policy::Rules) -> Result<(), Error> {
        let rules = Arc::new(rules);
        let (new, families) = (Arc::clone(&rules), self.config.families());
        let translated = self.translation.is_some();
        let applied = self
            .node
            .run(move || policy::apply(&new, families, translated))
            .await;
        applied.map_err(|source| Error::new("enter the node namespace", source))??;
        *self.rules.write() = rules;
        Ok(())
    }

    /// Whether a connection is allowed by the rules of either end that is a pod of this node. This node itself may
    /// always reach its pods.
    pub fn allows(&self, flow: policy::Flow) -> bool {
        self.node_address.all().any(|own| own == flow.from) || policy::allows(&self.rules.read(), flow)
    }

    /// Whether an address is one of this node's range, of a pod or not.
    pub fn has(&self, address: IpAddr) -> bool {
        self.config.pod_cidr.contains(address)
    }

    /// Connects to a pod or service address from the node (probes); to any other address from the host.
    ///
    /// # Errors
    /// As connect(2). Waits as long as the kernel does: bound it.
    pub async fn connect(&self, to: SocketAddr) -> io::Result<tokio::net::TcpStream> {
        let namespace = if self.config.is_inside(to.ip()) {
            &self.node
        } else {
            &self.host
        };
        namespace.tcp_connect(to, None).await
    }

    /// Removes everything, the node namespace too. Idempotent.
    ///
    /// # Errors
    /// The first thing that could not be removed; the rest is.
    pub async fn destroy(&self) -> Result<(), Error> {
        let mut addresses = self.addresses.lock().await;
        let mut outcome = Ok(());
        self.pods.write().clear();
        if let Some(egress) = self.egress.lock().await.take() {
            outcome = egress.stop(&self.node, &self.host).await;
        }
        // By name, also those of pods nobody remembers: the namespace may outlive us in some socket.
        let removed = self.node.run(|| -> Result<(), Error> {
            let interfaces = link::list().map_err(|source| Error::new("list interfaces", source))?;
            for interface in interfaces
                .iter()
                .filter(|interface| interface.index != link::LOOPBACK)
            {
                link::delete(&interface.name)?;
            }
            Ok(())
        });
        let removed = removed
            .await
            .map_err(|source| Error::new("enter the node namespace", source));
        outcome = outcome.and(removed.and_then(|removed| removed));
        *addresses = Addresses::new(self.config.pod_cidr.v4);
        let file = self.config.dir.join(ADDRESSES);
        let forgotten = match std::fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        outcome = outcome.and(forgotten.map_err(|source| Error::new("forget the addresses in use", source)));
        let kept = node::forget(&self.config.dir);
        outcome.and(kept.map_err(|source| Error::new("remove the node namespace", source)))
    }

    fn save(&self, addresses: &Addresses) -> Result<(), Error> {
        addresses
            .save(&self.config.dir.join(ADDRESSES))
            .map_err(|source| Error::new("write the addresses in use", source))
    }
}

/// File of the addresses in use, in the network's directory.
const ADDRESSES: &str = "addresses.json";

impl Dialer for PodNetwork {
    /// The pod's own namespace; the node's for an address of the cluster that is no pod here (there is no way to it, which
    /// must not be tried from the host); the host's for all others, such as pods on the host's network.
    fn namespace(&self, backend: IpAddr) -> Arc<Namespace> {
        match self.pod(backend) {
            Some(pod) => pod,
            None if self.config.is_inside(backend) => self.node(),
            None => self.host(),
        }
    }
}
