//! What is left without a majority.

use std::{
    collections::BTreeSet,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use kube::api::{ListParams, PostParams};
use rustix::process::Signal;
use skiff_tests::{Members, eventually, run, run_with_input};

use super::{
    failover::LONGEST_GAP,
    writers::{Writers, map, maps, refused},
};
use crate::has;

skiff_tests::cases! {
    plain:
        without_a_majority_writes_are_refused_soon_and_reads_are_marked,
        of_five_two_are_spared_and_the_last_one_goes_on_alone;
}

/// A client that sees headers.
async fn get(members: &Members, number: usize, path: &str) -> Result<(u16, String)> {
    let client = members.connect(number).await?;
    let request = http::Request::get(path).body(kube::client::Body::empty())?;
    let response = client.send(request).await?;
    let warning = response
        .headers()
        .get("warning")
        .and_then(|value| value.to_str().ok());
    Ok((response.status().as_u16(), warning.unwrap_or_default().to_owned()))
}

fn without_a_majority_writes_are_refused_soon_and_reads_are_marked() -> Result<()> {
    const STALE: &str = "/api/v1/namespaces/default/configmaps?resourceVersion=0";
    let members = Members::start(3)?;
    let left = members.leader(0)?;
    members.block_on(async {
        maps(&members, left)
            .await?
            .create(&PostParams::default(), &map("before")?)
            .await?;
        let (code, warning) = get(&members, left, STALE).await?;
        ensure!(code == 200 && warning.is_empty(), "{code} {warning}");
        Ok::<_, anyhow::Error>(())
    })?;
    let others: Vec<usize> = (0..3).filter(|n| *n != left).collect();
    for other in &others {
        members.signal(*other, Signal::STOP);
    }
    members.block_on(async {
        refused(&members, left, "no leader").await?;
        // What may be old is told so where it was asked for, and refused where it was not.
        let (code, warning) = get(&members, left, STALE).await?;
        ensure!(code == 200 && warning.contains("out of date"), "{code} {warning}");
        let (code, _) = get(&members, left, "/api/v1/namespaces/default/configmaps").await?;
        ensure!(code == 503, "{code}");
        Ok::<_, anyhow::Error>(())
    })?;
    for other in &others {
        members.signal(*other, Signal::CONT);
    }
    eventually("writes again", || {
        members.block_on(async {
            let api = maps(&members, left).await?;
            let object = map("again")?;
            let parameters = PostParams::default();
            let created = tokio::time::timeout(Duration::from_secs(5), api.create(&parameters, &object));
            match created.await.context("took too long")? {
                Err(kube::Error::Api(answer)) if answer.code == 409 => Ok(()),
                other => other.map(drop).map_err(Into::into),
            }
        })
    })
}

fn of_five_two_are_spared_and_the_last_one_goes_on_alone() -> Result<()> {
    let members = Members::start(5)?;
    let last = 1;
    let writers = Writers::start(&members, &[0, 1, 2, 3, 4], "five")?;
    writers.more(20)?;
    // The leader first, unless it is the one that stays.
    let leader = members.leader(last)?;
    let mut others: Vec<usize> = (0..5).filter(|n| *n != last).collect();
    others.sort_by_key(|n| *n != leader);
    members.kill(others[0]);
    members.kill(others[1]);
    let gap = writers.gap(Instant::now())?;
    println!("writes again {gap:?} after two of five were killed");
    ensure!(gap < LONGEST_GAP, "writes again after {gap:?}");
    members.kill(others[2]);
    let took = members.block_on(refused(&members, last, "no leader"))?;
    println!("a write was refused after {took:?} with two of five left");
    for number in &others[..3] {
        members.launch(*number, "")?;
    }
    for number in &others[..3] {
        members.serves(*number)?;
    }
    writers.more(20)?;
    writers.finish(&[0, 1, 2, 3, 4])?;
    recovers(&members, last, &others)
}

/// The others are gone for good.
fn recovers(members: &Members, last: usize, gone: &[usize]) -> Result<()> {
    let acknowledged = members.block_on(names(members, last))?;
    ensure!(acknowledged.len() >= 40, "{acknowledged:?}");
    let id = members.id(last, last)?;
    let dropped: Result<Vec<u64>> = gone.iter().map(|number| members.id(*number, last)).collect();
    let mut dropped = dropped?;
    dropped.sort_unstable();
    let dropped: Vec<String> = dropped.iter().map(u64::to_string).collect();
    for number in 0..5 {
        members.kill(number);
    }
    // It shows what it has, and does nothing unless it is told to.
    let shown = [
        &format!("This server is member {id}. It keeps:"),
        "core/configmaps",
        &format!("the members {}", dropped.join(", ")),
        "writes that they acknowledged and that never reached this server",
    ];
    let unasked = run(&mut members.server(last, "--recover"))?;
    ensure!(unasked.code == 1, "{unasked}");
    has(&unasked.stdout, &shown)?;
    has(&unasked.stderr, &["give --yes"])?;
    let refused = run_with_input(&mut on_a_terminal(&members.server(last, "--recover")), b"n\n")?;
    ensure!(refused.code == 1, "{refused}");
    has(&refused.stdout, &shown)?;
    has(&refused.stdout, &["Go on? [y/N]", "nothing was changed"])?;

    members.launch(last, "--recover --yes")?;
    members.serves(last)?;
    ensure!(members.list(last)?.len() == 1, "{:?}", members.list(last)?);
    let kept = members.block_on(names(members, last))?;
    let lost: Vec<&String> = acknowledged.difference(&kept).collect();
    ensure!(lost.is_empty(), "acknowledged, and not there any more: {lost:?}");
    // One that was given up does not come back with what it alone may know.
    let given_up = gone[0];
    members.launch(given_up, "")?;
    ensure!(
        !members.ended(given_up)?,
        "a member that was given up must not end well"
    );
    has(&members.log_of(given_up), &["was removed from the cluster"])?;
    let new = [members.join(last)?, members.join(last)?];
    for number in new {
        members.serves(number)?;
    }
    ensure!(members.list(last)?.len() == 3, "{:?}", members.list(last)?);
    let writers = Writers::start(members, &[last, new[0], new[1]], "recovered")?;
    writers.more(20)?;
    writers.finish(&[last, new[0], new[1]])?;
    Ok(())
}

async fn names(members: &Members, through: usize) -> Result<BTreeSet<String>> {
    let list = maps(members, through).await?.list(&ListParams::default()).await?;
    Ok(list
        .items
        .into_iter()
        .filter_map(|map| map.metadata.name)
        .collect())
}

/// The command with a terminal in front of it.
fn on_a_terminal(command: &Command) -> Command {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &line.join(" "), "/dev/null"]);
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            terminal.env(name, value);
        }
    }
    terminal
}
