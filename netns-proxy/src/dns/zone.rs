//! Names of the cluster domain to records. Pure.
//!
//! Source: Kubernetes DNS-Based Service Discovery, version 1.1.0
//! (<https://github.com/kubernetes/dns/blob/master/docs/specification.md>).

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use hickory_proto::{
    ProtoError,
    rr::{
        Name, RData, Record, RecordType,
        rdata::{CNAME, NS, PTR, SOA, SRV, TXT},
    },
};

use super::ServiceRecord;
use crate::Protocol;

/// Seconds an answer may be kept; short, because endpoints come and go.
const TTL: u32 = 5;

/// Seconds clients may remember that a name is not there (the SOA's minimum).
const NEGATIVE_TTL: u32 = 5;

/// What the zone says about a question.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// Records, and more to go with them.
    Records {
        answers: Vec<Record>,
        additionals: Vec<Record>,
    },
    /// An alias; the rest of the answer is at its target.
    Alias { alias: Box<Record>, target: Name },
    /// The name is there, not with this type.
    NoData,
    /// No such name.
    NoName,
    /// Not a name of this zone.
    Elsewhere,
}

/// The cluster domain and everything below it.
pub(crate) struct Zone {
    domain: Name,
    services: BTreeMap<String, ServiceRecord>,
    /// Names of an address for PTR, with the service that gave each.
    reverse: HashMap<IpAddr, Vec<(String, Name)>>,
}

impl Zone {
    pub fn new(domain: &str) -> Result<Self, ProtoError> {
        let mut domain = Name::from_ascii(domain)?.to_lowercase();
        domain.set_fqdn(true);
        Ok(Self {
            domain,
            services: BTreeMap::new(),
            reverse: HashMap::new(),
        })
    }

    pub fn set(&mut self, service: &str, record: Option<ServiceRecord>) {
        if let Some(old) = self.services.remove(service) {
            for (address, _) in self.names_of_addresses(service, &old) {
                if let Some(names) = self.reverse.get_mut(&address) {
                    names.retain(|(owner, _)| owner != service);
                    if names.is_empty() {
                        self.reverse.remove(&address);
                    }
                }
            }
        }
        if let Some(record) = record {
            for (address, name) in self.names_of_addresses(service, &record) {
                self.reverse
                    .entry(address)
                    .or_default()
                    .push((service.to_owned(), name));
            }
            self.services.insert(service.to_owned(), record);
        }
    }

    pub fn replace(&mut self, services: BTreeMap<String, ServiceRecord>) {
        self.services.clear();
        self.reverse.clear();
        for (name, record) in services {
            self.set(&name, Some(record));
        }
    }

    fn names_of_addresses(&self, service: &str, record: &ServiceRecord) -> Vec<(IpAddr, Name)> {
        let Some(base) = self.service_name(service) else {
            return Vec::new();
        };
        let of_service = record.addresses.iter().map(|&address| (address, base.clone()));
        let of_endpoints = record.endpoints.iter().filter_map(|(host, address)| {
            let label = endpoint_label(host.as_deref(), *address);
            Some((*address, base.prepend_label(label.as_str()).ok()?))
        });
        of_service.chain(of_endpoints).collect()
    }

    /// `name.namespace.svc.<domain>` of `namespace/name`.
    fn service_name(&self, service: &str) -> Option<Name> {
        let (namespace, name) = service.split_once('/')?;
        Name::from_labels([name.as_bytes(), namespace.as_bytes(), b"svc"])
            .ok()?
            .append_domain(&self.domain)
            .ok()
    }

    /// The record that goes with every negative answer.
    pub fn start_of_authority(&self) -> Record {
        let contact = self
            .domain
            .prepend_label("hostmaster")
            .unwrap_or_else(|_| self.domain.clone());
        let data = SOA::new(self.name_server(), contact, 1, 7200, 1800, 86400, NEGATIVE_TTL);
        Record::from_rdata(self.domain.clone(), NEGATIVE_TTL, RData::SOA(data))
    }

    fn name_server(&self) -> Name {
        let labels = self
            .domain
            .prepend_label("dns")
            .and_then(|name| name.prepend_label("ns"));
        labels.unwrap_or_else(|_| self.domain.clone())
    }

    /// What the zone knows about `name`, whatever its case.
    pub fn answer(&self, name: &Name, kind: RecordType) -> Answer {
        if let Some(address) = reverse_address(name) {
            return self.answer_reverse(name, address, kind);
        }
        if !self.domain.zone_of(name) {
            return Answer::Elsewhere;
        }
        let count = usize::from(name.num_labels() - self.domain.num_labels());
        let labels: Vec<String> = name
            .iter()
            .take(count)
            .map(|label| String::from_utf8_lossy(label).to_lowercase())
            .collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).rev().collect();
        match labels.as_slice() {
            [] => self.answer_apex(name, kind),
            ["dns-version"] => answer(
                kind,
                [record(name, RData::TXT(TXT::new(vec!["1.1.0".to_owned()])))],
            ),
            ["svc" | "pod"] => Answer::NoData,
            ["svc" | "pod", namespace] => {
                if self.has_namespace(namespace) {
                    Answer::NoData
                } else {
                    Answer::NoName
                }
            }
            ["pod", _, address] => match pod_address(address) {
                Some(address) => answer(kind, [address_record(name, address)]),
                None => Answer::NoName,
            },
            ["svc", namespace, service, rest @ ..] => {
                match self.services.get(&format!("{namespace}/{service}")) {
                    Some(found) => {
                        self.answer_service(name, kind, found, &format!("{namespace}/{service}"), rest)
                    }
                    None => Answer::NoName,
                }
            }
            _ => Answer::NoName,
        }
    }

    fn has_namespace(&self, namespace: &str) -> bool {
        let prefix = format!("{namespace}/");
        self.services
            .range(prefix.clone()..)
            .next()
            .is_some_and(|(name, _)| name.starts_with(&prefix))
    }

    fn answer_apex(&self, name: &Name, kind: RecordType) -> Answer {
        match kind {
            RecordType::SOA => Answer::Records {
                answers: vec![self.start_of_authority()],
                additionals: Vec::new(),
            },
            RecordType::NS => {
                let server = self.name_server();
                answer(kind, [record(name, RData::NS(NS(server)))])
            }
            _ => Answer::NoData,
        }
    }

    fn answer_reverse(&self, name: &Name, address: IpAddr, kind: RecordType) -> Answer {
        match self.reverse.get(&address) {
            Some(names) => answer(
                kind,
                names
                    .iter()
                    .map(|(_, target)| record(name, RData::PTR(PTR(target.clone())))),
            ),
            None => Answer::Elsewhere,
        }
    }

    fn answer_service(
        &self,
        name: &Name,
        kind: RecordType,
        found: &ServiceRecord,
        service: &str,
        rest: &[&str],
    ) -> Answer {
        let addresses = || {
            let of_endpoints = found.endpoints.iter().map(|(_, address)| *address);
            found
                .addresses
                .iter()
                .copied()
                .chain(of_endpoints.filter(|_| found.addresses.is_empty()))
        };
        match rest {
            [] => {
                if let Some(target) = &found.external_name {
                    let Ok(mut target) = Name::from_ascii(target) else {
                        return Answer::NoData;
                    };
                    target.set_fqdn(true);
                    let alias = Box::new(record(name, RData::CNAME(CNAME(target.clone()))));
                    return Answer::Alias { alias, target };
                }
                if kind == RecordType::SRV {
                    return self.answer_srv(name, found, service, None);
                }
                answer(kind, addresses().map(|address| address_record(name, address)))
            }
            [protocol @ ("_tcp" | "_udp")] => {
                if found
                    .ports
                    .iter()
                    .any(|(_, known, _)| label_of(*known) == *protocol)
                {
                    Answer::NoData
                } else {
                    Answer::NoName
                }
            }
            [protocol @ ("_tcp" | "_udp"), port] => {
                let Some(port) = port.strip_prefix('_') else {
                    return Answer::NoName;
                };
                let known = |one: &(String, Protocol, u16)| one.0 == port && label_of(one.1) == *protocol;
                match (found.ports.iter().any(known), kind) {
                    (false, _) => Answer::NoName,
                    (true, RecordType::SRV) => self.answer_srv(name, found, service, Some((port, protocol))),
                    (true, _) => Answer::NoData,
                }
            }
            [host] if found.addresses.is_empty() => {
                let matching = found
                    .endpoints
                    .iter()
                    .filter(|(known, address)| endpoint_label(known.as_deref(), *address) == *host)
                    .map(|(_, address)| address_record(name, *address));
                let matching: Vec<Record> = matching.collect();
                if matching.is_empty() {
                    Answer::NoName
                } else {
                    answer(kind, matching)
                }
            }
            _ => Answer::NoName,
        }
    }

    /// SRV: one target for a service with an address, one per endpoint for a headless one.
    fn answer_srv(
        &self,
        name: &Name,
        found: &ServiceRecord,
        service: &str,
        only: Option<(&str, &str)>,
    ) -> Answer {
        let Some(base) = self.service_name(service) else {
            return Answer::NoData;
        };
        let mut targets: Vec<(Name, IpAddr)> = found
            .addresses
            .iter()
            .map(|&address| (base.clone(), address))
            .collect();
        if found.addresses.is_empty() {
            targets.extend(found.endpoints.iter().filter_map(|(host, address)| {
                let label = endpoint_label(host.as_deref(), *address);
                Some((base.prepend_label(label.as_str()).ok()?, *address))
            }));
        }
        let ports: Vec<u16> = found
            .ports
            .iter()
            .filter(|(port, protocol, _)| {
                only.is_none_or(|(name, label)| port == name && label_of(*protocol) == label)
            })
            .map(|(_, _, number)| *number)
            .collect();
        let mut answers: Vec<Record> = Vec::new();
        for (target, _) in &targets {
            for &port in &ports {
                let srv = record(name, RData::SRV(SRV::new(0, 100, port, target.clone())));
                if !answers.contains(&srv) {
                    answers.push(srv);
                }
            }
        }
        if answers.is_empty() {
            return Answer::NoData;
        }
        let additionals = targets
            .iter()
            .map(|(target, address)| address_record(target, *address))
            .collect();
        Answer::Records { answers, additionals }
    }
}

fn label_of(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "_tcp",
        Protocol::Udp => "_udp",
    }
}

/// The host name of an endpoint, or one made of its address.
fn endpoint_label(host: Option<&str>, address: IpAddr) -> String {
    match host {
        Some(host) => host.to_lowercase(),
        None => address.to_string().replace(['.', ':'], "-"),
    }
}

/// The address in the label of a pod record, `10-42-0-7` or `fd00-42--7`.
fn pod_address(label: &str) -> Option<IpAddr> {
    let v4 = label.replace('-', ".").parse::<Ipv4Addr>().map(IpAddr::V4);
    let v6 = || label.replace('-', ":").parse::<Ipv6Addr>().map(IpAddr::V6);
    v4.or_else(|_| v6()).ok()
}

/// The address a PTR question is about; none for anything but a whole address.
fn reverse_address(name: &Name) -> Option<IpAddr> {
    let net = name.parse_arpa_name().ok()?;
    let whole = if net.addr().is_ipv4() { 32 } else { 128 };
    (net.prefix_len() == whole).then(|| net.addr())
}

fn record(name: &Name, data: RData) -> Record {
    Record::from_rdata(name.clone(), TTL, data)
}

fn address_record(name: &Name, address: IpAddr) -> Record {
    record(name, RData::from(address))
}

/// Those of the name's `records` that are of the asked type.
fn answer(kind: RecordType, records: impl IntoIterator<Item = Record>) -> Answer {
    let answers: Vec<Record> = records
        .into_iter()
        .filter(|record| kind == RecordType::ANY || record.record_type() == kind)
        .collect();
    if answers.is_empty() {
        Answer::NoData
    } else {
        Answer::Records {
            answers,
            additionals: Vec::new(),
        }
    }
}

#[cfg(test)]
#[path = "zone_tests.rs"]
mod tests;
