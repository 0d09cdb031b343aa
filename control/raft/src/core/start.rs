//! Starting: what is on disk, and the `RawNode` on it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use raft::{
    RawNode,
    eraftpb::{ConfState, HardState},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    Core, LogDisk, Now, STEP_BYTES,
    hearing::Hearing,
    is_alone,
    pace::{self, Pace},
};
use crate::{
    disk::LogError,
    group::{Config, FirstStart, OpenError, Shared},
    log::encode_members,
    logger::logger,
    machine::{Position, StateMachine},
    storage::{LogStorage, Start, recover},
};

impl<S: StateMachine, D: LogDisk> Core<S, D> {
    /// A member that starts from what is on disk. `seed` decides everything that is random in it.
    ///
    /// # Errors
    /// The log contradicts itself or the state machine's checkpoint.
    pub fn start(
        config: &Config,
        log: Arc<D>,
        machine: S,
        shared: Arc<Shared>,
        seed: u64,
    ) -> Result<Self, OpenError> {
        let checkpoint = machine.restored();
        let Start {
            base,
            members,
            hard,
            applied,
        } = match recover(&*log, checkpoint)? {
            Some(start) => start,
            None => first_start(config, &*log)?,
        };
        let alone = is_alone(&members, config.member);
        let storage = LogStorage::load(log, base, members, hard);
        let mut raw = RawNode::new(
            &raft::Config {
                id: config.member,
                election_tick: config.election_ticks,
                // The core draws from `[pace.shortest(), 2 * pace.shortest())`.
                max_election_tick: 2 * pace::MOST * config.election_ticks,
                heartbeat_tick: config.heartbeat_ticks,
                applied: applied.index,
                max_size_per_msg: STEP_BYTES as u64,
                max_inflight_msgs: 256,
                check_quorum: true,
                pre_vote: true,
                // Not `batch_append`: it adds entries to an empty append that waits to be sent without looking at
                // where that one stands (raft 0.7, `is_continuous_ents`). The follower then acknowledges an index it
                // does not have, and a write may be lost. Proposals are batched before they reach Raft.
                batch_append: false,
                max_committed_size_per_ready: 8 << 20,
                ..Default::default()
            },
            storage,
            &logger(),
        )?;
        if alone {
            raw.campaign()?;
        }

        let mut random = StdRng::seed_from_u64(seed);
        let mut core = Self {
            member: config.member,
            timeout_for: (raw.raft.term, raw.raft.state, raw.raft.leader_id),
            timeout_drawn: random.random(),
            pace: Pace::new(config.tick, config.election_ticks),
            hearing: Hearing::new(config.election_ticks),
            orphan: None,
            incarnation: random.random(),
            random,
            raw,
            machine,
            shared,
            outputs: Vec::new(),
            in_flight: VecDeque::new(),
            applied,
            restoring: None,
            next_id: 0,
            proposed: BTreeMap::new(),
            changes: BTreeMap::new(),
            unproposed: VecDeque::new(),
            leader_wait: config.leader_wait,
            leaderless_since: None,
            reads: Vec::new(),
            reads_asked: Vec::new(),
            reads_indexed: Vec::new(),
            read_retry: config.tick * config.election_ticks as u32 / 2,
            log_bytes: 0,
            checkpointing: None,
            checkpoint_after: Now::ZERO,
            snapshotting: None,
            previous_checkpoint: None,
        };
        core.draw_timeout(Now::ZERO);
        core.tell_members();
        Ok(core)
    }
}

/// Writes what a new member starts from. The group of one begins after an imaginary entry 1 of term 1, so that a
/// member that joins later, whose log is empty, always learns the members from a snapshot.
fn first_start<D: LogDisk>(config: &Config, log: &D) -> Result<Start, LogError> {
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
