//! Deterministic simulation: three to five members with the real core, state machine and checkpoints, on a simulated
//! network, disk and clock, under faults; everything that anybody is told is checked. A seed repeats a run exactly.
//!
//! - `world.rs`: time, network, faults. `member.rs`: the core on a simulated disk (`disk.rs`).
//! - `client.rs`: writes, reads, watches. `truth.rs`: what happened, and the checks.
//!
//! `SKIFF_SIM_SEEDS=100000 cargo test -p skiff-store simulation` runs more seeds, `SKIFF_SIM_SEED=7` one.

mod client;
mod disk;
mod member;
mod truth;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use disk::SimDisk;
use member::Member;
use skiff_raft::{
    Position,
    core::{LogDisk, Record},
    eraftpb::Entry,
};
use truth::Truth;
use world::{Sabotage, Summary, World};

use crate::{checkpoint::Image, machine::Keeper, state::State};

/// Simulated seconds with faults.
const SECONDS: u64 = 8;

/// Seeds that found something, when they were made: a snapshot under way at an election (panic in Raft).
const FOUND: [u64; 1] = [4662];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn run(seed: u64, sabotage: Sabotage) -> Result<Summary, Box<dyn std::any::Any + Send>> {
    catch_unwind(AssertUnwindSafe(|| World::new(seed, sabotage).run(SECONDS)))
}

#[test]
fn nothing_acknowledged_is_lost_and_nobody_is_told_what_did_not_happen() {
    let seeds = match number("SKIFF_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SKIFF_SIM_SEEDS").unwrap_or(500),
    };
    let mut total = Summary::default();
    for seed in FOUND.into_iter().chain(seeds) {
        match run(seed, Sabotage::None) {
            Ok(summary) => total.add(&summary),
            Err(panic) => {
                eprintln!("SKIFF_SIM_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{total:?}");
}

/// Each write takes up to 1 s, three times the configured election timeout, on all disks, and clients go on writing.
#[test]
fn on_slow_disks_a_leader_is_elected_and_stays() {
    for seed in 0..30 {
        let terms = World::new(seed, Sabotage::None).run_on_slow_disks(1_000_000, &[20, 80]);
        assert!(terms[0].is_some(), "seed {seed}: nobody leads after 20 s");
        assert_eq!(terms[0], terms[1], "seed {seed}: another term after a minute");
    }
}

/// Two that campaign at the same time get half of the votes each and wait for the timeout, 0.7 s at least: few do.
#[test]
fn when_the_leaders_process_has_ended_the_next_one_leads_within_half_a_second() {
    let times: Vec<_> = (0..50)
        .map(|seed| World::new(seed, Sabotage::None).run_to_succession())
        .collect();
    let soon = times.iter().filter(|time| **time < 500_000).count();
    assert!(soon >= 45, "{times:?}");
}

/// The member that is not heard, or hears nothing, refuses what it can't do, so that clients ask another one.
#[test]
fn two_seconds_after_a_one_way_cut_of_the_leader_nobody_waits_in_vain() {
    for is_heard in [true, false] {
        let waits: Vec<_> = (0..40)
            .map(|seed| World::new(seed, Sabotage::None).run_to_one_way_cut(is_heard))
            .collect();
        let soon = waits.iter().filter(|wait| **wait < 300_000).count();
        assert!(soon >= 36, "heard: {is_heard}: {waits:?}");
    }
}

#[test]
fn a_log_that_does_not_lead_to_the_snapshot_taken_in_before_a_crash_is_dropped() {
    let disk = SimDisk::of_voter(&[1, 2, 3], false);
    let entry = |index| Entry {
        index,
        term: 2,
        data: bytes::Bytes::from_static(b"of a leader that lost"),
        ..Entry::default()
    };
    let entries = (2..7).map(entry).collect();
    disk.append(&Record { entries, hard: None }).unwrap();
    let at = Position {
        index: 4,
        term: 3,
        members: disk.base().unwrap().unwrap().members,
    };
    let image = Image::of(&State::default(), at.clone());
    disk.replace(&|out| image.write(out)).unwrap();
    Member::new(1, disk.clone()).start(1, &mut Truth::default());
    assert_eq!(disk.base().unwrap(), Some(at));
    assert_eq!(disk.span(), None);
}

/// The checks can fail: a store broken on purpose is found out.
fn is_found_out(sabotage: Sabotage, seeds: u64) {
    let found = (0..seeds).find(|seed| run(*seed, sabotage).is_err());
    println!("{sabotage:?}: found by seed {found:?}");
    assert!(found.is_some(), "{sabotage:?} goes unnoticed for {seeds} seeds");
}

#[test]
fn an_acknowledgement_before_the_fsync_is_found_out() {
    is_found_out(Sabotage::AckBeforeFsync, 100);
}

#[test]
fn a_read_without_a_barrier_is_found_out() {
    is_found_out(Sabotage::CarelessReads, 100);
}

#[test]
fn a_proposal_applied_twice_is_found_out() {
    is_found_out(Sabotage::RepeatProposals, 100);
}

#[test]
fn an_event_that_a_watcher_misses_is_found_out() {
    is_found_out(Sabotage::DropEvent, 100);
}
