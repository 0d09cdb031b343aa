//! The spawner: a single-threaded process forked before the agent starts threads; it forks the supervisors.

use std::{
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
    sync::Mutex,
};

use skiff_sys::process::{Child, Forked, clone3, fork};

use crate::{
    error::{Context, Failure},
    seccomp::Filter,
    supervisor::{self, Hello, Pod, Sandbox},
    wire,
};

/// The agent's end of the spawner. Clone-free; share it behind an `Arc`. All calls block for milliseconds at most.
#[derive(Debug)]
pub struct Spawner {
    socket: Mutex<OwnedFd>,
    child: Child,
}

impl Spawner {
    /// Forks the spawner. Call before any thread is started, after the agent has entered its user and mount
    /// namespaces. The spawner ends when the agent does; supervisors stay.
    ///
    /// In a delegated cgroup v2 subtree this also moves the calling process into a leaf of it
    /// ([`crate::cgroups_available`]), so that spawner and supervisors are born there.
    ///
    /// # Errors
    /// When the fork fails or threads are running already.
    pub fn start() -> io::Result<Self> {
        let _ = crate::cgroups_available();
        let (ours, theirs) = wire::pair()?;
        match fork().context(|| "fork the spawner".into())? {
            Forked::Parent(child) => Ok(Spawner {
                socket: Mutex::new(ours),
                child,
            }),
            Forked::Child => {
                drop(ours);
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| serve(&theirs)));
                skiff_sys::process::exit(if matches!(done, Ok(Ok(()))) { 0 } else { 1 })
            }
        }
    }

    /// Starts the supervisor of a pod in new namespaces as the sandbox asks, without any container.
    ///
    /// # Errors
    /// `AddrInUse` when the pod's supervisor is running already ([`Pod::adopt`] it); `BrokenPipe` or `UnexpectedEof`
    /// when the spawner is gone. After an error nothing is left of the pod.
    pub fn create_pod(&self, sandbox: &Sandbox) -> io::Result<Pod> {
        let socket = self
            .socket
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        wire::send(&*socket, sandbox, &[])?;
        let (hello, fds) = wire::receive::<Result<Hello, Failure>>(&*socket)?;
        Pod::made(&sandbox.dir, hello?, fds)
    }

    /// The spawner's process id.
    pub fn pid(&self) -> u32 {
        self.child.pid
    }

    /// Becomes readable when the spawner has ended. It can't be replaced in a process that has threads by now: whoever
    /// owns it must start anew.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.child.pidfd.as_fd()
    }
}

/// Where a pod's supervisor keeps its socket and state: `<run dir>/pods/<pod uid>`.
pub type PodDir = PathBuf;

/// The spawner process. Ends when the agent's socket is closed.
fn serve(socket: &OwnedFd) -> io::Result<()> {
    let _ = rustix::thread::set_name(c"skiff-spawner");
    // Ctrl-C at the agent's terminal is for the agent, and a session of our own keeps it away from the pods.
    let _ = rustix::process::setsid();
    // Supervisors that end are reaped by the kernel.
    skiff_sys::process::ignore_signal(libc::SIGCHLD);
    // What nearly every container uses is compiled once, here, while the agent is still starting; supervisors are forked
    // with the result.
    let _ = Filter::compile(&crate::default_seccomp(), None);
    let mut spare = Supervisor::make(USUAL).ok();
    skiff_sys::process::trim_heap();
    loop {
        let sandbox = match wire::receive::<Sandbox>(socket) {
            Ok((sandbox, _)) => sandbox,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(e) => return Err(e),
        };
        let done = spawn(&sandbox, &mut spare);
        let sent = match done {
            Ok((hello, fds)) => {
                let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
                wire::send(socket, &Ok::<_, Failure>(hello), &fds)
            }
            Err(e) => wire::send(socket, &Err::<Hello, _>(Failure::from(e)), &[]),
        };
        match sent {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            sent => sent?,
        }
        if !spare.as_ref().is_some_and(|spare| is_alive(&spare.child)) {
            spare = Supervisor::make(USUAL).ok();
        }
        skiff_sys::process::trim_heap();
    }
}

/// The namespaces that nearly every pod has.
const USUAL: u64 = (libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS) as u64;

/// A supervisor that has its namespaces and no pod yet. It ends when this is dropped.
#[derive(Debug)]
struct Supervisor {
    child: Child,
    socket: OwnedFd,
}

impl Supervisor {
    fn make(namespaces: u64) -> io::Result<Self> {
        let (ours, theirs) = wire::pair()?;
        match clone3(namespaces, None).context(|| "clone3".into())? {
            Forked::Child => supervisor::run(theirs, namespaces & libc::CLONE_NEWNET as u64 != 0),
            Forked::Parent(child) => Ok(Supervisor { child, socket: ours }),
        }
    }
}

fn namespaces(sandbox: &Sandbox) -> u64 {
    let mut namespaces = 0;
    if sandbox.net {
        namespaces |= libc::CLONE_NEWNET as u64;
    }
    if sandbox.ipc {
        namespaces |= libc::CLONE_NEWIPC as u64;
    }
    if sandbox.hostname.is_some() {
        namespaces |= libc::CLONE_NEWUTS as u64;
    }
    namespaces
}

/// Takes the spare supervisor, whose namespaces take longest of all, if it fits and is still there. Returns who the pod's is,
/// and the descriptors for [`Pod::made`].
fn spawn(sandbox: &Sandbox, spare: &mut Option<Supervisor>) -> io::Result<(Hello, Vec<OwnedFd>)> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&sandbox.dir)
        .context(|| format!("make {:?}", sandbox.dir))?;
    let wanted = namespaces(sandbox);
    let fits = spare.take_if(|spare| wanted == USUAL && is_alive(&spare.child));
    let chosen = fits.map_or_else(|| Supervisor::make(wanted), Ok)?;
    match supervisor::prepared(&chosen.socket, sandbox) {
        Ok((hello, mut fds)) => {
            fds.push(chosen.child.pidfd);
            Ok((hello, fds))
        }
        Err(e) => {
            let _ = skiff_sys::process::pidfd_signal(chosen.child.pidfd.as_fd(), libc::SIGKILL);
            Err(e).context(|| "start the pod's supervisor".into())
        }
    }
}

fn is_alive(child: &Child) -> bool {
    skiff_sys::process::pidfd_signal(child.pidfd.as_fd(), 0).is_ok()
}
