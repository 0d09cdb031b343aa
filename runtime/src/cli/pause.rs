//! pause and resume.

use std::io;

use super::store::{Entry, Saved, Store};
use crate::{cgroup::Cgroup, error::Context};

pub(super) fn pause(store: &Store, id: &str) -> io::Result<i32> {
    let (entry, saved) = store.get(id)?;
    match entry.status(&saved) {
        "created" | "running" => (),
        "paused" => return Err(io::Error::other("container already paused")),
        _ => return Err(io::Error::new(io::ErrorKind::NotFound, "container not running")),
    }
    cgroup(&saved)?.freeze(true).context(|| "pause".into())?;
    Ok(0)
}

pub(super) fn resume(store: &Store, id: &str) -> io::Result<i32> {
    let (entry, saved): (Entry, Saved) = store.get(id)?;
    if entry.status(&saved) != "paused" {
        return Err(io::Error::other("container not paused"));
    }
    cgroup(&saved)?.freeze(false).context(|| "resume".into())?;
    Ok(0)
}

/// A container's cgroup, for what can't be done without one.
pub(super) fn cgroup(saved: &Saved) -> io::Result<&Cgroup> {
    saved.cgroup.as_ref().ok_or_else(|| {
        let reason = crate::cgroups_available().reason.unwrap_or_default();
        io::Error::new(
            io::ErrorKind::Unsupported,
            format!("the container has no cgroup: {reason}"),
        )
    })
}
