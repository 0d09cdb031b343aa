//! Which pod has which address. Pure but for saving and loading.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    net::{AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

/// The addresses of a pod, or of a node among the pods. In words: with a comma between them, as in `status.podIPs` of the
/// downward API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PodAddress {
    /// Every pod has one.
    pub v4: Ipv4Addr,
    /// In a cluster with two families.
    pub v6: Option<Ipv6Addr>,
}

impl PodAddress {
    /// One or two, IPv4 first.
    pub fn all(self) -> impl Iterator<Item = IpAddr> {
        [Some(IpAddr::V4(self.v4)), self.v6.map(IpAddr::V6)]
            .into_iter()
            .flatten()
    }
}

impl fmt::Display for PodAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.v4)?;
        self.v6.map_or(Ok(()), |v6| write!(f, ",{v6}"))
    }
}

impl FromStr for PodAddress {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        let (v4, v6) = match text.split_once(',') {
            Some((v4, v6)) => (v4, Some(v6.parse()?)),
            None => (text, None),
        };
        Ok(Self { v4: v4.parse()?, v6 })
    }
}

impl TryFrom<String> for PodAddress {
    type Error = AddrParseError;

    fn try_from(text: String) -> Result<Self, AddrParseError> {
        text.parse()
    }
}

impl From<PodAddress> for String {
    fn from(address: PodAddress) -> Self {
        address.to_string()
    }
}

/// A range of IPv4 addresses, and in a cluster of two families one of IPv6 beside it. In words: with a comma between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DualRange {
    /// The first family.
    pub v4: Ipv4Net,
    /// The second one.
    pub v6: Option<Ipv6Net>,
}

impl DualRange {
    /// One or two, IPv4 first.
    pub fn all(self) -> impl Iterator<Item = IpNet> {
        [Some(IpNet::V4(self.v4)), self.v6.map(IpNet::V6)]
            .into_iter()
            .flatten()
    }

    /// Whether an address is in either.
    pub fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.all().any(|range| range.contains(&address))
    }

    /// The addresses of whoever has `v4`, which is in the first range. A pod has the same number in both ranges of its node, so
    /// there is one list of addresses in use.
    pub(crate) fn pair(self, v4: Ipv4Addr) -> PodAddress {
        let number = v4.to_bits().wrapping_sub(self.v4.network().to_bits());
        let v6 = self.v6.map(|range| {
            let first = range.network().to_bits();
            Ipv6Addr::from_bits(first | u128::from(number))
        });
        PodAddress { v4, v6 }
    }

    /// The IPv4 address of whoever has `address`; none if it is not in these ranges.
    pub(crate) fn v4_of(self, address: IpAddr) -> Option<Ipv4Addr> {
        let v4 = match address.to_canonical() {
            IpAddr::V4(v4) => v4,
            IpAddr::V6(v6) => {
                let first = self.v6?.network().to_bits();
                let number = u32::try_from(v6.to_bits().checked_sub(first)?).ok()?;
                Ipv4Addr::from_bits(self.v4.network().to_bits().checked_add(number)?)
            }
        };
        self.v4.contains(&v4).then_some(v4)
    }
}

impl fmt::Display for DualRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.v4)?;
        self.v6.map_or(Ok(()), |v6| write!(f, ",{v6}"))
    }
}

impl FromStr for DualRange {
    type Err = ipnet::AddrParseError;

    fn from_str(text: &str) -> Result<Self, ipnet::AddrParseError> {
        let (v4, v6) = match text.split_once(',') {
            Some((v4, v6)) => (v4, Some(v6.parse()?)),
            None => (text, None),
        };
        Ok(Self { v4: v4.parse()?, v6 })
    }
}

/// The address after this one; none after the very last.
pub(crate) fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => v4
            .to_bits()
            .checked_add(1)
            .map(|next| Ipv4Addr::from_bits(next).into()),
        IpAddr::V6(v6) => v6
            .to_bits()
            .checked_add(1)
            .map(|next| Ipv6Addr::from_bits(next).into()),
    }
}

/// The address before this one; none before the very first.
pub(crate) fn before(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => v4
            .to_bits()
            .checked_sub(1)
            .map(|next| Ipv4Addr::from_bits(next).into()),
        IpAddr::V6(v6) => v6
            .to_bits()
            .checked_sub(1)
            .map(|next| Ipv6Addr::from_bits(next).into()),
    }
}

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
    fn a_pod_has_the_same_number_in_both_families() {
        let ranges: DualRange = "10.42.7.0/24,fd00:42:0:7::/64".parse().unwrap();
        let pod = ranges.pair(Ipv4Addr::new(10, 42, 7, 200));
        assert_eq!(pod.to_string(), "10.42.7.200,fd00:42:0:7::c8");
        assert_eq!(pod.to_string().parse(), Ok(pod));
        assert!(pod.all().all(|address| ranges.v4_of(address) == Some(pod.v4)));
        for nobody in ["fd00:42:0:7::100", "fd00:42:0:8::1", "fd00:42:0:6::1", "::1"] {
            assert_eq!(ranges.v4_of(nobody.parse().unwrap()), None, "{nobody}");
        }
        let alone = DualRange { v6: None, ..ranges };
        assert_eq!(alone.pair(pod.v4).to_string(), "10.42.7.200");
        assert_eq!("10.42.7.200".parse(), Ok(alone.pair(pod.v4)));
        assert_eq!(alone.v4_of("fd00:42:0:7::c8".parse().unwrap()), None);
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
