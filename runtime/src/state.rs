//! State files: a reader sees the old or the new content, never a part.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    cgroup::Cgroup,
    error::Context,
    supervisor::{ContainerState, Sandbox},
};

/// Replaces the content of `path` (mode 0600). Not synced to disk: run directories do not survive a reboot, and
/// nor do the processes they speak of.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    Draft::write(path, content)?.publish()
}

/// End of the name of a new content.
const UNPUBLISHED: &str = ".new";

/// The new content of a file, beside it.
#[derive(Debug)]
pub(crate) struct Draft {
    path: PathBuf,
    new: PathBuf,
}

impl Draft {
    /// Writes it, for `path`.
    pub fn write(path: &Path, content: &[u8]) -> io::Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}{UNPUBLISHED}", std::process::id()));
        let new = path.with_file_name(name);
        let written = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| file.write_all(content));
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written.context(|| format!("write {path:?}"))?;
        Ok(Draft {
            path: path.to_owned(),
            new,
        })
    }

    /// Those for `path` whose writers have ended before they were published.
    pub fn left_for(path: &Path) -> Vec<PathBuf> {
        let begin = path.file_name().unwrap_or_default().as_encoded_bytes();
        let found = path.parent().map(fs::read_dir);
        let names = found
            .into_iter()
            .flatten()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        names
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().as_encoded_bytes();
                name.starts_with(begin) && name.ends_with(UNPUBLISHED.as_bytes())
            })
            .collect()
    }

    /// From here on it is what a reader sees.
    pub fn publish(self) -> io::Result<()> {
        let renamed = fs::rename(&self.new, &self.path);
        if renamed.is_err() {
            let _ = fs::remove_file(&self.new);
        }
        renamed.context(|| format!("write {:?}", self.path))
    }
}

/// `state.json` of a pod: what a cleaner needs when the supervisor is gone.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PodState {
    /// Layout of this file.
    pub version: u32,
    /// Supervisor's process id.
    pub pid: u32,
    /// Its start time in clock ticks since boot.
    pub start_time: u64,
    /// As asked for.
    pub sandbox: Sandbox,
    /// The pod's cgroup.
    pub cgroup: Option<Cgroup>,
    /// First process of the shared PID namespace, with its start time.
    pub pause: Option<(u32, u64)>,
    /// Its containers.
    pub containers: Vec<SavedContainer>,
}

/// A container in [`PodState`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedContainer {
    /// As reported.
    pub state: ContainerState,
    /// Start time of its first process.
    pub start_time: u64,
    /// Its cgroup.
    pub cgroup: Option<Cgroup>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_private_and_whole() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        replace(&path, b"old and long").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let draft = Draft::write(&path, b"newer").unwrap();
        assert_eq!(Draft::left_for(&path), [draft.new]);
    }
}
