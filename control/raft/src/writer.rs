//! What is to be written to the log, and the thread that does it.
//!
//! The thread takes everything that has queued up while the last fsync ran and writes it as one record with one fsync
//! (group commit). The thread that runs Raft never waits for the disk, so heartbeats go on when the disk is slow.

use std::{
    collections::VecDeque,
    sync::{Arc, mpsc},
    time::Duration,
};

use raft::eraftpb::{HardState, Message};

use crate::{
    disk::{LogDisk, LogError, Record},
    machine::{Job, Position},
};

/// How long to wait between attempts when the disk is full.
const FULL_DISK_PAUSE: Duration = Duration::from_millis(500);

/// Most bytes of entries in one record.
const MAX_RECORD_BYTES: usize = 4 << 20;

/// A change of the log, to be made durable in the order in which they were asked for.
pub enum Task {
    /// Put a `Ready` on disk.
    Write {
        /// Its number.
        number: u64,
        /// What it holds.
        record: Record,
        /// What may be sent once it is on disk.
        messages: Vec<Message>,
    },
    /// Take in a snapshot: make it durable, then begin the log after it.
    Restore {
        /// The number of the `Ready` that holds it.
        number: u64,
        /// Makes the snapshot durable.
        job: Job<()>,
        /// Where the log begins then.
        base: Position,
        /// Term, vote and commit.
        hard: HardState,
        /// What may be sent once it is on disk.
        messages: Vec<Message>,
    },
    /// Drop what a durable checkpoint covers.
    Compact(Position),
}

/// What became of a task.
pub enum Report {
    /// Every `Ready` up to this one is on disk; these messages may go now.
    Persisted {
        /// The number of the last one.
        number: u64,
        /// Votes and acknowledgements.
        messages: Vec<Message>,
    },
    /// The disk is full (or no longer): writes wait.
    Full(bool),
    /// The log can't be written any more.
    Failed(LogError),
}

/// Takes the next task off the queue, with all that can share its record: entries that replace earlier ones begin a
/// new one.
pub fn gather(queue: &mut VecDeque<Task>) -> Option<Task> {
    let mut task = queue.pop_front()?;
    if let Task::Write {
        number,
        record,
        messages,
    } = &mut task
    {
        let mut bytes: usize = record.entries.iter().map(|entry| entry.data.len()).sum();
        while bytes < MAX_RECORD_BYTES
            && let Some(Task::Write { record: more, .. }) = queue.front()
            && match (record.entries.last(), more.entries.first()) {
                (Some(last), Some(first)) => first.index == last.index + 1,
                _ => true,
            }
            && let Some(Task::Write {
                number: n,
                record: mut more,
                messages: mut after,
            }) = queue.pop_front()
        {
            bytes += more.entries.iter().map(|entry| entry.data.len()).sum::<usize>();
            record.entries.append(&mut more.entries);
            record.hard = more.hard.or(record.hard.take());
            messages.append(&mut after);
            *number = n;
        }
    }
    Some(task)
}

/// Runs until the queue's sender is gone, or the log fails.
pub(crate) fn run<D: LogDisk>(log: &Arc<D>, tasks: &mpsc::Receiver<Task>, report: impl Fn(Report)) {
    let mut queue = VecDeque::new();
    loop {
        if queue.is_empty() {
            match tasks.recv() {
                Ok(task) => queue.push_back(task),
                Err(_) => return,
            }
        }
        queue.extend(tasks.try_iter());
        let result = match gather(&mut queue) {
            None => Ok(()),
            Some(Task::Write {
                number,
                record,
                messages,
            }) => write(&**log, &record, &report).map(|()| report(Report::Persisted { number, messages })),
            Some(Task::Restore {
                number,
                job,
                base,
                hard,
                messages,
            }) => job()
                .map_err(LogError::Snapshot)
                .and_then(|()| log.reset(&base, &hard))
                .map(|()| report(Report::Persisted { number, messages })),
            Some(Task::Compact(base)) => match log.compact(&base) {
                // Compaction frees space; without room even for its record, it is tried again at the next one.
                Err(LogError::NoSpace) => Ok(()),
                result => result,
            },
        };
        if let Err(error) = result {
            report(Report::Failed(error));
            return;
        }
    }
}

fn write<D: LogDisk>(log: &D, record: &Record, report: &impl Fn(Report)) -> Result<(), LogError> {
    let mut full = false;
    loop {
        match log.append(record) {
            Err(LogError::NoSpace) => {
                if !full {
                    report(Report::Full(true));
                    full = true;
                }
                std::thread::sleep(FULL_DISK_PAUSE);
            }
            result => {
                if full {
                    report(Report::Full(false));
                }
                return result;
            }
        }
    }
}
