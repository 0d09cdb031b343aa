//! What the log is written to, as the core sees it: the real one is [`Log`](crate::log::Log), the simulation has its own.

use raft::eraftpb::{Entry, HardState};

use crate::machine::Position;

/// Why the log could not do something.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Opening or recovering the log.
    #[error("open the log in {dir}")]
    Open {
        /// Its directory.
        dir: String,
        /// The cause.
        source: raft_engine::Error,
    },
    /// Writing a record.
    #[error("write to the log")]
    Write(#[source] raft_engine::Error),
    /// The disk is full; nothing was written, and the write may be tried again.
    #[error("no space left for the log")]
    NoSpace,
    /// An fsync failed: nothing may be acknowledged from here on.
    #[error("fsync of the log: {0}")]
    Sync(String),
    /// Reading entries.
    #[error("read the log")]
    Read(#[source] raft_engine::Error),
    /// What is on disk contradicts itself.
    #[error("the log is damaged: {0}")]
    Damaged(String),
    /// Records that were fsynced are gone: not what a crash leaves.
    #[error(
        "its last {records} records, which were on disk and may have been acknowledged, are damaged or missing"
    )]
    Lost {
        /// How many.
        records: u64,
    },
    /// A snapshot of another member could not be made durable.
    #[error("take in a snapshot")]
    Snapshot(#[source] std::io::Error),
}

impl LogError {
    /// Whether what was once on disk is damaged or gone, as opposed to a disk that can't be used just now.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Open { source, .. } | Self::Read(source) => !matches!(source, raft_engine::Error::Io(_)),
            Self::Damaged(_) | Self::Lost { .. } => true,
            Self::Write(_) | Self::NoSpace | Self::Sync(_) | Self::Snapshot(_) => false,
        }
    }
}

/// One record to write: everything in it becomes durable together, or nothing does.
#[derive(Debug, Default)]
pub struct Record {
    /// Entries; they replace what they overlap.
    pub entries: Vec<Entry>,
    /// Term, vote and commit, if they changed.
    pub hard: Option<HardState>,
}

/// A log on disk: entries, the hard state, and the position it begins after. Writes come from one thread at a time,
/// reads from any. What a write has returned from is durable, but for [`compact`](Self::compact).
pub trait LogDisk: Send + Sync + 'static {
    /// Term, vote and commit as last written; `None` in a new log.
    fn hard_state(&self) -> Result<Option<HardState>, LogError>;

    /// The position the log begins after; `None` in a new log.
    fn base(&self) -> Result<Option<Position>, LogError>;

    /// First and last index on disk; `None` when there are no entries.
    fn span(&self) -> Option<(u64, u64)>;

    /// The entries in `[low, high)`, at least one, and no more than `max_bytes` in all.
    fn entries(&self, low: u64, high: u64, max_bytes: Option<u64>) -> Result<Vec<Entry>, LogError>;

    /// The term of the entry at `index`.
    fn term(&self, index: u64) -> Result<Option<u64>, LogError>;

    /// Writes a record and returns when it is on disk.
    fn append(&self, record: &Record) -> Result<(), LogError>;

    /// Forgets everything and begins after `base`.
    fn reset(&self, base: &Position, hard: &HardState) -> Result<(), LogError>;

    /// Drops the entries up to `base.index`. Needs no fsync: after a crash the entries are merely there again.
    fn compact(&self, base: &Position) -> Result<(), LogError>;
}
