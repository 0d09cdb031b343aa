//! Clocks of servers and agents that are wrong, or move, while the machine's own goes on.
//!
//! The machine has one clock for all of its namespaces (time namespaces cover the monotonic ones only), and other tests live
//! by it. libfaketime stands between a program and the C library and adds an offset, read from a file, to what the clock
//! says: no switch in the program under test, no right to set a clock, and it holds for every library in the program, TLS
//! too. Monotonic time is left alone, as it is when a real clock is set.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use anyhow::{Context, Result};

use crate::Unmet;

/// The clock of the programs that are started with it.
#[derive(Clone, Debug)]
pub struct Clock {
    library: PathBuf,
    offset: PathBuf,
    _shared: Arc<Shared>,
}

/// What programs that live by a clock share with their children, in `/dev/shm`: those that are killed leave it there.
#[derive(Debug)]
struct Shared;

impl Drop for Shared {
    fn drop(&mut self) {
        let files = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
        for file in files.map(|file| file.path()) {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let process = ["faketime_shm_", "sem.faketime_sem_"]
                .iter()
                .find_map(|kind| name.strip_prefix(kind));
            if process.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
                let _ = fs::remove_file(&file);
            }
        }
    }
}

impl Clock {
    /// Shows the machine's time; `offset` is the file to keep what it is ahead in.
    ///
    /// # Errors
    /// [`Unmet`] without libfaketime.
    pub fn new(offset: &Path) -> Result<Self> {
        let folders =
            ["x86_64-linux-gnu", "aarch64-linux-gnu", "."].map(|name| Path::new("/usr/lib").join(name));
        let library = folders
            .map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
            .into_iter()
            .find(|file| file.is_file())
            .ok_or_else(|| Unmet("libfaketime is not installed".into()))?;
        let clock = Self {
            library,
            offset: offset.into(),
            _shared: Arc::new(Shared),
        };
        clock.set(0)?;
        Ok(clock)
    }

    /// So many days ahead, from about now on.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn set(&self, days: u32) -> Result<()> {
        // As a whole: it is read at any moment.
        let new = self.offset.with_extension("new");
        fs::write(&new, format!("+{days}d\n"))
            .and_then(|()| fs::rename(&new, &self.offset))
            .context("set a clock")
    }

    /// The command will live by it.
    pub fn wind(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.offset)
            // Seconds.
            .env("FAKETIME_CACHE_DURATION", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_DISABLE_SHM", "1")
            .env("NO_FAKE_STAT", "1");
    }
}
