//! What a member does whose disk is full: what it is asked for waits in its log, and nobody knows for how long.

use std::sync::atomic::Ordering;

use raft::StateRole;

use super::{Core, LogDisk};
use crate::{
    group::{Error, NO_SPACE},
    machine::StateMachine,
};

impl<S: StateMachine, D: LogDisk> Core<S, D> {
    /// Who proposed hears it now, not when its patience ends: nobody knows when there will be space.
    pub(super) fn give_up_on_a_full_disk(&mut self) {
        let reason = || Error::Unavailable(format!("{NO_SPACE}; the write may happen when there is"));
        for (_, proposed) in std::mem::take(&mut self.proposed) {
            proposed.answer.send(Err(reason())).ok();
        }
    }

    /// Who leads and can't write applies nothing either, and whatever runs on the leader stands still, though the others may go
    /// on. So it hands over, once a majority has on disk what this one has no space for: before, nobody could be elected, and
    /// there would be no leader for reads.
    pub(super) fn hand_over_from_a_full_disk(&mut self) {
        let raft = &self.raw.raft;
        let (committed, persisted) = (raft.raft_log.committed, raft.raft_log.persisted);
        if !self.shared.full.load(Ordering::Relaxed)
            || raft.state != StateRole::Leader
            || raft.lead_transferee.is_some()
            || committed <= persisted
        {
            return;
        }
        let voters = &self.raw.store().members().voters;
        let has_space = raft.prs().iter().filter(|(id, progress)| {
            **id != self.member && progress.matched >= committed && voters.contains(id)
        });
        if let Some(to) = has_space.map(|(id, _)| *id).min() {
            tracing::info!(to, "handing over leadership: this member's disk is full");
            self.raw.transfer_leader(to);
        }
    }
}
