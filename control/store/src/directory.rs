//! The store's directory: `FORMAT`, `LOCK`, `checkpoint`, `log/`.
//!
//! A first start that is killed at any point leaves a directory that the next start completes: `FORMAT` is there
//! before anything else, and as a whole.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{checkpoint::Image, machine::Keeper};

/// How long to wait for one who is just leaving: a store that was dropped, or a process that was killed.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Version of the directory's layout; a version that reads it must know it.
pub(crate) const FORMAT: u32 = 1;

/// What to do about a store that is damaged.
const REMEDY: &str = "A server among others: remove it there (`skiff server remove`), remove its data directory and let it join \
    anew. The only one: move its store away and restore a snapshot, or, when it is only the end of the log, go on with what is \
    left by `skiff server --recover`";

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the store in {dir} is in use by another process")]
    Locked {
        /// Its directory.
        dir: PathBuf,
    },
    /// A newer version wrote it, or it is no store.
    #[error("the store in {dir} has format {found:?}; this version knows format {FORMAT}")]
    Format {
        /// Its directory.
        dir: PathBuf,
        /// What its format file says.
        found: String,
    },
    /// There is data but no format file: not something to guess about.
    #[error("{dir} holds data of a store but no FORMAT file")]
    NoFormat {
        /// Its directory.
        dir: PathBuf,
    },
    /// Making, reading or writing a file.
    #[error("{doing} {path}")]
    Io {
        /// The operation.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The checkpoint, or the log, does not read back, or has lost what it once held. Nothing was changed.
    #[error("{path} is damaged: {reason}. {REMEDY}")]
    Damaged {
        /// The file, or the log's directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The log can't be used, or Raft.
    #[error("open the log of the store")]
    Log(#[source] skiff_raft::OpenError),
    /// The log opened, but what is in it could not be applied in time, or its disk takes no writes.
    #[error("the store could not start: {0}")]
    Start(#[source] crate::Error),
    /// A snapshot is to be restored where there is something already.
    #[error("the store in {dir} is not empty: a snapshot is restored into a new one")]
    NotEmpty {
        /// Its directory.
        dir: PathBuf,
    },
    /// The thread that opened it ended.
    #[error("opening the store failed")]
    Failed,
}

/// The open directory; holds the lock until dropped.
pub(crate) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        make_dir(path)?;
        let lock_path = path.join("LOCK");
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(failed("open", &lock_path))?;
        let deadline = Instant::now() + LOCK_WAIT;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => return Err(OpenError::Locked { dir: path.into() }),
                Err(TryLockError::Error(source)) => return Err(failed("lock", &lock_path)(source)),
            }
        }
        let directory = Self {
            path: path.into(),
            _lock: lock,
        };
        directory.check_format()?;
        make_dir(&directory.log())?;
        sync_dir(path).map_err(failed("fsync", path))?;
        Ok(directory)
    }

    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint")
    }

    /// Whether anything was ever stored.
    pub fn is_empty(&self) -> bool {
        !self.checkpoint().exists()
            && std::fs::read_dir(self.log()).is_ok_and(|mut files| files.next().is_none())
    }

    /// Reads the checkpoint, if there is one.
    pub fn read_checkpoint(&self) -> Result<Option<Image>, OpenError> {
        let path = self.checkpoint();
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("open", &path)(source)),
            Ok(file) => Image::read(&mut BufReader::with_capacity(64 << 10, file))
                .map(Some)
                .map_err(|error| OpenError::Damaged {
                    path,
                    reason: error.to_string(),
                }),
        }
    }

    fn check_format(&self) -> Result<(), OpenError> {
        let path = self.path.join("FORMAT");
        let mut text = String::new();
        match File::open(&path).map(|file| file.take(64).read_to_string(&mut text)) {
            Ok(Ok(_)) if text == format!("{FORMAT}\n") => Ok(()),
            Ok(Ok(_)) => Err(OpenError::Format {
                dir: self.path.clone(),
                found: text.trim().into(),
            }),
            Ok(Err(source)) => Err(failed("read", &path)(source)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if self.log().exists() || self.checkpoint().exists() {
                    return Err(OpenError::NoFormat {
                        dir: self.path.clone(),
                    });
                }
                replace(&path, |file| file.write_all(format!("{FORMAT}\n").as_bytes()))
                    .map_err(failed("write", &path))
            }
            Err(source) => Err(failed("open", &path)(source)),
        }
    }
}

impl Keeper for Directory {
    fn replace(&self, write: &dyn Fn(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        replace(&self.checkpoint(), |file| {
            let mut out = BufWriter::with_capacity(64 << 10, file);
            write(&mut out)?;
            out.flush()
        })
    }
}

/// What is said of a log in this directory.
pub(crate) fn log_failed(path: &Path) -> impl FnOnce(skiff_raft::OpenError) -> OpenError {
    let path = path.to_owned();
    move |error| match error.is_damage() {
        true => OpenError::Damaged {
            path,
            reason: skiff_raft::chain(&error),
        },
        false => OpenError::Log(error),
    }
}

pub(crate) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { doing, path, source }
}

fn make_dir(path: &Path) -> Result<(), OpenError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed("make directory", path))
}

fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Writes a file anew: a temporary one beside it, fsync, rename, fsync of the directory. After a crash the path
/// holds the old content or the new, whole.
pub(crate) fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    let written = write(&mut file).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Space matters when the disk is full; that the removal fails too changes nothing.
        std::fs::remove_file(&temporary).ok();
        return Err(error);
    }
    std::fs::rename(&temporary, path)?;
    match path.parent() {
        Some(here) if here.as_os_str().is_empty() => sync_dir(Path::new(".")),
        Some(parent) => sync_dir(parent),
        None => Ok(()),
    }
}
