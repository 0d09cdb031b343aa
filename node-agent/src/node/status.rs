//! What the Node object says: labels, capacity, addresses, conditions. Reads /proc; decides purely.

use std::{collections::BTreeMap, fs, net::IpAddr, path::Path};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{
        ContainerImage, DaemonEndpoint, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeRuntimeHandler,
        NodeRuntimeHandlerFeatures, NodeStatus, NodeSystemInfo,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::Time},
};
use serde_json::json;
use skiff_image::Image;
use skiff_pod_network::EgressWay;

use crate::{Config, agent::Agent};

/// The Kubernetes version whose API this is.
pub(crate) const KUBERNETES: &str = "v1.37.0";

/// How far the agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// The network, or why there is none.
    pub network: Result<(), String>,
    /// How pods reach the world; none before the network is up.
    pub egress: Option<EgressWay>,
    /// The ways to other nodes, in words; none while there is no other node.
    pub tunnel: Option<Result<String, String>>,
    /// The host's address, when it has changed.
    pub address: Option<IpAddr>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            network: Err("pod network is not up yet".into()),
            egress: None,
            tunnel: None,
            address: None,
        }
    }
}

/// What the machine has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// Millicores.
    pub cpu_milli: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes of the data directory's file system.
    pub storage: i64,
    /// Pods.
    pub pods: u32,
}

impl Capacity {
    /// Asks the kernel.
    pub fn measure(data_dir: &Path, pods: u32) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let storage = nix::sys::statvfs::statvfs(data_dir)
            .map(|stat| stat.blocks().saturating_mul(stat.fragment_size()))
            .unwrap_or(0);
        Self {
            cpu_milli: i64::try_from(cpus).unwrap_or(1) * 1000,
            memory: meminfo("MemTotal").unwrap_or(0),
            storage: i64::try_from(storage).unwrap_or(i64::MAX),
            pods,
        }
    }
}

/// Bytes of a line of /proc/meminfo.
fn meminfo(name: &str) -> Option<i64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: i64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// Labels of the Node: the well-known ones and those of the configuration.
pub(crate) fn labels(config: &Config) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<String, String> = [
        ("kubernetes.io/hostname", config.node_name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", architecture()),
        // Deprecated, and still what some node selectors ask for.
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", architecture()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect();
    labels.extend(config.labels.iter().cloned());
    labels
}

/// As Go names it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// The status; transition times are taken from `old` where nothing has changed.
pub(super) fn status(
    agent: &Agent,
    state: &State,
    old: Option<&NodeStatus>,
    images: &[Image],
    now: Timestamp,
) -> NodeStatus {
    let capacity = agent.capacity;
    let quantity = |value: i64| Quantity(value.to_string());
    let resources: BTreeMap<String, Quantity> = [
        (
            "cpu".to_owned(),
            Quantity((capacity.cpu_milli / 1000).to_string()),
        ),
        (
            "memory".to_owned(),
            Quantity(format!("{}Ki", capacity.memory / 1024)),
        ),
        (
            "ephemeral-storage".to_owned(),
            Quantity(format!("{}Ki", capacity.storage / 1024)),
        ),
        ("pods".to_owned(), quantity(i64::from(capacity.pods))),
    ]
    .into();
    let memory = meminfo("MemAvailable").unwrap_or(i64::MAX);
    let free = nix::sys::statvfs::statvfs(&agent.config.data_dir)
        .map(|stat| stat.blocks_available().saturating_mul(stat.fragment_size()))
        .unwrap_or(u64::MAX);
    let missing = agent.cgroups.missing();
    let limits = if missing.is_empty() {
        Observed::new(
            "CgroupLimits",
            true,
            "LimitsEnforced",
            "limits of cpu, memory and pids are enforced",
        )
    } else {
        let reason = agent
            .cgroups
            .reason
            .as_deref()
            .unwrap_or("the controllers are not available");
        let text = format!("limits of {} are not enforced: {reason}", missing.join(", "));
        Observed::new("CgroupLimits", false, "LimitsNotEnforced", &text)
    };
    // Reasons and messages are the kubelet's: people and tools look for them.
    let observed = [
        // 100 MiB of memory is Kubernetes' default eviction threshold; of the disk it wants a tenth, which on today's disks is
        // far more than pods need: half of that.
        if memory < 100 << 20 {
            Observed::new(
                "MemoryPressure",
                true,
                "KubeletHasInsufficientMemory",
                "less than 100 MiB of memory available",
            )
        } else {
            Observed::new(
                "MemoryPressure",
                false,
                "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available",
            )
        },
        if capacity.storage > 0 && (free as i128) < i128::from(capacity.storage) / 20 {
            Observed::new(
                "DiskPressure",
                true,
                "KubeletHasDiskPressure",
                "less than 5% of the data directory's disk is free",
            )
        } else {
            Observed::new(
                "DiskPressure",
                false,
                "KubeletHasNoDiskPressure",
                "kubelet has no disk pressure",
            )
        },
        Observed::new(
            "PIDPressure",
            false,
            "KubeletHasSufficientPID",
            "kubelet has sufficient PID available",
        ),
        limits,
        match &state.network {
            Ok(()) => Observed::new("Ready", true, "KubeletReady", "kubelet is posting ready status"),
            Err(message) => Observed::new("Ready", false, "KubeletNotReady", message),
        },
    ];
    let tunnel = state.tunnel.as_ref().map(|tunnel| match tunnel {
        Ok(text) => Observed::new("NodeTunnel", true, "TunnelOpen", text),
        Err(text) => Observed::new("NodeTunnel", false, "TunnelFailed", text),
    });
    let egress = state.egress.map(|way| {
        let text = format!("pods reach the world by {way}");
        Observed::new("NodeEgress", true, "EgressWorks", &text)
    });
    let conditions = observed
        .into_iter()
        .chain(egress)
        .chain(tunnel)
        .map(|observed| {
            let status = if observed.is { "True" } else { "False" };
            let before = old
                .iter()
                .flat_map(|old| old.conditions.iter().flatten())
                .find(|old| old.type_ == observed.kind && old.status == status);
            NodeCondition {
                type_: observed.kind.into(),
                status: status.into(),
                reason: Some(observed.reason.into()),
                message: Some(observed.message),
                last_heartbeat_time: Some(Time(now)),
                last_transition_time: before
                    .and_then(|before| before.last_transition_time.clone())
                    .or(Some(Time(now))),
            }
        })
        .collect();
    NodeStatus {
        addresses: Some(addresses(&agent.host_ips(), &agent.config.node_name)),
        capacity: Some(resources.clone()),
        allocatable: Some(resources),
        conditions: Some(conditions),
        node_info: Some(system_info()),
        runtime_handlers: Some(vec![NodeRuntimeHandler {
            name: Some(String::new()),
            features: Some(NodeRuntimeHandlerFeatures {
                recursive_read_only_mounts: Some(true),
                ..NodeRuntimeHandlerFeatures::default()
            }),
        }]),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: 0 }),
        }),
        images: Some(images.iter().take(50).map(container_image).collect()),
        ..NodeStatus::default()
    }
}

/// The patch that makes `status` a node's status. Addresses are replaced as a whole: a node may have several of a type, by which
/// lists of them are merged.
pub(super) fn patch(status: &NodeStatus) -> serde_json::Value {
    let mut body = json!({ "status": status });
    if let Some(addresses) = body["status"]["addresses"].as_array_mut() {
        addresses.push(json!({"$patch": "replace"}));
    }
    body
}

struct Observed {
    kind: &'static str,
    is: bool,
    reason: &'static str,
    message: String,
}

impl Observed {
    fn new(kind: &'static str, is: bool, reason: &'static str, message: &str) -> Self {
        Self {
            kind,
            is,
            reason,
            message: message.to_owned(),
        }
    }
}

fn addresses(ips: &[IpAddr], name: &str) -> Vec<NodeAddress> {
    let internal = ips.iter().map(|ip| ("InternalIP", ip.to_string()));
    internal
        .chain([("Hostname", name.to_owned())])
        .map(|(kind, address)| NodeAddress {
            type_: kind.into(),
            address,
        })
        .collect()
}

fn container_image(image: &Image) -> ContainerImage {
    ContainerImage {
        names: Some(image.digests.iter().chain(&image.tags).cloned().collect()),
        size_bytes: i64::try_from(image.size).ok(),
    }
}

fn system_info() -> NodeSystemInfo {
    let read = |path: &str| {
        fs::read_to_string(path)
            .map(|text| text.trim().to_owned())
            .unwrap_or_default()
    };
    let release = read("/etc/os-release");
    let pretty = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let machine = read("/etc/machine-id");
    NodeSystemInfo {
        architecture: architecture().into(),
        boot_id: read("/proc/sys/kernel/random/boot_id"),
        container_runtime_version: format!("skiff://{}", env!("CARGO_PKG_VERSION")),
        kernel_version: read("/proc/sys/kernel/osrelease"),
        kube_proxy_version: String::new(),
        kubelet_version: format!("{KUBERNETES}+skiff"),
        machine_id: machine.clone(),
        operating_system: "linux".into(),
        os_image: pretty.map_or_else(|| "Linux".into(), |name| name.trim_matches('"').to_owned()),
        system_uuid: machine,
        ..NodeSystemInfo::default()
    }
}

/// Whether the Node says it is ready.
pub(super) fn is_ready(status: &NodeStatus) -> bool {
    status
        .conditions
        .iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The conditions of pressure whose status is another than before, as the events about them name them
/// (`NodeHasDiskPressure`).
pub(super) fn pressures(before: Option<&NodeStatus>, now: &NodeStatus) -> Vec<String> {
    let of = |status: &NodeStatus, kind: &str| {
        let mut conditions = status.conditions.iter().flatten();
        conditions
            .find(|condition| condition.type_ == kind)
            .map(|condition| condition.status.clone())
    };
    now.conditions
        .iter()
        .flatten()
        .filter(|condition| condition.type_.ends_with("Pressure"))
        .filter(|condition| {
            before.and_then(|before| of(before, &condition.type_)).as_ref() != Some(&condition.status)
        })
        .filter_map(|condition| {
            let reason = condition.reason.as_deref()?;
            Some(format!("Node{}", reason.strip_prefix("Kubelet")?))
        })
        .collect()
}

/// Equal but for the times of heartbeats.
pub(super) fn same(old: &NodeStatus, new: &NodeStatus) -> bool {
    let timeless = |status: &NodeStatus| {
        let mut status = status.clone();
        for condition in status.conditions.iter_mut().flatten() {
            condition.last_heartbeat_time = None;
        }
        status
    };
    timeless(old) == timeless(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubernetes_version_is_that_of_the_types() {
        let features = include_str!("../../../Cargo.toml");
        let line = features
            .lines()
            .find(|line| line.starts_with("k8s-openapi"))
            .expect("dependency");
        let minor = KUBERNETES.split('.').nth(1).expect("minor");
        assert!(line.contains(&format!("v1_{minor}")), "{line}");
    }

    #[test]
    fn pressures_are_named_when_they_come_and_go() {
        let with = |kind: &str, status: &str, reason: &str| NodeStatus {
            conditions: Some(vec![NodeCondition {
                type_: kind.into(),
                status: status.into(),
                reason: Some(reason.into()),
                ..NodeCondition::default()
            }]),
            ..NodeStatus::default()
        };
        let none = with("DiskPressure", "False", "KubeletHasNoDiskPressure");
        let some = with("DiskPressure", "True", "KubeletHasDiskPressure");
        assert_eq!(pressures(None, &none), ["NodeHasNoDiskPressure"]);
        assert_eq!(pressures(Some(&none), &some), ["NodeHasDiskPressure"]);
        assert!(pressures(Some(&some), &some).is_empty());
        assert!(pressures(None, &with("Ready", "True", "KubeletReady")).is_empty());
    }

    #[test]
    fn the_machine_has_memory_and_processors() {
        let capacity = Capacity::measure(Path::new("/"), 110);
        assert!(capacity.cpu_milli >= 1000 && capacity.memory > 0 && capacity.storage > 0);
    }
}
