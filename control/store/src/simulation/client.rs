//! Clients that read and write, and watchers; what they are told is checked as it comes.

use bytes::Bytes;
use rand::{RngExt, rngs::StdRng};
use skiff_raft::{Request, core::Input};
use tokio::sync::oneshot;

use super::{
    member::{In, Run},
    truth::Truth,
};
use crate::{
    Committed, Compare, Entry, Error, Op, Range, Revision, Txn, Value, codec::encode_txn, state::page,
    watch::Watch,
};

/// Most microseconds a client waits for an answer.
const PATIENCE: u64 = 3_000_000;

type Answered<T> = oneshot::Receiver<Result<T, skiff_raft::Error>>;

enum Asked {
    Write(Txn, Answered<Result<Committed, Error>>),
    Read(Bytes, Answered<()>),
}

struct Pending {
    member: u64,
    life: u32,
    since: u64,
    /// The newest revision that anybody knew when it began.
    low: Revision,
    asked: Asked,
}

pub struct Client {
    number: usize,
    writes: u64,
    pending: Option<Pending>,
    /// Answers that were as they should be.
    pub answered: u64,
    /// Reads without asking whether they are current: to see that this is found out.
    pub careless: bool,
}

fn key(random: &mut StdRng) -> Bytes {
    let kind = ["pods/a", "pods/b", "configmaps/a"][random.random_range(0..3)];
    Bytes::from(format!("/registry/core/{kind}/{}", random.random_range(0..4)))
}

impl Client {
    pub fn new(number: usize) -> Self {
        Self {
            number,
            writes: 0,
            pending: None,
            answered: 0,
            careless: false,
        }
    }

    pub fn waits(&self) -> bool {
        self.pending.is_some()
    }

    /// Since when it waits.
    pub fn waits_since(&self) -> Option<u64> {
        self.pending.as_ref().map(|pending| pending.since)
    }

    /// Who it waits for.
    pub fn member(&self) -> Option<u64> {
        self.pending.as_ref().map(|pending| pending.member)
    }

    fn put(&mut self, key: Bytes, random: &mut StdRng) -> Op {
        self.writes += 1;
        let mut text = format!("c{}-{}@", self.number, self.writes).into_bytes();
        let revision_at = Some(text.len() as u32);
        text.resize(text.len() + random.random_range(0..300), b'x');
        let value = Value {
            bytes: text.into(),
            revision_at,
        };
        Op::Put(key, value)
    }

    /// Asks a member for something.
    pub fn ask(
        &mut self,
        now: u64,
        member: u64,
        life: u32,
        run: &Run,
        truth: &Truth,
        random: &mut StdRng,
    ) -> In {
        let one = key(random);
        let seen = run.watched.state.read().map.get(&one).cloned();
        let expect = match &seen {
            Some(entry) => Compare::At(one.clone(), entry.mod_revision),
            None => Compare::Absent(one.clone()),
        };
        let (compare, ops) = match random.random_range(0..10) {
            0..3 => (vec![], vec![self.put(one.clone(), random)]),
            3..5 => (vec![expect], vec![self.put(one.clone(), random)]),
            5 => (vec![expect], vec![Op::Delete(one.clone(), None)]),
            6 => {
                let other = key(random);
                let mut ops = vec![self.put(one.clone(), random)];
                if other != one {
                    ops.push(self.put(other, random));
                }
                (vec![], ops)
            }
            _ => (vec![], vec![]),
        };
        let (input, asked) = if ops.is_empty() {
            let (answer, answered) = oneshot::channel();
            (Request::Read { answer }, Asked::Read(one, answered))
        } else {
            let txn = Txn { compare, ops };
            let (answer, answered) = oneshot::channel();
            let data = encode_txn(&txn).into();
            (Request::Propose { data, answer }, Asked::Write(txn, answered))
        };
        self.pending = Some(Pending {
            member,
            life,
            since: now,
            low: truth.known,
            asked,
        });
        Input::Request(input)
    }

    /// Looks for an answer from `member`; `run` is what it has now.
    pub fn listen(&mut self, now: u64, member: u64, life: u32, run: Option<&Run>, truth: &mut Truth) {
        let Some(pending) = &mut self.pending else { return };
        if pending.member != member {
            return;
        }
        let low = pending.low;
        // Without an answer in time, and when the member is gone, it is not known what became of it.
        let mut over = now > pending.since + PATIENCE || life != pending.life;
        match &mut pending.asked {
            Asked::Write(txn, answered) => match answered.try_recv() {
                Ok(Ok(Ok(committed))) => {
                    check_commit(txn, &committed, low, truth);
                    truth.known = truth.known.max(committed.revision);
                    self.answered += 1;
                    over = true;
                }
                Ok(Ok(Err(Error::Conflict { key, current }))) => {
                    assert!(
                        truth.was(&key, current.as_ref(), low),
                        "{key:?} is said to conflict with {current:?}, which it was not since {low}"
                    );
                    self.answered += 1;
                    over = true;
                }
                Ok(Ok(Err(error))) => panic!("a write was answered with {error}"),
                Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed) => over = true,
                Err(oneshot::error::TryRecvError::Empty) => {}
            },
            Asked::Read(key, answered) => match (answered.try_recv(), run) {
                (Err(oneshot::error::TryRecvError::Empty), Some(run)) if self.careless => {
                    check_read(key, low, run, truth);
                    over = true;
                }
                (Ok(Ok(())), Some(run)) => {
                    check_read(key, low, run, truth);
                    self.answered += 1;
                    over = true;
                }
                (Err(oneshot::error::TryRecvError::Empty), _) => {}
                _ => over = true,
            },
        }
        if over {
            self.pending = None;
        }
    }
}

fn check_read(key: &Bytes, low: Revision, run: &Run, truth: &mut Truth) {
    let state = run.watched.state.read();
    assert!(
        state.revision >= low,
        "a read shows revision {}, but {low} was known before it",
        state.revision
    );
    assert_eq!(
        state.map.get(key),
        truth.version(key, state.revision),
        "read at {}",
        state.revision
    );
    truth.known = truth.known.max(state.revision);
}

fn check_commit(txn: &Txn, committed: &Committed, low: Revision, truth: &Truth) {
    let revision = committed.revision;
    let changes = truth.at(revision);
    let entries: Vec<&Entry> = committed.entries.iter().flatten().collect();
    if entries.is_empty() {
        // Deleting what is not there changes nothing; the revision is one at which it was not.
        for op in &txn.ops {
            let (Op::Put(key, _) | Op::Delete(key, _)) = op;
            assert!(
                truth.was(key, None, low),
                "{key:?} was there all the time since {low}"
            );
        }
        return;
    }
    assert!(
        revision > low,
        "a write got revision {revision}, but {low} was known before it"
    );
    assert!(
        changes
            .iter()
            .map(|event| &event.entry)
            .eq(entries.iter().copied()),
        "{entries:?} was acknowledged at {revision}, where {changes:?} happened"
    );
    for compare in &txn.compare {
        let holds = match compare {
            Compare::Absent(key) => truth.version(key, revision - 1).is_none(),
            Compare::Present(key) => truth.version(key, revision - 1).is_some(),
            Compare::At(key, at) => truth
                .version(key, revision - 1)
                .is_some_and(|entry| entry.mod_revision == *at),
        };
        assert!(holds, "{compare:?} did not hold before {revision}");
    }
}

/// Follows a prefix, at one member after another.
pub struct Watcher {
    prefix: &'static [u8],
    watch: Option<(u64, u32, Watch)>,
    /// Everything up to here has been seen.
    pub seen: Revision,
    /// Whether it has begun.
    listed: bool,
    pub relists: u64,
    /// Is not given every event: to see that this is found out.
    pub drops: bool,
}

impl Watcher {
    pub fn new(prefix: &'static [u8]) -> Self {
        Self {
            prefix,
            watch: None,
            seen: 0,
            listed: false,
            relists: 0,
            drops: false,
        }
    }

    /// Reads on at the member it watches at, or begins at this one.
    pub fn look(&mut self, member: u64, life: u32, run: &Run, truth: &Truth) {
        // Begins once more where it was cut off.
        for _ in 0..2 {
            if !self.watches(member, life) {
                self.begin(member, life, run, truth);
            }
            if self.read(truth) {
                return;
            }
        }
    }

    fn watches(&self, member: u64, life: u32) -> bool {
        let watch = self.watch.as_ref();
        watch.is_some_and(|(at, l, _)| (*at, *l) == (member, life))
    }

    /// Reads everything there is; false if the watch has ended.
    fn read(&mut self, truth: &Truth) -> bool {
        let Some((_, _, watch)) = &mut self.watch else {
            return false;
        };
        loop {
            match watch.read(1 << 20) {
                Ok(events) if events.is_empty() => {
                    let progress = watch.progress();
                    assert!(
                        truth.watched(self.prefix, self.seen, progress).is_empty(),
                        "progress {progress} skips changes after {}",
                        self.seen
                    );
                    self.seen = self.seen.max(progress);
                    return true;
                }
                Ok(mut events) => {
                    if self.drops && events.len() > 2 {
                        events.remove(1);
                    }
                    self.seen = truth.delivered(self.prefix, self.seen, &events);
                }
                Err(error) => {
                    self.listed &= !matches!(error, Error::Compacted { .. });
                    self.watch = None;
                    return false;
                }
            }
        }
    }

    fn begin(&mut self, member: u64, life: u32, run: &Run, truth: &Truth) {
        self.watch = None;
        if !self.listed {
            let state = run.watched.state.read();
            if state.revision < self.seen {
                return;
            }
            let range = Range {
                prefix: Bytes::from_static(self.prefix),
                ..Range::default()
            };
            let page = page(&state.map, &range, state.revision);
            for entry in &page.entries {
                assert_eq!(truth.version(&entry.key, page.revision), Some(entry));
            }
            self.seen = page.revision;
            self.listed = true;
            self.relists += 1;
        }
        match Watch::begin(&run.watched, self.prefix, self.seen, false) {
            Ok(watch) => self.watch = Some((member, life, watch)),
            Err(Error::Compacted { .. }) => self.listed = false,
            // It asks again, here or elsewhere.
            Err(_) => {}
        }
    }

    /// Goes elsewhere next time.
    pub fn leave(&mut self) {
        self.watch = None;
    }

    /// Where it watches.
    pub fn member(&self) -> Option<u64> {
        self.watch.as_ref().map(|(member, ..)| *member)
    }
}
