//! The store as the state machine of its Raft group.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter},
    sync::Arc,
};

use bytes::Bytes;
use skiff_raft::{Job, Position, StateMachine};

use crate::{
    Committed, Config, Error,
    checkpoint::Image,
    codec::decode_txn,
    directory::{Directory, OpenError, replace},
    watch::{Topic, Watched, wake},
};

pub(crate) struct Machine {
    config: Config,
    watched: Arc<Watched>,
    /// Locked for as long as anything of the group may write in it.
    directory: Directory,
    restored: Option<Position>,
    /// Topics changed in this batch.
    changed: Vec<Arc<Topic>>,
}

impl Machine {
    /// Loads the checkpoint, if there is one, into `watched`.
    pub fn load(config: Config, watched: Arc<Watched>, directory: Directory) -> Result<Self, OpenError> {
        let checkpoint = directory.checkpoint();
        let restored = match File::open(&checkpoint) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => {
                return Err(OpenError::Io {
                    doing: "open",
                    path: checkpoint,
                    source,
                });
            }
            Ok(file) => {
                let image = Image::read(&mut BufReader::with_capacity(64 << 10, file)).map_err(|error| {
                    OpenError::Damaged {
                        path: checkpoint.clone(),
                        reason: error.to_string(),
                    }
                })?;
                let (at, state) = image.into_state();
                *watched.state.write() = state;
                Some(at)
            }
        };
        Ok(Self {
            config,
            watched,
            directory,
            restored,
            changed: Vec::new(),
        })
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
        let image = Image::of(&self.watched.state.read(), at);
        let path = self.directory.checkpoint();
        Box::new(move || {
            replace(&path, |file| {
                let mut out = BufWriter::with_capacity(64 << 10, file);
                image.write(&mut out)
            })
        })
    }

    fn snapshot(&mut self, at: Position) -> Job<Vec<u8>> {
        let image = Image::of(&self.watched.state.read(), at);
        Box::new(move || {
            let mut out = Vec::new();
            image.write(&mut out)?;
            Ok(out)
        })
    }

    fn restore(&mut self, at: Position, data: Bytes) -> io::Result<()> {
        let image = Image::read(&mut data.as_ref())?;
        let (position, state) = image.into_state();
        if (position.index, position.term) != (at.index, at.term) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the snapshot is of another position",
            ));
        }
        replace(&self.directory.checkpoint(), |file| {
            io::Write::write_all(file, &data)
        })?;
        let (floor, revision) = (state.history.floor, state.revision);
        let mut current = self.watched.state.write();
        *current = state;
        self.changed = self.watched.topics.replaced(floor, revision);
        Ok(())
    }

    fn closed(&mut self, reason: &str) {
        let mut state = self.watched.state.write();
        state.closed = Some(reason.to_owned());
        let mut topics = self.watched.topics.all();
        drop(state);
        wake(&mut topics);
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
