//! Service addresses translated by the kernel, in the node namespace: destination NAT to pods of this node, in turns that the
//! proxy decides ([`skiff_netns_proxy::Translator`]). Not one packet of such a connection passes through this process.
//!
//! The table, for one front `F` (a 32-bit number, also the mark of its connections) with two backends and one turn for the
//! proxy:
//!
//! ```text
//! prerouting (dstnat)   from pods: protocol . address . port  ─map fronts─►  turns-F
//! turns-F               1 of 3 ► to-F-A     1 of the other 2 ► to-F-B     else: not translated, to the proxy's listener
//! to-F-A                from A itself: not translated     count, mark the connection F, translate to A
//! forward               mark of the connection  ─map connections─►  count-F
//! count-F               if nobody has answered yet: fails-F, which shows us what failed (`log`)    count bytes of either way
//! ```
//!
//! A backend that refuses a connection answers with a reset. Unless the backend is the only one, that does not reach the client: we see
//! it, the proxy takes the backend's turns away, and the connection begins anew (`packet`). So does one that got no answer for a
//! second. When the agent ends, all of it stays: connections go on, and new ones get the last turns.

mod conntrack;
mod log;
mod packet;
mod table;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::{IpAddr, SocketAddrV4},
    sync::Arc,
};

use async_trait::async_trait;
use ipnet::Ipv4Net;
use skiff_netns_proxy::{Counts, Failure, Front, Protocol, Translator, Trouble, Turns, netns::Namespace};
use socket2::{Domain, Socket, Type};
use tokio::sync::Mutex;
use tracing::debug;

use crate::{
    Pods,
    netlink::Refused,
    policy::{self, Flow},
};
use log::{Log, Seen};
use table::{Counted, changes, group, number, set_up, without};

/// Bytes of headers that the kernel counts and the proxy does not: of IP and TCP with timestamps, or UDP.
const TCP_HEADERS: u64 = 52;
const UDP_HEADERS: u64 = 28;

/// A front that is translated.
#[derive(Clone, Default)]
struct Translated {
    turns: Turns,
    /// Connections of backends that have no turns any more.
    earlier: u64,
}

/// Has the kernel of the node namespace translate service addresses.
pub struct Translation {
    node: Arc<Namespace>,
    pods: Ipv4Net,
    rules: policy::Shared,
    log: Log,
    /// Where connections begin anew.
    clients: Pods,
    fronts: Mutex<BTreeMap<u32, (Front, Translated)>>,
}

impl Translation {
    /// Puts an empty table in place of an earlier agent's.
    ///
    /// # Errors
    /// What the kernel refused or lacks.
    pub(crate) async fn start(
        node: &Arc<Namespace>,
        pods: Ipv4Net,
        rules: &policy::Shared,
        clients: Pods,
    ) -> Result<Self, Refused> {
        let entered = Refused::of("enter the node namespace");
        let made = node.run(move || -> Result<_, Refused> {
            set_up(pods)?;
            Log::open(&group::ALL)
        });
        let log = made.await.map_err(entered)??;
        Ok(Self {
            node: Arc::clone(node),
            pods,
            rules: Arc::clone(rules),
            log: log.watched().map_err(Refused::of("watch logged packets"))?,
            clients,
            fronts: Mutex::default(),
        })
    }

    async fn in_node<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        self.node.run(work).await?
    }

    /// What a packet tells; none for one that tells nothing.
    async fn understand(&self, seen: Seen) -> Option<Failure> {
        let packet::Ends { client, backend } = packet::ends(&seen.bytes)?;
        let (trouble, waits) = match seen.group {
            group::SWALLOWED => (Trouble::Refused, true),
            group::REFUSED => (Trouble::Refused, false),
            // A policy has dropped the first one, and drops this one.
            group::SILENT if !self.allows(client, backend) => return None,
            group::SILENT => (Trouble::Silent, true),
            _ => (Trouble::Reset, false),
        };
        let front = self.fronts.lock().await.get(&seen.mark)?.0;
        if front.protocol == Protocol::Udp {
            // The client was told, and its next packet shall find another backend.
            self.forget(front, client).await;
        }
        Some(Failure {
            front,
            backend,
            trouble,
            waits,
            packet: seen.bytes,
        })
    }

    async fn forget(&self, front: Front, client: SocketAddrV4) {
        let forgotten = self.in_node(move || conntrack::forget_one(front, client));
        if let Err(error) = forgotten.await {
            debug!(%error, "forget a connection");
        }
    }

    fn allows(&self, client: SocketAddrV4, backend: SocketAddrV4) -> bool {
        let flow = Flow {
            from: (*client.ip()).into(),
            to: (*backend.ip()).into(),
            protocol: libc::IPPROTO_TCP as u8,
            port: backend.port(),
        };
        policy::allows(&self.rules.read(), flow)
    }
}

#[async_trait]
impl Translator for Translation {
    fn reaches(&self, backend: IpAddr) -> bool {
        matches!(backend, IpAddr::V4(backend) if self.pods.contains(&backend))
    }

    async fn set(&self, front: Front, turns: &Turns) -> io::Result<()> {
        let mut fronts = self.fronts.lock().await;
        let number = number(front);
        let before = match fronts.get(&number) {
            // One in four thousand million pairs.
            Some((known, _)) if *known != front => {
                return Err(io::Error::other("another service has the same number"));
            }
            Some((_, translated)) => translated.clone(),
            None => Translated::default(),
        };
        let gone = without(&before.turns.backends, &turns.backends);
        let changes = changes(number, front, &before.turns, turns);
        let is_udp = front.protocol == Protocol::Udp;
        let made = self.in_node(move || {
            // What goes takes its counts along.
            let counted = (!gone.is_empty()).then(Counted::read).transpose()?;
            changes.commit().map_err(|refused| {
                debug!(what = refused.what, "the kernel refused");
                refused.source
            })?;
            if is_udp && !gone.is_empty() {
                // There is no end of a connection to wait for.
                conntrack::forget(|entry| entry.mark == number && gone.contains(&entry.backend))?;
            }
            let given = counted
                .iter()
                .flat_map(|counted| gone.iter().map(|backend| counted.connections(number, *backend)));
            Ok(given.sum::<u64>())
        });
        let earlier = before.earlier + made.await?;
        if turns.backends.is_empty() {
            fronts.remove(&number);
        } else {
            let turns = turns.clone();
            fronts.insert(number, (front, Translated { turns, earlier }));
        }
        Ok(())
    }

    async fn failure(&self) -> io::Result<Failure> {
        loop {
            if let Some(failure) = self.understand(self.log.next().await?).await {
                return Ok(failure);
            }
        }
    }

    async fn again(&self, failure: Failure) {
        let Some(packet::Ends { client, .. }) = packet::ends(&failure.packet) else {
            return;
        };
        let front = failure.front;
        let first = match failure.trouble {
            Trouble::Silent => {
                self.forget(front, client).await;
                packet::redirected(&failure.packet, front.address)
            }
            Trouble::Refused | Trouble::Reset => packet::first(&failure.packet, front.address),
        };
        // From the client's own namespace, as its first packet came.
        let pod = self.clients.read().get(client.ip()).cloned();
        let (Some(first), Some(pod)) = (first, pod) else {
            return;
        };
        let sent = pod.run(move || send(&first, front.address)).await;
        if let Err(error) = sent.and_then(|sent| sent) {
            // The client's own next try will do it.
            debug!(%error, "begin a connection anew");
        }
    }

    async fn counts(&self) -> io::Result<HashMap<Front, Counts>> {
        let (counted, entries) = self
            .in_node(|| Ok((Counted::read()?, conntrack::open()?)))
            .await?;
        let mut counts: HashMap<Front, Counts> = HashMap::new();
        let fronts = self.fronts.lock().await;
        for (number, (front, translated)) in fronts.iter() {
            let headers = match front.protocol {
                Protocol::Tcp => TCP_HEADERS,
                Protocol::Udp => UDP_HEADERS,
            };
            let [received, sent] = counted.data(*number, headers);
            let given: HashMap<_, _> = translated
                .turns
                .backends
                .iter()
                .map(|backend| (*backend, counted.connections(*number, *backend)))
                .collect();
            let connections = translated.earlier + given.values().sum::<u64>();
            let entry = Counts {
                received,
                sent,
                connections,
                given,
                in_flight: HashMap::new(),
            };
            counts.insert(*front, entry);
        }
        for entry in entries {
            let front = fronts.get(&entry.mark).map(|(front, _)| front);
            if let Some(counts) = front.and_then(|front| counts.get_mut(front)) {
                *counts.in_flight.entry(entry.backend).or_default() += 1;
            }
        }
        Ok(counts)
    }
}

/// Sends an IP packet in the calling thread's namespace.
fn send(packet: &[u8], to: SocketAddrV4) -> io::Result<()> {
    let protocol = socket2::Protocol::from(libc::IPPROTO_RAW);
    let socket = Socket::new(Domain::IPV4, Type::RAW.nonblocking(), Some(protocol))?;
    socket.send_to(packet, &to.into()).map(drop)
}
