//! Moves the process into the namespaces the agent works in. Single-threaded: namespaces are a thread's property.
//!
//! ```text
//! pods still running? ──yes──► join the user and mount namespace of their supervisor
//!        │ no
//!        ├─ root ──► new mount namespace
//!        └─ user ──► new user + mount namespace, ids mapped by newuidmap/newgidmap
//! ```

pub(crate) mod ids;

use std::{
    fs, io,
    io::Write as _,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
    unistd::{Gid, Uid, User, getegid, geteuid, getpid},
};
use tracing::{info, warn};

/// What entering came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entered {
    /// The process lives in a user namespace: no rights on the host.
    pub rootless: bool,
    /// Only one user id is mapped.
    pub single_id: bool,
}

/// Why the namespaces could not be entered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The kernel refused new namespaces.
    #[error(
        "create {what}; if the system forbids user namespaces to ordinary users, see \
         `sysctl kernel.unprivileged_userns_clone user.max_user_namespaces kernel.apparmor_restrict_unprivileged_userns`"
    )]
    Unshare { what: &'static str, source: nix::Error },
    /// The namespaces of running pods could not be joined.
    #[error("join the {what} namespace of process {pid}, which holds running pods")]
    Join {
        what: &'static str,
        pid: u32,
        source: io::Error,
    },
    /// Ids could not be mapped.
    #[error("write {path}")]
    Map { path: &'static str, source: io::Error },
    /// Mount propagation could not be changed.
    #[error("detach mounts from the host's")]
    Propagation { source: nix::Error },
}

/// Enters the agent's namespaces. `run_dir` tells which pods still run.
pub(crate) fn enter(run_dir: &Path) -> Result<Entered, Error> {
    let root = geteuid().is_root();
    match running_supervisor(run_dir) {
        Some(pid) => {
            join(pid, root)?;
            info!(pid, "joined the namespaces of running pods");
        }
        None if root => {
            unshare(CloneFlags::CLONE_NEWNS).map_err(|source| Error::Unshare {
                what: "a mount namespace",
                source,
            })?;
            detach_mounts()?;
        }
        None => new_user_namespace()?,
    }
    // Keeps /proc/<pid>/ns readable to the next agent of this user.
    let _ = nix::sys::prctl::set_dumpable(true);
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let mapped = ids::mapped(&map);
    Ok(Entered {
        rootless: mapped < u64::from(u32::MAX),
        single_id: mapped <= 1,
    })
}

/// Mounts of the host still arrive, ours stay ours.
fn detach_mounts() -> Result<(), Error> {
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_SLAVE | MsFlags::MS_REC,
        None::<&str>,
    )
    .map_err(|source| Error::Propagation { source })
}

fn new_user_namespace() -> Result<(), Error> {
    let (uid, gid) = (geteuid(), getegid());
    // newuidmap has to run outside of the new namespace, where it is set-uid root: a shell is started now and
    // waits for our word.
    let helper = map_helper(uid, gid);
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).map_err(|source| Error::Unshare {
        what: "a user and mount namespace",
        source,
    })?;
    let ranged = match helper {
        Ok(child) => finish_map(child),
        Err(reason) => Err(reason),
    };
    if let Err(reason) = ranged {
        warn!(
            %reason,
            "no range of user ids: only one user exists inside pods. Images with several users will not work; \
             ask root for a range: `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 <user>`"
        );
        single_map(uid, gid)?;
    }
    detach_mounts()
}

fn map_helper(uid: Uid, gid: Gid) -> Result<std::process::Child, String> {
    let name = User::from_uid(uid)
        .ok()
        .flatten()
        .map(|user| user.name)
        .unwrap_or_default();
    let read = |path: &str| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let uids = ids::ranges(&read("/etc/subuid")?, &name, uid.as_raw());
    let gids = ids::ranges(&read("/etc/subgid")?, &name, uid.as_raw());
    if uids.is_empty() || gids.is_empty() {
        return Err(format!(
            "user {name} ({uid}) has no line in /etc/subuid or /etc/subgid"
        ));
    }
    let pid = getpid();
    let script = format!(
        "read go && newuidmap {pid} {} && newgidmap {pid} {}",
        ids::arguments(uid.as_raw(), &uids),
        ids::arguments(gid.as_raw(), &gids),
    );
    Command::new("/bin/sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("start /bin/sh: {error}"))
}

fn finish_map(mut child: std::process::Child) -> Result<(), String> {
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(b"go\n");
    }
    let output = child
        .wait_with_output()
        .map_err(|error| format!("newuidmap: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "newuidmap: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    ))
}

fn single_map(uid: Uid, gid: Gid) -> Result<(), Error> {
    let write = |path: &'static str, text: String| {
        fs::write(path, text).map_err(|source| Error::Map { path, source })
    };
    write("/proc/self/setgroups", "deny".into())?;
    // newuidmap may have succeeded before newgidmap failed: a map is written once.
    if fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.trim().is_empty()) {
        write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    }
    write("/proc/self/gid_map", format!("0 {gid} 1"))
}

fn join(pid: u32, root: bool) -> Result<(), Error> {
    let enter = |what: &'static str, kind: CloneFlags| {
        let path = format!("/proc/{pid}/ns/{what}");
        let file = fs::File::open(&path).map_err(|source| Error::Join { what, pid, source })?;
        setns(file.as_fd(), kind).map_err(|source| Error::Join {
            what,
            pid,
            source: source.into(),
        })
    };
    let own = fs::read_link("/proc/self/ns/user").ok();
    let theirs = fs::read_link(format!("/proc/{pid}/ns/user")).ok();
    if own != theirs {
        enter("user", CloneFlags::CLONE_NEWUSER)?;
        if !root {
            // The mapped user 0 is who we are already; the ids of the thread follow the map.
            let _ = nix::unistd::setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0));
            let _ = nix::unistd::setresgid(Gid::from_raw(0), Gid::from_raw(0), Gid::from_raw(0));
        }
    }
    enter("mnt", CloneFlags::CLONE_NEWNS)
}

/// The pid of a supervisor that is alive (same start time as it noted), if any pod of this node runs.
pub(crate) fn running_supervisor(run_dir: &Path) -> Option<u32> {
    supervisors(run_dir)
        .into_iter()
        .find(|(_, pid)| pid.is_some())
        .and_then(|(_, pid)| pid)
}

/// All pod directories, with the pid of their supervisor while it lives.
pub(crate) fn supervisors(run_dir: &Path) -> Vec<(PathBuf, Option<u32>)> {
    let Ok(entries) = fs::read_dir(run_dir.join("pods")) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| (entry.path(), supervisor_pid(&entry.path())))
        .collect()
}

/// Only what identifies the process; the rest of the file is the supervisor's business.
#[derive(serde::Deserialize)]
struct SupervisorState {
    pid: u32,
    start_time: u64,
}

/// The pid of the supervisor of the pod with this run directory, while it lives.
pub(crate) fn supervisor_pid(pod_dir: &Path) -> Option<u32> {
    let text = fs::read(pod_dir.join("state.json")).ok()?;
    let state: SupervisorState = serde_json::from_slice(&text).ok()?;
    (skiff_sys::process::alive_since(state.pid)? == state.start_time).then_some(state.pid)
}
