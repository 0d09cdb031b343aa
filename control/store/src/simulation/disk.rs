//! The disk of a simulated member: a log and a checkpoint that survive a crash as far as a real disk would let them.

use std::{
    io::{self, Write},
    sync::Arc,
};

use parking_lot::Mutex;
use skiff_raft::{
    LogError, Position,
    core::{LogDisk, Record, encode_members},
    eraftpb::{ConfState, Entry, HardState},
};

use crate::{checkpoint::Image, machine::Keeper};

#[derive(Clone, Default)]
struct Files {
    entries: Vec<Entry>,
    hard: Option<HardState>,
    base: Option<Position>,
}

#[derive(Default)]
struct Disk {
    now: Files,
    /// What was there before writes that no fsync has covered yet; a crash may bring it back.
    before: Option<Files>,
    checkpoint: Option<Vec<u8>>,
    full: bool,
    broken: bool,
    /// Broken on purpose: an append is reported durable though only the next one makes it so.
    lies: bool,
}

/// Shared by the runs of a member.
#[derive(Clone, Default)]
pub struct SimDisk(Arc<Mutex<Disk>>);

impl SimDisk {
    /// The disk of a voter of a group that has begun.
    pub fn of_voter(voters: &[u64], lies: bool) -> Self {
        let members = ConfState {
            voters: voters.to_vec(),
            ..Default::default()
        };
        let base = Position {
            index: 1,
            term: 1,
            members: encode_members(&members),
        };
        let mut hard = HardState::default();
        (hard.term, hard.commit) = (1, 1);
        let disk = Self::empty(lies);
        disk.reset(&base, &hard).unwrap();
        disk
    }

    /// The disk of a member that is to join.
    pub fn empty(lies: bool) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            lies,
            ..Disk::default()
        })))
    }

    pub fn checkpoint(&self) -> Option<Image> {
        let disk = self.0.lock();
        let bytes = disk.checkpoint.as_ref()?;
        Some(Image::read(&mut bytes.as_slice()).expect("a checkpoint is old or new, whole"))
    }

    /// What no fsync has covered may be gone. Whoever opens the log then fsyncs what is left, as the real one does.
    pub fn crash(&self, lost: bool) {
        let mut disk = self.0.lock();
        if let Some(before) = disk.before.take()
            && lost
        {
            disk.now = before;
        }
        disk.broken = false;
    }

    /// For a trace.
    pub fn describe(&self) -> String {
        let disk = self.0.lock();
        let files = &disk.now;
        let span = files.entries.first().zip(files.entries.last());
        format!(
            "base {:?}, entries {:?}, hard {:?}, checkpoint {}",
            files.base.as_ref().map(|base| (base.index, base.term)),
            span.map(|(first, last)| (first.index, last.index, last.term)),
            files
                .hard
                .as_ref()
                .map(|hard| (hard.term, hard.vote, hard.commit)),
            disk.checkpoint.is_some(),
        )
    }

    pub fn fill(&self, full: bool) {
        self.0.lock().full = full;
    }

    /// From now on an fsync fails, until the member starts again.
    pub fn break_down(&self) {
        self.0.lock().broken = true;
    }
}

impl LogDisk for SimDisk {
    fn hard_state(&self) -> Result<Option<HardState>, LogError> {
        Ok(self.0.lock().now.hard.clone())
    }

    fn base(&self) -> Result<Option<Position>, LogError> {
        Ok(self.0.lock().now.base.clone())
    }

    fn span(&self) -> Option<(u64, u64)> {
        let disk = self.0.lock();
        Some((disk.now.entries.first()?.index, disk.now.entries.last()?.index))
    }

    fn entries(&self, low: u64, high: u64, max_bytes: Option<u64>) -> Result<Vec<Entry>, LogError> {
        let disk = self.0.lock();
        let first = disk.now.entries.first().map_or(u64::MAX, |entry| entry.index);
        if low < first {
            return Err(LogError::Damaged(format!(
                "entry {low} is gone, the first is {first}"
            )));
        }
        let mut bytes = 0;
        let mut taken = Vec::new();
        for entry in disk.now.entries.iter().skip((low - first) as usize) {
            bytes += entry.data.len() as u64 + 64;
            if entry.index >= high || !taken.is_empty() && max_bytes.is_some_and(|max| bytes > max) {
                break;
            }
            taken.push(entry.clone());
        }
        Ok(taken)
    }

    fn term(&self, index: u64) -> Result<Option<u64>, LogError> {
        let disk = self.0.lock();
        let first = disk.now.entries.first().map_or(u64::MAX, |entry| entry.index);
        let at = index.checked_sub(first).map(|at| at as usize);
        Ok(at.and_then(|at| disk.now.entries.get(at)).map(|entry| entry.term))
    }

    fn append(&self, record: &Record) -> Result<(), LogError> {
        let mut disk = self.0.lock();
        if disk.broken {
            return Err(LogError::Sync("broken".into()));
        }
        if disk.full {
            return Err(LogError::NoSpace);
        }
        disk.before = disk.lies.then(|| disk.now.clone());
        if let Some(first) = record.entries.first() {
            let files = &mut disk.now;
            files.entries.retain(|entry| entry.index < first.index);
            let next = files
                .entries
                .last()
                .map(|entry| entry.index + 1)
                .or(files.base.as_ref().map(|base| base.index + 1));
            assert_eq!(next, Some(first.index), "a hole in the log");
            files.entries.extend(record.entries.iter().cloned());
        }
        if let Some(hard) = &record.hard {
            disk.now.hard = Some(hard.clone());
        }
        Ok(())
    }

    fn reset(&self, base: &Position, hard: &HardState) -> Result<(), LogError> {
        let mut disk = self.0.lock();
        if disk.broken {
            return Err(LogError::Sync("broken".into()));
        }
        disk.before = None;
        disk.now = Files {
            entries: Vec::new(),
            hard: Some(hard.clone()),
            base: Some(base.clone()),
        };
        Ok(())
    }

    fn compact(&self, base: &Position) -> Result<(), LogError> {
        let mut disk = self.0.lock();
        if disk.full {
            return Err(LogError::NoSpace);
        }
        if disk.before.is_none() {
            disk.before = Some(disk.now.clone());
        }
        disk.now.entries.retain(|entry| entry.index > base.index);
        disk.now.base = Some(base.clone());
        Ok(())
    }
}

impl Keeper for SimDisk {
    fn replace(&self, write: &dyn Fn(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut bytes = Vec::new();
        write(&mut bytes)?;
        let mut disk = self.0.lock();
        if disk.full || disk.broken {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.checkpoint = Some(bytes);
        Ok(())
    }
}
