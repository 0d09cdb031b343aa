//! Egress by the kernel, for root: a veth pair between node and host namespace, masqueraded on both sides.
//!
//! Masqueraded twice, so that the host learns nothing of pod addresses (no route that could clash with one of its own)
//! and everything of ours in the host namespace is one interface, one nftables table and the forwarding switch.

use std::{
    fs, io,
    net::Ipv4Addr,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use ipnet::Ipv4Net;
use netlink_packet_route::address::AddressScope;
use skiff_netns_proxy::netns::Namespace;

use super::TABLE;
use crate::{
    Config, Error,
    link::{self, Route},
    netlink::Refused,
    nftables::{self, Hook, Rule, Table},
};

/// The node namespace's end of the pair.
const UPLINK: &str = "uplink";
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// Names and addresses of one node network on this host: several may run side by side.
#[derive(Clone, Debug)]
struct Names {
    /// The host's end of the pair, and the table in the host namespace.
    host: String,
    host_address: Ipv4Addr,
    node_address: Ipv4Addr,
}

impl Names {
    /// Made of the directory, which no two networks share.
    fn of(dir: &Path) -> Self {
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
            host: format!("skiff-{number:03x}"),
            host_address: Ipv4Addr::from(base + 1),
            node_address: Ipv4Addr::from(base + 2),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Masquerade {
    names: Names,
    /// What forwarding on the host was before us.
    saved: PathBuf,
}

impl Masquerade {
    /// Sets it up, or takes over what an earlier agent set up. A failure leaves nothing behind.
    pub async fn start(config: &Config, node: &Arc<Namespace>, host: &Arc<Namespace>) -> Result<Self, Error> {
        let masquerade = Self {
            names: Names::of(&config.dir),
            saved: config.dir.join("host-ip-forward"),
        };
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
        let saved = self.saved.clone();
        host.run(move || -> Result<(), Error> {
            if nftables::forwarding_is_dropped().map_err(at("look at the host's firewall"))? {
                let text = "the host's firewall drops forwarded packets";
                return Err(Error::new("masquerade", io::Error::other(text)));
            }
            forward(&saved).map_err(at("switch forwarding on"))
        })
        .await
        .map_err(at("enter the host namespace"))??;

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
            let index = index_of(&names.host)?;
            link::ensure(&[link::add_address(
                index,
                names.host_address,
                30,
                AddressScope::Link,
            )])?;
            let ours = Rule::new().from(names.node_address.into()).masquerade();
            Ok(nftables::replace(&Table {
                name: &names.host,
                chains: &[("postrouting", Hook::SourceNat, vec![ours])],
            })?)
        })
        .await
        .map_err(at("enter the host namespace"))??;

        let names = self.names.clone();
        node.run(move || -> Result<(), Error> {
            let index = index_of(UPLINK)?;
            let default = Route {
                device: Some(index),
                via: Some(names.host_address),
                source: Some(names.node_address),
                ..Route::new(Ipv4Net::default())
            };
            link::ensure(&[
                link::set_up(index),
                // Of universal scope: masquerading takes no other.
                link::add_address(index, names.node_address, 30, AddressScope::Universe),
                default.request(),
            ])?;
            let ours = Rule::new().out_by(UPLINK).masquerade();
            Ok(nftables::replace(&Table {
                name: TABLE,
                chains: &[("postrouting", Hook::SourceNat, vec![ours])],
            })?)
        })
        .await
        .map_err(at("enter the node namespace"))??;
        Ok(link::wait_until_running(host, &self.names.host).await?)
    }

    /// Removes everything of ours from both namespaces. Idempotent.
    pub async fn stop(self, node: &Namespace, host: &Namespace) -> Result<(), Error> {
        let Self { names, saved } = self;
        let outside = host.run(move || -> Result<(), Error> {
            let interface = link::delete(&names.host);
            let table = nftables::remove(&names.host);
            let switch = restore_forwarding(&saved).map_err(|source| Refused {
                what: "restore forwarding".into(),
                source,
            });
            Ok(interface.and(table).and(switch)?)
        });
        let outside = outside
            .await
            .map_err(|source| Error::new("enter the host namespace", source))?;
        let inside = node.run(|| nftables::remove(TABLE)).await;
        let inside = inside.map_err(|source| Error::new("enter the node namespace", source))?;
        outside.and(inside.map_err(Error::from))
    }
}

fn index_of(name: &str) -> Result<u32, Error> {
    let found = link::find(name).and_then(|found| found.ok_or_else(|| io::ErrorKind::NotFound.into()));
    found
        .map(|interface| interface.index)
        .map_err(|source| Error::new("find a new interface", source))
}

/// Switches forwarding on in the calling thread's namespace, and notes in `saved` if it was off.
fn forward(saved: &Path) -> io::Result<()> {
    if fs::read_to_string(FORWARDING)?.trim() != "1" {
        fs::write(saved, "0")?;
        fs::write(FORWARDING, "1")?;
    }
    Ok(())
}

fn restore_forwarding(saved: &Path) -> io::Result<()> {
    match fs::read_to_string(saved) {
        Ok(value) => fs::write(FORWARDING, value)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    fs::remove_file(saved)
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
