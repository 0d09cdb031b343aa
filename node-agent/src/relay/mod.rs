//! Service connections to backends of other nodes: the two agents relay them as streams over TLS, which costs a fraction of
//! what packets through the tunnel cost.
//!
//! ```text
//! client ─► proxy ═ dial ═ TLS over TCP, host to host ═ serve ═► socket made inside the backend's pod
//! ```

mod ahead;
mod dial;
mod tls;
mod wire;

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use parking_lot::RwLock;
use skiff_netns_proxy::{
    Dialer, Protocol,
    accept::{Reserve, accept_all},
    netns::Namespace,
    relay::Moved,
    remote::{self, Opener},
};
use skiff_pod_network::{DualRange, PodNetwork, policy::Flow};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsStream};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use self::{
    ahead::ReadsAhead,
    dial::NodeDialer,
    tls::Identity,
    wire::{Connection, Question, Stream},
};

/// How long a handshake may take, and a backend here to accept.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
const BACKEND_DEADLINE: Duration = Duration::from_secs(1);
/// A connection that nobody asks anything of is closed after this long.
const LONGEST_IDLE: Duration = Duration::from_secs(90);
/// Data that a peer has not acknowledged for this long: it is gone.
const GONE_AFTER: Duration = Duration::from_secs(20);

/// Another node, as the relay sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RelayPeer {
    /// Name of the node.
    pub name: String,
    /// Addresses of its pods.
    pub range: DualRange,
    /// Where its agent listens.
    pub address: SocketAddr,
}

/// How the proxy reaches backends: in their own namespace here, or by the agent of their node.
pub(crate) struct Ways {
    network: Arc<PodNetwork>,
    identity: RwLock<Arc<Identity>>,
    peers: RwLock<Peers>,
}

/// The other nodes, each with the way to it.
#[derive(Default)]
struct Peers {
    all: Vec<(RelayPeer, Arc<NodeDialer>)>,
    /// Places in `all` by the first addresses of ranges, which don't overlap.
    by_first: BTreeMap<IpAddr, usize>,
}

impl Peers {
    fn add(&mut self, peer: RelayPeer, dialer: Arc<NodeDialer>) {
        let ranges = peer.range.all().map(|range| (range.network(), self.all.len()));
        self.by_first.extend(ranges);
        self.all.push((peer, dialer));
    }

    /// The node that has the pod with this address.
    fn at(&self, address: IpAddr) -> Option<&(RelayPeer, Arc<NodeDialer>)> {
        let (_, place) = self.by_first.range(..=address).next_back()?;
        self.all
            .get(*place)
            .filter(|(peer, _)| peer.range.contains(address))
    }
}

impl Ways {
    /// Without any other node. `kubeconfig` holds the node's certificate.
    pub fn new(network: Arc<PodNetwork>, kubeconfig: &kube::config::Kubeconfig) -> anyhow::Result<Self> {
        Ok(Self {
            network,
            identity: RwLock::new(Arc::new(Identity::of(kubeconfig)?)),
            peers: RwLock::default(),
        })
    }

    /// Uses the certificate that `kubeconfig` holds now. Streams that are open stay.
    pub fn renew(&self, kubeconfig: &kube::config::Kubeconfig) -> anyhow::Result<()> {
        *self.identity.write() = Arc::new(Identity::of(kubeconfig)?);
        for (peer, dialer) in &mut self.peers.write().all {
            *dialer = self.dialer(peer)?;
        }
        Ok(())
    }

    fn dialer(&self, peer: &RelayPeer) -> anyhow::Result<Arc<NodeDialer>> {
        let tls = self.identity().client(&peer.name)?;
        let (host, node) = (self.network.host(), self.network.node());
        Ok(Arc::new(NodeDialer::new(
            &peer.name,
            peer.address,
            tls,
            host,
            node,
        )))
    }

    fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.identity.read())
    }

    /// Sets who the other nodes are. Streams that are open stay.
    pub fn set_peers(&self, wanted: &[RelayPeer]) -> anyhow::Result<()> {
        let mut peers = self.peers.write();
        let mut new = Peers::default();
        for peer in wanted {
            let known = peers
                .at(peer.range.v4.network().into())
                .filter(|(known, _)| known == peer)
                .map(|(_, dialer)| Arc::clone(dialer));
            let dialer = match known {
                Some(dialer) => dialer,
                None => self.dialer(peer)?,
            };
            new.add(peer.clone(), dialer);
        }
        *peers = new;
        Ok(())
    }

    /// Listens on the host's port `port`, or any other if that is taken, for the agents of other nodes. Returns the port;
    /// ends with the handle.
    pub async fn serve(self: &Arc<Self>, port: u16) -> io::Result<(u16, AbortOnDropHandle<()>)> {
        let host = self.network.host();
        let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let listener = match host.tcp_listener(any(port)).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => host.tcp_listener(any(0)).await?,
            other => other?,
        };
        let port = listener.local_addr()?.port();
        let listener = TcpListener::from_std(listener)?;
        let ways = Arc::clone(self);
        let task = tokio::spawn(async move {
            let serve = |stream: TcpStream, from: SocketAddr| {
                let ways = Arc::clone(&ways);
                tokio::spawn(async move {
                    if let Err(error) = ways.serve_agent(stream).await {
                        debug!(%from, %error, "a connection of another agent ended");
                    }
                });
            };
            let shed = || warn!("connection of another agent reset: no descriptors left");
            accept_all(listener, &Reserve::default(), shed, serve).await;
        });
        Ok((port, AbortOnDropHandle::new(task)))
    }

    /// Serves one connection of another agent: one stream after another.
    async fn serve_agent(&self, stream: TcpStream) -> io::Result<()> {
        settle(&stream)?;
        let accept = TlsAcceptor::from(Arc::clone(&self.identity().server)).accept(ReadsAhead::new(stream));
        let accepted = timeout(HANDSHAKE_DEADLINE, accept).await??;
        let certificate = accepted.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let node = tls::node_of(certificate.ok_or(io::ErrorKind::PermissionDenied)?)?;
        let mut connection: Connection = TlsStream::from(accepted);
        let (home, mut returned) = mpsc::unbounded_channel();
        loop {
            let asked = timeout(LONGEST_IDLE, wire::asked(&mut connection)).await;
            let Ok(question) = asked else { return Ok(()) };
            let question = question?;
            let dialled = self.dial(&node, question).await;
            wire::answer(&mut connection, dialled.as_ref().map(drop)).await?;
            let Ok(backend) = dialled else { continue };
            let far = Stream::new(connection, home.downgrade());
            remote::relay(backend, Box::new(far), &Moved::default()).await?;
            let back = returned.try_recv();
            connection = back.map_err(|_| io::Error::from(io::ErrorKind::ConnectionReset))?;
        }
    }

    /// Connects to a backend of this node from inside its own namespace.
    async fn dial(&self, node: &str, question: Question) -> io::Result<TcpStream> {
        let Question { backend, client } = question;
        if !self.may_speak_for(node, client.ip()) {
            return Err(io::Error::from_raw_os_error(libc::EACCES));
        }
        if !self.allows(Protocol::Tcp, client, backend) {
            return Err(io::Error::from_raw_os_error(libc::EACCES));
        }
        let Some(pod) = self.network.pod(backend.ip()) else {
            return Err(io::Error::from_raw_os_error(libc::EHOSTUNREACH));
        };
        timeout(BACKEND_DEADLINE, pod.tcp_connect(backend, None)).await?
    }

    /// A node may name its own pods as clients, and anybody outside of the cluster.
    fn may_speak_for(&self, node: &str, client: IpAddr) -> bool {
        let peers = self.peers.read();
        let owner = peers.at(client.to_canonical());
        owner.map_or(!self.network.has(client), |(peer, _)| peer.name == node)
    }
}

impl Dialer for Ways {
    fn namespace(&self, backend: IpAddr) -> Arc<Namespace> {
        self.network.namespace(backend)
    }

    fn remote(&self, backend: IpAddr) -> Option<Arc<dyn Opener>> {
        let peers = self.peers.read();
        let (_, dialer) = peers.at(backend.to_canonical())?;
        Some(Arc::clone(dialer) as Arc<dyn Opener>)
    }

    fn allows(&self, protocol: Protocol, client: SocketAddr, backend: SocketAddr) -> bool {
        let (from, to) = (client.ip().to_canonical(), backend.ip().to_canonical());
        // Whoever is on the node reaches its pods, as its probes do.
        if from.is_loopback() {
            return true;
        }
        let protocol = match protocol {
            Protocol::Tcp => libc::IPPROTO_TCP,
            Protocol::Udp => libc::IPPROTO_UDP,
        };
        self.network.allows(Flow {
            from,
            to,
            protocol: protocol as u8,
            port: backend.port(),
        })
    }
}

/// What every connection between agents is set to: a peer that is gone is noticed.
fn settle(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    socket.set_tcp_user_timeout(Some(GONE_AFTER))?;
    socket.set_tcp_keepalive(
        &socket2::TcpKeepalive::new()
            .with_time(Duration::from_secs(10))
            .with_interval(Duration::from_secs(3))
            .with_retries(3),
    )
}
