//! The agent's end.

use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Mutex,
};

use rustix::{
    fs::{Mode, OFlags},
    net::RecvFlags,
    process::{Pid, PidfdFlags},
};

use super::{
    Container, ContainerState, Event, Exec, Streams,
    protocol::{Hello, Reply, Request, SOCKET, STATE, StreamKinds},
};
use crate::{container::exec, error::Context, state::PodState, wire};

/// The agent's handle on a pod's supervisor. Calls block for milliseconds at most (create and start for as long as
/// the kernel takes) and may be made from any thread.
#[derive(Debug)]
pub struct Pod {
    dir: PathBuf,
    pid: u32,
    pidfd: OwnedFd,
    requests: Mutex<OwnedFd>,
    events: Mutex<OwnedFd>,
}

/// A path a Unix socket address has room for: a short link to the directory while `dir` is open.
pub(super) fn socket_address(dir: &Path) -> io::Result<(OwnedFd, rustix::net::SocketAddrUnix)> {
    let fd = rustix::fs::open(
        dir,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .context(|| format!("open {dir:?}"))?;
    let path = format!("/proc/self/fd/{}/{SOCKET}", std::os::fd::AsRawFd::as_raw_fd(&fd));
    Ok((fd, rustix::net::SocketAddrUnix::new(path)?))
}

fn connect(dir: &Path) -> io::Result<OwnedFd> {
    let (_open, address) = socket_address(dir)?;
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::connect(&socket, &address).context(|| format!("connect to the supervisor in {dir:?}"))?;
    Ok(socket)
}

impl Pod {
    /// Connects to the supervisor of a pod that is running already.
    ///
    /// # Errors
    /// `NotFound` or `ConnectionRefused` when there is no such supervisor any more; [`clean`] removes what it left.
    pub fn adopt(dir: &Path) -> io::Result<Self> {
        let requests = connect(dir)?;
        let Reply::Hello(Hello { pid, start_time }) = ask(&requests, &Request::Hello)?.0 else {
            return Err(surprise());
        };
        let number = Pid::from_raw(pid as i32).ok_or_else(surprise)?;
        let pidfd = rustix::process::pidfd_open(number, PidfdFlags::empty())
            .context(|| format!("open process {pid}"))?;
        if exec::start_time(pid)? != start_time {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("process {pid} is not the supervisor of {dir:?}"),
            ));
        }
        let events = connect(dir)?;
        ask(&events, &Request::Subscribe)?;
        Ok(Pod {
            dir: dir.to_owned(),
            pid,
            pidfd,
            requests: Mutex::new(requests),
            events: Mutex::new(events),
        })
    }

    /// The pod of a supervisor that has just been made, with what came with its answer: a connection for requests, one for
    /// events, and its pidfd.
    pub(crate) fn made(dir: &Path, hello: Hello, fds: Vec<OwnedFd>) -> io::Result<Self> {
        let [requests, events, pidfd] = <[OwnedFd; 3]>::try_from(fds).map_err(|_| surprise())?;
        Ok(Pod {
            dir: dir.to_owned(),
            pid: hello.pid,
            pidfd,
            requests: Mutex::new(requests),
            events: Mutex::new(events),
        })
    }

    fn ask(&self, request: &Request) -> io::Result<(Reply, Vec<OwnedFd>)> {
        let socket = self
            .requests
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        ask(&*socket, request)
    }

    fn done(&self, request: &Request) -> io::Result<()> {
        match self.ask(request)?.0 {
            Reply::Done => Ok(()),
            _ => Err(surprise()),
        }
    }

    fn state(&self, request: &Request) -> io::Result<ContainerState> {
        match self.ask(request)?.0 {
            Reply::State(state) => Ok(state),
            _ => Err(surprise()),
        }
    }

    /// Run directory of the pod.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Host pid of the supervisor (start time checked): `/proc/<pid>/ns/net` is the pod's network namespace.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The pod's network namespace.
    pub fn netns(&self) -> io::Result<OwnedFd> {
        let path = format!("/proc/{}/ns/net", self.pid);
        let ns = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .context(|| format!("open {path}"))?;
        // The number could have been given to another process just before: ours must still be there now.
        skiff_sys::process::pidfd_signal(self.pidfd.as_fd(), 0)
            .context(|| "the supervisor is gone".into())?;
        Ok(ns)
    }

    /// Creates a container: everything up to the exec of its process.
    ///
    /// # Errors
    /// `NotFound` with the text `exec: "foo": executable file not found in $PATH` and `PermissionDenied` with `exec: …:
    /// permission denied` speak of the container's program; `AlreadyExists` of its id. After an error nothing is left of it.
    pub fn create(&self, container: &Container) -> io::Result<ContainerState> {
        self.state(&Request::Create(Box::new(container.clone())))
    }

    /// Lets a created container run.
    pub fn start(&self, id: &str) -> io::Result<ContainerState> {
        self.state(&Request::Start(id.to_owned()))
    }

    /// Creates a container and lets it run: one question instead of two.
    ///
    /// # Errors
    /// As [`Pod::create`] and [`Pod::start`]. Nothing is left of the container then.
    pub fn run(&self, container: &Container) -> io::Result<ContainerState> {
        self.state(&Request::Run(Box::new(container.clone())))
    }

    /// Sends a signal to the first process of a container, or to all its processes.
    ///
    /// # Errors
    /// `NotFound` when there is no such container or it has exited.
    pub fn kill(&self, id: &str, signal: i32, all: bool) -> io::Result<()> {
        self.done(&Request::Kill {
            id: id.to_owned(),
            signal,
            all,
        })
    }

    /// Removes an exited container and its cgroup (a running one is killed). Idempotent.
    pub fn remove(&self, id: &str) -> io::Result<()> {
        self.done(&Request::Remove(id.to_owned()))
    }

    /// Changes limits of a container, an OCI `linux.resources` value.
    pub fn update(&self, id: &str, resources: &serde_json::Value) -> io::Result<()> {
        self.done(&Request::Update {
            id: id.to_owned(),
            resources: resources.clone(),
        })
    }

    /// Changes limits of the pod's own cgroup, an OCI `linux.resources` value.
    pub fn update_pod(&self, resources: &serde_json::Value) -> io::Result<()> {
        self.done(&Request::UpdatePod(resources.clone()))
    }

    /// All containers.
    pub fn list(&self) -> io::Result<Vec<ContainerState>> {
        match self.ask(&Request::List)?.0 {
            Reply::List(list) => Ok(list),
            _ => Err(surprise()),
        }
    }

    /// Runs a process in a container; its end comes as [`Event::ExecExited`] with the returned number. The second
    /// number is its host pid. Without a terminal all three streams are there: drop stdin to close it.
    pub fn exec(&self, exec: &Exec) -> io::Result<(u64, u32, Streams)> {
        match self.ask(&Request::Exec(Box::new(exec.clone())))? {
            (Reply::Exec { exec, pid, streams }, fds) => Ok((exec, pid, assign(streams, fds)?)),
            _ => Err(surprise()),
        }
    }

    /// Sends a signal to a process started by exec.
    pub fn kill_exec(&self, exec: u64, signal: i32) -> io::Result<()> {
        self.done(&Request::KillExec { exec, signal })
    }

    /// Attaches to a container's first process: stdin if it has one, and a copy of its output from now on. The output
    /// ends when the container does, or early when it is not read for some 256 KiB.
    pub fn attach(&self, id: &str) -> io::Result<Streams> {
        match self.ask(&Request::Attach(id.to_owned()))? {
            (Reply::Streams(kinds), fds) => assign(kinds, fds),
            _ => Err(surprise()),
        }
    }

    /// Sets the size of the terminal of a container (`exec` is `None`) or of an exec.
    pub fn resize(&self, id: &str, exec: Option<u64>, columns: u16, rows: u16) -> io::Result<()> {
        self.done(&Request::Resize {
            id: id.to_owned(),
            exec,
            columns,
            rows,
        })
    }

    /// A descriptor that becomes readable when [`Pod::next_event`] has something (for epoll).
    pub fn events(&self) -> io::Result<OwnedFd> {
        let events = self
            .events
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(rustix::io::fcntl_dupfd_cloexec(&*events, 3)?)
    }

    /// The next event, `None` when there is none now.
    ///
    /// # Errors
    /// `UnexpectedEof` when the supervisor is gone, or when so many events were not fetched that it has hung up:
    /// [`Pod::adopt`] tells which, and [`Pod::list`] then has the state.
    pub fn next_event(&self) -> io::Result<Option<Event>> {
        let events = self
            .events
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut header = [0; 4];
        let peek = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match rustix::net::recv(&*events, &mut header[..], peek) {
            Ok((0, _)) => Err(io::ErrorKind::UnexpectedEof.into()),
            // Events are sent whole: behind the first byte the rest is there.
            Ok(_) => Ok(Some(wire::receive::<Event>(&*events)?.0)),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
            Err(rustix::io::Errno::CONNRESET) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(e) => Err(e.into()),
        }
    }

    /// Kills what still runs, removes the cgroups and ends the supervisor. Idempotent.
    pub fn stop(&self) -> io::Result<()> {
        match self.done(&Request::Stop) {
            Ok(()) => Ok(()),
            // It is gone, whatever ended it: what it may have left is removed like after any crash.
            Err(e) if gone(&e) => clean(&self.dir),
            Err(e) => Err(e),
        }
    }
}

fn gone(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

fn ask(socket: impl AsFd, request: &Request) -> io::Result<(Reply, Vec<OwnedFd>)> {
    wire::send(&socket, request, &[])?;
    match wire::receive::<Reply>(&socket)? {
        (Reply::Failed(failure), _) => Err(failure.into()),
        answer => Ok(answer),
    }
}

fn surprise() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the supervisor gave an answer that does not fit",
    )
}

fn assign(kinds: StreamKinds, fds: Vec<OwnedFd>) -> io::Result<Streams> {
    let mut fds = fds.into_iter();
    let mut take = |there: bool| -> io::Result<Option<OwnedFd>> {
        if there {
            fds.next().map(Some).ok_or_else(surprise)
        } else {
            Ok(None)
        }
    };
    Ok(Streams {
        stdin: take(kinds.stdin)?,
        stdout: take(kinds.stdout)?,
        stderr: take(kinds.stderr)?,
    })
}

/// Removes what a dead supervisor left: processes, cgroups, its socket and state. Does nothing to a living one and
/// nothing when there is nothing; `dir` itself goes when it is empty then.
///
/// # Errors
/// `AddrInUse` when the supervisor is alive; otherwise what could not be removed.
pub fn clean(dir: &Path) -> io::Result<()> {
    let path = dir.join(STATE);
    let text = match fs::read(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let _ = fs::remove_dir(dir);
            return Ok(());
        }
        done => done.context(|| format!("read {path:?}"))?,
    };
    let state: PodState = serde_json::from_slice(&text).context(|| format!("read {path:?}"))?;
    if exec::alive(state.pid, state.start_time) {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("the supervisor in {dir:?} is running"),
        ));
    }
    let processes = state
        .containers
        .iter()
        .map(|c| (c.state.pid, c.start_time))
        .chain(state.pause);
    for (pid, start_time) in processes {
        if pid != 0
            && let Some(number) = Pid::from_raw(pid as i32)
            && let Ok(fd) = rustix::process::pidfd_open(number, PidfdFlags::empty())
            && exec::alive(pid, start_time)
        {
            let _ = skiff_sys::process::pidfd_signal(fd.as_fd(), libc::SIGKILL);
        }
    }
    for cgroup in state
        .containers
        .iter()
        .filter_map(|c| c.cgroup.as_ref())
        .chain(&state.cgroup)
    {
        cgroup.remove(|| ())?;
    }
    remove_files(dir);
    Ok(())
}

/// Takes the supervisor's own files away, and the directory when nothing else is in it.
pub(super) fn remove_files(dir: &Path) {
    let _ = fs::remove_file(dir.join(SOCKET));
    let _ = fs::remove_dir(dir.join(super::tasks::MOUNTPOINT));
    let _ = fs::remove_file(dir.join(STATE));
    let _ = fs::remove_dir(dir);
}
