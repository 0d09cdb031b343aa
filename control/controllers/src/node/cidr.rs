//! A /24 of the pod range for every node, and a /64 of the IPv6 range where there is one.

use std::{
    collections::{HashMap, HashSet},
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use k8s_openapi::api::core::v1::Node;

use crate::machinery::Object;

const NODE_PREFIX: u8 = 24;
const NODE_PREFIX_V6: u8 = 64;

/// The ranges, with those given out in this process that the cache may not show yet.
pub struct Ranges {
    /// First address and prefix length of the whole.
    whole: Option<(u32, u8)>,
    /// First address of the IPv6 range, whose /64 go with the /24 by their number.
    second: Option<u128>,
    given: HashMap<String, u32>,
}

impl Ranges {
    /// Of a range such as `10.42.0.0/16`, or of two such as `10.42.0.0/16,fd00:42::/56`; anything else is refused in the log,
    /// and no ranges are given out.
    pub fn new(cidr: &str) -> Self {
        let (first, second) = match cidr.split_once(',') {
            Some((first, second)) => (first, Some(second)),
            None => (cidr, None),
        };
        let whole = parse(first).filter(|(_, prefix)| *prefix <= NODE_PREFIX);
        if whole.is_none() {
            tracing::error!(
                cidr,
                "pod range is no IPv4 range with room for a /24: nodes get none"
            );
        }
        Self {
            whole,
            second: second
                .and_then(|text| text.split_once('/')?.0.parse::<Ipv6Addr>().ok())
                .map(u128::from),
            given: HashMap::new(),
        }
    }

    /// The lowest free range, for `node`, and the one beside it; the same ones when asked again. `nodes`: all there are.
    pub fn take(&mut self, node: &str, nodes: &[Arc<Node>]) -> Option<Vec<String>> {
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
        let mut ranges = vec![format!("{}/{NODE_PREFIX}", Ipv4Addr::from(base))];
        ranges.extend(self.second.map(|second| {
            let number = u128::from((base - first) >> (32 - NODE_PREFIX));
            let beside = Ipv6Addr::from(second + (number << (128 - NODE_PREFIX_V6)));
            format!("{beside}/{NODE_PREFIX_V6}")
        }));
        Some(ranges)
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
