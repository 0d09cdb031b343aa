//! Clocks that are wrong, and clocks that go past the end of every certificate.

use std::time::Instant;

use anyhow::{Result, ensure};
use rustix::process::Signal;
use skiff_tests::{Clock, Lan, Members, User, eventually};

use super::{failover::LONGEST_GAP, writers::Writers};
use crate::has;

skiff_tests::cases! {
    root:
        certificates_are_renewed_before_they_end_without_a_restart;
    plain:
        a_clock_that_is_years_ahead_costs_the_others_nothing;
}

const TWO_YEARS: u32 = 730;
const WRONG: &str = "one of the two clocks is wrong";

fn a_clock_that_is_years_ahead_costs_the_others_nothing() -> Result<()> {
    let members = Members::start_with_clocks(3)?;
    let leader = members.leader(0)?;
    let (ahead, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let writers = Writers::start(&members, &[leader, other], "clock")?;
    writers.more(20)?;

    // A member that starts with it finds the certificates of the others ended, and they find its own not begun: all say so.
    members.kill(ahead);
    members.set_clock(ahead, TWO_YEARS)?;
    members.launch(ahead, "")?;
    for number in [ahead, leader] {
        eventually("a word on the clocks", || has(&members.log_of(number), &[WRONG]))?;
    }
    writers.more(20)?;
    // Put right, it is in again, without a restart.
    members.set_clock(ahead, 0)?;
    members.serves(ahead)?;
    writers.more(20)?;

    // The leader's goes wrong while it leads: its connections are there, and it may go on for as long as they are.
    members.set_clock(leader, TWO_YEARS)?;
    let begun = Instant::now();
    writers.more(20)?;
    members.kill(leader);
    members.launch(leader, "")?;
    eventually("another leader", || {
        ensure!(members.leader(other)? != leader);
        Ok(())
    })?;
    let gap = writers.gap(begun)?;
    println!("the longest pause of writes was {gap:?} when the leader's clock went wrong");
    ensure!(gap < LONGEST_GAP, "writes again after {gap:?}");
    members.set_clock(leader, 0)?;
    members.serves(leader)?;
    let count = writers.finish(&[0, 1, 2])?;
    println!("{count} writes were acknowledged, and are there");
    Ok(())
}

fn certificates_are_renewed_before_they_end_without_a_restart(user: User) -> Result<()> {
    let lan = Lan::new()?;
    let (server, node) = (lan.host(user)?, lan.host(user)?);
    let clock = Clock::new(&server.home().join("clock"))?;
    server.live_by(&clock);
    node.live_by(&clock);
    server.serve("")?;
    node.join(&server, "")?;
    // Somebody who lives by the same clock asks: the server must have a certificate that is good now, and so must he.
    let answers = || has(&server.skiff("server list").ok()?, &["leads"]);
    let said = |what: &str| -> Result<usize> {
        let log = std::fs::read_to_string(node.home().join("agent.log"))?;
        Ok(log.matches(what).count())
    };
    let says = |what: &str, times: usize| {
        eventually(what, || {
            let now = said(what)?;
            ensure!(now == times, "{now} times\n{}", node.last_words());
            Ok(())
        })
    };
    says("node registered", 1)?;
    // A node's certificate is good for 90 days and renewed in the last 30, a server's is good for 14. Each renewal of the node's
    // needs the one before, and a server that has renewed its own; the second is long after the end of the first of all.
    for (renewals, days) in [(1, 65), (2, 130)] {
        clock.set(days)?;
        says("this node's certificate is renewed", renewals)
            .map_err(|error| error.context(format!("on day {days}")))?;
        eventually("an answer", answers)?;
    }
    // What it has now is good for a start, too.
    node.end("agent", Signal::TERM)?;
    node.start(
        [vec!["agent".to_owned()], node.node_options()]
            .concat()
            .as_slice(),
    )?;
    says("node registered", 2)?;
    answers()
}
