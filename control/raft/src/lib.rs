//! Replication: the Raft log on disk, proposals, and the loop that applies what is committed.
//!
//! The way of a proposal, by file:
//! ```text
//! group.rs   Group::propose ── bytes ──► driver.rs (thread "raft", owns the RawNode)
//!                                           │ Ready: entries, hard state
//!                                        writer.rs (thread "raft-log"): all that waits, one record, one fsync
//!                                           │ persisted                       (log.rs on raft-engine, files.rs)
//!            answer ◄── StateMachine::apply ◄┘ committed
//! ```
//! Nothing is acknowledged, and no vote or acknowledgement leaves, before it is on disk. A failed fsync closes the
//! group (writes refused, reads of the state machine go on); a full disk makes it wait.

mod driver;
mod files;
mod group;
mod log;
mod logger;
mod machine;
mod roster;
mod storage;
mod transport;
mod writer;

pub use files::FileHealth;
pub use group::{Config, Error, FirstStart, Group, Leadership, MemberChange, OpenError, Stats};
pub use log::LogError;
pub use machine::{Job, Position, StateMachine};
pub use raft::eraftpb;
pub use roster::{Members, Progress};
pub use transport::{Alone, Transport, decode, encode};
