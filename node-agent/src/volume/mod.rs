//! Volumes: directories under `<data>/pods/<uid>/volumes/<name>` that containers get as bind mounts. What is secret
//! and what is asked for in memory is a tmpfs in the agent's mount namespace, which pods keep alive without the agent.

mod atomic;
pub(crate) mod etc;
mod payload;
mod subpath;
pub(crate) mod usage;

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::api::core::v1::{Container, Pod, Volume};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tracing::{debug, warn};

use crate::{
    agent::Agent,
    container::{
        Places,
        spec::{Access, Bind},
    },
    env, quantity,
};

/// Pause between two looks at the objects that volumes are made from.
const REFRESH: Duration = Duration::from_secs(60);

/// The volumes of a pod, ready to be bound.
#[derive(Debug, Default)]
pub(crate) struct Mounted {
    /// By volume name.
    volumes: BTreeMap<String, Ready>,
    /// Where sub-paths are bound.
    subpaths: PathBuf,
}

#[derive(Clone, Debug)]
struct Ready {
    path: PathBuf,
    read_only: bool,
}

/// A volume that could not be set up.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    /// Event text: `MountVolume.SetUp failed for volume "x" : …`.
    pub message: String,
}

/// Sets up all volumes of a pod, in parallel. Running it again is harmless.
pub(crate) async fn setup(agent: &Arc<Agent>, pod: &Arc<Pod>) -> Result<Mounted, Failed> {
    let places = Places::of(&agent.config, pod);
    let volumes = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.volumes.clone())
        .unwrap_or_default();
    let ready = volumes.iter().map(|volume| async {
        let path = places.data.join("volumes").join(&volume.name);
        let ready = one(agent, pod, volume, path).await.map_err(|message| Failed {
            message: format!(
                "MountVolume.SetUp failed for volume \"{}\" : {message}",
                volume.name
            ),
        })?;
        Ok((volume.name.clone(), ready))
    });
    let volumes = futures::future::try_join_all(ready).await?.into_iter().collect();
    let shm = places.shm();
    fs::create_dir_all(&shm)
        .and_then(|()| fs::set_permissions(&shm, fs::Permissions::from_mode(0o1777)))
        .map_err(|error| Failed {
            message: format!("create {shm:?}: {error}"),
        })?;
    Ok(Mounted {
        volumes,
        subpaths: places.data.join("subpaths"),
    })
}

async fn one(agent: &Arc<Agent>, pod: &Arc<Pod>, volume: &Volume, path: PathBuf) -> Result<Ready, String> {
    let fs_group = fs_group(pod);
    if let Some(host) = &volume.host_path {
        host_path(&host.path, host.type_.as_deref().unwrap_or_default())?;
        return Ok(Ready {
            path: PathBuf::from(&host.path),
            read_only: false,
        });
    }
    let text = |error: io::Error| format!("{path:?}: {error}");
    fs::create_dir_all(&path).map_err(text)?;
    if let Some(empty) = &volume.empty_dir {
        if empty.medium.as_deref() == Some("Memory") {
            let size = empty.size_limit.as_ref().and_then(quantity::value);
            tmpfs(&path, size, 0o777)?;
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).map_err(text)?;
        own(&path, fs_group);
        return Ok(Ready {
            path,
            read_only: false,
        });
    }
    if payload::is_payload(volume) {
        if payload::is_secret(volume) {
            tmpfs(&path, None, 0o755)?;
        }
        let files = payload::collect(agent, pod, volume).await?;
        atomic::write(&path, &files, fs_group).map_err(text)?;
        return Ok(Ready {
            path,
            read_only: true,
        });
    }
    Err("this kind of volume is not supported".into())
}

/// Keeps volumes made from objects as these objects are, until dropped.
/// With `now` it begins at once.
pub(crate) fn refresh(agent: &Arc<Agent>, pod: &Arc<Pod>, mut now: bool) -> Option<tokio::task::AbortHandle> {
    let (agent, pod) = (Arc::clone(agent), Arc::clone(pod));
    let volumes: Vec<Volume> = pod
        .spec
        .iter()
        .flat_map(|spec| spec.volumes.iter().flatten())
        .filter(|volume| payload::is_payload(volume))
        .cloned()
        .collect();
    if volumes.is_empty() {
        return None;
    }
    let places = Places::of(&agent.config, &pod);
    let task = tokio::spawn(async move {
        loop {
            if !std::mem::take(&mut now) {
                tokio::time::sleep(REFRESH).await;
            }
            for volume in &volumes {
                let path = places.data.join("volumes").join(&volume.name);
                match payload::collect(&agent, &pod, volume).await {
                    Ok(files) => {
                        if let Err(error) = atomic::write(&path, &files, fs_group(&pod)) {
                            warn!(?path, %error, "update a volume");
                        }
                    }
                    // What is there stays; the object may come back.
                    Err(error) => debug!(?path, error, "look at a volume's objects"),
                }
            }
        }
    });
    Some(task.abort_handle())
}

/// Unmounts and removes all of a pod's data but its logs. Idempotent.
pub(crate) fn remove(places: &Places) -> io::Result<()> {
    for dir in ["subpaths", "volumes"] {
        let Ok(entries) = fs::read_dir(places.data.join(dir)) else {
            continue;
        };
        for entry in entries.flatten() {
            // Not a mount point is the common case.
            let _ = umount2(&entry.path(), MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
        }
    }
    match fs::remove_dir_all(&places.data) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn fs_group(pod: &Pod) -> Option<u32> {
    let group = pod.spec.as_ref()?.security_context.as_ref()?.fs_group?;
    u32::try_from(group).ok()
}

/// Gives a volume's top to the pod's group. A group that is not mapped here is left out: the files stay root's.
fn own(path: &Path, group: Option<u32>) {
    let Some(group) = group else { return };
    match std::os::unix::fs::chown(path, None, Some(group)) {
        Ok(()) => {
            let mode = fs::metadata(path).map_or(0o777, |meta| meta.mode() & 0o7777);
            let _ = fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o2070));
        }
        Err(error) => warn!(?path, group, %error, "give a volume to fsGroup"),
    }
}

/// Mounts a tmpfs unless there is one already.
fn tmpfs(path: &Path, size: Option<i64>, mode: u32) -> Result<(), String> {
    let text = |error: io::Error| format!("{path:?}: {error}");
    let parent = path.parent().unwrap_or(path);
    if fs::metadata(path).map_err(text)?.dev() != fs::metadata(parent).map_err(text)?.dev() {
        return Ok(());
    }
    let mut options = format!("mode={mode:o}");
    if let Some(size) = size {
        options.push_str(&format!(",size={size}"));
    }
    mount(
        Some("tmpfs"),
        path,
        Some("tmpfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some(options.as_str()),
    )
    .map_err(|error| format!("mount tmpfs at {path:?}: {error}"))
}

/// Checks or makes what a hostPath volume points to. Source: Kubernetes, "Volumes", hostPath types.
fn host_path(path: &str, kind: &str) -> Result<(), String> {
    use std::os::unix::fs::FileTypeExt as _;
    let wrong = |what: &str| Err(format!("hostPath type check failed: {path} is not a {what}"));
    let meta = fs::metadata(path).ok();
    match kind {
        "" => Ok(()),
        "DirectoryOrCreate" if meta.is_none() => fs::create_dir_all(path)
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
            .map_err(|error| format!("create {path}: {error}")),
        "FileOrCreate" if meta.is_none() => fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map(|_| ())
            .map_err(|error| format!("create {path}: {error}")),
        "Directory" | "DirectoryOrCreate" if meta.as_ref().is_some_and(|meta| meta.is_dir()) => Ok(()),
        "Directory" | "DirectoryOrCreate" => wrong("directory"),
        "File" | "FileOrCreate" if meta.as_ref().is_some_and(|meta| meta.is_file()) => Ok(()),
        "File" | "FileOrCreate" => wrong("file"),
        "Socket" if meta.as_ref().is_some_and(|meta| meta.file_type().is_socket()) => Ok(()),
        "Socket" => wrong("socket file"),
        "CharDevice"
            if meta
                .as_ref()
                .is_some_and(|meta| meta.file_type().is_char_device()) =>
        {
            Ok(())
        }
        "CharDevice" => wrong("character device"),
        "BlockDevice"
            if meta
                .as_ref()
                .is_some_and(|meta| meta.file_type().is_block_device()) =>
        {
            Ok(())
        }
        "BlockDevice" => wrong("block device"),
        other => Err(format!("unknown hostPath type {other:?}")),
    }
}

/// The bind mounts a container asks for. `env` is what `subPathExpr` sees.
pub(crate) fn binds(
    mounted: &Mounted,
    container: &Container,
    env: &[(String, String)],
) -> Result<Vec<Bind>, String> {
    let mut binds = Vec::new();
    for (index, wanted) in container.volume_mounts.iter().flatten().enumerate() {
        let volume = mounted
            .volumes
            .get(&wanted.name)
            .ok_or_else(|| format!("volume {:?} not found", wanted.name))?;
        let sub = match &wanted.sub_path_expr {
            Some(text) => {
                let see = |name: &str| {
                    env.iter()
                        .find(|(n, _)| n == name)
                        .map(|(_, value)| value.clone())
                };
                let text = env::expand(text, see);
                if text.contains("$(") {
                    return Err(format!("missing value for {text:?}"));
                }
                Some(text)
            }
            None => wanted.sub_path.clone(),
        };
        let source = match sub.filter(|sub| !sub.is_empty()) {
            None => volume.path.clone(),
            Some(sub) => {
                let at = mounted.subpaths.join(format!("{}-{index}", container.name));
                subpath::bind(&volume.path, &sub, &at).map_err(|error| {
                    format!(
                        "failed to prepare subPath for volumeMount {:?} of container {:?}: {}",
                        wanted.name,
                        container.name,
                        crate::causes::chain(&error)
                    )
                })?
            }
        };
        binds.push(Bind {
            source,
            target: absolute(&wanted.mount_path),
            access: match Access::of(wanted) {
                Access::Write if volume.read_only => Access::Read,
                asked => asked,
            },
            recursive: true,
            propagation: wanted.mount_propagation.clone(),
        });
    }
    Ok(binds)
}

fn absolute(path: &str) -> String {
    let path = path.trim_end_matches('/');
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_paths_are_what_their_type_says() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = |name: &str| dir.path().join(name).to_str().expect("utf-8").to_owned();
        assert!(host_path(&path("a"), "Directory").is_err());
        assert!(host_path(&path("a"), "DirectoryOrCreate").is_ok());
        assert!(host_path(&path("a"), "Directory").is_ok());
        assert!(host_path(&path("a"), "File").is_err());
        assert!(host_path(&path("f"), "FileOrCreate").is_ok());
        assert!(host_path(&path("f"), "File").is_ok());
        assert!(host_path(&path("none"), "").is_ok());
    }
}
