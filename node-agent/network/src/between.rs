//! The ways to other nodes, as seen from the pod network: the tunnel, once there is anybody to speak to, and the MTU it
//! leaves to pods.

use std::{
    net::{IpAddr, Ipv4Addr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use boringtun::x25519::{PublicKey, StaticSecret};
use skiff_netns_proxy::netns::Namespace;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::OnceCell,
};

use crate::{
    Error, PodNetwork, TunnelKind,
    link::Segments,
    pod::{self, Wire},
    tunnel::{self, OVERHEAD_BYTES, Peer, Tunnel},
};

/// What IPv4 promises to carry, with room for what the tunnel adds: no way is taken for smaller.
const SMALLEST_MTU: u32 = 576;
/// The same of IPv6, which an interface that takes less has no part in.
const SMALLEST_MTU_V6: u32 = 1280;

/// The public half of a key.
pub fn public_key(secret: [u8; 32]) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(secret)).to_bytes()
}

pub(crate) struct Between {
    tunnel: OnceCell<Tunnel>,
    /// Of pods' interfaces; 0: as the kernel makes them.
    mtu: AtomicU32,
    /// What pods send goes through the kernel to the world, or to other nodes.
    is_world_routed: bool,
    has_peers: AtomicBool,
}

impl Between {
    /// `is_world_routed`: packets to the world leave by an interface of the host, not through sockets of this node.
    pub fn new(is_world_routed: bool) -> Self {
        Self {
            tunnel: OnceCell::new(),
            mtu: AtomicU32::new(0),
            is_world_routed,
            has_peers: AtomicBool::new(false),
        }
    }

    /// What pods' interfaces shall take now.
    pub fn wire(&self) -> Wire {
        let packets_leave = self.is_world_routed || self.has_peers.load(Ordering::Relaxed);
        Wire {
            mtu: Some(self.mtu.load(Ordering::Relaxed)).filter(|mtu| *mtu != 0),
            segments: if packets_leave {
                Segments::Usual
            } else {
                Segments::Large
            },
        }
    }
}

impl PodNetwork {
    /// Opens the tunnel to other nodes, unless it is open: from now on [`PodNetwork::set_peers`] can be called. `socket`
    /// must be of the host namespace, `towards` an address of the network the other nodes are on.
    ///
    /// # Errors
    /// What the kernel refused; trying again is fine.
    pub async fn open_tunnel(
        &self,
        socket: UdpSocket,
        secret: [u8; 32],
        towards: Ipv4Addr,
    ) -> Result<(), Error> {
        let mtu = self.mtu_to(&[towards]).await?;
        let start = || Tunnel::start(&self.node, socket, secret, mtu, self.config.families());
        self.between.tunnel.get_or_try_init(start).await?;
        self.between.mtu.store(mtu, Ordering::Relaxed);
        self.rewire().await;
        Ok(())
    }

    /// How packets get into the tunnel; none while it is not open.
    pub fn tunnel_kind(&self) -> Option<&TunnelKind> {
        self.between.tunnel.get().map(Tunnel::kind)
    }

    /// Sets who the other nodes are. The MTU of pods follows the narrowest way to one of them.
    ///
    /// # Errors
    /// `NotConnected` while the tunnel is not open; what the kernel refused.
    pub async fn set_peers(&self, peers: &[Peer]) -> Result<(), Error> {
        let tunnel = self.between.tunnel.get().ok_or_else(|| {
            Error::new(
                "set the peers of the tunnel",
                std::io::ErrorKind::NotConnected.into(),
            )
        })?;
        if self.between.has_peers.swap(!peers.is_empty(), Ordering::Relaxed) == peers.is_empty() {
            // Before there is a way to them.
            self.rewire().await;
        }
        tunnel.set_peers(peers).await?;
        let ends: Vec<Ipv4Addr> = peers
            .iter()
            .filter_map(|peer| match peer.endpoint.ip() {
                IpAddr::V4(address) => Some(address),
                IpAddr::V6(_) => None,
            })
            .collect();
        if ends.is_empty() {
            return Ok(());
        }
        let mtu = self.mtu_to(&ends).await?;
        if Some(mtu) != self.between.wire().mtu {
            tunnel.set_mtu(mtu).await?;
            self.between.mtu.store(mtu, Ordering::Relaxed);
            self.rewire().await;
        }
        Ok(())
    }

    /// Tells every peer at once where this node is now: for a host whose address has changed.
    pub fn greet_peers(&self) {
        if let Some(tunnel) = self.between.tunnel.get() {
            tunnel.greet();
        }
    }

    /// The peers, with the time since each one's last handshake; none: never, or too long ago to count.
    pub fn handshakes(&self) -> Vec<(Peer, Option<Duration>)> {
        self.between
            .tunnel
            .get()
            .map(Tunnel::handshakes)
            .unwrap_or_default()
    }

    /// Names of the peers that UDP does not reach and that [`PodNetwork::carry`] does nothing for yet.
    pub fn unreached_peers(&self) -> Vec<String> {
        self.between
            .tunnel
            .get()
            .map(Tunnel::unreached)
            .unwrap_or_default()
    }

    /// Names of the peers whose packets are carried by a stream now.
    pub fn carried_peers(&self) -> Vec<String> {
        self.between.tunnel.get().map(Tunnel::carried).unwrap_or_default()
    }

    /// Has `stream`, whose other end does the same, carry the packets of a peer, which stay encrypted. Returns when the stream
    /// or the peer ends, or, with `until_direct`, when UDP has got through for a while.
    ///
    /// # Errors
    /// `NotFound` for a peer that is not known; those of the stream.
    pub async fn carry(
        &self,
        peer: &str,
        stream: impl AsyncRead + AsyncWrite,
        until_direct: bool,
    ) -> std::io::Result<()> {
        let tunnel = self.between.tunnel.get().ok_or(std::io::ErrorKind::NotFound)?;
        tunnel.carry(peer, stream, until_direct).await
    }

    /// What of a packet fits the ways to these hosts.
    async fn mtu_to(&self, ends: &[Ipv4Addr]) -> Result<u32, Error> {
        let ends = ends.to_vec();
        let found = self.host.run(move || {
            let ways = ends.into_iter().filter_map(|end| tunnel::path(end).ok());
            ways.map(|(_, mtu)| mtu).min()
        });
        let found = found.await.map_err(|source| Error::new("find the MTU", source))?;
        // No way at all now: Ethernet's until there is one.
        let way = found.unwrap_or(1500).min(65_000);
        let smallest = match self.config.pod_cidr.v6 {
            None => SMALLEST_MTU,
            Some(_) => SMALLEST_MTU_V6,
        };
        Ok(way.saturating_sub(OVERHEAD_BYTES).max(smallest))
    }

    /// Lets the interfaces of all pods take what they shall take now.
    async fn rewire(&self) {
        let pods: Vec<(Ipv4Addr, Arc<Namespace>)> = self
            .pods
            .read()
            .iter()
            .map(|(address, pod)| (*address, Arc::clone(pod)))
            .collect();
        for (address, namespace) in pods {
            self.rewire_pod(address, &namespace).await;
        }
    }

    pub(crate) async fn rewire_pod(&self, address: Ipv4Addr, pod: &Namespace) {
        if let Err(error) = pod::set_wire(&self.node, pod, address, self.between.wire()).await {
            // It may be going just now.
            tracing::debug!(%address, %error, "set up the interface of a pod again");
        }
    }
}
