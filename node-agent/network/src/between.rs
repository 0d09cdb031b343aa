//! The ways to other nodes, as seen from the pod network: the tunnel, once there is anybody to speak to, and the MTU it
//! leaves to pods.

use std::{
    net::{IpAddr, Ipv4Addr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
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
    Error, PodNetwork, TunnelKind, pod,
    tunnel::{self, OVERHEAD_BYTES, Peer, Tunnel},
};

/// What IPv4 promises to carry, with room for what the tunnel adds: no way is taken for smaller.
const SMALLEST_MTU: u32 = 576;

/// The public half of a key.
pub fn public_key(secret: [u8; 32]) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(secret)).to_bytes()
}

#[derive(Default)]
pub(crate) struct Between {
    tunnel: OnceCell<Tunnel>,
    /// Of pods' interfaces; 0: as the kernel makes them.
    mtu: AtomicU32,
}

impl Between {
    /// Of pods' interfaces; none: as the kernel makes them.
    pub fn mtu(&self) -> Option<u32> {
        Some(self.mtu.load(Ordering::Relaxed)).filter(|mtu| *mtu != 0)
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
        let start = || Tunnel::start(&self.node, socket, secret, mtu);
        self.between.tunnel.get_or_try_init(start).await?;
        self.set_mtu(mtu).await
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
        if Some(mtu) != self.between.mtu() {
            tunnel.set_mtu(mtu).await?;
            self.set_mtu(mtu).await?;
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
        Ok(way.saturating_sub(OVERHEAD_BYTES).max(SMALLEST_MTU))
    }

    /// Sets the MTU of pods that are there and of those that come.
    async fn set_mtu(&self, mtu: u32) -> Result<(), Error> {
        self.between.mtu.store(mtu, Ordering::Relaxed);
        let pods: Vec<(Ipv4Addr, Arc<Namespace>)> = self
            .pods
            .read()
            .iter()
            .map(|(address, pod)| (*address, Arc::clone(pod)))
            .collect();
        for (address, namespace) in pods {
            if let Err(error) = pod::set_mtu(&self.node, &namespace, address, mtu).await {
                // It may be going just now.
                tracing::debug!(%address, %error, "set the MTU of a pod");
            }
        }
        Ok(())
    }
}
