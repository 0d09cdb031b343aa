//! Replication: the Raft log on disk, proposals, and the loop that applies what is committed.
//!
//! The way of a proposal, by file:
//! ```text
//! group.rs   Group::propose ── bytes ──► core.rs (owns the RawNode; driver.rs runs it on the thread "raft")
//!                                           │ Ready: entries, hard state
//!                                        writer.rs (thread "raft-log"): all that waits, one record, one fsync
//!                                           │ persisted              (disk.rs; log.rs on raft-engine, files.rs)
//!            answer ◄── StateMachine::apply ◄┘ committed
//! ```
//! Nothing is acknowledged, and no vote or acknowledgement leaves, before it is on disk. A failed fsync closes the
//! group (writes refused, reads of the state machine go on); a full disk makes it wait.

mod causes;
mod confirmed;
pub mod core;
mod disk;
mod driver;
mod files;
mod group;
mod log;
mod logger;
mod machine;
mod replay;
mod roster;
mod storage;
mod transport;
mod writer;

pub use causes::chain;
pub use confirmed::accept_loss;
pub use disk::LogError;
pub use files::FileHealth;
pub use group::{
    Answer, Config, Error, FirstStart, Group, Leadership, MemberChange, OpenError, Request, Shared, Stats,
};
pub use machine::{Job, Position, StateMachine};
pub use raft::eraftpb;
pub use replay::{Replayed, replay};
pub use roster::{Members, Progress};
pub use transport::{Alone, Transport, decode, encode};
