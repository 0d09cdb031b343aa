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
    supervisor::{self, Pod, Sandbox},
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
        {
            let socket = self
                .socket
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            wire::send(&*socket, sandbox, &[])?;
            wire::receive::<Result<(), Failure>>(&*socket)?.0?;
        }
        Pod::adopt(&sandbox.dir)
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
    skiff_sys::process::trim_heap();
    loop {
        let sandbox = match wire::receive::<Sandbox>(socket) {
            Ok((sandbox, _)) => sandbox,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(e) => return Err(e),
        };
        let done = spawn(sandbox).map_err(Failure::from);
        match wire::send(socket, &done, &[]) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            sent => sent?,
        }
        skiff_sys::process::trim_heap();
    }
}

fn spawn(sandbox: Sandbox) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&sandbox.dir)
        .context(|| format!("make {:?}", sandbox.dir))?;
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
    let (ours, theirs) = wire::pair()?;
    match clone3(namespaces, None).context(|| "clone3".into())? {
        Forked::Child => supervisor::run(supervisor::Start {
            sandbox,
            ready: theirs,
        }),
        Forked::Parent(child) => {
            drop(theirs);
            match wire::receive::<Result<(), Failure>>(&ours) {
                Ok((done, _)) => Ok(done?),
                Err(e) => {
                    let _ = skiff_sys::process::pidfd_signal(child.pidfd.as_fd(), libc::SIGKILL);
                    Err(e).context(|| "the pod's supervisor did not start".into())
                }
            }
        }
    }
}
