//! A simulated member: the real core and the real state machine, on a simulated disk.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use skiff_raft::{
    Config, FirstStart, Job, LogError, Position, Shared,
    core::{Core, End, Input, LogDisk, Output, Report, Task, gather},
    eraftpb::{HardState, Message},
};

use super::{disk::SimDisk, truth::Truth};
use crate::{
    Committed, Error, Revision,
    machine::Machine,
    watch::{Watch, Watched},
};

pub type In = Input<Result<Committed, Error>>;

/// Length of a tick, in microseconds of a clock that goes right.
pub const TICK: u64 = 50_000;

/// What the disk is at.
pub enum Writing {
    Task(Task),
    /// The second half of taking in a snapshot.
    Reset {
        number: u64,
        base: Position,
        hard: HardState,
        messages: Vec<Message>,
    },
}

/// Work beside the log.
pub enum Work {
    Checkpoint(Job<()>),
    Snapshot(Job<Vec<u8>>),
}

/// From a start to a crash.
pub struct Run {
    pub core: Core<Machine, SimDisk>,
    pub watched: Arc<Watched>,
    pub shared: Arc<Shared>,
    pub inbox: Vec<In>,
    pub waking: bool,
    /// Frozen until then; what comes in waits.
    pub frozen: u64,
    log: VecDeque<Task>,
    pub writing: Option<Writing>,
    pub work: Vec<Work>,
    full: bool,
    audit: Watch,
    audited: Revision,
}

pub struct Member {
    pub id: u64,
    pub disk: SimDisk,
    pub run: Option<Run>,
    /// Number of the run; what belongs to an earlier one is void.
    pub life: u32,
    /// How its clock goes: ticks are this many thousandths of the right length.
    pub pace: u64,
    /// How far its clock has jumped ahead.
    pub jumped: Duration,
    /// Microseconds that a write takes at most.
    pub slowness: u64,
}

/// What a step asks of the world.
#[derive(Default)]
pub struct Asked {
    pub messages: Vec<Message>,
    pub write: bool,
    pub work: usize,
    pub ended: bool,
}

fn store_config() -> crate::Config {
    crate::Config {
        // Small, so that watchers are left behind, and logs are cut and followers need snapshots.
        history_revisions: 60,
        history_bytes: 64 << 10,
        checkpoint_log_bytes: 3 << 10,
        ..crate::Config::new("simulated")
    }
}

impl Member {
    pub fn new(id: u64, disk: SimDisk) -> Self {
        Self {
            id,
            disk,
            run: None,
            life: 0,
            pace: 1000,
            jumped: Duration::ZERO,
            slowness: 1_000,
        }
    }

    fn clock(&self, now: u64) -> Duration {
        Duration::from_micros(now * 1000 / self.pace) + self.jumped
    }

    /// Starts from what is on its disk.
    pub fn start(&mut self, seed: u64, truth: &mut Truth) -> Asked {
        self.life += 1;
        let watched = Arc::new(Watched::default());
        let checkpoint = self.disk.checkpoint();
        let keeper = Arc::new(self.disk.clone());
        let machine = Machine::new(store_config(), watched.clone(), keeper.clone(), checkpoint);
        let shared = Arc::new(Shared::new(Arc::default()));
        let config = Config {
            first_start: FirstStart::Join,
            tick: Duration::from_micros(TICK),
            heartbeat_ticks: 2,
            election_ticks: 6,
            leader_wait: Duration::from_secs(1),
            ..Config::new("simulated", self.id)
        };
        let core = Core::start(&config, keeper, machine, shared.clone(), seed)
            .unwrap_or_else(|error| panic!("member {} can't start: {error}", self.id));
        let audited = {
            let state = watched.state.read();
            truth.check_state(self.id, &state);
            state.history.floor
        };
        let audit = Watch::begin(&watched, b"", audited, false).expect("a watch from the oldest revision");
        self.run = Some(Run {
            core,
            watched,
            shared,
            inbox: Vec::new(),
            waking: false,
            frozen: 0,
            log: VecDeque::new(),
            writing: None,
            work: Vec::new(),
            full: false,
            audit,
            audited,
        });
        self.step(0, false, truth)
    }

    /// Everything in memory is lost, and of what was under way on the disk some parts; `coin` decides which.
    pub fn crash(&mut self, mut coin: impl FnMut() -> bool) {
        let Some(run) = self.run.take() else { return };
        // What was being written may have reached the disk, though nobody was told.
        match run.writing {
            Some(Writing::Task(Task::Write { record, .. })) if coin() => drop(self.disk.append(&record)),
            Some(Writing::Task(Task::Restore { job, .. })) if coin() => drop(job()),
            Some(Writing::Reset { base, hard, .. }) if coin() => drop(self.disk.reset(&base, &hard)),
            Some(Writing::Task(Task::Compact(base))) if coin() => drop(self.disk.compact(&base)),
            _ => {}
        }
        for work in run.work {
            if let Work::Checkpoint(job) = work
                && coin()
            {
                job().ok();
            }
        }
        self.disk.crash(coin());
    }

    /// Takes in what waits, and lets the core get on.
    pub fn step(&mut self, now: u64, tick: bool, truth: &mut Truth) -> Asked {
        let clock = self.clock(now);
        let Some(run) = &mut self.run else {
            return Asked::default();
        };
        run.waking = false;
        let inputs = std::mem::take(&mut run.inbox);
        let result = inputs
            .into_iter()
            .try_for_each(|input| run.core.take(clock, input))
            .and_then(|()| {
                if tick {
                    run.core.tick(clock);
                }
                run.core.progress(clock)
            });
        let mut asked = Asked::default();
        for output in run.core.outputs() {
            match output {
                Output::Send(message) => asked.messages.push(message),
                Output::Members(_) => {}
                Output::Log(task) => run.log.push_back(task),
                Output::Checkpoint(job) => run.work.push(Work::Checkpoint(job)),
                Output::Snapshot(job) => run.work.push(Work::Snapshot(job)),
            }
        }
        asked.work = run.work.len();
        asked.write = run.begin_write();
        run.audit(self.id, truth);
        match result {
            Ok(()) => {}
            // Its disk failed: it serves no more, and is started again some time later.
            Err(End::Failed(reason)) => {
                assert!(reason.contains("broken"), "member {}: {reason}", self.id);
                run.core.end(&reason, false).ok();
                asked.ended = true;
            }
            Err(end) => panic!("member {} ended: {end:?}", self.id),
        }
        asked
    }

    /// The disk has done what it was at; what is to be told to the core goes to the inbox. True: it goes on with the next.
    pub fn written(&mut self) -> bool {
        let Some(run) = &mut self.run else { return false };
        let report = match run.writing.take() {
            None => return false,
            Some(Writing::Task(Task::Write {
                number,
                record,
                messages,
            })) => match self.disk.append(&record) {
                Ok(()) => {
                    if std::mem::take(&mut run.full) {
                        run.inbox.push(Input::Report(Report::Full(false)));
                    }
                    Some(Report::Persisted { number, messages })
                }
                Err(LogError::NoSpace) => {
                    // It is tried again, with what is in it unchanged.
                    run.writing = Some(Writing::Task(Task::Write {
                        number,
                        record,
                        messages,
                    }));
                    (!std::mem::replace(&mut run.full, true)).then_some(Report::Full(true))
                }
                Err(error) => Some(Report::Failed(error)),
            },
            Some(Writing::Task(Task::Restore {
                number,
                job,
                base,
                hard,
                messages,
            })) => match job() {
                Ok(()) => {
                    run.writing = Some(Writing::Reset {
                        number,
                        base,
                        hard,
                        messages,
                    });
                    None
                }
                Err(_) => Some(Report::Failed(LogError::Sync("broken".into()))),
            },
            Some(Writing::Reset {
                number,
                base,
                hard,
                messages,
            }) => Some(match self.disk.reset(&base, &hard) {
                Ok(()) => Report::Persisted { number, messages },
                Err(error) => Report::Failed(error),
            }),
            Some(Writing::Task(Task::Compact(base))) => {
                self.disk.compact(&base).ok();
                None
            }
        };
        run.inbox.extend(report.map(Input::Report));
        run.writing.is_some() || run.begin_write()
    }

    /// The oldest work beside the log is done.
    pub fn worked(&mut self) {
        let Some(run) = &mut self.run else { return };
        if run.work.is_empty() {
            return;
        }
        run.inbox.push(match run.work.remove(0) {
            Work::Checkpoint(job) => Input::CheckpointDone(job()),
            Work::Snapshot(job) => Input::SnapshotMade(job()),
        });
    }

    pub fn revision(&self) -> Revision {
        self.run
            .as_ref()
            .map_or(0, |run| run.watched.state.read().revision)
    }

    pub fn leads(&self) -> bool {
        self.run
            .as_ref()
            .is_some_and(|run| run.shared.leadership().is_leader)
    }
}

impl Run {
    /// Gives the disk its next task; true if it was idle and is not now.
    fn begin_write(&mut self) -> bool {
        if self.writing.is_some() {
            return false;
        }
        self.writing = gather(&mut self.log).map(Writing::Task);
        self.writing.is_some()
    }

    /// Compares what was applied since the last time with what others applied.
    fn audit(&mut self, member: u64, truth: &mut Truth) {
        loop {
            match self.audit.read(1 << 20) {
                Ok(events) if events.is_empty() => return,
                Ok(events) => {
                    truth.applied(member, self.audited, &events);
                    self.audited = events.last().map_or(self.audited, |event| event.revision);
                }
                // A snapshot took the place of what it would have read.
                Err(Error::Compacted { .. }) => {
                    let state = self.watched.state.read();
                    truth.check_state(member, &state);
                    self.audited = state.history.floor;
                    drop(state);
                    self.audit =
                        Watch::begin(&self.watched, b"", self.audited, false).expect("it is the oldest");
                }
                Err(_) => return,
            }
        }
    }
}
