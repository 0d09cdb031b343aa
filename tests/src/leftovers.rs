//! What a cluster may have left on the machine.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{
    netns::Netns,
    process::{self, Process},
};

/// What there is of a cluster outside its folder while it runs, to be looked for when it has stopped.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    /// Its pods' ids, which are in the names of their cgroups.
    pub pods: BTreeSet<String>,
    /// Everything that ran.
    pub processes: Vec<Process>,
}

/// Links of the host, tables of its firewall and named network namespaces that belong to the cluster with this run directory. Others
/// may come and go on the same machine meanwhile.
fn names(run: &Path) -> Vec<String> {
    let entries = |dir: &str| {
        let found = fs::read_dir(dir).into_iter().flatten().flatten();
        let dir = dir.to_owned();
        found
            .map(move |entry| format!("{dir}/{}", entry.file_name().to_string_lossy()))
            .collect::<Vec<_>>()
    };
    let tables = std::process::Command::new("nft")
        .args(["list", "tables"])
        .output();
    let tables = tables
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let mut names: Vec<String> = tables.lines().map(|line| format!("nftables {line}")).collect();
    names.extend(entries("/sys/class/net"));
    names.extend(entries("/run/netns"));
    let own = own_name(&run.join("agent/network"));
    names.retain(|name| name.ends_with(&own));
    names
}

/// What a node network calls what it makes on the host: FNV-1a of its directory, see `node-agent/network`.
fn own_name(network: &Path) -> String {
    let bytes = network.as_os_str().as_encoded_bytes();
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    format!("skiff-{:03x}", hash & 0x0fff)
}

/// What is in the network of a host of its own beside what its maker put there, a line each.
pub(crate) fn in_network(netns: &Netns) -> Vec<String> {
    let links = netns.ip("-oneline link show").unwrap_or_default();
    let links = links
        .lines()
        .filter(|line| !line.contains(": lo:") && !line.contains(": eth0@"));
    let tables = crate::run(netns.command("nft").args(["list", "tables"]));
    let tables = tables.map(|output| output.stdout).unwrap_or_default();
    let tables = tables.lines().filter(|line| line.contains("skiff"));
    links
        .map(|line| format!("link {line}"))
        .chain(tables.map(|line| format!("nftables {line}")))
        .collect()
}

impl Traces {
    /// Of these, what is still there; a line each.
    pub fn left(&self, dir: &Path) -> Vec<String> {
        let mut left = Vec::new();
        let mut running = process::of_cluster(dir);
        running.extend(self.processes.iter().filter(|p| p.is_alive()).cloned());
        running.sort();
        running.dedup();
        left.extend(
            running
                .iter()
                .map(|p| format!("process {} ({:?}): {}", p.pid, p.role, p.command)),
        );
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let folder = dir.to_string_lossy();
        left.extend(
            mounts
                .lines()
                .filter(|line| line.contains(&*folder))
                .map(|line| format!("mount {line}")),
        );
        left.extend(names(&dir.join("state/run")));
        left.extend(cgroups(&self.pods));
        left.extend(
            files(&dir.join("state"))
                .into_iter()
                .map(|path| format!("file {path}")),
        );
        left
    }
}

/// Cgroups of these pods.
fn cgroups(pods: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    let mut below = vec![std::path::PathBuf::from("/sys/fs/cgroup")];
    while let Some(dir) = below.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            if pods.iter().any(|uid| name.contains(uid.as_str())) {
                found.push(format!("cgroup {}", entry.path().display()));
            } else {
                below.push(entry.path());
            }
        }
    }
    found
}

fn files(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}
