//! Egress by the kernel, for root: a veth pair between node and host namespace, masqueraded on both sides.
//!
//! Masqueraded twice, so that the host learns nothing of pod addresses (no route that could clash with one of its own)
//! and everything of ours in the host namespace is one interface, one nftables table and the forwarding switch.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::Arc,
};

use ipnet::Ipv4Net;
use netlink_packet_route::address::AddressScope;
use skiff_netns_proxy::netns::Namespace;

use super::TABLE;
use crate::{
    Config, Error,
    link::{self, Route},
    nftables::{self, Chain, Family, Hook, Rule, Table},
};

/// The node namespace's end of the pair.
const UPLINK: &str = "uplink";
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
/// How the names of all networks' host interfaces begin.
const PREFIX: &str = "skiff-";
/// Note at a host interface: the last such interface to go switches forwarding off again. It is kept there because it
/// must live exactly as long, whatever becomes of the agent and its directory.
const WAS_OFF: &str = "forwarding was off";

/// Names and addresses of one node network on this host: several may run side by side.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The host's end of the pair, and the table in the host namespace.
    host: String,
    pub host_address: Ipv4Addr,
    pub node_address: Ipv4Addr,
}

impl Names {
    /// Made of the directory, which no two networks share.
    pub fn of(dir: &Path) -> Self {
        // FNV-1a: the same in every build, unlike the standard library's hasher.
        let hash = dir
            .as_os_str()
            .as_encoded_bytes()
            .iter()
            .fold(0x811c_9dc5_u32, |hash, byte| {
                (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
            });
        let number = hash & 0x0fff;
        // Four addresses each of 169.254.64.0/18: link-local, and away from the pods' gateway.
        let base = u32::from(Ipv4Addr::new(169, 254, 64, 0)) + number * 4;
        Self {
            host: format!("{PREFIX}{number:03x}"),
            host_address: Ipv4Addr::from(base + 1),
            node_address: Ipv4Addr::from(base + 2),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Masquerade {
    names: Names,
}

impl Masquerade {
    /// That of a network, whether it is set up or not.
    pub fn of(config: &Config) -> Self {
        Self {
            names: Names::of(&config.dir),
        }
    }

    /// Sets it up, or takes over what an earlier agent set up. A failure leaves nothing behind.
    pub async fn start(config: &Config, node: &Arc<Namespace>, host: &Arc<Namespace>) -> Result<Self, Error> {
        let masquerade = Self::of(config);
        match masquerade.set_up(node, host).await {
            Ok(()) => Ok(masquerade),
            Err(error) => {
                // The first failure is the one to tell.
                let _ = masquerade.stop(node, host).await;
                Err(error)
            }
        }
    }

    async fn set_up(&self, node: &Arc<Namespace>, host: &Arc<Namespace>) -> Result<(), Error> {
        let at = |operation: &'static str| move |source| Error::new(operation, source);
        let names = self.names.clone();
        let uplink = node
            .run(|| link::find(UPLINK))
            .await
            .and_then(|found| found)
            .map_err(at("find the uplink interface"))?;
        let into: OwnedFd = node
            .as_fd()
            .try_clone_to_owned()
            .map_err(at("keep the node namespace"))?;
        host.run(move || -> Result<(), Error> {
            if nftables::forwarding_is_dropped().map_err(at("look at the host's firewall"))? {
                let text = "the host's firewall drops forwarded packets";
                return Err(Error::new("masquerade", io::Error::other(text)));
            }
            let known = link::find(&names.host).map_err(at("find the host's interface"))?;
            let paired = match (&uplink, &known) {
                (Some(inside), Some(outside)) => {
                    inside.peer == Some(outside.index) && outside.peer == Some(inside.index)
                }
                _ => false,
            };
            if !paired {
                link::delete(&names.host)?;
                link::ensure(&[link::add_veth(&names.host, UPLINK, into.as_fd())])?;
            }
            let index = link::index_of(&names.host)?;
            link::ensure(&[link::add_address(
                index,
                names.host_address.into(),
                30,
                AddressScope::Link,
            )])?;
            forward(index)?;
            let ours = Rule::new().from(IpAddr::V4(names.node_address)).masquerade();
            Ok(nftables::replace(&[Table {
                name: &names.host,
                family: Family::V4,
                sets: Vec::new(),
                chains: vec![Chain::at(Hook::SourceNat, "postrouting", vec![ours])],
            }])?)
        })
        .await
        .map_err(at("enter the host namespace"))??;

        let names = self.names.clone();
        node.run(move || lead_out(UPLINK, &names))
            .await
            .map_err(at("enter the node namespace"))??;
        Ok(link::wait_until_running(host, &self.names.host).await?)
    }

    /// Removes everything of ours from both namespaces. Idempotent.
    pub async fn stop(self, node: &Namespace, host: &Namespace) -> Result<(), Error> {
        let name = self.names.host;
        let outside = host.run(move || -> Result<(), Error> {
            let noted =
                link::find(&name).map_err(|source| Error::new("find the host's interface", source))?;
            let was_off = noted.is_some_and(|interface| interface.alias.as_deref() == Some(WAS_OFF));
            let interface = link::delete(&name);
            let table = nftables::remove(&name, Family::V4);
            if was_off && others()?.is_empty() {
                switch_forwarding("0")?;
            }
            Ok(interface.and(table)?)
        });
        let outside = outside
            .await
            .map_err(|source| Error::new("enter the host namespace", source))?;
        let inside = node.run(|| nftables::remove(TABLE, Family::V4)).await;
        let inside = inside.map_err(|source| Error::new("enter the node namespace", source))?;
        outside.and(inside.map_err(Error::from))
    }
}

/// Leads what is for the world out of the calling thread's namespace, the node's, by an interface there, masqueraded.
pub(super) fn lead_out(interface: &str, names: &Names) -> Result<(), Error> {
    let index = link::index_of(interface)?;
    let default = Route {
        device: Some(index),
        via: Some(names.host_address.into()),
        source: Some(names.node_address.into()),
        ..Route::new(Ipv4Net::default())
    };
    link::ensure(&[
        link::set_up(index),
        // Of universal scope: masquerading takes no other.
        link::add_address(index, names.node_address.into(), 30, AddressScope::Universe),
        default.request(),
    ])?;
    let ours = Rule::new().out_by(interface).masquerade();
    Ok(nftables::replace(&[Table {
        name: TABLE,
        family: Family::V4,
        sets: Vec::new(),
        chains: vec![Chain::at(Hook::SourceNat, "postrouting", vec![ours])],
    }])?)
}

/// The host interfaces of all networks on this host.
fn others() -> Result<Vec<link::Interface>, Error> {
    let mut all = link::list().map_err(|source| Error::new("list interfaces", source))?;
    all.retain(|interface| interface.name.starts_with(PREFIX));
    Ok(all)
}

/// Switches forwarding on in the calling thread's namespace, and notes at our interface `index` if that, or another
/// network's interface before, is what switched it on.
fn forward(index: u32) -> Result<(), Error> {
    let value =
        fs::read_to_string(FORWARDING).map_err(|source| Error::new("read the host's ip_forward", source))?;
    let off = value.trim() != "1";
    let noted = |interface: &link::Interface| interface.alias.as_deref() == Some(WAS_OFF);
    if off || others()?.iter().any(noted) {
        // The note first: switched on without it, forwarding would stay on for ever.
        link::ensure(&[link::set_alias(index, WAS_OFF)])?;
    }
    if off { switch_forwarding("1") } else { Ok(()) }
}

fn switch_forwarding(value: &str) -> Result<(), Error> {
    fs::write(FORWARDING, value).map_err(|source| Error::new("switch the host's ip_forward", source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_an_interface_and_addresses_are_hosts_of_one_small_network() {
        for dir in ["/run/skiff/network", "/run/user/1000/skiff/network", ""] {
            let names = Names::of(Path::new(dir));
            assert!(names.host.len() <= 15, "{names:?}");
            let range = Ipv4Net::new(names.host_address, 30).unwrap().trunc();
            assert!(
                range.hosts().eq([names.host_address, names.node_address]),
                "{names:?}"
            );
            assert_eq!(names.host_address.octets()[..2], [169, 254]);
        }
    }
}
