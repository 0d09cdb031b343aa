//! `skiff down`: ends all pods of a node whose agent is not running and removes what they left. Safe at any time and
//! any number of times.

use std::{fs, io, path::Path};

use anyhow::Context as _;
use nix::mount::{MntFlags, umount2};
use skiff_runtime::supervisor;
use tracing::warn;

use crate::{Config, enter, node};

/// See [`crate::clean`].
pub(crate) fn clean(config: &Config) -> anyhow::Result<()> {
    if !config.run_dir.exists() && !config.data_dir.exists() {
        return Ok(());
    }
    // Directories written by users of pods can only be removed from inside their user namespace.
    let entered = enter::enter(&config.run_dir).context("enter the pods' namespaces")?;
    let mut first = None;
    for (dir, alive) in enter::supervisors(&config.run_dir) {
        if let Err(error) = stop(&dir, alive) {
            warn!(?dir, %error, "end a pod");
            first.get_or_insert_with(|| anyhow::Error::new(error).context(format!("end the pod in {dir:?}")));
        }
    }
    destroy_network(config, entered)?;
    for dir in ["subpaths", "volumes"] {
        for pod in fs::read_dir(config.data_dir.join("pods"))
            .into_iter()
            .flatten()
            .flatten()
        {
            for entry in fs::read_dir(pod.path().join(dir)).into_iter().flatten().flatten() {
                let _ = umount2(&entry.path(), MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
            }
        }
    }
    for dir in ["pods", "logs"] {
        remove(&config.data_dir.join(dir))?;
    }
    for entry in fs::read_dir(&config.run_dir).into_iter().flatten().flatten() {
        remove(&entry.path())?;
    }
    first.map_or(Ok(()), Err)
}

/// Ends a supervisor by its socket, by its pid when nobody answers there, and removes what it left.
fn stop(dir: &Path, alive: Option<u32>) -> io::Result<()> {
    if let Ok(pod) = supervisor::Pod::adopt(dir) {
        pod.stop()?;
    } else if let Some(pid) = alive {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX));
        let pidfd = rustix::process::pidfd_open(
            rustix::process::Pid::from_raw(pid.as_raw()).ok_or(io::ErrorKind::InvalidInput)?,
            rustix::process::PidfdFlags::empty(),
        )?;
        rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL)?;
        let mut poll = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
        let limit = rustix::event::Timespec {
            tv_sec: 5,
            tv_nsec: 0,
        };
        rustix::event::poll(&mut poll, Some(&limit))?;
    }
    match supervisor::clean(dir) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            // It has answered and is on its way out.
            std::thread::sleep(std::time::Duration::from_millis(50));
            supervisor::clean(dir)
        }
        other => other,
    }
}

fn destroy_network(config: &Config, entered: enter::Entered) -> anyhow::Result<()> {
    if !config.run_dir.join("network").exists() {
        return Ok(());
    }
    let Some(network) = node::earlier_network(config, entered) else {
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let network = skiff_pod_network::PodNetwork::start(network)
            .await
            .context("find the pod network")?;
        network.destroy().await.context("remove the pod network")
    })
}

fn remove(path: &Path) -> anyhow::Result<()> {
    let _ = umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
    let result = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {path:?}"))
        }
        _ => Ok(()),
    }
}
