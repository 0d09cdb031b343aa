//! The file system the log lives on, seen through `raft-engine`'s trait.
//!
//! Why not its default one: `raft-engine` panics when an fsync fails, and a failed disk must close the store, not
//! end the process. So `sync` here never fails: it keeps the first error in [`FileHealth`], and whoever wrote asks
//! afterwards (see `log.rs`). It also counts fsyncs, makes files 0600, and lets tests fail the disk.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use raft_engine::env::{FileSystem, Handle, Permission, WriteExt};

/// Opens a file for reading and writing, which nobody else can read; makes an empty one if it is not there.
pub(crate) fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// What the log's files went through; shared with tests, which can also break things here.
#[derive(Debug, Default)]
pub struct FileHealth {
    syncs: AtomicU64,
    written: AtomicU64,
    sync_error: Mutex<Option<String>>,
    no_space: AtomicBool,
    fault_sync: AtomicBool,
    fault_space: AtomicBool,
    fault_read_only: AtomicBool,
    fault_delay_us: AtomicU64,
}

impl FileHealth {
    /// Number of fsyncs since the log was opened.
    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Number of bytes written since the log was opened.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// The first fsync error, if there was one. After it nothing on this log may be trusted to be durable: the
    /// kernel may have dropped the dirty pages (fsync(2), EIO), so trying again proves nothing.
    pub fn sync_error(&self) -> Option<String> {
        self.sync_error.lock().clone()
    }

    /// Whether a write failed for lack of space since the last call.
    pub(crate) fn take_no_space(&self) -> bool {
        self.no_space.swap(false, Ordering::Relaxed)
    }

    /// For tests: from now on every fsync fails.
    #[doc(hidden)]
    pub fn fail_syncs(&self) {
        self.fault_sync.store(true, Ordering::Relaxed);
    }

    /// For tests: from now on writes fail with ENOSPC (or no longer do).
    #[doc(hidden)]
    pub fn fill_disk(&self, full: bool) {
        self.fault_space.store(full, Ordering::Relaxed);
    }

    /// For tests: from now on writes fail as on a disk that the kernel has made read-only.
    #[doc(hidden)]
    pub fn make_read_only(&self) {
        self.fault_read_only.store(true, Ordering::Relaxed);
    }

    /// For tests: every fsync takes this much longer.
    #[doc(hidden)]
    pub fn slow_syncs(&self, by: Duration) {
        self.fault_delay_us
            .store(by.as_micros() as u64, Ordering::Relaxed);
    }
}

/// Plain files under the log's directory.
pub(crate) struct LogFiles {
    pub health: Arc<FileHealth>,
    pub cuts: Cuts,
}

/// An open log file.
pub(crate) struct LogFile {
    file: File,
    health: Arc<FileHealth>,
    cuts: Cuts,
}

/// What the engine has cut off the files while it was opened. Written back where it was when the last of them is dropped,
/// unless it is [forgotten](Cuts::forget).
#[derive(Clone, Default)]
pub(crate) struct Cuts(Arc<Mutex<Vec<Cut>>>);

struct Cut {
    file: File,
    at: u64,
    bytes: Vec<u8>,
}

impl Cuts {
    /// They are cut off for good.
    pub fn forget(&self) {
        for mut cut in self.0.lock().drain(..) {
            cut.bytes.clear();
        }
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        if !self.bytes.is_empty()
            && let Err(error) = self.file.write_all_at(&self.bytes, self.at)
        {
            tracing::error!(%error, "what was cut off the log could not be put back");
        }
    }
}

/// A position in an open log file, for reading or writing.
pub(crate) struct Cursor {
    file: Arc<LogFile>,
    offset: u64,
}

impl FileSystem for LogFiles {
    type Handle = LogFile;
    type Reader = Cursor;
    type Writer = Cursor;

    fn create<P: AsRef<Path>>(&self, path: P) -> io::Result<LogFile> {
        if self.health.fault_space.load(Ordering::Relaxed) {
            return Err(self.full());
        }
        let file = open_private(path.as_ref())?;
        Ok(LogFile {
            file,
            health: self.health.clone(),
            cuts: self.cuts.clone(),
        })
    }

    fn open<P: AsRef<Path>>(&self, path: P, perm: Permission) -> io::Result<LogFile> {
        let file = OpenOptions::new()
            .read(true)
            .write(perm == Permission::ReadWrite)
            .open(path)?;
        Ok(LogFile {
            file,
            health: self.health.clone(),
            cuts: self.cuts.clone(),
        })
    }

    fn delete<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn rename<P: AsRef<Path>>(&self, from: P, to: P) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn new_reader(&self, file: Arc<LogFile>) -> io::Result<Cursor> {
        Ok(Cursor { file, offset: 0 })
    }

    fn new_writer(&self, file: Arc<LogFile>) -> io::Result<Cursor> {
        Ok(Cursor { file, offset: 0 })
    }
}

impl LogFiles {
    fn full(&self) -> io::Error {
        self.health.no_space.store(true, Ordering::Relaxed);
        no_space()
    }
}

/// `raft-engine` recognises a full disk by the word `nospace` in the text.
fn no_space() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "nospace")
}

impl Handle for LogFile {
    /// Only called while the engine is opened, for what it finds damaged.
    fn truncate(&self, offset: usize) -> io::Result<()> {
        let at = offset as u64;
        let mut bytes = vec![0; usize::try_from(self.file.metadata()?.len().saturating_sub(at)).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, at)?;
        self.file.set_len(at)?;
        self.cuts.0.lock().push(Cut {
            file: self.file.try_clone()?,
            at,
            bytes,
        });
        Ok(())
    }

    fn file_size(&self) -> io::Result<usize> {
        Ok(self.file.metadata()?.len() as usize)
    }

    fn sync(&self) -> io::Result<()> {
        let delay = self.health.fault_delay_us.load(Ordering::Relaxed);
        if delay > 0 {
            std::thread::sleep(Duration::from_micros(delay));
        }
        let result = if self.health.fault_sync.load(Ordering::Relaxed) {
            Err(io::Error::other("fault injected"))
        } else {
            self.file.sync_data()
        };
        self.health.syncs.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = result {
            self.health
                .sync_error
                .lock()
                .get_or_insert_with(|| error.to_string());
        }
        Ok(())
    }
}

impl Read for Cursor {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.file.read_at(buf, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

impl Write for Cursor {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let health = &self.file.health;
        let result = if health.fault_space.load(Ordering::Relaxed) {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        } else if health.fault_read_only.load(Ordering::Relaxed) {
            Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem))
        } else {
            self.file.file.write_at(buf, self.offset)
        };
        match result {
            Ok(written) => {
                health.written.fetch_add(written as u64, Ordering::Relaxed);
                self.offset += written as u64;
                Ok(written)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                ) =>
            {
                health.no_space.store(true, Ordering::Relaxed);
                Err(no_space())
            }
            Err(error) => Err(error),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let offset = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.offset.checked_add_signed(by),
            SeekFrom::End(by) => self.file.file.metadata()?.len().checked_add_signed(by),
        };
        self.offset = offset.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.offset)
    }
}

impl WriteExt for Cursor {
    fn truncate(&mut self, offset: usize) -> io::Result<()> {
        self.file.file.set_len(offset as u64)?;
        self.offset = offset as u64;
        Ok(())
    }

    /// Reserves space ahead, so that an fsync writes data and no new metadata. Only a wish: the engine logs a
    /// refusal and goes on.
    fn allocate(&mut self, offset: usize, size: usize) -> io::Result<()> {
        match rustix::fs::fallocate(
            &self.file.file,
            rustix::fs::FallocateFlags::empty(),
            offset as u64,
            size as u64,
        ) {
            Err(rustix::io::Errno::OPNOTSUPP) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
