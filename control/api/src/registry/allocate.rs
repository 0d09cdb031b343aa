//! Service addresses and node ports: each is a key of its own, written and deleted in the transaction of the
//! service, so that two writers can't get the same one.

mod families;

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use bytes::Bytes;
use ipnet::IpNet;
use rand::RngExt;
use serde_json::{Value, json};
use skiff_resources::{FieldError, Resource};
use skiff_store::{Compare, Op, Txn};

use super::{Registry, meta};
use crate::status::Status;

/// What a write takes and gives back.
#[derive(Debug, Default)]
pub(super) struct Allocation {
    taken: Vec<(Bytes, String)>,
    released: Vec<Bytes>,
}

impl Allocation {
    /// Adds conditions and changes to the transaction of the object.
    pub(super) fn into_txn(self, txn: &mut Txn) {
        for (key, owner) in self.taken {
            txn.compare.push(Compare::Absent(key.clone()));
            let value = skiff_store::Value {
                bytes: owner.into(),
                revision_at: None,
            };
            txn.ops.push(Op::Put(key, value));
        }
        for key in self.released {
            txn.ops.push(Op::Delete(key, None));
        }
    }
}

/// How many random candidates are tried before all are looked at in order.
const RANDOM_TRIES: usize = 16;

pub(super) fn is_service(resource: &Resource) -> bool {
    resource.group.is_empty() && resource.plural == "services"
}

/// An address may be written in several ways.
fn address_key(address: &str) -> Bytes {
    match address.parse::<IpAddr>() {
        Ok(ip) => format!("/allocations/clusterips/{ip}").into(),
        Err(_) => format!("/allocations/clusterips/{address}").into(),
    }
}

fn port_key(port: u16) -> Bytes {
    format!("/allocations/nodeports/{port}").into()
}

fn kind_of(service: &Value) -> &str {
    service["spec"]["type"].as_str().unwrap_or("ClusterIP")
}

fn wants_address(service: &Value) -> bool {
    kind_of(service) != "ExternalName" && service["spec"]["clusterIP"] != "None"
}

fn wants_ports(service: &Value) -> bool {
    match kind_of(service) {
        "NodePort" => true,
        "LoadBalancer" => service["spec"]["allocateLoadBalancerNodePorts"] != false,
        _ => false,
    }
}

/// Whether load balancers ask a port of its own for its health.
fn wants_health_port(service: &Value) -> bool {
    kind_of(service) == "LoadBalancer" && service["spec"]["externalTrafficPolicy"] == "Local"
}

fn health_port_of(service: &Value) -> Option<u16> {
    let port = service["spec"]["healthCheckNodePort"].as_u64()?;
    u16::try_from(port).ok().filter(|port| *port != 0)
}

/// Its addresses, one of each family it has. The first one alone is in a field of its own, too.
fn addresses_of(service: &Value) -> Vec<String> {
    if kind_of(service) == "ExternalName" {
        return Vec::new();
    }
    let spec = &service["spec"];
    let mut addresses: Vec<&str> = spec["clusterIPs"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if addresses.is_empty() {
        addresses.extend(spec["clusterIP"].as_str());
    }
    addresses
        .into_iter()
        .filter(|ip| !ip.is_empty() && *ip != "None")
        .map(str::to_owned)
        .collect()
}

fn ports_of(service: &Value) -> BTreeSet<u16> {
    service["spec"]["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|p| u16::try_from(p["nodePort"].as_u64()?).ok())
        .filter(|p| *p != 0)
        .chain(health_port_of(service))
        .collect()
}

impl Registry {
    /// Gives a service its addresses and ports, and notes what it no longer has.
    pub(super) fn allocate(
        &self,
        resource: &Resource,
        old: Option<&Value>,
        new: &mut Value,
        allocation: &mut Allocation,
    ) -> Result<(), Status> {
        if !is_service(resource) {
            return Ok(());
        }
        let owner = format!("{}/{}", meta::namespace(new), meta::name(new));
        families::settle(self.inner.parts.service_cidr.v6.is_some(), old, new)
            .map_err(|errors| Status::invalid(resource, meta::name(new), &errors))?;
        self.allocate_addresses(resource, old, new, &owner, allocation)?;
        self.allocate_ports(resource, old, new, &owner, allocation)
    }

    /// An address of each family.
    fn allocate_addresses(
        &self,
        resource: &Resource,
        old: Option<&Value>,
        new: &mut Value,
        owner: &str,
        allocation: &mut Allocation,
    ) -> Result<(), Status> {
        let held = old.map(addresses_of).unwrap_or_default();
        if wants_address(new) {
            let mut addresses = addresses_of(new);
            for address in addresses.iter().filter(|address| !held.contains(address)) {
                self.check_address(resource, new, address)?;
                allocation.taken.push((address_key(address), owner.to_owned()));
            }
            let families = new["spec"]["ipFamilies"].as_array().into_iter().flatten();
            for family in families.skip(addresses.len()) {
                let address = self.free_address(family.as_str().unwrap_or_default())?;
                allocation.taken.push((address_key(&address), owner.to_owned()));
                addresses.push(address);
            }
            new["spec"]["clusterIP"] = json!(addresses.first());
            new["spec"]["clusterIPs"] = json!(addresses);
        } else if new["spec"]["clusterIP"] == "None" {
            new["spec"]["clusterIPs"] = json!(["None"]);
        }
        let kept = addresses_of(new);
        let gone = held.iter().filter(|address| !kept.contains(address));
        allocation
            .released
            .extend(gone.map(|address| address_key(address)));
        Ok(())
    }

    fn allocate_ports(
        &self,
        resource: &Resource,
        old: Option<&Value>,
        new: &mut Value,
        owner: &str,
        allocation: &mut Allocation,
    ) -> Result<(), Status> {
        let held = old.map(ports_of).unwrap_or_default();
        let mut used = ports_of(new);
        let name = meta::name(new).to_owned();
        for (index, port) in used.iter().filter(|p| !held.contains(p)).enumerate() {
            let range = &self.inner.parts.node_ports;
            let why = if !range.contains(port) {
                format!(
                    "provided port is not in the valid range. The range of valid ports is {}-{}",
                    range.start(),
                    range.end()
                )
            } else if self.store().get(&port_key(*port)).is_some() {
                "provided port is already allocated".to_owned()
            } else {
                allocation.taken.push((port_key(*port), owner.to_owned()));
                continue;
            };
            let error = FieldError {
                reason: "FieldValueInvalid",
                field: if health_port_of(new) == Some(*port) {
                    "spec.healthCheckNodePort".to_owned()
                } else {
                    format!("spec.ports[{index}].nodePort")
                },
                message: format!("Invalid value: {port}: {why}"),
            };
            return Err(Status::invalid(resource, &name, &[error]));
        }
        if wants_ports(new) {
            for port in new["spec"]["ports"].as_array_mut().into_iter().flatten() {
                if port["nodePort"].as_u64().unwrap_or(0) == 0 {
                    let free = self.free_port(&used)?;
                    used.insert(free);
                    allocation.taken.push((port_key(free), owner.to_owned()));
                    port["nodePort"] = json!(free);
                }
            }
        }
        if wants_health_port(new) && health_port_of(new).is_none() {
            let free = self.free_port(&used)?;
            used.insert(free);
            allocation.taken.push((port_key(free), owner.to_owned()));
            new["spec"]["healthCheckNodePort"] = json!(free);
        }
        for port in held.difference(&used) {
            allocation.released.push(port_key(*port));
        }
        Ok(())
    }

    /// Notes everything an object has, for its removal.
    pub(super) fn release(&self, resource: &Resource, object: &Value, allocation: &mut Allocation) {
        if !is_service(resource) {
            return;
        }
        allocation.taken.clear();
        allocation.released.clear();
        let addresses = addresses_of(object);
        allocation
            .released
            .extend(addresses.iter().map(|address| address_key(address)));
        allocation
            .released
            .extend(ports_of(object).into_iter().map(port_key));
    }

    /// The range of a family's service addresses.
    fn service_range(&self, family: &str) -> Option<IpNet> {
        let both = self.inner.parts.service_cidr;
        if family == "IPv6" {
            both.v6.map(IpNet::V6)
        } else {
            Some(IpNet::V4(both.v4))
        }
    }

    fn check_address(&self, resource: &Resource, service: &Value, address: &str) -> Result<(), Status> {
        let range = self.service_range(families::family_of(address));
        let why = match (address.parse::<IpAddr>(), range) {
            (Err(_), _) | (_, None) => "must be a valid IP address".to_owned(),
            (Ok(ip), Some(range)) if !usable(range).contains(&bits(ip)) => format!(
                "failed to allocate IP {address}: the provided IP ({address}) is not in the valid range. The range \
                 of valid IPs is {range}"
            ),
            _ if self.store().get(&address_key(address)).is_some() => {
                format!("failed to allocate IP {address}: provided IP is already allocated")
            }
            _ => return Ok(()),
        };
        let given = &service["spec"]["clusterIPs"];
        let error = FieldError {
            reason: "FieldValueInvalid",
            field: "spec.clusterIPs".into(),
            message: format!("Invalid value: {given}: {why}"),
        };
        Err(Status::invalid(resource, meta::name(service), &[error]))
    }

    /// A free service address. The lower part of the range (up to 256 addresses) is left to services that name
    /// theirs, as Kubernetes does.
    fn free_address(&self, family: &str) -> Result<String, Status> {
        let full = || Status::internal("failed to allocate a serviceIP: range is full");
        let range = self.service_range(family).ok_or_else(full)?;
        let (first, last) = usable(range).into_inner();
        let reserved = ((last.saturating_sub(first) + 1) / 16).clamp(0, 256);
        let text = |ip: u128| match range {
            // It was made of one.
            IpNet::V4(_) => Ipv4Addr::from(ip as u32).to_string(),
            IpNet::V6(_) => Ipv6Addr::from(ip).to_string(),
        };
        let free = |ip: &u128| self.store().get(&address_key(&text(*ip))).is_none();
        let upper = first + reserved;
        let mut rng = rand::rng();
        (0..RANDOM_TRIES)
            .map(|_| rng.random_range(upper..=last))
            .find(free)
            .or_else(|| (upper..=last).chain(first..upper).find(free))
            .map(text)
            .ok_or_else(full)
    }

    fn free_port(&self, used: &BTreeSet<u16>) -> Result<u16, Status> {
        let range = self.inner.parts.node_ports.clone();
        let given_away = dynamic_ports(&range);
        let free = |port: &u16| !used.contains(port) && self.store().get(&port_key(*port)).is_none();
        let mut rng = rand::rng();
        (0..RANDOM_TRIES)
            .map(|_| rng.random_range(given_away.clone()))
            .find(free)
            .or_else(|| given_away.clone().chain(range).find(free))
            .ok_or_else(|| Status::internal("failed to allocate a nodePort: range is full"))
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// The addresses of a range that services may have: not the one of the network, and of IPv4 not the one of everybody.
fn usable(range: IpNet) -> std::ops::RangeInclusive<u128> {
    let last = bits(range.broadcast());
    let last = match range {
        IpNet::V4(_) => last.saturating_sub(1),
        IpNet::V6(_) => last,
    };
    bits(range.network()) + 1..=last
}

/// The node ports that are given away first: those below are left to services that name theirs. Source: Kubernetes, "Avoiding
/// collisions assigning ports to NodePort services".
fn dynamic_ports(range: &std::ops::RangeInclusive<u16>) -> std::ops::RangeInclusive<u16> {
    const SMALLEST: usize = 16;
    const LARGEST: usize = 128;
    let size = range.len();
    if size <= SMALLEST {
        return range.clone();
    }
    let left = (size / 32).clamp(SMALLEST, LARGEST);
    range.start() + u16::try_from(left).unwrap_or(u16::MAX)..=*range.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_health_check_port_is_one_of_a_services_node_ports() {
        let service = json!({"spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local",
            "healthCheckNodePort": 30100, "ports": [{"port": 80, "nodePort": 30080}, {"port": 81}]}});
        assert!(wants_health_port(&service));
        assert_eq!(ports_of(&service), BTreeSet::from([30080, 30100]));
        assert!(!wants_health_port(&json!({"spec": {"type": "LoadBalancer"}})));
    }

    #[test]
    fn the_lowest_node_ports_are_left_to_those_who_name_theirs() {
        assert_eq!(dynamic_ports(&(30000..=32767)), 30086..=32767);
        assert_eq!(dynamic_ports(&(30000..=30099)), 30016..=30099);
        assert_eq!(dynamic_ports(&(30000..=30015)), 30000..=30015);
    }
}
