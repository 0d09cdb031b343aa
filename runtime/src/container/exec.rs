//! A further process in a running container.

use std::{
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use oci_spec::runtime::Process;
use rustix::{
    fs::{Mode, OFlags},
    thread::ThreadNameSpaceType as Ns,
};
use skiff_sys::process::{Child, Forked, clone3};

use super::{
    Agent, FromChild, Stdio, ToChild,
    create::put_down,
    fork::fork_after,
    init, process,
    schedule::{self, When},
};
use crate::{
    cgroup::{self, Cgroup},
    error::{Context, Failure},
    seccomp::Filter,
    wire,
};

/// What to run, and where.
#[derive(Debug)]
pub(crate) struct Request {
    /// Process id of the container's first process.
    pub target: u32,
    /// What to run.
    pub process: Process,
    /// The container's cgroup.
    pub cgroup: Option<Cgroup>,
    /// This cgroup and no other, where it takes no more processes (v2) not even that of the first process.
    pub exact_cgroup: bool,
    /// What all processes of the container have in common.
    pub domain: schedule::Domain,
    /// The container's system call filter.
    pub seccomp: Option<Filter>,
    /// Streams.
    pub stdio: Stdio,
    /// The process dies with its creator.
    pub die_with_parent: bool,
    /// Name of its session keyring; `None`: it keeps ours.
    pub keyring: Option<String>,
    /// How many descriptors of ours, from 3 on, it keeps.
    pub preserve_fds: u32,
    /// Who decides on its system calls, when the filter asks somebody.
    pub agent: Option<Agent>,
}

/// A process that has been executed in the container.
#[derive(Debug)]
pub(crate) struct Running {
    /// The process, a child of the caller.
    pub child: Child,
    /// Controlling end of its terminal.
    pub console: Option<OwnedFd>,
    /// What was done differently than asked.
    pub notes: Vec<String>,
}

/// The namespaces in which process `target` differs from us (to join our own again may need a right we lack).
fn foreign(target: u32) -> io::Result<Vec<(&'static str, Ns)>> {
    let kinds = [
        ("user", Ns::USER),
        ("mnt", Ns::MOUNT),
        ("pid", Ns::PROCESS_ID),
        ("net", Ns::NETWORK),
        ("ipc", Ns::INTER_PROCESS_COMMUNICATION),
        ("uts", Ns::HOST_NAME_AND_NIS_DOMAIN_NAME),
        ("cgroup", Ns::CONTROL_GROUP),
        ("time", Ns::TIME),
    ];
    let mut foreign = Vec::new();
    for (kind, flag) in kinds {
        let own = fs::read_link(format!("/proc/self/ns/{kind}"));
        let theirs = fs::read_link(format!("/proc/{target}/ns/{kind}"));
        match (own, theirs) {
            (Ok(own), Ok(theirs)) if own != theirs => foreign.push((kind, flag)),
            (Ok(_), Err(e)) => {
                return Err(e).context(|| format!("look at the {kind} namespace of process {target}"));
            }
            _ => (),
        }
    }
    Ok(foreign)
}

/// Runs a process in a container's namespaces and cgroup. Returns when it has been executed.
///
/// # Errors
/// What failed; the process is gone then. `NotFound` for a program that does not exist, with runc's text.
pub(crate) fn exec(request: Request) -> io::Result<Running> {
    let foreign = foreign(request.target)?;
    // The numbers of namespaces come from the process that holds the id now; a pidfd keeps it the same process.
    let pid = rustix::process::Pid::from_raw(request.target as i32).ok_or(io::ErrorKind::NotFound)?;
    let target = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
        .context(|| format!("open process {}", request.target))?;
    let (ours, theirs) = wire::pair()?;
    // One that is not there is told by the attempt to move.
    let birthplace = request
        .cgroup
        .as_ref()
        .and_then(|cgroup| cgroup.birthplace().ok().flatten());
    let mut born = birthplace.is_some();

    // From its birth on other processes of the container see the new one: none of them may open our program file
    // through it before it has become another program.
    let dumpable = rustix::process::dumpable_behavior()?;
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    let mut forked = fork(&request, &target, birthplace.as_ref().map(AsFd::as_fd), &foreign);
    if forked.is_err() && born {
        born = false;
        forked = fork(&request, &target, None, &foreign);
    }
    if let Ok(Forked::Child) = forked {
        drop(ours);
        run(request, &target, &foreign, &theirs);
    }
    let restored = rustix::process::set_dumpable_behavior(dumpable);
    drop(theirs);
    let Forked::Parent(child) = forked? else {
        unreachable!("the child does not return")
    };
    let done = restored
        .map_err(io::Error::from)
        .and_then(|()| prepare(&request, &child, &ours, born));
    match done {
        Ok((console, notes)) => Ok(Running {
            child,
            console,
            notes,
        }),
        Err(e) => {
            put_down(&child);
            Err(e)
        }
    }
}

/// Forks into the target's PID namespace.
fn fork(
    request: &Request,
    target: &OwnedFd,
    birthplace: Option<BorrowedFd<'_>>,
    foreign: &[(&'static str, Ns)],
) -> io::Result<Forked> {
    let differs = |kind: &str| foreign.iter().any(|(k, _)| *k == kind);
    if !differs("pid") {
        return clone3(0, birthplace).context(|| "clone3".into());
    }
    let enter = || {
        let mut joined = rustix::thread::move_into_thread_name_spaces(target.as_fd(), Ns::PROCESS_ID);
        if joined == Err(rustix::io::Errno::PERM) && differs("user") {
            // We have no right over the container's namespaces but within its user namespace: an ordinary user.
            joined = rustix::thread::move_into_thread_name_spaces(target.as_fd(), Ns::USER | Ns::PROCESS_ID);
        }
        joined.context(|| format!("join the PID namespace of process {}", request.target))
    };
    fork_after(enter, 0, birthplace)
}

fn prepare(
    request: &Request,
    child: &Child,
    socket: &OwnedFd,
    born_in_cgroup: bool,
) -> io::Result<(Option<OwnedFd>, Vec<String>)> {
    let affinity = request.process.exec_cpu_affinity().as_ref();
    schedule::affinity(affinity, When::Initial, child.pid)?;
    let mut doors = Vec::new();
    if let Some(cgroup) = &request.cgroup
        && !born_in_cgroup
    {
        // Where they can't be opened the attempt to move says why in known words.
        doors = cgroup.doors().unwrap_or_default();
        if doors.is_empty() {
            match cgroup.attach(child.pid) {
                Err(e) if crate::error::errno(&e) == Some(libc::EBUSY) && !request.exact_cgroup => {
                    cgroup.attach_beside(child.pid, request.target)?;
                }
                done => done?,
            }
        }
    }
    let files: Vec<_> = doors.iter().map(AsFd::as_fd).collect();
    wire::send(socket, &ToChild::Go, &files)?;
    let mut console = None;
    let agent = request.agent.as_ref().map(|agent| (agent, child.pid));
    loop {
        match wire::receive::<FromChild>(socket)? {
            (FromChild::Console, fds) => console = fds.into_iter().next(),
            (FromChild::Listener, fds) => super::hand_over(agent, &fds)?,
            (FromChild::Ready(notes), _) => {
                super::start(socket, agent)?;
                return Ok((console, notes));
            }
            (FromChild::Failed(failure), _) => return Err(failure.into()),
            (other, _) => return Err(io::Error::other(format!("unexpected message {other:?}"))),
        }
    }
}

fn run(request: Request, target: &OwnedFd, foreign: &[(&'static str, Ns)], socket: &OwnedFd) -> ! {
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        become_process(request, target, foreign, socket)
    }));
    let error = match done {
        Ok(Err(e)) => e,
        Ok(Ok(never)) => match never {},
        Err(_) => io::Error::other("panic while a process was set up"),
    };
    let _ = wire::send(socket, &FromChild::Failed(Failure::from(error)), &[]);
    skiff_sys::process::exit(1)
}

fn become_process(
    request: Request,
    target: &OwnedFd,
    foreign: &[(&'static str, Ns)],
    socket: &OwnedFd,
) -> io::Result<std::convert::Infallible> {
    let (ToChild::Go, doors) = wire::receive::<ToChild>(socket)? else {
        return Err(io::Error::other("unexpected message"));
    };
    cgroup::enter(&doors)?;
    drop(doors);
    if request.process.exec_cpu_affinity().is_none() {
        schedule::all_processors()?;
    }
    // A cpuset that was entered has changed it.
    schedule::affinity(request.process.exec_cpu_affinity().as_ref(), When::Final, 0)?;
    let mut notes = Vec::new();
    process::early(&request.process, &mut notes)?;
    let own_user = fs::read_link("/proc/self/ns/user").ok();
    let their_user = fs::read_link(format!("/proc/{}/ns/user", request.target)).ok();
    let mut flags = Ns::empty();
    for (kind, flag) in foreign {
        // Joined before the fork.
        if *kind == "pid" || (*kind == "user" && own_user == their_user && own_user.is_some()) {
            continue;
        }
        flags |= *flag;
    }
    // Without a mount namespace of its own a container has its root by chroot, which nothing else leads to.
    let root = if flags.contains(Ns::MOUNT) {
        None
    } else {
        let path = format!("/proc/{}/root", request.target);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Some(rustix::fs::open(&path, flags, Mode::empty()).context(|| format!("open {path}"))?)
    };
    if !flags.is_empty() {
        rustix::thread::move_into_thread_name_spaces(target.as_fd(), flags)
            .context(|| format!("join the namespaces of process {}", request.target))?;
    }
    if foreign.iter().any(|(kind, _)| *kind == "user") {
        init::become_root(Some(request.process.user()))?;
    }
    if let Some(root) = root {
        rustix::process::fchdir(&root)
            .and_then(|()| rustix::process::chroot("."))
            .context(|| "enter the root file system".into())?;
    }
    let _ = rustix::process::setsid();
    if let Some(name) = &request.keyring {
        process::keyring(name, &mut notes)?;
    }
    let console = match &request.stdio {
        Stdio::Terminal { size } => {
            let root = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            let (ours, theirs) = process::terminal(root.as_fd(), *size, request.process.user().uid())?;
            wire::send(socket, &FromChild::Console, &[ours.as_fd()])?;
            Some(theirs)
        }
        _ => None,
    };
    process::streams(request.stdio, console.as_ref())?;
    request.domain.enter()?;
    let setting = process::Setting {
        seccomp: request.seccomp.as_ref(),
        die_with_parent: request.die_with_parent,
        preserve_fds: request.preserve_fds,
        keep_groups: false,
        creator: socket.as_fd(),
    };
    let mut program = process::prepare(&request.process, &setting, &mut notes)?;
    wire::send(socket, &FromChild::Ready(notes), &[])?;
    match wire::receive::<ToChild>(socket)? {
        (ToChild::Start, _) => {
            program.confine(socket.as_fd())?;
            Err(program.execute())
        }
        (other, _) => Err(io::Error::other(format!("unexpected message {other:?}"))),
    }
}

/// Start time of a process in clock ticks since boot: with the id it names the process for good.
pub(crate) fn start_time(pid: u32) -> io::Result<u64> {
    let life = skiff_sys::process::life(pid).context(|| format!("look at process {pid}"))?;
    Ok(life.started)
}

/// That process is there and not a zombie.
pub(crate) fn alive(pid: u32, started: u64) -> bool {
    skiff_sys::process::alive_since(pid) == Some(started)
}
