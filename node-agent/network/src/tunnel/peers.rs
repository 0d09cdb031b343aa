//! Who is at the other ends: which addresses are behind which key, and where it was heard of last.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use boringtun::{
    noise::Tunn,
    x25519::{PublicKey, StaticSecret},
};
use parking_lot::Mutex;

use super::carrier::Carriers;
use crate::DualRange;

/// Sent to every peer this often when there is nothing else to send: keeps the mappings of address translators, and what
/// the peers know of our address.
const KEEPALIVE_SECONDS: u16 = 25;

/// Type of a packet that asks for a handshake.
const HANDSHAKE: u8 = 1;
/// A handshake without an answer for this long: UDP does not get through.
const PATIENCE: Duration = Duration::from_secs(3);

/// Another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: [u8; 32],
    /// Where it says it is. It may come to be known at another address.
    pub endpoint: SocketAddr,
    /// Addresses of its pods.
    pub range: DualRange,
}

/// A peer with what is going on with it.
pub(crate) struct Link {
    pub peer: Peer,
    pub tunnel: Mutex<Tunn>,
    /// Where it says it is.
    announced: Mutex<SocketAddr>,
    /// Where it was heard of last, or said it would be.
    endpoint: Mutex<SocketAddr>,
    /// Since when a handshake sent to it by UDP is without an answer.
    asked: Mutex<Option<Instant>>,
    pub carriers: Carriers,
}

impl Link {
    pub fn endpoint(&self) -> SocketAddr {
        *self.endpoint.lock()
    }

    /// It was heard of there. Call it only for what was authenticated.
    pub fn heard_from(&self, from: SocketAddr) {
        *self.endpoint.lock() = from;
        *self.asked.lock() = None;
        self.carriers.heard_directly();
    }

    /// A packet goes out to it by UDP.
    pub fn sends(&self, packet: &[u8]) {
        if packet.first() == Some(&HANDSHAKE) {
            self.asked.lock().get_or_insert_with(Instant::now);
        }
    }

    /// Whether UDP seems not to get through.
    pub fn is_unreached(&self) -> bool {
        self.asked.lock().is_some_and(|since| since.elapsed() >= PATIENCE)
    }

    /// It says that it is there. What it said before is no news.
    fn announced_at(&self, endpoint: SocketAddr) {
        if std::mem::replace(&mut *self.announced.lock(), endpoint) != endpoint {
            *self.endpoint.lock() = endpoint;
        }
    }

    /// How long ago the last handshake was, if there has been one that still counts.
    pub fn last_handshake(&self) -> Option<Duration> {
        self.tunnel.lock().stats().0
    }
}

/// All peers, to be found by what is known of a packet.
#[derive(Default)]
pub(crate) struct Peers {
    by_index: HashMap<u32, Arc<Link>>,
    by_key: HashMap<[u8; 32], (u32, Arc<Link>)>,
    by_range: BTreeMap<IpAddr, Arc<Link>>,
    next_index: u32,
}

impl Peers {
    /// The same with these peers: those that stay keep their sessions.
    pub fn with(&self, secret: &StaticSecret, wanted: &[Peer]) -> Self {
        let mut new = Self {
            next_index: self.next_index,
            ..Self::default()
        };
        for peer in wanted {
            let known = self
                .by_key
                .get(&peer.key)
                .filter(|(_, link)| link.peer.range == peer.range && link.peer.name == peer.name);
            let (index, link) = match known {
                // At another address its sessions go on.
                Some((index, link)) => {
                    link.announced_at(peer.endpoint);
                    (*index, Arc::clone(link))
                }
                None => {
                    new.next_index = (new.next_index + 1) & 0x00ff_ffff;
                    (new.next_index, Arc::new(new_link(secret, peer, new.next_index)))
                }
            };
            new.by_index.insert(index, Arc::clone(&link));
            let ranges = peer.range.all().map(|range| (range.network(), Arc::clone(&link)));
            new.by_range.extend(ranges);
            new.by_key.insert(peer.key, (index, link));
        }
        new
    }

    /// The peer behind whom an address is. Ranges of nodes don't overlap.
    pub fn at(&self, address: IpAddr) -> Option<&Arc<Link>> {
        let (_, link) = self.by_range.range(..=address).next_back()?;
        link.peer.range.contains(address).then_some(link)
    }

    /// The peer that a packet with this receiver index is from.
    pub fn by_receiver(&self, receiver: u32) -> Option<&Arc<Link>> {
        // The lower eight bits number the sessions of a peer.
        self.by_index.get(&(receiver >> 8))
    }

    pub fn by_key(&self, key: &[u8; 32]) -> Option<&Arc<Link>> {
        self.by_key.get(key).map(|(_, link)| link)
    }

    pub fn by_name(&self, name: &str) -> Option<&Arc<Link>> {
        self.all().find(|link| link.peer.name == name)
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Link>> {
        self.by_index.values()
    }
}

fn new_link(secret: &StaticSecret, peer: &Peer, index: u32) -> Link {
    let tunnel = Tunn::new(
        secret.clone(),
        PublicKey::from(peer.key),
        None,
        Some(KEEPALIVE_SECONDS),
        index,
        None,
    );
    Link {
        tunnel: Mutex::new(tunnel),
        announced: Mutex::new(peer.endpoint),
        endpoint: Mutex::new(peer.endpoint),
        asked: Mutex::default(),
        carriers: Carriers::default(),
        peer: peer.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u8, endpoint: &str) -> Peer {
        Peer {
            name: format!("n{number}"),
            key: [number; 32],
            endpoint: endpoint.parse().unwrap(),
            range: format!("10.244.{number}.0/24,fd00:244:0:{number}::/64")
                .parse()
                .unwrap(),
        }
    }

    #[test]
    fn a_peer_is_found_by_its_pods_addresses_and_by_nothing_beside_them() {
        let secret = StaticSecret::from([7; 32]);
        let peers = Peers::default().with(&secret, &[peer(1, "1.1.1.1:1"), peer(3, "3.3.3.3:3")]);
        let at = |address: &str| peers.at(address.parse().unwrap()).map(|link| link.peer.key[0]);
        assert_eq!(at("10.244.1.0"), Some(1));
        assert_eq!(at("10.244.1.255"), Some(1));
        assert_eq!(at("10.244.3.9"), Some(3));
        assert_eq!((at("fd00:244:0:1::7"), at("fd00:244:0:3::1")), (Some(1), Some(3)));
        for nobody in [
            "10.244.2.1",
            "10.244.0.1",
            "10.244.4.1",
            "0.0.0.0",
            "255.255.255.255",
            "fd00:244:0:2::1",
            "::",
        ] {
            assert_eq!(at(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn a_peer_that_stays_keeps_its_sessions_and_where_it_was_heard_of() {
        let secret = StaticSecret::from([7; 32]);
        let first = Peers::default().with(&secret, &[peer(1, "1.1.1.1:1"), peer(2, "2.2.2.2:2")]);
        let link = Arc::clone(first.by_key(&[1; 32]).unwrap());
        let roamed = "9.9.9.9:9".parse().unwrap();
        link.heard_from(roamed);
        let second = first.with(&secret, &[peer(1, "1.1.1.1:1"), peer(3, "3.3.3.3:3")]);
        assert!(Arc::ptr_eq(second.by_key(&[1; 32]).unwrap(), &link));
        assert_eq!(link.endpoint(), roamed, "it says nothing new");
        assert!(second.by_key(&[2; 32]).is_none());
        let third = second.with(&secret, &[peer(1, "1.1.1.7:1")]);
        assert!(Arc::ptr_eq(third.by_key(&[1; 32]).unwrap(), &link));
        assert_eq!(link.endpoint(), "1.1.1.7:1".parse().unwrap());
        let index = |peers: &Peers, key: u8| peers.by_key[&[key; 32]].0;
        assert!(
            index(&second, 3) > index(&first, 2),
            "an index is never another peer's"
        );
    }
}
