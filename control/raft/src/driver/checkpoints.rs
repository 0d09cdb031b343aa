//! Checkpoints, which let the log go, and snapshots, which replace it for a member that is far behind.

use std::{
    sync::{atomic::Ordering, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use raft::eraftpb::Snapshot;

use super::{Driver, chain};
use crate::{
    Transport,
    group::Request,
    log::{decode_members, encode_members},
    machine::{Job, Position, StateMachine},
    storage::SnapshotSlot,
    writer::Task,
};

/// How long to let a failed checkpoint be.
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(10);

impl<S: StateMachine, T: Transport> Driver<S, T> {
    /// Replaces the state by another member's snapshot.
    pub(super) fn restore(&mut self, snapshot: &Snapshot, number: u64) -> Result<(), String> {
        let meta = snapshot.get_metadata();
        let members = meta.get_conf_state().clone();
        let at = Position {
            index: meta.index,
            term: meta.term,
            members: encode_members(&members),
        };
        tracing::info!(
            index = at.index,
            bytes = snapshot.data.len(),
            "taking in a snapshot"
        );
        self.machine
            .restore(at.clone(), snapshot.data.clone())
            .map_err(|error| format!("take in a snapshot: {error}"))?;
        self.machine.end_batch();
        // The state is durable; now the log may begin after it. In order with what the writer still has.
        let (done, wait) = mpsc::channel();
        let hard = self.raw.store().hard().clone();
        self.write(Task::Reset {
            base: at.clone(),
            hard,
            done,
        })?;
        wait.recv()
            .map_err(|_| format!("the log could not begin after snapshot {} ({number})", at.index))?;
        self.raw.mut_store().reset(at.clone(), members);
        self.applied = at;
        self.shared.applied.store(self.applied.index, Ordering::Release);
        self.previous_checkpoint = None;
        self.log_bytes = 0;
        self.tell_members();
        Ok(())
    }

    pub(super) fn here(&self) -> Position {
        Position {
            members: encode_members(self.raw.store().members()),
            ..self.applied.clone()
        }
    }

    pub(super) fn begin_checkpoint(&mut self) {
        if self.checkpointing.is_some()
            || !self.machine.checkpoint_due(self.log_bytes)
            || Instant::now() < self.checkpoint_after
        {
            return;
        }
        let at = self.here();
        let job = self.machine.checkpoint(at.clone());
        let bytes = self.log_bytes;
        let done = move |result| Request::CheckpointDone { at, bytes, result };
        self.checkpointing = self.off_thread("checkpoint", job, done);
    }

    pub(super) fn off_thread<V: 'static>(
        &self,
        name: &str,
        job: Job<V>,
        done: impl FnOnce(std::io::Result<V>) -> Request<S::Output> + Send + 'static,
    ) -> Option<JoinHandle<()>> {
        let requests = self.requests.clone();
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || drop(requests.send(done(job()))))
            .inspect_err(|error| tracing::error!(%error, name, "could not start a thread"))
            .ok()
    }

    pub(super) fn checkpoint_done(&mut self, at: Position, bytes: u64, result: std::io::Result<()>) {
        self.checkpointing = None;
        if let Err(error) = result {
            tracing::error!(%error, "checkpoint failed; the log is kept and it is tried again");
            self.checkpoint_after = Instant::now() + CHECKPOINT_PAUSE;
            return;
        }
        self.shared.checkpoints.fetch_add(1, Ordering::Relaxed);
        // A snapshot that nobody takes any more need not stay in memory; whoever still wants one asks again.
        let mut slot = self.raw.store().snapshot.borrow_mut();
        if matches!(*slot, SnapshotSlot::Ready(_)) {
            *slot = SnapshotSlot::Empty;
        }
        drop(slot);
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
            // If the writer has ended its report says why.
            self.write(Task::Compact(base)).ok();
        }
    }

    pub(super) fn begin_snapshot(&mut self) {
        if !matches!(*self.raw.store().snapshot.borrow(), SnapshotSlot::Wanted) {
            return;
        }
        let at = self.here();
        let job = self.machine.snapshot(at.clone());
        let done = move |result| Request::SnapshotMade { at, result };
        let begun = self.off_thread("snapshot", job, done).is_some();
        *self.raw.store().snapshot.borrow_mut() = if begun {
            SnapshotSlot::Making
        } else {
            SnapshotSlot::Empty
        };
    }

    pub(super) fn snapshot_made(&mut self, at: Position, result: std::io::Result<Vec<u8>>) {
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
