//! What is fixed at the first start of a cluster, and what follows from it.

use std::{
    net::{IpAddr, Ipv4Addr, UdpSocket},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use skiff_control::{DualRange, Pool};

use crate::{
    cli::{AgentArgs, NodeArgs, ServerArgs},
    paths::Paths,
};

/// Settings that objects in the store depend on: a later start with others would strand them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    /// Addresses of pods.
    pub cluster_cidr: DualRange,
    /// Addresses of services.
    pub service_cidr: DualRange,
    /// DNS domain.
    pub cluster_domain: String,
}

/// Where they are kept, in the data directory.
const FILE: &str = "cluster.json";

impl Fixed {
    /// Compares the settings with those of the first start, or records them at the first.
    pub fn check(args: &ServerArgs, data: &Path) -> Result<Self> {
        let first = Self::read(data);
        let known = first.clone().unwrap_or_default();
        let now = Self {
            cluster_cidr: args.cluster_cidr.map_or(known.cluster_cidr, |cidr| cidr.trunc()),
            service_cidr: args.service_cidr.map_or(known.service_cidr, |cidr| cidr.trunc()),
            cluster_domain: args.cluster_domain.clone().unwrap_or(known.cluster_domain),
        };
        now.are_sound()?;
        for range in args.load_balancer_pool.iter().flat_map(Pool::ranges) {
            ensure!(
                !meets(range, now.cluster_cidr.v4) && !meets(range, now.service_cidr.v4),
                "--load-balancer-pool has {}-{}, which is inside the cluster (--cluster-cidr {}, --service-cidr {})",
                range.0,
                range.1,
                now.cluster_cidr,
                now.service_cidr
            );
        }
        if let Some(first) = first {
            ensure!(
                first == now,
                "this cluster was started with --cluster-cidr {} --service-cidr {} --cluster-domain {}: give the same, \
                 or start a new one after `skiff down --purge`",
                first.cluster_cidr,
                first.service_cidr,
                first.cluster_domain
            );
            return Ok(now);
        }
        now.record(data)?;
        Ok(now)
    }

    fn are_sound(&self) -> Result<()> {
        let Self {
            cluster_cidr,
            service_cidr,
            ..
        } = self;
        ensure!(
            cluster_cidr.v4.prefix_len() <= 24,
            "--cluster-cidr {cluster_cidr} is smaller than one node's /24"
        );
        ensure!(
            service_cidr.v4.prefix_len() <= 28,
            "--service-cidr {service_cidr} has fewer than 16 addresses"
        );
        ensure!(
            !cluster_cidr.overlaps(*service_cidr),
            "--cluster-cidr {cluster_cidr} and --service-cidr {service_cidr} overlap"
        );
        ensure!(
            cluster_cidr.v6.is_some() == service_cidr.v6.is_some(),
            "--cluster-cidr {cluster_cidr} and --service-cidr {service_cidr}: give both an IPv6 range, or neither"
        );
        if let Some((pods, services)) = cluster_cidr.v6.zip(service_cidr.v6) {
            let nodes = 24 - cluster_cidr.v4.prefix_len();
            ensure!(
                pods.prefix_len() + nodes <= 64,
                "--cluster-cidr {cluster_cidr}: the IPv6 range has a /64 for fewer nodes than the IPv4 range has a /24 for; \
                 make it a /{}",
                64 - nodes
            );
            // As Kubernetes: up to 2^20 addresses.
            ensure!(
                (108..=124).contains(&services.prefix_len()),
                "--service-cidr {service_cidr}: the IPv6 range must be between a /108 and a /124"
            );
        }
        Ok(())
    }

    /// Writes the settings down, for later starts to be compared with.
    pub fn record(&self, data: &Path) -> Result<()> {
        let path = data.join(FILE);
        skiff_control::pki::write_private(&path, &serde_json::to_string(self)?)?;
        Ok(())
    }

    /// The settings of the first start, or those the server told when this node joined, or the defaults.
    pub fn recorded(data: &Path) -> Self {
        Self::read(data).unwrap_or_default()
    }

    fn read(data: &Path) -> Option<Self> {
        // A file cut short by a crash at the very first start is as good as none.
        let bytes = std::fs::read(data.join(FILE)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Compares with what an agent was started with: it can't have other settings than its server.
    pub fn agree(&self, args: &AgentArgs) -> Result<()> {
        let agrees = args
            .cluster_cidr
            .is_none_or(|cidr| cidr.trunc() == self.cluster_cidr)
            && args
                .service_cidr
                .is_none_or(|cidr| cidr.trunc() == self.service_cidr)
            && args
                .cluster_domain
                .as_ref()
                .is_none_or(|domain| *domain == self.cluster_domain);
        ensure!(
            agrees,
            "the server has --cluster-cidr {} --service-cidr {} --cluster-domain {}: leave these options out, the agent \
             learns them when it joins",
            self.cluster_cidr,
            self.service_cidr,
            self.cluster_domain
        );
        Ok(())
    }

    /// Spells the settings out in the arguments of a server.
    pub fn spell_out(&self, args: &mut ServerArgs) {
        args.cluster_cidr = Some(self.cluster_cidr);
        args.service_cidr = Some(self.service_cidr);
        args.cluster_domain = Some(self.cluster_domain.clone());
    }
}

/// Whether a range, given by its first and last address, has addresses of a network.
fn meets((first, last): (Ipv4Addr, Ipv4Addr), network: Ipv4Net) -> bool {
    first <= network.broadcast() && network.network() <= last
}

impl Default for Fixed {
    fn default() -> Self {
        Self {
            cluster_cidr: Ipv4Net::new_assert(Ipv4Addr::new(10, 244, 0, 0), 16).into(),
            service_cidr: Ipv4Net::new_assert(Ipv4Addr::new(10, 96, 0, 0), 16).into(),
            cluster_domain: "cluster.local".into(),
        }
    }
}

/// The address of the cluster's DNS: the tenth of the service addresses, as usual.
pub fn dns_address(service_cidr: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from_bits(service_cidr.network().to_bits() + 10)
}

/// The address this machine uses towards `to` (nothing is sent): what others reach it at.
pub fn address_towards(to: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = if to.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((to, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|a| !a.is_unspecified())
}

/// The address of the default route, or loopback on a machine without any network.
pub fn default_address() -> IpAddr {
    // 192.0.2.1 is set aside for documentation (RFC 5737): only the route to it is asked for.
    address_towards(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))).unwrap_or(Ipv4Addr::LOCALHOST.into())
}

/// The name of this host.
pub fn host_name() -> Result<String> {
    let name = nix::unistd::gethostname().context("read the host name")?;
    Ok(name.to_string_lossy().into_owned())
}

/// The node's name: as given, or the host's, as a DNS name.
pub fn node_name(given: Option<&str>) -> Result<String> {
    let name = match given {
        Some(name) => name.to_owned(),
        None => host_name()?.to_lowercase().replace('_', "-"),
    };
    let valid = !name.is_empty()
        && name.len() <= 63
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.')
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric());
    ensure!(
        valid,
        "{name:?} can't be the name of a node: lower-case letters, digits, '-' and '.', at most 63; give --node-name"
    );
    Ok(name)
}

/// The agent's settings.
pub fn agent_config(paths: &Paths, node: &NodeArgs, fixed: &Fixed) -> Result<skiff_node_agent::Config> {
    Ok(skiff_node_agent::Config {
        data_dir: paths.data.join("agent"),
        run_dir: paths.run.join("agent"),
        kubeconfig: paths.node_kubeconfig(),
        key: String::new(),
        node_name: node_name(node.node_name.as_deref())?,
        node_ip: node.node_ip,
        labels: node.node_label.clone(),
        cluster_domain: fixed.cluster_domain.clone(),
        cluster_dns: dns_address(fixed.service_cidr.v4),
        cluster_cidr: ranges(fixed.cluster_cidr),
        service_cidr: ranges(fixed.service_cidr),
        node_port_addresses: node.node_port_address.clone(),
        max_pods: node.max_pods,
        forwarder_port: node.forwarder_port,
        egress: node.egress.way(),
        insecure_registries: node.insecure_registry.clone(),
        mirrors: node.registry_mirror.clone(),
    })
}

/// The same range for the agent, which shares no code with the control plane.
fn ranges(range: DualRange) -> skiff_node_agent::DualRange {
    skiff_node_agent::DualRange {
        v4: range.v4,
        v6: range.v6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_named_after_its_host_in_lower_case() {
        assert_eq!(node_name(Some("n-1.example")).unwrap(), "n-1.example");
        assert!(node_name(Some("N1")).is_err());
        assert!(node_name(Some("-n")).is_err());
        assert!(node_name(None).is_ok());
    }

    #[test]
    fn the_second_family_has_room_for_every_node_and_comes_with_both_ranges() {
        let check = |pods: &str, services: &str| {
            let fixed = Fixed {
                cluster_cidr: pods.parse().unwrap(),
                service_cidr: services.parse().unwrap(),
                ..Fixed::default()
            };
            fixed.are_sound().map_err(|error| error.to_string())
        };
        let (pods, services) = ("10.42.0.0/16,fd00:42::/56", "10.43.0.0/16,fd00:43::/112");
        assert_eq!(check(pods, services), Ok(()));
        assert!(check(pods, "10.43.0.0/16").is_err_and(|text| text.contains("or neither")));
        assert!(
            check("10.42.0.0/16,fd00:42::/57", services).is_err_and(|text| text.contains("make it a /56"))
        );
        assert!(check(pods, "10.43.0.0/16,fd00:43::/64").is_err_and(|text| text.contains("/108")));
        assert!(check(pods, "10.43.0.0/16,fd00:42::/112").is_err_and(|text| text.contains("overlap")));
    }

    #[test]
    fn dns_is_the_tenth_service_address() {
        assert_eq!(
            dns_address("10.96.0.0/16".parse().unwrap()),
            Ipv4Addr::new(10, 96, 0, 10)
        );
    }
}
