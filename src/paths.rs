//! Where things are.

use std::{
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

/// The two directories everything is under.
#[derive(Clone, Debug)]
pub struct Paths {
    /// State that survives the machine: `<data>/{pki,store,agent,logs}`.
    pub data: PathBuf,
    /// State of what runs: sockets, process ids, pods.
    pub run: PathBuf,
}

/// Longest path of a Unix socket (unix(7)), less what is appended to the run directory.
const LONGEST_RUN_DIR: usize = 107 - "/agent/pods/00000000-0000-0000-0000-000000000000/supervisor.sock".len();

impl Paths {
    /// From the options, else the XDG directories, else (root) the system's.
    pub fn resolve(data: Option<PathBuf>, run: Option<PathBuf>) -> Result<Self> {
        let uid = nix::unistd::getuid();
        let data = match data {
            Some(dir) => dir,
            None if uid.is_root() => "/var/lib/skiff".into(),
            None => match std::env::var_os("XDG_DATA_HOME").filter(|v| !v.is_empty()) {
                Some(dir) => Path::new(&dir).join("skiff"),
                None => Path::new(&std::env::var_os("HOME").context("HOME is not set; give --data-dir")?)
                    .join(".local/share/skiff"),
            },
        };
        let run = match run {
            Some(dir) => dir,
            None if uid.is_root() => "/run/skiff".into(),
            None => match std::env::var_os("XDG_RUNTIME_DIR")
                .map(PathBuf::from)
                .filter(|d| d.is_dir())
            {
                Some(dir) => dir.join("skiff"),
                None => format!("/tmp/skiff-{uid}").into(),
            },
        };
        let absolute = |dir: PathBuf| std::path::absolute(&dir).with_context(|| format!("resolve {dir:?}"));
        let paths = Self {
            data: absolute(data)?,
            run: absolute(run)?,
        };
        ensure!(
            paths.run.as_os_str().len() <= LONGEST_RUN_DIR,
            "the run directory {:?} is too long for Unix sockets: at most {LONGEST_RUN_DIR} bytes, give a shorter --run-dir",
            paths.run
        );
        Ok(paths)
    }

    /// Creates both, 0700, and refuses directories of somebody else.
    pub fn create(&self) -> Result<()> {
        for dir in [&self.data, &self.run, &self.logs()] {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)
                .with_context(|| format!("create {dir:?}"))?;
            let owner = std::fs::metadata(dir)
                .with_context(|| format!("look at {dir:?}"))?
                .uid();
            let uid = nix::unistd::getuid().as_raw();
            ensure!(
                owner == uid,
                "{dir:?} belongs to user {owner}, not to you (user {uid})"
            );
        }
        Ok(())
    }

    /// Keys and certificates.
    pub fn pki(&self) -> PathBuf {
        self.data.join("pki")
    }

    /// Logs of server and agent.
    pub fn logs(&self) -> PathBuf {
        self.data.join("logs")
    }

    /// The administrator's kubeconfig.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.data.join("kubeconfig")
    }

    /// Port of the agent's forwarder to the API servers.
    pub fn forwarder(&self) -> PathBuf {
        self.data.join("forwarder")
    }

    /// The agent's kubeconfig.
    pub fn node_kubeconfig(&self) -> PathBuf {
        self.data.join("node.kubeconfig")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_directory_too_long_for_sockets_is_refused_with_the_limit() {
        let long = PathBuf::from(format!("/tmp/{}", "x".repeat(100)));
        let error = Paths::resolve(Some("/tmp/d".into()), Some(long))
            .unwrap_err()
            .to_string();
        assert!(error.contains("at most"), "{error}");
    }
}
