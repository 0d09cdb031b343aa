//! What goes into Raft: proposals, changes of the members, reads.

use bytes::{BufMut, Bytes, BytesMut};
use raft::eraftpb::{ConfChangeV2, Message, MessageType};

use super::{Core, LogDisk, Now, Proposed, STEP_BYTES, hearing::SILENT};
use crate::{
    group::{Answer, Error},
    machine::StateMachine,
};

impl<S: StateMachine, D: LogDisk> Core<S, D> {
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
        while !self.unproposed.is_empty() {
            let raft = &self.raw.raft;
            if raft.leader_id == raft::INVALID_ID || raft.lead_transferee.is_some() {
                return;
            }
            // What is sent to a leader that is no more is lost: the next one may get it.
            if raft.leader_id != self.member && self.pace.unheard(raft.term) >= SILENT {
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
                && let Some(entry) = self.unproposed.pop_front()
            {
                bytes += entry.data.len();
                ids.extend(self.own_id(&entry.context));
                message.entries.push(entry);
            }
            let term = self.raw.raft.term;
            for id in &ids {
                if let Some(proposed) = self.proposed.get_mut(id) {
                    proposed.term = term;
                }
            }
            if let Err(error) = self.raw.step(message) {
                for id in ids {
                    if let Some(proposed) = self.proposed.remove(&id) {
                        let reason = Error::Unavailable(format!("not proposed: {error}"));
                        proposed.answer.send(Err(reason)).ok();
                    }
                }
            }
        }
    }

    /// Without a leader for long, whoever waits is told so.
    pub(super) fn give_up_without_leader(&mut self, now: Now) {
        if self.raw.raft.leader_id != raft::INVALID_ID {
            self.leaderless_since = None;
            return;
        }
        let since = *self.leaderless_since.get_or_insert(now);
        if now - since <= self.leader_wait {
            return;
        }
        let refused = || Error::Unavailable("the group has no leader".into());
        self.unproposed.clear();
        for (_, proposed) in std::mem::take(&mut self.proposed) {
            proposed.answer.send(Err(refused())).ok();
        }
        let asked = self.reads_asked.drain(..).flat_map(|(_, _, answers)| answers);
        for answer in asked.chain(self.reads.drain(..)) {
            answer.send(Err(refused())).ok();
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
            Ok(()) => {
                let term = self.raw.raft.term;
                self.changes.insert(id, Proposed { term, answer });
            }
            Err(error) => drop(answer.send(Err(Error::Unavailable(format!("not proposed: {error}"))))),
        }
    }

    pub(super) fn ask_reads(&mut self, now: Now) {
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
        self.reads_asked.push((id, now, std::mem::take(&mut self.reads)));
    }
}
