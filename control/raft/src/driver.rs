//! Runs the core on threads: "raft", which feeds it and never waits for the disk, "raft-log", which writes the log, and
//! one for each checkpoint or snapshot under way.

use std::{
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{
    Transport,
    core::{Core, End, Input, Now, Output, Task},
    group::{Config, OpenError, Request, Shared},
    log::Log,
    machine::{Job, StateMachine},
    writer,
};

/// Bytes of proposals taken before Raft gets to work on them.
const TAKE_BYTES: usize = 1 << 20;
/// Inputs taken before Raft gets to work on them.
const TAKE_INPUTS: usize = 4096;

struct Driver<S: StateMachine, T> {
    core: Core<S, Log>,
    transport: T,
    started: Instant,
    inputs: mpsc::Sender<Input<S::Output>>,
    writer: Option<mpsc::Sender<Task>>,
    writer_thread: Option<JoinHandle<()>>,
    checkpointing: Option<JoinHandle<()>>,
}

/// Starts the threads "raft" and "raft-log".
pub(crate) fn start<S: StateMachine, T: Transport>(
    config: &Config,
    log: Arc<Log>,
    machine: S,
    transport: T,
    shared: Arc<Shared>,
) -> Result<mpsc::Sender<Input<S::Output>>, OpenError> {
    let core = Core::start(config, log.clone(), machine, shared.clone(), rand::random())?;
    let (inputs, inbox) = mpsc::channel();
    let (writer, tasks) = mpsc::channel();
    let reports = inputs.clone();
    let writer_thread = std::thread::Builder::new()
        .name("raft-log".into())
        .spawn(move || {
            // When the raft thread is gone nobody needs the report.
            writer::run(&log, &tasks, |report| drop(reports.send(Input::Report(report))));
        })
        .map_err(OpenError::Thread)?;
    let mut driver = Driver {
        core,
        transport,
        started: Instant::now(),
        inputs: inputs.clone(),
        writer: Some(writer),
        writer_thread: Some(writer_thread),
        checkpointing: None,
    };
    let tick = config.tick;
    std::thread::Builder::new()
        .name("raft".into())
        .spawn(move || {
            let _mark = MarkClosed(shared);
            let end = driver.run(&inbox, tick);
            driver.finish(end, inbox);
        })
        .map_err(OpenError::Thread)?;
    Ok(inputs)
}

/// A panic while applying must not leave a group that looks alive.
struct MarkClosed(Arc<Shared>);

impl Drop for MarkClosed {
    fn drop(&mut self) {
        self.0
            .closed
            .lock()
            .get_or_insert_with(|| "applying an entry failed; see the log".into());
        self.0.end();
    }
}

impl<S: StateMachine, T: Transport> Driver<S, T> {
    fn run(&mut self, inbox: &mpsc::Receiver<Input<S::Output>>, tick: Duration) -> End {
        match self.steps(inbox, tick) {
            Err(end) => end,
            Ok(never) => match never {},
        }
    }

    fn now(&self) -> Now {
        self.started.elapsed()
    }

    fn steps(
        &mut self,
        inbox: &mpsc::Receiver<Input<S::Output>>,
        tick: Duration,
    ) -> Result<std::convert::Infallible, End> {
        let mut next_tick = self.now() + tick;
        loop {
            self.core.progress(self.now())?;
            self.carry_out();
            let first = if self.core.alone() {
                inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                inbox.recv_timeout(next_tick.saturating_sub(self.now()))
            };
            let now = self.now();
            match first {
                Ok(input) => {
                    let (mut bytes, mut taken) = (0, 0);
                    let mut next = Some(input);
                    while let Some(input) = next.take() {
                        if let Input::Request(Request::Propose { data, .. }) = &input {
                            bytes += data.len();
                        }
                        self.core.take(now, input)?;
                        taken += 1;
                        if bytes < TAKE_BYTES && taken < TAKE_INPUTS {
                            next = inbox.try_recv().ok();
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(End::Gone),
            }
            if now >= next_tick {
                // A thread that was held up ticks once, not once per missed tick: being late is no reason to
                // think that the leader is gone.
                next_tick = now + tick;
                self.core.tick(now);
            }
        }
    }

    fn carry_out(&mut self) {
        for output in self.core.outputs() {
            match output {
                Output::Send(message) => self.transport.send(message),
                Output::Members(others) => self.transport.members(&others),
                Output::Log(task) => {
                    // If it has ended, its last report, which says why, was sent before and is on its way.
                    if self
                        .writer
                        .as_ref()
                        .is_none_or(|writer| writer.send(task).is_err())
                    {
                        tracing::debug!("the thread that writes the log has ended");
                    }
                }
                Output::Checkpoint(job) => {
                    self.checkpointing = self.off_thread("checkpoint", job, Input::CheckpointDone);
                }
                Output::Snapshot(job) => drop(self.off_thread("snapshot", job, Input::SnapshotMade)),
            }
        }
    }

    /// Runs a job on a thread of its own; that there is none for it is a failure of the job.
    fn off_thread<V: 'static>(
        &self,
        name: &str,
        job: Job<V>,
        done: fn(std::io::Result<V>) -> Input<S::Output>,
    ) -> Option<JoinHandle<()>> {
        let inputs = self.inputs.clone();
        let spawned = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || drop(inputs.send(done(job()))));
        match spawned {
            Ok(thread) => Some(thread),
            Err(error) => {
                self.inputs.send(done(Err(error))).ok();
                None
            }
        }
    }

    /// Ends: answers everybody, writes the last checkpoint if asked, closes the log.
    fn finish(mut self, end: End, inbox: mpsc::Receiver<Input<S::Output>>) {
        let (reason, last) = match end {
            End::Close { checkpoint, answer } => {
                ("the store was closed".to_owned(), Some((checkpoint, answer)))
            }
            End::Failed(reason) => {
                tracing::error!(reason, "the log failed; no more writes are taken");
                (reason, None)
            }
            End::Gone => ("the store was dropped".to_owned(), None),
        };
        if let Some(thread) = self.checkpointing.take() {
            thread.join().ok();
        }
        let checkpoint = matches!(last, Some((true, _)));
        let result = self.core.end(&reason, checkpoint);
        // The remaining waiters see their senders go, and then the reason. The log closes with `self`.
        drop(inbox);
        drop(self);
        if let Some((_, answer)) = last {
            answer.send(result).ok();
        }
    }
}

impl<S: StateMachine, T> Drop for Driver<S, T> {
    /// The log is closed when the machine, which may hold a lock on the directory, goes; also after a panic.
    fn drop(&mut self) {
        self.writer = None;
        if let Some(thread) = self.writer_thread.take() {
            thread.join().ok();
        }
    }
}
