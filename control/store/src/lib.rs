//! MVCC key-value store with revisions and watch, applied from the Raft log.
//!
//! Every object is one key whose value is the object's JSON **as it goes on the wire**, so that get, list and
//! watch copy bytes. The one thing that is not known when a write is proposed is its revision, which Kubernetes
//! shows as `metadata.resourceVersion`: a [`Value`] says at which byte the revision is spliced in when the write
//! is applied. Applying is deterministic: times, uids and names are chosen by the proposer and are in the entry.
//!
//! Keys are `/registry/<group or "core">/<plural>/<namespace or "">/<name>`, see [`key`].
//!
//! The main path, by file: `store.rs` (the calls) → `codec.rs` → the Raft group → `machine.rs` → `state.rs` (apply,
//! range) over `map.rs` and `history.rs`; `watch.rs` reads the history, `rounds.rs` says when; `checkpoint.rs` and `directory.rs` are the disk.
//! The design and its invariants: `docs/store.md`.

mod checkpoint;
mod codec;
mod directory;
mod history;
mod machine;
mod map;
mod replication;
mod rounds;
#[cfg(test)]
mod simulation;
pub mod snapshot;
mod state;
mod store;
mod watch;

pub use directory::OpenError;
pub use skiff_raft::{FirstStart, Leadership, Members, Progress, Stats as LogStats};
pub use store::{Store, StoreStats};
pub use watch::Watch;

use std::path::PathBuf;

use bytes::Bytes;

/// A position in the history of the store; each committed transaction that changes something gets the next one.
/// Shown to clients as `resourceVersion`. The empty store is at revision 1.
pub type Revision = u64;

/// A value to write: the bytes, and where the decimal revision is to be inserted into them when the write is
/// applied (`None`: nowhere).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Value {
    /// The bytes, without the revision.
    pub bytes: Bytes,
    /// Byte offset in `[0, bytes.len()]` at which the revision's decimal digits are inserted.
    pub revision_at: Option<u32>,
}

/// One key as stored. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Bytes,
    /// The value with the revision spliced in.
    pub value: Bytes,
    /// The revision that created the key (since its last deletion).
    pub create_revision: Revision,
    /// The revision that last wrote the key.
    pub mod_revision: Revision,
}

/// A condition a transaction needs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Compare {
    /// The key must not exist.
    Absent(Bytes),
    /// The key must exist and its `mod_revision` must be this one.
    At(Bytes, Revision),
    /// The key must exist.
    Present(Bytes),
}

/// One change in a transaction.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Op {
    /// Write a key.
    Put(Bytes, Value),
    /// Delete a key. `last` is what watchers get as the deleted object (its final state with the revision of the
    /// deletion); without it they get the last stored value.
    Delete(Bytes, Option<Value>),
}

/// All of `compare` hold and all of `ops` are applied at one revision, or nothing happens.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Txn {
    /// Conditions, all of which must hold.
    pub compare: Vec<Compare>,
    /// Changes, applied in order.
    pub ops: Vec<Op>,
}

/// What a committed transaction did.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The revision of the transaction.
    pub revision: Revision,
    /// One per op: the entry as written, or for a deletion the entry as deleted (value as watchers see it; `None`
    /// when the key was not there).
    pub entries: Vec<Option<Entry>>,
}

/// Why a call failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A condition of the transaction did not hold; `current` is the entry now. Nothing was written.
    #[error("conflict on key {key:?}")]
    Conflict {
        /// The key of the failed condition.
        key: Bytes,
        /// What is stored under it now.
        current: Option<Entry>,
    },
    /// The revision asked for is older than the retained history: list again.
    #[error("revision {requested} is compacted, oldest retained is {oldest}")]
    Compacted {
        /// What the caller asked for.
        requested: Revision,
        /// The oldest revision that can be read or watched from.
        oldest: Revision,
    },
    /// The revision asked for lies in the future.
    #[error("revision {requested} is in the future, current is {current}")]
    Future {
        /// What the caller asked for.
        requested: Revision,
        /// The current revision.
        current: Revision,
    },
    /// The transaction is larger than one log entry may be.
    #[error("request of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The store holds as much as it may: nothing that makes it larger is taken, deletions are.
    #[error(
        "the store is full: {objects} objects of {bytes} bytes, limits are {max_objects} and {max_bytes}"
    )]
    Full {
        /// Number of objects now.
        objects: usize,
        /// Bytes of keys and values now.
        bytes: usize,
        /// Most objects.
        max_objects: usize,
        /// Most bytes.
        max_bytes: usize,
    },
    /// No leader or no quorum within the deadline. The write may or may not have happened.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The store is shut down or its disk failed; no more writes are taken.
    #[error("the store is closed: {0}")]
    Closed(String),
}

/// A range read: keys with `prefix`, in key order.
#[derive(Clone, Debug, Default)]
pub struct Range {
    /// Keys must start with this.
    pub prefix: Bytes,
    /// Only keys greater than this.
    pub after: Option<Bytes>,
    /// At most this many; 0: all.
    pub limit: usize,
    /// As of this revision; `None`: now.
    pub revision: Option<Revision>,
}

/// A page of a range.
#[derive(Clone, Debug)]
pub struct Page {
    /// The revision the page shows; pass it on for the next page and for a watch.
    pub revision: Revision,
    /// The entries in key order.
    pub entries: Vec<Entry>,
    /// How many more keys follow the last one.
    pub remaining: usize,
}

/// One change, as watchers see it.
#[derive(Clone, Debug)]
pub struct Event {
    /// The revision of the change.
    pub revision: Revision,
    /// The entry after a put; for a deletion the deleted object (see [`Op::Delete`]).
    pub entry: Entry,
    /// What was stored before (`None`: created).
    pub previous: Option<Entry>,
    /// Whether the key was deleted.
    pub deleted: bool,
}

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of log and checkpoints; created when missing.
    pub dir: PathBuf,
    /// This member's id in the Raft group, not 0.
    pub member: u64,
    /// What an empty directory means: a group of one, or a member that a group will take in.
    pub first_start: FirstStart,
    /// How long changes stay readable and watchable, in revisions.
    pub history_revisions: u64,
    /// The same in bytes; whichever is less.
    pub history_bytes: usize,
    /// Largest transaction in bytes.
    pub max_txn_bytes: usize,
    /// Most objects that writes may bring it to; those under way at the same time may go beyond it a little.
    pub max_objects: usize,
    /// The same in bytes of keys and values, which are kept in memory.
    pub max_bytes: usize,
    /// A checkpoint is written after this many bytes of log, or as many as the state has, whichever is more.
    pub checkpoint_log_bytes: u64,
}

impl Config {
    /// The defaults for a directory: one member, 100 000 revisions or 64 MiB of history, 3 MiB per transaction,
    /// checkpoints after 32 MiB of log.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            member: 1,
            first_start: FirstStart::Alone,
            history_revisions: 100_000,
            history_bytes: 64 << 20,
            max_txn_bytes: 3 << 20,
            max_objects: 2_000_000,
            max_bytes: 8 << 30,
            checkpoint_log_bytes: 32 << 20,
        }
    }
}

/// Keys of API objects.
pub mod key {
    use bytes::Bytes;

    /// `/registry/<group or core>/<plural>/<namespace or empty>/<name>`.
    pub fn object(group: &str, plural: &str, namespace: &str, name: &str) -> Bytes {
        let group = if group.is_empty() { "core" } else { group };
        Bytes::from(format!("/registry/{group}/{plural}/{namespace}/{name}"))
    }

    /// The prefix of all objects of a resource, or of those in one namespace.
    pub fn prefix(group: &str, plural: &str, namespace: Option<&str>) -> Bytes {
        let group = if group.is_empty() { "core" } else { group };
        match namespace {
            Some(namespace) => Bytes::from(format!("/registry/{group}/{plural}/{namespace}/")),
            None => Bytes::from(format!("/registry/{group}/{plural}/")),
        }
    }
}
