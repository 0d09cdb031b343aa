//! Snapshots that a member takes of itself, and keeps a few of.

use std::{
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use skiff_store::{Store, snapshot};

/// Time between two snapshots.
const EVERY: Duration = Duration::from_secs(6 * 3600);
/// How many are kept.
const KEPT: usize = 4;
const BEGINNING: &str = "auto-";

/// Saves a snapshot into `dir` whenever it is time, counted from the last one that is there. Never returns.
pub(crate) async fn take(store: Store, dir: PathBuf) {
    loop {
        tokio::time::sleep(pause(newest(&dir), SystemTime::now())).await;
        let (store, dir) = (store.clone(), dir.clone());
        let saved = tokio::task::spawn_blocking(move || save(&store, &dir)).await;
        if let Ok(Err(error)) = saved {
            tracing::warn!(%error, "the snapshot of this member could not be saved");
        }
        // Not at once again, whatever the clock says.
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

/// How long to wait: the clock may have jumped, so never longer than between two snapshots.
fn pause(newest: Option<SystemTime>, now: SystemTime) -> Duration {
    let Some(newest) = newest else { return EVERY };
    let age = now.duration_since(newest).unwrap_or(EVERY);
    EVERY.saturating_sub(age)
}

fn newest(dir: &Path) -> Option<SystemTime> {
    let files = std::fs::read_dir(dir).ok()?.filter_map(Result::ok);
    files
        .filter(|file| file.file_name().to_string_lossy().starts_with(BEGINNING))
        .filter_map(|file| file.metadata().ok()?.modified().ok())
        .max()
}

fn save(store: &Store, dir: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    // Revisions only grow, so names in their order are names in the order of time.
    let name = format!("{BEGINNING}{:020}", store.revision());
    store.snapshot().save(&dir.join(name))?;
    snapshot::prune(dir, BEGINNING, KEPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_snapshot_is_due_six_hours_after_the_last_whatever_the_clock_does() {
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        assert_eq!(pause(None, now), EVERY);
        assert_eq!(pause(Some(now - hour), now), 5 * hour);
        assert_eq!(pause(Some(now - 100 * hour), now), Duration::ZERO);
        assert_eq!(pause(Some(now + 100 * hour), now), Duration::ZERO);
    }
}
