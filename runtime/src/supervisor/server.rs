//! The supervisor process: one epoll loop over requests, output and the ends of processes.

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use rustix::{
    event::epoll::{self, EventData, EventFlags},
    net::{RecvFlags, SendFlags},
};

use super::{
    Event, Sandbox,
    pod::{remove_files, socket_address},
    protocol::{Hello, Reply, Request},
    tasks::{MOUNTPOINT, Tasks},
};
use crate::{
    container::exec,
    error::{Context, Failure},
    wire,
};

/// Becomes a supervisor that is told by `spawner` later which pod is its own, and ends with the spawner if it never is. Runs in
/// the new process, which has a network namespace of its own or not, and never returns.
pub(crate) fn run(spawner: OwnedFd, net: bool) -> ! {
    let code = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| serve(&spawner, net))) {
        Ok(Ok(())) => 0,
        Ok(Err(e)) => {
            let _ = wire::send(&spawner, &Err::<Hello, _>(Failure::from(e)), &[]);
            1
        }
        Err(_) => 2,
    };
    skiff_sys::process::exit(code)
}

/// Gives a prepared supervisor its pod; returns who it is, with a connection for requests and one for events.
pub(crate) fn prepared(supervisor: &OwnedFd, sandbox: &Sandbox) -> io::Result<(Hello, Vec<OwnedFd>)> {
    wire::send(supervisor, sandbox, &[])?;
    let (hello, fds) = wire::receive::<Result<Hello, Failure>>(supervisor)?;
    Ok((hello?, fds))
}

fn serve(spawner: &OwnedFd, net: bool) -> io::Result<()> {
    detach(spawner)?;
    let _ = rustix::thread::set_name(c"skiff-spare");
    if net {
        skiff_sys::device::loopback_up().context(|| "bring up the loopback device".into())?;
    }
    let sandbox = match wire::receive::<Sandbox>(spawner) {
        Ok((sandbox, _)) => sandbox,
        // The spawner is gone, or wants it no more.
        Err(_) => return Ok(()),
    };
    let _ = rustix::thread::set_name(c"skiff-pod");
    let listener = prepare(&sandbox).inspect_err(|error| {
        // In the place of a living one everything is its own, its state above all: without it nobody would find it again.
        if error.kind() != io::ErrorKind::AddrInUse {
            remove_files(&sandbox.dir);
        }
    })?;
    let mut server = match Server::new(&sandbox, listener) {
        Ok(server) => server,
        Err(e) => {
            remove_files(&sandbox.dir);
            return Err(e);
        }
    };
    let (requests, events) = (server.connection(false)?, server.connection(true)?);
    let hello = Hello {
        pid: server.pid,
        start_time: server.start_time,
    };
    let fds = [requests.as_fd(), events.as_fd()];
    wire::send(spawner, &Ok::<_, Failure>(hello), &fds)?;
    rustix::net::shutdown(spawner, rustix::net::Shutdown::Both)?;
    drop((requests, events));
    server.serve()
}

/// Lets go of everything that was inherited.
fn detach(ready: &OwnedFd) -> io::Result<()> {
    skiff_sys::process::close_inherited(&[ready.as_fd()])?;
    skiff_sys::process::reset_signals();
    // An attached reader that has gone away is an error of a write, not our end.
    skiff_sys::process::ignore_signal(libc::SIGPIPE);
    let _ = rustix::process::setsid();
    rustix::process::chdir("/")?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let null = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
        .context(|| "open /dev/null".into())?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    // Processes that a container of the host's PID namespace leaves behind come to us.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

/// The pod's namespaces are ours already: sets them up, and listens.
fn prepare(sandbox: &Sandbox) -> io::Result<OwnedFd> {
    if let Some(name) = &sandbox.hostname {
        nix::unistd::sethostname(name).context(|| format!("set the host name {name:?}"))?;
    }
    for (key, value) in &sandbox.sysctls {
        crate::container::set_sysctl(key, value)?;
    }
    let mountpoint = sandbox.dir.join(MOUNTPOINT);
    fs::create_dir_all(&mountpoint).context(|| format!("make {mountpoint:?}"))?;
    let (_open, address) = socket_address(&sandbox.dir)?;
    let listener = rustix::net::socket_with(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        rustix::net::SocketFlags::CLOEXEC | rustix::net::SocketFlags::NONBLOCK,
        None,
    )?;
    // A dead supervisor's socket refuses connections; only a living one keeps us from taking its place.
    if let Err(rustix::io::Errno::ADDRINUSE) = rustix::net::bind(&listener, &address) {
        let probe = rustix::net::socket(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::STREAM,
            None,
        )?;
        if rustix::net::connect(&probe, &address).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                format!("{:?} has a running supervisor", sandbox.dir),
            ));
        }
        fs::remove_file(sandbox.dir.join(super::protocol::SOCKET))?;
        rustix::net::bind(&listener, &address).context(|| format!("listen in {:?}", sandbox.dir))?;
    }
    fs::set_permissions(
        sandbox.dir.join(super::protocol::SOCKET),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )?;
    rustix::net::listen(&listener, 16)?;
    Ok(listener)
}

/// What a number in epoll stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Listener,
    Signals,
    Client,
    /// A stream of this container.
    Output(String),
    /// A reader attached to this container.
    Sink(String),
    /// What somebody attached types for this container's terminal.
    Input(String),
}

/// The epoll set and what its numbers stand for.
#[derive(Debug)]
pub(super) struct Poll {
    epoll: OwnedFd,
    sources: BTreeMap<u64, Source>,
    next: u64,
}

impl Poll {
    fn new() -> io::Result<Self> {
        Ok(Poll {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            sources: BTreeMap::new(),
            next: 1,
        })
    }

    /// Watches a descriptor; returns its number.
    pub fn add(&mut self, fd: impl AsFd, source: Source, flags: EventFlags) -> io::Result<u64> {
        let token = self.next;
        epoll::add(&self.epoll, fd, EventData::new_u64(token), flags)?;
        self.next += 1;
        self.sources.insert(token, source);
        Ok(token)
    }

    /// Watches for something else.
    pub fn change(&self, fd: impl AsFd, token: u64, flags: EventFlags) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, EventData::new_u64(token), flags)?)
    }

    /// Forgets a descriptor that has been closed already (which took it out of the set).
    pub fn forget(&mut self, token: u64) {
        self.sources.remove(&token);
    }

    /// Stops watching. Needed before the descriptor is closed: a copy of it elsewhere would keep it in the set.
    pub fn remove(&mut self, fd: BorrowedFd<'_>, token: u64) {
        let _ = epoll::delete(&self.epoll, fd);
        self.sources.remove(&token);
    }
}

#[derive(Debug)]
struct Client {
    socket: OwnedFd,
    input: Vec<u8>,
    subscribed: bool,
}

/// What to do with a client after its request.
enum After {
    Keep,
    Hang,
    /// The pod is gone: answer, then end.
    End,
}

struct Server<'a> {
    sandbox: &'a Sandbox,
    poll: Poll,
    listener: OwnedFd,
    signals: SignalFd,
    clients: BTreeMap<u64, Client>,
    tasks: Tasks<'a>,
    pid: u32,
    start_time: u64,
    /// Something was done since memory was last given back.
    worked: bool,
}

/// How long nothing happens before memory is given back.
const IDLE: rustix::event::Timespec = rustix::event::Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

impl<'a> Server<'a> {
    fn new(sandbox: &'a Sandbox, listener: OwnedFd) -> io::Result<Self> {
        let mut poll = Poll::new()?;
        poll.add(&listener, Source::Listener, EventFlags::IN)?;
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        poll.add(&signals, Source::Signals, EventFlags::IN)?;
        let pid = rustix::process::getpid().as_raw_nonzero().get() as u32;
        let start_time = exec::start_time(pid)?;
        let tasks = Tasks::new(sandbox, pid, start_time)?;
        Ok(Server {
            sandbox,
            poll,
            listener,
            signals,
            clients: BTreeMap::new(),
            tasks,
            pid,
            start_time,
            worked: false,
        })
    }

    fn serve(&mut self) -> io::Result<()> {
        let mut ready = Vec::with_capacity(16);
        self.worked = true;
        loop {
            ready.clear();
            // After large work memory is given back once there is nothing to do for a while: a pod that starts has
            // several requests in a row.
            let idle = self.worked.then_some(IDLE);
            let woken = epoll::wait(
                &self.poll.epoll,
                rustix::buffer::spare_capacity(&mut ready),
                idle.as_ref(),
            );
            match woken {
                Err(rustix::io::Errno::INTR) => continue,
                done => done?,
            };
            if ready.is_empty() && self.worked {
                self.worked = false;
                self.tasks.shrink();
                skiff_sys::process::trim_heap();
                let _ = skiff_sys::process::forget_unused_pages();
                continue;
            }
            for event in &ready {
                let token = event.data.u64();
                let flags = event.flags;
                let Some(source) = self.poll.sources.get(&token).cloned() else {
                    continue;
                };
                match source {
                    Source::Listener => self.accept(),
                    Source::Signals => self.reap(),
                    Source::Client => match self.client(token) {
                        After::Keep => (),
                        After::Hang => self.hang_up(token),
                        After::End => return Ok(()),
                    },
                    Source::Output(id) => self.tasks.output(&mut self.poll, &id, token, flags),
                    Source::Sink(id) => self.tasks.sink(&mut self.poll, &id, token, flags),
                    Source::Input(id) => self.tasks.input(&mut self.poll, &id, token),
                }
            }
        }
    }

    fn accept(&mut self) {
        let flags = rustix::net::SocketFlags::CLOEXEC;
        while let Ok(socket) = rustix::net::accept_with(&self.listener, flags) {
            let _ = self.welcome(socket, false);
        }
    }

    /// The other end of a connection that nobody had to ask for.
    fn connection(&mut self, subscribed: bool) -> io::Result<OwnedFd> {
        let (ours, theirs) = wire::pair()?;
        self.welcome(ours, subscribed)?;
        Ok(theirs)
    }

    fn welcome(&mut self, socket: OwnedFd, subscribed: bool) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::RDHUP;
        let token = self.poll.add(&socket, Source::Client, flags)?;
        let client = Client {
            socket,
            input: Vec::new(),
            subscribed,
        };
        self.clients.insert(token, client);
        Ok(())
    }

    fn hang_up(&mut self, token: u64) {
        if let Some(client) = self.clients.remove(&token) {
            self.poll.remove(client.socket.as_fd(), token);
        }
    }

    fn client(&mut self, token: u64) -> After {
        let Some(client) = self.clients.get_mut(&token) else {
            return After::Keep;
        };
        let mut chunk = [0; 16 * 1024];
        match wire::receive_some(&client.socket, &mut chunk, &mut Vec::new(), RecvFlags::DONTWAIT) {
            Ok(0) => return After::Hang,
            Ok(n) => client.input.extend_from_slice(&chunk[..n]),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return After::Keep;
            }
            Err(_) => return After::Hang,
        }
        loop {
            let Some(client) = self.clients.get_mut(&token) else {
                return After::Keep;
            };
            let len = match wire::complete(&client.input) {
                Ok(Some(len)) => len,
                Ok(None) => return After::Keep,
                Err(_) => return After::Hang,
            };
            let parsed = serde_json::from_slice::<Request>(&client.input[4..len]);
            client.input.drain(..len);
            if client.input.is_empty() {
                client.input = Vec::new();
            }
            let mut end = false;
            let (reply, fds) = match parsed {
                Err(e) => (Reply::Failed(io::Error::from(e).into()), Vec::new()),
                Ok(Request::Subscribe) => {
                    client.subscribed = true;
                    (Reply::Done, Vec::new())
                }
                Ok(request) => {
                    end = matches!(request, Request::Stop);
                    let (reply, fds) = self
                        .answer(request)
                        .unwrap_or_else(|e| (Reply::Failed(e.into()), Vec::new()));
                    end &= matches!(reply, Reply::Done);
                    (reply, fds)
                }
            };
            let Some(client) = self.clients.get(&token) else {
                return After::Keep;
            };
            let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
            let sent = wire::send(&client.socket, &reply, &fds);
            if end {
                return After::End;
            }
            if sent.is_err() {
                return After::Hang;
            }
            // What happened in between (a process that ended while it was started) comes after the answer.
            self.publish();
        }
    }

    fn answer(&mut self, request: Request) -> io::Result<(Reply, Vec<OwnedFd>)> {
        let tasks = &mut self.tasks;
        let reply = match request {
            Request::Hello => Reply::Hello(Hello {
                pid: self.pid,
                start_time: self.start_time,
            }),
            Request::Subscribe => Reply::Done,
            Request::Create(container) => Reply::State(tasks.create(&mut self.poll, *container)?),
            Request::Start(id) => Reply::State(tasks.start(&mut self.poll, &id)?),
            Request::Run(container) => Reply::State(tasks.run(&mut self.poll, *container)?),
            Request::Kill { id, signal, all } => {
                tasks.kill(&id, signal, all)?;
                Reply::Done
            }
            Request::Remove(id) => {
                tasks.remove(&mut self.poll, &id)?;
                Reply::Done
            }
            Request::Update { id, resources } => {
                tasks.update(&id, resources)?;
                Reply::Done
            }
            Request::UpdatePod(resources) => {
                tasks.update_pod(resources)?;
                Reply::Done
            }
            Request::List => Reply::List(tasks.list()),
            Request::Exec(exec) => {
                let (exec, pid, streams, fds) = tasks.exec(*exec)?;
                return Ok((Reply::Exec { exec, pid, streams }, fds));
            }
            Request::KillExec { exec, signal } => {
                tasks.kill_exec(exec, signal)?;
                Reply::Done
            }
            Request::Attach(id) => {
                let (kinds, fds) = tasks.attach(&mut self.poll, &id)?;
                return Ok((Reply::Streams(kinds), fds));
            }
            Request::Resize {
                id,
                exec,
                columns,
                rows,
            } => {
                tasks.resize(&id, exec, columns, rows)?;
                Reply::Done
            }
            Request::Stop => {
                tasks.stop(&mut self.poll)?;
                remove_files(&self.sandbox.dir);
                Reply::Done
            }
        };
        Ok((reply, Vec::new()))
    }

    fn reap(&mut self) {
        // One signal may stand for several ends.
        while let Ok(Some(_)) = self.signals.read_signal() {}
        self.tasks.reap(&mut self.poll);
        self.publish();
    }

    /// Sends what has happened to all subscribers.
    fn publish(&mut self) {
        for event in self.tasks.take_events() {
            self.send_event(&event);
        }
    }

    fn send_event(&mut self, event: &Event) {
        let Ok(bytes) = wire::encode(event) else { return };
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let behind: Vec<u64> = self
            .clients
            .iter()
            .filter(|(_, client)| client.subscribed)
            // Who does not fetch his events is cut off, sees that, and asks for the state when he comes back.
            .filter(|(_, client)| rustix::net::send(&client.socket, &bytes, flags) != Ok(bytes.len()))
            .map(|(token, _)| *token)
            .collect();
        for token in behind {
            self.hang_up(token);
        }
    }
}
