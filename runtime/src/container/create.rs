//! The creator's side of a new container.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use oci_spec::runtime::{LinuxIdMapping, LinuxNamespaceType, LinuxResources};
use skiff_sys::{
    idmap::{IdRange, write_id_maps},
    process::{Child, Forked, clone3},
};

use super::{Agent, FromChild, Plan, ToChild, fork::fork_after, hooks, init, net_devices::Given, network};
use crate::{cgroup::Cgroup, error::Context, rootfs, wire};

/// How long a new process may take to become ready (a bind mount's file server may not answer).
const PATIENCE: Duration = Duration::from_secs(120);

/// A process that waits for its start.
#[derive(Debug)]
pub(crate) struct Created {
    /// The process.
    pub child: Child,
    /// Its gate, for [`super::start`]; of no use when the plan had a gate of its own.
    pub gate: OwnedFd,
    /// Controlling end of its terminal.
    pub console: Option<OwnedFd>,
    /// What was done differently than asked.
    pub notes: Vec<String>,
    /// It has been let go already: [`super::started`] waits for it.
    pub started: bool,
}

/// Creates a container up to the exec of its process. While that makes its mounts, `meanwhile` is called, and says whether the
/// process is to go on when it is ready, without waiting for a word.
///
/// # Errors
/// What failed, in the creator or in the new process; nothing of it is left then but the cgroup.
pub(crate) fn create(mut plan: Plan, meanwhile: impl FnOnce(&Child) -> bool) -> io::Result<Created> {
    plan.prepared_mounts = rootfs::prepared::mounts(&plan.spec, &plan.bundle)?;
    let (ours, theirs) = wire::pair()?;
    // The many directories of v1 are made while the child makes its mounts.
    let birthplace = match &plan.cgroup {
        Some(cgroup) if cgroup.is_birthplace() => {
            cgroup.make()?;
            cgroup.birthplace()?
        }
        _ => None,
    };
    let home = network::Home::of(&plan);
    if home.is_some() {
        plan.new &= !(libc::CLONE_NEWNET as u64);
    }
    let mut born = birthplace.is_some();
    let mut forked = make(&plan, birthplace.as_ref().map(AsFd::as_fd));
    if forked.is_err() && born {
        // Not every kernel or cgroup allows being born there.
        born = false;
        forked = make(&plan, None);
    }
    if let Ok(Forked::Child) = forked {
        drop(ours);
        let birth = init::Birth {
            in_cgroup: born,
            without_network: home.is_some(),
        };
        init::run(plan, birth, theirs);
    }
    let Forked::Parent(child) = forked? else {
        unreachable!("the child does not return")
    };
    drop(theirs);
    let mut given = None;
    let prepared = prepare(&plan, &child, &ours, born, home, &mut given).and_then(|told| {
        let started = meanwhile(&child);
        if started {
            tell(&ours, &ToChild::Start, &[])?;
        }
        let (console, notes) = ready(&plan, &child, &ours, told)?;
        Ok((console, notes, started))
    });
    match prepared {
        Ok((console, notes, started)) => Ok(Created {
            started,
            child,
            gate: ours,
            console,
            notes,
        }),
        Err(e) => {
            // While there is a namespace to take them from.
            given.iter_mut().for_each(Given::take_back);
            put_down(&child);
            Err(e)
        }
    }
}

/// Tells a process with a gate of its own that it need not end with its creator any more: somebody else can find it.
pub(crate) fn keep(created: &Created) -> io::Result<()> {
    wire::send(&created.gate, &ToChild::Kept, &[])
}

/// Kills and reaps a child that is not wanted any more.
pub(crate) fn put_down(child: &Child) {
    let _ = skiff_sys::process::pidfd_signal(child.pidfd.as_fd(), libc::SIGKILL);
    let _ = rustix::process::waitid(
        rustix::process::WaitId::PidFd(child.pidfd.as_fd()),
        rustix::process::WaitIdOptions::EXITED,
    );
}

/// The child in its namespaces. Those it joins at birth: a user namespace, which is to own the new ones, and a PID
/// namespace, which only a child can be in.
fn make(plan: &Plan, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Forked> {
    let find = |kind| plan.join.iter().find(|j| j.kind == kind);
    let early = [find(LinuxNamespaceType::User), find(LinuxNamespaceType::Pid)];
    if early.iter().all(Option::is_none) {
        return clone3(plan.new, cgroup).context(|| "clone3".into());
    }
    let enter = || {
        for join in early.iter().flatten() {
            rustix::thread::move_into_link_name_space(join.fd.as_fd(), None)
                .context(|| format!("join the {} namespace", join.kind))?;
        }
        Ok(())
    };
    fork_after(enter, plan.new, cgroup)
}

/// Gives the child what only the creator can make; returns what was done differently than asked.
fn prepare(
    plan: &Plan,
    child: &Child,
    socket: &OwnedFd,
    born_in_cgroup: bool,
    home: Option<network::Home>,
    given: &mut Option<Given>,
) -> io::Result<Vec<String>> {
    rustix::net::sockopt::set_socket_timeout(socket, rustix::net::sockopt::Timeout::Recv, Some(PATIENCE))?;
    if plan.new & libc::CLONE_NEWUSER as u64 != 0 {
        let linux = plan.spec.linux().as_ref();
        let uids = ranges(linux.and_then(|l| l.uid_mappings().as_deref()));
        let gids = ranges(linux.and_then(|l| l.gid_mappings().as_deref()));
        write_id_maps(child.pid, &uids, &gids)
            .context(|| "write the id maps of the user namespace".into())?;
        tell(socket, &ToChild::Mapped, &[])?;
    }
    if let Some(home) = home {
        tell(socket, &ToChild::Network, &[home.make(born_in_cgroup)?])?;
    }
    if let Some(devices) = plan.spec.linux().as_ref().and_then(|l| l.net_devices().as_ref())
        && !devices.is_empty()
    {
        *given = Some(Given::give(devices, network_namespace(plan, child)?)?);
    }
    let (doors, told) = match &plan.cgroup {
        Some(cgroup) => settle(cgroup, plan.resources.as_ref(), child, socket, born_in_cgroup)?,
        None => Default::default(),
    };
    tell(socket, &ToChild::Go, &doors)?;
    Ok(told)
}

/// Answers the child until it is ready; returns the controlling end of its terminal, and with `told` what was done
/// differently than asked.
fn ready(
    plan: &Plan,
    child: &Child,
    socket: &OwnedFd,
    mut told: Vec<String>,
) -> io::Result<(Option<OwnedFd>, Vec<String>)> {
    let mut console = None;
    loop {
        let (message, fds) = wire::receive::<FromChild>(socket).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => {
                io::Error::other("the container's first process died while it was set up")
            }
            io::ErrorKind::WouldBlock => io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the container was not ready in {PATIENCE:?}"),
            ),
            _ => e,
        })?;
        match message {
            FromChild::NeedHooks => {
                if let Some(all) = plan.spec.hooks() {
                    let state = creating(plan, child);
                    #[allow(deprecated, reason = "prestart hooks must still run")]
                    hooks::run("prestart", all.prestart(), &state)?;
                    hooks::run("createRuntime", all.create_runtime(), &state)?;
                }
                wire::send(socket, &ToChild::HooksDone, &[])?;
            }
            FromChild::Listener => {
                let agent = Agent::of(&plan.spec, creating(plan, child));
                super::hand_over(agent.as_ref().map(|agent| (agent, child.pid)), &fds)?;
            }
            FromChild::Console => console = fds.into_iter().next(),
            FromChild::Ready(mut notes) => {
                notes.append(&mut told);
                return Ok((console, notes));
            }
            FromChild::Failed(failure) => return Err(failure.into()),
        }
    }
}

/// Makes the cgroup ready and moves the child in, unless it was born there or is to move itself: then the files it takes
/// for that are returned, with what was done differently than asked.
fn settle(
    cgroup: &Cgroup,
    resources: Option<&LinuxResources>,
    child: &Child,
    socket: &OwnedFd,
    born: bool,
) -> io::Result<(Vec<OwnedFd>, Vec<String>)> {
    if !cgroup.is_birthplace() {
        cgroup.make()?;
    }
    let limit = || resources.map_or_else(|| Ok(Vec::new()), |resources| cgroup.apply(resources, false));
    let mut told = Vec::new();
    if !cgroup.needs_process() {
        told = limit()?;
    }
    let doors = cgroup.doors()?;
    if doors.is_empty()
        && !born
        && let Err(e) = cgroup.attach(child.pid)
    {
        return Err(reason(socket).unwrap_or(e));
    }
    if cgroup.needs_process() {
        told = limit()?;
    }
    Ok((doors, told))
}

/// The network namespace that the child has, or is about to join.
fn network_namespace(plan: &Plan, child: &Child) -> io::Result<OwnedFd> {
    match plan.join.iter().find(|j| j.kind == LinuxNamespaceType::Network) {
        Some(join) => Ok(join.fd.try_clone()?),
        None => {
            let path = format!("/proc/{}/ns/net", child.pid);
            let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
            rustix::fs::open(&path, flags, rustix::fs::Mode::empty()).context(|| format!("open {path}"))
        }
    }
}

/// Why the child has failed, if that is why it could not be moved: it makes its mounts meanwhile, and may be gone.
fn reason(socket: &OwnedFd) -> Option<io::Error> {
    let soon = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 100_000_000,
    };
    let flags = rustix::event::PollFlags::IN;
    rustix::event::poll(&mut [rustix::event::PollFd::new(socket, flags)], Some(&soon))
        .ok()
        .filter(|ready| *ready > 0)?;
    match wire::receive::<FromChild>(socket) {
        Ok((FromChild::Failed(failure), _)) => Some(failure.into()),
        _ => None,
    }
}

fn creating(plan: &Plan, child: &Child) -> serde_json::Value {
    let annotations = plan.spec.annotations();
    hooks::state(&plan.id, "creating", Some(child.pid), &plan.bundle, annotations)
}

/// Sends a message to the child. One that has failed and gone has left its reason in the socket, which is read next.
fn tell(socket: &OwnedFd, message: &ToChild, fds: &[OwnedFd]) -> io::Result<()> {
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    match wire::send(socket, message, &fds) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Mappings as the kernel takes them.
pub(crate) fn ranges(mappings: Option<&[LinuxIdMapping]>) -> Vec<IdRange> {
    mappings
        .unwrap_or_default()
        .iter()
        .map(|m| IdRange {
            inside: m.container_id(),
            outside: m.host_id(),
            size: m.size(),
        })
        .collect()
}
