//! `skiff server --recover`: going on as the only member when most of the others are lost for good.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, Result, bail};
use skiff_control::snapshot::Offline;

use crate::{output::say, paths::Paths, snapshot};

/// Shows what this member has and what is dropped, asks, and makes it a group of one.
pub fn run(paths: &Paths, member: u64, yes: bool) -> Result<()> {
    let dir = paths.data.join("store");
    if !dir.exists() {
        bail!(
            "{dir:?} does not exist: there is nothing to go on with (`skiff snapshot restore` makes a store)"
        );
    }
    let offline = Offline::open(&dir, member).context("look at what is there")?;
    say!("This server is member {member}. It keeps:");
    snapshot::print(&offline.summary());
    let undecided = offline.undecided();
    if undecided > 0 {
        say!("  of it, {undecided} log entries it does not know to be decided: they are kept");
    }
    let others: Vec<String> = offline
        .members()
        .all()
        .filter(|id| *id != member)
        .map(|id| id.to_string())
        .collect();
    let lost = offline.lost();
    if others.is_empty() && lost == 0 {
        say!("It is the only member already: nothing is to be recovered.");
        return Ok(());
    }
    say!("It drops:");
    if lost > 0 {
        say!(
            "  the last {lost} records of its log, which are damaged or gone: writes in them may have been acknowledged"
        );
    }
    if !others.is_empty() {
        say!("  the members {}", others.join(", "));
        say!("  writes that they acknowledged and that never reached this server");
        say!("Remove the data of the dropped members before they start again.");
    }
    if !yes && !agreed()? {
        bail!("nothing was changed");
    }
    offline.go_on_alone()?;
    say!("Member {member} is the only member now.");
    Ok(())
}

fn agreed() -> Result<bool> {
    let mut input = std::io::stdin().lock();
    if !input.is_terminal() {
        bail!("nobody can be asked: give --yes to go on");
    }
    print!("Go on? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
