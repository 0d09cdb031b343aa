//! Pulling from registries (distribution-spec).

use std::io;

use futures::{StreamExt, TryStreamExt, stream};
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol},
    errors::{OciDistributionError, OciErrorCode},
    manifest::{OciDescriptor, OciImageManifest},
    secrets::RegistryAuth,
};
use parking_lot::Mutex;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::{Credentials, Error, Image, ImageProcess, ImageStore, index::Record, layer::Hashing};

/// Layers fetched and unpacked at once.
const PARALLEL_LAYERS: usize = 4;

/// Tries the mirrors of the registry, then the registry itself.
pub async fn pull(
    store: &ImageStore,
    reference: &Reference,
    credentials: &Credentials,
) -> Result<Image, Error> {
    let config = &store.inner.config;
    let busy = store.busy(&reference.whole());
    let _alone = busy.lock().await;
    let mirrors = config
        .mirrors
        .iter()
        .filter(|(registry, _)| registry == reference.registry());
    for (_, mirror) in mirrors {
        match pull_from(store, reference, Some(mirror), &Credentials::Anonymous).await {
            Ok(image) => return Ok(image),
            Err(error) => tracing::info!(%reference, mirror, error = format!("{error:#}"), "mirror failed"),
        }
    }
    pull_from(store, reference, None, credentials).await
}

async fn pull_from(
    store: &ImageStore,
    reference: &Reference,
    mirror: Option<&str>,
    credentials: &Credentials,
) -> Result<Image, Error> {
    let mut source = reference.clone();
    if let Some(mirror) = mirror {
        source.set_mirror_registry(mirror.to_owned());
    }
    let host = source.resolve_registry().to_owned();
    let insecure = store.inner.config.insecure_registries.contains(&host);
    let protocol = if insecure {
        ClientProtocol::Http
    } else {
        ClientProtocol::Https
    };
    let first = Puller::new(store, reference, source.clone(), protocol, credentials)
        .await?
        .pull()
        .await;
    match first {
        // Nobody can listen in on the loopback interface: a registry there needs no TLS.
        Err(Error::Pull { .. }) if !insecure && is_loopback(&host) => {
            Puller::new(store, reference, source, ClientProtocol::Http, credentials)
                .await?
                .pull()
                .await
        }
        other => other,
    }
}

fn is_loopback(host: &str) -> bool {
    let name = host
        .rsplit_once(':')
        .map_or(host, |(name, _)| name)
        .trim_matches(['[', ']']);
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Clients that are kept: making one reads every certificate of the machine, which takes longer than a small pull.
#[derive(Default)]
pub struct Clients(Mutex<Vec<(bool, Credentials, Client)>>);

/// One per protocol for two sets of credentials.
const KEPT_CLIENTS: usize = 4;

impl Clients {
    /// A client remembers the tokens it was given: one per set of credentials.
    async fn get(&self, protocol: ClientProtocol, credentials: &Credentials) -> anyhow::Result<Client> {
        let is_plain = matches!(protocol, ClientProtocol::Http);
        let known = |kept: &[(bool, Credentials, Client)]| {
            let same =
                |(plain, of, _): &&(bool, Credentials, Client)| *plain == is_plain && of == credentials;
            kept.iter().find(same).map(|(_, _, client)| client.clone())
        };
        if let Some(client) = known(&self.0.lock()) {
            return Ok(client);
        }
        let client = tokio::task::spawn_blocking(move || {
            // The process-wide provider may be installed already, by us or by whoever embeds this.
            let _ = rustls::crypto::ring::default_provider().install_default();
            Client::new(ClientConfig {
                protocol,
                connect_timeout: Some(std::time::Duration::from_secs(15)),
                read_timeout: Some(std::time::Duration::from_secs(60)),
                user_agent: concat!("skiff/", env!("CARGO_PKG_VERSION")),
                ..ClientConfig::default()
            })
        })
        .await?;
        let mut kept = self.0.lock();
        if kept.len() == KEPT_CLIENTS {
            kept.remove(0);
        }
        kept.push((is_plain, credentials.clone(), client.clone()));
        Ok(client)
    }
}

struct Puller<'a> {
    store: &'a ImageStore,
    /// What the image is called.
    reference: &'a Reference,
    /// Where it comes from.
    source: Reference,
    client: Client,
    auth: RegistryAuth,
}

impl<'a> Puller<'a> {
    async fn new(
        store: &'a ImageStore,
        reference: &'a Reference,
        source: Reference,
        protocol: ClientProtocol,
        credentials: &Credentials,
    ) -> Result<Self, Error> {
        let auth = match credentials {
            Credentials::Anonymous => RegistryAuth::Anonymous,
            Credentials::Basic(user, password) => RegistryAuth::Basic(user.clone(), password.clone()),
        };
        let client = store
            .inner
            .clients
            .get(protocol, credentials)
            .await
            .map_err(|source| Error::Pull {
                reference: reference.whole(),
                operation: "make a client".into(),
                source,
            })?;
        Ok(Self {
            store,
            reference,
            source,
            client,
            auth,
        })
    }

    async fn pull(&self) -> Result<Image, Error> {
        let (manifest, digest) = self
            .client
            .pull_image_manifest(&self.source, &self.auth)
            .await
            .map_err(|e| self.failed("fetch the manifest", e))?;
        let config = self.config(&manifest.config).await?;
        self.layers(&manifest, &config.rootfs.diff_ids).await?;
        let name = format!("{}/{}", self.reference.registry(), self.reference.repository());
        // A name with a digest stays that name, also when it is the digest of a list of manifests.
        let digest = format!("{name}@{}", self.reference.digest().unwrap_or(&digest));
        let tag = self
            .reference
            .tag()
            .filter(|_| self.reference.digest().is_none())
            .map(|_| self.reference.whole());
        let record = Record {
            layers: config.rootfs.diff_ids,
            process: config.config.into(),
            ..Record::default()
        };
        self.store
            .add(&manifest.config.digest, record, tag.as_deref(), Some(&digest))
    }

    async fn config(&self, descriptor: &OciDescriptor) -> Result<ImageConfig, Error> {
        let mut bytes = Vec::new();
        self.client
            .pull_blob(&self.source, descriptor, &mut bytes)
            .await
            .map_err(|e| self.failed("fetch the config", e))?;
        parse_config(&bytes, &descriptor.digest).map_err(|e| self.broken("read the config", e))
    }

    /// Fetches and unpacks the layers that are missing, several at once, each while it arrives.
    async fn layers(&self, manifest: &OciImageManifest, diff_ids: &[String]) -> Result<(), Error> {
        if manifest.layers.len() != diff_ids.len() {
            let text = format!(
                "{} layers in the manifest, {} in the config",
                manifest.layers.len(),
                diff_ids.len()
            );
            return Err(self.broken("compare manifest and config", anyhow::anyhow!(text)));
        }
        // An image may have one layer twice.
        let wanted = manifest.layers.iter().zip(diff_ids);
        // Collected, because a stream over the closure is not `Send` in the compiler's eyes.
        let wanted: Vec<_> = wanted
            .map(|(layer, diff_id)| Ok(self.layer(layer, diff_id)))
            .collect();
        stream::iter(wanted)
            .try_buffer_unordered(PARALLEL_LAYERS)
            .try_collect()
            .await
    }

    async fn layer(&self, descriptor: &OciDescriptor, diff_id: &str) -> Result<(), Error> {
        let busy = self.store.busy(diff_id);
        let _alone = busy.lock().await;
        if self.store.has_layer(diff_id) {
            return Ok(());
        }
        let blob = self
            .client
            .pull_blob_stream(&self.source, descriptor)
            .await
            .map_err(|e| self.failed("fetch a layer", e))?;
        let reader = SyncIoBridge::new(StreamReader::new(
            blob.stream.map(|chunk| chunk.map_err(io::Error::other)),
        ));
        let (store, diff_id) = (self.store.clone(), diff_id.to_owned());
        tokio::task::spawn_blocking(move || store.unpack_layer(&diff_id, Hashing::new(reader)))
            .await
            .map_err(|e| self.broken("unpack a layer", e.into()))?
    }

    fn failed(&self, operation: &str, error: OciDistributionError) -> Error {
        let reference = self.reference.whole();
        let codes: Vec<&OciErrorCode> = match &error {
            OciDistributionError::RegistryError { envelope, .. } => {
                envelope.errors.iter().map(|e| &e.code).collect()
            }
            _ => Vec::new(),
        };
        let is_missing = matches!(error, OciDistributionError::ImageManifestNotFoundError(_))
            || matches!(error, OciDistributionError::ServerError { code: 404, .. })
            || codes
                .iter()
                .any(|c| matches!(c, OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown));
        let is_denied = matches!(
            error,
            OciDistributionError::UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_)
        ) || codes
            .iter()
            .any(|c| matches!(c, OciErrorCode::Denied | OciErrorCode::Unauthorized));
        if is_missing {
            Error::NotFound { reference }
        } else if is_denied {
            Error::Denied {
                reference,
                reason: error.to_string(),
            }
        } else {
            Error::Pull {
                reference,
                operation: operation.to_owned(),
                source: error.into(),
            }
        }
    }

    fn broken(&self, operation: &str, source: anyhow::Error) -> Error {
        Error::Pull {
            reference: self.reference.whole(),
            operation: operation.to_owned(),
            source,
        }
    }
}

/// The image config (image-spec, config.md), as far as it matters here.
#[derive(Deserialize)]
pub struct ImageConfig {
    /// The process.
    #[serde(default)]
    pub config: ProcessConfig,
    /// The layers.
    pub rootfs: RootFs,
}

/// `rootfs`.
#[derive(Deserialize)]
pub struct RootFs {
    /// Lowest first.
    pub diff_ids: Vec<String>,
}

/// `config`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ProcessConfig {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    working_dir: Option<String>,
    user: Option<String>,
    stop_signal: Option<String>,
    volumes: Option<std::collections::BTreeMap<String, serde::de::IgnoredAny>>,
}

impl From<ProcessConfig> for ImageProcess {
    fn from(config: ProcessConfig) -> Self {
        Self {
            entrypoint: config.entrypoint.unwrap_or_default(),
            cmd: config.cmd.unwrap_or_default(),
            env: config.env.unwrap_or_default(),
            working_dir: config.working_dir.unwrap_or_default(),
            user: config.user.unwrap_or_default(),
            stop_signal: config.stop_signal.unwrap_or_default(),
            volumes: config.volumes.unwrap_or_default().into_keys().collect(),
        }
    }
}

/// Parses a config whose digest must be this one.
pub fn parse_config(bytes: &[u8], digest: &str) -> anyhow::Result<ImageConfig> {
    let actual = format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
    anyhow::ensure!(
        actual == digest,
        "its content has the digest {actual}, not {digest}"
    );
    let config: ImageConfig = serde_json::from_slice(bytes)?;
    for diff_id in &config.rootfs.diff_ids {
        // It becomes a file name.
        let hex = diff_id.strip_prefix("sha256:").unwrap_or_default();
        let valid = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        anyhow::ensure!(valid, "{diff_id:?} is not a digest");
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_by_address_not_by_a_prefix_of_the_name() {
        for host in [
            "127.0.0.1:5000",
            "localhost:5000",
            "localhost",
            "[::1]:5000",
            "127.8.8.8",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "127.0.0.1.example.com",
            "localhost.example.com:5000",
            "10.0.0.1:5000",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_diff_id_that_would_be_a_path_is_refused() {
        let bytes = br#"{"rootfs":{"diff_ids":["sha256:../../../../etc"]}}"#;
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
        assert!(parse_config(bytes, &digest).is_err());
    }
}
