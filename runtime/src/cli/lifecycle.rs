//! start, kill, delete.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    time::Duration,
};

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags},
};
use skiff_sys::{pattern::Pattern, process::pidfd_signal};

use super::{
    args::{Delete, Kill},
    readiness::{Readiness, Relay},
    shared_mounts::take_down,
    store::{Entry, Saved, Store},
};
use crate::{
    cgroup::Cgroup,
    container::{self, Agent, exec, hooks},
    error::{Context, invalid},
};

/// How long a killed process usually takes to end.
const PROMPT: Duration = Duration::from_millis(200);

/// How long it may take in the end.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn start(store: &Store, id: &str) -> io::Result<i32> {
    let (entry, saved) = store.get(id)?;
    match entry.status(&saved) {
        "created" => (),
        "stopped" => return Err(invalid("cannot start a container that has stopped")),
        "running" => return Err(invalid("cannot start an already running container")),
        status => {
            return Err(invalid(format!("cannot start a container in the {status} state")));
        }
    }
    if let Some(relay) = begin(&entry, &saved, &entry.spec()?, None, false)? {
        relay.wait(open(&saved)?)?;
    }
    Ok(0)
}

/// Lets a created container run, which waits at `gate` or, without one, at its own, unless it has been `let_go` already. With
/// a service manager to tell of its readiness, who waits for that gets a relay.
pub(super) fn begin(
    entry: &Entry,
    saved: &Saved,
    spec: &Spec,
    gate: Option<OwnedFd>,
    let_go: bool,
) -> io::Result<Option<Relay>> {
    let relay = match Readiness::wanted(entry.dir()).map(|readiness| readiness.listen(saved.pid)) {
        // Created without one.
        Some(Err(e)) if e.kind() == io::ErrorKind::NotFound => None,
        done => done.transpose()?,
    };
    let gate = gate.map_or_else(|| entry.open_gate(), Ok)?;
    let annotations = spec.annotations();
    let state = |status| hooks::state(&saved.id, status, Some(saved.pid), &saved.bundle, annotations);
    let agent = Agent::of(spec, state("created"));
    let agent = agent.as_ref().map(|agent| (agent, saved.pid));
    if let_go {
        container::started(&gate, agent)?;
    } else {
        container::start(&gate, agent)?;
    }
    if let Some(all) = spec.hooks()
        && let Err(e) = hooks::run("poststart", all.poststart(), &state("running"))
    {
        // As with runc: the container does not go on without what the hook was to do.
        let _ = send(saved, libc::SIGKILL);
        return Err(e);
    }
    Ok(relay)
}

pub(super) fn kill(store: &Store, args: &Kill) -> io::Result<i32> {
    let signal = parse_signal(&args.signal)?;
    let (entry, saved) = store.get(&args.id)?;
    let status = entry.status(&saved);
    // Without a PID namespace of its own, processes may outlive the first one.
    let all = args.all || (signal == libc::SIGKILL && !own_pids(&entry.spec()?));
    if all && let Some(cgroup) = &saved.cgroup {
        if cgroup.signal(signal) == 0 && status == "stopped" && !args.all {
            return Err(io::Error::new(io::ErrorKind::NotFound, "container not running"));
        }
        wake(cgroup, signal);
        return Ok(0);
    }
    if status == "stopped" {
        return Err(io::Error::new(io::ErrorKind::NotFound, "container not running"));
    }
    send(&saved, signal)?;
    if let Some(cgroup) = &saved.cgroup {
        wake(cgroup, signal);
    }
    Ok(0)
}

fn own_pids(spec: &Spec) -> bool {
    let namespaces = spec.linux().as_ref().and_then(|l| l.namespaces().as_ref());
    namespaces
        .into_iter()
        .flatten()
        .any(|n| n.typ() == LinuxNamespaceType::Pid && n.path().is_none())
}

/// A frozen process of cgroup v1 ends only when it is thawed.
fn wake(cgroup: &Cgroup, signal: i32) {
    if signal == libc::SIGKILL && cgroup.frozen() {
        let _ = cgroup.freeze(false);
    }
}

/// A container's first process; `NotFound` when it has ended.
fn open(saved: &Saved) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(saved.pid as i32).ok_or_else(|| invalid("no process"))?;
    let fd =
        rustix::process::pidfd_open(pid, PidfdFlags::empty()).context(|| "container not running".into())?;
    // Looked at once the descriptor holds the number.
    if !exec::alive(saved.pid, saved.start_time) {
        return Err(io::Error::new(io::ErrorKind::NotFound, "container not running"));
    }
    Ok(fd)
}

fn send(saved: &Saved, signal: i32) -> io::Result<OwnedFd> {
    let fd = open(saved)?;
    pidfd_signal(fd.as_fd(), signal).context(|| format!("send signal {signal}"))?;
    Ok(fd)
}

/// `TERM`, `SIGTERM`, `15`.
pub(super) fn parse_signal(text: &str) -> io::Result<i32> {
    if let Ok(number) = text.parse::<i32>()
        && (0..=64).contains(&number)
    {
        return Ok(number);
    }
    let upper = text.to_uppercase();
    let name = if upper.starts_with("SIG") {
        upper
    } else {
        format!("SIG{upper}")
    };
    if let Some(offset) = name.strip_prefix("SIGRTMIN") {
        let offset: i32 = if offset.is_empty() {
            0
        } else {
            offset.parse().map_err(|_| invalid("unknown signal"))?
        };
        return Ok(libc::SIGRTMIN() + offset);
    }
    name.parse::<nix::sys::signal::Signal>()
        .map(|s| s as i32)
        .map_err(|_| invalid(format!("unknown signal {text:?}")))
}

pub(super) fn delete(store: &Store, args: &Delete, by_systemd: bool) -> io::Result<i32> {
    if !args.regex {
        match store.get(&args.id) {
            // Never created, or its state is lost: what is left of it goes.
            Err(_) if args.force => recover(store, &args.id, by_systemd)?,
            found => {
                let (entry, saved) = found?;
                delete_one(&entry, &saved, args.force)?;
            }
        }
        return Ok(0);
    }
    let pattern = Pattern::new(&args.id)?;
    for (entry, saved) in store
        .all()?
        .iter()
        .filter(|(entry, _)| pattern.matches(&entry.id))
    {
        delete_one(entry, saved, args.force)?;
    }
    Ok(0)
}

fn delete_one(entry: &Entry, saved: &Saved, force: bool) -> io::Result<()> {
    let status = entry.status(saved);
    if matches!(status, "running" | "paused") && !force {
        return Err(invalid(format!(
            "cannot delete container {} that is not stopped: {status}",
            entry.id
        )));
    }
    if status != "stopped"
        && let Ok(fd) = send(saved, libc::SIGKILL)
    {
        if let Some(cgroup) = &saved.cgroup {
            wake(cgroup, libc::SIGKILL);
        }
        end(saved, &fd)?;
    }
    match entry.spec() {
        Ok(spec) => clear(entry, saved, &spec),
        // Torn: the hooks are not known any more.
        Err(_) if force => {
            if let Some(cgroup) = &saved.cgroup {
                cgroup.remove(|| ())?;
            }
            take_down(&saved.rootfs, saved.shared_mount)?;
            entry.remove()
        }
        Err(e) => Err(e),
    }
}

/// Waits for a killed process to end.
fn end(saved: &Saved, pidfd: &OwnedFd) -> io::Result<()> {
    if ended_within(pidfd, PROMPT)? {
        return Ok(());
    }
    // Moved into a frozen cgroup (v1), where even killed processes stay: in its own, which is not frozen, it goes on.
    if let Some(cgroup) = &saved.cgroup {
        cgroup.attach(saved.pid)?;
    }
    if ended_within(pidfd, PATIENCE)? {
        return Ok(());
    }
    let text = format!("process {} is killed and does not end", saved.pid);
    Err(io::Error::new(io::ErrorKind::TimedOut, text))
}

/// The process behind a pidfd ends within `limit`.
fn ended_within(pidfd: &OwnedFd, limit: Duration) -> io::Result<bool> {
    let timeout = Timespec {
        tv_sec: limit.as_secs() as i64,
        tv_nsec: limit.subsec_nanos().into(),
    };
    // It becomes readable then.
    let ready = poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout));
    Ok(ready.context(|| "wait for the container".into())? > 0)
}

/// Removes what a creation that was cut short, or one whose state file is damaged, has left: the configuration is
/// written before anything else is made, and names the cgroup; `shared.json` tells of mounts that everybody sees. A state that
/// was written and not published may be that of a process which runs.
fn recover(store: &Store, id: &str, by_systemd: bool) -> io::Result<()> {
    let entry = store.entry(id)?;
    if let Some(saved) = entry.unpublished() {
        return delete_one(&entry, &saved, true);
    }
    if let Some(shared) = entry.shared() {
        shared.undo()?;
    }
    if let Ok(spec) = entry.spec() {
        match Cgroup::of(id, &spec, &store.cgroup_name(id), by_systemd) {
            Ok(cgroup) => cgroup.remove(|| ())?,
            Err(e) if e.kind() == io::ErrorKind::Unsupported => (),
            Err(e) => return Err(e),
        }
    }
    entry.remove()
}

/// Removes a container whose process has ended.
pub(super) fn clear(entry: &Entry, saved: &Saved, spec: &Spec) -> io::Result<()> {
    if let Some(cgroup) = &saved.cgroup {
        cgroup.remove(|| ())?;
    }
    take_down(&saved.rootfs, saved.shared_mount)?;
    entry.remove()?;
    poststop(&saved.id, &saved.bundle, spec);
    Ok(())
}

/// Runs the poststop hooks, each of them. Source: runtime-spec, "Lifecycle": a failure is told and changes nothing.
pub(super) fn poststop(id: &str, bundle: &Path, spec: &Spec) {
    let Some(all) = spec.hooks() else { return };
    let state = hooks::state(id, "stopped", None, bundle, spec.annotations());
    for e in hooks::failures("poststop", all.poststop(), &state) {
        eprintln!("warning: {e}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for text in ["TERM", "SIGTERM", "sigterm", "15"] {
            assert_eq!(parse_signal(text).unwrap(), 15);
        }
        assert_eq!(parse_signal("RTMIN+3").unwrap(), libc::SIGRTMIN() + 3);
        assert!(parse_signal("NOPE").is_err());
        assert!(parse_signal("65").is_err());
    }
}
