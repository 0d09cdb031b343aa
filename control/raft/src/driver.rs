//! The thread that owns the `RawNode`: takes requests, steps Raft, hands records to the writer, applies what is
//! committed and answers. It never waits for the disk, but for taking in a snapshot.

mod applying;
mod checkpoints;
mod proposals;
mod start;

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{self, RecvTimeoutError},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use raft::{
    RawNode, SnapshotStatus,
    eraftpb::{ConfState, Entry, Message},
};

use crate::{
    Transport,
    group::{Answer, Error, Leadership, Request, Shared},
    log::Record,
    machine::{Position, StateMachine},
    roster::Members,
    storage::LogStorage,
    writer::{Report, Task},
};

pub(crate) use start::start;

/// Bytes of entries taken into one step of Raft.
const STEP_BYTES: usize = 1 << 20;
/// Requests taken before Raft gets to work on them.
const STEP_REQUESTS: usize = 4096;
/// Recent entries kept in memory for followers.
const FOLLOWER_CACHE_BYTES: usize = 4 << 20;

pub(crate) struct Driver<S: StateMachine, T> {
    member: u64,
    pub(crate) raw: RawNode<LogStorage>,
    machine: S,
    transport: T,
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request<S::Output>>,
    writer: Option<mpsc::Sender<Task>>,
    writer_thread: Option<JoinHandle<()>>,
    /// `Ready`s given to the writer and not reported back.
    in_flight: VecDeque<u64>,
    applied: Position,
    /// The `Ready` with a snapshot that is not reported on disk yet.
    restored_in: Option<u64>,

    /// Tells the proposals of this run from those of earlier runs and other members.
    incarnation: u64,
    next_id: u64,
    proposed: HashMap<u64, Answer<S::Output>>,
    changes: HashMap<u64, Answer<()>>,
    /// Proposals that wait for a leader to exist, oldest first.
    unproposed: VecDeque<(Instant, Entry)>,
    leader_wait: Duration,
    /// The term that was last looked at, and the last proposal made before it began that is not answered: see
    /// `settle_doubtful`.
    term_seen: u64,
    doubtful: u64,
    leaderless_since: Option<Instant>,

    reads: Vec<Answer<()>>,
    reads_asked: Vec<(u64, Instant, Vec<Answer<()>>)>,
    reads_indexed: Vec<(u64, Vec<Answer<()>>)>,
    read_retry: Duration,

    /// Bytes of entries applied since the last checkpoint began.
    log_bytes: u64,
    checkpointing: Option<JoinHandle<()>>,
    checkpoint_after: Instant,
    /// The last checkpoint but one; with followers the log is kept from there.
    previous_checkpoint: Option<Position>,
}

/// Why the loop ends.
enum End<O> {
    Close { checkpoint: bool, answer: Answer<()> },
    Failed(String),
    Gone(std::marker::PhantomData<O>),
}

fn is_alone(members: &ConfState, member: u64) -> bool {
    members.voters == [member]
        && members.learners.is_empty()
        && members.voters_outgoing.is_empty()
        && members.learners_next.is_empty()
}

impl<S: StateMachine, T: Transport> Driver<S, T> {
    fn run(&mut self, inbox: &mpsc::Receiver<Request<S::Output>>, tick: Duration) -> End<S::Output> {
        let mut next_tick = Instant::now() + tick;
        self.tell_members();
        loop {
            if let Some(end) = self.progress() {
                return end;
            }
            let first = if self.alone() {
                inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                inbox.recv_timeout(next_tick.saturating_duration_since(Instant::now()))
            };
            match first {
                Ok(request) => {
                    let (mut bytes, mut taken) = (0, 0);
                    let mut next = Some(request);
                    while let Some(request) = next.take() {
                        if let Request::Propose { data, .. } = &request {
                            bytes += data.len();
                        }
                        if let Some(end) = self.take(request) {
                            return end;
                        }
                        taken += 1;
                        if bytes < STEP_BYTES && taken < STEP_REQUESTS {
                            next = inbox.try_recv().ok();
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return End::Gone(std::marker::PhantomData),
            }
            let now = Instant::now();
            if now >= next_tick {
                // A thread that was held up ticks once, not once per missed tick: being late is no reason to
                // think that the leader is gone.
                next_tick = now + tick;
                self.tick(now);
            }
        }
    }

    fn alone(&self) -> bool {
        is_alone(self.raw.store().members(), self.member)
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
        self.transport.members(&others);
    }

    fn take(&mut self, request: Request<S::Output>) -> Option<End<S::Output>> {
        match request {
            Request::Propose { data, answer } => {
                self.shared.proposals.fetch_add(1, Ordering::Relaxed);
                let (id, context) = self.id();
                self.proposed.insert(id, answer);
                let entry = Entry {
                    data,
                    context,
                    ..Default::default()
                };
                self.unproposed.push_back((Instant::now(), entry));
            }
            Request::Read { answer } => self.reads.push(answer),
            Request::Change { change, answer } => self.change(&change, answer),
            Request::Message(message) => {
                if let Err(error) = self.raw.step(*message) {
                    tracing::debug!(%error, "message of another member not taken");
                }
            }
            Request::Transfer { to } => self.raw.transfer_leader(to),
            Request::Unreachable { member } => self.raw.report_unreachable(member),
            Request::SnapshotSent { member, arrived } => {
                let status = if arrived {
                    SnapshotStatus::Finish
                } else {
                    SnapshotStatus::Failure
                };
                self.raw.report_snapshot(member, status);
            }
            Request::Close { checkpoint, answer } => return Some(End::Close { checkpoint, answer }),
            Request::Gone => return Some(End::Gone(std::marker::PhantomData)),
            Request::Report(Report::Persisted { number, messages }) => {
                while self.in_flight.front().is_some_and(|&first| first <= number) {
                    self.in_flight.pop_front();
                }
                self.shared.records.fetch_add(1, Ordering::Relaxed);
                self.raw.on_persist_ready(number);
                self.note_restored(number);
                self.send(messages);
            }
            Request::Report(Report::Full(full)) => {
                if full {
                    tracing::error!("no space left on the disk of the log; writes wait");
                } else {
                    tracing::info!("the disk of the log has space again");
                }
                self.shared.full.store(full, Ordering::Relaxed);
            }
            Request::Report(Report::Failed(error)) => return Some(End::Failed(chain(&error))),
            Request::CheckpointDone { at, bytes, result } => self.checkpoint_done(at, bytes, result),
            Request::SnapshotMade { at, result } => self.snapshot_made(at, result),
        }
        None
    }

    /// Does everything that can be done without a new request.
    fn progress(&mut self) -> Option<End<S::Output>> {
        self.propose();
        self.ask_reads();
        while self.raw.has_ready() {
            if let Err(reason) = self.ready() {
                return Some(End::Failed(reason));
            }
            self.propose();
            self.ask_reads();
        }
        let persisted = self.raw.raft.raft_log.persisted;
        let keep = if self.alone() { 0 } else { FOLLOWER_CACHE_BYTES };
        let upto = self.applied.index.min(persisted);
        self.raw.mut_store().evict(upto, keep);
        self.begin_checkpoint();
        self.begin_snapshot();
        None
    }

    fn tick(&mut self, now: Instant) {
        self.raw.tick();
        while self
            .unproposed
            .front()
            .is_some_and(|(since, _)| now - *since > self.leader_wait)
        {
            let Some((_, entry)) = self.unproposed.pop_front() else {
                break;
            };
            if let Some(answer) = self
                .own_id(&entry.context)
                .and_then(|id| self.proposed.remove(&id))
            {
                answer
                    .send(Err(Error::Unavailable("the group has no leader".into())))
                    .ok();
            }
        }
        self.give_up_without_leader(now);
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
        self.proposed.retain(|_, answer| !answer.is_closed());
        self.changes.retain(|_, answer| !answer.is_closed());
    }

    fn send(&mut self, messages: Vec<Message>) {
        for message in messages {
            self.transport.send(message);
        }
    }

    fn ready(&mut self) -> Result<(), String> {
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
        let messages = ready.take_persisted_messages();
        let committed = ready.take_committed_entries();
        let snapshot = ready.snapshot().clone();
        let entries = ready.take_entries();
        if let Some(hard) = ready.hs() {
            self.raw.mut_store().set_hard(hard.clone());
        }
        let restored = !snapshot.is_empty();
        if restored {
            self.restore(&snapshot, number)?;
        }
        self.raw.mut_store().append(&entries);
        // A commit index alone is not written: Raft finds it again.
        let record = if ready.must_sync() {
            Record {
                entries,
                hard: Some(self.raw.store().hard().clone()),
            }
        } else {
            Record::default()
        };
        let must_sync = ready.must_sync();
        self.raw.advance_append_async(ready);
        if must_sync || !self.in_flight.is_empty() && !messages.is_empty() {
            self.in_flight.push_back(number);
            self.write(Task::Write {
                number,
                record,
                messages,
            })?;
        } else if self.in_flight.is_empty() {
            self.raw.on_persist_ready(number);
            self.send(messages);
        }
        if restored {
            self.restored_in = Some(number);
            self.note_restored(if self.in_flight.is_empty() { number } else { 0 });
        }
        self.apply(committed)
    }

    /// Raft may hear that a snapshot is applied only after it heard that the snapshot's `Ready` is on disk.
    fn note_restored(&mut self, persisted: u64) {
        if self.restored_in.is_some_and(|number| number <= persisted) {
            self.restored_in = None;
            self.raw.advance_apply_to(self.applied.index);
        }
    }

    fn write(&self, task: Task) -> Result<(), String> {
        let writer = self.writer.as_ref().ok_or("the log is closed")?;
        writer
            .send(task)
            .map_err(|_| "the thread that writes the log has ended".into())
    }

    /// Ends: answers everybody, writes the last checkpoint if asked, closes the log.
    fn finish(mut self, end: End<S::Output>, inbox: mpsc::Receiver<Request<S::Output>>) {
        let (reason, last) = match end {
            End::Close { checkpoint, answer } => {
                ("the store was closed".to_owned(), Some((checkpoint, answer)))
            }
            End::Failed(reason) => {
                tracing::error!(reason, "the log failed; no more writes are taken");
                (reason, None)
            }
            End::Gone(_) => ("the store was dropped".to_owned(), None),
        };
        *self.shared.closed.lock() = Some(reason.clone());
        self.shared.solo.store(false, Ordering::Release);
        self.shared.leadership.send_replace(Leadership::default());
        for (_, answer) in self.proposed.drain() {
            answer.send(Err(Error::Closed(reason.clone()))).ok();
        }
        if let Some(thread) = self.checkpointing.take() {
            thread.join().ok();
        }
        let mut result = Ok(());
        if let Some((true, _)) = last {
            let job = self.machine.checkpoint(self.here());
            result = job().map_err(|error| Error::Closed(format!("the last checkpoint failed: {error}")));
        }
        self.machine.closed(&reason);
        // The remaining waiters see their senders go, and then the reason. The log closes with `self`.
        drop(inbox);
        drop(self);
        if let Some((_, answer)) = last {
            answer.send(result).ok();
        }
    }
}

impl<S: StateMachine, T> Drop for Driver<S, T> {
    /// The log is closed when the machine, which may hold a lock on the directory, goes; also after a panic.
    fn drop(&mut self) {
        self.writer = None;
        if let Some(thread) = self.writer_thread.take() {
            thread.join().ok();
        }
    }
}

/// An error with its causes, for a reason that outlives it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
