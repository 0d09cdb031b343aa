//! The thread that owns the `RawNode`: takes requests, steps Raft, hands records to the writer, applies what is
//! committed and answers. It never waits for the disk, but for taking in a snapshot.

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

use bytes::{BufMut, Bytes, BytesMut};
use protobuf::Message as _;
use raft::{
    RawNode, SnapshotStatus, StateRole,
    eraftpb::{
        ConfChange, ConfChangeV2, ConfState, Entry, EntryType, HardState, Message, MessageType, Snapshot,
    },
};

use crate::{
    Transport,
    group::{Answer, Config, Error, FirstStart, Leadership, OpenError, Request, Shared},
    log::{Log, LogError, Record, decode_members, encode_members},
    logger::logger,
    machine::{Job, Position, StateMachine},
    storage::{LogStorage, SnapshotSlot, Start, recover},
    writer::{self, Report, Task},
};

/// Bytes of entries taken into one step of Raft.
const STEP_BYTES: usize = 1 << 20;
/// Recent entries kept in memory for followers.
const FOLLOWER_CACHE_BYTES: usize = 4 << 20;
/// How long to let a failed checkpoint be.
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(10);

struct Driver<S: StateMachine, T> {
    member: u64,
    raw: RawNode<LogStorage>,
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

/// Starts the threads "raft" and "raft-log".
pub(crate) fn start<S: StateMachine, T: Transport>(
    config: &Config,
    log: Arc<Log>,
    machine: S,
    transport: T,
    shared: Arc<Shared>,
) -> Result<mpsc::Sender<Request<S::Output>>, OpenError> {
    let checkpoint = machine.restored();
    let Start {
        base,
        members,
        hard,
        applied,
    } = match recover(&log, checkpoint)? {
        Some(start) => start,
        None => first_start(config, &log)?,
    };
    let alone = is_alone(&members, config.member);
    let storage = LogStorage::load(log.clone(), base, members, hard);
    let mut raw = RawNode::new(
        &raft::Config {
            id: config.member,
            election_tick: config.election_ticks,
            heartbeat_tick: config.heartbeat_ticks,
            applied: applied.index,
            max_size_per_msg: STEP_BYTES as u64,
            max_inflight_msgs: 256,
            check_quorum: true,
            pre_vote: true,
            batch_append: true,
            max_committed_size_per_ready: 8 << 20,
            ..Default::default()
        },
        storage,
        &logger(),
    )?;
    if alone {
        raw.campaign()?;
    }

    let (requests, inbox) = mpsc::channel();
    let (writer, tasks) = mpsc::channel();
    let reports = requests.clone();
    let writer_thread = std::thread::Builder::new()
        .name("raft-log".into())
        .spawn(move || {
            // When the raft thread is gone nobody needs the report.
            writer::run(&log, &tasks, |report| drop(reports.send(Request::Report(report))));
        })
        .map_err(OpenError::Thread)?;
    let mut driver = Driver {
        member: config.member,
        raw,
        machine,
        transport,
        shared,
        requests: requests.clone(),
        writer: Some(writer),
        writer_thread: Some(writer_thread),
        in_flight: VecDeque::new(),
        applied,
        restored_in: None,
        incarnation: rand::random(),
        next_id: 0,
        proposed: HashMap::new(),
        changes: HashMap::new(),
        unproposed: VecDeque::new(),
        leader_wait: config.leader_wait,
        reads: Vec::new(),
        reads_asked: Vec::new(),
        reads_indexed: Vec::new(),
        read_retry: config.tick * config.election_ticks as u32 / 2,
        log_bytes: 0,
        checkpointing: None,
        checkpoint_after: Instant::now(),
        previous_checkpoint: None,
    };
    let tick = config.tick;
    std::thread::Builder::new()
        .name("raft".into())
        .spawn(move || {
            let _mark = MarkClosed(driver.shared.clone());
            let end = driver.run(&inbox, tick);
            driver.finish(end, inbox);
        })
        .map_err(OpenError::Thread)?;
    Ok(requests)
}

/// A panic while applying must not leave a group that looks alive.
struct MarkClosed(Arc<Shared>);

impl Drop for MarkClosed {
    fn drop(&mut self) {
        self.0.solo.store(false, Ordering::Release);
        self.0
            .closed
            .lock()
            .get_or_insert_with(|| "applying an entry failed; see the log".into());
        self.0.leadership.send_replace(Leadership::default());
    }
}

/// Writes what a new member starts from. The group of one begins after an imaginary entry 1 of term 1, so that a
/// member that joins later, whose log is empty, always learns the members from a snapshot.
fn first_start(config: &Config, log: &Log) -> Result<Start, LogError> {
    let (mut members, mut hard) = (ConfState::default(), HardState::default());
    let mut base = Position::default();
    if config.first_start == FirstStart::Alone {
        members.voters = vec![config.member];
        (base.index, base.term) = (1, 1);
        (hard.term, hard.commit) = (1, 1);
    }
    base.members = encode_members(&members);
    log.reset(&base, &hard)?;
    Ok(Start {
        base: base.clone(),
        members,
        hard,
        applied: base,
    })
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
                    let mut bytes = 0;
                    let mut next = Some(request);
                    while let Some(request) = next.take() {
                        if let Request::Propose { data, .. } = &request {
                            bytes += data.len();
                        }
                        if let Some(end) = self.take(request) {
                            return end;
                        }
                        if bytes < STEP_BYTES {
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

    fn id(&mut self) -> (u64, Bytes) {
        self.next_id += 1;
        (self.next_id, self.context(self.next_id))
    }

    fn context(&self, id: u64) -> Bytes {
        let mut context = BytesMut::with_capacity(16);
        context.put_u64_le(self.incarnation);
        context.put_u64_le(id);
        context.freeze()
    }

    /// The id in a context, if this run of this member made it.
    fn own_id(&self, context: &[u8]) -> Option<u64> {
        let (incarnation, id) = context.split_first_chunk::<8>()?;
        (u64::from_le_bytes(*incarnation) == self.incarnation)
            .then(|| id.try_into().ok().map(u64::from_le_bytes))
            .flatten()
    }

    fn propose(&mut self) {
        while !self.unproposed.is_empty() {
            let raft = &self.raw.raft;
            if raft.leader_id == raft::INVALID_ID || raft.lead_transferee.is_some() {
                return;
            }
            let mut message = Message {
                from: self.member,
                ..Default::default()
            };
            message.set_msg_type(MessageType::MsgPropose);
            let mut bytes = 0;
            let mut ids = Vec::new();
            while bytes < STEP_BYTES
                && let Some((_, entry)) = self.unproposed.pop_front()
            {
                bytes += entry.data.len();
                ids.extend(self.own_id(&entry.context));
                message.entries.push(entry);
            }
            if let Err(error) = self.raw.step(message) {
                for id in ids {
                    if let Some(answer) = self.proposed.remove(&id) {
                        answer
                            .send(Err(Error::Unavailable(format!("not proposed: {error}"))))
                            .ok();
                    }
                }
            }
        }
    }

    fn change(&mut self, change: &ConfChangeV2, answer: Answer<()>) {
        if self.raw.raft.has_pending_conf() {
            answer
                .send(Err(Error::Unavailable(
                    "another change of the members is under way".into(),
                )))
                .ok();
            return;
        }
        let (id, context) = self.id();
        match self.raw.propose_conf_change(context.to_vec(), change.clone()) {
            Ok(()) => drop(self.changes.insert(id, answer)),
            Err(error) => drop(answer.send(Err(Error::Unavailable(format!("not proposed: {error}"))))),
        }
    }

    fn ask_reads(&mut self) {
        if self.reads.is_empty() {
            return;
        }
        if self.alone() {
            // Needs no round: nobody else can have acknowledged anything.
            if self.leadership().is_leader {
                for answer in self.reads.drain(..) {
                    answer.send(Ok(())).ok();
                }
            }
            return;
        }
        let (id, context) = self.id();
        self.raw.read_index(context.to_vec());
        self.reads_asked
            .push((id, Instant::now(), std::mem::take(&mut self.reads)));
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

    fn apply(&mut self, entries: Vec<Entry>) -> Result<(), String> {
        let mut answers = Vec::new();
        let mut changed = Vec::new();
        let any = !entries.is_empty();
        for entry in entries {
            (self.applied.index, self.applied.term) = (entry.index, entry.term);
            self.log_bytes += (entry.data.len() + entry.context.len() + 64) as u64;
            let id = self.own_id(&entry.context);
            match entry.get_entry_type() {
                // Raft's own entry at the start of a term.
                EntryType::EntryNormal if entry.data.is_empty() => {}
                EntryType::EntryNormal => {
                    let output = self.machine.apply(entry.index, entry.term, entry.data);
                    if let Some(answer) = id.and_then(|id| self.proposed.remove(&id)) {
                        answers.push((answer, output));
                    }
                }
                EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => {
                    self.apply_change(&entry)?;
                    changed.extend(id.and_then(|id| self.changes.remove(&id)));
                }
            }
        }
        if any {
            self.machine.end_batch();
            self.shared.applied.store(self.applied.index, Ordering::Release);
            self.raw.advance_apply_to(self.applied.index);
        }
        self.publish_leadership();
        for (answer, output) in answers {
            answer.send(Ok(output)).ok();
        }
        for answer in changed {
            answer.send(Ok(())).ok();
        }
        let applied = self.applied.index;
        for (_, answers) in self.reads_indexed.extract_if(.., |(index, _)| *index <= applied) {
            for answer in answers {
                answer.send(Ok(())).ok();
            }
        }
        Ok(())
    }

    fn apply_change(&mut self, entry: &Entry) -> Result<(), String> {
        // No read may skip the round any more once another member could lead.
        self.shared.solo.store(false, Ordering::Release);
        let damaged = |error: protobuf::ProtobufError| format!("entry {}: {error}", entry.index);
        let members = if entry.get_entry_type() == EntryType::EntryConfChange {
            let mut change = ConfChange::default();
            change.merge_from_bytes(&entry.data).map_err(damaged)?;
            self.raw.apply_conf_change(&change)
        } else {
            let mut change = ConfChangeV2::default();
            change.merge_from_bytes(&entry.data).map_err(damaged)?;
            self.raw.apply_conf_change(&change)
        };
        match members {
            Ok(members) => {
                tracing::info!(voters = ?members.voters, learners = ?members.learners, "members changed");
                self.raw.mut_store().set_members(members);
                self.tell_members();
            }
            // Every member refuses it alike: the change has no effect.
            Err(error) => tracing::warn!(%error, "change of the members refused"),
        }
        Ok(())
    }

    fn leadership(&self) -> Leadership {
        let raft = &self.raw.raft;
        Leadership {
            term: raft.term,
            is_leader: raft.state == StateRole::Leader && self.applied.term == raft.term,
            leader: (raft.leader_id != raft::INVALID_ID).then_some(raft.leader_id),
        }
    }

    fn publish_leadership(&mut self) {
        let now = self.leadership();
        self.shared
            .solo
            .store(now.is_leader && self.alone(), Ordering::Release);
        self.shared.leadership.send_if_modified(|last| {
            let changed = *last != now;
            if changed {
                tracing::info!(
                    term = now.term,
                    leader = now.leader,
                    is_leader = now.is_leader,
                    "leadership"
                );
                *last = now.clone();
            }
            changed
        });
    }

    /// Replaces the state by another member's snapshot.
    fn restore(&mut self, snapshot: &Snapshot, number: u64) -> Result<(), String> {
        let meta = snapshot.get_metadata();
        let members = meta.get_conf_state().clone();
        let at = Position {
            index: meta.index,
            term: meta.term,
            members: encode_members(&members),
        };
        tracing::info!(
            index = at.index,
            bytes = snapshot.data.len(),
            "taking in a snapshot"
        );
        self.machine
            .restore(at.clone(), snapshot.data.clone())
            .map_err(|error| format!("take in a snapshot: {error}"))?;
        self.machine.end_batch();
        // The state is durable; now the log may begin after it. In order with what the writer still has.
        let (done, wait) = mpsc::channel();
        let hard = self.raw.store().hard().clone();
        self.write(Task::Reset {
            base: at.clone(),
            hard,
            done,
        })?;
        wait.recv()
            .map_err(|_| format!("the log could not begin after snapshot {} ({number})", at.index))?;
        self.raw.mut_store().reset(at.clone(), members);
        self.applied = at;
        self.shared.applied.store(self.applied.index, Ordering::Release);
        self.previous_checkpoint = None;
        self.log_bytes = 0;
        self.tell_members();
        Ok(())
    }

    fn here(&self) -> Position {
        Position {
            members: encode_members(self.raw.store().members()),
            ..self.applied.clone()
        }
    }

    fn begin_checkpoint(&mut self) {
        if self.checkpointing.is_some()
            || !self.machine.checkpoint_due(self.log_bytes)
            || Instant::now() < self.checkpoint_after
        {
            return;
        }
        let at = self.here();
        let job = self.machine.checkpoint(at.clone());
        let bytes = self.log_bytes;
        let done = move |result| Request::CheckpointDone { at, bytes, result };
        self.checkpointing = self.off_thread("checkpoint", job, done);
    }

    fn off_thread<V: 'static>(
        &self,
        name: &str,
        job: Job<V>,
        done: impl FnOnce(std::io::Result<V>) -> Request<S::Output> + Send + 'static,
    ) -> Option<JoinHandle<()>> {
        let requests = self.requests.clone();
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || drop(requests.send(done(job()))))
            .inspect_err(|error| tracing::error!(%error, name, "could not start a thread"))
            .ok()
    }

    fn checkpoint_done(&mut self, at: Position, bytes: u64, result: std::io::Result<()>) {
        self.checkpointing = None;
        if let Err(error) = result {
            tracing::error!(%error, "checkpoint failed; the log is kept and it is tried again");
            self.checkpoint_after = Instant::now() + CHECKPOINT_PAUSE;
            return;
        }
        self.shared.checkpoints.fetch_add(1, Ordering::Relaxed);
        self.log_bytes = self.log_bytes.saturating_sub(bytes);
        // Followers that are a little behind should get entries, not a snapshot.
        let base = if self.alone() {
            Some(at.clone())
        } else {
            self.previous_checkpoint.clone()
        };
        self.previous_checkpoint = Some(at);
        if let Some(base) = base
            && base.index > self.raw.store().base().index
        {
            self.raw.mut_store().compacted(base.clone());
            // If the writer has ended its report says why.
            self.write(Task::Compact(base)).ok();
        }
    }

    fn begin_snapshot(&mut self) {
        if !matches!(*self.raw.store().snapshot.borrow(), SnapshotSlot::Wanted) {
            return;
        }
        let at = self.here();
        let job = self.machine.snapshot(at.clone());
        let done = move |result| Request::SnapshotMade { at, result };
        let begun = self.off_thread("snapshot", job, done).is_some();
        *self.raw.store().snapshot.borrow_mut() = if begun {
            SnapshotSlot::Making
        } else {
            SnapshotSlot::Empty
        };
    }

    fn snapshot_made(&mut self, at: Position, result: std::io::Result<Vec<u8>>) {
        let made = result.map_err(|error| error.to_string()).and_then(|data| {
            let mut snapshot = Snapshot::default();
            snapshot.data = data.into();
            let meta = snapshot.mut_metadata();
            (meta.index, meta.term) = (at.index, at.term);
            meta.set_conf_state(decode_members(&at.members).map_err(|error| chain(&error))?);
            Ok(snapshot)
        });
        *self.raw.store().snapshot.borrow_mut() = match made {
            Ok(snapshot) => SnapshotSlot::Ready(snapshot),
            Err(error) => {
                tracing::error!(error, "making a snapshot failed");
                SnapshotSlot::Empty
            }
        };
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
        self.writer = None;
        if let Some(thread) = self.writer_thread.take() {
            thread.join().ok();
        }
        // The remaining waiters see their senders go, and then the reason. The log closes with `self`.
        drop(inbox);
        drop(self);
        if let Some((_, answer)) = last {
            answer.send(result).ok();
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
