//! What goes into Raft: proposals, changes of the members, reads.

use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};
use raft::eraftpb::{ConfChangeV2, Message, MessageType};

use super::{Driver, STEP_BYTES};
use crate::{
    Transport,
    group::{Answer, Error},
    machine::StateMachine,
};

impl<S: StateMachine, T: Transport> Driver<S, T> {
    pub(super) fn id(&mut self) -> (u64, Bytes) {
        self.next_id += 1;
        (self.next_id, self.context(self.next_id))
    }

    pub(super) fn context(&self, id: u64) -> Bytes {
        let mut context = BytesMut::with_capacity(16);
        context.put_u64_le(self.incarnation);
        context.put_u64_le(id);
        context.freeze()
    }

    /// The id in a context, if this run of this member made it.
    pub(super) fn own_id(&self, context: &[u8]) -> Option<u64> {
        let (incarnation, id) = context.split_first_chunk::<8>()?;
        (u64::from_le_bytes(*incarnation) == self.incarnation)
            .then(|| id.try_into().ok().map(u64::from_le_bytes))
            .flatten()
    }

    pub(super) fn propose(&mut self) {
        self.note_term();
        while !self.unproposed.is_empty() {
            let raft = &self.raw.raft;
            if raft.leader_id == raft::INVALID_ID || raft.lead_transferee.is_some() {
                return;
            }
            let mut message = Message {
                from: self.member,
                ..Default::default()
            };
            message.set_msg_type(MessageType::MsgPropose);
            let mut bytes = 0;
            let mut ids = Vec::new();
            while bytes < STEP_BYTES
                && let Some((_, entry)) = self.unproposed.pop_front()
            {
                bytes += entry.data.len();
                ids.extend(self.own_id(&entry.context));
                message.entries.push(entry);
            }
            if let Err(error) = self.raw.step(message) {
                for id in ids {
                    if let Some(answer) = self.proposed.remove(&id) {
                        answer
                            .send(Err(Error::Unavailable(format!("not proposed: {error}"))))
                            .ok();
                    }
                }
            }
        }
    }

    /// Remembers which proposals were made before the present term.
    pub(super) fn note_term(&mut self) {
        let term = self.raw.raft.term;
        if term == self.term_seen {
            return;
        }
        self.term_seen = term;
        let waiting = self.unproposed.front();
        let waiting = waiting.and_then(|(_, entry)| self.own_id(&entry.context));
        self.doubtful = waiting.map_or(self.next_id, |id| id - 1);
    }

    /// Once an entry of this term is applied, all that earlier terms left in the log is applied too: a proposal of
    /// theirs that is still open was lost with its leader (or is on its way to the new one: nobody can tell). Its
    /// proposer hears that now, not when its patience ends.
    pub(super) fn settle_doubtful(&mut self) {
        self.note_term();
        if self.doubtful == 0 || self.applied.term != self.term_seen {
            return;
        }
        let doubtful = std::mem::take(&mut self.doubtful);
        for (_, answer) in self.proposed.extract_if(|id, _| *id <= doubtful) {
            let reason = "the leader changed meanwhile; the write may or may not have happened";
            answer.send(Err(Error::Unavailable(reason.into()))).ok();
        }
    }

    /// Without a leader for long, whoever waits is told so.
    pub(super) fn give_up_without_leader(&mut self, now: Instant) {
        if self.raw.raft.leader_id != raft::INVALID_ID {
            self.leaderless_since = None;
            return;
        }
        let since = *self.leaderless_since.get_or_insert(now);
        if now - since <= self.leader_wait {
            return;
        }
        let refused = || Err(Error::Unavailable("the group has no leader".into()));
        self.unproposed.clear();
        for (_, answer) in self.proposed.drain() {
            answer
                .send(Err(Error::Unavailable("the group has no leader".into())))
                .ok();
        }
        let asked = self.reads_asked.drain(..).flat_map(|(_, _, answers)| answers);
        for answer in asked.chain(self.reads.drain(..)) {
            answer.send(refused()).ok();
        }
    }

    pub(super) fn change(&mut self, change: &ConfChangeV2, answer: Answer<()>) {
        if self.raw.raft.has_pending_conf() {
            answer
                .send(Err(Error::Unavailable(
                    "another change of the members is under way".into(),
                )))
                .ok();
            return;
        }
        let (id, context) = self.id();
        match self.raw.propose_conf_change(context.to_vec(), change.clone()) {
            Ok(()) => drop(self.changes.insert(id, answer)),
            Err(error) => drop(answer.send(Err(Error::Unavailable(format!("not proposed: {error}"))))),
        }
    }

    pub(super) fn ask_reads(&mut self) {
        if self.reads.is_empty() {
            return;
        }
        if self.alone() {
            // Needs no round: nobody else can have acknowledged anything.
            if self.leadership().is_leader {
                for answer in self.reads.drain(..) {
                    answer.send(Ok(())).ok();
                }
            }
            return;
        }
        let (id, context) = self.id();
        self.raw.read_index(context.to_vec());
        self.reads_asked
            .push((id, Instant::now(), std::mem::take(&mut self.reads)));
    }
}
