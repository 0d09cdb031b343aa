//! Members that die or hang under load.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use skiff_tests::Members;

use super::writers::Writers;

skiff_tests::cases! {
    plain:
        nothing_acknowledged_is_lost_when_the_leader_is_killed,
        a_hanging_leader_is_replaced_and_follows_when_it_wakes,
        a_leader_that_ends_hands_over;
}

/// Elections take at most 1.4 s; the rest is for a machine that runs other tests meanwhile. The figure of a quiet one is
/// printed by `tests/bench/failover`.
pub const LONGEST_GAP: Duration = Duration::from_secs(10);

fn nothing_acknowledged_is_lost_when_the_leader_is_killed() -> Result<()> {
    let members = Members::start(3)?;
    let leader = members.leader(0)?;
    let others: Vec<usize> = (0..3).filter(|n| *n != leader).collect();
    let writers = Writers::start(&members, &[0, 1, 2], "leader")?;
    writers.more(50)?;
    members.kill(leader);
    let killed = Instant::now();
    let gap = writers.gap(killed)?;
    println!("writes again {gap:?} after the leader was killed");
    ensure!(gap < LONGEST_GAP, "writes again after {gap:?}");
    ensure!(members.leader(others[0])? != leader);
    // It comes back while writes go on, and has everything.
    members.launch(leader, "")?;
    members.serves(leader)?;
    writers.more(50)?;
    // A follower dies and comes back: nobody who asks others notices.
    let follower = others
        .iter()
        .copied()
        .find(|n| members.leader(*n).ok() != Some(*n));
    let follower = follower.unwrap_or(others[0]);
    members.kill(follower);
    writers.more(50)?;
    members.launch(follower, "")?;
    members.serves(follower)?;
    writers.finish(&[0, 1, 2])?;
    Ok(())
}

fn a_hanging_leader_is_replaced_and_follows_when_it_wakes() -> Result<()> {
    let members = Members::start(3)?;
    let leader = members.leader(0)?;
    let others: Vec<usize> = (0..3).filter(|n| *n != leader).collect();
    let writers = Writers::start(&members, &[0, 1, 2], "hang")?;
    writers.more(20)?;
    members.signal(leader, Signal::STOP);
    let stopped = Instant::now();
    let gap = writers.gap(stopped)?;
    ensure!(gap < LONGEST_GAP, "writes again after {gap:?}");
    writers.more(20)?;
    members.signal(leader, Signal::CONT);
    // What it answers when it has woken up is not what it knew before: reads ask the majority.
    writers.finish(&[leader, others[0], others[1]])?;
    ensure!(members.leader(leader)? != leader);
    Ok(())
}

fn a_leader_that_ends_hands_over() -> Result<()> {
    let members = Members::start(3)?;
    let leader = members.leader(0)?;
    let others: Vec<usize> = (0..3).filter(|n| *n != leader).collect();
    let writers = Writers::start(&members, &others, "end")?;
    writers.more(20)?;
    members.signal(leader, Signal::TERM);
    ensure!(members.ended(leader)?, "{}", members.log_of(leader));
    writers.more(20)?;
    let log = members.log_of(leader);
    ensure!(log.contains("handing over leadership"), "{log}");
    ensure!(!log.contains("no other member could take over"), "{log}");
    writers.finish(&others)?;
    Ok(())
}
