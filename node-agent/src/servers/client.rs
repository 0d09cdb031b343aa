//! The API client with a certificate that is renewed in process: requests go through whichever client is the present
//! one.

use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{Request, Response};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Client, Config,
    api::{Patch, PatchParams},
    client::{Body, ConfigExt as _},
    config::{KubeConfigOptions, Kubeconfig},
};
use parking_lot::RwLock;
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often is looked whether the certificate is due: clocks jump, and machines sleep for weeks.
const LOOK: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(3);

/// The TLS to connect with now.
#[derive(Clone)]
pub(crate) struct TlsSource(Arc<RwLock<Arc<ClientConfig>>>);

impl TlsSource {
    pub(crate) fn get(&self) -> Arc<ClientConfig> {
        self.0.read().clone()
    }
}

/// The node's identity, from its kubeconfig, renewed before it ends, and when the cluster has another CA.
pub(crate) struct Renewing {
    kubeconfig: PathBuf,
    node: String,
    tls: TlsSource,
    present: Arc<RwLock<Option<Client>>>,
    renewals: watch::Sender<u64>,
    /// The CA that the Node says its certificate is of.
    said: Option<String>,
}

impl Renewing {
    /// Reads the kubeconfig of this node.
    pub(crate) async fn open(kubeconfig: PathBuf, node: String) -> anyhow::Result<(Self, Config)> {
        let config = read(&kubeconfig).await?;
        let tls = config.rustls_client_config().context("TLS of the kubeconfig")?;
        let renewing = Self {
            kubeconfig,
            node,
            tls: TlsSource(Arc::new(RwLock::new(Arc::new(tls)))),
            present: Arc::default(),
            renewals: watch::Sender::new(0),
            said: None,
        };
        Ok((renewing, config))
    }

    /// Changes whenever the kubeconfig has another certificate.
    pub(crate) fn renewals(&self) -> watch::Receiver<u64> {
        self.renewals.subscribe()
    }

    /// The TLS of the present certificate.
    pub(crate) fn tls(&self) -> TlsSource {
        self.tls.clone()
    }

    /// A client that always uses the present certificate; `config` is the kubeconfig's, at the address to be used.
    pub(crate) fn client(&self, config: &Config) -> anyhow::Result<Client> {
        let first = Client::try_from(config.clone()).context("make the API client")?;
        *self.present.write() = Some(first);
        let present = Arc::clone(&self.present);
        let service = tower::service_fn(move |request: Request<Body>| {
            let client = present.read().clone();
            async move {
                let client = client.ok_or_else(|| kube::Error::Service("no client".into()))?;
                let answer: Result<Response<Body>, kube::Error> = client.send(request).await;
                answer
            }
        });
        Ok(Client::new(service, config.default_namespace.clone()))
    }

    /// Renews the certificate in the last third of its life, and when the cluster announces CAs that are not those of the
    /// kubeconfig, until `stop`. `config` has the forwarder's address.
    pub(crate) async fn run(
        mut self,
        config: Config,
        mut announced: watch::Receiver<Option<String>>,
        stop: CancellationToken,
    ) {
        let work = async {
            loop {
                let authorities = announced.borrow_and_update().clone();
                let pause = match self
                    .bring_up(&config, authorities.as_deref(), SystemTime::now())
                    .await
                {
                    Ok(pause) => pause,
                    Err(error) => {
                        warn!(error = format!("{error:#}"), "renew this node's certificate");
                        RETRY
                    }
                };
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    Ok(()) = announced.changed() => {}
                }
            }
        };
        stop.run_until_cancelled(work).await;
    }

    async fn bring_up(
        &mut self,
        config: &Config,
        announced: Option<&str>,
        now: SystemTime,
    ) -> anyhow::Result<Duration> {
        let mut held = std::fs::read_to_string(&self.kubeconfig).context("read the kubeconfig")?;
        let is_new = announced.is_some_and(|announced| pins(&held).is_ok_and(|held| held != announced));
        if is_new || is_due(&decode(field(&held, CERTIFICATE)?)?, now)? {
            held = self.renew(config, &held).await?;
        }
        let known = pins(&held)?;
        if let Some(announced) = announced.filter(|announced| *announced != known) {
            anyhow::bail!("asked a server that does not have the keys {announced} yet");
        }
        let signs = known.split(',').next().map(str::to_owned);
        // Only a cluster that announces its CAs asks nodes which they have.
        if announced.is_some() && self.said != signs {
            let nodes = kube::Api::<Node>::all(self.present.read().clone().context("no client")?);
            let Some(node) = nodes.get_opt(&self.node).await.context("get the Node")? else {
                // It is about to be registered.
                return Ok(RETRY);
            };
            let says = node
                .metadata
                .annotations
                .and_then(|mut all| all.remove(AUTHORITY));
            let body = serde_json::json!({ "metadata": { "annotations": { AUTHORITY: signs } } });
            if says != signs {
                nodes
                    .patch(&self.node, &PatchParams::default(), &Patch::Merge(body))
                    .await
                    .context("say which CA this node's certificate is of")?;
            }
            self.said = signs;
        }
        Ok(LOOK)
    }

    /// Asks for a certificate; returns the new kubeconfig, which is in use from then on.
    async fn renew(&self, config: &Config, held: &str) -> anyhow::Result<String> {
        // The key stays: it is what the cluster knows this node by.
        let key = rcgen::KeyPair::from_pem(&decode(field(held, KEY)?)?).context("key")?;
        let csr = rcgen::CertificateParams::default()
            .serialize_request(&key)?
            .pem()?;
        let body = serde_json::to_vec(&serde_json::json!({ "csr": csr }))?;
        let client = self.present.read().clone().context("no client")?;
        let request = Request::post("/skiff/v1/renew").body(body)?;
        let answer: serde_json::Value = client.request(request).await.context("ask for a certificate")?;
        let certificate = answer["certificate"]
            .as_str()
            .context("the answer has no certificate")?;
        let mut text = held.replace(field(held, CERTIFICATE)?, &BASE64_STANDARD.encode(certificate));
        if let Some(authorities) = answer["authorities"].as_str() {
            text = text.replace(field(held, CA)?, &BASE64_STANDARD.encode(authorities));
        }
        write_private(&self.kubeconfig, &text)?;
        let mut fresh = read(&self.kubeconfig).await?;
        fresh.cluster_url = config.cluster_url.clone();
        *self.tls.0.write() = Arc::new(fresh.rustls_client_config().context("TLS of the kubeconfig")?);
        *self.present.write() = Some(Client::try_from(fresh).context("make the API client")?);
        self.renewals.send_modify(|count| *count += 1);
        info!("this node's certificate is renewed");
        Ok(text)
    }
}

/// Annotation of a Node: the CA its certificate is of.
const AUTHORITY: &str = "skiff.dev/authority";
const CA: &str = "certificate-authority-data: ";
const CERTIFICATE: &str = "client-certificate-data: ";
const KEY: &str = "client-key-data: ";

async fn read(kubeconfig: &Path) -> anyhow::Result<Config> {
    let parsed =
        Kubeconfig::read_from(kubeconfig).with_context(|| format!("read kubeconfig {kubeconfig:?}"))?;
    Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default())
        .await
        .with_context(|| format!("kubeconfig {kubeconfig:?}"))
}

/// A value of a kubeconfig that joining has written: one line each.
fn field<'a>(kubeconfig: &'a str, name: &str) -> anyhow::Result<&'a str> {
    let (_, rest) = kubeconfig
        .split_once(name)
        .with_context(|| format!("the kubeconfig has no {name}"))?;
    Ok(rest.lines().next().unwrap_or_default().trim())
}

fn decode(base64: &str) -> anyhow::Result<String> {
    Ok(String::from_utf8(BASE64_STANDARD.decode(base64)?)?)
}

/// The CAs of a kubeconfig as a cluster announces them: hex SHA-256 of each, with commas between them.
fn pins(kubeconfig: &str) -> anyhow::Result<String> {
    use sha2::Digest as _;
    let bundle = decode(field(kubeconfig, CA)?)?;
    let pins: Result<Vec<String>, _> = CertificateDer::pem_slice_iter(bundle.as_bytes())
        .map(|der| der.map(|der| hex::encode(sha2::Sha256::digest(&der))))
        .collect();
    Ok(pins.map_err(|error| anyhow::anyhow!("CA: {error}"))?.join(","))
}

/// Whether a certificate (PEM) is in the last third of its life, or past it.
fn is_due(pem: &str, now: SystemTime) -> anyhow::Result<bool> {
    let der =
        CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|e| anyhow::anyhow!("certificate: {e}"))?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).context("certificate")?;
    let validity = certificate.validity();
    let (from, to) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
    Ok(now > to - (to - from) / 3)
}

fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .with_context(|| format!("open {temporary:?}"))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("write {temporary:?}"))?;
    std::fs::rename(&temporary, path).with_context(|| format!("write {path:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn a_certificate_is_due_in_the_last_third_of_its_life_and_after() {
        let now = SystemTime::now();
        let mut params = rcgen::CertificateParams::default();
        params.not_before = now.into();
        params.not_after = (now + 90 * DAY).into();
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        for (days, due) in [(0, false), (59, false), (61, true), (100, true), (730, true)] {
            assert_eq!(is_due(&pem, now + days * DAY).unwrap(), due, "after {days} days");
        }
    }

    #[test]
    fn fields_of_a_kubeconfig_are_found_to_the_end_of_their_line() {
        let text = "users:\n- user:\n    client-certificate-data: QUJD\n    client-key-data: REVG\n";
        assert_eq!(decode(field(text, CERTIFICATE).unwrap()).unwrap(), "ABC");
        assert_eq!(decode(field(text, KEY).unwrap()).unwrap(), "DEF");
        assert!(field("", KEY).is_err());
    }
}
