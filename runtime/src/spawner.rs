//! The spawner: a single-threaded process forked before the agent starts threads; it forks the supervisors.
#![allow(unused_variables, clippy::unimplemented)]

use std::{io, path::PathBuf};

use crate::supervisor::{Pod, Sandbox};

/// The agent's end of the spawner. Clone-free; share it behind an `Arc`. All calls block for milliseconds at most.
#[derive(Debug)]
pub struct Spawner {
    _socket: std::os::fd::OwnedFd,
}

impl Spawner {
    /// Forks the spawner. Call before any thread is started, after the agent has entered its user and mount
    /// namespaces. The spawner ends when the agent does; supervisors stay.
    ///
    /// # Errors
    /// When the fork fails or threads are running already.
    pub fn start() -> io::Result<Self> {
        unimplemented!()
    }

    /// Starts the supervisor of a pod in new namespaces as the sandbox asks, without any container.
    pub fn create_pod(&self, sandbox: &Sandbox) -> io::Result<Pod> {
        unimplemented!()
    }

    /// The spawner's process id.
    pub fn pid(&self) -> u32 {
        unimplemented!()
    }
}

/// Where a pod's supervisor keeps its socket and state: `<run dir>/pods/<pod uid>`.
pub type PodDir = PathBuf;
