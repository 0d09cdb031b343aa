//! A leader whose process has ended is not waited for.
//!
//! Raft takes silence for the end of a leader, and has to be patient with it. A machine whose process has ended says so at
//! once: it closes what that held open and refuses new connections. A follower that is told so forgets its leader, so that
//! it votes for others before the timeout has passed, and campaigns itself after a few ticks, a random number, unless
//! somebody else leads by then.
//!
//! It may be wrong: a leader that lives after all is followed again at its next heartbeat, or loses an election that need
//! not have been. Nothing is lost or read stale: reads ask a majority, and do not count on the old leader's time.

use raft::{INVALID_ID, StateRole};
use rand::RngExt;

use super::Core;
use crate::{core::LogDisk, machine::StateMachine};

/// Ticks before one campaigns, at most. Two that draw the same one mostly still differ by the time between their ticks.
const LONGEST: usize = 6;

/// A follower without its leader.
pub(super) struct Orphan {
    /// The term of the leader that has ended.
    term: u64,
    /// Ticks until it campaigns.
    patience: usize,
}

impl<S: StateMachine, D: LogDisk> Core<S, D> {
    /// The process of a member has ended.
    pub(super) fn ended(&mut self, member: u64) {
        let raft = &mut self.raw.raft;
        // Whoever takes in a snapshot takes no part in elections.
        if raft.state != StateRole::Follower || raft.leader_id != member || self.restoring.is_some() {
            return;
        }
        let term = raft.term;
        tracing::info!(member, term, "the leader's process has ended");
        raft.become_follower(term, INVALID_ID);
        self.orphan = Some(Orphan {
            term,
            patience: self.random.random_range(1..=LONGEST),
        });
    }

    /// A tick without a leader: campaigns when it is time.
    pub(super) fn succeed(&mut self) {
        let Some(mut orphan) = self.orphan.take() else {
            return;
        };
        let raft = &self.raw.raft;
        if (raft.term, raft.leader_id, raft.state) != (orphan.term, INVALID_ID, StateRole::Follower) {
            return;
        }
        orphan.patience -= 1;
        if orphan.patience > 0 {
            self.orphan = Some(orphan);
        } else if raft.promotable()
            && let Err(error) = self.raw.campaign()
        {
            tracing::debug!(%error, "no campaign");
        }
    }
}
