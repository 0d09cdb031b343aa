//! The store as the state machine of its Raft group.

use std::{
    io::{self, Write},
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::Mutex;
use skiff_raft::{Job, Position, StateMachine};

use crate::{
    Committed, Config, Error,
    checkpoint::Image,
    codec::decode_txn,
    state::State,
    watch::{Topic, Watched, wake, wake_all},
};

/// Where a member keeps its checkpoint.
pub(crate) trait Keeper: Send + Sync + 'static {
    /// Replaces the checkpoint: when it returns the new one is durable; after a crash it is the old one or the new
    /// one, whole.
    fn replace(&self, write: &dyn Fn(&mut dyn Write) -> io::Result<()>) -> io::Result<()>;
}

/// The checkpoint on disk, shared with the jobs that replace it.
struct Kept {
    keeper: Arc<dyn Keeper>,
    /// Index of the newest one. A job that comes late, after another member's snapshot, must not bring an older state
    /// back: the log may begin after it already.
    newest: Mutex<u64>,
}

impl Kept {
    fn replace(&self, index: u64, write: &dyn Fn(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut newest = self.newest.lock();
        if index >= *newest {
            self.keeper.replace(write)?;
            *newest = index;
        }
        Ok(())
    }
}

pub(crate) struct Machine {
    config: Config,
    watched: Arc<Watched>,
    kept: Arc<Kept>,
    restored: Option<Position>,
    /// Another member's snapshot that is durable and not the present state yet.
    received: Arc<Mutex<Option<(Position, State)>>>,
    /// Topics changed in this batch.
    changed: Vec<Arc<Topic>>,
}

impl Machine {
    /// Starts from the checkpoint that `keeper` has, if there is one, and shows it in `watched`.
    pub fn new(
        config: Config,
        watched: Arc<Watched>,
        keeper: Arc<dyn Keeper>,
        checkpoint: Option<Image>,
    ) -> Self {
        let restored = checkpoint.map(|image| {
            let (at, state) = image.into_state();
            *watched.state.write() = state;
            at
        });
        Self {
            config,
            watched,
            kept: Arc::new(Kept {
                keeper,
                newest: Mutex::new(restored.as_ref().map_or(0, |at| at.index)),
            }),
            restored,
            received: Arc::default(),
            changed: Vec::new(),
        }
    }
}

impl StateMachine for Machine {
    type Output = Result<Committed, Error>;

    fn restored(&self) -> Option<Position> {
        self.restored.clone()
    }

    fn apply(&mut self, index: u64, _term: u64, data: Bytes) -> Self::Output {
        let txn = match decode_txn(data) {
            Ok(txn) => txn,
            // Skipping what others apply would make this member's state differ for ever: it must stop. The group
            // turns the panic into a closed store.
            Err(error) => panic!("log entry {index}: {error}"),
        };
        let mut state = self.watched.state.write();
        state.apply(txn, &self.config, |note| {
            self.watched.topics.note(&note, &mut self.changed)
        })
    }

    fn end_batch(&mut self) {
        wake(&mut self.changed);
    }

    fn checkpoint_due(&self, log_bytes: u64) -> bool {
        let live = self.watched.state.read().live_bytes as u64;
        log_bytes >= self.config.checkpoint_log_bytes.max(live)
    }

    fn checkpoint(&mut self, at: Position) -> Job<()> {
        let index = at.index;
        let image = Image::of(&self.watched.state.read(), at);
        let kept = self.kept.clone();
        Box::new(move || kept.replace(index, &|out| image.write(out)))
    }

    fn snapshot(&mut self, at: Position) -> Job<Vec<u8>> {
        let image = Image::of(&self.watched.state.read(), at);
        Box::new(move || {
            let mut out = Vec::new();
            image.write(&mut out)?;
            Ok(out)
        })
    }

    fn receive(&mut self, at: Position, data: Bytes) -> Job<()> {
        let (kept, received) = (self.kept.clone(), self.received.clone());
        Box::new(move || {
            let (position, state) = Image::read(&mut data.as_ref())?.into_state();
            if (position.index, position.term) != (at.index, at.term) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the snapshot is of another position",
                ));
            }
            kept.replace(at.index, &|out| out.write_all(&data))?;
            *received.lock() = Some((at, state));
            Ok(())
        })
    }

    fn install(&mut self, at: &Position) {
        let received = self.received.lock().take_if(|(position, _)| position == at);
        let Some((_, state)) = received else {
            // The job of `receive` has succeeded, or this is not called; and a later one is not installed as this one.
            panic!("the snapshot at {} is not there", at.index);
        };
        let (floor, revision) = (state.history.floor, state.revision);
        let mut current = self.watched.state.write();
        *current = state;
        self.changed = self.watched.topics.replaced(floor, revision);
    }

    fn closed(&mut self, reason: &str) {
        let mut state = self.watched.state.write();
        state.closed = Some(reason.to_owned());
        let topics = self.watched.topics.all();
        drop(state);
        wake_all(&topics);
    }
}

impl Drop for Machine {
    /// Applying panicked: watchers must not wait for ever for what will not come.
    fn drop(&mut self) {
        let closed = self.watched.state.read().closed.is_some();
        if !closed {
            self.closed("applying an entry failed; see the log");
        }
    }
}
