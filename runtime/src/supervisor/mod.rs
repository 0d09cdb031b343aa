//! The supervisor of one pod, and the agent's handle on it.
//!
//! Containers of a pod share its network, IPC and UTS namespace (and its PID namespace when asked); each has its own
//! mount, PID and cgroup namespace. The agent describes a container with an OCI `config.json` value (`oci_spec`). Its
//! namespace list is read like this: `network`, `ipc` and `uts` without a path are the pod's; `pid` follows the
//! [`Sandbox`]; `mount` is always new; `cgroup` and `user` are new when listed; a path is joined.
//!
//! What could not be done as the configuration asks but leaves a working container (an rlimit above ours, a negative
//! `oom_score_adj` without the right) is told in [`ContainerState::notes`].

mod log;
mod output;
mod pod;
mod protocol;
mod server;
mod task;
mod tasks;

pub use self::pod::{Pod, clean};
pub(crate) use self::{
    protocol::Hello,
    server::{prepared, run},
};

use std::{os::fd::OwnedFd, path::PathBuf};

use serde::{Deserialize, Serialize};

/// What a pod needs before its first container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sandbox {
    /// Run directory of the pod, `<run dir>/pods/<uid>`; created. Holds the socket and the state file.
    pub dir: PathBuf,
    /// Pod uid.
    pub uid: String,
    /// Host name inside; `None`: the host's UTS namespace.
    pub hostname: Option<String>,
    /// New network namespace (false: `hostNetwork`).
    pub net: bool,
    /// New IPC namespace.
    pub ipc: bool,
    /// One PID namespace for all containers (`shareProcessNamespace`).
    pub shared_pid: bool,
    /// The host's PID namespace for all containers (`hostPID`).
    pub host_pid: bool,
    /// sysctls set in the new namespaces.
    pub sysctls: Vec<(String, String)>,
    /// Cgroup of the pod, relative to the agent's root cgroup (e.g. `kubepods/burstable/pod<uid>`); `None` when no
    /// cgroup is available.
    pub cgroup: Option<String>,
    /// Limits of the pod's cgroup, an OCI `linux.resources` value as JSON.
    pub resources: Option<serde_json::Value>,
}

/// The root file system of a container. Mounted inside the container's own mount namespace, so that nothing is left
/// mounted anywhere when it goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum RootFs {
    /// A directory, used as it is.
    Dir(PathBuf),
    /// An overlay of read-only layers (lowest first) and a writable one.
    Overlay {
        /// Lower layers, lowest first; not empty.
        lower: Vec<PathBuf>,
        /// Upper directory, exists.
        upper: PathBuf,
        /// Work directory on the same file system, exists and is empty.
        work: PathBuf,
        /// Mount with `userxattr` (inside a user namespace).
        userxattr: bool,
    },
}

/// A container to create.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Container {
    /// Unique in the pod; name and attempt, e.g. `web-0`.
    pub id: String,
    /// OCI runtime configuration. `root.path` is ignored in favour of `rootfs`.
    pub spec: oci_spec::runtime::Spec,
    /// Root file system.
    pub rootfs: RootFs,
    /// Log file in CRI format; `None`: output is discarded.
    pub log: Option<PathBuf>,
    /// Rotate the log at this many bytes (0: never), keeping `log_files` files.
    pub log_max_bytes: u64,
    /// Files kept, with the current one.
    pub log_files: u32,
    /// Keep a stdin pipe open (`stdin: true`); without a terminal only.
    pub stdin: bool,
    /// Close stdin after the first attach ends (`stdinOnce`).
    pub stdin_once: bool,
    /// Cgroup relative to the agent's root cgroup; `None`: none available.
    pub cgroup: Option<String>,
    /// Where `terminationMessagePath` lies on the host side, not used by the supervisor but kept in its state.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// A process to run in a running container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exec {
    /// Container id.
    pub container: String,
    /// OCI process (args, env, cwd, user, capabilities, terminal, …).
    pub process: oci_spec::runtime::Process,
}

/// Our ends of a process's streams.
#[derive(Debug)]
pub struct Streams {
    /// Write end of its stdin.
    pub stdin: Option<OwnedFd>,
    /// Read end of its stdout. With a terminal: the terminal's controlling end, for reading and writing.
    pub stdout: Option<OwnedFd>,
    /// Read end of its stderr.
    pub stderr: Option<OwnedFd>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code, 128 + signal number when killed by a signal.
    pub code: i32,
    /// Signal number when killed by one.
    pub signal: Option<i32>,
    /// The kernel's OOM killer took a process of the container's cgroup.
    pub oom_killed: bool,
    /// Nanoseconds since the epoch.
    pub finished_at: i64,
}

/// State of a container as the supervisor knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerState {
    /// Container id.
    pub id: String,
    /// Host pid of its first process, 0 once it has exited.
    pub pid: u32,
    /// Nanoseconds since the epoch; 0: created but not started.
    pub started_at: i64,
    /// Set once it has exited.
    pub exit: Option<Exit>,
    /// As given at creation.
    pub labels: std::collections::BTreeMap<String, String>,
    /// What was done differently than the configuration asks, a sentence each.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// What a supervisor tells without being asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A container's first process has exited.
    Exited(ContainerState),
    /// A process started by exec has exited.
    ExecExited {
        /// As returned by [`Pod::exec`].
        exec: u64,
        /// How.
        exit: Exit,
    },
}
