//! Packets between nodes: WireGuard in user space over one UDP socket of the host namespace.
//!
//! ```text
//! pod ─veth─► node namespace ─route─► device ─► split ─► encrypt ─► socket ─► the peer's host
//!             (this node's)          outbound thread
//! pod ◄─veth─ node namespace ◄─────── device ◄─ merge ◄─ decrypt ◄─ socket ◄─ the peer's host
//!             (that node's)          inbound thread
//! ```
//! Large packets stay large wherever the kernel allows: the device hands them over whole, the socket sends and receives up to
//! 64 packets of the wire in one call. Two threads of its own, so that no task of the agent waits for bulk data.

mod carrier;
pub(crate) mod device;
mod merge;
pub(crate) mod offload;
mod peers;
mod socket;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use boringtun::{
    noise::{Packet, Tunn, TunnResult, handshake::parse_handshake_anon, rate_limiter::RateLimiter},
    x25519::{PublicKey, StaticSecret},
};
use ipnet::IpNet;
use parking_lot::RwLock;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use skiff_netns_proxy::netns::Namespace;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::warn;

use self::{
    carrier::Carriers,
    device::Device,
    merge::Merger,
    peers::{Link, Peers},
    socket::{Batch, Socket},
};
pub use self::{device::Kind, peers::Peer};
use crate::{
    Error,
    link::{self, Route},
    netlink::Refused,
    nftables::Family,
};

/// What WireGuard adds to a packet, and the IPv4 and UDP headers around that.
const WIREGUARD_BYTES: usize = 32;
pub(crate) const OVERHEAD_BYTES: u32 = WIREGUARD_BYTES as u32 + 20 + 8;
/// Messages of a handshake are at most this long.
const HANDSHAKE_BYTES: usize = 148;
/// Handshakes of strangers answered per second before they have to show that their address is theirs.
const HANDSHAKE_LIMIT: u64 = 100;
/// Pause between two looks at the peers' timers, whose grain is a second.
const TIMERS: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};
/// Packets taken from the device before what was collected is sent.
const BURST: usize = 64;

/// What both threads share.
struct Shared {
    secret: StaticSecret,
    public: PublicKey,
    limiter: RateLimiter,
    device: Device,
    socket: Socket,
    peers: RwLock<Arc<Peers>>,
    stop: OwnedFd,
}

/// A running tunnel; ends with its handle.
pub(crate) struct Tunnel {
    shared: Arc<Shared>,
    node: Arc<Namespace>,
    routes: tokio::sync::Mutex<Vec<IpNet>>,
}

impl Tunnel {
    /// Makes the device in `node` and starts with nobody at the other ends. `socket` is of the host namespace.
    pub async fn start(
        node: &Arc<Namespace>,
        socket: UdpSocket,
        secret: [u8; 32],
        mtu: u32,
        families: &'static [Family],
    ) -> Result<Self, Error> {
        let at = |operation: &'static str| move |source| Error::new(operation, source);
        let device = node
            .run(move || Device::open(device::INTERFACE, mtu, families))
            .await
            .map_err(at("enter the node namespace"))??;
        let secret = StaticSecret::from(secret);
        let public = PublicKey::from(&secret);
        let stop = eventfd(0, EventfdFlags::CLOEXEC).map_err(|e| Error::new("make an event", e.into()))?;
        let shared = Arc::new(Shared {
            limiter: RateLimiter::new(&public, HANDSHAKE_LIMIT),
            secret,
            public,
            device,
            socket: Socket::new(socket),
            peers: RwLock::default(),
            stop,
        });
        for (name, work) in [
            ("tunnel-out", Shared::outbound as fn(&Shared)),
            ("tunnel-in", Shared::inbound),
        ] {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(name.into())
                .spawn(move || work(&shared))
                .map_err(at("start a thread of the tunnel"))?;
        }
        Ok(Self {
            shared,
            node: Arc::clone(node),
            routes: tokio::sync::Mutex::default(),
        })
    }

    /// How packets get in and out.
    pub fn kind(&self) -> &Kind {
        &self.shared.device.kind
    }

    /// Sets who is at the other ends; routes to their pods come and go.
    pub async fn set_peers(&self, wanted: &[Peer]) -> Result<(), Error> {
        let mut routes = self.routes.lock().await;
        let old = Arc::clone(&self.shared.peers.read());
        *self.shared.peers.write() = Arc::new(old.with(&self.shared.secret, wanted));
        let ranges: Vec<IpNet> = wanted.iter().flat_map(|peer| peer.range.all()).collect();
        let gone: Vec<IpNet> = routes
            .iter()
            .filter(|range| !ranges.contains(range))
            .copied()
            .collect();
        let kept = ranges.clone();
        self.node
            .run(move || -> Result<(), Refused> {
                let device = Some(link::index_of(device::INTERFACE)?);
                let route = |range: &IpNet| Route {
                    device,
                    ..Route::new(*range)
                };
                for range in &gone {
                    link::remove_route(&route(range))?;
                }
                let requests: Vec<_> = kept.iter().map(|range| route(range).request()).collect();
                link::ensure(&requests)
            })
            .await
            .map_err(|source| Error::new("enter the node namespace", source))??;
        *routes = ranges;
        // A word to new ones at once: the first packet of a pod need not wait for the handshake.
        self.greet();
        Ok(())
    }

    /// Sends a word to every peer, so that each learns where we are now.
    pub fn greet(&self) {
        let peers = Arc::clone(&self.shared.peers.read());
        let mut buffer = [0; HANDSHAKE_BYTES];
        for peer in peers.all() {
            let mut tunnel = peer.tunnel.lock();
            if let TunnResult::WriteToNetwork(packet) = tunnel.encapsulate(&[], &mut buffer) {
                self.shared.send(peer, packet, None);
            }
        }
    }

    /// How long ago each peer's last handshake was; none: never, or too long ago to count.
    pub fn handshakes(&self) -> Vec<(Peer, Option<Duration>)> {
        let peers = Arc::clone(&self.shared.peers.read());
        let links = peers.all().map(|link| (link.peer.clone(), link.last_handshake()));
        links.collect()
    }

    /// Names of peers that UDP does not reach and that no stream is carried for.
    pub fn unreached(&self) -> Vec<String> {
        let peers = Arc::clone(&self.shared.peers.read());
        let links = peers
            .all()
            .filter(|link| link.is_unreached() && !link.carriers.any());
        links.map(|link| link.peer.name.clone()).collect()
    }

    /// Names of peers whose packets are carried by a stream now.
    pub fn carried(&self) -> Vec<String> {
        let peers = Arc::clone(&self.shared.peers.read());
        let links = peers.all().filter(|link| link.carriers.present().is_some());
        links.map(|link| link.peer.name.clone()).collect()
    }

    /// Has `stream` carry the packets of a peer until it ends, the peer goes, or, with `until_direct`, UDP gets through.
    pub async fn carry(
        &self,
        name: &str,
        stream: impl AsyncRead + AsyncWrite,
        until_direct: bool,
    ) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let link = shared.peers.read().by_name(name).cloned();
        let link = link.ok_or(io::ErrorKind::NotFound)?;
        let mut attached = Carriers::attach(&link);
        let mut buffer = [0; HANDSHAKE_BYTES];
        if let TunnResult::WriteToNetwork(packet) =
            link.tunnel.lock().format_handshake_initiation(&mut buffer, true)
        {
            shared.send(&link, packet, None);
        }
        let over = async {
            let mut looks = tokio::time::interval(Duration::from_secs(1));
            loop {
                looks.tick().await;
                let is_known = shared
                    .peers
                    .read()
                    .by_name(name)
                    .is_some_and(|now| Arc::ptr_eq(now, &link));
                if !is_known || until_direct && link.carriers.is_settled() {
                    return Ok(());
                }
            }
        };
        let mut plain = vec![0; 65_536];
        let mut merger = Merger::new(shared.device.room());
        let moving = attached.run(stream, |packet| {
            let peers = Arc::clone(&shared.peers.read());
            let mut emit = |frame: &mut [u8]| shared.emit(frame);
            shared.take(&peers, packet, None, &mut plain, &mut merger, &mut emit);
            merger.finish(&mut emit);
        });
        tokio::select! {
            ended = moving => ended,
            ended = over => ended,
        }
    }

    /// Sets the interface's MTU.
    pub async fn set_mtu(&self, mtu: u32) -> Result<(), Error> {
        let set = self
            .node
            .run(move || device::set_mtu(device::INTERFACE, mtu))
            .await;
        Ok(set.map_err(|source| Error::new("enter the node namespace", source))??)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        // Both threads see it: nobody reads the event.
        let _ = rustix::io::write(&self.shared.stop, &1_u64.to_ne_bytes());
    }
}

impl Shared {
    /// Waits until `fd` is readable; false: the tunnel ends.
    fn wait(&self, fd: &impl AsFd, timeout: Option<&Timespec>) -> bool {
        let mut fds = [
            PollFd::new(fd, PollFlags::IN),
            PollFd::new(&self.stop, PollFlags::IN),
        ];
        let _ = poll(&mut fds, timeout);
        fds[1].revents().is_empty()
    }

    /// From the device to the peers.
    fn outbound(&self) {
        let (mut buffer, mut scratch) = (Vec::new(), Vec::new());
        let mut batch = Batch::default();
        while self.wait(&self.device, None) {
            let peers = Arc::clone(&self.peers.read());
            for _ in 0..BURST {
                let (header, packet) = match self.device.read(&mut buffer) {
                    Ok(read) => read,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => {
                        warn!(%error, "read from the tunnel's interface");
                        std::thread::sleep(Duration::from_millis(100));
                        break;
                    }
                };
                let packet = &mut buffer[packet];
                let Some(peer) = offload::destination(packet).and_then(|to| peers.at(to)) else {
                    continue;
                };
                let (carrier, to) = (peer.carriers.present(), peer.endpoint());
                let mut tunnel = peer.tunnel.lock();
                offload::split(&header, packet, &mut scratch, |packet| {
                    let room = (packet.len() + WIREGUARD_BYTES).max(HANDSHAKE_BYTES);
                    if let Some(carrier) = &carrier {
                        let mut place = vec![0; room];
                        if let TunnResult::WriteToNetwork(sent) = tunnel.encapsulate(packet, &mut place) {
                            let _ = carrier.try_send(sent.to_vec());
                        }
                        return;
                    }
                    self.socket.add(&mut batch, to, room, |place| {
                        match tunnel.encapsulate(packet, place) {
                            TunnResult::WriteToNetwork(sent) => {
                                peer.sends(sent);
                                sent.len()
                            }
                            _ => 0,
                        }
                    });
                });
            }
            self.socket.send(&mut batch);
        }
    }

    /// From the peers to the device; the peers' timers too.
    fn inbound(&self) {
        let mut buffer = vec![0; 65_536];
        let mut plain = vec![0; 65_536];
        let mut merger = Merger::new(self.device.room());
        let mut looked_at = Instant::now();
        while self.wait(self.socket.inner(), Some(&TIMERS)) {
            let peers = Arc::clone(&self.peers.read());
            if looked_at.elapsed() >= Duration::from_millis(400) {
                looked_at = Instant::now();
                self.tick(&peers, &mut plain);
            }
            let mut emit = |frame: &mut [u8]| self.emit(frame);
            for _ in 0..BURST {
                // An error of an earlier packet (ICMP: nobody listens there) is none of this one's.
                let Ok((packets, from)) = self.socket.receive(&mut buffer) else {
                    break;
                };
                for packet in packets {
                    self.take(&peers, packet, Some(from), &mut plain, &mut merger, &mut emit);
                }
                merger.finish(&mut emit);
            }
        }
    }

    fn emit(&self, frame: &mut [u8]) {
        if let Err(error) = self.device.write(frame) {
            tracing::debug!(%error, "write to the tunnel's interface");
        }
    }

    /// Sends a packet to a peer: by its stream if it has one in use, else by UDP to `to` or where it was heard of last. Lost if
    /// there is no room.
    fn send(&self, peer: &Link, packet: &[u8], to: Option<SocketAddr>) {
        if let Some(carrier) = peer.carriers.present() {
            let _ = carrier.try_send(packet.to_vec());
            return;
        }
        peer.sends(packet);
        let to = to.unwrap_or_else(|| peer.endpoint());
        let _ = self.socket.inner().send_to(packet, to);
    }

    /// Takes one packet from the network, or without `from` from a stream.
    fn take(
        &self,
        peers: &Peers,
        packet: &[u8],
        from: Option<SocketAddr>,
        plain: &mut [u8],
        merger: &mut Merger,
        emit: &mut impl FnMut(&mut [u8]),
    ) {
        let Some(peer) = self.sender(peers, packet, from) else {
            return;
        };
        let heard = || {
            if let Some(from) = from {
                peer.heard_from(from);
            }
        };
        let mut deliver = |inner: &mut [u8], source: IpAddr| {
            heard();
            // A peer speaks for its own pods only.
            if peer.peer.range.contains(source) {
                merger.push(inner, emit);
            }
        };
        let mut tunnel = peer.tunnel.lock();
        match tunnel.decapsulate(from.map(|from| from.ip()), packet, plain) {
            TunnResult::WriteToNetwork(answer) => {
                if is_handshake(packet) {
                    heard();
                }
                self.send(peer, answer, from);
                self.send_waiting(peer, &mut tunnel, from, plain);
            }
            TunnResult::WriteToTunnelV4(inner, source) => deliver(inner, source.into()),
            TunnResult::WriteToTunnelV6(inner, source) => deliver(inner, source.into()),
            TunnResult::Done => heard(),
            TunnResult::Err(_) => {}
        }
    }

    /// Whose packet it is. For a handshake that takes some arithmetic, which strangers can't have us do without limit.
    fn sender<'p>(&self, peers: &'p Peers, packet: &[u8], from: Option<SocketAddr>) -> Option<&'p Arc<Link>> {
        let parsed = if is_handshake(packet) {
            let mut cookie = [0; HANDSHAKE_BYTES];
            match self
                .limiter
                .verify_packet(from.map(|from| from.ip()), packet, &mut cookie)
            {
                Ok(parsed) => parsed,
                Err(TunnResult::WriteToNetwork(cookie)) => {
                    if let Some(from) = from {
                        let _ = self.socket.inner().send_to(cookie, from);
                    }
                    return None;
                }
                Err(_) => return None,
            }
        } else {
            Tunn::parse_incoming_packet(packet).ok()?
        };
        match parsed {
            Packet::HandshakeInit(init) => {
                let half = parse_handshake_anon(&self.secret, &self.public, &init).ok()?;
                peers.by_key(&half.peer_static_public)
            }
            Packet::HandshakeResponse(response) => peers.by_receiver(response.receiver_idx),
            Packet::PacketCookieReply(reply) => peers.by_receiver(reply.receiver_idx),
            Packet::PacketData(data) => peers.by_receiver(data.receiver_idx),
        }
    }

    /// Packets that waited for the end of a handshake.
    fn send_waiting(&self, peer: &Link, tunnel: &mut Tunn, to: Option<SocketAddr>, buffer: &mut [u8]) {
        while let TunnResult::WriteToNetwork(packet) = tunnel.decapsulate(None, &[], buffer) {
            self.send(peer, packet, to);
        }
    }

    /// Handshakes that are due or have to be tried again, and words that keep a way open.
    fn tick(&self, peers: &Peers, buffer: &mut [u8]) {
        self.limiter.reset_count();
        for peer in peers.all() {
            let mut tunnel = peer.tunnel.lock();
            if let TunnResult::WriteToNetwork(packet) = tunnel.update_timers(buffer) {
                self.send(peer, packet, None);
            }
            // Only within a session: a handshake goes one way at a time.
            if peer.carriers.is_probe_due()
                && tunnel.stats().0.is_some()
                && let TunnResult::WriteToNetwork(packet) = tunnel.encapsulate(&[], buffer)
            {
                let _ = self.socket.inner().send_to(packet, peer.endpoint());
            }
        }
    }
}

/// The first byte is the type: 1 and 2 are a handshake's two messages.
fn is_handshake(packet: &[u8]) -> bool {
    matches!(packet.first(), Some(1 | 2))
}

/// What is known of the way to `to`: our address on it, and its MTU. To be called in the host namespace; sends nothing.
pub(crate) fn path(to: Ipv4Addr) -> io::Result<(Ipv4Addr, u32)> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((to, 9))?;
    let SocketAddr::V4(own) = socket.local_addr()? else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    Ok((*own.ip(), skiff_sys::net::path_mtu(socket.as_fd())?))
}
