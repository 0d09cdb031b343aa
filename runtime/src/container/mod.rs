//! A container: from an OCI configuration to a process that waits for its start, and on.
//!
//! ```text
//! creator (supervisor or `skiff oci create`)            init (the container's first process)
//!   create::create ── clone3(all namespaces at once) ──►  init::run
//!   id maps ────────────────── Mapped ─────────────────►  namespaces, mounts
//!   network namespace ───────── Network ───────────────►  enters it; sysfs
//!   cgroup, meanwhile ─────────── Go ──────────────────►  moves into it; cgroup namespace and mount, devices
//!   prestart, createRuntime hooks ◄── NeedHooks ────────
//!   ───────────────────────── HooksDone ───────────────►  createContainer hooks, pivot_root, terminal,
//!                              ◄── Console (descriptor)   user, capabilities, rlimits
//!                              ◄── Ready or Failed ─────
//!   state is written ───────────── Kept ───────────────►  waits at its gate (`skiff oci`)
//!   start ─────────────────────── Start ───────────────►  startContainer hooks, seccomp, execve
//!         (from a supervisor at once behind Go, when there is nothing to do before)
//!        ◄── end of file (it runs) or Failed ───────────
//! ```

pub(crate) mod create;
pub(crate) mod exec;
mod fork;
pub(crate) mod hooks;
mod init;
mod lookup;
pub(crate) mod net_devices;
mod network;
mod notify;
mod privileges;
mod process;
pub(crate) mod schedule;

pub(crate) use self::{
    init::set_sysctl,
    notify::{Agent, send_descriptor},
};

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use oci_spec::runtime::{LinuxNamespaceType, LinuxResources, Spec};
use serde::{Deserialize, Serialize};

use crate::{cgroup::Cgroup, error::Failure, seccomp::Filter, supervisor::RootFs};

/// Everything that is decided before a container's first process exists.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Container id.
    pub id: String,
    /// Configuration.
    pub spec: Spec,
    /// Where relative paths of the configuration start.
    pub bundle: PathBuf,
    /// Root file system.
    pub rootfs: RootFs,
    /// Existing directory where an overlay is mounted, in the container's mount namespace only.
    pub mountpoint: PathBuf,
    /// Namespaces made new (`CLONE_NEW*`).
    pub new: u64,
    /// Namespaces joined.
    pub join: Vec<Join>,
    /// Its cgroup, which need not exist.
    pub cgroup: Option<Cgroup>,
    /// Limits of that.
    pub resources: Option<LinuxResources>,
    /// Compiled system call filter.
    pub seccomp: Option<Filter>,
    /// Streams of the process.
    pub stdio: Stdio,
    /// The process dies with its creator.
    pub die_with_parent: bool,
    /// Move the root instead of pivoting.
    pub no_pivot: bool,
    /// Give the process a session keyring of its own.
    pub keyring: bool,
    /// How many descriptors of the creator, from 3 on, the process keeps.
    pub preserve_fds: u32,
    /// Mounts by their place in the mount list that only the creator may be able to make.
    pub prepared_mounts: HashMap<usize, OwnedFd>,
    /// Where the process waits for its start; `None`: on the creator's socket.
    pub gate: Option<OwnedFd>,
}

/// A namespace to join.
#[derive(Debug)]
pub(crate) struct Join {
    /// Which.
    pub kind: LinuxNamespaceType,
    /// An open `/proc/<pid>/ns/<kind>`.
    pub fd: OwnedFd,
}

/// Streams of a process to be.
#[derive(Debug)]
pub(crate) enum Stdio {
    /// A new terminal; its controlling end comes back to the creator.
    Terminal {
        /// Columns and rows; `None`: as the kernel makes it.
        size: Option<(u16, u16)>,
    },
    /// Descriptors; a missing one is `/dev/null`.
    Files {
        /// Read by the process.
        stdin: Option<OwnedFd>,
        /// Written by it.
        stdout: Option<OwnedFd>,
        /// Written by it.
        stderr: Option<OwnedFd>,
    },
    /// Those of the creator.
    Inherit,
}

/// What the new process tells its creator.
#[derive(Debug, Serialize, Deserialize)]
enum FromChild {
    /// Namespaces and mounts exist; waits for `HooksDone`.
    NeedHooks,
    /// The controlling end of the terminal is attached.
    Console,
    /// The listener of the system call filter is attached.
    Listener,
    /// Everything up to the exec is done; what was done differently than asked.
    Ready(Vec<String>),
    /// It ends.
    Failed(Failure),
}

/// What the creator tells the new process.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ToChild {
    /// The id maps of its user namespace are written.
    Mapped,
    /// Its network namespace is attached.
    Network,
    /// Its cgroup is ready, and it is in there, or moves itself in by the files attached.
    Go,
    HooksDone,
    /// The creator has written down what it takes to remove this process: it may wait at its own gate now.
    Kept,
    Start,
}

/// Lets a process that waits at its gate run; returns when it has been executed. `agent` hears of the system calls of
/// that process (its id).
///
/// # Errors
/// Why it could not be executed; it has ended then.
pub(crate) fn start(gate: impl AsFd, agent: Option<(&Agent, u32)>) -> io::Result<()> {
    crate::wire::send(&gate, &ToChild::Start, &[])?;
    started(gate, agent)
}

/// Waits until a process that has been let go is executed, as [`start`] does.
pub(crate) fn started(gate: impl AsFd, agent: Option<(&Agent, u32)>) -> io::Result<()> {
    loop {
        match crate::wire::receive::<FromChild>(&gate) {
            // The socket is close-on-exec: its end is the exec.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(e) => return Err(e),
            Ok((FromChild::Failed(failure), _)) => return Err(failure.into()),
            Ok((FromChild::Listener, fds)) => hand_over(agent, &fds)?,
            Ok((other, _)) => {
                return Err(io::Error::other(format!(
                    "unexpected message {other:?} from the container"
                )));
            }
        }
    }
}

/// Gives the listener of a filter to the agent.
fn hand_over(agent: Option<(&Agent, u32)>, fds: &[OwnedFd]) -> io::Result<()> {
    match (agent, fds) {
        (Some((agent, pid)), [listener, ..]) => agent.tell(pid, listener),
        _ => Err(io::Error::other("there is no seccomp agent")),
    }
}
