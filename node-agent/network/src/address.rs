//! Which pod has which address. Pure but for saving and loading.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::Ipv4Addr,
    path::Path,
};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

/// The addresses of this node's pods. The first address of the range is the node's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Addresses {
    version: u32,
    range: Ipv4Net,
    pods: BTreeMap<String, Ipv4Addr>,
    /// Given last: the next one is looked for behind it, so that an address rests before it is used again.
    last: Ipv4Addr,
}

impl Addresses {
    pub fn new(range: Ipv4Net) -> Self {
        let range = range.trunc();
        Self {
            version: VERSION,
            range,
            pods: BTreeMap::new(),
            last: range.network(),
        }
    }

    /// The node's own address.
    pub fn node(&self) -> Ipv4Addr {
        self.range.hosts().next().unwrap_or(self.range.network())
    }

    /// The pod's address, a free one if it has none yet; none when all are taken.
    pub fn assign(&mut self, pod: &str) -> Option<Ipv4Addr> {
        if let Some(&address) = self.pods.get(pod) {
            return Some(address);
        }
        let taken: BTreeSet<Ipv4Addr> = self.pods.values().copied().collect();
        let node = self.node();
        let free = |address: &Ipv4Addr| *address != node && !taken.contains(address);
        let hosts = || self.range.hosts();
        let address = hosts()
            .filter(|address| *address > self.last)
            .chain(hosts())
            .find(free)?;
        self.last = address;
        self.pods.insert(pod.to_owned(), address);
        Some(address)
    }

    pub fn get(&self, pod: &str) -> Option<Ipv4Addr> {
        self.pods.get(pod).copied()
    }

    pub fn release(&mut self, pod: &str) -> Option<Ipv4Addr> {
        self.pods.remove(pod)
    }

    pub fn pods(&self) -> impl Iterator<Item = (&str, Ipv4Addr)> {
        self.pods.iter().map(|(pod, address)| (pod.as_str(), *address))
    }

    /// What `file` says for this range; a fresh start when there is no file, or one of another range.
    pub fn load(file: &Path, range: Ipv4Net) -> io::Result<Self> {
        let fresh = Self::new(range);
        let text = match fs::read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(fresh),
            Err(error) => return Err(error),
        };
        let saved: Self = serde_json::from_slice(&text)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if saved.version != VERSION {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("version {}", saved.version),
            ));
        }
        Ok(if saved.range == fresh.range { saved } else { fresh })
    }

    /// Replaces `file` in one step. Not synced to disk: after a reboot no pod is left to own an address.
    pub fn save(&self, file: &Path) -> io::Result<()> {
        let temporary = file.with_extension("tmp");
        fs::write(&temporary, serde_json::to_vec(self)?)?;
        fs::rename(&temporary, file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(range: &str) -> Addresses {
        Addresses::new(range.parse().unwrap())
    }

    #[test]
    fn every_pod_gets_an_address_of_its_own_until_none_is_left() {
        let mut addresses = addresses("10.42.7.0/24");
        let given: BTreeSet<_> = (0..253)
            .map(|number| addresses.assign(&number.to_string()).unwrap())
            .collect();
        assert_eq!(given.len(), 253);
        assert!(!given.contains(&addresses.node()) && !given.contains(&Ipv4Addr::new(10, 42, 7, 255)));
        assert_eq!(addresses.assign("one too many"), None);
        assert_eq!(
            addresses.assign("17"),
            addresses.get("17"),
            "a pod keeps its address"
        );
        let freed = addresses.release("17");
        assert_eq!(addresses.assign("one too many"), freed);
    }

    #[test]
    fn a_freed_address_rests_while_others_are_free() {
        let mut addresses = addresses("10.42.7.0/24");
        let first = addresses.assign("a").unwrap();
        addresses.release("a");
        assert_ne!(addresses.assign("b").unwrap(), first);
    }

    #[test]
    fn what_was_saved_is_loaded_again_unless_the_range_changed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("addresses.json");
        let range = "10.42.7.0/24".parse().unwrap();
        let mut saved = Addresses::load(&file, range).unwrap();
        saved.assign("a");
        saved.save(&file).unwrap();
        assert_eq!(Addresses::load(&file, range).unwrap(), saved);
        assert_eq!(
            Addresses::load(&file, "10.42.8.0/24".parse().unwrap())
                .unwrap()
                .pods()
                .count(),
            0
        );
        fs::write(&file, "{").unwrap();
        assert_eq!(
            Addresses::load(&file, range).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }
}
