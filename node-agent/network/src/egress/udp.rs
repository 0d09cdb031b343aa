//! Outbound UDP: the first datagram of a flow comes to the transparent listener; then the flow has two connected
//! sockets, one in the node namespace that speaks as the far address to the pod, one in the host namespace.

use std::{
    collections::HashMap,
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::AsRawFd,
    sync::Arc,
    time::Duration,
};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use parking_lot::Mutex;
use skiff_netns_proxy::{netns::Namespace, udp::readable};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::{
    io::Interest,
    net::UdpSocket,
    time::{Instant, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use super::{Inside, set_transparent};
use crate::{nftables::Family, policy};

/// Idle time after which a flow ends: as long as connection tracking keeps one that is answered (RFC 4787 wants two
/// minutes), and shorter for name lookups, which make a flow each.
const IDLE: Duration = Duration::from_secs(120);
const IDLE_LOOKUP: Duration = Duration::from_secs(10);

/// Flows at once; each costs two descriptors. Datagrams of further ones are lost.
const MOST_FLOWS: usize = 4096;
/// Of which one pod has at most these, so that a flood from it leaves room for others.
const MOST_FLOWS_OF_A_POD: usize = 1024;

const LARGEST: usize = 64 * 1024;

/// A pod's socket and the far address it speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    pod: SocketAddr,
    far: SocketAddr,
}

struct Flow {
    to_world: Arc<UdpSocket>,
    _task: AbortOnDropHandle<()>,
}

type Flows = Arc<Mutex<HashMap<Key, Flow>>>;

/// Listens in `node` for flows of a family and carries every one on from `host`; returns the port that packets have to be given to.
pub(crate) async fn start(
    family: Family,
    node: &Arc<Namespace>,
    host: &Arc<Namespace>,
    inside: Inside,
    rules: &policy::Shared,
) -> io::Result<(u16, AbortOnDropHandle<()>)> {
    let listener = node
        .run(move || {
            let socket = transparent(SocketAddr::new(family.loopback(), 0))?;
            match family {
                Family::V4 => setsockopt(&socket, sockopt::Ipv4OrigDstAddr, &true)?,
                Family::V6 => setsockopt(&socket, sockopt::Ipv6OrigDstAddr, &true)?,
            }
            io::Result::Ok(std::net::UdpSocket::from(socket))
        })
        .await??;
    let port = listener.local_addr()?.port();
    let listener = UdpSocket::from_std(listener)?;
    let (node, host, rules) = (Arc::clone(node), Arc::clone(host), Arc::clone(rules));
    let task = tokio::spawn(async move {
        let flows = Flows::default();
        let mut buffer = vec![0; LARGEST];
        loop {
            match receive(&listener, &mut buffer).await {
                Ok((length, key)) if inside.may_leave(key.far.ip()) => {
                    let data = &buffer[..length];
                    // Sent before the flow's own socket was there to take it.
                    let known = flows
                        .lock()
                        .get(&key)
                        .map(|flow| SockRef::from(&*flow.to_world).send(data));
                    if known.is_none()
                        && policy::may_leave(&rules, key.pod, key.far, libc::IPPROTO_UDP)
                        && let Err(error) = begin(&node, &host, &flows, key, data).await
                    {
                        debug!(?key, %error, "outbound UDP flow not begun");
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    debug!(%error, "outbound UDP listener");
                    tokio::task::yield_now().await;
                }
            }
        }
    });
    Ok((port, AbortOnDropHandle::new(task)))
}

fn transparent(bind: SocketAddr) -> io::Result<Socket> {
    let kind = Type::DGRAM.nonblocking();
    let socket = Socket::new(Domain::for_address(bind), kind, Some(Protocol::UDP))?;
    set_transparent(&socket, bind)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(bind))?;
    Ok(socket)
}

/// A datagram with the address its sender meant.
async fn receive(listener: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, Key)> {
    listener
        .async_io(Interest::READABLE, || {
            let mut slices = [IoSliceMut::new(buffer)];
            let mut control = nix::cmsg_space!(libc::sockaddr_in6);
            let received = recvmsg::<SockaddrStorage>(
                listener.as_raw_fd(),
                &mut slices,
                Some(&mut control),
                MsgFlags::MSG_DONTWAIT,
            )?;
            let pod = received.address.as_ref().and_then(plain);
            let pod = pod.ok_or(io::ErrorKind::InvalidData)?;
            let far = received.cmsgs()?.find_map(|message| match message {
                ControlMessageOwned::Ipv4OrigDstAddr(far) => Some(SocketAddr::new(
                    std::net::Ipv4Addr::from(u32::from_be(far.sin_addr.s_addr)).into(),
                    u16::from_be(far.sin_port),
                )),
                ControlMessageOwned::Ipv6OrigDstAddr(far) => Some(SocketAddr::new(
                    std::net::Ipv6Addr::from(far.sin6_addr.s6_addr).into(),
                    u16::from_be(far.sin6_port),
                )),
                _ => None,
            });
            let far = far.ok_or(io::ErrorKind::InvalidData)?;
            Ok((received.bytes, Key { pod, far }))
        })
        .await
}

fn plain(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address
        .as_sockaddr_in()
        .map(|from| SocketAddrV4::from(*from).into());
    v4.or_else(|| Some(SocketAddrV6::from(*address.as_sockaddr_in6()?).into()))
}

/// Whether a pod may begin another flow. Counted anew each time: a flow costs two sockets, next to which this is nothing.
fn has_room(flows: &HashMap<Key, Flow>, pod: IpAddr) -> bool {
    let own = flows.keys().filter(|key| key.pod.ip() == pod).count();
    flows.len() < MOST_FLOWS && own < MOST_FLOWS_OF_A_POD
}

async fn begin(
    node: &Arc<Namespace>,
    host: &Namespace,
    flows: &Flows,
    key: Key,
    data: &[u8],
) -> io::Result<()> {
    if !has_room(&flows.lock(), key.pod.ip()) {
        return Err(io::Error::other("too many flows"));
    }
    let world = host
        .udp_socket((Family::of(key.far.ip()).unspecified(), 0).into())
        .await?;
    world.connect(key.far)?;
    let to_world = Arc::new(UdpSocket::from_std(world)?);
    SockRef::from(&*to_world).send(data)?;
    // From here on the pod's datagrams come to this socket: it matches them better than the listener does.
    let pod = node
        .run(move || {
            let socket = transparent(key.far)?;
            socket.connect(&SockAddr::from(key.pod))?;
            io::Result::Ok(std::net::UdpSocket::from(socket))
        })
        .await??;
    let pod = UdpSocket::from_std(pod)?;
    let world = Arc::clone(&to_world);
    let table = Arc::clone(flows);
    let mut flows = flows.lock();
    let task = AbortOnDropHandle::new(tokio::spawn(async move {
        let outcome = carry(&pod, &world, key).await;
        debug!(?key, ?outcome, "outbound UDP flow ended");
        table.lock().remove(&key);
    }));
    flows.insert(
        key,
        Flow {
            to_world,
            _task: task,
        },
    );
    Ok(())
}

/// Carries datagrams both ways until nothing came for a while, or the far side says that nobody listens.
async fn carry(pod: &UdpSocket, world: &UdpSocket, key: Key) -> io::Result<()> {
    let idle = if key.far.port() == 53 { IDLE_LOOKUP } else { IDLE };
    loop {
        let deadline = Instant::now() + idle;
        let either = async {
            tokio::select! {
                ready = readable(pod) => ready.map(|()| (pod, world)),
                ready = readable(world) => ready.map(|()| (world, pod)),
            }
        };
        let Ok(ready) = timeout_at(deadline, either).await else {
            return Ok(());
        };
        let (from, to) = ready?;
        let moved = skiff_netns_proxy::relay::with_scratch(|scratch| {
            let length = from.try_recv(scratch)?;
            // Straight to the kernel: tokio's `try_send` also says "would block" before the socket's first event came.
            match SockRef::from(to).send(&scratch[..length]) {
                // No room: lost, as on any wire.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
                other => other.map(drop),
            }
        });
        match moved {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => tokio::task::consume_budget().await,
        }
    }
}
