//! `skiff down`: stops everything and leaves nothing behind.

use std::{io::ErrorKind, path::Path, time::Duration};

use anyhow::{Context, Result};

use crate::{
    cli::DownArgs,
    cluster::{self, Fixed},
    paths::Paths,
    process,
};

/// Ends the processes, then what they left: pods, mounts, namespaces, cgroups, files.
pub fn run(paths: &Paths, args: &DownArgs) -> Result<()> {
    // The monitor first: it would start the others again. Each in turn is given time to drain.
    for role in ["monitor", "agent", "server"] {
        for process in process::running(&paths.run, role) {
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
    // A link stands for what it points to: a folder on another disk, perhaps.
    let target = dir.read_link().and_then(|_| dir.canonicalize());
    for dir in target.iter().map(AsRef::as_ref).chain([dir]) {
        let removed = std::fs::remove_dir_all(dir);
        // In a folder of somebody else's only the empty directory can stay.
        let is_empty = || std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
        match removed {
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) if e.kind() == ErrorKind::PermissionDenied && is_empty() => {}
            other => other.with_context(|| format!("remove {dir:?}"))?,
        }
    }
    Ok(())
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
