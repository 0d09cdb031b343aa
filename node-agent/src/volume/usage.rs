//! What a pod takes of the node's disk, where it has a limit: emptyDir volumes with `sizeLimit`, containers with a limit
//! of `ephemeral-storage` (writable layer and logs). A pod that takes more is evicted, as the kubelet does.
//! Source: Kubernetes, "Local ephemeral storage", how Pods with ephemeral-storage requests run.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::api::resource::Quantity};
use tokio::{sync::mpsc, task::AbortHandle};

use crate::{agent::Agent, container::Places, pod::worker::Msg, quantity};

/// Pause between two looks. Source: the kubelet's eviction manager looks every 10 s.
const PERIOD: Duration = Duration::from_secs(10);

/// Something with a limit.
#[derive(Clone, Debug, PartialEq)]
struct Limit {
    /// What is counted.
    paths: Vec<PathBuf>,
    /// Bytes.
    limit: i64,
    /// What is said of a pod that takes more.
    message: String,
}

/// Watches the disk usage of a pod until dropped; `None` when nothing of it has a limit.
pub(crate) fn watch(
    agent: &Agent,
    pod: &Arc<Pod>,
    sender: &mpsc::UnboundedSender<Msg>,
) -> Option<AbortHandle> {
    let limits = limits(&Places::of(&agent.config, pod), pod);
    if limits.is_empty() {
        return None;
    }
    let sender = sender.clone();
    let task = tokio::spawn(async move {
        loop {
            tokio::time::sleep(PERIOD).await;
            let limits = limits.clone();
            let over = tokio::task::spawn_blocking(move || exceeded(&limits)).await;
            if let Ok(Some(message)) = over {
                let _ = sender.send(Msg::Evicted(message));
                return;
            }
        }
    });
    Some(task.abort_handle())
}

/// The limits of a pod.
fn limits(places: &Places, pod: &Pod) -> Vec<Limit> {
    let Some(spec) = &pod.spec else {
        return Vec::new();
    };
    let volumes = spec.volumes.iter().flatten().filter_map(|volume| {
        let empty = volume.empty_dir.as_ref()?;
        // In memory the size of the file system is the limit.
        let limit = empty
            .size_limit
            .as_ref()
            .filter(|_| empty.medium.as_deref() != Some("Memory"))?;
        Some(Limit {
            paths: vec![places.data.join("volumes").join(&volume.name)],
            limit: quantity::value(limit)?,
            message: format!(
                "Usage of EmptyDir volume \"{}\" exceeds the limit \"{}\". ",
                volume.name, limit.0
            ),
        })
    });
    let containers = spec.containers.iter().filter_map(|container| {
        let limits = container.resources.as_ref()?.limits.as_ref()?;
        let limit: &Quantity = limits.get("ephemeral-storage")?;
        Some(Limit {
            paths: vec![
                places.data.join("containers").join(&container.name),
                places.logs.join(&container.name),
            ],
            limit: quantity::value(limit)?,
            message: format!(
                "Container {} exceeded its local ephemeral storage limit \"{}\". ",
                container.name, limit.0
            ),
        })
    });
    volumes.chain(containers).collect()
}

/// What is said of the first limit that is exceeded.
fn exceeded(limits: &[Limit]) -> Option<String> {
    let over = limits.iter().find(|limit| {
        let used: u64 = limit.paths.iter().map(|path| used(path)).sum();
        i64::try_from(used).is_ok_and(|used| used > limit.limit)
    });
    over.map(|limit| limit.message.clone())
}

/// Bytes on disk of a file or a directory with all that is in it; what goes away meanwhile does not count.
fn used(path: &Path) -> u64 {
    let mut sum = 0;
    let mut below = vec![path.to_owned()];
    while let Some(path) = below.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else {
            continue;
        };
        sum += meta.blocks() * 512;
        if meta.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            below.extend(entries.map(|entry| entry.path()));
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_volume_and_a_container_are_held_to_their_limits() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let places = Places {
            data: dir.path().join("data"),
            run: dir.path().join("run"),
            logs: dir.path().join("logs"),
        };
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "uid": "u"},
            "spec": {
                "volumes": [
                    {"name": "v", "emptyDir": {"sizeLimit": "64Ki"}},
                    {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Ki"}},
                    {"name": "free", "emptyDir": {}},
                ],
                "containers": [{"name": "c", "resources": {"limits": {"ephemeral-storage": "64Ki"}}}, {"name": "d"}],
            }
        }))
        .expect("pod");
        let limits = limits(&places, &pod);
        assert_eq!(limits.len(), 2);
        assert_eq!(exceeded(&limits), None);
        let volume = places.data.join("volumes/v/below");
        let layer = places.data.join("containers/c/0/upper");
        let log = places.logs.join("c");
        for dir in [&volume, &layer, &log] {
            fs::create_dir_all(dir).expect("directory");
        }
        assert_eq!(exceeded(&limits), None);
        let half = vec![b'x'; 40 << 10];
        fs::write(layer.join("file"), &half).expect("write");
        assert_eq!(exceeded(&limits), None);
        fs::write(log.join("0.log"), &half).expect("write");
        assert_eq!(
            exceeded(&limits).as_deref(),
            Some("Container c exceeded its local ephemeral storage limit \"64Ki\". ")
        );
        fs::write(volume.join("file"), vec![b'x'; 80 << 10]).expect("write");
        assert_eq!(
            exceeded(&limits).as_deref(),
            Some("Usage of EmptyDir volume \"v\" exceeds the limit \"64Ki\". ")
        );
    }
}
