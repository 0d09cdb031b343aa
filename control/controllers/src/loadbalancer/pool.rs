//! The addresses that load balancers are given from, and which of them a service gets. Pure.

use std::{collections::BTreeMap, fmt, net::Ipv4Addr, ops::RangeInclusive, str::FromStr, sync::Arc};

use k8s_openapi::api::core::v1::Service;

use super::is_ours;
use crate::machinery::{Key, Object};

/// A CIDR of at least this length has no network and broadcast address of its own (RFC 3021).
const POINT_TO_POINT: u8 = 31;

/// Addresses for services of type LoadBalancer: ranges (`192.0.2.10-192.0.2.20`), single addresses and CIDRs, separated by
/// commas. The first and last address of a CIDR are left out, as they may be the network's own; a range is taken as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// As written.
    text: String,
    ranges: Vec<RangeInclusive<Ipv4Addr>>,
}

impl FromStr for Pool {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut ranges: Vec<RangeInclusive<Ipv4Addr>> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let range = range(part)?;
            let unusable = |address: &Ipv4Addr| {
                address.is_unspecified() || address.is_loopback() || address.octets()[0] >= 224
            };
            if [range.start(), range.end()].into_iter().any(unusable) {
                return Err(format!("{part:?} has addresses that no machine can be given"));
            }
            let meets = |known: &&RangeInclusive<Ipv4Addr>| {
                known.start() <= range.end() && range.start() <= known.end()
            };
            if let Some(known) = ranges.iter().find(meets) {
                return Err(format!(
                    "{part:?} overlaps with {}-{}",
                    known.start(),
                    known.end()
                ));
            }
            ranges.push(range);
        }
        Ok(Self {
            text: text.to_owned(),
            ranges,
        })
    }
}

fn range(part: &str) -> Result<RangeInclusive<Ipv4Addr>, String> {
    let address = |text: &str| {
        let text = text.trim();
        text.parse::<Ipv4Addr>()
            .map_err(|_| format!("{text:?} in {part:?} is no IPv4 address"))
    };
    if let Some((first, length)) = part.split_once('/') {
        let base = u32::from(address(first)?);
        let length: u8 = length
            .parse()
            .ok()
            .filter(|length| *length <= 32)
            .ok_or_else(|| format!("{length:?} in {part:?} is no prefix length"))?;
        let rest = u32::MAX.checked_shr(length.into()).unwrap_or(0);
        if base & rest != 0 {
            let network = Ipv4Addr::from(base & !rest);
            return Err(format!(
                "{part:?} has bits behind its prefix: {network}/{length} is meant, or a range"
            ));
        }
        let own = u32::from(length < POINT_TO_POINT);
        return Ok(Ipv4Addr::from(base + own)..=Ipv4Addr::from(base + rest - own));
    }
    let Some((first, last)) = part.split_once('-') else {
        let only = address(part)?;
        return Ok(only..=only);
    };
    let (first, last) = (address(first)?, address(last)?);
    if first > last {
        return Err(format!("{part:?} ends before it begins"));
    }
    Ok(first..=last)
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Pool {
    /// Whether it has this address.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        self.ranges.iter().any(|range| range.contains(&address))
    }

    /// Its ranges, first and last address of each.
    pub fn ranges(&self) -> impl Iterator<Item = (Ipv4Addr, Ipv4Addr)> {
        self.ranges.iter().map(|range| (*range.start(), *range.end()))
    }

    fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.ranges()
            .flat_map(|(first, last)| (u32::from(first)..=u32::from(last)).map(Ipv4Addr::from))
    }

    /// The address of a service: the one it asks for, else the one it has, else the lowest free one. `services`: all there are.
    pub fn choose(&self, service: &Service, services: &[Arc<Service>]) -> Result<Ipv4Addr, Refusal> {
        let own = service.key();
        let mut taken: BTreeMap<Ipv4Addr, Key> = BTreeMap::new();
        for other in services.iter().filter(|other| is_ours(other)) {
            let key = other.key();
            if key != own {
                taken.extend(address(other).map(|address| (address, key)));
            }
        }
        if let Some(text) = asked_for(service) {
            let wanted: Ipv4Addr = text.parse().map_err(|_| Refusal::NoAddress(text.to_owned()))?;
            if !self.contains(wanted) {
                return Err(Refusal::NotInPool(wanted, self.clone()));
            }
            return match taken.remove(&wanted) {
                Some(other) => Err(Refusal::Taken(wanted, other)),
                None => Ok(wanted),
            };
        }
        let is_free = |address: &Ipv4Addr| !taken.contains_key(address);
        address(service)
            .filter(|address| self.contains(*address))
            .filter(is_free)
            .or_else(|| self.addresses().find(is_free))
            .ok_or_else(|| Refusal::Exhausted(self.clone()))
    }
}

/// The address a service has been given.
pub(super) fn address(service: &Service) -> Option<Ipv4Addr> {
    let balancer = service.status.as_ref()?.load_balancer.as_ref()?;
    balancer.ingress.as_ref()?.first()?.ip.as_ref()?.parse().ok()
}

/// The address that a service asks for.
pub(super) fn asked_for(service: &Service) -> Option<&str> {
    let asked = service.spec.as_ref()?.load_balancer_ip.as_deref();
    asked.filter(|text| !text.is_empty())
}

/// Why a service has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// All are given out.
    #[error("no address of the pool {0} is free")]
    Exhausted(Pool),
    /// The one asked for is another service's.
    #[error("address {0}, which spec.loadBalancerIP asks for, is that of service {1}")]
    Taken(Ipv4Addr, Key),
    /// The one asked for can't be given.
    #[error("address {0}, which spec.loadBalancerIP asks for, is not in the pool {1}")]
    NotInPool(Ipv4Addr, Pool),
    /// What is asked for is no IPv4 address.
    #[error("spec.loadBalancerIP {0:?} is no IPv4 address")]
    NoAddress(String),
}

impl Refusal {
    /// In one word, as conditions want it.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Exhausted(_) => "PoolExhausted",
            Self::Taken(..) => "AddressTaken",
            Self::NotInPool(..) => "AddressNotInPool",
            Self::NoAddress(_) => "AddressInvalid",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pool(text: &str) -> Pool {
        text.parse().unwrap()
    }

    fn service(name: &str, asks: &str, has: &str) -> Arc<Service> {
        let ingress = if has.is_empty() {
            json!([])
        } else {
            json!([{"ip": has}])
        };
        let object = json!({
            "metadata": {"namespace": "default", "name": name},
            "spec": {"type": "LoadBalancer", "loadBalancerIP": asks},
            "status": {"loadBalancer": {"ingress": ingress}},
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn ip(text: &str) -> Ipv4Addr {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_addresses_and_cidrs_make_a_pool() {
        let pool = pool("192.0.2.10-192.0.2.12, 198.51.100.0/29,203.0.113.7,203.0.113.8/31,203.0.113.99/32");
        let all: Vec<String> = pool.addresses().map(|address| address.to_string()).collect();
        let expected = "192.0.2.10 192.0.2.11 192.0.2.12 198.51.100.1 198.51.100.2 198.51.100.3 198.51.100.4 198.51.100.5 \
            198.51.100.6 203.0.113.7 203.0.113.8 203.0.113.9 203.0.113.99";
        assert_eq!(all, expected.split_whitespace().collect::<Vec<_>>());
        assert!(pool.contains(ip("198.51.100.6")) && !pool.contains(ip("198.51.100.7")));
        assert_eq!(pool.to_string().parse(), Ok(pool));
    }

    #[test]
    fn what_is_no_pool_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "\"\" in \"\" is no IPv4 address"),
            ("192.0.2.9-192.0.2.1", "ends before it begins"),
            ("192.0.2.1/28", "192.0.2.0/28 is meant, or a range"),
            ("192.0.2.0/33", "\"33\" in \"192.0.2.0/33\" is no prefix length"),
            ("2001:db8::/64", "is no IPv4 address"),
            ("127.0.0.1-127.0.0.9", "no machine can be given"),
            ("0.0.0.0/0", "no machine can be given"),
            ("192.0.2.0/28,192.0.2.14", "overlaps with 192.0.2.1-192.0.2.14"),
        ] {
            let error = text.parse::<Pool>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_service_keeps_its_address_and_two_never_share_one() {
        let pool = pool("192.0.2.1-192.0.2.2");
        let (a, b, c) = (
            service("a", "", "192.0.2.2"),
            service("b", "", ""),
            service("c", "", ""),
        );
        let all = [a.clone(), b.clone(), c.clone()];
        assert_eq!(pool.choose(&a, &all), Ok(ip("192.0.2.2")));
        assert_eq!(pool.choose(&b, &all), Ok(ip("192.0.2.1")));
        let all = [a.clone(), service("b", "", "192.0.2.1"), c.clone()];
        assert_eq!(pool.choose(&c, &all), Err(Refusal::Exhausted(pool.clone())));
        // Another pool since, or what were the addresses of nodes.
        let old = service("old", "", "203.0.113.1");
        assert_eq!(pool.choose(&old, &[a, old.clone()]), Ok(ip("192.0.2.1")));
    }

    #[test]
    fn an_address_asked_for_is_given_if_it_is_free_and_in_the_pool() {
        let pool = pool("192.0.2.1-192.0.2.9");
        let a = service("a", "", "192.0.2.5");
        let choose = |asks: &str, has: &str| {
            let service = service("b", asks, has);
            pool.choose(&service, &[a.clone(), service.clone()])
        };
        assert_eq!(choose("192.0.2.7", ""), Ok(ip("192.0.2.7")));
        assert_eq!(
            choose("192.0.2.7", "192.0.2.1"),
            Ok(ip("192.0.2.7")),
            "it asks for another now"
        );
        assert_eq!(
            choose("192.0.2.5", ""),
            Err(Refusal::Taken(ip("192.0.2.5"), a.key()))
        );
        assert_eq!(
            choose("192.0.2.10", ""),
            Err(Refusal::NotInPool(ip("192.0.2.10"), pool.clone()))
        );
        assert_eq!(choose("fd00::1", ""), Err(Refusal::NoAddress("fd00::1".into())));
    }
}
