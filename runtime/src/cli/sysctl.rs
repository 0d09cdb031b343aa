//! Which sysctls a container may set: those of namespaces that are not the host's.

use std::{io, path::Path};

use oci_spec::runtime::{LinuxNamespaceType, Spec};

use crate::error::invalid;

/// Of the IPC namespace, beside `fs.mqueue.*`. Source: ipc_namespaces(7).
const IPC: &[&str] = &[
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Refuses what would change the host, in runc's words.
pub(super) fn check(spec: &Spec) -> io::Result<()> {
    let Some(linux) = spec.linux() else { return Ok(()) };
    let listed = |kind| {
        linux
            .namespaces()
            .iter()
            .flatten()
            .find(|namespace| namespace.typ() == kind)
    };
    for key in linux.sysctl().iter().flat_map(|map| map.keys()) {
        // Dots and slashes stand for each other, whichever comes first being the separator.
        let name = match key.find(['.', '/']) {
            Some(at) if key.as_bytes()[at] == b'/' => key.replace('/', "."),
            _ => key.clone(),
        };
        let refuse = |why: &str| Err(invalid(format!("sysctl {key:?} {why}")));
        if IPC.contains(&name.as_str()) || name.starts_with("fs.mqueue.") {
            if listed(LinuxNamespaceType::Ipc).is_none() {
                return refuse("is not allowed in the hosts ipc namespace");
            }
        } else if name.starts_with("net.") {
            match listed(LinuxNamespaceType::Network) {
                None => return refuse("is not allowed in the hosts network namespace"),
                Some(namespace) => {
                    if namespace.path().as_ref().is_some_and(|path| is_ours(path)) {
                        return refuse("is not allowed in the hosts network namespace");
                    }
                }
            }
        } else if name == "kernel.domainname" {
            if listed(LinuxNamespaceType::Uts).is_none() {
                return refuse("is not allowed in the hosts UTS namespace");
            }
            if spec.domainname().as_ref().is_some_and(|name| !name.is_empty()) {
                return refuse("is not allowed as it conflicts with the OCI \"domainname\" field");
            }
        } else if name == "kernel.hostname" {
            return refuse("is not allowed as it conflicts with the OCI \"hostname\" field");
        } else {
            return refuse("is not in a separate kernel namespace");
        }
    }
    Ok(())
}

/// A path that leads to the network namespace this process is in.
fn is_ours(path: &Path) -> bool {
    match (rustix::fs::stat(path), rustix::fs::stat("/proc/self/ns/net")) {
        (Ok(theirs), Ok(ours)) => (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(sysctl: &str, namespaces: &[&str]) -> Option<String> {
        let namespaces: Vec<_> = namespaces
            .iter()
            .map(|kind| match kind.split_once('=') {
                Some((kind, path)) => json!({"type": kind, "path": path}),
                None => json!({"type": kind}),
            })
            .collect();
        let spec: Spec = serde_json::from_value(json!({
            "ociVersion": "1.2.0",
            "linux": {"sysctl": {sysctl: "1"}, "namespaces": namespaces},
        }))
        .unwrap();
        check(&spec).err().map(|e| e.to_string())
    }

    #[test]
    fn a_sysctl_needs_its_namespace() {
        assert_eq!(refused("net.ipv4.ip_forward", &["network"]), None);
        assert_eq!(refused("net/ipv4/conf/eth0.1/forwarding", &["network"]), None);
        assert_eq!(refused("kernel.shmmax", &["ipc"]), None);
        assert_eq!(refused("fs.mqueue.msg_max", &["ipc"]), None);
        assert_eq!(refused("kernel.domainname", &["uts"]), None);
        for (key, namespaces) in [
            ("net.ipv4.ip_forward", &["ipc"][..]),
            ("net.ipv4.ip_forward", &["network=/proc/self/ns/net"]),
            ("kernel.shmmax", &["network"]),
            ("fs.mqueue.msg_max", &[]),
            ("kernel.domainname", &["ipc"]),
            ("kernel.hostname", &["uts"]),
            ("vm.swappiness", &["ipc", "network", "uts"]),
            ("kernel.core_pattern", &["ipc", "network", "uts"]),
        ] {
            assert!(refused(key, namespaces).is_some(), "{key}");
        }
    }
}
