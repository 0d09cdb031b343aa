//! Starting: what is on disk, the `RawNode`, the threads.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::Ordering, mpsc},
    time::Instant,
};

use raft::{
    RawNode,
    eraftpb::{ConfState, HardState},
};

use super::{Driver, STEP_BYTES, is_alone};
use crate::{
    Transport,
    group::{Config, FirstStart, Leadership, OpenError, Request, Shared},
    log::{Log, LogError, encode_members},
    logger::logger,
    machine::{Position, StateMachine},
    roster::Members,
    storage::{LogStorage, Start, recover},
    writer,
};

/// Starts the threads "raft" and "raft-log".
pub(crate) fn start<S: StateMachine, T: Transport>(
    config: &Config,
    log: Arc<Log>,
    machine: S,
    transport: T,
    shared: Arc<Shared>,
) -> Result<mpsc::Sender<Request<S::Output>>, OpenError> {
    let checkpoint = machine.restored();
    let Start {
        base,
        members,
        hard,
        applied,
    } = match recover(&log, checkpoint)? {
        Some(start) => start,
        None => first_start(config, &log)?,
    };
    let alone = is_alone(&members, config.member);
    shared.members.send_replace(Members::from(&members));
    let storage = LogStorage::load(log.clone(), base, members, hard);
    let mut raw = RawNode::new(
        &raft::Config {
            id: config.member,
            election_tick: config.election_ticks,
            heartbeat_tick: config.heartbeat_ticks,
            applied: applied.index,
            max_size_per_msg: STEP_BYTES as u64,
            max_inflight_msgs: 256,
            check_quorum: true,
            pre_vote: true,
            batch_append: true,
            max_committed_size_per_ready: 8 << 20,
            ..Default::default()
        },
        storage,
        &logger(),
    )?;
    if alone {
        raw.campaign()?;
    }

    let (requests, inbox) = mpsc::channel();
    let (writer, tasks) = mpsc::channel();
    let reports = requests.clone();
    let writer_thread = std::thread::Builder::new()
        .name("raft-log".into())
        .spawn(move || {
            // When the raft thread is gone nobody needs the report.
            writer::run(&log, &tasks, |report| drop(reports.send(Request::Report(report))));
        })
        .map_err(OpenError::Thread)?;
    let mut driver = Driver {
        member: config.member,
        raw,
        machine,
        transport,
        shared,
        requests: requests.clone(),
        writer: Some(writer),
        writer_thread: Some(writer_thread),
        in_flight: VecDeque::new(),
        applied,
        restored_in: None,
        incarnation: rand::random(),
        next_id: 0,
        proposed: HashMap::new(),
        changes: HashMap::new(),
        unproposed: VecDeque::new(),
        leader_wait: config.leader_wait,
        term_seen: 0,
        doubtful: 0,
        leaderless_since: None,
        reads: Vec::new(),
        reads_asked: Vec::new(),
        reads_indexed: Vec::new(),
        read_retry: config.tick * config.election_ticks as u32 / 2,
        log_bytes: 0,
        checkpointing: None,
        checkpoint_after: Instant::now(),
        previous_checkpoint: None,
    };
    let tick = config.tick;
    std::thread::Builder::new()
        .name("raft".into())
        .spawn(move || {
            let _mark = MarkClosed(driver.shared.clone());
            let end = driver.run(&inbox, tick);
            driver.finish(end, inbox);
        })
        .map_err(OpenError::Thread)?;
    Ok(requests)
}

/// A panic while applying must not leave a group that looks alive.
struct MarkClosed(Arc<Shared>);

impl Drop for MarkClosed {
    fn drop(&mut self) {
        self.0.solo.store(false, Ordering::Release);
        self.0
            .closed
            .lock()
            .get_or_insert_with(|| "applying an entry failed; see the log".into());
        self.0.leadership.send_replace(Leadership::default());
    }
}

/// Writes what a new member starts from. The group of one begins after an imaginary entry 1 of term 1, so that a
/// member that joins later, whose log is empty, always learns the members from a snapshot.
fn first_start(config: &Config, log: &Log) -> Result<Start, LogError> {
    let (mut members, mut hard) = (ConfState::default(), HardState::default());
    let mut base = Position::default();
    if config.first_start == FirstStart::Alone {
        members.voters = vec![config.member];
        (base.index, base.term) = (1, 1);
        (hard.term, hard.commit) = (1, 1);
    }
    base.members = encode_members(&members);
    log.reset(&base, &hard)?;
    Ok(Start {
        base: base.clone(),
        members,
        hard,
        applied: base,
    })
}
