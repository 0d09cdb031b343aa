//! Finding a backend that takes the connection.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use nix::sys::socket::{setsockopt, sockopt};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tracing::{debug, warn};

use super::{Command, Entry, Pair, Side, Token, Worker, far};
use crate::{
    accept::is_exhaustion,
    balance::Asking,
    metrics::add,
    netns::{KEPT_CLIENT, Namespace},
    port::{Held, Shared},
    relay::abort,
};

/// How long one backend may take to accept before the next one is tried.
pub(super) const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// Backends tried for one connection.
const MOST_ATTEMPTS: usize = 8;

/// An accepted connection that looks for a backend.
pub(super) struct Attempt {
    pub port: Arc<Shared>,
    pub client: OwnedFd,
    pub from: SocketAddr,
    /// Accepted at a cluster address.
    inside: bool,
    begun: Instant,
    tried: Vec<SocketAddr>,
    /// The backend being tried.
    pub held: Option<Held>,
}

impl Attempt {
    pub fn new(port: Arc<Shared>, client: OwnedFd, from: SocketAddr, inside: bool) -> Self {
        Self {
            port,
            client,
            from,
            inside,
            begun: Instant::now(),
            tried: Vec::new(),
            held: None,
        }
    }

    /// The backend took it: the one that holds the count from now on.
    pub fn taken(&mut self) -> Option<Held> {
        let held = self.held.take()?;
        self.port.metrics.connect.observe(self.begun.elapsed());
        if held.load.has_failed() {
            self.port.succeeded(&held.load);
        }
        Some(held)
    }

    /// The backend tried did not take it.
    pub fn refused(&mut self, error: &io::Error) {
        let Some(held) = self.held.take() else { return };
        let backend = held.load.address;
        debug!(service = %self.port.service, %backend, %error, "backend did not take the connection");
        self.port.failed(backend);
        self.tried.push(backend);
    }
}

/// A connect that did not end at once.
pub(super) struct Dialling {
    attempt: Box<Attempt>,
    socket: OwnedFd,
}

/// A socket to connect with, in the calling thread's namespace.
fn make_socket(to: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(to),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

/// The address a pod's connection from `client` shall seem to come from: the client's own, unless it means something else
/// in the pod.
fn kept(client: SocketAddr, backend: SocketAddr) -> Option<SocketAddr> {
    let ip = client.ip().to_canonical();
    let is_of_a_link = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let means_the_client = !ip.is_loopback() && !ip.is_unspecified() && !is_of_a_link && backend.ip() != ip;
    (means_the_client && ip.is_ipv4() == backend.is_ipv4()).then(|| (ip, 0).into())
}

/// Gives a socket in a pod's namespace the client's address, with a port of its own. Answers find their way back by the
/// mark, which the server's socket takes over from the connection (see [`KEPT_CLIENT`]).
fn keep_client(socket: &Socket, from: SocketAddr) -> io::Result<()> {
    if from.is_ipv4() {
        socket.set_ip_transparent_v4(true)?;
    } else {
        socket.set_ip_transparent_v6(true)?;
    }
    socket.set_mark(KEPT_CLIENT)?;
    // The port is chosen when it is known where to: one client may have 28 000 connections to each backend.
    setsockopt(socket, sockopt::IpBindAddressNoPort, &true)?;
    socket.bind(&from.into())
}

impl Worker {
    /// Tries backends until one takes the connection, is still thinking about it, or none is left.
    pub(super) fn dial(&mut self, mut attempt: Box<Attempt>) {
        loop {
            let Some(held) = next_backend(&attempt) else {
                return give_up(&attempt);
            };
            let backend = held.load.address;
            if !attempt
                .port
                .dialer
                .allows(crate::Protocol::Tcp, attempt.from, backend)
            {
                // A policy is no fault of the backend's: the balancer learns nothing.
                attempt.tried.push(backend);
                continue;
            }
            attempt.held = Some(held);
            if let Some(opener) = attempt.port.dialer.remote(backend.ip()) {
                let mailbox = Arc::clone(self.mailbox());
                self.runtime.spawn(far::carry(attempt, opener, mailbox));
                return;
            }
            let namespace = attempt.port.dialer.namespace(backend.ip());
            let from = namespace.is_pod().then(|| kept(attempt.from, backend)).flatten();
            let Some(made) = self.make_socket(&namespace, backend, from) else {
                let mailbox = Arc::clone(self.mailbox());
                namespace.send(
                    move || make_socket(backend).map(OwnedFd::from),
                    move |made| mailbox.post(Command::Made(attempt, made.and_then(|made| made))),
                );
                return;
            };
            match self.connect(attempt, made) {
                Some(refused) => attempt = refused,
                None => return,
            }
        }
    }

    /// A socket in `namespace`; none if another thread has to make it.
    fn make_socket(
        &mut self,
        namespace: &Namespace,
        to: SocketAddr,
        from: Option<SocketAddr>,
    ) -> Option<io::Result<OwnedFd>> {
        let home = self.home.as_ref()?;
        let netns = namespace.descriptor();
        if Arc::ptr_eq(home, netns) {
            self.go_home();
        } else if !namespace.is_pod() {
            return None;
        } else if let Err(error) = self.enter(&Arc::clone(netns)) {
            return Some(Err(error));
        }
        let socket = make_socket(to).map(|socket| {
            if let Some(error) = from.and_then(|from| keep_client(&socket, from).err()) {
                debug!(%error, "a client's address was not kept");
            }
            socket.into()
        });
        Some(socket)
    }

    /// Goes on with a socket that another thread made.
    pub(super) fn connect_made(&mut self, attempt: Box<Attempt>, socket: io::Result<OwnedFd>) {
        if let Some(refused) = self.connect(attempt, socket) {
            self.dial(refused);
        }
    }

    /// Connects; gives the attempt back if the backend refused.
    fn connect(&mut self, mut attempt: Box<Attempt>, socket: io::Result<OwnedFd>) -> Option<Box<Attempt>> {
        let Some(held) = &attempt.held else {
            return None;
        };
        let backend = held.load.address;
        let socket = match socket {
            Ok(socket) => socket,
            Err(error) if is_exhaustion(&error) => {
                // Our own fault, and the next backend would not help.
                warn!(service = %attempt.port.service, %error, "no descriptor for a backend connection");
                add(&self.shed, 1);
                give_up(&attempt);
                return None;
            }
            Err(error) => {
                attempt.refused(&error);
                return Some(attempt);
            }
        };
        // On loopback the handshake is over when connect(2) comes back; asked again, it says so.
        let outcome = match rustix::net::connect(&socket, &backend) {
            Err(Errno::INPROGRESS) => rustix::net::connect(&socket, &backend),
            other => other,
        };
        match outcome {
            Ok(()) | Err(Errno::ISCONN) => {
                self.connected(*attempt, socket);
                None
            }
            Err(Errno::INPROGRESS | Errno::ALREADY) => {
                self.wait_for(attempt, socket);
                None
            }
            Err(error) => {
                attempt.refused(&error.into());
                Some(attempt)
            }
        }
    }

    /// Waits for a connect to end.
    fn wait_for(&mut self, attempt: Box<Attempt>, socket: OwnedFd) {
        let dialling = Dialling { attempt, socket };
        let (index, generation) = self.insert(Entry::Dialling(Box::new(dialling)));
        let Some((_, Entry::Dialling(dialling))) = self.entries.get(index as usize) else {
            return;
        };
        let side = Side::Backend;
        let token = Token::Socket {
            index,
            side,
            generation,
        };
        if let Err(error) = self.watch(&dialling.socket, index, side, generation) {
            self.refuse(index, &error);
            return;
        }
        self.deadlines
            .push_back((Instant::now() + CONNECT_DEADLINE, token));
    }

    /// An event at a socket that is being connected.
    pub(super) fn connect_ended(&mut self, index: u32) {
        let Some((_, Entry::Dialling(dialling))) = self.entries.get(index as usize) else {
            return;
        };
        match rustix::net::sockopt::socket_error(&dialling.socket) {
            Ok(Ok(())) if rustix::net::getpeername(&dialling.socket).is_err() => {}
            Ok(Ok(())) => {
                if let Some(Entry::Dialling(dialling)) = self.remove(index) {
                    // Watched anew, in its new place.
                    let _ = rustix::event::epoll::delete(&self.epoll, &dialling.socket);
                    let Dialling { attempt, socket } = *dialling;
                    self.connected(*attempt, socket);
                }
            }
            Ok(Err(error)) | Err(error) => self.refuse(index, &error.into()),
        }
    }

    /// Tries the next backend for a connection that waited for one.
    fn refuse(&mut self, index: u32, error: &io::Error) {
        if let Some(Entry::Dialling(dialling)) = self.remove(index) {
            let Dialling { mut attempt, socket } = *dialling;
            drop(socket);
            attempt.refused(error);
            self.dial(attempt);
        }
    }

    /// Passes over backends that have not answered in time.
    pub(super) fn give_up_late_connects(&mut self) {
        if self.deadlines.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some(&(deadline, token)) = self.deadlines.front() {
            let waits = self.is_dialling(token);
            if waits && deadline > now {
                return;
            }
            self.deadlines.pop_front();
            if let (true, Token::Socket { index, .. }) = (waits, token) {
                self.refuse(index, &io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Begins to move bytes.
    pub(super) fn connected(&mut self, mut attempt: Attempt, socket: OwnedFd) {
        let Some(held) = attempt.taken() else { return };
        let (index, generation) = self.insert(Entry::Pair(Pair::new(attempt.client, socket, held)));
        let Some((_, Entry::Pair(pair))) = self.entries.get(index as usize) else {
            return;
        };
        let watched = self
            .watch(pair.client(), index, Side::Client, generation)
            .and_then(|()| self.watch(pair.backend(), index, Side::Backend, generation));
        match watched {
            Ok(()) => self.pump(index),
            Err(error) => {
                warn!(%error, "a connection can't be watched");
                drop(self.remove(index));
            }
        }
    }
}

/// Picks and counts the next backend; none when all have been tried.
fn next_backend(attempt: &Attempt) -> Option<Held> {
    if attempt.tried.len() >= MOST_ATTEMPTS {
        return None;
    }
    let port = &attempt.port;
    let asking = Asking {
        client: attempt.from.ip().to_canonical(),
        inside: attempt.inside,
    };
    let load = port
        .balancer
        .lock()
        .pick(asking, &attempt.tried, Instant::now(), &mut rand::rng())?;
    if !attempt.tried.is_empty() {
        add(&port.metrics.retries, 1);
    }
    Some(Held::new(port, load))
}

fn give_up(attempt: &Attempt) {
    add(&attempt.port.metrics.failures, 1);
    abort(&attempt.client);
}
