//! Doors: one listener inside each pod's namespace for all services, so that a connection to a service never leaves the
//! pod's own loopback.
//!
//! A [`Gate`] (rules of the pod's namespace) hands connections to ready service ports to the pod's door and refuses all
//! others in the range; the accepted socket's local end tells which service was meant. Which ports are ready is the same in
//! every pod: one list, carried over in batches by one task.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::OwnedFd,
    sync::Arc,
};

use parking_lot::Mutex;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use crate::{
    netns::{Namespace, listen},
    port::Shared,
    worker::{Doorways, Listening, Serve, Workers},
};

/// Where a door listens in its pod: the address of every pod's gateway, which no program of the pod can have, and a port
/// that no program wants on all addresses (tcpmux).
pub const DOOR: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(169, 254, 1, 1), 1);

/// The rules of a pod's namespace that hand connections to its door. All functions are called on a thread inside the
/// namespace and must not wait for anything but the kernel.
pub trait Gate: Send + Sync + 'static {
    /// Puts rules in place, instead of those that may be there: connections to `open` go to [`DOOR`], to other service
    /// addresses they are refused.
    ///
    /// # Errors
    /// What the kernel refused.
    fn set_up(&self, open: &[SocketAddrV4]) -> io::Result<()>;

    /// Opens and closes service ports. `open` are closed and `close` are open.
    ///
    /// # Errors
    /// What the kernel refused; nothing has changed then.
    fn change(&self, open: &[SocketAddrV4], close: &[SocketAddrV4]) -> io::Result<()>;
}

struct Door {
    namespace: Arc<Namespace>,
    gate: Arc<dyn Gate>,
    listening: Listening,
}

#[derive(Default)]
struct State {
    pods: HashMap<IpAddr, Door>,
    /// What every gate lets through.
    open: HashSet<SocketAddrV4>,
}

struct Inner {
    doorways: Arc<Doorways>,
    /// Addresses that have changed since gates were last told.
    changed: Mutex<HashSet<SocketAddrV4>>,
    news: Notify,
    /// Held while gates change.
    state: tokio::sync::Mutex<State>,
}

/// The doors of a node's pods.
pub(crate) struct Doors {
    inner: Arc<Inner>,
    _follow: AbortOnDropHandle<()>,
}

impl Doors {
    pub fn new() -> Self {
        let inner = Arc::new(Inner {
            doorways: Arc::default(),
            changed: Mutex::default(),
            news: Notify::new(),
            state: tokio::sync::Mutex::default(),
        });
        let following = Arc::clone(&inner);
        Self {
            inner,
            _follow: AbortOnDropHandle::new(tokio::spawn(async move { following.follow().await })),
        }
    }

    /// A service port is served at `address` from now on; gates follow within milliseconds.
    pub fn open(&self, address: SocketAddr, port: &Arc<Shared>) {
        self.inner.doorways.write().insert(address, Arc::clone(port));
        self.inner.note(address);
    }

    /// The opposite, unless somebody else has opened it since.
    pub fn close(&self, address: SocketAddr, port: &Arc<Shared>) {
        let mut doorways = self.inner.doorways.write();
        if doorways
            .get(&address)
            .is_some_and(|known| Arc::ptr_eq(known, port))
        {
            doorways.remove(&address);
            drop(doorways);
            self.inner.note(address);
        }
    }

    /// Gives a pod its door.
    pub async fn attach(
        &self,
        workers: &Workers,
        pod: IpAddr,
        namespace: Arc<Namespace>,
        gate: Arc<dyn Gate>,
    ) -> io::Result<()> {
        let mut state = self.inner.state.lock().await;
        if let Some(old) = state.pods.remove(&pod) {
            workers.unlisten(old.listening).await;
        }
        let open: Vec<SocketAddrV4> = state.open.iter().copied().collect();
        let inside = Arc::clone(&gate);
        let socket = namespace
            .run(move || {
                let socket = make_door()?;
                inside.set_up(&open)?;
                io::Result::Ok(socket)
            })
            .await??;
        let listening = workers.listen(socket, &Serve::Asked(Arc::clone(&self.inner.doorways)));
        let door = Door {
            namespace,
            gate,
            listening,
        };
        state.pods.insert(pod, door);
        Ok(())
    }

    /// Takes a pod's door away. Its connections stay.
    pub async fn detach(&self, workers: &Workers, pod: IpAddr) {
        let door = self.inner.state.lock().await.pods.remove(&pod);
        if let Some(door) = door {
            workers.unlisten(door.listening).await;
        }
    }
}

impl Inner {
    fn note(&self, address: SocketAddr) {
        if let SocketAddr::V4(address) = address {
            self.changed.lock().insert(address);
            self.news.notify_one();
        }
    }

    /// Tells the gates what has changed, for ever. What changes meanwhile goes together the next time.
    async fn follow(&self) {
        loop {
            self.news.notified().await;
            let mut state = self.state.lock().await;
            let changed = std::mem::take(&mut *self.changed.lock());
            let (mut open, mut close) = (Vec::new(), Vec::new());
            for address in changed {
                let wanted = self.doorways.read().contains_key(&address.into());
                match (wanted, state.open.contains(&address)) {
                    (true, false) => open.push(address),
                    (false, true) => close.push(address),
                    _ => {}
                }
            }
            if open.is_empty() && close.is_empty() {
                continue;
            }
            state.open.extend(&open);
            for address in &close {
                state.open.remove(address);
            }
            let (open, close): (Arc<[_]>, Arc<[_]>) = (open.into(), close.into());
            // All are asked before the first has answered.
            let told: Vec<_> = state
                .pods
                .iter()
                .map(|(pod, door)| {
                    let (gate, open, close) = (Arc::clone(&door.gate), Arc::clone(&open), Arc::clone(&close));
                    let (reply, answer) = tokio::sync::oneshot::channel();
                    door.namespace.send(
                        move || gate.change(&open, &close),
                        |outcome| drop(reply.send(outcome)),
                    );
                    (*pod, answer)
                })
                .collect();
            for (pod, answer) in told {
                let Err(error) = answer
                    .await
                    .unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
                    .flatten()
                else {
                    continue;
                };
                debug!(%pod, %error, "a gate did not change; it is made anew");
                state.repair(pod).await;
            }
        }
    }
}

impl State {
    /// Makes a gate anew that is not as it was left: a pod with the right to may change its own rules.
    async fn repair(&self, pod: IpAddr) {
        let Some(door) = self.pods.get(&pod) else { return };
        let open: Vec<SocketAddrV4> = self.open.iter().copied().collect();
        let gate = Arc::clone(&door.gate);
        let made = door.namespace.run(move || gate.set_up(&open)).await;
        if let Err(error) = made.flatten() {
            warn!(%pod, %error, "a pod does not see changes of services");
        }
    }
}

/// A listener that takes connections to any address, in the calling thread's namespace.
fn make_door() -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_ip_transparent_v4(true)?;
    socket.set_reuse_address(true)?;
    listen(&socket, &SockAddr::from(DOOR))?;
    Ok(socket.into())
}
