//! The log as `raft` reads it: recent entries in memory, older ones from disk.
//!
//! Indices, from old to new:
//! ```text
//!   base.index  <  cache_start  <=  last + 1
//!   (base.index, cache_start)   only on disk
//!   [cache_start, last]         in memory, on disk too once the writer has reported them
//! ```
//! An entry leaves memory only after it is both on disk and applied.

use std::{cell::RefCell, collections::VecDeque, sync::Arc};

use raft::{
    GetEntriesContext, RaftState, Storage, StorageError,
    eraftpb::{ConfState, Entry, HardState, Snapshot},
};

use crate::{
    disk::{LogDisk, LogError},
    log::decode_members,
    machine::Position,
};

/// A snapshot for members that are too far behind for the log.
#[derive(Default)]
pub(crate) enum SnapshotSlot {
    /// Nobody asked.
    #[default]
    Empty,
    /// Asked for, not begun.
    Wanted,
    /// Being made.
    Making,
    /// Ready to be sent.
    Ready(Snapshot),
}

pub(crate) struct LogStorage<D> {
    log: Arc<D>,
    /// The position the log begins after.
    base: Position,
    hard: HardState,
    members: ConfState,
    cache: VecDeque<Entry>,
    cache_bytes: usize,
    cache_start: u64,
    pub snapshot: RefCell<SnapshotSlot>,
}

impl<D: LogDisk> LogStorage<D> {
    /// What is on disk. `members` are those of the checkpoint the state machine starts from.
    pub fn load(log: Arc<D>, base: Position, members: ConfState, hard: HardState) -> Self {
        let last = log.span().map_or(base.index, |(_, last)| last.max(base.index));
        Self {
            log,
            base,
            hard,
            members,
            cache: VecDeque::new(),
            cache_bytes: 0,
            cache_start: last + 1,
            snapshot: RefCell::default(),
        }
    }

    pub fn last(&self) -> u64 {
        self.cache_start + self.cache.len() as u64 - 1
    }

    pub fn members(&self) -> &ConfState {
        &self.members
    }

    pub fn set_members(&mut self, members: ConfState) {
        self.members = members;
    }

    pub fn hard(&self) -> &HardState {
        &self.hard
    }

    pub fn set_hard(&mut self, hard: HardState) {
        self.hard = hard;
    }

    pub fn base(&self) -> &Position {
        &self.base
    }

    /// Takes entries that the writer will have on disk soon; they replace what they overlap.
    pub fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        if first.index < self.cache_start {
            self.cache.clear();
            self.cache_bytes = 0;
            self.cache_start = first.index;
        }
        while self.last() >= first.index {
            self.cache_bytes -= self.cache.pop_back().map_or(0, |entry| size(&entry));
        }
        self.cache_bytes += entries.iter().map(size).sum::<usize>();
        self.cache.extend(entries.iter().cloned());
    }

    /// Lets go of cached entries up to `index` (on disk and applied), but for the last `keep_bytes`.
    pub fn evict(&mut self, index: u64, keep_bytes: usize) {
        while self.cache_bytes > keep_bytes && self.cache.front().is_some_and(|entry| entry.index <= index) {
            self.cache_bytes -= self.cache.pop_front().map_or(0, |entry| size(&entry));
            self.cache_start += 1;
        }
        if self.cache.is_empty() {
            self.cache = VecDeque::new();
        }
    }

    /// The log now begins after `base`, at which everything before is in a durable checkpoint.
    pub fn compacted(&mut self, base: Position) {
        while self.cache.front().is_some_and(|entry| entry.index <= base.index) {
            self.cache_bytes -= self.cache.pop_front().map_or(0, |entry| size(&entry));
            self.cache_start += 1;
        }
        self.base = base;
    }

    /// The state came from another member's snapshot; the log begins anew after it.
    pub fn reset(&mut self, base: Position, members: ConfState) {
        self.cache.clear();
        self.cache_bytes = 0;
        self.cache_start = base.index + 1;
        self.base = base;
        self.members = members;
    }
}

fn has_member(members: &ConfState, id: u64) -> bool {
    [
        &members.voters,
        &members.learners,
        &members.voters_outgoing,
        &members.learners_next,
    ]
    .into_iter()
    .any(|ids| ids.contains(&id))
}

fn size(entry: &Entry) -> usize {
    entry.data.len() + entry.context.len() + 64
}

fn broken(error: LogError) -> raft::Error {
    raft::Error::Store(StorageError::Other(Box::new(error)))
}

impl<D: LogDisk> Storage for LogStorage<D> {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState::new(self.hard.clone(), self.members.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        let max_size = max_size.into();
        if low <= self.base.index {
            return Err(raft::Error::Store(StorageError::Compacted));
        }
        let mut entries = Vec::new();
        if low < self.cache_start {
            let end = high.min(self.cache_start);
            entries = self.log.entries(low, end, max_size).map_err(broken)?;
            if low + (entries.len() as u64) < end {
                raft::util::limit_size(&mut entries, max_size);
                return Ok(entries);
            }
        }
        if high > self.cache_start {
            let from = low.max(self.cache_start) - self.cache_start;
            let to = high - self.cache_start;
            let mut bytes = 0u64;
            for entry in self.cache.range(from as usize..to as usize) {
                bytes += size(entry) as u64;
                entries.push(entry.clone());
                if max_size.is_some_and(|max| bytes > max) {
                    break;
                }
            }
        }
        raft::util::limit_size(&mut entries, max_size);
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == self.base.index {
            return Ok(self.base.term);
        }
        if index < self.base.index {
            return Err(raft::Error::Store(StorageError::Compacted));
        }
        if index >= self.cache_start {
            let entry = self.cache.get((index - self.cache_start) as usize);
            return entry
                .map(|entry| entry.term)
                .ok_or(raft::Error::Store(StorageError::Unavailable));
        }
        self.log
            .term(index)
            .map_err(broken)?
            .ok_or(raft::Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.base.index + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<Snapshot> {
        let mut slot = self.snapshot.borrow_mut();
        match &*slot {
            // One made before `to` was a member would be ignored there, for ever.
            SnapshotSlot::Ready(snapshot)
                if snapshot.get_metadata().index >= request_index.max(self.base.index)
                    && has_member(snapshot.get_metadata().get_conf_state(), to) =>
            {
                return Ok(snapshot.clone());
            }
            SnapshotSlot::Making => {}
            _ => *slot = SnapshotSlot::Wanted,
        }
        Err(raft::Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}

/// What to start from: the log on disk, brought in line with the state machine's checkpoint.
pub(crate) struct Start {
    pub base: Position,
    pub members: ConfState,
    pub hard: HardState,
    /// Index up to which the state machine has applied.
    pub applied: Position,
}

/// Looks at what is on disk and repairs what a crash can leave. `None`: nothing there yet.
///
/// A checkpoint is durable before the log is compacted to it, and an entry is applied after it is on disk, so
/// `base.index <= checkpoint.index <= last` holds after any crash. If the disk lost more than that (`last` below
/// the checkpoint), the checkpoint is all there is, and the log begins anew after it. The same when it holds another
/// entry at the checkpoint's index.
pub(crate) fn recover<D: LogDisk>(log: &D, checkpoint: Option<Position>) -> Result<Option<Start>, LogError> {
    let hard = log.hard_state()?;
    let base = log.base()?;
    let (base, mut hard) = match (base, hard, &checkpoint) {
        (Some(base), Some(hard), _) => (base, hard),
        (None, None, None) => return Ok(None),
        (None, None, Some(_)) => (Position::default(), HardState::default()),
        (base, hard, _) => {
            return Err(LogError::Damaged(format!(
                "base {}, hard state {}",
                if base.is_some() { "present" } else { "missing" },
                if hard.is_some() { "present" } else { "missing" }
            )));
        }
    };
    let last = log.span().map_or(base.index, |(_, last)| last);
    if let Some((first, _)) = log.span()
        && first > base.index + 1
    {
        return Err(LogError::Damaged(format!(
            "entries {} to {} are missing",
            base.index + 1,
            first - 1
        )));
    }
    // A new group begins after an entry 1 that never was, and needs none; what else is gone from the log is in a checkpoint.
    if checkpoint.is_none() && base.index > 1 {
        return Err(LogError::Damaged(format!(
            "it begins after entry {}, and there is no checkpoint of what was before",
            base.index
        )));
    }
    let applied = checkpoint.unwrap_or_else(|| base.clone());
    if applied.index < base.index {
        return Err(LogError::Damaged(format!(
            "the log begins after {}, but the checkpoint is at {}",
            base.index, applied.index
        )));
    }
    check_entries(log, applied.index.max(base.index + 1), last)?;
    hard.commit = hard.commit.max(applied.index).min(last.max(applied.index));
    hard.term = hard.term.max(applied.term);
    let members = decode_members(&applied.members)?;
    // A crash after another member's snapshot was durable, and before the log began after it, leaves the old log: it may
    // end earlier, or hold entries of a leader that lost, which must not stand behind a state they never led to.
    let parts =
        last >= applied.index && applied.index > base.index && log.term(applied.index)? != Some(applied.term);
    if last < applied.index || parts {
        tracing::warn!(
            last,
            checkpoint = applied.index,
            "the log does not lead to the checkpoint; it begins anew"
        );
        log.reset(&applied, &hard)?;
        return Ok(Some(Start {
            base: applied.clone(),
            members,
            hard,
            applied,
        }));
    }
    Ok(Some(Start {
        base,
        members,
        hard,
        applied,
    }))
}

/// Reads the entries once: recovery verifies the checksum of the last record only, and Raft panics on an entry that
/// does not read.
fn check_entries<D: LogDisk>(log: &D, first: u64, last: u64) -> Result<(), LogError> {
    let mut next = first;
    while next <= last {
        let entries = log.entries(next, last + 1, Some(4 << 20))?;
        if entries.is_empty() || entries[0].index != next {
            return Err(LogError::Damaged(format!("entry {next} is missing")));
        }
        next += entries.len() as u64;
    }
    Ok(())
}
