//! OCI images: pulled from any registry, imported from archives and layouts, kept in a content-addressed store,
//! layers unpacked once into directories that overlay mounts use as lower layers.
//!
//! The store's directory: `index.json` (names, images; one file, replaced under a lock), `layers/<hex of the diff id>`
//! (unpacked, complete once it has that name), `tmp/` (being unpacked; what a crash left is removed at the next open).

mod import;
mod index;
mod layer;
mod registry;

use std::{
    collections::HashMap,
    fs::File,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use oci_client::Reference;
use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};

use index::{Index, Record};
use layer::Options;

/// Where images are kept and how they are fetched.
#[derive(Clone, Debug)]
pub struct Config {
    /// Store directory.
    pub dir: PathBuf,
    /// Registries (`host` or `host:port`) spoken to without TLS; loopback addresses always are, when TLS fails.
    pub insecure_registries: Vec<String>,
    /// Mirrors by registry host: tried in order before the registry itself.
    pub mirrors: Vec<(String, String)>,
    /// Write `user.overlay.*` instead of `trusted.overlay.*` marks (layers are used inside a user namespace).
    pub user_xattr: bool,
}

/// Registry credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// None.
    Anonymous,
    /// User and password.
    Basic(String, String),
}

/// An image in the store, ready to run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Image {
    /// Digest of the config, `sha256:…`: the image id.
    pub id: String,
    /// Names it is known by, `registry/name:tag`.
    pub tags: Vec<String>,
    /// `registry/name@sha256:…`: digests of the manifests it came from.
    pub digests: Vec<String>,
    /// Bytes on disk.
    pub size: u64,
    /// What the image says about the process to run.
    pub process: ImageProcess,
    /// Unpacked layer directories, lowest first.
    pub layers: Vec<PathBuf>,
}

/// The parts of the OCI image config that describe the process (image-spec, config.md).
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ImageProcess {
    /// Entrypoint.
    pub entrypoint: Vec<String>,
    /// Default arguments.
    pub cmd: Vec<String>,
    /// `KEY=VALUE` each.
    pub env: Vec<String>,
    /// Working directory, empty: `/`.
    pub working_dir: String,
    /// `user`, `uid`, `user:group`, `uid:gid`; empty: root.
    pub user: String,
    /// Signal to stop with, empty: SIGTERM.
    pub stop_signal: String,
    /// Declared volumes (paths).
    pub volumes: Vec<String>,
}

/// Why an image could not be had. The text is what the pod's events show.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The reference does not parse: `InvalidImageName`.
    #[error("couldn't parse image name {reference:?}: {reason}")]
    InvalidName {
        /// What was given.
        reference: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The registry does not have it.
    #[error("{reference}: not found")]
    NotFound {
        /// What was asked for.
        reference: String,
    },
    /// The registry refused the credentials.
    #[error("{reference}: {reason}")]
    Denied {
        /// What was asked for.
        reference: String,
        /// What the registry said.
        reason: String,
    },
    /// Anything else on the way.
    #[error("pull {reference}: {operation}")]
    Pull {
        /// What was asked for.
        reference: String,
        /// What was being done.
        operation: String,
        /// Why it failed.
        #[source]
        source: anyhow::Error,
    },
    /// The local store failed.
    #[error("image store: {operation} {path:?}")]
    Store {
        /// What was being done.
        operation: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: anyhow::Error,
    },
    /// A running container uses the image.
    #[error("{reference} is in use by process {pid}")]
    InUse {
        /// What was to be removed.
        reference: String,
        /// A process whose mounts use one of its layers.
        pid: i32,
    },
}

impl Error {
    fn store(operation: &'static str, path: &Path, source: impl Into<anyhow::Error>) -> Self {
        Self::Store {
            operation,
            path: path.into(),
            source: source.into(),
        }
    }
}

/// The image store of this node. Cheap to clone. Safe to use from several processes (the agent and
/// `skiff image import`).
#[derive(Clone)]
pub struct ImageStore {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    options: Options,
    /// Held as long as the store is open: says that our part of `tmp/` is in use.
    _tmp_lock: File,
    tmp: PathBuf,
    /// One lock per layer or image that is being fetched: whoever comes second finds it done.
    busy: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    clients: registry::Clients,
}

impl ImageStore {
    /// Opens or creates the store. Half-written files of a crash are removed.
    pub fn open(config: Config) -> Result<Self, Error> {
        for dir in [&config.dir, &config.dir.join("layers"), &config.dir.join("tmp")] {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o711)
                .create(dir)
                .map_err(|e| Error::store("create", dir, e))?;
        }
        let (tmp, tmp_lock) = own_tmp(&config.dir)?;
        let options = Options {
            user_xattr: config.user_xattr,
            squash_owners: has_single_id(),
        };
        let inner = Inner {
            config,
            options,
            _tmp_lock: tmp_lock,
            tmp,
            busy: Mutex::default(),
            clients: registry::Clients::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Finds an image that is here already, by the name a pod would use.
    pub fn find(&self, reference: &str) -> Result<Option<Image>, Error> {
        let name = if reference.starts_with("sha256:") {
            reference.to_owned()
        } else {
            parse(reference)?.whole()
        };
        let index = Index::read(&self.inner.config.dir)?;
        Ok(index.find(&name).map(|(id, record)| self.image(id, record)))
    }

    /// Pulls an image. Concurrent pulls of one image or layer do the work once.
    pub async fn pull(&self, reference: &str, credentials: &Credentials) -> Result<Image, Error> {
        registry::pull(self, &parse(reference)?, credentials).await
    }

    /// Imports an OCI layout directory or tar, or a `docker save` archive; `name` overrides its names.
    pub async fn import(&self, source: &Path, name: Option<&str>) -> Result<Vec<Image>, Error> {
        let name = name.map(parse).transpose()?.map(|r| r.whole());
        let (store, source) = (self.clone(), source.to_owned());
        tokio::task::spawn_blocking(move || import::import(&store, &source, name.as_deref()))
            .await
            .map_err(|e| Error::store("import into", &self.inner.config.dir, e))?
    }

    /// All images.
    pub fn list(&self) -> Result<Vec<Image>, Error> {
        let index = Index::read(&self.inner.config.dir)?;
        Ok(index
            .images
            .iter()
            .map(|(id, record)| self.image(id, record))
            .collect())
    }

    /// Removes a name; the image and layers nothing refers to any more go too.
    pub fn remove(&self, reference: &str) -> Result<(), Error> {
        let name = if reference.starts_with("sha256:") {
            reference.to_owned()
        } else {
            parse(reference)?.whole()
        };
        let unused = Index::update(&self.inner.config.dir, |index| {
            let Some((id, record)) = index.find(&name).map(|(id, record)| (id.clone(), record.clone()))
            else {
                return Err(Error::NotFound {
                    reference: reference.to_owned(),
                });
            };
            let is_last = name == id || record.tags.iter().all(|t| *t == name);
            if !is_last {
                if let Some(record) = index.images.get_mut(&id) {
                    record.tags.retain(|t| *t != name);
                    record.digests.retain(|d| *d != name);
                }
                return Ok(Vec::new());
            }
            let others = |layer: &String| {
                index
                    .images
                    .iter()
                    .any(|(other, r)| *other != id && r.layers.contains(layer))
            };
            let unused: Vec<PathBuf> = record
                .layers
                .iter()
                .filter(|l| !others(l))
                .map(|l| self.layer_dir(l))
                .collect();
            if let Some(pid) = user_of(&unused) {
                return Err(Error::InUse {
                    reference: reference.to_owned(),
                    pid,
                });
            }
            index.images.remove(&id);
            Ok(unused)
        })?;
        for dir in unused {
            std::fs::remove_dir_all(&dir).map_err(|e| Error::store("remove", &dir, e))?;
        }
        Ok(())
    }

    fn image(&self, id: &str, record: &Record) -> Image {
        Image {
            id: id.to_owned(),
            tags: record.tags.clone(),
            digests: record.digests.clone(),
            size: record.size,
            process: record.process.clone(),
            layers: record.layers.iter().map(|diff| self.layer_dir(diff)).collect(),
        }
    }

    fn layer_dir(&self, diff_id: &str) -> PathBuf {
        self.inner
            .config
            .dir
            .join("layers")
            .join(diff_id.trim_start_matches("sha256:"))
    }

    fn has_layer(&self, diff_id: &str) -> bool {
        self.layer_dir(diff_id).is_dir()
    }

    /// Unpacks a layer whose diff id is known beforehand; blocks. The layer has its name only once it is complete and
    /// its digest is right.
    fn unpack_layer(&self, diff_id: &str, compressed: impl std::io::Read) -> Result<(), Error> {
        let target = self.layer_dir(diff_id);
        let dir = tempfile::Builder::new()
            .prefix("layer-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir_in(&self.inner.tmp)
            .map_err(|e| Error::store("create a directory in", &self.inner.tmp, e))?;
        let (digest, _) = layer::unpack(compressed, dir.path(), self.inner.options)
            .map_err(|e| Error::store("unpack", &target, e))?;
        if digest != diff_id {
            let text = format!("its content has the digest {digest}");
            return Err(Error::store("unpack", &target, anyhow::anyhow!(text)));
        }
        // A crash must not leave a layer with its name but without its content.
        let synced = File::open(dir.path()).and_then(|f| Ok(rustix::fs::syncfs(f)?));
        synced.map_err(|e| Error::store("sync", &target, e))?;
        match std::fs::rename(dir.path(), &target) {
            Ok(()) => {
                let _ = dir.keep();
                Ok(())
            }
            // Another process was quicker; its content is the same by digest.
            Err(_) if target.is_dir() => Ok(()),
            Err(e) => Err(Error::store("rename", &target, e)),
        }
    }

    /// Records an image whose layers are all here, and names it.
    fn add(
        &self,
        id: &str,
        mut record: Record,
        tag: Option<&str>,
        digest: Option<&str>,
    ) -> Result<Image, Error> {
        record.size = record.layers.iter().map(|l| size_of(&self.layer_dir(l))).sum();
        Index::update(&self.inner.config.dir, |index| {
            let known = index.images.entry(id.to_owned()).or_insert(record);
            if let Some(digest) = digest
                && !known.digests.iter().any(|d| d == digest)
            {
                known.digests.push(digest.to_owned());
            }
            if let Some(tag) = tag {
                index.tag(id, tag);
            }
            Ok(self.image(id, &index.images[id]))
        })
    }

    /// The lock of something that is being fetched.
    fn busy(&self, key: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut busy = self.inner.busy.lock();
        busy.retain(|_, lock| Arc::strong_count(lock) > 1);
        busy.entry(key.to_owned()).or_default().clone()
    }
}

/// The registry of names without a host: as names spell it, and as it is reached (and listed in docker configurations).
pub fn default_registry() -> Option<(String, String)> {
    let reference = parse("name").ok()?;
    Some((
        reference.registry().to_owned(),
        reference.resolve_registry().to_owned(),
    ))
}

/// Parses a name as users write it and completes it (`nginx` has a registry, a repository and a tag).
fn parse(reference: &str) -> Result<Reference, Error> {
    reference.parse::<Reference>().map_err(|e| Error::InvalidName {
        reference: reference.to_owned(),
        reason: e.to_string(),
    })
}

/// A directory below `tmp/` for this process, and what processes that are gone left there removed.
fn own_tmp(dir: &Path) -> Result<(PathBuf, File), Error> {
    let tmp = dir.join("tmp");
    let _lock = index::lock(dir)?;
    for entry in std::fs::read_dir(&tmp)
        .map_err(|e| Error::store("read", &tmp, e))?
        .flatten()
    {
        let path = entry.path();
        let Ok(marker) = File::open(path.join("lock")) else {
            continue;
        };
        if flock(&marker, FlockOperation::NonBlockingLockExclusive).is_ok() {
            std::fs::remove_dir_all(&path).map_err(|e| Error::store("remove", &path, e))?;
        }
    }
    let own = tempfile::Builder::new()
        .prefix("process-")
        .tempdir_in(&tmp)
        .map_err(|e| Error::store("create", &tmp, e))?;
    let own = own.keep();
    let lock = File::create(own.join("lock"))
        .and_then(|file| {
            flock(&file, FlockOperation::LockExclusive)?;
            Ok(file)
        })
        .map_err(|e| Error::store("lock", &own, e))?;
    Ok((own, lock))
}

impl Drop for Inner {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.tmp);
    }
}

/// Whether our user namespace knows a single id only (no range in /etc/subuid).
fn has_single_id() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let ids: u64 = map
        .lines()
        .filter_map(|l| l.split_whitespace().nth(2)?.parse::<u64>().ok())
        .sum();
    ids == 1
}

/// A process in whose mount namespace one of these directories is mounted as a layer.
fn user_of(layers: &[PathBuf]) -> Option<i32> {
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else {
            continue;
        };
        let mounts = std::fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
        if layers
            .iter()
            .filter_map(|l| l.file_name()?.to_str())
            .any(|name| mounts.contains(name))
        {
            return Some(pid);
        }
    }
    None
}

/// Bytes of all files below a directory, hard links counted once each.
fn size_of(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    entries
        .flatten()
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .map(|(path, metadata)| {
            if metadata.is_dir() {
                size_of(&path)
            } else {
                metadata.size()
            }
        })
        .sum()
}
