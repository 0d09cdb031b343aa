//! create, start, run, kill, delete.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    time::Duration,
};

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
    process::{Pid, PidfdFlags},
};
use skiff_sys::{
    pattern::Pattern,
    process::{Child, pidfd_signal},
};

use super::{
    args::{self, Args, Create, Kill, Run},
    config, console, foreground,
    readiness::{Readiness, Relay},
    store::{Entry, Saved, Store},
};
use crate::{
    cgroup::Cgroup,
    container::{self, Join, Plan, Stdio, create as creation, exec, hooks},
    error::{Context, invalid},
    seccomp::Filter,
    supervisor::RootFs,
};

/// How long a killed process usually takes to end.
const PROMPT: Duration = Duration::from_millis(200);

/// How long it may take in the end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A container that waits for its start.
struct Made {
    entry: Entry,
    saved: Saved,
    spec: Spec,
    child: Child,
    console: Option<OwnedFd>,
}

pub(super) fn create(store: &Store, args: &Create, all: &Args) -> io::Result<i32> {
    let made = make(store, args, all, true)?;
    drop(made.console);
    Ok(0)
}

/// Creates a container. Detached, its terminal goes to the console socket.
fn make(store: &Store, args: &Create, all: &Args, detached: bool) -> io::Result<Made> {
    if args.preserve_fds != 0 {
        return Err(invalid("--preserve-fds is not supported"));
    }
    let bundle = args
        .bundle
        .canonicalize()
        .context(|| format!("open the bundle {:?}", args.bundle))?;
    let mut told = Vec::new();
    let spec = config::load(&bundle.join(&args.config), &mut told)?;
    let entry = store.make(&args.id)?;
    let mut cgroup = None;
    let made = make_in(&entry, &bundle, spec, args, detached, &mut cgroup, &mut told);
    super::notes(all, &told);
    if made.is_err() {
        if let Some(cgroup) = cgroup {
            let _ = cgroup.remove(|| ());
        }
        let _ = entry.remove();
    }
    made
}

fn make_in(
    entry: &Entry,
    bundle: &Path,
    mut spec: Spec,
    args: &Create,
    detached: bool,
    cgroup: &mut Option<Cgroup>,
    told: &mut Vec<String>,
) -> io::Result<Made> {
    let terminal = spec
        .process()
        .as_ref()
        .is_some_and(|p| p.terminal().unwrap_or(false));
    if terminal && detached && args.console_socket.is_none() {
        return Err(invalid(
            "cannot allocate tty if runc will detach without setting console socket: use --console-socket",
        ));
    }
    if !terminal && args.console_socket.is_some() {
        return Err(invalid(
            "cannot use console socket if runc will not detach or allocate tty",
        ));
    }
    let linux = spec.linux().clone().unwrap_or_default();
    *cgroup = make_cgroup(&entry.id, &linux, told)?;
    if let Some(readiness) = Readiness::wanted(entry.dir()) {
        readiness.prepare(&mut spec)?;
    }
    let rootfs = bundle.join(spec.root().as_ref().map(|r| r.path().clone()).unwrap_or_default());
    let rootfs = rootfs
        .canonicalize()
        .context(|| format!("open the root file system {rootfs:?}"))?;
    let (new, join) = namespaces(&linux)?;
    let stdio = if terminal {
        let size = spec.process().as_ref().and_then(|p| p.console_size());
        Stdio::Terminal {
            size: size.map(|s| (s.width() as u16, s.height() as u16)),
        }
    } else {
        Stdio::Inherit
    };
    let seccomp = linux
        .seccomp()
        .as_ref()
        .map(|profile| Filter::compile(profile, None))
        .transpose()?;
    let plan = Plan {
        id: entry.id.clone(),
        spec: spec.clone(),
        bundle: bundle.to_owned(),
        rootfs: RootFs::Dir(rootfs.clone()),
        mountpoint: rootfs.clone(),
        new,
        join,
        cgroup: cgroup.clone(),
        seccomp,
        stdio,
        die_with_parent: false,
        no_pivot: args.no_pivot,
        gate: Some(entry.make_gate()?),
    };
    let created = creation::create(plan)?;
    told.extend(created.notes);
    let finish = || -> io::Result<Saved> {
        let saved = Saved {
            oci_version: crate::OCI_VERSION.to_owned(),
            id: entry.id.clone(),
            pid: created.child.pid,
            start_time: exec::start_time(created.child.pid)?,
            bundle: bundle.to_owned(),
            rootfs,
            created: jiff::Timestamp::now().to_string(),
            owner: rustix::process::geteuid().as_raw(),
            cgroup: cgroup.clone(),
        };
        entry.save(&saved, &spec)?;
        if let (Some(socket), Some(console)) = (&args.console_socket, &created.console) {
            console::send(socket, console)?;
        }
        if let Some(path) = &args.pid_file {
            crate::state::replace(path, created.child.pid.to_string().as_bytes())?;
        }
        Ok(saved)
    };
    match finish() {
        Ok(saved) => Ok(Made {
            entry: entry.clone(),
            saved,
            spec,
            child: created.child,
            console: created.console,
        }),
        Err(e) => {
            creation::put_down(&created.child);
            Err(e)
        }
    }
}

/// The container's cgroup, where there is one to be had.
fn make_cgroup(
    id: &str,
    linux: &oci_spec::runtime::Linux,
    told: &mut Vec<String>,
) -> io::Result<Option<Cgroup>> {
    let path = linux
        .cgroups_path()
        .as_ref()
        .map(|p| p.to_string_lossy().into_owned())
        .filter(|p| !p.is_empty());
    let made = match &path {
        Some(path) if path.starts_with('/') => Cgroup::create_from_top(path),
        Some(path) => Cgroup::create(path),
        // At the top, with no parent that would have to be made and removed each time.
        None => Cgroup::create_from_top(&format!("skiff-{id}")),
    };
    match made {
        Ok(cgroup) => {
            if let Some(resources) = linux.resources()
                && let Err(e) = cgroup.apply(resources, false)
            {
                let _ = cgroup.remove(|| ());
                return Err(e);
            }
            Ok(Some(cgroup))
        }
        Err(e) if e.kind() == io::ErrorKind::Unsupported => {
            told.push(e.to_string());
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

fn namespaces(linux: &oci_spec::runtime::Linux) -> io::Result<(u64, Vec<Join>)> {
    let mut new = 0;
    let mut join = Vec::new();
    let mut seen = Vec::new();
    for namespace in linux.namespaces().iter().flatten() {
        let kind = namespace.typ();
        if seen.contains(&kind) {
            return Err(invalid(format!("the {kind} namespace is listed twice")));
        }
        seen.push(kind);
        match namespace.path() {
            Some(path) => {
                let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                    .context(|| format!("open the {kind} namespace {path:?}"))?;
                join.push(Join { kind, fd });
            }
            // The process makes these two itself: their content depends on where it is then.
            None if matches!(kind, LinuxNamespaceType::Cgroup | LinuxNamespaceType::Time) => (),
            // The numbers of the enum are the kernel's flags.
            None => new |= kind as u64,
        }
    }
    if !seen.contains(&LinuxNamespaceType::Mount) {
        return Err(invalid("a container needs a mount namespace"));
    }
    Ok((new, join))
}

pub(super) fn start(store: &Store, id: &str) -> io::Result<i32> {
    let (entry, saved) = store.get(id)?;
    match entry.status(&saved) {
        "created" => (),
        "stopped" => return Err(invalid("cannot start a container that has stopped")),
        _ => return Err(invalid("cannot start an already running container")),
    }
    let relay = listen(&entry, &saved)?;
    begin(&entry, &saved, &entry.spec()?)?;
    if let Some(relay) = relay {
        relay.wait(open(&saved)?)?;
    }
    Ok(0)
}

/// Listens for the readiness of a container that was made with a service manager to tell.
fn listen(entry: &Entry, saved: &Saved) -> io::Result<Option<Relay>> {
    match Readiness::wanted(entry.dir()).map(|readiness| readiness.listen(saved.pid)) {
        Some(Err(e)) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        done => done.transpose(),
    }
}

fn begin(entry: &Entry, saved: &Saved, spec: &Spec) -> io::Result<()> {
    let gate = entry.open_gate()?;
    container::start(&gate)?;
    if let Some(all) = spec.hooks() {
        let state = hooks::state(
            &saved.id,
            "running",
            Some(saved.pid),
            &saved.bundle,
            spec.annotations(),
        );
        hooks::run("poststart", all.poststart(), &state)?;
    }
    Ok(())
}

pub(super) fn run(store: &Store, args: &Run, all: &Args) -> io::Result<i32> {
    if !args.detach && args.create.console_socket.is_some() {
        return Err(invalid(
            "cannot use console socket if runc will not detach or allocate tty",
        ));
    }
    let mut made = make(store, &args.create, all, args.detach)?;
    // Signals from here on are the container's.
    let watch = if args.detach {
        None
    } else {
        Some(foreground::Watch::new()?)
    };
    let begun = listen(&made.entry, &made.saved).and_then(|relay| {
        begin(&made.entry, &made.saved, &made.spec)?;
        Ok(relay)
    });
    let relay = match begun {
        Ok(relay) => relay,
        Err(e) => {
            creation::put_down(&made.child);
            let _ = clear(&made.entry, &made.saved, &made.spec);
            return Err(e);
        }
    };
    let Some(watch) = watch else {
        if let Some(relay) = relay {
            relay.wait(&made.child.pidfd)?;
        }
        return Ok(0);
    };
    let code = watch.wait(&made.child, made.console.take(), relay);
    if !args.keep {
        clear(&made.entry, &made.saved, &made.spec)?;
    }
    code
}

pub(super) fn kill(store: &Store, args: &Kill) -> io::Result<i32> {
    let signal = parse_signal(&args.signal)?;
    let (entry, saved) = store.get(&args.id)?;
    if args.all
        && let Some(cgroup) = &saved.cgroup
    {
        cgroup.signal(signal);
        return Ok(0);
    }
    if entry.status(&saved) == "stopped" {
        return Err(io::Error::new(io::ErrorKind::NotFound, "container not running"));
    }
    send(&saved, signal)?;
    Ok(0)
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

pub(super) fn delete(store: &Store, args: &args::Delete) -> io::Result<i32> {
    if !args.regex {
        let found = match store.get(&args.id) {
            Err(e) if args.force && e.kind() == io::ErrorKind::NotFound => return Ok(0),
            done => done?,
        };
        delete_one(&found.0, &found.1, args.force)?;
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
    if status == "running" && !force {
        return Err(invalid(format!(
            "cannot delete container {} that is not stopped: {status}",
            entry.id
        )));
    }
    if status != "stopped"
        && let Ok(fd) = send(saved, libc::SIGKILL)
        && !ended(&fd, PROMPT)?
    {
        // Frozen processes of cgroup v1 do not even die. In its own cgroup, which is not frozen, it goes on.
        if let Some(cgroup) = &saved.cgroup {
            cgroup.attach(saved.pid)?;
        }
        if !ended(&fd, PATIENCE)? {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("process {} does not end", saved.pid),
            ));
        }
    }
    clear(entry, saved, &entry.spec()?)
}

/// The process behind a pidfd ends within `limit`.
fn ended(pidfd: &OwnedFd, limit: Duration) -> io::Result<bool> {
    let timeout = Timespec {
        tv_sec: limit.as_secs() as i64,
        tv_nsec: limit.subsec_nanos().into(),
    };
    // It becomes readable then.
    Ok(poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout))
        .context(|| "wait for the container".into())?
        > 0)
}

fn clear(entry: &Entry, saved: &Saved, spec: &Spec) -> io::Result<()> {
    if let Some(cgroup) = &saved.cgroup {
        cgroup.remove(|| ())?;
    }
    entry.remove()?;
    if let Some(all) = spec.hooks() {
        let state = hooks::state(&saved.id, "stopped", None, &saved.bundle, spec.annotations());
        // Source: runtime-spec, "poststop": a failure is told and changes nothing.
        if let Err(e) = hooks::run("poststop", all.poststop(), &state) {
            eprintln!("warning: {e}");
        }
    }
    Ok(())
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
