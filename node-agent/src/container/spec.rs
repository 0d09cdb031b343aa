//! The OCI runtime configuration of a container, from what is known about it. Pure.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Pod, SecurityContext, VolumeMount};
use serde_json::{Value, json};

use super::user::User;
use crate::pod::model;

/// Capabilities of a container that asks for nothing. Source: the default set of container engines, as Kubernetes
/// documents it by reference ("Set capabilities for a Container").
const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// Every capability. Source: capabilities(7).
const ALL: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Paths of /proc and /sys no container sees. Source: the defaults of container engines.
const MASKED: &[&str] = &[
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// Paths no container writes to.
const READ_ONLY: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// What a container may do with what is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// All that the owner and the mode of files allow.
    Write,
    /// Read; what is mounted below stays as it is.
    Read,
    /// Read, here and in all that is mounted below.
    ReadAll,
}

impl Access {
    /// What a container asks for. The kernels we run on all know recursive read-only mounts, so that what is wanted if possible is done.
    /// Source: Kubernetes, "Volumes", recursive read-only mounts.
    pub fn of(mount: &VolumeMount) -> Self {
        match (mount.read_only, mount.recursive_read_only.as_deref()) {
            (Some(true), Some("Enabled" | "IfPossible")) => Self::ReadAll,
            (Some(true), _) => Self::Read,
            _ => Self::Write,
        }
    }
}

/// A directory or file of the host that a container sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    /// On the host.
    pub source: PathBuf,
    /// In the container.
    pub target: String,
    /// What may be done there.
    pub access: Access,
    /// Mounts below are included.
    pub recursive: bool,
    /// `None`, `HostToContainer` or `Bidirectional`.
    pub propagation: Option<String>,
}

/// Which system calls a container may make.
#[derive(Clone, Debug, Default)]
pub(crate) enum Filter {
    /// The default profile of container engines, for the container's capabilities.
    #[default]
    Default,
    /// All.
    Unconfined,
    /// A profile of the node, as OCI `linux.seccomp`.
    Profile(Value),
}

/// Everything the configuration depends on.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    /// Pod.
    pub pod: &'a Pod,
    /// Container.
    pub container: &'a Container,
    /// argv.
    pub args: Vec<String>,
    /// `KEY=VALUE` each.
    pub env: Vec<String>,
    /// Working directory.
    pub cwd: String,
    /// User.
    pub user: User,
    /// Volumes and the files of the pod.
    pub binds: Vec<Bind>,
    /// `/dev/shm` of the pod on the host.
    pub shm: &'a Path,
    /// OCI `linux.resources`.
    pub resources: Value,
    /// Cgroups can be made.
    pub cgroups: bool,
    /// Inside a user namespace without rights on the host.
    pub rootless: bool,
    /// Only user and group 0 exist.
    pub single_id: bool,
    /// A process whose PID namespace the container shares.
    pub pid_of: Option<u32>,
    /// See [`crate::cgroup::oom_score_adj`].
    pub oom_score_adj: i64,
    /// System calls that are let through.
    pub filter: &'a Filter,
    /// Root file system directory (ignored by the runtime in favour of the layers).
    pub root: &'a Path,
}

/// The configuration.
pub(crate) fn spec(input: &Input<'_>) -> Value {
    let security = input.container.security_context.clone().unwrap_or_default();
    let privileged = security.privileged.unwrap_or(false);
    let linux = json!({
        "namespaces": namespaces(input),
        "resources": input.resources,
        "maskedPaths": if privileged || unmasked(&security) { json!([]) } else { json!(MASKED) },
        "readonlyPaths": if privileged || unmasked(&security) { json!([]) } else { json!(READ_ONLY) },
        "seccomp": match input.filter {
            _ if privileged => None,
            Filter::Unconfined => None,
            Filter::Default => Some(seccomp(&security)),
            Filter::Profile(profile) => Some(profile.clone()),
        },
        "devices": [],
    });
    let mut linux = linux;
    if linux["seccomp"].is_null()
        && let Some(linux) = linux.as_object_mut()
    {
        linux.remove("seccomp");
    }
    json!({
        "ociVersion": "1.2.0",
        "hostname": "",
        "root": {
            "path": input.root,
            "readonly": security.read_only_root_filesystem.unwrap_or(false),
        },
        "process": process(input, &security, privileged),
        "mounts": mounts(input, privileged),
        "linux": linux,
        "annotations": {
            "io.kubernetes.pod.name": model::name(input.pod),
            "io.kubernetes.pod.namespace": model::namespace(input.pod),
            "io.kubernetes.pod.uid": model::uid(input.pod),
            "io.kubernetes.container.name": input.container.name,
        },
    })
    .pruned()
}

trait Pruned {
    fn pruned(self) -> Self;
}

impl Pruned for Value {
    /// Without an empty host name: the pod has one already.
    fn pruned(mut self) -> Self {
        if let Some(object) = self.as_object_mut() {
            object.retain(|_, value| value != "");
        }
        self
    }
}

/// The default filter for the capabilities the container may get.
fn seccomp(security: &SecurityContext) -> Value {
    let names = capabilities(security, false);
    let set = serde_json::from_value(json!(names)).unwrap_or_default();
    serde_json::to_value(skiff_runtime::default_seccomp_for(&set)).unwrap_or_default()
}

fn unmasked(security: &SecurityContext) -> bool {
    security.proc_mount.as_deref() == Some("Unmasked")
}

fn process(input: &Input<'_>, security: &SecurityContext, privileged: bool) -> Value {
    let capabilities = capabilities(security, privileged);
    // A process that is not root only keeps what its file gives it, as the kubelet's runtimes do.
    let root = input.user.uid == 0;
    let effective = if root { json!(capabilities) } else { json!([]) };
    json!({
        "terminal": input.container.tty.unwrap_or(false),
        "user": {
            "uid": input.user.uid,
            "gid": input.user.gid,
            "additionalGids": input.user.groups,
        },
        "args": input.args,
        "env": input.env,
        "cwd": input.cwd,
        "capabilities": {
            "bounding": capabilities,
            "permitted": effective,
            "effective": effective,
        },
        "noNewPrivileges": !security.allow_privilege_escalation.unwrap_or(true),
        "oomScoreAdj": input.oom_score_adj,
    })
}

/// The bounding set: the default, plus `add`, minus `drop`.
fn capabilities(security: &SecurityContext, privileged: bool) -> Vec<String> {
    if privileged {
        return ALL.iter().map(|name| (*name).to_owned()).collect();
    }
    let mut set: Vec<String> = CAPABILITIES.iter().map(|name| (*name).to_owned()).collect();
    let Some(wanted) = &security.capabilities else {
        return set;
    };
    let full = |name: &String| {
        let name = name.to_uppercase();
        if name.starts_with("CAP_") || name == "ALL" {
            name
        } else {
            format!("CAP_{name}")
        }
    };
    let add: Vec<String> = wanted.add.iter().flatten().map(full).collect();
    let drop: Vec<String> = wanted.drop.iter().flatten().map(full).collect();
    if add.iter().any(|name| name == "ALL") {
        set = ALL.iter().map(|name| (*name).to_owned()).collect();
    }
    if drop.iter().any(|name| name == "ALL") {
        set.clear();
    }
    set.retain(|name| !drop.contains(name));
    for name in add {
        if name != "ALL" && ALL.contains(&name.as_str()) && !set.contains(&name) {
            set.push(name);
        }
    }
    set
}

fn namespaces(input: &Input<'_>) -> Value {
    let spec = input.pod.spec.clone().unwrap_or_default();
    let mut list = vec!["mount"];
    if !spec.host_pid.unwrap_or(false) && input.pid_of.is_none() {
        list.push("pid");
    }
    if !spec.host_ipc.unwrap_or(false) {
        list.push("ipc");
    }
    if !spec.host_network.unwrap_or(false) {
        list.push("network");
        list.push("uts");
    }
    if input.cgroups {
        list.push("cgroup");
    }
    let target = input
        .pid_of
        .map(|pid| json!({ "type": "pid", "path": format!("/proc/{pid}/ns/pid") }));
    list.into_iter()
        .map(|kind| json!({ "type": kind }))
        .chain(target)
        .collect()
}

fn mounts(input: &Input<'_>, privileged: bool) -> Value {
    let host_network = model::host_network(input.pod);
    // Group 5 owns terminals by convention, where it exists.
    let tty = if input.single_id { "gid=0" } else { "gid=5" };
    let spec = input.pod.spec.as_ref();
    let host_pid = spec.is_some_and(|spec| spec.host_pid == Some(true));
    let host_ipc = spec.is_some_and(|spec| spec.host_ipc == Some(true));
    // These show a namespace, and only who owns it may mount them: the host's are bound instead.
    let processes = if input.rootless && host_pid {
        json!({"destination": "/proc", "type": "none", "source": "/proc",
               "options": ["rbind", "nosuid", "noexec", "nodev"]})
    } else {
        json!({"destination": "/proc", "type": "proc", "source": "proc",
               "options": ["nosuid", "noexec", "nodev"]})
    };
    let mut list = vec![
        processes,
        json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
               "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]}),
        json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts",
               "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", tty]}),
    ];
    if !host_ipc {
        list.push(
            json!({"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
                         "options": ["nosuid", "noexec", "nodev"]}),
        );
    }
    if input.rootless && host_network {
        // sysfs belongs to the network namespace, and the host's is not ours to mount.
        list.push(json!({"destination": "/sys", "type": "none", "source": "/sys",
                         "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]}));
    } else {
        let access = if privileged { "rw" } else { "ro" };
        list.push(json!({"destination": "/sys", "type": "sysfs", "source": "sysfs",
                         "options": ["nosuid", "noexec", "nodev", access]}));
        if input.cgroups {
            list.push(
                json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                             "options": ["nosuid", "noexec", "nodev", "relatime", access]}),
            );
        }
    }
    list.push(
        json!({"destination": "/dev/shm", "type": "bind", "source": input.shm,
                     "options": ["rbind", "nosuid", "nodev", "noexec", "rw"]}),
    );
    // A mount must not hide one that is below it: shorter targets first, order kept otherwise.
    let mut binds: Vec<&Bind> = input.binds.iter().collect();
    binds.sort_by_key(|bind| Path::new(&bind.target).components().count());
    for bind in binds {
        let propagation = match bind.propagation.as_deref() {
            Some("HostToContainer") => "rslave",
            Some("Bidirectional") => "rshared",
            _ => "rprivate",
        };
        list.push(json!({
            "destination": bind.target,
            "type": "bind",
            "source": bind.source,
            "options": [
                if bind.recursive { "rbind" } else { "bind" },
                propagation,
                match bind.access {
                    Access::Write => "rw",
                    Access::Read => "ro",
                    Access::ReadAll => "rro",
                },
            ],
        }));
    }
    // A volume over one of the standard places replaces it.
    let own: Vec<String> = input.binds.iter().map(|bind| bind.target.clone()).collect();
    list.retain(|mount| {
        mount["type"] == "bind" && mount["destination"] != "/dev/shm"
            || !own.iter().any(|target| mount["destination"] == target.as_str())
    });
    Value::Array(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(container: Value, check: impl FnOnce(Value) -> T) -> T {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {"containers": [container]}
        }))
        .expect("pod");
        let container = pod.spec.as_ref().expect("spec").containers[0].clone();
        let bind = |target: &str| Bind {
            source: "/v".into(),
            target: target.into(),
            access: Access::Read,
            recursive: false,
            propagation: None,
        };
        check(spec(&Input {
            pod: &pod,
            container: &container,
            args: vec!["a".into()],
            env: vec![],
            cwd: "/".into(),
            user: User::default(),
            binds: vec![bind("/data/deep"), bind("/data")],
            shm: Path::new("/shm"),
            resources: json!({}),
            cgroups: false,
            rootless: true,
            single_id: false,
            pid_of: None,
            oom_score_adj: 0,
            filter: &Filter::Default,
            root: Path::new("/root"),
        }))
    }

    #[test]
    fn the_configuration_is_one_the_runtime_library_reads() {
        with(json!({"name": "c"}), |spec| {
            serde_json::from_value::<oci_spec::runtime::Spec>(spec).expect("OCI configuration");
        });
    }

    #[test]
    fn a_mount_never_hides_one_below_it() {
        with(json!({"name": "c"}), |spec| {
            let targets: Vec<_> = spec["mounts"].as_array().expect("mounts").iter().collect();
            let at = |path: &str| {
                targets
                    .iter()
                    .position(|m| m["destination"] == path)
                    .expect("mount")
            };
            assert!(at("/data") < at("/data/deep"));
        });
    }

    #[test]
    fn capabilities_are_dropped_then_added() {
        let wanted = json!({"name": "c", "securityContext": {
            "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE", "CAP_SYS_TIME"]}}});
        with(wanted, |spec| {
            let bounding = &spec["process"]["capabilities"]["bounding"];
            assert_eq!(*bounding, json!(["CAP_NET_BIND_SERVICE", "CAP_SYS_TIME"]));
        });
    }

    #[test]
    fn a_privileged_container_is_neither_masked_nor_filtered() {
        with(
            json!({"name": "c", "securityContext": {"privileged": true}}),
            |spec| {
                assert_eq!(spec["linux"]["maskedPaths"], json!([]));
                assert!(spec["linux"].get("seccomp").is_none());
                let bounding = spec["process"]["capabilities"]["bounding"]
                    .as_array()
                    .expect("set");
                assert_eq!(bounding.len(), ALL.len());
            },
        );
    }
}
