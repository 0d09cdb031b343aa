//! What Node objects say of other nodes. Pure.

use std::{collections::BTreeMap, net::SocketAddr};

use k8s_openapi::api::core::v1::Node;
use kube::{ResourceExt as _, runtime::watcher::Event};
use skiff_pod_network::{DualRange, Peer};

use super::{RELAY_ENDPOINT, TUNNEL_ENDPOINT, TUNNEL_KEY, key};
use crate::relay::RelayPeer;

/// What one Node says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    range: Option<DualRange>,
    key: Option<String>,
    tunnel: Option<String>,
    relay: Option<String>,
}

/// The nodes of the cluster as last seen.
pub(super) struct Roster {
    own: String,
    nodes: BTreeMap<String, Entry>,
    /// A list that is not complete yet.
    listing: BTreeMap<String, Entry>,
}

fn entry(node: &Node) -> Entry {
    let annotation = |name: &str| node.annotations().get(name).cloned();
    let ranges = node.spec.as_ref().and_then(|spec| spec.pod_cidrs.as_ref());
    Entry {
        range: ranges.and_then(|texts| texts.join(",").parse().ok()),
        key: annotation(TUNNEL_KEY),
        tunnel: annotation(TUNNEL_ENDPOINT),
        relay: annotation(RELAY_ENDPOINT),
    }
}

impl Roster {
    pub fn new(own: &str) -> Self {
        Self {
            own: own.to_owned(),
            nodes: BTreeMap::new(),
            listing: BTreeMap::new(),
        }
    }

    /// Takes an event of the watch; true when anything is different now.
    pub fn take(&mut self, event: Event<Node>) -> bool {
        match event {
            Event::Init => {
                self.listing.clear();
                false
            }
            Event::InitApply(node) => {
                self.listing.insert(node.name_any(), entry(&node));
                false
            }
            Event::InitDone => {
                let new = std::mem::take(&mut self.listing);
                let changed = new != self.nodes;
                self.nodes = new;
                changed
            }
            Event::Apply(node) => {
                let new = entry(&node);
                let changed = self.nodes.get(&node.name_any()) != Some(&new);
                self.nodes.insert(node.name_any(), new);
                changed
            }
            Event::Delete(node) => self.nodes.remove(&node.name_any()).is_some(),
        }
    }

    /// Whether there is no other node.
    pub fn is_alone(&self) -> bool {
        self.others().next().is_none()
    }

    fn others(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.nodes.iter().filter(|(name, _)| **name != self.own)
    }

    /// Whether this node's object has these annotations.
    pub fn own_has(&self, annotations: &[(&str, String)]) -> bool {
        self.nodes.get(&self.own).is_some_and(|entry| {
            annotations.iter().all(|(name, value)| {
                let has = match *name {
                    TUNNEL_KEY => &entry.key,
                    TUNNEL_ENDPOINT => &entry.tunnel,
                    _ => &entry.relay,
                };
                has.as_ref() == Some(value)
            })
        })
    }

    /// The others' tunnels, of those that are open.
    pub fn peers(&self) -> Vec<Peer> {
        let peers = self.others().filter_map(|(name, entry)| {
            Some(Peer {
                name: name.clone(),
                key: key::parse(entry.key.as_ref()?)?,
                endpoint: entry.tunnel.as_ref()?.parse().ok()?,
                range: entry.range?,
            })
        });
        peers.collect()
    }

    /// The others' relays, of those that are open.
    pub fn relay_peers(&self) -> Vec<RelayPeer> {
        let peers = self.others().filter_map(|(name, entry)| {
            let address: SocketAddr = entry.relay.as_ref()?.parse().ok()?;
            Some(RelayPeer {
                name: name.clone(),
                range: entry.range?,
                address,
            })
        });
        peers.collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str, range: &str, endpoint: &str) -> Node {
        let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        let annotations = json!({TUNNEL_KEY: key, TUNNEL_ENDPOINT: endpoint, RELAY_ENDPOINT: endpoint});
        let object = json!({"metadata": {"name": name, "annotations": annotations}, "spec": {"podCIDRs": range.split(',').collect::<Vec<_>>()}});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn others_are_peers_once_they_have_said_all_and_this_node_never_is() {
        let mut roster = Roster::new("a");
        roster.take(Event::Init);
        roster.take(Event::InitApply(node("a", "10.0.0.0/24", "1.1.1.1:1")));
        assert!(roster.take(Event::InitDone));
        assert!(roster.is_alone() && roster.peers().is_empty());
        let mut new: Node = node("b", "10.0.1.0/24", "2.2.2.2:2");
        let annotations = new.metadata.annotations.take();
        assert!(roster.take(Event::Apply(new.clone())));
        assert!(!roster.is_alone() && roster.peers().is_empty());
        new.metadata.annotations = annotations;
        assert!(roster.take(Event::Apply(new.clone())));
        assert!(!roster.take(Event::Apply(new.clone())), "a heartbeat is no news");
        let peers = roster.peers();
        assert_eq!(peers.len(), 1);
        assert_eq!(
            (peers[0].key, peers[0].range.to_string().as_str()),
            ([1; 32], "10.0.1.0/24")
        );
        assert_eq!(roster.relay_peers()[0].name, "b");
        assert!(roster.own_has(&[(TUNNEL_ENDPOINT, "1.1.1.1:1".into())]));
        assert!(!roster.own_has(&[(TUNNEL_ENDPOINT, "1.1.1.2:1".into())]));
        assert!(roster.take(Event::Delete(new)));
        assert!(roster.is_alone());
    }

    #[test]
    fn a_watch_that_starts_over_forgets_who_went_meanwhile() {
        let mut roster = Roster::new("a");
        roster.take(Event::Apply(node("b", "10.0.1.0/24", "2.2.2.2:2")));
        roster.take(Event::Init);
        roster.take(Event::InitApply(node("c", "10.0.2.0/24", "3.3.3.3:3")));
        assert_eq!(
            roster.peers()[0].range.to_string(),
            "10.0.1.0/24",
            "until the list is complete"
        );
        assert!(roster.take(Event::InitDone));
        assert_eq!(roster.peers()[0].range.to_string(), "10.0.2.0/24");
    }
}
