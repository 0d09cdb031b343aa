//! Threads that live in a network namespace and make sockets there.
//!
//! A socket belongs for ever to the namespace its maker was in, so all a namespace needs is one thread to call
//! `socket(2)`; connect, epoll and splice work from anywhere. Two kinds of thread:
//! - a **dedicated** thread, for the node's and the host's namespace, which are used all the time;
//! - a [`Hopper`]: one thread for all pods, which enters (setns, about a microsecond) the namespace of each job and goes
//!   home when it has nothing to do, so that it keeps no namespace of a dead pod alive. 250 pods cost one thread.

use std::{
    any::Any,
    cell::Cell,
    fs::File,
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, TryRecvError, channel},
    },
    time::Duration,
};

use nix::sched::{CloneFlags, setns};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};

/// Jobs make sockets, talk netlink and write sysctls; nothing of it needs a deep stack.
const STACK_BYTES: usize = 128 * 1024;

/// Connections that wait to be accepted; the kernel caps it at net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// Mark of connections to a pod that seem to come from their client's address, not the pod's own. The namespaces of pods
/// must send what has it by loopback, and have `tcp_fwmark_accept` set: sockets that accept such a connection mark their
/// answers.
pub const KEPT_CLIENT: u32 = 0x5c1e;

/// What a namespace's thread is asked to do.
struct Job {
    /// Where; none on a dedicated thread.
    netns: Option<Arc<OwnedFd>>,
    /// What; told whether the namespace could be entered.
    work: Box<dyn FnOnce(io::Result<()>) + Send>,
}

/// A network namespace with a thread in it that makes sockets on request. A dedicated thread ends with the last handle.
pub struct Namespace {
    name: String,
    netns: Arc<OwnedFd>,
    jobs: Sender<Job>,
    hops: bool,
}

impl std::fmt::Debug for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Namespace")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The namespace of the calling thread, to be entered by another one.
fn own_netns() -> io::Result<OwnedFd> {
    Ok(File::open("/proc/thread-self/ns/net")?.into())
}

/// Starts a thread that does `jobs` until nobody can send any; `enter` runs first and decides whether it starts.
fn start_thread(
    name: &str,
    enter: impl FnOnce() -> io::Result<OwnedFd> + Send + 'static,
) -> io::Result<Sender<Job>> {
    let (jobs, queue) = channel::<Job>();
    let (entered, outcome) = channel();
    // The kernel keeps 15 bytes of a thread's name.
    let short: String = format!("net-{name}")
        .chars()
        .filter(char::is_ascii)
        .take(15)
        .collect();
    std::thread::Builder::new()
        .name(short)
        .stack_size(STACK_BYTES)
        .spawn(move || match enter() {
            Ok(home) => {
                let _ = entered.send(Ok(()));
                serve(&queue, &home);
            }
            Err(error) => {
                let _ = entered.send(Err(error));
            }
        })?;
    outcome
        .recv()
        .map_err(|_| io::Error::other("the namespace thread ended at once"))??;
    Ok(jobs)
}

/// The thread's life: takes jobs in order, entering their namespace where they name one, and goes home when idle.
fn serve(queue: &Receiver<Job>, home: &OwnedFd) {
    let away = Cell::new(false);
    loop {
        let job = match queue.try_recv() {
            Ok(job) => job,
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {
                if away.get() && setns(home, CloneFlags::CLONE_NEWNET).is_ok() {
                    away.set(false);
                }
                match queue.recv() {
                    Ok(job) => job,
                    Err(_) => return,
                }
            }
        };
        let entered = match &job.netns {
            Some(netns) => setns(netns, CloneFlags::CLONE_NEWNET).map(|()| away.set(true)),
            None => Ok(()),
        };
        (job.work)(entered.map_err(io::Error::from));
    }
}

/// One thread for many namespaces. Jobs run in the order they come, so they must not wait for anything but the kernel.
#[derive(Debug, Clone)]
pub struct Hopper {
    jobs: Sender<Job>,
}

impl Hopper {
    /// Starts the thread, at home in a namespace that it may enter again: of an ordinary user that is not the host's, and
    /// a thread that can't go home would keep the last pod's namespace alive. It ends with the last handle and the
    /// last namespace.
    ///
    /// # Errors
    /// As [`Namespace::enter`].
    pub fn start(name: &str, home: &Namespace) -> io::Result<Self> {
        let home = Arc::clone(&home.netns);
        let jobs = start_thread(name, move || {
            setns(&home, CloneFlags::CLONE_NEWNET)?;
            own_netns()
        })?;
        Ok(Self { jobs })
    }

    /// A namespace whose jobs run on this thread.
    pub fn namespace(&self, name: &str, netns: OwnedFd) -> Arc<Namespace> {
        Arc::new(Namespace {
            name: name.to_owned(),
            netns: Arc::new(netns),
            jobs: self.jobs.clone(),
            hops: true,
        })
    }
}

impl Namespace {
    /// Starts a thread that enters the namespace behind `netns` (an open `/proc/<pid>/ns/net` or bind mount).
    ///
    /// # Errors
    /// `PermissionDenied` without CAP_SYS_ADMIN over the namespace's owner; when no thread can be started.
    pub fn enter(name: &str, netns: OwnedFd) -> io::Result<Arc<Self>> {
        let netns = Arc::new(netns);
        let target = Arc::clone(&netns);
        let jobs = start_thread(name, move || {
            setns(&target, CloneFlags::CLONE_NEWNET)?;
            own_netns()
        })?;
        Ok(Arc::new(Self {
            name: name.to_owned(),
            netns,
            jobs,
            hops: false,
        }))
    }

    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// When no thread can be started or /proc is not there.
    pub fn current(name: &str) -> io::Result<Arc<Self>> {
        let netns = Arc::new(own_netns()?);
        let jobs = start_thread(name, own_netns)?;
        Ok(Arc::new(Self {
            name: name.to_owned(),
            netns,
            jobs,
            hops: false,
        }))
    }

    /// A new, empty namespace, owned by the caller's user namespace.
    ///
    /// # Errors
    /// `PermissionDenied` without CAP_SYS_ADMIN in the caller's user namespace.
    pub fn create(name: &str) -> io::Result<Arc<Self>> {
        let (sender, made) = channel();
        let jobs = start_thread(name, move || {
            nix::sched::unshare(CloneFlags::CLONE_NEWNET)?;
            let _ = sender.send(own_netns()?);
            own_netns()
        })?;
        let netns = made.recv().map_err(|_| io::Error::other("no namespace came"))?;
        Ok(Arc::new(Self {
            name: name.to_owned(),
            netns: Arc::new(netns),
            jobs,
            hops: false,
        }))
    }

    /// What logs call this namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace itself.
    pub(crate) fn descriptor(&self) -> &Arc<OwnedFd> {
        &self.netns
    }

    /// Whether it is one of many that share a thread.
    pub(crate) fn is_pod(&self) -> bool {
        self.hops
    }

    /// Runs `work` on the namespace's thread and gives `reply`, there, what it returns.
    pub(crate) fn send<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
        reply: impl FnOnce(io::Result<T>) + Send + 'static,
    ) {
        let job = Job {
            netns: self.hops.then(|| Arc::clone(&self.netns)),
            work: Box::new(move |entered| {
                let outcome = entered.and_then(|()| {
                    catch_unwind(AssertUnwindSafe(work))
                        .map_err(|panic| io::Error::other(format!("namespace job: {}", panic_text(&*panic))))
                });
                reply(outcome);
            }),
        };
        // Refused only when the thread is gone; the reply is dropped then and the asker sees that.
        let _ = self.jobs.send(job);
    }

    /// Runs `work` on the namespace's thread and returns what it returns (for rtnetlink, sysctls, odd sockets). Others
    /// wait meanwhile: `work` must not.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or `work` panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let (sender, outcome) = tokio::sync::oneshot::channel();
        self.send(work, move |result| drop(sender.send(result)));
        outcome.await.unwrap_or_else(|_| Err(gone(&self.name)))
    }

    /// The same for callers outside of async code.
    ///
    /// # Errors
    /// As [`Namespace::run`].
    pub fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let (sender, outcome) = channel();
        self.send(work, move |result| drop(sender.send(result)));
        outcome.recv().unwrap_or_else(|_| Err(gone(&self.name)))
    }

    /// A listening TCP socket, non-blocking. `[::]` takes IPv4 too.
    ///
    /// # Errors
    /// As bind(2) and listen(2): `AddrInUse`, `AddrNotAvailable`.
    pub async fn tcp_listener(&self, address: SocketAddr) -> io::Result<TcpListener> {
        self.listener(address, false).await
    }

    /// The same, on an address that need not be one of this namespace yet if it is `foreign`.
    pub(crate) async fn listener(&self, address: SocketAddr, foreign: bool) -> io::Result<TcpListener> {
        self.run(move || {
            let socket = Socket::new(
                Domain::for_address(address),
                Type::STREAM.nonblocking(),
                Some(Protocol::TCP),
            )?;
            socket.set_reuse_address(true)?;
            if foreign {
                set_free_bind(&socket, address)?;
            }
            if address.is_ipv6() {
                socket.set_only_v6(!address.ip().is_unspecified())?;
            }
            listen(&socket, &SockAddr::from(address))?;
            Ok(socket.into())
        })
        .await?
    }

    /// A connected TCP stream, optionally from a given source address. Waits as long as the kernel does (about two
    /// minutes): callers bound it.
    ///
    /// # Errors
    /// As connect(2).
    pub async fn tcp_connect(&self, to: SocketAddr, from: Option<SocketAddr>) -> io::Result<TcpStream> {
        let socket: std::net::TcpStream = self
            .run(move || {
                let socket = Socket::new(
                    Domain::for_address(to),
                    Type::STREAM.nonblocking(),
                    Some(Protocol::TCP),
                )?;
                if let Some(from) = from {
                    socket.bind(&SockAddr::from(from))?;
                }
                socket.set_tcp_nodelay(true)?;
                io::Result::Ok(socket.into())
            })
            .await??;
        // On loopback and veth the whole handshake happens inside connect(2): let the caller's thread do that.
        TcpSocket::from_std_stream(socket).connect(to).await
    }

    /// A bound UDP socket, non-blocking.
    ///
    /// # Errors
    /// As bind(2).
    pub async fn udp_socket(&self, bind: SocketAddr) -> io::Result<UdpSocket> {
        self.udp(bind, false).await
    }

    /// The same, on an address that need not be one of this namespace yet if it is `foreign`.
    pub(crate) async fn udp(&self, bind: SocketAddr, foreign: bool) -> io::Result<UdpSocket> {
        self.run(move || {
            let socket = Socket::new(
                Domain::for_address(bind),
                Type::DGRAM.nonblocking(),
                Some(Protocol::UDP),
            )?;
            if foreign {
                set_free_bind(&socket, bind)?;
            }
            if bind.is_ipv6() {
                // IPv4 has sockets of its own.
                socket.set_only_v6(true)?;
            }
            socket.bind(&SockAddr::from(bind))?;
            Ok(socket.into())
        })
        .await?
    }
}

impl AsFd for Namespace {
    /// The namespace itself, for `IFLA_NET_NS_FD` and the like.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netns.as_fd()
    }
}

/// Lets a socket be bound to an address that comes later (a floating one).
fn set_free_bind(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv4() {
        socket.set_freebind_v4(true)
    } else {
        socket.set_freebind_v6(true)
    }
}

/// Binds and listens, with what accepted sockets inherit: no delay, and a keepalive that notices a peer whose
/// interface vanished within about two minutes.
pub(crate) fn listen(socket: &Socket, address: &SockAddr) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(
        &socket2::TcpKeepalive::new()
            .with_time(Duration::from_secs(60))
            .with_interval(Duration::from_secs(15))
            .with_retries(4),
    )?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn gone(name: &str) -> io::Error {
    io::Error::other(format!("the thread of namespace {name} is gone"))
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panicked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_that_panics_does_not_end_the_thread() {
        let here = Namespace::current("test").unwrap();
        let error = here.run(|| -> u8 { panic!("on purpose") }).await.unwrap_err();
        assert!(error.to_string().contains("on purpose"), "{error}");
        assert_eq!(here.run(|| 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn sockets_of_the_current_namespace_reach_each_other() {
        let here = Namespace::current("test").unwrap();
        let listener = here.tcp_listener("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let to = listener.local_addr().unwrap();
        let from = here.tcp_connect(to, None).await.unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, from.local_addr().unwrap());
    }
}
