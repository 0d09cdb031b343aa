//! Disks of their own for what is tested: small, and full or read-only when a test says so.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{Unmet, need, need_root, run};

/// What a [`Disk`] is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskKind {
    /// Memory: it can be read-only at a start.
    Memory,
    /// A block device, which can [fail](Disk::fail) under who uses it.
    Device,
}

/// A file system of its own, mounted until this is dropped.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    /// The file behind the device.
    image: Option<PathBuf>,
}

impl Disk {
    /// Mounts one of so many MiB on an empty directory; a device's contents are in a file beside it.
    ///
    /// # Errors
    /// [`Unmet`](crate::Unmet) for ordinary users, and for a device where there are no loop devices.
    pub fn mount(path: &Path, kind: DiskKind, mebibytes: u32) -> Result<Self> {
        need_root()?;
        need("mount")?;
        let image = match kind {
            DiskKind::Memory => {
                let size = format!("size={mebibytes}m,mode=755");
                let words = ["-t", "tmpfs", "-o", &size, "tmpfs"];
                run(Command::new("mount").args(words).arg(path))?.ok()?;
                None
            }
            DiskKind::Device => {
                if !Path::new("/dev/loop-control").exists() {
                    return Err(Unmet("loop devices".into()).into());
                }
                let image = path.with_extension("image");
                File::create(&image)?.set_len(u64::from(mebibytes) << 20)?;
                run(Command::new(need("mkfs.ext4")?).arg("-q").arg(&image))?.ok()?;
                Some(image)
            }
        };
        let disk = Self {
            path: path.into(),
            image,
        };
        disk.attach()?;
        Ok(disk)
    }

    fn attach(&self) -> Result<()> {
        if let Some(image) = &self.image {
            let words = ["-o", "loop,errors=remount-ro"];
            run(Command::new("mount").args(words).arg(image).arg(&self.path))?.ok()?;
        }
        Ok(())
    }

    /// What the kernel does when the device fails: read-only, at once, also for who has files open.
    ///
    /// # Errors
    /// When it is not a device.
    pub fn fail(&self) -> Result<()> {
        ensure!(self.image.is_some(), "memory does not fail");
        run(Command::new("mount")
            .args(["-o", "remount,abort"])
            .arg(&self.path))?
        .ok()?;
        Ok(())
    }

    /// The device is good again. Nothing may have a file open.
    ///
    /// # Errors
    /// Those of mount(8).
    pub fn mend(&self) -> Result<()> {
        run(Command::new("umount").arg(&self.path))?.ok()?;
        self.attach()
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
