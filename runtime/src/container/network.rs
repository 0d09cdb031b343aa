//! A network namespace made beside the process that is to be in it.
//!
//! It takes as long as all other namespaces and half of the mounts together: the creator, who would only wait, makes it while
//! the new process makes the mounts that do not depend on it.

use std::{io, os::fd::OwnedFd};

use nix::sched::CloneFlags;
use oci_spec::runtime::LinuxNamespaceType;
use rustix::{
    fs::{Mode, OFlags},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::Plan;
use crate::error::Context;

/// The caller's own network namespace, to which it can come back.
#[derive(Debug)]
pub(super) struct Home(OwnedFd);

impl Home {
    /// `None` where the namespace must be made with the process, because its user namespace is to own it or devices of the
    /// host are moved there, or where we have no right to come back.
    pub fn of(plan: &Plan) -> Option<Self> {
        const NEW: u64 = (libc::CLONE_NEWNET | libc::CLONE_NEWUSER) as u64;
        let joins_user = plan.join.iter().any(|j| j.kind == LinuxNamespaceType::User);
        let linux = plan.spec.linux().as_ref();
        let takes_devices = linux.is_some_and(|l| l.net_devices().as_ref().is_some_and(|d| !d.is_empty()));
        if plan.new & NEW != libc::CLONE_NEWNET as u64 || joins_user || takes_devices {
            return None;
        }
        let home = Home(current().ok()?);
        home.enter().ok()?;
        Some(home)
    }

    /// Makes a namespace, with its loopback device up if asked, and comes back.
    pub fn make(&self, with_loopback: bool) -> io::Result<OwnedFd> {
        nix::sched::unshare(CloneFlags::CLONE_NEWNET).context(|| "make a network namespace".into())?;
        let loopback = if with_loopback { loopback_up() } else { Ok(()) };
        let made = loopback.and_then(|()| current());
        self.enter()
            .context(|| "come back into the own network namespace".into())?;
        made
    }

    fn enter(&self) -> io::Result<()> {
        enter(&self.0)
    }
}

/// In the network namespace of the calling thread.
pub(super) fn loopback_up() -> io::Result<()> {
    skiff_sys::device::loopback_up().context(|| "bring up the loopback device".into())
}

/// Moves the calling thread into a network namespace.
pub(super) fn enter(namespace: &OwnedFd) -> io::Result<()> {
    Ok(move_into_link_name_space(
        std::os::fd::AsFd::as_fd(namespace),
        Some(LinkNameSpaceType::Network),
    )?)
}

fn current() -> io::Result<OwnedFd> {
    let path = "/proc/thread-self/ns/net";
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).context(|| format!("open {path}"))
}
