//! From NetworkPolicies, pods and namespaces to the rules of this node's pods. Pure.
//!
//! Source: Kubernetes, "Network Policies": a pod that some policy selects for a direction may do there what any of these policies
//! allows, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;
use k8s_openapi::{
    api::{
        core::v1::{Namespace, Pod},
        networking::v1::{IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort},
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use kube::ResourceExt as _;
use skiff_pod_network::policy::{self, AddressRange, Allow, PodRules, PortRange, Rules};

/// What is looked at of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PodFacts {
    pub namespace: String,
    pub node: String,
    /// One of each family it has.
    pub addresses: Vec<IpAddr>,
    pub labels: BTreeMap<String, String>,
    /// Name, protocol and number of its named ports.
    ports: Vec<(String, u8, u16)>,
}

impl PodFacts {
    /// None for a pod without an address of its own, or one that has ended.
    pub fn of(pod: &Pod) -> Option<Self> {
        let (spec, status) = (pod.spec.as_ref()?, pod.status.as_ref()?);
        let ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
        if ended || spec.host_network == Some(true) {
            return None;
        }
        let containers = spec
            .containers
            .iter()
            .chain(spec.init_containers.iter().flatten());
        let ports = containers
            .flat_map(|container| container.ports.iter().flatten())
            .filter_map(|port| {
                let number = u16::try_from(port.container_port).ok()?;
                Some((port.name.clone()?, protocol(port.protocol.as_deref())?, number))
            });
        let listed = status.pod_ips.iter().flatten().map(|one| &one.ip);
        let addresses: BTreeSet<IpAddr> = listed
            .chain(&status.pod_ip)
            .filter_map(|ip| ip.parse().ok())
            .collect();
        if addresses.is_empty() {
            return None;
        }
        Some(Self {
            namespace: pod.namespace().unwrap_or_default(),
            node: spec.node_name.clone()?,
            addresses: addresses.into_iter().collect(),
            labels: pod.labels().clone(),
            ports: ports.collect(),
        })
    }

    fn ranges(&self) -> impl Iterator<Item = AddressRange> {
        self.addresses.iter().map(|address| IpNet::from(*address).into())
    }

    fn named_port(&self, name: &str, protocol: u8) -> Option<u16> {
        let mut ports = self.ports.iter();
        let found = ports.find(|(own, own_protocol, _)| own == name && *own_protocol == protocol);
        found.map(|(.., number)| *number)
    }
}

/// Number of a protocol; none for one we don't carry.
fn protocol(name: Option<&str>) -> Option<u8> {
    match name.unwrap_or("TCP") {
        "TCP" => Some(libc::IPPROTO_TCP as u8),
        "UDP" => Some(libc::IPPROTO_UDP as u8),
        "SCTP" => Some(libc::IPPROTO_SCTP as u8),
        _ => None,
    }
}

/// Whether labels are selected. An empty selector selects everything.
fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let mut wanted = selector.match_labels.iter().flatten();
    let mut expressions = selector.match_expressions.iter().flatten();
    wanted.all(|(key, value)| labels.get(key) == Some(value))
        && expressions.all(|expression| {
            let value = labels.get(&expression.key);
            let listed = |value: &String| expression.values.iter().flatten().any(|one| one == value);
            match expression.operator.as_str() {
                "In" => value.is_some_and(listed),
                "NotIn" => !value.is_some_and(listed),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

/// All that rules are made of.
pub(super) struct World<'w> {
    pub policies: &'w BTreeMap<String, NetworkPolicy>,
    pub pods: &'w BTreeMap<String, PodFacts>,
    pub namespaces: &'w BTreeMap<String, Namespace>,
}

/// The two directions of a rule.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ingress,
    Egress,
}

impl World<'_> {
    /// The rules of the pods of `node`.
    pub fn rules(&self, node: &str) -> Rules {
        let local = self.pods.values().filter(|pod| pod.node == node);
        local
            .flat_map(|pod| {
                let rules = Some(self.rules_of(pod)).filter(|rules| *rules != PodRules::default());
                let each = pod.addresses.iter();
                each.filter_map(move |address| Some((*address, rules.clone()?)))
            })
            .collect()
    }

    fn rules_of(&self, pod: &PodFacts) -> PodRules {
        let mut rules = PodRules::default();
        let own = self
            .policies
            .values()
            .filter(|policy| policy.namespace().as_ref() == Some(&pod.namespace));
        for policy in own {
            let Some(spec) = &policy.spec else { continue };
            let everything = LabelSelector::default();
            if !selects(spec.pod_selector.as_ref().unwrap_or(&everything), &pod.labels) {
                continue;
            }
            let types = spec.policy_types.as_deref().unwrap_or_default();
            if types.iter().any(|kind| kind == "Ingress") {
                let allowed = rules.ingress.get_or_insert_default();
                for rule in spec.ingress.iter().flatten() {
                    allowed.extend(self.allowed(
                        pod,
                        Direction::Ingress,
                        rule.from.as_deref(),
                        rule.ports.as_deref(),
                    ));
                }
            }
            if types.iter().any(|kind| kind == "Egress") {
                let allowed = rules.egress.get_or_insert_default();
                for rule in spec.egress.iter().flatten() {
                    allowed.extend(self.allowed(
                        pod,
                        Direction::Egress,
                        rule.to.as_deref(),
                        rule.ports.as_deref(),
                    ));
                }
            }
        }
        rules
    }

    /// What one rule of a policy allows a pod.
    fn allowed(
        &self,
        pod: &PodFacts,
        direction: Direction,
        peers: Option<&[NetworkPolicyPeer]>,
        ports: Option<&[NetworkPolicyPort]>,
    ) -> Vec<Allow> {
        // An empty list is as good as none: anybody, any port.
        let peers = peers.filter(|peers| !peers.is_empty());
        let ports = ports.filter(|ports| !ports.is_empty());
        let chosen = peers.map(|peers| self.chosen_pods(&pod.namespace, peers));
        let others = peers.map(|peers| {
            let blocks = peers
                .iter()
                .filter_map(|peer| peer.ip_block.as_ref())
                .flat_map(block);
            let pods = chosen.iter().flatten().flat_map(|pod| pod.ranges());
            policy::merged(blocks.chain(pods).collect())
        });
        let Some(ports) = ports else {
            return vec![Allow { others, ports: None }];
        };
        let mut plain = Vec::new();
        let mut allowed = Vec::new();
        for port in ports {
            let Some(protocol) = protocol(port.protocol.as_deref()) else {
                continue;
            };
            let range = |first, last| PortRange {
                protocol,
                first,
                last,
            };
            match &port.port {
                None => plain.push(range(0, u16::MAX)),
                Some(IntOrString::Int(first)) => {
                    let last = port.end_port.unwrap_or(*first);
                    if let (Ok(first), Ok(last)) = (u16::try_from(*first), u16::try_from(last)) {
                        plain.push(range(first, last));
                    }
                }
                // A name means the port that the receiving pod has under it.
                Some(IntOrString::String(name)) if direction == Direction::Ingress => {
                    plain.extend(pod.named_port(name, protocol).map(|number| range(number, number)));
                }
                Some(IntOrString::String(name)) => {
                    let receivers: Vec<&PodFacts> = match &chosen {
                        Some(chosen) => chosen.clone(),
                        None => self.pods.values().collect(),
                    };
                    let mut by_number: BTreeMap<u16, Vec<AddressRange>> = BTreeMap::new();
                    for receiver in receivers {
                        if let Some(number) = receiver.named_port(name, protocol) {
                            by_number.entry(number).or_default().extend(receiver.ranges());
                        }
                    }
                    allowed.extend(by_number.into_iter().map(|(number, addresses)| Allow {
                        others: Some(policy::merged(addresses)),
                        ports: Some(vec![range(number, number)]),
                    }));
                }
            }
        }
        if !plain.is_empty() {
            allowed.push(Allow {
                others,
                ports: Some(plain),
            });
        }
        allowed
    }

    /// The pods that peers select, seen from a namespace.
    fn chosen_pods(&self, namespace: &str, peers: &[NetworkPolicyPeer]) -> Vec<&PodFacts> {
        let mut chosen = Vec::new();
        for peer in peers.iter().filter(|peer| peer.ip_block.is_none()) {
            let namespaces: BTreeSet<&str> = match &peer.namespace_selector {
                None => [namespace].into(),
                Some(selector) => self
                    .namespaces
                    .iter()
                    .filter(|(_, object)| selects(selector, object.labels()))
                    .map(|(name, _)| name.as_str())
                    .collect(),
            };
            let is_chosen = |pod: &&PodFacts| {
                namespaces.contains(pod.namespace.as_str())
                    && peer
                        .pod_selector
                        .as_ref()
                        .is_none_or(|selector| selects(selector, &pod.labels))
            };
            chosen.extend(self.pods.values().filter(is_chosen));
        }
        chosen
    }
}

/// The addresses of a block.
fn block(block: &IPBlock) -> Vec<AddressRange> {
    let Ok(whole) = block.cidr.parse() else {
        return Vec::new();
    };
    let except = block.except.iter().flatten();
    let except: Vec<IpNet> = except.filter_map(|text| text.parse().ok()).collect();
    policy::without(whole, &except)
}
