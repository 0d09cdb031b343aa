//! Disks of members that are full, read-only or damaged, while clients write through all members.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, Result, ensure};
use kube::api::ListParams;
use skiff_tests::{DiskKind, Members, eventually};

use super::{
    failover::LONGEST_GAP,
    writers::{Writers, maps, refused, takes_writes},
};
use crate::has;

skiff_tests::cases! {
    plain:
        members_whose_disks_are_full_read_only_or_damaged_cost_nobody_a_write,
        a_disk_that_fails_under_the_leader_costs_nobody_a_write;
}

/// Enough for the log's files of 8 MiB; little enough to be filled.
const MEBIBYTES: u32 = 64;

fn members_whose_disks_are_full_read_only_or_damaged_cost_nobody_a_write() -> Result<()> {
    let members = Members::start_on_disks(3, DiskKind::Memory, MEBIBYTES)?;
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
        let (code, checks) = readiness(&members, full)?;
        ensure!(code == 500, "{code}: {checks}");
        has(&checks, &["[-]disk failed: no space left on the disk of the log"])?;
        let gap = writers.gap(begun)?;
        println!("a full disk (leads: {leads}): writes again after {gap:?}");
        ensure!(gap < LONGEST_GAP, "writes again after {gap:?}");
        eventually("a leader with space", || {
            ensure!(members.leader(third)? != full);
            Ok(())
        })?;
        writers.more(20)?;
        members.with_disk(full, |disk| disk.clear())?;
        takes_writes(&members, full)?;
        let (code, checks) = readiness(&members, full)?;
        ensure!(code == 200, "{code}: {checks}");
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

/// The kernel makes it read-only while the server runs: that one serves reads and says why not more, the others go on.
fn a_disk_that_fails_under_the_leader_costs_nobody_a_write() -> Result<()> {
    let members = Members::start_on_disks(3, DiskKind::Device, MEBIBYTES)?;
    let leader = members.leader(0)?;
    let writers = Writers::start(&members, &[0, 1, 2], "fails")?;
    writers.more(20)?;
    members.with_disk(leader, |disk| disk.fail())?;
    let begun = Instant::now();
    let gap = writers.gap(begun)?;
    println!("the leader's disk failed: writes again after {gap:?}");
    ensure!(gap < LONGEST_GAP, "writes again after {gap:?}");
    members.block_on(refused(&members, leader, "Read-only file system"))?;
    let (code, checks) = readiness(&members, leader)?;
    ensure!(code == 500, "{code}: {checks}");
    has(&checks, &["[-]disk failed: closed: ", "Read-only file system"])?;
    // As it was: whether anything came since only those know who can write.
    let stale = ListParams {
        resource_version: Some("0".into()),
        ..ListParams::default()
    };
    let listed = members.block_on(async {
        let list = maps(&members, leader).await?.list(&stale).await?;
        anyhow::Ok(list.items.len())
    })?;
    ensure!(listed >= 20, "it shows {listed} objects");
    members.kill(leader);
    members.with_disk(leader, |disk| disk.mend())?;
    members.launch(leader, "")?;
    members.serves(leader)?;
    writers.more(20)?;
    let count = writers.finish(&[0, 1, 2])?;
    println!("{count} writes were acknowledged, and are there");
    Ok(())
}

/// Status and checks of `/readyz?verbose`.
fn readiness(members: &Members, number: usize) -> Result<(u16, String)> {
    members.block_on(async {
        let request = http::Request::get("/readyz?verbose").body(Vec::new())?;
        match members.connect(number).await?.request_text(request).await {
            Ok(checks) => Ok((200, checks)),
            Err(kube::Error::Api(answer)) => Ok((answer.code, answer.message)),
            Err(error) => Err(error.into()),
        }
    })
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
