//! What the log is applied to.

use std::io;

use bytes::Bytes;

/// A place in the log, with the membership that held there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Index of the last entry before this place.
    pub index: u64,
    /// Term of that entry.
    pub term: u64,
    /// Who the members were, encoded; opaque to the state machine, which stores it with its checkpoint.
    pub members: Vec<u8>,
}

/// Work to be done off the thread that applies entries.
pub type Job<T> = Box<dyn FnOnce() -> io::Result<T> + Send>;

/// What committed entries are applied to. All calls come from one thread, in log order.
///
/// Applying must be deterministic: the same entries give the same state on every member and after every restart.
/// A state machine keeps its state in memory and writes checkpoints; after a restart it begins at its last
/// checkpoint and gets every later entry again.
pub trait StateMachine: Send + 'static {
    /// What the proposer of an entry gets back.
    type Output: Send + 'static;

    /// Where the state on disk stands; asked once, at the start. `None`: no checkpoint yet.
    fn restored(&self) -> Option<Position>;

    /// Applies one entry. Must not fail: what is wrong with the request goes into the output.
    fn apply(&mut self, index: u64, term: u64, data: Bytes) -> Self::Output;

    /// A batch of entries has been applied; the proposers are answered after this returns.
    fn end_batch(&mut self) {}

    /// Whether it is time for a checkpoint, when the entries since the last one have this many bytes.
    fn checkpoint_due(&self, log_bytes: u64) -> bool;

    /// Begins a checkpoint of the present state: cheap here, the slow part (writing, fsync) is the returned job,
    /// which runs on another thread while entries go on being applied. When the job succeeds the checkpoint is
    /// durable, and the log up to `at` may go.
    fn checkpoint(&mut self, at: Position) -> Job<()>;

    /// The present state for a member that is too far behind for the log. The same rules as for `checkpoint`.
    fn snapshot(&mut self, at: Position) -> Job<Vec<u8>>;

    /// Takes in a snapshot of another member, in two steps, since the disk may take its time. This is the first: the
    /// returned job, run on another thread, checks it and makes it durable in the place of the last checkpoint (unless
    /// a later one is there). The present state stays as it is.
    fn receive(&mut self, at: Position, data: Bytes) -> Job<()>;

    /// The second step: what the job of [`receive`](Self::receive) made durable becomes the present state.
    fn install(&mut self, at: &Position);

    /// The group has ended, for this reason; nothing will be applied any more.
    fn closed(&mut self, reason: &str);
}
