//! `skiff down`: stops everything and leaves nothing behind.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};

use crate::{
    cli::DownArgs,
    cluster::{self, Fixed},
    paths::Paths,
    process::{self, Process},
};

/// Ends the processes, then what they left: pods, mounts, namespaces, cgroups, files.
pub fn run(paths: &Paths, args: &DownArgs) -> Result<()> {
    // The monitor first: it would start the others again. Each in turn is given time to drain.
    for role in ["monitor", "agent", "server"] {
        let file = process::file(&paths.run, role);
        if let Some(process) = Process::load(&file) {
            process.end(Duration::from_secs(40));
        }
    }
    let fixed = Fixed::recorded(&paths.data);
    let config = cluster::agent_config(paths, &Default::default(), &fixed)?;
    // Single-threaded still: this enters the agent's namespaces, where files of other ids can be removed.
    skiff_node_agent::clean(&config).context("remove what pods left")?;
    remove(&paths.run)?;
    if args.purge {
        remove(&paths.data)?;
        crate::output::say!("skiff is down, its data is removed");
    } else {
        crate::output::say!(
            "skiff is down; its data stays in {} (`skiff down --purge` removes it)",
            paths.data.display()
        );
    }
    Ok(())
}

fn remove(dir: &Path) -> Result<()> {
    let is_gone = |done: std::io::Result<()>| match done {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.with_context(|| format!("remove {dir:?}")),
    };
    // A link stands for what it points to: a folder on another disk, perhaps.
    if let Some(target) = std::fs::read_link(dir).ok().and_then(|_| dir.canonicalize().ok()) {
        is_gone(std::fs::remove_dir_all(target))?;
    }
    is_gone(std::fs::remove_dir_all(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_link_points_to_goes_with_it() {
        let dir = std::env::temp_dir().join(format!("skiff-down-{}", std::process::id()));
        let (target, link) = (dir.join("target"), dir.join("link"));
        std::fs::create_dir_all(target.join("below")).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        remove(&link).unwrap();
        assert!(!target.exists() && link.symlink_metadata().is_err());
        remove(&link).unwrap();
        remove(&dir).unwrap();
        assert!(!dir.exists());
    }
}
