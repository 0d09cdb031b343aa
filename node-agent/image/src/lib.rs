//! OCI images: pulled from any registry, imported from archives and layouts, kept in a content-addressed store,
//! layers unpacked once into directories that overlay mounts use as lower layers.

#![allow(unused_variables, clippy::unimplemented)]

use std::path::{Path, PathBuf};

/// Where images are kept and how they are fetched.
#[derive(Clone, Debug)]
pub struct Config {
    /// Store directory.
    pub dir: PathBuf,
    /// Registries (host[:port]) spoken to without TLS; loopback addresses always are, when TLS fails.
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
}

/// The image store of this node. Cheap to clone. Safe to use from several processes (the agent and
/// `skiff image import`).
#[derive(Clone)]
pub struct ImageStore {
    _inner: std::sync::Arc<()>,
}

impl ImageStore {
    /// Opens or creates the store. Half-written files of a crash are removed.
    pub fn open(config: Config) -> Result<Self, Error> {
        unimplemented!()
    }

    /// Finds an image that is here already, by the name a pod would use.
    pub fn find(&self, reference: &str) -> Result<Option<Image>, Error> {
        unimplemented!()
    }

    /// Pulls an image. Concurrent pulls of one image or layer do the work once.
    pub async fn pull(&self, reference: &str, credentials: &Credentials) -> Result<Image, Error> {
        unimplemented!()
    }

    /// Imports an OCI layout directory or tar, or a `docker save` archive; `name` overrides its names.
    pub async fn import(&self, source: &Path, name: Option<&str>) -> Result<Vec<Image>, Error> {
        unimplemented!()
    }

    /// All images.
    pub fn list(&self) -> Result<Vec<Image>, Error> {
        unimplemented!()
    }

    /// Removes a name; the image and layers nothing refers to any more go too.
    pub fn remove(&self, reference: &str) -> Result<(), Error> {
        unimplemented!()
    }
}
