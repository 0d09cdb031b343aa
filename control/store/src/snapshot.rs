//! Snapshots as files, and what is done to a store that does not run: saving, restoring, going on without the others.
//!
//! A snapshot has the format of a checkpoint (see `checkpoint.rs`): version, checksums, an end. Objects that are kept
//! encrypted are encrypted in it too, so a snapshot is of use only together with the keys.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use skiff_raft::{Members, Position, Replayed, StateMachine, core::members_of_one, replay};

use crate::{
    Config, OpenError, Revision,
    checkpoint::Image,
    directory::{Directory, failed, log_failed, replace},
    machine::{Keeper, Machine},
    state::State,
    watch::Watched,
};

/// How far revisions jump when a snapshot is restored: more than a cluster writes between a snapshot and its loss.
/// Clients that saw what came after the snapshot have to list again, and never take something old for new.
pub const REVISIONS_AHEAD: Revision = 1_000_000_000;

/// A state to be written to a file.
pub struct Snapshot(Image);

impl Snapshot {
    pub(crate) fn of(state: &State) -> Self {
        // Where the log stood means nothing in another group; that it is not the beginning does.
        let at = Position {
            index: 1,
            term: 1,
            members: members_of_one(1),
        };
        Self(Image::of(state, at))
    }

    /// Writes it. Blocks.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.0.write(out)
    }

    /// Writes it to a file, which is there whole or not at all, and is durable when this returns. Blocks.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        replace(path, |file| {
            let mut out = BufWriter::with_capacity(64 << 10, file);
            self.write(&mut out)?;
            out.flush()
        })
    }
}

/// What a snapshot, or a store that does not run, holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The revision it shows.
    pub revision: Revision,
    /// Number of keys.
    pub keys: usize,
    /// Bytes of keys and values.
    pub bytes: usize,
    /// Number of keys by `group/plural`, and of keys that are no objects by their first part.
    pub kinds: BTreeMap<String, usize>,
}

impl Summary {
    fn of<'a>(revision: Revision, entries: impl Iterator<Item = &'a crate::Entry>) -> Self {
        let mut summary = Self {
            revision,
            keys: 0,
            bytes: 0,
            kinds: BTreeMap::new(),
        };
        for entry in entries {
            summary.keys += 1;
            summary.bytes += entry.key.len() + entry.value.len();
            *summary.kinds.entry(kind(&entry.key)).or_default() += 1;
        }
        summary
    }
}

/// `group/plural` of an object's key, and of other keys their first part.
fn kind(key: &[u8]) -> String {
    let key = String::from_utf8_lossy(key);
    let parts = match key.strip_prefix("/registry/") {
        Some(object) => object.splitn(3, '/').take(2),
        None => key.trim_start_matches('/').splitn(2, '/').take(1),
    };
    parts.collect::<Vec<_>>().join("/")
}

fn read(path: &Path) -> Result<Image, OpenError> {
    let file = File::open(path).map_err(failed("open", path))?;
    Image::read(&mut BufReader::with_capacity(64 << 10, file)).map_err(failed("read the snapshot", path))
}

/// Reads a snapshot whole, checksums included, and says what is in it. Blocks.
///
/// # Errors
/// `Io` with the reason when it is damaged, cut short, or of a format that this version does not know.
pub fn inspect(path: &Path) -> Result<Summary, OpenError> {
    let image = read(path)?;
    Ok(Summary::of(image.revision(), image.entries()))
}

/// Makes a new store in `dir`, a group of one, from a snapshot. Revisions go on [`REVISIONS_AHEAD`] later. Blocks.
///
/// # Errors
/// The snapshot is no good, or the directory holds a store; nothing was changed then.
pub fn restore(path: &Path, dir: &Path, member: u64) -> Result<Summary, OpenError> {
    let image = read(path)?.of_new_group(member, REVISIONS_AHEAD);
    let directory = Directory::open(dir)?;
    if !directory.is_empty() {
        return Err(OpenError::NotEmpty { dir: dir.into() });
    }
    let summary = Summary::of(image.revision(), image.entries());
    Keeper::replace(&directory, &|out| image.write(out)).map_err(failed("write", &directory.checkpoint()))?;
    Ok(summary)
}

/// The store in a directory, while it does not run. Holds its lock.
pub struct Offline {
    directory: Arc<Directory>,
    watched: Arc<Watched>,
    member: u64,
    replayed: Replayed,
}

impl Offline {
    /// Reads checkpoint and log. Blocks.
    ///
    /// # Errors
    /// It is in use, damaged, or there is nothing.
    pub fn open(dir: &Path, member: u64) -> Result<Self, OpenError> {
        let directory = Arc::new(Directory::open(dir)?);
        let watched = Arc::new(Watched::default());
        let checkpoint = directory.read_checkpoint()?;
        let config = Config::new(dir);
        let mut machine = Machine::new(config, watched.clone(), directory.clone(), checkpoint);
        let log = directory.log();
        let replayed = replay(&log, member, &mut machine).map_err(log_failed(&log))?;
        machine.closed("it does not run");
        Ok(Self {
            directory,
            watched,
            member,
            replayed,
        })
    }

    /// All that is on this disk.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.watched.state.read())
    }

    /// What it holds.
    pub fn summary(&self) -> Summary {
        let state = self.watched.state.read();
        Summary::of(state.revision, state.map.iter())
    }

    /// The members it knew.
    pub fn members(&self) -> &Members {
        &self.replayed.members
    }

    /// Number of entries on this disk that it does not know to be committed: writes that were under way, or that others
    /// committed and this member had not heard of yet.
    pub fn undecided(&self) -> u64 {
        self.replayed.at.index.saturating_sub(self.replayed.committed)
    }

    /// Number of records that were on this disk, may have been acknowledged, and are damaged or gone.
    pub fn lost(&self) -> u64 {
        self.replayed.lost
    }

    /// Makes it a group of one that keeps all that is on this disk. One durable step: afterwards the members are this one
    /// alone, before it nothing has changed. What is [lost](Self::lost) is given up then: cut short just before, it is to be
    /// done again. Blocks.
    ///
    /// # Errors
    /// The checkpoint can't be written.
    pub fn go_on_alone(self) -> Result<PathBuf, OpenError> {
        let at = Position {
            members: members_of_one(self.member),
            ..self.replayed.at
        };
        let image = Image::of(&self.watched.state.read(), at);
        let path = self.directory.checkpoint();
        Keeper::replace(&*self.directory, &|out| image.write(out)).map_err(failed("write", &path))?;
        if self.replayed.lost > 0 {
            let log = self.directory.log();
            skiff_raft::accept_loss(&log).map_err(failed("accept the loss in", &log))?;
        }
        Ok(path)
    }
}

/// Takes away all but the newest `keep` files of a directory whose names have this beginning, by name.
///
/// # Errors
/// The directory can't be read.
pub fn prune(dir: &Path, beginning: &str, keep: usize) -> io::Result<()> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)?
        .filter_map(Result::ok)
        .filter(|file| file.file_name().to_string_lossy().starts_with(beginning))
        .map(|file| file.path())
        .collect();
    files.sort_unstable();
    for old in files.iter().rev().skip(keep) {
        // Space is what this is for; the next round tries again.
        std::fs::remove_file(old).ok();
    }
    Ok(())
}
