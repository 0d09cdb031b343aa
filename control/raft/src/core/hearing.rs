//! Whether this member is heard: what it proposes when it is not gets lost, and who waits for that could ask another member.
//!
//! The network may be cut in one way only. A leader that no majority answers finds out after the configured election
//! timeout; check-quorum makes it step down within twice that. A follower that hears its leader, and is not heard, is told so by the heartbeats: their commit
//! index is what the leader knows this member to have, so it stays below what is committed here.
//!
//! Who is not heard refuses new writes and reads at once, until it knows better. It goes on with everything else: this is about
//! whom clients wait for, not about safety. And who does not hear its leader any more proposes nothing to it, but keeps what is asked
//! for the next leader.

use std::collections::BTreeMap;

use raft::{
    StateRole,
    eraftpb::{Message, MessageType},
};

use super::{Core, LogDisk};
use crate::{group::Error, machine::StateMachine};

/// Heartbeats that say that the leader has not heard this member.
const UNHEARD: usize = 5;
/// Ticks without the leader after which nothing is proposed to it: three heartbeats.
pub(super) const SILENT: usize = 6;

/// What a member knows of being heard.
pub(super) struct Hearing {
    /// Ticks without an answer of a majority after which a leader takes itself for not heard.
    patience: u64,
    ticks: u64,
    /// When others answered this leader last, in ticks; and the term it leads in.
    answered: BTreeMap<u64, u64>,
    leads_in: u64,
    leads_since: u64,
    /// Heartbeats in a row that say that the leader has not heard this member.
    misses: usize,
    /// It is not heard.
    lost: bool,
}

impl Hearing {
    pub(super) fn new(patience: usize) -> Self {
        Self {
            patience: patience as u64,
            ticks: 0,
            answered: BTreeMap::new(),
            leads_in: 0,
            leads_since: 0,
            misses: 0,
            lost: false,
        }
    }

    fn is_recent(&self, tick: u64) -> bool {
        self.ticks - tick < self.patience
    }
}

impl<S: StateMachine, D: LogDisk> Core<S, D> {
    /// Before a message of another member is taken.
    pub(super) fn note_hearing(&mut self, message: &Message) {
        let raft = &self.raw.raft;
        let hearing = &mut self.hearing;
        match message.get_msg_type() {
            MessageType::MsgAppendResponse | MessageType::MsgHeartbeatResponse
                if raft.state == StateRole::Leader && message.term == raft.term =>
            {
                hearing.answered.insert(message.from, hearing.ticks);
            }
            MessageType::MsgHeartbeat if message.term >= raft.term => {
                if message.commit < raft.raft_log.committed {
                    hearing.misses += 1;
                    hearing.lost |= hearing.misses >= UNHEARD;
                } else {
                    hearing.misses = 0;
                    hearing.lost = false;
                }
            }
            _ => {}
        }
    }

    /// A tick, after Raft's.
    pub(super) fn tick_hearing(&mut self) {
        let raft = &self.raw.raft;
        let hearing = &mut self.hearing;
        hearing.ticks += 1;
        if raft.state != StateRole::Leader {
            return;
        }
        if hearing.leads_in != raft.term {
            (hearing.leads_in, hearing.leads_since) = (raft.term, hearing.ticks);
            hearing.answered.clear();
            hearing.misses = 0;
        }
        let answers = |id: &u64| {
            let last = hearing.answered.get(id);
            *id == raft.id || last.is_some_and(|tick| hearing.is_recent(*tick))
        };
        let answering = raft.prs().iter().map(|(id, _)| *id).filter(answers).collect();
        let is_answered = raft.prs().has_quorum(&answering);
        hearing.lost = !is_answered && !hearing.is_recent(hearing.leads_since);
    }

    /// Whoever asks while this member is not heard hears that.
    pub(super) fn refuse_unheard(&mut self) {
        if !self.hearing.lost {
            return;
        }
        let refused = || Error::Unavailable("no leader hears this member, or no majority".into());
        for entry in std::mem::take(&mut self.unproposed) {
            if let Some(proposed) = self
                .own_id(&entry.context)
                .and_then(|id| self.proposed.remove(&id))
            {
                proposed.answer.send(Err(refused())).ok();
            }
        }
        for answer in self.reads.drain(..) {
            answer.send(Err(refused())).ok();
        }
    }
}
