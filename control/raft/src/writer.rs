//! The thread that writes the log.
//!
//! It takes everything that has queued up while the last fsync ran and writes it as one record with one fsync
//! (group commit). The thread that runs Raft never waits for the disk, so heartbeats go on when the disk is slow.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use raft::eraftpb::{HardState, Message};

use crate::{
    log::{Log, LogError, Record},
    machine::Position,
};

/// How long to wait between attempts when the disk is full.
const FULL_DISK_PAUSE: Duration = Duration::from_millis(500);

/// Most bytes of entries in one record.
const MAX_RECORD_BYTES: usize = 4 << 20;

pub(crate) enum Task {
    /// Put a `Ready` on disk.
    Write {
        number: u64,
        record: Record,
        messages: Vec<Message>,
    },
    /// Forget everything and begin after a snapshot; `done` is told, or dropped on failure.
    Reset {
        base: Position,
        hard: HardState,
        done: mpsc::Sender<()>,
    },
    /// Drop what a durable checkpoint covers.
    Compact(Position),
}

pub(crate) enum Report {
    /// Every `Ready` up to this one is on disk; these messages may go now.
    Persisted { number: u64, messages: Vec<Message> },
    /// The disk is full (or no longer): writes wait.
    Full(bool),
    /// The log can't be written any more.
    Failed(LogError),
}

/// Runs until the queue's sender is gone, or the log fails.
pub(crate) fn run(log: &Arc<Log>, queue: &mpsc::Receiver<Task>, report: impl Fn(Report)) {
    let mut next = None;
    while let Some(task) = next.take().or_else(|| queue.recv().ok()) {
        let result = match task {
            Task::Write {
                number,
                record,
                messages,
            } => {
                let (record, number, messages, rest) = gather(queue, number, record, messages);
                next = rest;
                write(log, &record, &report).map(|()| report(Report::Persisted { number, messages }))
            }
            Task::Reset { base, hard, done } => {
                // Whoever waits is the thread that sent the task; if it is gone there is nobody to tell.
                log.reset(&base, &hard)
                    .map(|()| done.send(()).unwrap_or_default())
            }
            Task::Compact(base) => match log.compact(&base) {
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

/// Adds to a record what else is waiting, in order, as far as it can be one record: entries that replace earlier
/// ones begin a new one.
fn gather(
    queue: &mpsc::Receiver<Task>,
    mut number: u64,
    mut record: Record,
    mut messages: Vec<Message>,
) -> (Record, u64, Vec<Message>, Option<Task>) {
    let mut bytes: usize = record.entries.iter().map(|entry| entry.data.len()).sum();
    while bytes < MAX_RECORD_BYTES {
        match queue.try_recv() {
            Ok(Task::Write {
                number: n,
                record: mut more,
                messages: mut after,
            }) => {
                let fits = match (record.entries.last(), more.entries.first()) {
                    (Some(last), Some(first)) => first.index == last.index + 1,
                    _ => true,
                };
                if !fits {
                    let rest = Task::Write {
                        number: n,
                        record: more,
                        messages: after,
                    };
                    return (record, number, messages, Some(rest));
                }
                bytes += more.entries.iter().map(|entry| entry.data.len()).sum::<usize>();
                record.entries.append(&mut more.entries);
                record.hard = more.hard.or(record.hard);
                messages.append(&mut after);
                number = n;
            }
            Ok(other) => return (record, number, messages, Some(other)),
            Err(_) => break,
        }
    }
    (record, number, messages, None)
}

fn write(log: &Log, record: &Record, report: &impl Fn(Report)) -> Result<(), LogError> {
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
