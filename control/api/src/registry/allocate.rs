//! Service addresses and node ports: each is a key of its own, written and deleted in the transaction of the
//! service, so that two writers can't get the same one.

use std::{collections::BTreeSet, net::Ipv4Addr};

use bytes::Bytes;
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

fn address_key(address: &str) -> Bytes {
    format!("/allocations/clusterips/{address}").into()
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

fn address_of(service: &Value) -> Option<&str> {
    service["spec"]["clusterIP"]
        .as_str()
        .filter(|ip| !ip.is_empty() && *ip != "None" && kind_of(service) != "ExternalName")
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
        let held = old.and_then(address_of).map(str::to_owned);
        if wants_address(new) {
            let address = match address_of(new).map(str::to_owned) {
                Some(address) => {
                    if held.as_deref() != Some(&address) {
                        self.check_address(resource, new, &address)?;
                        allocation.taken.push((address_key(&address), owner.clone()));
                    }
                    address
                }
                None => {
                    let address = self.free_address()?.to_string();
                    allocation.taken.push((address_key(&address), owner.clone()));
                    address
                }
            };
            new["spec"]["clusterIP"] = json!(address);
            new["spec"]["clusterIPs"] = json!([address]);
            if new["spec"]["ipFamilies"].as_array().is_none_or(Vec::is_empty) {
                new["spec"]["ipFamilies"] = json!(["IPv4"]);
            }
            if new["spec"]["ipFamilyPolicy"].is_null() {
                new["spec"]["ipFamilyPolicy"] = json!("SingleStack");
            }
        } else if new["spec"]["clusterIP"] == "None" {
            new["spec"]["clusterIPs"] = json!(["None"]);
            if new["spec"]["ipFamilies"].as_array().is_none_or(Vec::is_empty) {
                new["spec"]["ipFamilies"] = json!(["IPv4"]);
            }
            if new["spec"]["ipFamilyPolicy"].is_null() {
                new["spec"]["ipFamilyPolicy"] = json!("SingleStack");
            }
        }
        if let Some(held) = held
            && address_of(new) != Some(&held)
        {
            allocation.released.push(address_key(&held));
        }
        self.allocate_ports(resource, old, new, &owner, allocation)
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
        allocation.released.extend(address_of(object).map(address_key));
        allocation
            .released
            .extend(ports_of(object).into_iter().map(port_key));
    }

    fn check_address(&self, resource: &Resource, service: &Value, address: &str) -> Result<(), Status> {
        let cidr = self.inner.parts.service_cidr;
        let why = match address.parse::<Ipv4Addr>() {
            Err(_) => "must be a valid IPv4 address".to_owned(),
            Ok(ip) if !cidr.contains(&ip) || ip == cidr.network() || ip == cidr.broadcast() => format!(
                "failed to allocate IP {address}: the provided IP ({address}) is not in the valid range. The range \
                 of valid IPs is {cidr}"
            ),
            Ok(_) if self.store().get(&address_key(address)).is_some() => {
                format!("failed to allocate IP {address}: provided IP is already allocated")
            }
            Ok(_) => return Ok(()),
        };
        let error = FieldError {
            reason: "FieldValueInvalid",
            field: "spec.clusterIPs".into(),
            message: format!("Invalid value: [\"{address}\"]: {why}"),
        };
        Err(Status::invalid(resource, meta::name(service), &[error]))
    }

    /// A free service address. The lower part of the range (up to 256 addresses) is left to services that name
    /// theirs, as Kubernetes does.
    fn free_address(&self) -> Result<Ipv4Addr, Status> {
        let cidr = self.inner.parts.service_cidr;
        let first = u32::from(cidr.network()) + 1;
        let last = u32::from(cidr.broadcast()).saturating_sub(1);
        let reserved = ((last.saturating_sub(first) + 1) / 16).clamp(0, 256);
        let free = |ip: &u32| {
            self.store()
                .get(&address_key(&Ipv4Addr::from(*ip).to_string()))
                .is_none()
        };
        let upper = first + reserved;
        let mut rng = rand::rng();
        (0..RANDOM_TRIES)
            .map(|_| rng.random_range(upper..=last))
            .find(free)
            .or_else(|| (upper..=last).chain(first..upper).find(free))
            .map(Ipv4Addr::from)
            .ok_or_else(|| Status::internal("failed to allocate a serviceIP: range is full"))
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
