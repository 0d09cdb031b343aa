//! What comes out of Raft: committed entries, changes of the members, leadership.

use std::sync::atomic::Ordering;

use protobuf::Message as _;
use raft::{
    RawNode, StateRole, Storage,
    eraftpb::{ConfChange, ConfChangeV2, ConfState, Entry, EntryType},
};

use super::{Core, LogDisk};
use crate::{
    group::{Error, Leadership},
    machine::StateMachine,
};

impl<S: StateMachine, D: LogDisk> Core<S, D> {
    pub(super) fn apply(&mut self, entries: Vec<Entry>) -> Result<(), String> {
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
                    if let Some(proposed) = id.and_then(|id| self.proposed.remove(&id)) {
                        answers.push((proposed.answer, output));
                    }
                }
                EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => {
                    self.apply_change(&entry)?;
                    changed.extend(
                        id.and_then(|id| self.changes.remove(&id))
                            .map(|change| change.answer),
                    );
                }
            }
        }
        if any {
            self.machine.end_batch();
            self.shared.applied.store(self.applied.index, Ordering::Release);
            self.raw.advance_apply_to(self.applied.index);
        }
        self.publish_leadership();
        if self.alone() {
            // No tick will tell.
            *self.shared.progress.lock() = self.progress_of_members();
        }
        for (answer, output) in answers {
            answer.send(Ok(output)).ok();
        }
        for answer in changed {
            answer.send(Ok(())).ok();
        }
        self.give_up_lost();
        let applied = self.applied.index;
        for (_, answers) in self.reads_indexed.extract_if(.., |(index, _)| *index <= applied) {
            for answer in answers {
                answer.send(Ok(())).ok();
            }
        }
        Ok(())
    }

    /// Entries of a term come before those of later terms: a proposal of an earlier term than the last applied entry's
    /// is lost, unless it was on its way to a leader and is proposed there later. Its
    /// proposer hears that now, not when its patience ends.
    pub(super) fn give_up_lost(&mut self) {
        let term = self.applied.term;
        let reason =
            || Error::Unavailable("the leader changed meanwhile; it may or may not have happened".into());
        for (_, lost) in self.proposed.extract_if(.., |_, proposed| proposed.term < term) {
            lost.answer.send(Err(reason())).ok();
        }
        for (_, lost) in self.changes.extract_if(.., |_, change| change.term < term) {
            lost.answer.send(Err(reason())).ok();
        }
    }

    pub(super) fn apply_change(&mut self, entry: &Entry) -> Result<(), String> {
        // No read may skip the round any more once another member could lead.
        self.shared.solo.store(false, Ordering::Release);
        let members = change_members(&mut self.raw, entry)?;
        match members {
            Ok(members) => {
                tracing::info!(voters = ?members.voters, learners = ?members.learners, "members changed");
                let voter = members.voters.contains(&self.member);
                self.raw.mut_store().set_members(members);
                // A leader that has removed itself leads no more: raft 0.7 would count on its own progress, which is
                // gone, when the next acknowledgement comes.
                let raft = &mut self.raw.raft;
                if !voter && raft.state == StateRole::Leader {
                    raft.become_follower(raft.term, raft::INVALID_ID);
                }
                self.tell_members();
            }
            // Every member refuses it alike: the change has no effect.
            Err(error) => tracing::warn!(%error, "change of the members refused"),
        }
        Ok(())
    }

    pub(super) fn leadership(&self) -> Leadership {
        let raft = &self.raw.raft;
        Leadership {
            term: raft.term,
            is_leader: raft.state == StateRole::Leader && self.applied.term == raft.term,
            leader: (raft.leader_id != raft::INVALID_ID).then_some(raft.leader_id),
        }
    }

    pub(super) fn publish_leadership(&mut self) {
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
}

/// Changes the members as an entry says. `Ok(Err(_))`: every member refuses the change alike, and it has no effect.
pub(crate) fn change_members<T: Storage>(
    raw: &mut RawNode<T>,
    entry: &Entry,
) -> Result<raft::Result<ConfState>, String> {
    let damaged = |error: protobuf::ProtobufError| format!("entry {}: {error}", entry.index);
    Ok(if entry.get_entry_type() == EntryType::EntryConfChange {
        let mut change = ConfChange::default();
        change.merge_from_bytes(&entry.data).map_err(damaged)?;
        raw.apply_conf_change(&change)
    } else {
        let mut change = ConfChangeV2::default();
        change.merge_from_bytes(&entry.data).map_err(damaged)?;
        raw.apply_conf_change(&change)
    })
}
