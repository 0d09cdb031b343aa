//! The log on disk: entries, hard state and where the log begins, in `raft-engine`.
//!
//! Three keys beside the entries: `hard` (term, vote, commit), `base` (the position the log begins after) and
//! `records` (how many were fsynced, see `confirmed.rs`). All changes of one write are one record with a checksum: after a
//! crash a record is there as a whole or not at all.

use std::{path::Path, sync::Arc};

use parking_lot::Mutex;
use protobuf::Message as _;
use raft::eraftpb::{ConfState, Entry, HardState};
use raft_engine::{Command, Engine, LogBatch, MessageExt, ReadableSize, RecoveryMode};

use crate::{
    confirmed::Confirmed,
    disk::{LogDisk, LogError, Record},
    files::{Cuts, FileHealth, LogFiles, open_private},
    machine::Position,
};

/// The only Raft group in the engine.
const GROUP: u64 = 1;
const HARD: &[u8] = b"hard";
const BASE: &[u8] = b"base";
const RECORDS: &[u8] = b"records";

struct Entries;

impl MessageExt for Entries {
    type Entry = Entry;

    fn index(entry: &Entry) -> u64 {
        entry.index
    }
}

/// The log on disk. Writes come from one thread at a time, reads from any.
pub(crate) struct Log {
    engine: Engine<LogFiles>,
    health: Arc<FileHealth>,
    confirmed: Confirmed,
    /// Number of fsynced records.
    records: Mutex<u64>,
    /// Put back when the engine is closed, see [`Log::read`]: after it in this list.
    _cut_off: Option<Cuts>,
}

impl Log {
    /// Opens the log in `dir`, which must exist.
    ///
    /// A torn record at the end is cut off (`TolerateTailCorruption`). That is safe for acknowledged writes: a write
    /// is acknowledged after the fsync of its record, so a record that is not whole was never acknowledged, and
    /// every file but the last was fsynced before the next one was made. Damage anywhere else refuses to open, and so does
    /// a cut that took more than what a crash can tear.
    ///
    /// What a killed process left in the page cache reads back like any other record, though no fsync may have
    /// covered it. Raft would count such entries as persisted, so the log is fsynced once, here, before it is used.
    ///
    /// # Errors
    /// The disk is left as it was found.
    pub fn open(dir: &Path, health: Arc<FileHealth>) -> Result<Self, LogError> {
        let (log, lost) = Self::read(dir, health)?;
        match lost {
            0 => log.commit(|_| Ok(()), true).map(|()| log),
            records => Err(LogError::Lost { records }),
        }
    }

    /// Opens it for reading, and says how many of its last records were fsynced and are lost. If there are any, the disk
    /// is as it was found when the log is dropped.
    pub fn read(dir: &Path, health: Arc<FileHealth>) -> Result<(Self, u64), LogError> {
        let name = dir.to_string_lossy().into_owned();
        let config = raft_engine::Config {
            dir: name.clone(),
            recovery_mode: RecoveryMode::TolerateTailCorruption,
            recovery_threads: 1,
            target_file_size: ReadableSize::mb(8),
            purge_threshold: ReadableSize::mb(16),
            purge_rewrite_threshold: Some(ReadableSize::mb(8)),
            enable_log_recycle: false,
            ..Default::default()
        };
        let failed = |source| LogError::Open {
            dir: name.clone(),
            source,
        };
        // The engine makes its own lock file, but readable to all.
        let lock = dir.join("LOCK");
        open_private(&lock).map_err(|source| failed(source.into()))?;
        remove_unbegun(dir).map_err(|source| failed(source.into()))?;
        let confirmed = Confirmed::open(dir).map_err(|source| failed(source.into()))?;
        let cuts = Cuts::default();
        let files = Arc::new(LogFiles {
            health: health.clone(),
            cuts: cuts.clone(),
        });
        let engine = Engine::open_with_file_system(config, files).map_err(failed)?;
        let records = engine
            .get(GROUP, RECORDS)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u64::from_le_bytes);
        let lost = confirmed.records().saturating_sub(records);
        let cut_off = if lost > 0 {
            Some(cuts)
        } else {
            cuts.forget();
            None
        };
        let log = Self {
            engine,
            health,
            confirmed,
            records: Mutex::new(records),
            _cut_off: cut_off,
        };
        Ok((log, lost))
    }

    fn commit(
        &self,
        fill: impl FnOnce(&mut LogBatch) -> raft_engine::Result<()>,
        sync: bool,
    ) -> Result<(), LogError> {
        let mut records = self.records.lock();
        self.check()?;
        self.health.take_no_space();
        let mut batch = LogBatch::default();
        let filled = fill(&mut batch).and_then(|()| {
            if sync {
                batch.put(GROUP, RECORDS.to_vec(), (*records + 1).to_le_bytes().to_vec())?;
            }
            Ok(())
        });
        filled.map_err(LogError::Write)?;
        match self.engine.write(&mut batch, sync) {
            Ok(_) => self.check()?,
            Err(_) if self.health.take_no_space() => {
                self.check()?;
                return Err(LogError::NoSpace);
            }
            Err(error) => return Err(LogError::Write(error)),
        }
        if sync {
            *records += 1;
            self.confirmed.note(*records);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), LogError> {
        self.health
            .sync_error()
            .map_or(Ok(()), |error| Err(LogError::Sync(error)))
    }
}

impl LogDisk for Log {
    fn hard_state(&self) -> Result<Option<HardState>, LogError> {
        self.engine.get_message(GROUP, HARD).map_err(LogError::Read)
    }

    fn base(&self) -> Result<Option<Position>, LogError> {
        let Some(bytes) = self.engine.get(GROUP, BASE) else {
            return Ok(None);
        };
        if bytes.len() < 16 {
            return Err(LogError::Damaged("the base record is too short".into()));
        }
        let number = |at: usize| {
            let mut raw = [0; 8];
            raw.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(raw)
        };
        Ok(Some(Position {
            index: number(0),
            term: number(8),
            members: bytes[16..].to_vec(),
        }))
    }

    fn span(&self) -> Option<(u64, u64)> {
        Some((self.engine.first_index(GROUP)?, self.engine.last_index(GROUP)?))
    }

    fn entries(&self, low: u64, high: u64, max_bytes: Option<u64>) -> Result<Vec<Entry>, LogError> {
        let mut entries = Vec::new();
        let max = max_bytes.map(|max| usize::try_from(max).unwrap_or(usize::MAX));
        self.engine
            .fetch_entries_to::<Entries>(GROUP, low, high, max, &mut entries)
            .map_err(LogError::Read)?;
        Ok(entries)
    }

    fn term(&self, index: u64) -> Result<Option<u64>, LogError> {
        let entry = self
            .engine
            .get_entry::<Entries>(GROUP, index)
            .map_err(LogError::Read)?;
        Ok(entry.map(|entry| entry.term))
    }

    fn append(&self, record: &Record) -> Result<(), LogError> {
        self.commit(
            |batch| {
                batch.add_entries::<Entries>(GROUP, &record.entries)?;
                if let Some(hard) = &record.hard {
                    batch.put_message(GROUP, HARD.to_vec(), hard)?;
                }
                Ok(())
            },
            true,
        )
    }

    fn reset(&self, base: &Position, hard: &HardState) -> Result<(), LogError> {
        self.commit(
            |batch| {
                batch.add_command(GROUP, Command::Clean);
                batch.put(GROUP, BASE.to_vec(), encode(base))?;
                batch.put_message(GROUP, HARD.to_vec(), hard)
            },
            true,
        )
    }

    /// Files that hold nothing else go with the entries.
    fn compact(&self, base: &Position) -> Result<(), LogError> {
        self.commit(
            |batch| {
                batch.add_command(
                    GROUP,
                    Command::Compact {
                        index: base.index + 1,
                    },
                );
                batch.put(GROUP, BASE.to_vec(), encode(base))
            },
            false,
        )?;
        self.engine.purge_expired_files().map_err(LogError::Write)?;
        self.check()
    }
}

/// On a full disk the engine may make its next file, have no room for the header, and write on to the one before, with
/// reserved space behind the last record until it is closed. After a kill it would find that space in a file that is not the
/// last, and take it for damage. A file without a header was never used.
fn remove_unbegun(dir: &Path) -> std::io::Result<()> {
    const LEAST: u64 = 16;
    for queue in ["raftlog", "rewrite"] {
        let files = std::fs::read_dir(dir)?.map(|file| file.map(|file| file.path()));
        let mut files = files.collect::<Result<Vec<_>, _>>()?;
        files.retain(|path| path.extension().is_some_and(|extension| extension == queue));
        files.sort_unstable();
        if let [.., _, last] = files.as_slice()
            && std::fs::metadata(last)?.len() < LEAST
        {
            tracing::info!(file = ?last, "a file of the log that was never begun is removed");
            std::fs::remove_file(last)?;
        }
    }
    Ok(())
}

fn encode(base: &Position) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16 + base.members.len());
    bytes.extend_from_slice(&base.index.to_le_bytes());
    bytes.extend_from_slice(&base.term.to_le_bytes());
    bytes.extend_from_slice(&base.members);
    bytes
}

/// Members as [`Position`] keeps them.
pub fn encode_members(members: &ConfState) -> Vec<u8> {
    // Writing to memory can only fail on a message with required fields, and this one has none.
    members.write_to_bytes().unwrap_or_default()
}

/// The group of one, as [`Position`] keeps members.
pub fn members_of_one(member: u64) -> Vec<u8> {
    encode_members(&ConfState {
        voters: vec![member],
        ..Default::default()
    })
}

/// The reverse of [`encode_members`].
pub(crate) fn decode_members(bytes: &[u8]) -> Result<ConfState, LogError> {
    ConfState::parse_from_bytes(bytes).map_err(|error| LogError::Damaged(format!("members: {error}")))
}
