//! The handle of a Raft group: propose, wait for reads, follow leadership, close.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use raft::eraftpb::{ConfChangeV2, Message};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::{
    core::Input,
    disk::LogError,
    driver,
    files::FileHealth,
    log::Log,
    machine::StateMachine,
    roster::{Members, Progress},
    transport::Transport,
};

/// Bytes of proposals that may wait for the disk at once; more wait at the door.
const QUEUE_BYTES: usize = 32 << 20;

/// Whether this member leads, and who does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// This member's Raft term.
    pub term: u64,
    /// This member is the leader and has applied everything of earlier terms.
    pub is_leader: bool,
    /// The leader's member id, when known.
    pub leader: Option<u64>,
}

/// How the first start of a member goes, when nothing is on its disk yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstStart {
    /// It is the group: its only voter.
    Alone,
    /// It waits to be added by a group that exists, and gets everything from its leader.
    Join,
}

/// How a group runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of the log, which must exist.
    pub dir: PathBuf,
    /// This member's id, not 0.
    pub member: u64,
    /// What to do when there is no log yet.
    pub first_start: FirstStart,
    /// Length of a tick. A group of one does not tick.
    pub tick: Duration,
    /// Ticks between heartbeats.
    pub heartbeat_ticks: usize,
    /// Ticks without a heartbeat before an election, at least; the timeout is random in `[shortest, 2 * shortest)`, where
    /// the shortest is this or up to 5 times as much, by how slow the disk and the leader's messages are.
    pub election_ticks: usize,
    /// How long a proposal waits for a leader to exist before it is refused.
    pub leader_wait: Duration,
    /// How long a proposal or a read waits for its answer.
    pub answer_wait: Duration,
}

impl Config {
    /// A group of one in `dir`. With more members: elections after 0.7 to 1.4 s without the leader (later where the disk
    /// or the network is slow), heartbeats each 100 ms.
    pub fn new(dir: impl Into<PathBuf>, member: u64) -> Self {
        Self {
            dir: dir.into(),
            member,
            first_start: FirstStart::Alone,
            tick: Duration::from_millis(50),
            heartbeat_ticks: 2,
            election_ticks: 14,
            leader_wait: Duration::from_secs(3),
            answer_wait: Duration::from_secs(30),
        }
    }
}

/// The reason of what a full disk refuses.
pub(crate) const NO_SPACE: &str = "no space left on the disk of the log";

/// Why a call failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No leader, no quorum, or a disk too full or too slow, within the deadline. A proposal may or may not happen.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The group has been closed, or its disk failed: nothing is taken any more.
    #[error("closed: {0}")]
    Closed(String),
}

/// Why a group could not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Raft refused what it found.
    #[error("start raft")]
    Raft(#[from] raft::Error),
    /// Starting a thread.
    #[error("start a thread")]
    Thread(#[source] std::io::Error),
}

impl OpenError {
    /// Whether what was once on disk is damaged or gone, as opposed to a disk that can't be used just now.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Log(error) if error.is_damage())
    }
}

/// A change of the members: `raft`'s own type, passed through.
pub type MemberChange = ConfChangeV2;

/// Where the answer to a request goes.
pub type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// What callers of a member want from it.
pub enum Request<O> {
    /// Have an entry committed and applied.
    Propose {
        /// The entry.
        data: Bytes,
        /// What applying it here returned.
        answer: Answer<O>,
    },
    /// Know that everything acknowledged before is applied here.
    Read {
        /// Told then.
        answer: Answer<()>,
    },
    /// Change the members.
    Change {
        /// How.
        change: MemberChange,
        /// Told when it is in force here.
        answer: Answer<()>,
    },
    /// A message from another member.
    Message(Box<Message>),
    /// Hand the leadership to a member.
    Transfer {
        /// Its id.
        to: u64,
    },
    /// The last message to a member did not get through.
    Unreachable {
        /// Its id.
        member: u64,
    },
    /// The process of a member has ended.
    Ended {
        /// Its id.
        member: u64,
    },
    /// Sending a snapshot has ended.
    SnapshotSent {
        /// Who it was for.
        member: u64,
        /// Whether it is there.
        arrived: bool,
    },
    /// End.
    Close {
        /// Write a checkpoint first.
        checkpoint: bool,
        /// Told when the log is closed.
        answer: Answer<()>,
    },
    /// The last handle was dropped.
    Gone,
}

/// What a member publishes.
pub struct Shared {
    /// The group has one voter, this member, and it leads and has applied everything of earlier terms.
    pub(crate) solo: AtomicBool,
    /// Why the group is closed, once it is.
    pub(crate) closed: Mutex<Option<String>>,
    /// The log's disk is full.
    pub(crate) full: AtomicBool,
    pub(crate) applied: AtomicU64,
    pub(crate) proposals: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    /// The shortest election timeout, as measured.
    pub(crate) election_ticks: AtomicU64,
    pub(crate) health: Arc<FileHealth>,
    pub(crate) leadership: watch::Sender<Leadership>,
    pub(crate) members: watch::Sender<Members>,
    /// How far everybody is, while this member leads.
    pub(crate) progress: Mutex<Vec<Progress>>,
}

impl Shared {
    /// Of a member that has not started.
    pub fn new(health: Arc<FileHealth>) -> Self {
        Self {
            solo: AtomicBool::new(false),
            closed: Mutex::new(None),
            full: AtomicBool::new(false),
            applied: AtomicU64::new(0),
            proposals: AtomicU64::new(0),
            records: AtomicU64::new(0),
            checkpoints: AtomicU64::new(0),
            election_ticks: AtomicU64::new(0),
            health,
            leadership: watch::Sender::new(Leadership::default()),
            members: watch::Sender::default(),
            progress: Mutex::default(),
        }
    }

    /// Leadership as the member sees it now.
    pub fn leadership(&self) -> Leadership {
        self.leadership.borrow().clone()
    }

    pub(crate) fn closed(&self) -> Option<Error> {
        self.closed.lock().clone().map(Error::Closed)
    }

    /// The member has ended: it neither leads nor may answer reads alone.
    pub(crate) fn end(&self) {
        self.solo.store(false, Ordering::Release);
        self.leadership.send_replace(Leadership::default());
    }
}

/// Figures of a group since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Proposals taken.
    pub proposals: u64,
    /// Times the log reported a group of them on disk.
    pub records: u64,
    /// fsyncs of the log.
    pub syncs: u64,
    /// Bytes written to the log.
    pub written: u64,
    /// Checkpoints finished.
    pub checkpoints: u64,
    /// Index of the last applied entry.
    pub applied: u64,
    /// The shortest time without the leader after which this member asks for an election now, as measured; the real one is
    /// random between it and twice that.
    pub election_timeout: Duration,
}

/// A member of a Raft group. Cheap to clone. `O` is what a proposal's application returns.
///
/// The group ends when it is closed or the last handle is dropped; dropping writes no checkpoint.
pub struct Group<O> {
    requests: Arc<Door<O>>,
    room: Arc<Semaphore>,
    shared: Arc<Shared>,
    tick: Duration,
    leader_wait: Duration,
    answer_wait: Duration,
}

/// Where requests go in; with the last handle goes the door, and the group ends.
struct Door<O>(mpsc::Sender<Input<O>>);

impl<O> Drop for Door<O> {
    fn drop(&mut self) {
        self.0.send(Input::Request(Request::Gone)).ok();
    }
}

impl<O> Clone for Group<O> {
    fn clone(&self) -> Self {
        Self {
            requests: self.requests.clone(),
            room: self.room.clone(),
            shared: self.shared.clone(),
            tick: self.tick,
            leader_wait: self.leader_wait,
            answer_wait: self.answer_wait,
        }
    }
}

impl<O: Send + 'static> Group<O> {
    /// Opens the log, brings `machine` up to it and joins the group. Blocks on the disk.
    ///
    /// A member that is alone leads when this returns its first answer: it does not wait for an election timeout.
    ///
    /// # Errors
    /// The log can't be opened, is damaged, or contradicts the state machine's checkpoint.
    pub fn open<S, T>(config: Config, machine: S, transport: T) -> Result<Self, OpenError>
    where
        S: StateMachine<Output = O>,
        T: Transport,
    {
        let health = Arc::new(FileHealth::default());
        let log = Arc::new(Log::open(&config.dir, health.clone())?);
        let shared = Arc::new(Shared::new(health));
        let requests = driver::start(&config, log, machine, transport, shared.clone())?;
        Ok(Self {
            requests: Arc::new(Door(requests)),
            room: Arc::new(Semaphore::new(QUEUE_BYTES)),
            shared,
            tick: config.tick,
            leader_wait: config.leader_wait,
            answer_wait: config.answer_wait,
        })
    }

    /// Proposes an entry and returns what its application here returned: after a majority has it on disk.
    /// On a follower it is forwarded. Cancelling does not undo it.
    ///
    /// # Errors
    /// `Unavailable`: it may or may not happen; `Closed`: the same, and no more will be taken.
    pub async fn propose(&self, data: Bytes) -> Result<O, Error> {
        let bytes = u32::try_from(data.len().clamp(1, QUEUE_BYTES)).unwrap_or(u32::MAX);
        let work = async {
            let _room = self.room.acquire_many(bytes).await;
            self.ask(|answer| Request::Propose { data, answer }).await
        };
        self.within(work).await
    }

    /// Waits until everything acknowledged by the group before this call is applied here.
    ///
    /// # Errors
    /// `Unavailable` without a leader or quorum.
    pub async fn read_index(&self) -> Result<(), Error> {
        // Alone, everything acknowledged was applied here before it was acknowledged.
        if self.shared.solo.load(Ordering::Acquire) {
            return Ok(());
        }
        self.within(self.ask(|answer| Request::Read { answer })).await
    }

    /// Proposes a change of the members (learner first, then voter); returns when it is in force here.
    pub async fn change_members(&self, change: MemberChange) -> Result<(), Error> {
        self.within(self.ask(|answer| Request::Change { change, answer }))
            .await
    }

    /// Takes in a message from another member.
    pub fn receive(&self, message: Message) {
        self.send(Request::Message(Box::new(message)));
    }

    /// Asks for leadership to be handed to a member.
    pub fn transfer_leadership(&self, to: u64) {
        self.send(Request::Transfer { to });
    }

    /// Tells that the last message to a member did not get through.
    pub fn unreachable(&self, member: u64) {
        self.send(Request::Unreachable { member });
    }

    /// Tells that the process of a member has ended: nothing it held open is open any more, and its machine refuses
    /// connections to it. If it led, an election need not wait for a timeout.
    pub fn ended(&self, member: u64) {
        self.send(Request::Ended { member });
    }

    /// Tells how sending a snapshot to a member ended.
    pub fn snapshot_sent(&self, member: u64, arrived: bool) {
        self.send(Request::SnapshotSent { member, arrived });
    }

    /// Follows leadership as this member sees it.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.shared.leadership.subscribe()
    }

    /// Follows who the members are.
    pub fn members(&self) -> watch::Receiver<Members> {
        self.shared.members.subscribe()
    }

    /// How far everybody is (a tick old); empty on a member that does not lead.
    pub fn progress(&self) -> Vec<Progress> {
        self.shared.progress.lock().clone()
    }

    /// Why this member can't write its log, if it can't: no space, or what has closed the group.
    pub fn trouble(&self) -> Option<String> {
        let full = || self.shared.full.load(Ordering::Relaxed);
        match self.shared.closed() {
            Some(closed) => Some(closed.to_string()),
            None => full().then(|| NO_SPACE.to_owned()),
        }
    }

    /// Why the group is closed, if it is.
    pub fn closed(&self) -> Option<Error> {
        self.shared.closed()
    }

    /// Figures since opening.
    pub fn stats(&self) -> Stats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            proposals: load(&self.shared.proposals),
            records: load(&self.shared.records),
            syncs: self.shared.health.syncs(),
            written: self.shared.health.written(),
            checkpoints: load(&self.shared.checkpoints),
            applied: load(&self.shared.applied),
            election_timeout: self.tick
                * u32::try_from(load(&self.shared.election_ticks)).unwrap_or(u32::MAX),
        }
    }

    /// The health of the log's disk; tests break it here.
    #[doc(hidden)]
    pub fn disk(&self) -> &FileHealth {
        &self.shared.health
    }

    /// Stops: writes a checkpoint if asked, and returns when the log is closed. Later calls fail with `Closed`.
    pub async fn close(&self, checkpoint: bool) -> Result<(), Error> {
        if let Some(error) = self.shared.closed() {
            return Err(error);
        }
        self.ask(|answer| Request::Close { checkpoint, answer }).await
    }

    /// Tells the group something that has no answer; a closed one hears nothing.
    fn send(&self, request: Request<O>) {
        self.requests.0.send(Input::Request(request)).ok();
    }

    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request<O>) -> Result<T, Error> {
        if let Some(error) = self.shared.closed() {
            return Err(error);
        }
        let (answer, answered) = oneshot::channel();
        let gone = || {
            self.shared
                .closed()
                .unwrap_or_else(|| Error::Closed("the group has ended".into()))
        };
        self.requests
            .0
            .send(Input::Request(request(answer)))
            .map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::time::timeout(self.answer_wait, work)
            .await
            .unwrap_or_else(|_| {
                let reason = if self.shared.full.load(Ordering::Relaxed) {
                    NO_SPACE.to_owned()
                } else {
                    format!("no answer of a majority within {:?}", self.answer_wait)
                };
                Err(Error::Unavailable(reason))
            })
    }
}
