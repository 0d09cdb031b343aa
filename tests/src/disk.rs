//! Disks of their own for what is tested: small, and full or read-only when a test says so.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{need, need_root, run};

/// A file system in memory, mounted until this is dropped.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts one of so many MiB on an empty directory.
    ///
    /// # Errors
    /// [`Unmet`](crate::Unmet) for ordinary users.
    pub fn mount(path: &Path, mebibytes: u32) -> Result<Self> {
        need_root()?;
        let mut mount = Command::new(need("mount")?);
        mount
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={mebibytes}m,mode=755"),
                "tmpfs",
            ])
            .arg(path);
        run(&mut mount)?.ok()?;
        Ok(Self { path: path.into() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }

    /// Leaves no byte free.
    ///
    /// # Errors
    /// Other ones than that it is full.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::create(self.filler())?;
        let zeros = [0; 64 << 10];
        for size in [zeros.len(), 4096, 1] {
            loop {
                match file.write_all(&zeros[..size]) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("fill the disk"),
                }
            }
        }
        Ok(())
    }

    /// Takes away what [`Self::fill`] has put there.
    ///
    /// # Errors
    /// When it was not filled.
    pub fn clear(&self) -> Result<()> {
        std::fs::remove_file(self.filler()).context("clear the disk")
    }

    /// Makes it read-only, or writable again. Nothing may have a file open for writing.
    ///
    /// # Errors
    /// Those of mount(8).
    pub fn set_read_only(&self, is_read_only: bool) -> Result<()> {
        let options = if is_read_only { "remount,ro" } else { "remount,rw" };
        run(Command::new(need("mount")?).args(["-o", options]).arg(&self.path))?.ok()?;
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg(&self.path));
    }
}
