//! Network devices of the host that a container is given: moved into its network namespace, renamed, with their addresses,
//! and up. Source: OCI runtime-spec, config-linux.md, "Network Devices".
//!
//! Nobody gives them back when the container ends: the kernel returns physical devices and removes virtual ones.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope},
    link::{LinkAttribute, LinkFlags, LinkMessage},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use oci_spec::runtime::LinuxNetDevice;
use rustix::{
    fs::{Mode, OFlags},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::error::{Context, invalid};

/// The longest name of a device, and the zero byte behind it. Source: linux/if.h, IFNAMSIZ.
const NAME_ROOM: usize = 16;

/// A name the kernel takes for a device. Source: dev_valid_name in Linux, net/core/dev.c.
pub(crate) fn valid_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() < NAME_ROOM
        && !name
            .chars()
            .any(|c| matches!(c, '/' | ':') || c.is_ascii_whitespace() || c.is_control())
}

/// Devices that a container has been given.
#[derive(Debug)]
pub(super) struct Given {
    outside: Place,
    inside: Place,
    /// Name outside and name inside.
    names: Vec<(String, String)>,
}

impl Given {
    /// Moves `devices` of this process's network namespace into `namespace`.
    ///
    /// # Errors
    /// A device that does not exist, or whose new name is taken; those moved before are here again then.
    pub fn give(devices: &HashMap<String, LinuxNetDevice>, namespace: OwnedFd) -> io::Result<Self> {
        let mut given = Given {
            outside: Place::here()?,
            inside: Place::enter(namespace)?,
            names: Vec::new(),
        };
        for (name, device) in devices {
            let wanted = device
                .name()
                .as_deref()
                .filter(|name| !name.is_empty())
                .unwrap_or(name);
            match given.outside.hand_over(name, &given.inside, wanted) {
                Ok(new) => given.names.push((name.clone(), new)),
                Err(e) => {
                    given.take_back();
                    return Err(e).context(|| {
                        format!("move network device {name:?} into the container as {wanted:?}")
                    });
                }
            }
        }
        Ok(given)
    }

    /// Moves them back, as far as that is possible, with the names they had: the container is not made after all.
    pub fn take_back(&mut self) {
        for (outside, inside) in self.names.drain(..) {
            let _ = self.inside.hand_over(&inside, &self.outside, &outside);
        }
    }
}

/// A network namespace and a socket that speaks to it.
#[derive(Debug)]
struct Place {
    namespace: OwnedFd,
    socket: Socket,
}

impl Place {
    fn here() -> io::Result<Self> {
        Ok(Place {
            namespace: own_namespace()?,
            socket: socket()?,
        })
    }

    /// A socket keeps the namespace that it was made in, so this process is there for its making only.
    fn enter(namespace: OwnedFd) -> io::Result<Self> {
        let own = own_namespace()?;
        let join = |to: BorrowedFd<'_>| {
            move_into_link_name_space(to, Some(LinkNameSpaceType::Network))
                .context(|| "join a network namespace".into())
        };
        join(namespace.as_fd())?;
        let made = socket();
        join(own.as_fd())?;
        Ok(Place {
            namespace,
            socket: made?,
        })
    }

    /// Moves a device from here to `to`, as `wanted` (`%d` stands for the first free number there); returns its name there.
    fn hand_over(&self, name: &str, to: &Place, wanted: &str) -> io::Result<String> {
        let index = self
            .index(name)?
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))?;
        let template = wanted.contains("%d");
        if !template && to.index(wanted)?.is_some() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "a network device of that name exists there already",
            ));
        }
        let addresses = self.addresses(index)?;
        let before = to.links()?;
        self.set(
            index,
            vec![
                LinkAttribute::NetNsFd(to.namespace.as_fd().as_raw_fd()),
                LinkAttribute::IfName(wanted.to_owned()),
            ],
            false,
        )?;
        let (index, new) = to
            .links()?
            .into_iter()
            .find(|link| {
                if template {
                    !before.contains(link)
                } else {
                    link.1 == wanted
                }
            })
            .ok_or_else(|| io::Error::other("it has vanished on the way"))?;
        if let Err(e) = to.settle(index, addresses) {
            let back = vec![
                LinkAttribute::NetNsFd(self.namespace.as_fd().as_raw_fd()),
                LinkAttribute::IfName(name.to_owned()),
            ];
            let _ = to.set(index, back, false);
            return Err(e);
        }
        Ok(new)
    }

    /// Gives a device the addresses it had elsewhere, and sets it up.
    fn settle(&self, index: u32, addresses: Vec<AddressMessage>) -> io::Result<()> {
        for mut address in addresses {
            address.header.index = index;
            self.ask(
                RouteNetlinkMessage::NewAddress(address),
                NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
            )
            .context(|| "keep its addresses".into())?;
        }
        self.set(index, Vec::new(), true).context(|| "set it up".into())
    }

    fn set(&self, index: u32, attributes: Vec<LinkAttribute>, up: bool) -> io::Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.attributes = attributes;
        if up {
            link.header.flags = LinkFlags::Up;
            link.header.change_mask = LinkFlags::Up;
        }
        self.ask(RouteNetlinkMessage::SetLink(link), NLM_F_ACK).map(drop)
    }

    fn index(&self, name: &str) -> io::Result<Option<u32>> {
        Ok(self
            .links()?
            .into_iter()
            .find(|(_, known)| known == name)
            .map(|(index, _)| index))
    }

    /// Index and name of every device here.
    fn links(&self) -> io::Result<Vec<(u32, String)>> {
        let all = self.ask(RouteNetlinkMessage::GetLink(LinkMessage::default()), NLM_F_DUMP)?;
        Ok(all
            .into_iter()
            .filter_map(|message| match message {
                RouteNetlinkMessage::NewLink(link) => Some(link),
                _ => None,
            })
            .filter_map(|link| {
                let name = link
                    .attributes
                    .into_iter()
                    .find_map(|attribute| match attribute {
                        LinkAttribute::IfName(name) => Some(name),
                        _ => None,
                    })?;
                Some((link.header.index, name))
            })
            .collect())
    }

    /// The addresses of a device that are to be kept: permanent ones of global scope, without what is said about them here
    /// only.
    fn addresses(&self, index: u32) -> io::Result<Vec<AddressMessage>> {
        let all = self.ask(
            RouteNetlinkMessage::GetAddress(AddressMessage::default()),
            NLM_F_DUMP,
        )?;
        Ok(all
            .into_iter()
            .filter_map(|message| match message {
                RouteNetlinkMessage::NewAddress(address) => Some(address),
                _ => None,
            })
            .filter(|address| address.header.index == index && is_kept(address))
            .map(|mut address| {
                address.attributes.retain(|attribute| {
                    !matches!(
                        attribute,
                        AddressAttribute::CacheInfo(_)
                            | AddressAttribute::Label(_)
                            | AddressAttribute::Other(_)
                    )
                });
                address
            })
            .collect())
    }

    /// Sends a request and collects what comes back until its end.
    fn ask(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        request.header.sequence_number = 1;
        request.finalize();
        let mut bytes = vec![0; request.header.length as usize];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        let mut answers = Vec::new();
        loop {
            let (bytes, _) = self.socket.recv_from_full()?;
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                    .map_err(|e| invalid(format!("an answer of rtnetlink: {e}")))?;
                // Each is padded to four bytes.
                let length = (message.header.length as usize).max(1).next_multiple_of(4);
                rest = rest.get(length..).unwrap_or_default();
                match message.payload {
                    NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::Error(e) => {
                        return match e.code {
                            None => Ok(answers),
                            Some(code) => Err(io::Error::from_raw_os_error(code.get().abs())),
                        };
                    }
                    NetlinkPayload::InnerMessage(inner) => answers.push(inner),
                    _ => (),
                }
            }
        }
    }
}

fn is_kept(address: &AddressMessage) -> bool {
    let permanent = address.header.flags.contains(AddressHeaderFlags::Permanent)
        || address.attributes.iter().any(|attribute| {
            matches!(attribute, AddressAttribute::Flags(flags) if flags.contains(AddressFlags::Permanent))
        });
    permanent && address.header.scope == AddressScope::Universe
}

fn own_namespace() -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open("/proc/self/ns/net", flags, Mode::empty())
        .context(|| "open this process's network namespace".into())
}

fn socket() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE).context(|| "make a netlink socket".into())?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_the_kernel_takes() {
        for name in ["eth0", "a", "fifteen-letters", "eth%d"] {
            assert!(valid_name(name), "{name}");
        }
        for name in ["", ".", "..", "a/b", "a:b", "a b", "sixteen--letters"] {
            assert!(!valid_name(name), "{name}");
        }
    }
}
