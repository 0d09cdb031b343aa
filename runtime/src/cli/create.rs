//! create and run.

use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use oci_spec::runtime::{Linux, LinuxDeviceCgroup, LinuxNamespaceType, LinuxResources, Process, Spec};
use rustix::fs::{Mode, OFlags};
use skiff_sys::process::Child;

use super::{
    args::{Args, Create, Run},
    config, console, foreground, lifecycle,
    readiness::Readiness,
    shared_mounts::Shared,
    store::{Entry, Saved, Store},
};
use crate::{
    cgroup::Cgroup,
    container::{Join, Plan, Stdio, create as creation, exec},
    error::{Context, invalid},
    seccomp::Filter,
    state::Draft,
    supervisor::RootFs,
};

/// A container that waits for its start.
struct Made {
    entry: Entry,
    saved: Saved,
    spec: Spec,
    child: Child,
    /// Where it waits, unless it does at a gate for others.
    gate: Option<OwnedFd>,
    /// It has been let go already, and its signals are watched.
    started: bool,
    watch: Option<foreground::Watch>,
    console: Option<OwnedFd>,
}

pub(super) fn create(store: &Store, args: &Create, all: &Args) -> io::Result<i32> {
    let made = make(store, args, all, Way::Create)?;
    drop(made.console);
    Ok(0)
}

pub(super) fn run(store: &Store, args: &Run, all: &Args) -> io::Result<i32> {
    if !args.detach && args.create.console_socket.is_some() {
        return Err(invalid(
            "cannot use console socket if runc will not detach or allocate tty",
        ));
    }
    let way = if args.detach { Way::RunDetached } else { Way::Run };
    let mut made = make(store, &args.create, all, way)?;
    // Signals from here on are the container's.
    let watch = match made.watch.take() {
        None if !args.detach => Some(foreground::Watch::new()?),
        watch => watch,
    };
    let gate = made.gate.take();
    let relay = match lifecycle::begin(&made.entry, &made.saved, &made.spec, gate, made.started) {
        Ok(relay) => relay,
        Err(e) => {
            creation::put_down(&made.child);
            let _ = lifecycle::clear(&made.entry, &made.saved, &made.spec);
            return Err(e).context(|| "unable to start container process".into());
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
        lifecycle::clear(&made.entry, &made.saved, &made.spec)?;
    }
    code
}

/// When a container is started, and by whom its terminal is served.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Later, by another command; its terminal goes to the console socket.
    Create,
    /// At once; its terminal goes to the console socket.
    RunDetached,
    /// At once, and this process stays.
    Run,
}

fn make(store: &Store, args: &Create, all: &Args, way: Way) -> io::Result<Made> {
    let detached = way != Way::Run;
    let started_later = way == Way::Create;
    check_preserved(args.preserve_fds)?;
    let keep = keep_descriptors(args.preserve_fds);
    let bundle = args
        .bundle
        .canonicalize()
        .context(|| format!("open the bundle {:?}", args.bundle))?;
    let mut told = Vec::new();
    let mut spec = config::load(&bundle.join(&args.config), &mut told)?;
    check_terminal(&spec, args, detached)?;
    if keep.listening > 0 {
        keep.tell(&mut spec);
    }
    let cgroup = match Cgroup::of(&args.id, &spec, &store.cgroup_name(&args.id), all.by_systemd()) {
        _ if all.cgroup_manager == "disabled" => None,
        Err(e) if e.kind() == io::ErrorKind::Unsupported => {
            check_dispensable(&spec).map_err(|refused| invalid(format!("{refused} ({e})")))?;
            told.push(e.to_string());
            None
        }
        done => Some(done?),
    };
    let entry = store.make(&args.id)?;
    if let Err(e) = cgroup.as_ref().map_or(Ok(()), check_vacant) {
        entry.remove()?;
        return Err(e);
    }
    if let Some(readiness) = Readiness::wanted(entry.dir())
        && let Err(e) = readiness.prepare(&mut spec)
    {
        entry.remove()?;
        return Err(e);
    }
    let making = Making {
        entry: &entry,
        bundle: &bundle,
        cgroup,
        args,
        preserve_fds: keep.count,
        started_later,
        // Nothing is to be done before its start then.
        at_once: way == Way::Run
            && spec.hooks().is_none()
            && args.pid_file.is_none()
            && args.pidfd_socket.is_none()
            && Readiness::wanted(entry.dir()).is_none(),
    };
    let mut watch = None;
    let made = making.make(&spec, &mut told, &mut watch);
    super::notes(all, &told);
    match made {
        Ok((saved, created)) => Ok(Made {
            entry,
            saved,
            spec,
            child: created.child,
            gate: Some(created.gate),
            started: created.started,
            watch,
            console: created.console,
        }),
        Err(e) => {
            if let Some(cgroup) = &making.cgroup {
                let _ = cgroup.remove(|| ());
            }
            let _ = entry.remove();
            lifecycle::poststop(&args.id, &bundle, &spec);
            Err(e)
        }
    }
}

fn check_terminal(spec: &Spec, args: &Create, detached: bool) -> io::Result<()> {
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
    Ok(())
}

/// Descriptors from 3 on that the process keeps.
#[derive(Clone, Copy)]
struct Keep {
    count: u32,
    /// How many of them were given to us by socket activation.
    listening: u32,
}

impl Keep {
    /// Tells the process which descriptors listen, as sd_listen_fds(3) has it.
    fn tell(self, spec: &mut Spec) {
        if let Some(mut process) = spec.process().clone() {
            let mut env = process.env().clone().unwrap_or_default();
            env.push(format!("LISTEN_FDS={}", self.listening));
            env.push("LISTEN_PID=1".to_owned());
            process.set_env(Some(env));
            spec.set_process(Some(process));
        }
    }
}

fn keep_descriptors(preserve: u32) -> Keep {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    let listening = match (number("LISTEN_PID"), number("LISTEN_FDS")) {
        // For somebody else.
        (Some(pid), _) if pid != std::process::id() => 0,
        (_, count) => count.unwrap_or(0),
    };
    // Of those, ours (all close-on-exec) are not passed on, nor is what is not open.
    Keep {
        count: listening.saturating_add(preserve).min(MOST_DESCRIPTORS),
        listening,
    }
}

/// Refuses to preserve descriptors none of which is there; gaps between them are none of ours, as with crun. Before anything
/// else is opened.
pub(super) fn check_preserved(count: u32) -> io::Result<()> {
    let present = |at: u32| fs::symlink_metadata(format!("/proc/self/fd/{}", at + 3)).is_ok();
    if count == 0 || (0..count.min(MOST_DESCRIPTORS)).any(present) {
        return Ok(());
    }
    Err(invalid(format!(
        "please check that preserved-fd 0 (of {count}) is present"
    )))
}

/// No process can have more.
const MOST_DESCRIPTORS: u32 = 1 << 30;

/// What a container is made from.
struct Making<'a> {
    entry: &'a Entry,
    bundle: &'a Path,
    cgroup: Option<Cgroup>,
    args: &'a Create,
    preserve_fds: u32,
    /// Another command starts it, not this one.
    started_later: bool,
    /// It starts by itself when it is ready, without waiting for a word.
    at_once: bool,
}

impl Making<'_> {
    /// Makes it. Each step that leaves something is taken when it is written down where that will be found.
    /// With one that starts by itself comes what watches its signals, which may be sent before it is found.
    fn make(
        &self,
        spec: &Spec,
        told: &mut Vec<String>,
        watch: &mut Option<foreground::Watch>,
    ) -> io::Result<(Saved, creation::Created)> {
        let linux = spec.linux().clone().unwrap_or_default();
        let rootfs = self.rootfs(spec)?;
        let (new, join) = namespaces(&linux)?;
        let seccomp = linux
            .seccomp()
            .as_ref()
            .map(|profile| Filter::compile(profile, Some(&self.entry.filters())))
            .transpose()?;
        // Before the cgroup: `delete --force` finds the cgroup by it, whatever happens to us from here on.
        self.entry.save_config(spec)?;
        let plan = Plan {
            id: self.entry.id.clone(),
            spec: spec.clone(),
            bundle: self.bundle.to_owned(),
            rootfs: RootFs::Dir(rootfs.clone()),
            mountpoint: rootfs.clone(),
            new,
            join,
            cgroup: self.cgroup.clone(),
            resources: Some(resources(&linux)),
            seccomp,
            stdio: stdio(spec.process().as_ref()),
            die_with_parent: false,
            no_pivot: self.args.no_pivot,
            keyring: !self.args.no_new_keyring,
            preserve_fds: self.preserve_fds,
            prepared_mounts: Default::default(),
            gate: if self.started_later {
                Some(self.entry.make_gate()?)
            } else {
                None
            },
        };
        let shared = Shared::of(spec, &rootfs)?;
        if let Some(shared) = &shared {
            self.entry.save_shared(shared)?;
        }
        let mut draft = None;
        let created = creation::create(plan, |child| {
            // Nobody may find it before it is ready, but what is known by now can be written down. If that fails it may be
            // because the new process has failed, which is told next.
            if shared.is_none() {
                draft = self.draft(&rootfs, None, child).ok();
            }
            if self.at_once && draft.is_some() {
                *watch = foreground::Watch::new().ok();
            }
            watch.is_some()
        })
        .context(|| "unable to start container process".into())
        .inspect_err(|_| {
            let _ = shared.as_ref().map(Shared::undo);
        });
        let mut created = created?;
        told.append(&mut created.notes);
        let finished = draft
            .map_or_else(|| self.draft(&rootfs, shared.as_ref(), &created.child), Ok)
            .and_then(|(saved, draft)| draft.publish().map(|()| saved))
            .and_then(|saved| self.finish(&created).map(|()| saved));
        match finished {
            Ok(saved) => Ok((saved, created)),
            Err(e) => {
                creation::put_down(&created.child);
                let _ = shared.as_ref().map(Shared::undo);
                Err(e)
            }
        }
    }

    fn rootfs(&self, spec: &Spec) -> io::Result<PathBuf> {
        let path = spec.root().as_ref().map(|r| r.path().clone()).unwrap_or_default();
        let path = self.bundle.join(path);
        let path = path
            .canonicalize()
            .context(|| format!("invalid rootfs: {path:?}"))?;
        if !path.is_dir() {
            return Err(invalid(format!("invalid rootfs: {path:?} is not a directory")));
        }
        Ok(path)
    }

    /// The container's state.
    fn draft(&self, rootfs: &Path, shared: Option<&Shared>, child: &Child) -> io::Result<(Saved, Draft)> {
        let saved = Saved {
            oci_version: crate::OCI_VERSION.to_owned(),
            id: self.entry.id.clone(),
            pid: child.pid,
            start_time: exec::start_time(child.pid)?,
            bundle: self.bundle.to_owned(),
            rootfs: rootfs.to_owned(),
            created: jiff::Timestamp::now().to_string(),
            owner: rustix::process::geteuid().as_raw(),
            cgroup: self.cgroup.clone(),
            shared_mount: shared.map_or(Ok(None), Shared::made)?,
        };
        let draft = self.entry.draft(&saved)?;
        Ok((saved, draft))
    }

    /// Lets those know of it who are to.
    fn finish(&self, created: &creation::Created) -> io::Result<()> {
        if self.started_later {
            creation::keep(created)?;
        }
        if let (Some(socket), Some(console)) = (&self.args.console_socket, &created.console) {
            console::send(socket, console)?;
        }
        if let Some(socket) = &self.args.pidfd_socket {
            console::send_pidfd(socket, &created.child)?;
        }
        if let Some(path) = &self.args.pid_file {
            crate::state::replace(path, created.child.pid.to_string().as_bytes())?;
        }
        Ok(())
    }
}

/// Streams as the process asks for them.
pub(super) fn stdio(process: Option<&Process>) -> Stdio {
    let Some(process) = process.filter(|p| p.terminal().unwrap_or(false)) else {
        return Stdio::Inherit;
    };
    let size = process.console_size();
    Stdio::Terminal {
        size: size
            .map(|s| (s.width() as u16, s.height() as u16))
            .filter(|s| *s != (0, 0)),
    }
}

/// The resources of a container, whose device rules begin with "none", as with runc.
fn resources(linux: &Linux) -> LinuxResources {
    let mut resources = linux.resources().clone().unwrap_or_default();
    let mut none = LinuxDeviceCgroup::default();
    none.set_access(Some("rwm".to_owned()));
    let mut rules = vec![none];
    rules.extend(resources.devices().iter().flatten().cloned());
    resources.set_devices(Some(rules));
    resources
}

/// Without cgroups there is a container only when it asks for none, in the words of runc. Rules for devices ask for
/// nothing that an ordinary user's container would not be refused anyway.
fn check_dispensable(spec: &Spec) -> io::Result<()> {
    let resources = spec.linux().as_ref().and_then(|l| l.resources().as_ref());
    if resources.is_some_and(asks_for_limits) {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "unable to apply cgroup configuration: rootless needs no limits + no cgrouppath when no permission is granted for \
             cgroups",
        ));
    }
    Ok(())
}

fn asks_for_limits(resources: &LinuxResources) -> bool {
    fn is_set<T: Default + PartialEq>(part: &Option<T>) -> bool {
        part.as_ref().is_some_and(|part| *part != T::default())
    }
    is_set(resources.memory())
        || is_set(resources.cpu())
        || resources.pids().as_ref().is_some_and(|pids| pids.limit() > 0)
        || is_set(resources.block_io())
        || is_set(resources.hugepage_limits())
        || is_set(resources.network())
        || is_set(resources.rdma())
        || is_set(resources.unified())
}

/// A container's cgroup is its own: removing the container ends what is in it. Nor may it keep its processes from running.
fn check_vacant(cgroup: &Cgroup) -> io::Result<()> {
    let others = cgroup.pids().len();
    if others > 0 {
        return Err(invalid(format!(
            "container's cgroup is not empty: {others} process(es) found"
        )));
    }
    if cgroup.frozen() {
        return Err(invalid("container's cgroup unexpectedly frozen"));
    }
    Ok(())
}

fn namespaces(linux: &Linux) -> io::Result<(u64, Vec<Join>)> {
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
            Some(path) if !path.as_os_str().is_empty() => {
                join.push(Join {
                    kind,
                    fd: open_namespace(kind, path)?,
                });
            }
            // The process makes these two itself: their content depends on where it is then.
            _ if matches!(kind, LinuxNamespaceType::Cgroup | LinuxNamespaceType::Time) => (),
            // The numbers of the enum are the kernel's flags.
            _ => new |= kind as u64,
        }
    }
    Ok((new, join))
}

/// Opens a namespace to join, which must be of the kind it is listed as.
fn open_namespace(kind: LinuxNamespaceType, path: &Path) -> io::Result<OwnedFd> {
    let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .context(|| format!("open the {kind} namespace {path:?}"))?;
    // Source: config-linux.md, "namespaces": the runtime must refuse a path of another type.
    let name = fs::read_link(format!(
        "/proc/self/fd/{}",
        std::os::fd::AsRawFd::as_raw_fd(&fd.as_fd())
    ));
    let wanted = match kind {
        LinuxNamespaceType::Mount => "mnt",
        LinuxNamespaceType::Network => "net",
        LinuxNamespaceType::Cgroup => "cgroup",
        LinuxNamespaceType::Uts => "uts",
        LinuxNamespaceType::Ipc => "ipc",
        LinuxNamespaceType::User => "user",
        LinuxNamespaceType::Pid => "pid",
        LinuxNamespaceType::Time => "time",
    };
    let magic = rustix::fs::fstatfs(&fd)?.f_type;
    let name = name.unwrap_or_default();
    let name = name.to_string_lossy();
    // A bind mount of a namespace has a path of its own and no such name.
    let other = name.contains(":[") && !name.starts_with(&format!("{wanted}:["));
    if magic != NSFS_MAGIC || other {
        return Err(invalid(format!("{path:?} is no {kind} namespace")));
    }
    Ok(fd)
}

/// Source: Linux, uapi/linux/magic.h.
const NSFS_MAGIC: i64 = 0x6e73_6673;
