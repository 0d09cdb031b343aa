//! The core of a member: Raft, what is proposed and read, what is applied and answered, as a function of what comes in.
//!
//! It has no threads, no clock, no randomness of its own and does not touch the disk but to read old entries:
//! ```text
//!   inputs   requests, messages, ticks, disk completions, with the time   ──►  Core::take, Core::tick, Core::progress
//!   outputs  messages, log records, jobs, in order                        ◄──  Core::outputs
//! ```
//! The same inputs give the same outputs. `driver.rs` runs it on threads with the real disk and clock; the
//! simulation of the store runs the very same core with simulated ones.

pub(crate) mod applying;
mod checkpoints;
mod full;
mod hearing;
mod orphan;
mod pace;
mod proposals;
mod start;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use hearing::Hearing;
use orphan::Orphan;
use pace::Pace;
use raft::{
    RawNode, SnapshotStatus, StateRole,
    eraftpb::{ConfState, Entry, Message, MessageType},
};
use rand::{RngExt, rngs::StdRng};

pub use crate::{
    causes::chain,
    disk::{LogDisk, LogError, Record},
    log::{encode_members, members_of_one},
    writer::{Report, Task, gather},
};
use crate::{
    group::{Answer, Error, NO_SPACE, Request, Shared},
    machine::{Job, Position, StateMachine},
    roster::Members,
    storage::LogStorage,
};

/// Bytes of entries taken into one step of Raft.
const STEP_BYTES: usize = 1 << 20;
/// Recent entries kept in memory for followers.
const FOLLOWER_CACHE_BYTES: usize = 4 << 20;

/// Time since an arbitrary moment before the core was made; never goes back.
pub type Now = Duration;

/// What the core wants done. Nothing is waited for; what has a result is told to the core when it is there.
pub enum Output {
    /// Send a message to another member; it may get lost.
    Send(Message),
    /// The members have changed (ids of voters and learners, without this one).
    Members(Vec<u64>),
    /// Write to the log, in this order; then [`Input::Report`].
    Log(Task),
    /// Run this; then [`Input::CheckpointDone`].
    Checkpoint(Job<()>),
    /// Run this; then [`Input::SnapshotMade`].
    Snapshot(Job<Vec<u8>>),
}

/// What happens to a member.
pub enum Input<O> {
    /// A caller wants something.
    Request(Request<O>),
    /// The log's disk has done something.
    Report(Report),
    /// The checkpoint under way has ended.
    CheckpointDone(std::io::Result<()>),
    /// The snapshot under way has ended.
    SnapshotMade(std::io::Result<Vec<u8>>),
}

/// Why a core has come to its end.
#[derive(Debug)]
pub enum End {
    /// Asked to, by [`Request::Close`].
    Close {
        /// A last checkpoint is wanted.
        checkpoint: bool,
        /// Who waits for it.
        answer: Answer<()>,
    },
    /// The disk failed, or what is committed can't be applied.
    Failed(String),
    /// The last handle was dropped.
    Gone,
}

struct Proposed<O> {
    /// The term it was proposed in.
    term: u64,
    answer: Answer<O>,
}

struct Checkpointing {
    at: Position,
    /// Bytes of log that it covers.
    bytes: u64,
}

/// One member, without threads. See the module.
pub struct Core<S: StateMachine, D: LogDisk> {
    member: u64,
    pub(crate) raw: RawNode<LogStorage<D>>,
    machine: S,
    shared: Arc<Shared>,
    outputs: Vec<Output>,
    /// `Ready`s that are to be written and not reported on disk, and since when.
    in_flight: VecDeque<(u64, Now)>,
    applied: Position,
    /// The `Ready` with a snapshot that is not on disk yet, and where it stands.
    restoring: Option<(u64, Position)>,

    random: StdRng,
    /// Term, role and leader that the election timeout was drawn for.
    timeout_for: (u64, StateRole, u64),
    /// Where it lies between the shortest and twice that, in parts of 2³².
    timeout_drawn: u32,
    pace: Pace,
    hearing: Hearing,
    /// The process of the leader has ended, and there is no other one yet.
    orphan: Option<Orphan>,

    /// Tells the proposals of this run from those of earlier runs and other members.
    incarnation: u64,
    next_id: u64,
    proposed: BTreeMap<u64, Proposed<S::Output>>,
    changes: BTreeMap<u64, Proposed<()>>,
    /// Proposals that wait for a leader to exist, oldest first.
    unproposed: VecDeque<Entry>,
    leader_wait: Duration,
    leaderless_since: Option<Now>,

    reads: Vec<Answer<()>>,
    reads_asked: Vec<(u64, Now, Vec<Answer<()>>)>,
    reads_indexed: Vec<(u64, Vec<Answer<()>>)>,
    read_retry: Duration,

    /// Bytes of entries applied since the last checkpoint began.
    log_bytes: u64,
    checkpointing: Option<Checkpointing>,
    checkpoint_after: Now,
    snapshotting: Option<Position>,
    /// The last checkpoint but one; with followers the log is kept from there.
    previous_checkpoint: Option<Position>,
}

fn is_alone(members: &ConfState, member: u64) -> bool {
    members.voters == [member]
        && members.learners.is_empty()
        && members.voters_outgoing.is_empty()
        && members.learners_next.is_empty()
}

impl<S: StateMachine, D: LogDisk> Core<S, D> {
    /// Whether this member is the whole group; then it needs no ticks.
    pub fn alone(&self) -> bool {
        is_alone(self.raw.store().members(), self.member)
    }

    /// Who the members are, as far as this one has applied.
    pub fn members(&self) -> &ConfState {
        self.raw.store().members()
    }

    /// What it is applied to.
    pub fn machine(&self) -> &S {
        &self.machine
    }

    /// What is to be done, in order, since the last call.
    pub fn outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// Takes something in. [`progress`](Self::progress) must follow, once for any number of them.
    ///
    /// # Errors
    /// It was the last one.
    pub fn take(&mut self, now: Now, input: Input<S::Output>) -> Result<(), End> {
        match input {
            Input::Request(request) => self.request(now, request)?,
            Input::Report(report) => self.report(now, report)?,
            Input::CheckpointDone(result) => self.checkpoint_done(now, result),
            Input::SnapshotMade(result) => self.snapshot_made(result),
        }
        Ok(())
    }

    fn request(&mut self, now: Now, request: Request<S::Output>) -> Result<(), End> {
        match request {
            Request::Propose { data, answer } => {
                self.shared.proposals.fetch_add(1, Ordering::Relaxed);
                if self.shared.full.load(Ordering::Relaxed) {
                    answer.send(Err(Error::Unavailable(NO_SPACE.into()))).ok();
                    return Ok(());
                }
                let (id, context) = self.id();
                // No term yet: it is not lost before it is proposed.
                self.proposed.insert(
                    id,
                    Proposed {
                        term: u64::MAX,
                        answer,
                    },
                );
                let entry = Entry {
                    data,
                    context,
                    ..Default::default()
                };
                self.unproposed.push_back(entry);
            }
            Request::Read { answer } => self.reads.push(answer),
            Request::Change { change, answer } => self.change(&change, answer),
            // While a snapshot is taken in, what is committed and not applied is not in the log: raft 0.7 panics if it is
            // to campaign then. It takes no part in elections until it is done.
            Request::Message(message)
                if self.restoring.is_some() && message.get_msg_type() == MessageType::MsgTimeoutNow => {}
            Request::Message(message) => {
                let (from, term) = (message.from, message.term);
                self.note_hearing(&message);
                if let Err(error) = self.raw.step(*message) {
                    tracing::debug!(%error, "message of another member not taken");
                }
                let raft = &self.raw.raft;
                if (from, term) == (raft.leader_id, raft.term) {
                    self.pace.heard(term);
                }
                self.draw_timeout(now);
            }
            Request::Transfer { to } => self.raw.transfer_leader(to),
            Request::Unreachable { member } => self.raw.report_unreachable(member),
            Request::Ended { member } => self.ended(member),
            Request::SnapshotSent { member, arrived } => {
                let status = if arrived {
                    SnapshotStatus::Finish
                } else {
                    SnapshotStatus::Failure
                };
                self.raw.report_snapshot(member, status);
            }
            Request::Close { checkpoint, answer } => return Err(End::Close { checkpoint, answer }),
            Request::Gone => return Err(End::Gone),
        }
        Ok(())
    }

    fn report(&mut self, now: Now, report: Report) -> Result<(), End> {
        match report {
            Report::Persisted { number, messages } => {
                // All of a group wait for the same fsync: the first one has waited longest.
                let mut written = None;
                while let Some((_, since)) = self.in_flight.pop_front_if(|(first, _)| *first <= number) {
                    written = written.or(Some(since));
                }
                // A snapshot says nothing of how long votes take.
                if let Some(since) = written
                    && self.restoring.is_none()
                {
                    self.pace.wrote(now.saturating_sub(since));
                }
                self.shared.records.fetch_add(1, Ordering::Relaxed);
                self.raw.on_persist_ready(number);
                self.install(number);
                self.send(messages);
            }
            Report::Full(full) => {
                if full {
                    tracing::error!("no space left on the disk of the log; writes are refused");
                    self.give_up_on_a_full_disk();
                } else {
                    tracing::info!("the disk of the log has space again");
                }
                self.shared.full.store(full, Ordering::Relaxed);
            }
            Report::Failed(error) => return Err(End::Failed(chain(&error))),
        }
        Ok(())
    }

    /// Does everything that can be done without a new input.
    ///
    /// # Errors
    /// What is committed can't be applied: the end.
    pub fn progress(&mut self, now: Now) -> Result<(), End> {
        self.refuse_unheard();
        self.propose();
        self.ask_reads(now);
        while self.raw.has_ready() {
            self.ready(now).map_err(End::Failed)?;
            self.propose();
            self.ask_reads(now);
        }
        self.draw_timeout(now);
        let persisted = self.raw.raft.raft_log.persisted;
        let keep = if self.alone() { 0 } else { FOLLOWER_CACHE_BYTES };
        let upto = self.applied.index.min(persisted);
        self.raw.mut_store().evict(upto, keep);
        self.begin_checkpoint(now);
        self.begin_snapshot();
        Ok(())
    }

    /// A tick of the clock. [`progress`](Self::progress) must follow.
    pub fn tick(&mut self, now: Now) {
        if self.restoring.is_none() {
            self.raw.tick();
            self.pace.tick();
            self.tick_hearing();
            self.succeed();
            self.draw_timeout(now);
        }
        self.give_up_without_leader(now);
        self.hand_over_from_a_full_disk();
        *self.shared.progress.lock() = self.progress_of_members();
        // Raft drops a read when leadership is unclear; ask again.
        let retry = self.read_retry;
        for (_, _, answers) in self
            .reads_asked
            .extract_if(.., |(_, since, _)| now - *since > retry)
        {
            self.reads
                .extend(answers.into_iter().filter(|answer| !answer.is_closed()));
        }
        self.reads.retain(|answer| !answer.is_closed());
        self.proposed.retain(|_, proposed| !proposed.answer.is_closed());
        self.changes.retain(|_, change| !change.answer.is_closed());
    }

    /// Raft draws election timeouts from the thread's randomness; the core's own come from its seed and what it has
    /// measured. What is measured meanwhile counts at once, in the place that was drawn.
    fn draw_timeout(&mut self, now: Now) {
        let raft = &mut self.raw.raft;
        let what_for = (raft.term, raft.state, raft.leader_id);
        if self.timeout_for != what_for {
            self.timeout_for = what_for;
            self.timeout_drawn = self.random.random();
        }
        let oldest = self.in_flight.front();
        let waiting = oldest.map_or(Duration::ZERO, |(_, since)| now.saturating_sub(*since));
        let shortest = self.pace.shortest(waiting);
        let more = (shortest as u64 * u64::from(self.timeout_drawn)) >> 32;
        raft.set_randomized_election_timeout(shortest + more as usize);
        self.shared
            .election_ticks
            .store(shortest as u64, Ordering::Relaxed);
    }

    fn send(&mut self, messages: Vec<Message>) {
        self.outputs.extend(messages.into_iter().map(Output::Send));
    }

    fn tell_members(&mut self) {
        let members = self.raw.store().members();
        let mut others: Vec<u64> = [&members.voters, &members.learners, &members.voters_outgoing]
            .into_iter()
            .flatten()
            .copied()
            .filter(|&id| id != self.member)
            .collect();
        others.sort_unstable();
        others.dedup();
        self.shared.members.send_replace(Members::from(members));
        self.outputs.push(Output::Members(others));
    }

    fn ready(&mut self, now: Now) -> Result<(), String> {
        let mut ready = self.raw.ready();
        self.send(ready.take_messages());
        for state in ready.take_read_states() {
            if let Some(id) = self.own_id(&state.request_ctx)
                && let Some(at) = self.reads_asked.iter().position(|(asked, ..)| *asked == id)
            {
                let (_, _, answers) = self.reads_asked.swap_remove(at);
                self.reads_indexed.push((state.index, answers));
            }
        }
        let number = ready.number();
        // That a heartbeat was heard promises nothing that must be on disk. If it waited, a leader would step down, and its
        // reads would wait, while the disks of a majority are slow.
        let (heard, mut messages): (Vec<_>, Vec<_>) = ready
            .take_persisted_messages()
            .into_iter()
            .partition(|message| message.get_msg_type() == MessageType::MsgHeartbeatResponse);
        self.send(heard);
        let committed = ready.take_committed_entries();
        let snapshot = ready.snapshot().clone();
        let entries = ready.take_entries();
        if let Some(hard) = ready.hs() {
            self.raw.mut_store().set_hard(hard.clone());
        }
        let restore = !snapshot.is_empty();
        if restore {
            // With entries beside it, the `Ready` is on disk, and its messages may go, when those are.
            let (last, with) = if entries.is_empty() {
                (number, std::mem::take(&mut messages))
            } else {
                (number - 1, Vec::new())
            };
            self.restore(now, &snapshot, number, last, with);
        }
        self.raw.mut_store().append(&entries);
        // A commit index alone is not written: Raft finds it again.
        let must_write = if restore {
            !entries.is_empty()
        } else {
            ready.must_sync()
        };
        let hard = must_write.then(|| self.raw.store().hard().clone());
        self.raw.advance_append_async(ready);
        if must_write || !self.in_flight.is_empty() && !messages.is_empty() {
            self.in_flight.push_back((number, now));
            self.outputs.push(Output::Log(Task::Write {
                number,
                record: Record { entries, hard },
                messages,
            }));
        } else if self.in_flight.is_empty() {
            self.raw.on_persist_ready(number);
            self.send(messages);
        }
        self.apply(committed)
    }

    /// Ends: answers everybody and says why nothing more will come. `checkpoint` asks for a last checkpoint; the
    /// checkpoint under way must have ended before.
    ///
    /// # Errors
    /// The last checkpoint failed; nothing is lost, the log is kept.
    pub fn end(&mut self, reason: &str, checkpoint: bool) -> Result<(), Error> {
        *self.shared.closed.lock() = Some(reason.to_owned());
        self.shared.end();
        for (_, proposed) in std::mem::take(&mut self.proposed) {
            proposed.answer.send(Err(Error::Closed(reason.to_owned()))).ok();
        }
        // What a snapshot under way has put in its place is as new as the present state, or newer.
        let mut result = Ok(());
        if checkpoint && self.restoring.is_none() {
            let job = self.machine.checkpoint(self.here());
            result = job().map_err(|error| Error::Closed(format!("the last checkpoint failed: {error}")));
        }
        self.machine.closed(reason);
        result
    }
}
