//! UDP: a flow per client, each with a socket connected to its backend.
//!
//! Flows end after `IDLE` without a datagram in either direction, when their backend leaves the service, or when the
//! backend's host says that nobody listens there; the client's next datagram then begins a new one.

use std::{
    collections::HashMap,
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::AsRawFd,
    sync::Arc,
    time::{Duration, Instant as Clock},
};

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrLike, SockaddrStorage,
    recvmsg, sendmsg, setsockopt, sockopt,
};
use parking_lot::Mutex;
use socket2::SockRef;
use tokio::{
    io::Interest,
    net::UdpSocket,
    time::{Instant, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use crate::{
    balance::Asking,
    metrics::add,
    netns::Namespace,
    port::{Held, Shared},
    pump::with_scratch,
};

/// How long a flow lives without a datagram in either direction.
pub(crate) const IDLE: Duration = Duration::from_secs(60);

/// Flows per listener: each costs a descriptor. Further clients get no answer until flows have ended.
const MOST_FLOWS: usize = 8192;

/// Of these, for one client address: a flood from many ports of one pod leaves room for the others.
const MOST_FLOWS_OF_A_CLIENT: usize = 1024;

/// Datagrams taken in one go before other tasks of the thread get their turn.
const TURNS: usize = 64;

/// A listening UDP socket that answers from the address it was asked on.
pub(crate) struct ServiceSocket {
    socket: UdpSocket,
    /// Bound to all addresses: the address asked comes with each datagram.
    wildcard: bool,
    /// At a cluster address.
    pub inside: bool,
}

/// Listens on `address` in `namespace`; `foreign`: it need not have that address yet.
pub(crate) async fn listen(
    namespace: &Namespace,
    address: SocketAddr,
    foreign: bool,
) -> io::Result<ServiceSocket> {
    let socket = UdpSocket::from_std(namespace.udp(address, foreign).await?)?;
    let wildcard = address.ip().is_unspecified();
    match address {
        SocketAddr::V4(_) if wildcard => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
        SocketAddr::V6(_) if wildcard => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        _ => {}
    }
    Ok(ServiceSocket {
        socket,
        wildcard,
        inside: false,
    })
}

/// Who asked, and on which address if the socket has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    client: SocketAddr,
    asked: Option<IpAddr>,
}

impl ServiceSocket {
    fn try_recv(&self, buffer: &mut [u8]) -> io::Result<(usize, Key)> {
        if !self.wildcard {
            let (length, client) = self.socket.try_recv_from(buffer)?;
            return Ok((length, Key { client, asked: None }));
        }
        self.socket.try_io(Interest::READABLE, || {
            let mut slices = [IoSliceMut::new(buffer)];
            let mut control = nix::cmsg_space!(libc::in6_pktinfo);
            let received = recvmsg::<SockaddrStorage>(
                self.socket.as_raw_fd(),
                &mut slices,
                Some(&mut control),
                MsgFlags::MSG_DONTWAIT,
            )?;
            let client = received.address.as_ref().and_then(plain);
            let client = client.ok_or(io::ErrorKind::InvalidData)?;
            let asked = received.cmsgs()?.find_map(|message| match message {
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    Some(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into())
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into())
                }
                _ => None,
            });
            Ok((received.bytes, Key { client, asked }))
        })
    }

    fn send_from(&self, from: ControlMessage<'_>, to: &impl SockaddrLike, data: &[u8]) -> io::Result<()> {
        let (socket, data) = (self.socket.as_raw_fd(), [IoSlice::new(data)]);
        sendmsg(socket, &data, &[from], MsgFlags::MSG_DONTWAIT, Some(to))?;
        Ok(())
    }

    /// Sends `data` to the client. A datagram that does not fit into the socket's buffer is lost, as on any wire.
    ///
    /// Straight to the kernel: tokio's own `try_send` also says "would block" before the socket's first event came.
    fn answer(&self, key: &Key, data: &[u8]) -> io::Result<()> {
        match (key.asked, key.client) {
            (Some(IpAddr::V4(asked)), SocketAddr::V4(client)) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr {
                        s_addr: u32::from(asked).to_be(),
                    },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                let from = ControlMessage::Ipv4PacketInfo(&info);
                self.send_from(from, &SockaddrIn::from(client), data)
            }
            (Some(IpAddr::V6(asked)), SocketAddr::V6(client)) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: asked.octets(),
                    },
                    ipi6_ifindex: 0,
                };
                let from = ControlMessage::Ipv6PacketInfo(&info);
                self.send_from(from, &SockaddrIn6::from(client), data)
            }
            _ => SockRef::from(&self.socket)
                .send_to(data, &key.client.into())
                .map(drop),
        }
    }
}

fn plain(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address
        .as_sockaddr_in()
        .map(|from| SocketAddrV4::from(*from).into());
    v4.or_else(|| Some(SocketAddrV6::from(*address.as_sockaddr_in6()?).into()))
}

/// Waits until a connected socket has a datagram.
///
/// tokio's `readable` sleeps through ICMP errors, which come as EPOLLERR alone.
///
/// # Errors
/// `ConnectionRefused` and the like: what ICMP said about an earlier datagram.
pub async fn readable(socket: &UdpSocket) -> io::Result<()> {
    loop {
        let ready = socket.ready(Interest::READABLE | Interest::ERROR).await?;
        if ready.is_error() {
            // "Would block" makes tokio forget the event, unless another one has come since.
            let error = socket.try_io(Interest::ERROR, || {
                socket
                    .take_error()?
                    .ok_or_else(|| io::ErrorKind::WouldBlock.into())
            });
            match error {
                Ok(error) => return Err(error),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if ready.is_readable() {
            return Ok(());
        }
    }
}

struct Flow {
    backend: SocketAddr,
    to_backend: Arc<UdpSocket>,
    used: Arc<Mutex<Instant>>,
    answers: AbortOnDropHandle<()>,
}

/// Flows by client, and how many each client address has.
#[derive(Default)]
struct Table {
    flows: HashMap<Key, Flow>,
    of_clients: HashMap<IpAddr, usize>,
}

impl Table {
    /// Whether the client may begin another one.
    fn has_room(&self, key: &Key) -> bool {
        let own = self.of_clients.get(&key.client.ip()).copied().unwrap_or(0);
        self.flows.len() < MOST_FLOWS && own < MOST_FLOWS_OF_A_CLIENT
    }

    fn insert(&mut self, key: Key, flow: Flow) {
        if self.flows.insert(key, flow).is_none() {
            *self.of_clients.entry(key.client.ip()).or_default() += 1;
        }
    }

    fn remove(&mut self, key: &Key) {
        if self.flows.remove(key).is_some() {
            self.uncount(key);
        }
    }

    fn uncount(&mut self, key: &Key) {
        if let Some(count) = self.of_clients.get_mut(&key.client.ip()) {
            *count -= 1;
            if *count == 0 {
                self.of_clients.remove(&key.client.ip());
            }
        }
    }
}

/// The flows of one listener.
#[derive(Default)]
pub(crate) struct Flows(Mutex<Table>);

impl Flows {
    /// Ends the flows whose backend is not kept.
    pub fn retain(&self, keep: impl Fn(SocketAddr) -> bool) {
        let mut table = self.0.lock();
        let gone: Vec<Key> = table
            .flows
            .iter()
            .filter(|(_, flow)| !keep(flow.backend))
            .map(|(key, _)| *key)
            .collect();
        for key in gone {
            table.remove(&key);
        }
    }

    /// Ends all flows; when this returns, none of them holds the listener's socket any more.
    pub async fn close(&self) {
        let table = std::mem::take(&mut *self.0.lock());
        for (_, flow) in table.flows {
            flow.answers.abort();
            let _ = flow.answers.await;
        }
    }
}

enum Received {
    /// Given to its flow, or lost.
    Done,
    /// The first of its flow.
    First(Key, Box<[u8]>),
    /// No more for now.
    Nothing,
}

/// Serves a listener for ever.
pub(crate) async fn serve(port: Arc<Shared>, socket: ServiceSocket, flows: Arc<Flows>) {
    let socket = Arc::new(socket);
    loop {
        if let Err(error) = socket.socket.readable().await {
            debug!(service = %port.service, %error, "UDP listener broke");
            return;
        }
        for _ in 0..TURNS {
            match receive(&port, &socket, &flows) {
                Received::Done => {}
                Received::Nothing => break,
                Received::First(key, data) => begin(&port, &socket, &flows, key, &data).await,
            }
        }
        tokio::task::consume_budget().await;
    }
}

fn receive(port: &Arc<Shared>, socket: &ServiceSocket, flows: &Flows) -> Received {
    with_scratch(|scratch| {
        let (length, key) = match socket.try_recv(scratch) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Received::Nothing,
            // An ICMP error about an earlier answer.
            Err(_) => return Received::Done,
        };
        add(&port.metrics.received, length as u64);
        let mut table = flows.0.lock();
        if let Some(flow) = table.flows.get(&key) {
            *flow.used.lock() = Instant::now();
            match SockRef::from(&*flow.to_backend).send(&scratch[..length]) {
                // The previous datagram was refused (ICMP); this one was not sent yet, and goes to another backend.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    port.failed(flow.backend);
                    table.remove(&key);
                }
                _ => return Received::Done,
            }
        }
        if table.has_room(&key) {
            return Received::First(key, scratch[..length].into());
        }
        add(&port.metrics.failures, 1);
        Received::Done
    })
}

/// Begins a flow with its first datagram.
async fn begin(port: &Arc<Shared>, socket: &Arc<ServiceSocket>, flows: &Arc<Flows>, key: Key, data: &[u8]) {
    let asking = Asking {
        client: key.client.ip().to_canonical(),
        inside: socket.inside,
    };
    let picked = port
        .balancer
        .lock()
        .pick(asking, &[], Clock::now(), &mut rand::rng());
    let Some(load) = picked else { return };
    let backend = load.address;
    // Owns the count from here on, also of a flow that may not be.
    let held = Held::new(port, load);
    if !port.dialer.allows(crate::Protocol::Udp, key.client, backend) {
        return;
    }
    add(&port.metrics.connections, 1);
    let to_backend = match connect(port, backend).await {
        Ok(socket) => Arc::new(socket),
        Err(error) => {
            debug!(service = %port.service, %backend, %error, "no UDP socket for a backend");
            add(&port.metrics.failures, 1);
            port.failed(backend);
            return;
        }
    };
    let _ = SockRef::from(&*to_backend).send(data);
    let used = Arc::new(Mutex::new(Instant::now()));
    let task = AbortOnDropHandle::new(tokio::spawn(answers(
        Arc::clone(socket),
        Arc::clone(&to_backend),
        Arc::clone(&used),
        key,
        held,
        Arc::clone(port),
        Arc::clone(flows),
    )));
    let mut flows = flows.0.lock();
    // The backend may have left while its socket was made; `Flows::retain` came too early to see this flow.
    if port.balancer.lock().contains(backend) {
        flows.insert(
            key,
            Flow {
                backend,
                to_backend,
                used,
                answers: task,
            },
        );
    }
}

async fn connect(port: &Shared, backend: SocketAddr) -> io::Result<UdpSocket> {
    let any = match backend.ip() {
        IpAddr::V4(_) => SocketAddr::from(([0_u8; 4], 0)),
        IpAddr::V6(_) => SocketAddr::from(([0_u16; 8], 0)),
    };
    let socket = port.dialer.namespace(backend.ip()).udp_socket(any).await?;
    socket.connect(backend)?;
    UdpSocket::from_std(socket)
}

/// Carries the backend's datagrams to the client until the flow ends; then takes the flow out of the table.
async fn answers(
    socket: Arc<ServiceSocket>,
    from_backend: Arc<UdpSocket>,
    used: Arc<Mutex<Instant>>,
    key: Key,
    held: Held,
    port: Arc<Shared>,
    flows: Arc<Flows>,
) {
    loop {
        let deadline = *used.lock() + IDLE;
        match timeout_at(deadline, readable(&from_backend)).await {
            Ok(Ok(())) => {}
            // Nobody listens there (ICMP).
            Ok(Err(error)) => {
                debug!(service = %port.service, backend = %held.load.address, %error, "UDP backend refused");
                port.failed(held.load.address);
                break;
            }
            Err(_) if *used.lock() + IDLE > Instant::now() => continue,
            Err(_) => break,
        }
        let received = with_scratch(|scratch| {
            let length = from_backend.try_recv(scratch)?;
            add(&port.metrics.sent, length as u64);
            if held.load.has_failed() {
                port.succeeded(&held.load);
            }
            let _ = socket.answer(&key, &scratch[..length]);
            io::Result::Ok(())
        });
        match received {
            Ok(()) => *used.lock() = Instant::now(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Looked at by `readable`.
            Err(_) => {}
        }
        tokio::task::consume_budget().await;
    }
    let mut table = flows.0.lock();
    if table
        .flows
        .get(&key)
        .is_some_and(|flow| Arc::ptr_eq(&flow.to_backend, &from_backend))
    {
        table.remove(&key);
    }
}
