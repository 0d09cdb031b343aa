//! Connections that the kernel carries by itself: for pods of this node it translates a service's address to a backend's,
//! and neither the connection's bytes nor its end concern the proxy.
//!
//! ```text
//! client ─► service address ─┬─ in turns ─► a sound backend of this node         the kernel, by a [`Translator`]
//!                            └─ all others ─► the proxy's listener ─► any backend
//! ```
//!
//! The proxy keeps deciding: [`Carrier`] tells the kernel whom to give turns, which are the backends it reaches that have not
//! failed lately. One that refuses, keeps silent or resets is reported back, loses its turns at once, and the
//! connection is tried again; it gets turns again when the proxy has connected to it. What needs a decision for each connection
//! (client affinity) is not carried.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, SocketAddrV4},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::sync::{
    Mutex,
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use crate::{Protocol, metrics::add, port::Shared};

/// Connections that may have come between two that a backend has reset, for these to be in a row.
const BETWEEN_RESETS: u64 = 3;

/// A service address that the kernel may translate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Front {
    /// Protocol.
    pub protocol: Protocol,
    /// Service address and port.
    pub address: SocketAddrV4,
}

/// How a backend failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody listens there.
    Refused,
    /// It has not answered for a second.
    Silent,
    /// It took the connection and reset it without an answer.
    Reset,
}

/// A connection that a backend did not take.
#[derive(Debug)]
pub struct Failure {
    /// The address the client asked.
    pub front: Front,
    /// The backend whose turn it was.
    pub backend: SocketAddrV4,
    /// What happened.
    pub trouble: Trouble,
    /// The client has not been told, and waits for another backend.
    pub waits: bool,
    /// The packet that told of it, from its IP header on.
    pub packet: Box<[u8]>,
}

/// Who gets new connections in turns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// A turn each; who is here twice has two.
    pub backends: Vec<SocketAddrV4>,
    /// Turns of the proxy.
    pub others: u32,
    /// There is nobody else, not even one that has failed: what the only backend refuses is refused.
    pub is_alone: bool,
}

/// What the kernel has counted of a front.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes from clients.
    pub received: u64,
    /// Bytes to clients.
    pub sent: u64,
    /// Connections (or UDP flows) ever.
    pub connections: u64,
    /// Of the backends that have turns now: connections ever.
    pub given: HashMap<SocketAddrV4, u64>,
    /// Of all backends that have any: connections now.
    pub in_flight: HashMap<SocketAddrV4, u64>,
}

/// Has the kernel translate addresses.
#[async_trait]
pub trait Translator: Send + Sync + 'static {
    /// Whether packets for a backend are routed on this node.
    fn reaches(&self, backend: IpAddr) -> bool;

    /// Gives new connections to `front` to backends in turns. Without backends nothing is translated any more. TCP connections
    /// that are there go on.
    ///
    /// # Errors
    /// What the kernel refused; what was set before is in force then.
    async fn set(&self, front: Front, turns: &Turns) -> io::Result<()>;

    /// Waits for the next failure.
    ///
    /// # Errors
    /// When none will come any more.
    async fn failure(&self) -> io::Result<Failure>;

    /// Begins the connection of a failure anew, with whoever has turns now.
    async fn again(&self, failure: Failure);

    /// What was counted so far.
    ///
    /// # Errors
    /// What the kernel refused.
    async fn counts(&self) -> io::Result<HashMap<Front, Counts>>;
}

/// What the kernel was told of a front.
struct Carried {
    port: Arc<Shared>,
    turns: Turns,
    /// What was seen of it last.
    connections: u64,
    in_flight: HashMap<SocketAddrV4, u64>,
}

/// How often connections are looked at, to give more turns to who has fewer: after this time while new ones come, else ever more
/// rarely.
const LOOK: Duration = Duration::from_secs(1);
const LOOK_AT_LEAST: Duration = Duration::from_secs(16);

/// Keeps the kernel's turns as the balancers have it.
pub(crate) struct Carrier {
    translator: Arc<dyn Translator>,
    /// Held while the kernel is told, so that what it was told last is the newest.
    fronts: Mutex<HashMap<Front, Carried>>,
    changed: UnboundedSender<Arc<Shared>>,
}

impl Carrier {
    /// Starts listening to failures. Ends with the handle.
    pub fn start(translator: Arc<dyn Translator>) -> (Arc<Self>, AbortOnDropHandle<()>) {
        let (changed, changes) = unbounded_channel();
        let carrier = Arc::new(Self {
            translator,
            fronts: Mutex::default(),
            changed,
        });
        let task = tokio::spawn(Arc::clone(&carrier).follow(changes));
        (carrier, AbortOnDropHandle::new(task))
    }

    /// Where to tell of ports whose balancer has changed its mind.
    pub fn changed(&self) -> UnboundedSender<Arc<Shared>> {
        self.changed.clone()
    }

    /// Has the kernel carry a port on these fronts, and on no others.
    pub async fn carry(&self, port: &Arc<Shared>, wanted: Vec<Front>) {
        let mut fronts = self.fronts.lock().await;
        let before = std::mem::replace(&mut *port.fronts.lock(), wanted.clone());
        for front in before.into_iter().filter(|front| !wanted.contains(front)) {
            if let Some(carried) = fronts.remove(&front) {
                self.tell(front, &carried.turns, &Turns::default()).await;
            }
        }
        self.renew(&mut fronts, port, &wanted).await;
    }

    async fn renew(&self, fronts: &mut HashMap<Front, Carried>, port: &Arc<Shared>, wanted: &[Front]) {
        if wanted.is_empty() {
            return;
        }
        let mut ends = None;
        for front in wanted {
            let carried = fronts.entry(*front).or_insert_with(|| Carried {
                port: Arc::clone(port),
                turns: Turns::default(),
                connections: 0,
                in_flight: HashMap::new(),
            });
            carried.port = Arc::clone(port);
            let reaches = |backend| self.translator.reaches(backend);
            let (turns, until) = port
                .balancer
                .lock()
                .turns(Instant::now(), reaches, &carried.in_flight);
            ends = until;
            if self.tell(*front, &carried.turns, &turns).await {
                carried.turns = turns;
            }
        }
        if let Some(until) = ends {
            // Its pause is over then.
            let (changed, port) = (self.changed.clone(), Arc::downgrade(port));
            tokio::spawn(async move {
                tokio::time::sleep_until(until.into()).await;
                if let Some(port) = port.upgrade() {
                    let _ = changed.send(port);
                }
            });
        }
    }

    /// Whether the kernel has it so now.
    async fn tell(&self, front: Front, known: &Turns, turns: &Turns) -> bool {
        if known == turns {
            return true;
        }
        let told = self.translator.set(front, turns).await;
        if let Err(error) = &told {
            warn!(front = %front.address, error = error as &dyn std::error::Error, "the kernel does not carry a service as it should");
        }
        told.is_ok()
    }

    /// Looks at the connections of services with several backends on this node. Whether there were new ones.
    async fn level(&self) -> bool {
        let has_choice = |carried: &Carried| carried.turns.backends.len() > 1;
        if !self.fronts.lock().await.values().any(has_choice) {
            return false;
        }
        let counts = self.counts().await;
        let mut fronts = self.fronts.lock().await;
        let mut changed = Vec::new();
        for (front, counts) in counts {
            let Some(carried) = fronts.get_mut(&front).filter(|carried| has_choice(carried)) else {
                continue;
            };
            if carried.connections != counts.connections || carried.in_flight != counts.in_flight {
                carried.connections = counts.connections;
                carried.in_flight = counts.in_flight;
                changed.push((front, Arc::clone(&carried.port)));
            }
        }
        for (front, port) in &changed {
            self.renew(&mut fronts, port, std::slice::from_ref(front)).await;
        }
        !changed.is_empty()
    }

    /// Three loops, none of which is cut off by another: a failure that was taken must be settled.
    async fn follow(self: Arc<Self>, mut changes: UnboundedReceiver<Arc<Shared>>) {
        let changes = async {
            while let Some(port) = changes.recv().await {
                self.refresh(&port).await;
            }
        };
        let failures = async {
            loop {
                match self.translator.failure().await {
                    Ok(failure) => self.failed(failure).await,
                    Err(error) => {
                        warn!(
                            error = &error as &dyn std::error::Error,
                            "backends that refuse what the kernel gives them go unnoticed"
                        );
                        return;
                    }
                }
            }
        };
        let levelling = async {
            let mut pause = LOOK;
            loop {
                tokio::time::sleep(pause).await;
                pause = if self.level().await {
                    LOOK
                } else {
                    (pause * 2).min(LOOK_AT_LEAST)
                };
            }
        };
        // The last one does not end: the proxy's end ends all.
        tokio::join!(changes, failures, levelling);
    }

    async fn refresh(&self, port: &Arc<Shared>) {
        let mut fronts = self.fronts.lock().await;
        let wanted = port.fronts.lock().clone();
        self.renew(&mut fronts, port, &wanted).await;
    }

    async fn failed(&self, failure: Failure) {
        let port = self
            .fronts
            .lock()
            .await
            .get(&failure.front)
            .map(|carried| Arc::clone(&carried.port));
        if let Some(port) = port {
            let backend = SocketAddr::V4(failure.backend);
            debug!(service = %port.service, %backend, trouble = ?failure.trouble, "backend failed what the kernel gave it");
            match failure.trouble {
                Trouble::Reset => self.reset(&port, &failure).await,
                Trouble::Refused | Trouble::Silent => {
                    let metrics = &port.metrics;
                    let counter = if failure.waits {
                        &metrics.retries
                    } else {
                        &metrics.failures
                    };
                    add(counter, 1);
                    port.balancer.lock().failed(backend, Instant::now());
                }
            }
            self.refresh(&port).await;
        }
        if failure.waits {
            self.translator.again(failure).await;
        }
    }

    /// Counts a reset; those with answered connections between them are not in a row.
    async fn reset(&self, port: &Shared, failure: &Failure) {
        let counts = self.counts().await;
        let given = counts
            .get(&failure.front)
            .and_then(|counts| counts.given.get(&failure.backend).copied());
        let backend = SocketAddr::V4(failure.backend);
        let mut balancer = port.balancer.lock();
        if let (Some(given), Some(load)) = (given, balancer.loads().find(|load| load.address == backend)) {
            load.reset_after(given, BETWEEN_RESETS);
        }
        balancer.reset(backend, Instant::now());
    }

    /// What the kernel has counted.
    pub async fn counts(&self) -> HashMap<Front, Counts> {
        match self.translator.counts().await {
            Ok(counts) => counts,
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "count what the kernel carries"
                );
                HashMap::new()
            }
        }
    }
}
