//! A /24 of the pod range for every node.

use std::{
    collections::{HashMap, HashSet},
    net::Ipv4Addr,
    sync::Arc,
};

use k8s_openapi::api::core::v1::Node;

use crate::machinery::Object;

const NODE_PREFIX: u8 = 24;

/// The ranges, with those given out in this process that the cache may not show yet.
pub struct Ranges {
    /// First address and prefix length of the whole.
    whole: Option<(u32, u8)>,
    given: HashMap<String, u32>,
}

impl Ranges {
    /// Of a range such as `10.42.0.0/16`; anything else is refused in the log, and no ranges are given out.
    pub fn new(cidr: &str) -> Self {
        let whole = parse(cidr).filter(|(_, prefix)| *prefix <= NODE_PREFIX);
        if whole.is_none() {
            tracing::error!(
                cidr,
                "pod range is no IPv4 range with room for a /24: nodes get none"
            );
        }
        Self {
            whole,
            given: HashMap::new(),
        }
    }

    /// The lowest free range, for `node`; the same one when asked again. `nodes`: all there are.
    pub fn take(&mut self, node: &str, nodes: &[Arc<Node>]) -> Option<String> {
        let (first, prefix) = self.whole?;
        let taken: HashSet<u32> = nodes
            .iter()
            .filter(|n| n.name() != node)
            .filter_map(|n| n.spec.as_ref()?.pod_cidr.as_deref().and_then(parse))
            .map(|(base, _)| base)
            .chain(
                self.given
                    .iter()
                    .filter(|(n, _)| *n != node)
                    .map(|(_, base)| *base),
            )
            .collect();
        let known = self.given.get(node).copied().filter(|base| !taken.contains(base));
        let count = 1_u32 << (NODE_PREFIX - prefix);
        let free = known.or_else(|| {
            (0..count)
                .map(|i| first + (i << 8))
                .find(|base| !taken.contains(base))
        });
        let Some(base) = free else {
            tracing::error!(node, "the pod range has no /24 left");
            return None;
        };
        self.given.insert(node.to_owned(), base);
        Some(format!("{}/{NODE_PREFIX}", Ipv4Addr::from(base)))
    }

    /// The node is gone.
    pub fn release(&mut self, node: &str) {
        self.given.remove(node);
    }
}

/// First address and prefix length.
fn parse(cidr: &str) -> Option<(u32, u8)> {
    let (address, prefix) = cidr.split_once('/')?;
    let (address, prefix) = (address.parse::<Ipv4Addr>().ok()?, prefix.parse::<u8>().ok()?);
    let mask = u32::MAX
        .checked_shl(32_u32.checked_sub(prefix.into())?)
        .unwrap_or(0);
    Some((u32::from(address) & mask, prefix))
}
