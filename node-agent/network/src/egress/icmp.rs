//! Outbound ICMP echo (`ping`): what is neither for the cluster nor taken over as TCP or UDP is routed to an interface of ours,
//! and echo requests go on from ping sockets of the host (icmp(7)).
//!
//! A ping socket chooses the identifier itself, so every pod, identifier and far address has a socket of its own, and answers
//! get back the identifier that the pod knows.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use skiff_netns_proxy::netns::Namespace;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{io::unix::AsyncFd, net::UdpSocket, time::timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use super::Inside;
use crate::{
    Error,
    link::{self, Route},
    netlink::Refused,
    nftables::Family,
    policy,
    tunnel::{
        device::Device,
        offload::{self, Header},
    },
};

/// The interface that everything else is routed to.
const INTERFACE: &str = "world";
/// Larger than any echo request that a pod's interface lets out whole.
const MTU: u32 = 1500;
/// Less than any other route.
const METRIC: u32 = u32::MAX - 2;

const ICMP_HEADER: usize = 8;

/// The numbers of a family's ICMP.
struct Numbers {
    protocol: u8,
    echo_reply: u8,
    echo_request: u8,
    /// Length of an IP header without options.
    ip_header: usize,
}

fn numbers(family: Family) -> Numbers {
    match family {
        Family::V4 => Numbers {
            protocol: libc::IPPROTO_ICMP as u8,
            echo_reply: 0,
            echo_request: 8,
            ip_header: 20,
        },
        Family::V6 => Numbers {
            protocol: libc::IPPROTO_ICMPV6 as u8,
            echo_reply: 129,
            echo_request: 128,
            ip_header: 40,
        },
    }
}

/// How long a socket waits for another answer.
const IDLE: Duration = Duration::from_secs(15);
/// Sockets at once. Requests of further pods are lost.
const MOST_FLOWS: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    pod: IpAddr,
    far: IpAddr,
    identifier: [u8; 2],
}

impl Key {
    fn family(&self) -> Family {
        Family::of(self.far)
    }
}

/// The key of an echo request, and its ICMP message.
fn request(packet: &[u8]) -> Option<(Key, &[u8])> {
    let (pod, far, protocol, message) = match packet.first()? >> 4 {
        4 => {
            let length = offload::ip_header(packet)?;
            let is_whole = packet[6] & 0x3f == 0 && packet[7] == 0;
            let address = |at: usize| Some(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?));
            let message = packet.get(length..).filter(|_| is_whole)?;
            (address(12)?.into(), address(16)?.into(), packet[9], message)
        }
        6 => {
            let address = |at: usize| Some(Ipv6Addr::from(*packet.get(at..)?.first_chunk::<16>()?));
            let message = packet.get(40..)?;
            (
                IpAddr::V6(address(8)?),
                IpAddr::V6(address(24)?),
                packet[6],
                message,
            )
        }
        _ => return None,
    };
    let numbers = numbers(Family::of(far));
    if protocol != numbers.protocol || message.len() < ICMP_HEADER || message[0] != numbers.echo_request {
        return None;
    }
    let identifier = [message[4], message[5]];
    Some((Key { pod, far, identifier }, message))
}

/// The packet that brings an answer to the pod, behind `room` bytes. None for anything but an answer.
fn reply(key: Key, answer: &[u8], room: usize) -> Option<Vec<u8>> {
    let numbers = numbers(key.family());
    if answer.len() < ICMP_HEADER || answer[0] != numbers.echo_reply {
        return None;
    }
    let mut frame = vec![0; room];
    match (key.far, key.pod) {
        (IpAddr::V4(far), IpAddr::V4(pod)) => {
            let length = u16::try_from(numbers.ip_header + answer.len()).ok()?;
            frame.extend_from_slice(&[0x45, 0]);
            frame.extend_from_slice(&length.to_be_bytes());
            frame.extend_from_slice(&[0, 0, 0, 0, 64, numbers.protocol, 0, 0]);
            frame.extend_from_slice(&far.octets());
            frame.extend_from_slice(&pod.octets());
            offload::finish_ip(&mut frame[room..], numbers.ip_header);
        }
        (IpAddr::V6(far), IpAddr::V6(pod)) => {
            let length = u16::try_from(answer.len()).ok()?;
            frame.extend_from_slice(&[0x60, 0, 0, 0]);
            frame.extend_from_slice(&length.to_be_bytes());
            frame.extend_from_slice(&[numbers.protocol, 64]);
            frame.extend_from_slice(&far.octets());
            frame.extend_from_slice(&pod.octets());
        }
        _ => return None,
    }
    // Only the newer ICMP sums up addresses, too.
    let pseudo = match key.family() {
        Family::V4 => 0,
        Family::V6 => offload::pseudo_sum(&frame[room..], numbers.protocol, answer.len()),
    };
    frame.extend_from_slice(answer);
    let message = &mut frame[room + numbers.ip_header..];
    message[4..6].copy_from_slice(&key.identifier);
    message[2..4].fill(0);
    let checksum = !offload::fold(offload::sum(pseudo, message));
    message[2..4].copy_from_slice(&checksum.to_ne_bytes());
    Some(frame)
}

type Flows = Arc<Mutex<HashMap<Key, (Arc<UdpSocket>, AbortOnDropHandle<()>)>>>;

/// What the task works with.
struct Carrier {
    device: AsyncFd<Device>,
    host: Arc<Namespace>,
    inside: Inside,
    rules: policy::Shared,
    flows: Flows,
    refused: AtomicBool,
}

/// Makes the interface in `node` and carries echo requests of these families on from `host`. What leads there: see [`lead`].
pub(crate) async fn start(
    families: &'static [Family],
    node: &Arc<Namespace>,
    host: &Arc<Namespace>,
    inside: Inside,
    rules: &policy::Shared,
) -> Result<AbortOnDropHandle<()>, Error> {
    let made = node.run(move || Device::open(INTERFACE, MTU, families));
    let at = |operation: &'static str| move |source| Error::new(operation, source);
    let device = made.await.map_err(at("enter the node namespace"))??;
    #[expect(
        deprecated,
        reason = "its successor is unsafe for types that may close early; this one does not"
    )]
    let device = AsyncFd::new(device).map_err(at("watch the interface for echo requests"))?;
    let carrier = Arc::new(Carrier {
        device,
        host: Arc::clone(host),
        inside,
        rules: Arc::clone(rules),
        flows: Flows::default(),
        refused: AtomicBool::new(false),
    });
    Ok(AbortOnDropHandle::new(tokio::spawn(carrier.run())))
}

/// Has everything else of a family routed to the interface, or nothing, in the calling thread's namespace.
pub(super) fn lead(family: Family, is_wanted: bool) -> Result<(), Refused> {
    let route = Route {
        device: Some(link::index_of(INTERFACE)?),
        metric: Some(METRIC),
        ..Route::new(family.everything())
    };
    if is_wanted {
        link::ensure(&[route.request()])
    } else {
        link::remove_route(&route)
    }
}

impl Carrier {
    async fn run(self: Arc<Self>) {
        let (mut buffer, mut scratch) = (Vec::new(), Vec::new());
        loop {
            let Ok(mut ready) = self.device.readable().await else {
                return;
            };
            let Ok(read) = ready.try_io(|device| device.get_ref().read(&mut buffer)) else {
                continue;
            };
            let Ok((header, packet)) = read else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let mut requests = Vec::new();
            offload::split(&header, &mut buffer[packet], &mut scratch, |packet| {
                requests.extend(request(packet).map(|(key, message)| (key, message.to_vec())));
            });
            for (key, message) in requests {
                if let Err(error) = self.send(key, &message).await {
                    debug!(?key, %error, "echo request not sent");
                }
            }
        }
    }

    async fn send(self: &Arc<Self>, key: Key, message: &[u8]) -> io::Result<()> {
        let far = SocketAddr::from((key.far, 0));
        let pod = SocketAddr::from((key.pod, 0));
        if !self.inside.may_leave(key.far)
            || !policy::may_leave(&self.rules, pod, far, numbers(key.family()).protocol.into())
        {
            return Ok(());
        }
        let known = self.flows.lock().get(&key).map(|(socket, _)| Arc::clone(socket));
        let socket = match known {
            Some(socket) => socket,
            None => self.begin(key).await?,
        };
        socket.send(message).await.map(drop)
    }

    async fn begin(self: &Arc<Self>, key: Key) -> io::Result<Arc<UdpSocket>> {
        if self.flows.lock().len() >= MOST_FLOWS {
            return Err(io::Error::other("too many flows"));
        }
        let made = self.host.run(move || {
            let kind = Type::DGRAM.nonblocking();
            let (domain, protocol) = match key.family() {
                Family::V4 => (Domain::IPV4, Protocol::ICMPV4),
                Family::V6 => (Domain::IPV6, Protocol::ICMPV6),
            };
            let socket = Socket::new(domain, kind, Some(protocol))?;
            socket.connect(&SocketAddr::new(key.far, 0).into())?;
            io::Result::Ok(StdSocket::from(socket))
        });
        let made = made.await?.inspect_err(|error| {
            if error.kind() == io::ErrorKind::PermissionDenied && !self.refused.swap(true, Ordering::Relaxed) {
                warn!("pods can't ping the world: sysctl net.ipv4.ping_group_range of the host leaves this user out");
            }
        })?;
        let socket = Arc::new(UdpSocket::from_std(made)?);
        let (carrier, answers) = (Arc::clone(self), Arc::clone(&socket));
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(Ok(length)) = timeout(IDLE, answers.recv(&mut buffer)).await {
                carrier.answer(key, &buffer[..length]);
            }
            carrier.flows.lock().remove(&key);
        });
        let flow = (Arc::clone(&socket), AbortOnDropHandle::new(task));
        self.flows.lock().insert(key, flow);
        Ok(socket)
    }

    fn answer(&self, key: Key, answer: &[u8]) {
        let device = self.device.get_ref();
        if let Some(mut frame) = reply(key, answer, device.room()) {
            if let Some(front) = frame.first_chunk_mut() {
                Header::default().write(front);
            }
            if let Err(error) = device.write(&mut frame) {
                debug!(?key, %error, "echo reply not delivered");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO_REPLY: u8 = 0;
    const ECHO_REQUEST: u8 = 8;
    const KEY: Key = Key {
        pod: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)),
        far: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        identifier: [0xab, 0xcd],
    };

    #[test]
    fn an_answer_comes_from_the_far_address_with_the_pods_own_identifier_and_sound_checksums() {
        let answer = [&[ECHO_REPLY, 0, 9, 9, 1, 2, 0, 7][..], b"payload"].concat();
        let frame = reply(KEY, &answer, 24).unwrap();
        let packet = &frame[24..];
        assert_eq!(offload::fold(offload::sum(0, &packet[..20])), 0xffff);
        assert_eq!(offload::fold(offload::sum(0, &packet[20..])), 0xffff);
        assert_eq!(packet[12..16], [192, 0, 2, 1]);
        assert_eq!(packet[16..20], [10, 0, 0, 2]);
        assert_eq!(packet[24..28], [0xab, 0xcd, 0, 7]);
        assert_eq!(reply(KEY, &[ECHO_REQUEST, 0, 0, 0, 0, 0, 0, 0], 24), None);
        assert_eq!(reply(KEY, &[ECHO_REPLY], 24), None);
    }

    #[test]
    fn an_answer_over_ipv6_has_a_sound_checksum_and_asks_back() {
        let (pod, far) = (
            Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2),
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
        );
        let key = Key {
            pod: pod.into(),
            far: far.into(),
            identifier: [0xab, 0xcd],
        };
        let mut packet = reply(key, &[129, 0, 9, 9, 1, 2, 0, 7, 42], 24)
            .unwrap()
            .split_off(24);
        let sum = offload::sum(offload::pseudo_sum(&packet, 58, 9), &packet[40..]);
        assert_eq!(offload::fold(sum), 0xffff);
        assert_eq!((packet.len(), &packet[44..48]), (49, &[0xab, 0xcd, 0, 7][..]));
        assert_eq!(request(&packet), None);
        packet[40] = 128;
        let (asked, message) = request(&packet).unwrap();
        assert_eq!((asked.pod, asked.far, message.len()), (key.far, key.pod, 9));
        assert_eq!(request(&packet[..45]), None);
    }

    #[test]
    fn only_whole_echo_requests_are_taken() {
        let answer = [ECHO_REPLY, 0, 0, 0, 0, 0, 0, 1];
        let mut packet = reply(KEY, &answer, 0).unwrap();
        assert_eq!(request(&packet), None);
        packet[20] = ECHO_REQUEST;
        let (key, message) = request(&packet).unwrap();
        assert_eq!((key.pod, key.far), (KEY.far, KEY.pod));
        assert_eq!((key.identifier, message.len()), (KEY.identifier, 8));
        let mut fragment = packet.clone();
        fragment[6] = 0x20;
        assert_eq!(request(&fragment), None);
        packet[9] = 6;
        assert_eq!(request(&packet), None);
        assert_eq!(request(&packet[..10]), None);
    }
}
