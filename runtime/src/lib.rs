//! OCI runtime: from a bundle to namespaces, a cgroup and a process.
//!
//! Two users: [`cli`] is `skiff oci`, runc's command line; and the node agent links this library and starts no
//! program to start a container. For the agent three processes work together:
//!
//! ```text
//! agent ──fork before any thread──► spawner (single-threaded)
//!                                      └─fork─► supervisor, one per pod: holds the pod's namespaces, is the parent of
//!                                               its containers, writes their logs (CRI format, rotation), keeps exit codes
//! agent ◄── unix socket in the pod's run directory ──► supervisor
//! ```
//!
//! Supervisors outlive the agent: a new agent finds them by their sockets ([`supervisor::Pod::adopt`]).
//! This crate does not use tokio: spawner and supervisor stay tiny.

mod cgroup;
pub mod cli;
mod container;
mod error;
mod lsm;
mod rootfs;
mod seccomp;
pub mod spawner;
mod state;
pub mod supervisor;
mod wire;

pub use cgroup::{Available, Version, cgroups_available};
pub use seccomp::{default_seccomp, default_seccomp_for};

/// Version of the runtime-spec this runtime follows.
pub const OCI_VERSION: &str = "1.3.0";
