//! Disks of members that are full, read-only or damaged, while clients write through all members.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, Result, ensure};
use skiff_tests::{Members, eventually};

use super::{
    failover::LONGEST_GAP,
    writers::{Writers, refused},
};
use crate::has;

skiff_tests::cases! {
    plain: members_whose_disks_are_full_read_only_or_damaged_cost_nobody_a_write;
}

/// Enough for the log's files of 8 MiB; little enough to be filled.
const MEBIBYTES: u32 = 64;

fn members_whose_disks_are_full_read_only_or_damaged_cost_nobody_a_write() -> Result<()> {
    let members = Members::start_on_disks(3, MEBIBYTES)?;
    let leader = members.leader(0)?;
    let (other, third) = ((leader + 1) % 3, (leader + 2) % 3);
    let writers = Writers::start(&members, &[0, 1, 2], "disks")?;
    writers.more(20)?;

    // Full, for a follower and then for the leader, which hands over.
    for full in [other, leader] {
        let leads = members.leader(third)? == full;
        members.with_disk(full, |disk| disk.fill())?;
        let begun = Instant::now();
        eventually("the full disk to be met", || {
            members
                .block_on(refused(&members, full, "no space left"))
                .map(drop)
        })?;
        let gap = writers.gap(begun)?;
        println!("a full disk (leads: {leads}): writes again after {gap:?}");
        ensure!(gap < LONGEST_GAP, "writes again after {gap:?}");
        eventually("a leader with space", || {
            ensure!(members.leader(third)? != full);
            Ok(())
        })?;
        writers.more(20)?;
        members.with_disk(full, |disk| disk.clear())?;
        eventually("the member to write again", || {
            let refusal = members.block_on(refused(&members, full, ""));
            ensure!(refusal.is_err(), "it still refuses");
            Ok(())
        })?;
    }

    // Read-only: it says so and ends, and comes back when it is not.
    members.kill(other);
    members.with_disk(other, |disk| disk.set_read_only(true))?;
    members.launch(other, "")?;
    ensure!(!members.ended(other)?, "it must not end well");
    has(&members.log_of(other), &["Read-only file system", "data-"])?;
    writers.more(20)?;
    members.with_disk(other, |disk| disk.set_read_only(false))?;
    members.launch(other, "")?;
    members.serves(other)?;

    // Damaged at its end while it was down: refused, whatever the damage, with what to do; and that works.
    writers.more(20)?;
    let id = members.id(third, other)?;
    members.kill(third);
    let (newest, data) = newest_segment(&members, third)?;
    let end = data.iter().rposition(|byte| *byte != 0).context("an empty log")? + 1;
    let turned = |at: usize| {
        let mut data = data.clone();
        data[at] ^= 0x10;
        data
    };
    for (damage, damaged) in [
        ("a bit of the last record", turned(end - 1)),
        ("a bit in the middle", turned(end / 2)),
        ("half of it is missing", data[..end / 2].to_vec()),
    ] {
        std::fs::write(&newest, damaged)?;
        let said_before = members.log_of(third).len();
        members.launch(third, "")?;
        ensure!(!members.ended(third)?, "{damage}: it must not serve");
        let said = members.log_of(third)[said_before..].to_owned();
        has(&said, &["is damaged", "skiff server remove", "data directory"]).context(damage)?;
    }
    members
        .skiff(other, ["server", "remove", &id.to_string()].as_slice())
        .ok()?;
    let new = members.join(other)?;
    members.serves(new)?;
    writers.more(20)?;
    let count = writers.finish(&[leader, other, new])?;
    println!("{count} writes were acknowledged, and are there");
    Ok(())
}

/// The newest file of a member's log.
fn newest_segment(members: &Members, number: usize) -> Result<(PathBuf, Vec<u8>)> {
    let log = members.data(number).join("store/log");
    let files = std::fs::read_dir(&log)?.map(|file| Ok(file?.path()));
    let mut files = files.collect::<Result<Vec<_>>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "raftlog"));
    files.sort();
    let newest = files.pop().context("no log")?;
    let data = std::fs::read(&newest)?;
    Ok((newest, data))
}
