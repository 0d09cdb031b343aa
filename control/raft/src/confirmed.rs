//! How many records of the log are on disk for certain, in a small file beside it.
//!
//! A record that is not whole at the end of the log is cut off when it is opened: a crash may have torn it, and then nobody was
//! told that it is there. But a record that was fsynced, acknowledged, and damaged afterwards looks the same, and with it
//! everything behind it in its file would go, unnoticed. This file tells one from the other: each record has a number, and
//! after its fsync the number is noted here.
//!
//! The note is not fsynced itself, which would double the cost of a write. It need not be: it never says more than what the log
//! has, so no crash makes a whole log look damaged. After a kill it is exact; after a loss of power it may be some seconds
//! old, and damage to what came later goes unnoticed.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::files::open_private;

/// A number and its checksum.
const LENGTH: usize = 12;

pub(crate) struct Confirmed {
    file: File,
    records: u64,
}

impl Confirmed {
    pub fn open(dir: &Path) -> io::Result<Self> {
        let path = path(dir);
        let file = open_private(&path)?;
        let mut bytes = [0; LENGTH];
        let records = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => decode(bytes).unwrap_or_else(|| {
                tracing::warn!(?path, "what the log should hold is unreadable, and not checked");
                0
            }),
            // Written by a version that had none, or a first start that was cut short.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(error),
        };
        Ok(Self { file, records })
    }

    /// How many there were when it was opened.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// So many are on disk. What can't be noted is only found out less well; it is never taken back.
    pub fn note(&self, records: u64) {
        if records > self.records
            && let Err(error) = self.file.write_all_at(&encode(records), 0)
        {
            tracing::debug!(%error, "the number of records on disk can't be noted");
        }
    }
}

/// Forgets what the log in `dir` should hold: what is there is taken for all there was.
///
/// # Errors
/// Those of the file system.
pub fn accept_loss(dir: &Path) -> io::Result<()> {
    match std::fs::remove_file(path(dir)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => File::open(dir)?.sync_all(),
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("confirmed")
}

fn encode(records: u64) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..8].copy_from_slice(&records.to_le_bytes());
    bytes[8..].copy_from_slice(&crc32fast::hash(&records.to_le_bytes()).to_le_bytes());
    bytes
}

fn decode(bytes: [u8; LENGTH]) -> Option<u64> {
    let records = u64::from_le_bytes(*bytes.first_chunk()?);
    (bytes == encode(records)).then_some(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_there_and_an_unreadable_note_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for records in [1, 2, u64::MAX] {
            Confirmed::open(dir.path()).unwrap().note(records);
            assert_eq!(Confirmed::open(dir.path()).unwrap().records(), records);
        }
        for bytes in [&b"0123456789ab"[..], &b"0123"[..], &[]] {
            std::fs::write(path(dir.path()), bytes).unwrap();
            assert_eq!(Confirmed::open(dir.path()).unwrap().records(), 0);
        }
        for _ in 0..2 {
            accept_loss(dir.path()).unwrap();
            assert!(!path(dir.path()).exists());
        }
    }
}
