//! Checkpoints, which let the log go, and snapshots, which replace it for a member that is far behind.

use std::{sync::atomic::Ordering, time::Duration};

use raft::eraftpb::{Message, Snapshot};

use super::{Checkpointing, Core, LogDisk, Now, Output, Task, chain};
use crate::{
    log::{decode_members, encode_members},
    machine::{Position, StateMachine},
    storage::SnapshotSlot,
};

/// How long to let a failed checkpoint be.
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(10);

impl<S: StateMachine, D: LogDisk> Core<S, D> {
    /// Begins to take in another member's snapshot, the one of the `Ready` with this number: when it is on disk, in order
    /// with what else is to be written, the writer reports `last` and sends `messages`.
    pub(super) fn restore(
        &mut self,
        now: Now,
        snapshot: &Snapshot,
        number: u64,
        last: u64,
        messages: Vec<Message>,
    ) {
        let meta = snapshot.get_metadata();
        let members = meta.get_conf_state().clone();
        let at = Position {
            index: meta.index,
            term: meta.term,
            members: encode_members(&members),
        };
        let bytes = snapshot.data.len();
        tracing::info!(index = at.index, bytes, "taking in a snapshot");
        let job = self.machine.receive(at.clone(), snapshot.data.clone());
        self.raw.mut_store().reset(at.clone(), members);
        self.in_flight.push_back((last, now));
        self.outputs.push(Output::Log(Task::Restore {
            number: last,
            job,
            base: at.clone(),
            hard: self.raw.store().hard().clone(),
            messages,
        }));
        self.restoring = Some((number, at));
    }

    /// The snapshot is on disk: it becomes the present state. Raft may hear that it is applied only after it heard that
    /// its `Ready` is on disk.
    pub(super) fn install(&mut self, persisted: u64) {
        if let Some((_, at)) = self.restoring.take_if(|(number, _)| *number <= persisted) {
            self.machine.install(&at);
            self.machine.end_batch();
            self.applied = at;
            self.shared.applied.store(self.applied.index, Ordering::Release);
            self.previous_checkpoint = None;
            self.log_bytes = 0;
            self.raw.advance_apply_to(self.applied.index);
            self.tell_members();
            self.publish_leadership();
            self.give_up_lost();
        }
    }

    pub(super) fn here(&self) -> Position {
        Position {
            members: encode_members(self.raw.store().members()),
            ..self.applied.clone()
        }
    }

    pub(super) fn begin_checkpoint(&mut self, now: Now) {
        if self.checkpointing.is_some()
            || self.restoring.is_some()
            || !self.machine.checkpoint_due(self.log_bytes)
            || now < self.checkpoint_after
        {
            return;
        }
        let at = self.here();
        self.outputs
            .push(Output::Checkpoint(self.machine.checkpoint(at.clone())));
        self.checkpointing = Some(Checkpointing {
            at,
            bytes: self.log_bytes,
        });
    }

    pub(super) fn checkpoint_done(&mut self, now: Now, result: std::io::Result<()>) {
        let Some(Checkpointing { at, bytes }) = self.checkpointing.take() else {
            return;
        };
        if let Err(error) = result {
            tracing::error!(%error, "checkpoint failed; the log is kept and it is tried again");
            self.checkpoint_after = now + CHECKPOINT_PAUSE;
            return;
        }
        self.shared.checkpoints.fetch_add(1, Ordering::Relaxed);
        // A snapshot that nobody takes any more need not stay in memory; whoever still wants one asks again.
        let mut slot = self.raw.store().snapshot.borrow_mut();
        if matches!(*slot, SnapshotSlot::Ready(_)) {
            *slot = SnapshotSlot::Empty;
        }
        drop(slot);
        // Another member's snapshot may have taken its place meanwhile.
        if at.index <= self.raw.store().base().index {
            return;
        }
        self.log_bytes = self.log_bytes.saturating_sub(bytes);
        // Followers that are a little behind should get entries, not a snapshot.
        let base = if self.alone() {
            Some(at.clone())
        } else {
            self.previous_checkpoint.clone()
        };
        self.previous_checkpoint = Some(at);
        if let Some(base) = base
            && base.index > self.raw.store().base().index
        {
            self.raw.mut_store().compacted(base.clone());
            self.outputs.push(Output::Log(Task::Compact(base)));
        }
    }

    pub(super) fn begin_snapshot(&mut self) {
        // Of a state that is about to be replaced nobody needs a snapshot; it is begun when that has happened.
        if self.restoring.is_some() || !matches!(*self.raw.store().snapshot.borrow(), SnapshotSlot::Wanted) {
            return;
        }
        let at = self.here();
        self.outputs
            .push(Output::Snapshot(self.machine.snapshot(at.clone())));
        self.snapshotting = Some(at);
        *self.raw.store().snapshot.borrow_mut() = SnapshotSlot::Making;
    }

    pub(super) fn snapshot_made(&mut self, result: std::io::Result<Vec<u8>>) {
        let Some(at) = self.snapshotting.take() else {
            return;
        };
        let made = result.map_err(|error| error.to_string()).and_then(|data| {
            let mut snapshot = Snapshot {
                data: data.into(),
                ..Default::default()
            };
            let meta = snapshot.mut_metadata();
            (meta.index, meta.term) = (at.index, at.term);
            meta.set_conf_state(decode_members(&at.members).map_err(|error| chain(&error))?);
            Ok(snapshot)
        });
        *self.raw.store().snapshot.borrow_mut() = match made {
            Ok(snapshot) => SnapshotSlot::Ready(snapshot),
            Err(error) => {
                tracing::error!(error, "making a snapshot failed");
                SnapshotSlot::Empty
            }
        };
    }
}
