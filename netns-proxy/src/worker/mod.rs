//! The threads that carry TCP: each has an epoll of its own and takes a connection from accept(2) to close(2) without
//! handing it on.
//!
//! ```text
//! listener ready ─► accept ─► pick a backend ─► socket(2) in its namespace ─► connect(2) ─► Pair: bytes both ways
//!                               ▲      │ refused, or no answer in time                        (`pair`, `pump`)
//!                               └──────┘                                       (`dial`)
//! ```
//! A connect within the machine is over when connect(2) returns, so the common way has no wait before the bytes do. A
//! worker enters the namespaces of pods itself: it lives in the node's, which it may enter again.

mod dial;
mod far;
mod pair;

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use nix::sched::{CloneFlags, setns};
use parking_lot::Mutex;
use rustix::{
    buffer::spare_capacity,
    event::{EventfdFlags, epoll, eventfd},
    net::SocketFlags,
    time::Timespec,
};
use slab::Slab;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::{
    accept::{LastResort, Reserve, is_exhaustion},
    metrics::add,
    netns::Namespace,
    port::Shared,
};
use dial::{Attempt, Dialling};
use pair::Pair;

/// A worker's stack: nothing here recurses, and scratch buffers are on the heap.
const STACK_BYTES: usize = 256 * 1024;

/// More threads than this gain nothing on pods of one node.
const MOST_WORKERS: usize = 8;

/// Connections accepted before what is ready gets its turn.
const ACCEPTS: usize = 16;

/// Events taken at once.
const EVENTS: usize = 128;

/// By how many connections another worker must be ahead before it is relieved.
const IMBALANCE: usize = 8;

/// What happens at a worker from outside.
enum Command {
    Listen {
        id: u32,
        listener: Arc<Listener>,
    },
    /// The sender is dropped once the socket is.
    Unlisten {
        id: u32,
        _done: mpsc::Sender<()>,
    },
    /// A connection from a busier worker, its backend not yet chosen.
    Accepted(Box<Attempt>),
    /// The socket for an attempt, made in a namespace that workers don't enter.
    Made(Box<Attempt>, io::Result<OwnedFd>),
    /// Another node was asked for a connection: a socket, or why not.
    Opened(Box<Attempt>, io::Result<OwnedFd>),
    Stop,
}

/// Where a worker's commands are put.
struct Mailbox {
    commands: Mutex<Vec<Command>>,
    wake: OwnedFd,
    /// Connections it has now.
    load: AtomicUsize,
}

impl Mailbox {
    fn post(&self, command: Command) {
        let first = {
            let mut commands = self.commands.lock();
            commands.push(command);
            commands.len() == 1
        };
        if first {
            // Fails only when the counter is full, and then the worker is awake.
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }
}

/// The running threads; dropping it ends them and their connections.
pub(crate) struct Workers {
    mailboxes: Arc<[Arc<Mailbox>]>,
    next_listener: AtomicU32,
    shed: Arc<AtomicU64>,
}

/// A listening socket that the workers accept from.
pub(crate) struct Listening(u32);

impl Workers {
    /// Starts a thread per core, at home in `node`. Needs a running tokio runtime.
    pub fn start(node: &Arc<Namespace>) -> io::Result<Self> {
        let count = std::thread::available_parallelism()
            .map_or(1, Into::into)
            .min(MOST_WORKERS);
        let mailbox = || {
            io::Result::Ok(Arc::new(Mailbox {
                commands: Mutex::default(),
                wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
                load: AtomicUsize::new(0),
            }))
        };
        let mailboxes: Arc<[_]> = (0..count).map(|_| mailbox()).collect::<io::Result<_>>()?;
        let reserve = Arc::new(Reserve::default());
        let workers = Self {
            mailboxes: Arc::clone(&mailboxes),
            next_listener: AtomicU32::new(0),
            shed: Arc::default(),
        };
        for number in 0..count {
            let worker = Worker::new(number, &mailboxes, &reserve, &workers.shed)?;
            let node = Arc::clone(node);
            std::thread::Builder::new()
                .name(format!("proxy-{number}"))
                .stack_size(STACK_BYTES)
                .spawn(move || worker.run(&node))?;
        }
        Ok(workers)
    }

    /// Accepts from `socket`, which is non-blocking, until [`Workers::unlisten`].
    /// `inside`: at a cluster address.
    pub fn listen(&self, socket: OwnedFd, port: &Arc<Shared>, inside: bool) -> Listening {
        let id = self.next_listener.fetch_add(1, Relaxed);
        let listener = Arc::new(Listener {
            socket,
            port: Arc::clone(port),
            inside,
        });
        for mailbox in &*self.mailboxes {
            let listener = Arc::clone(&listener);
            mailbox.post(Command::Listen { id, listener });
        }
        Listening(id)
    }

    /// Returns when the socket is closed. Its connections stay.
    pub async fn unlisten(&self, listening: Listening) {
        let (done, mut all_done) = mpsc::channel(1);
        for mailbox in &*self.mailboxes {
            mailbox.post(Command::Unlisten {
                id: listening.0,
                _done: done.clone(),
            });
        }
        drop(done);
        // Ends when every worker has dropped its sender.
        let _ = all_done.recv().await;
    }

    /// Connections closed unserved for want of descriptors.
    pub fn shed(&self) -> u64 {
        self.shed.load(Relaxed)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for mailbox in &*self.mailboxes {
            mailbox.post(Command::Stop);
        }
    }
}

/// What an event belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Mailbox,
    Listener(u32),
    /// A socket of a connection; the generation tells late events of an earlier one in its place.
    Socket {
        index: u32,
        side: Side,
        generation: u32,
    },
}

/// Which socket of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client = 0,
    Backend = 1,
}

const GENERATIONS: u32 = 1 << 29;

impl Token {
    fn data(self) -> epoll::EventData {
        let number = match self {
            Self::Mailbox => u64::MAX,
            Self::Listener(id) => (1 << 63) | u64::from(id),
            Self::Socket {
                index,
                side,
                generation,
            } => (u64::from(generation) << 33) | (u64::from(index) << 1) | side as u64,
        };
        epoll::EventData::new_u64(number)
    }

    fn of(data: epoll::EventData) -> Self {
        let number = data.u64();
        match (number == u64::MAX, number >> 63) {
            (true, _) => Self::Mailbox,
            (_, 1) => Self::Listener(number as u32),
            _ => Self::Socket {
                index: (number >> 1) as u32,
                side: if number & 1 == 0 {
                    Side::Client
                } else {
                    Side::Backend
                },
                generation: (number >> 33) as u32,
            },
        }
    }
}

/// A socket that is accepted from.
struct Listener {
    socket: OwnedFd,
    port: Arc<Shared>,
    inside: bool,
}

/// A connection's place in a worker.
enum Entry {
    Dialling(Box<Dialling>),
    Pair(Pair),
}

struct Worker {
    number: usize,
    mailboxes: Arc<[Arc<Mailbox>]>,
    epoll: OwnedFd,
    listeners: HashMap<u32, Arc<Listener>>,
    entries: Slab<(u32, Entry)>,
    generation: u32,
    /// Connects under way, in the order of their deadlines.
    deadlines: VecDeque<(Instant, Token)>,
    /// Connections that used up their turn.
    again: Vec<u32>,
    /// Where the thread may go back to; none when it may enter no namespace.
    home: Option<Arc<OwnedFd>>,
    /// Where it is, when not at home.
    away: Option<Arc<OwnedFd>>,
    reserve: Arc<Reserve>,
    shed: Arc<AtomicU64>,
    /// For connections that other nodes carry on.
    runtime: tokio::runtime::Handle,
}

impl Worker {
    fn new(
        number: usize,
        mailboxes: &Arc<[Arc<Mailbox>]>,
        reserve: &Arc<Reserve>,
        shed: &Arc<AtomicU64>,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            &mailboxes[number].wake,
            Token::Mailbox.data(),
            epoll::EventFlags::IN,
        )?;
        Ok(Self {
            number,
            mailboxes: Arc::clone(mailboxes),
            epoll,
            listeners: HashMap::new(),
            entries: Slab::new(),
            generation: 0,
            deadlines: VecDeque::new(),
            again: Vec::new(),
            home: None,
            away: None,
            reserve: Arc::clone(reserve),
            shed: Arc::clone(shed),
            runtime: tokio::runtime::Handle::current(),
        })
    }

    fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailboxes[self.number]
    }

    /// The thread's life.
    fn run(mut self, node: &Namespace) {
        match setns(node, CloneFlags::CLONE_NEWNET) {
            Ok(()) => self.home = Some(Arc::clone(node.descriptor())),
            // Not root in a user namespace (tests): sockets come from the threads of the namespaces.
            Err(error) => debug!(%error, "a proxy thread may not enter the node namespace"),
        }
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
        loop {
            events.clear();
            let timeout = self.patience();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    warn!(%error, "a proxy thread ends");
                    return;
                }
            }
            for event in &events {
                match Token::of(event.data) {
                    Token::Mailbox => {
                        if !self.obey() {
                            return;
                        }
                    }
                    Token::Listener(id) => self.accept(id),
                    Token::Socket {
                        index,
                        side,
                        generation,
                    } => {
                        self.socket_event(index, side, generation, event.flags);
                    }
                }
            }
            for index in std::mem::take(&mut self.again) {
                self.pump(index);
            }
            self.give_up_late_connects();
            self.go_home();
        }
    }

    /// How long to wait for events: not at all with work at hand, or until the next deadline.
    fn patience(&mut self) -> Option<Timespec> {
        if !self.again.is_empty() {
            return Some(Timespec::default());
        }
        // Of connects that are over; what is left are the few that really wait.
        while let Some((_, token)) = self.deadlines.front()
            && !self.is_dialling(*token)
        {
            self.deadlines.pop_front();
        }
        let (deadline, _) = self.deadlines.front()?;
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up: waking too early would spin.
        Timespec::try_from(left + Duration::from_millis(1)).ok()
    }

    fn is_dialling(&self, token: Token) -> bool {
        let Token::Socket {
            index, generation, ..
        } = token
        else {
            return false;
        };
        matches!(self.entries.get(index as usize), Some((known, Entry::Dialling(_))) if *known == generation)
    }

    /// Carries out what was posted. False: to end.
    fn obey(&mut self) -> bool {
        let _ = rustix::io::read(&self.mailbox().wake, &mut [0; 8]);
        let commands = std::mem::take(&mut *self.mailbox().commands.lock());
        for command in commands {
            match command {
                Command::Listen { id, listener } => {
                    let flags = epoll::EventFlags::IN | epoll::EventFlags::EXCLUSIVE;
                    let token = Token::Listener(id).data();
                    if let Err(error) = epoll::add(&self.epoll, &listener.socket, token, flags) {
                        warn!(%error, "a listener can't be watched");
                    }
                    self.listeners.insert(id, listener);
                }
                Command::Unlisten { id, _done } => {
                    if let Some(listener) = self.listeners.remove(&id) {
                        // Another worker may hold it a little longer.
                        let _ = epoll::delete(&self.epoll, &listener.socket);
                    }
                }
                Command::Accepted(attempt) => self.dial(attempt),
                Command::Made(attempt, socket) => self.connect_made(attempt, socket),
                Command::Opened(attempt, Ok(socket)) => self.connected(*attempt, socket),
                Command::Opened(mut attempt, Err(error)) => {
                    attempt.refused(&error);
                    self.dial(attempt);
                }
                Command::Stop => return false,
            }
        }
        true
    }

    fn accept(&mut self, id: u32) {
        for _ in 0..ACCEPTS {
            let Some(listener) = self.listeners.get(&id) else {
                return;
            };
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let (client, from) = match rustix::net::acceptfrom_with(&listener.socket, flags) {
                Ok(accepted) => accepted,
                Err(rustix::io::Errno::AGAIN) => return,
                Err(error) if is_exhaustion(&error.into()) => match self.reserve.accept(&listener.socket) {
                    LastResort::Accepted(client, from) => (client, from),
                    LastResort::Reset => {
                        add(&self.shed, 1);
                        continue;
                    }
                    LastResort::Nobody => {
                        // Looked at again when some may have been freed.
                        std::thread::sleep(Duration::from_millis(1));
                        return;
                    }
                },
                // A client that left before it was accepted, and the network errors that accept(2) passes on.
                Err(error) => {
                    debug!(%error, "accept failed");
                    continue;
                }
            };
            if let Some(from) = from.and_then(|from| SocketAddr::try_from(from).ok()) {
                let attempt = Attempt::new(Arc::clone(&listener.port), client, from, listener.inside);
                self.take(Box::new(attempt));
            }
        }
    }

    /// Serves a new connection, here or where there is clearly less to do: whoever happens to be awake accepts, and
    /// connections that stay would pile up there.
    fn take(&mut self, attempt: Box<Attempt>) {
        add(&attempt.port.metrics.connections, 1);
        let own = self.mailbox().load.load(Relaxed);
        let least = self.mailboxes.iter().min_by_key(|other| other.load.load(Relaxed));
        match least {
            Some(other) if other.load.load(Relaxed) + IMBALANCE < own => {
                other.post(Command::Accepted(attempt))
            }
            _ => self.dial(attempt),
        }
    }

    /// Puts a connection into the table; returns its index and generation.
    fn insert(&mut self, entry: Entry) -> (u32, u32) {
        self.generation = (self.generation + 1) % GENERATIONS;
        // Descriptors run out long before numbers do.
        let index = self.entries.insert((self.generation, entry)) as u32;
        self.mailbox().load.store(self.entries.len(), Relaxed);
        (index, self.generation)
    }

    fn remove(&mut self, index: u32) -> Option<Entry> {
        let (_, entry) = self.entries.try_remove(index as usize)?;
        self.mailbox().load.store(self.entries.len(), Relaxed);
        Some(entry)
    }

    fn socket_event(&mut self, index: u32, side: Side, generation: u32, flags: epoll::EventFlags) {
        match self.entries.get_mut(index as usize) {
            Some((known, entry)) if *known == generation => match entry {
                Entry::Dialling(_) => self.connect_ended(index),
                Entry::Pair(pair) => {
                    pair.note(side, flags);
                    self.pump(index);
                }
            },
            // Of a connection that ended earlier in this round.
            _ => {}
        }
    }

    /// Watches a socket of a connection; what is ready already is told at once.
    fn watch(&self, socket: &impl AsFd, index: u32, side: Side, generation: u32) -> io::Result<()> {
        let token = Token::Socket {
            index,
            side,
            generation,
        };
        let ready = epoll::EventFlags::IN | epoll::EventFlags::OUT;
        let odd = epoll::EventFlags::RDHUP | epoll::EventFlags::PRI;
        let flags = ready | odd | epoll::EventFlags::ET;
        Ok(epoll::add(&self.epoll, socket, token.data(), flags)?)
    }

    /// Enters a namespace unless the thread is there. Stays until [`Worker::go_home`].
    fn enter(&mut self, netns: &Arc<OwnedFd>) -> io::Result<()> {
        if self.away.as_ref().is_some_and(|there| Arc::ptr_eq(there, netns)) {
            return Ok(());
        }
        setns(netns, CloneFlags::CLONE_NEWNET)?;
        self.away = Some(Arc::clone(netns));
        Ok(())
    }

    /// Leaves the namespace of a pod, which would not end while the thread waited in it.
    fn go_home(&mut self) {
        if self.away.is_some()
            && let Some(home) = &self.home
            && setns(home, CloneFlags::CLONE_NEWNET).is_ok()
        {
            self.away = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_kernel() {
        for token in [
            Token::Mailbox,
            Token::Listener(0),
            Token::Listener(u32::MAX),
            Token::Socket {
                index: 0,
                side: Side::Client,
                generation: 0,
            },
            Token::Socket {
                index: u32::MAX,
                side: Side::Backend,
                generation: GENERATIONS - 1,
            },
        ] {
            assert_eq!(Token::of(token.data()), token);
        }
    }
}
