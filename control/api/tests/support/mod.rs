//! A server on loopback over a store in a temporary directory, with certificates made here.
#![allow(dead_code)] // Each test file uses another part of it.

use std::{net::TcpListener, path::Path, sync::Arc};

use anyhow::Context;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use skiff_api::{Config, Server};
use skiff_store::Store;

pub struct Identity {
    pub certificate_pem: String,
    pub key_pem: String,
}

pub struct Cluster {
    pub server: Server,
    pub store: Store,
    pub ca_pem: String,
    pub port: u16,
    ca: Issuer<'static, KeyPair>,
    pub dir: tempfile::TempDir,
}

impl Cluster {
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_as("10.96.0.0/24", |_| ()).await
    }

    /// With these addresses of services.
    pub async fn start_with_services(service_cidr: &str) -> anyhow::Result<Self> {
        Self::start_as(service_cidr, |_| ()).await
    }

    /// Starts with a store that is configured otherwise.
    pub async fn start_with(configure: impl FnOnce(&mut skiff_store::Config)) -> anyhow::Result<Self> {
        Self::start_as("10.96.0.0/24", configure).await
    }

    async fn start_as(
        service_cidr: &str,
        configure: impl FnOnce(&mut skiff_store::Config),
    ) -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir()?;
        let ca_key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "test ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let ca_pem = params.self_signed(&ca_key)?.pem();
        let ca = Issuer::new(params, ca_key);

        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec!["127.0.0.1".into(), "localhost".into()])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &ca)?;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes())?)?;
        let clients = rustls::server::WebPkiClientVerifier::builder(roots.into())
            .allow_unauthenticated()
            .build()?;
        let tls = rustls::ServerConfig::builder()
            .with_client_cert_verifier(clients)
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes())?,
            )?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let mut config = skiff_store::Config::new(dir.path().join("store"));
        configure(&mut config);
        let store = Store::open(config).await?;
        let server = Server::start(Config {
            store: store.clone(),
            listen: vec![listener],
            tls: Arc::new(tls),
            service_account_keys: vec![KeyPair::generate()?.serialize_pem()],
            issuer: "https://kubernetes.default.svc.cluster.local".into(),
            service_cidr: service_cidr.parse()?,
            node_ports: 30000..=32767,
            advertise: address,
            secrets_key: dir.path().join("secrets.key"),
            join: None,
            members: None,
            audit: None,
        })
        .await?;
        Ok(Self {
            server,
            store,
            ca_pem,
            port: address.port(),
            ca,
            dir,
        })
    }

    pub fn identity(&self, name: &str, groups: &[&str]) -> anyhow::Result<Identity> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        for group in groups {
            params.distinguished_name.push(DnType::OrganizationName, *group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.ca)?;
        Ok(Identity {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }

    pub fn admin(&self) -> anyhow::Result<Client> {
        self.client(Some(&self.identity("admin", &["system:masters"])?))
    }

    pub fn client(&self, identity: Option<&Identity>) -> anyhow::Result<Client> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca_pem.as_bytes())?)?;
        let builder = rustls::ClientConfig::builder().with_root_certificates(roots);
        let tls = match identity {
            Some(identity) => builder.with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(
                    identity.certificate_pem.as_bytes(),
                )?],
                PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes())?,
            )?,
            None => builder.with_no_client_auth(),
        };
        Ok(Client {
            tls: Arc::new(tls),
            port: self.port,
        })
    }

    pub fn kubeconfig(&self, identity: &Identity) -> String {
        let encode = |text: &str| STANDARD.encode(text);
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters:\n- name: test\n  cluster:\n    server: https://127.0.0.1:{}\n    certificate-authority-data: {}\n\
             users:\n- name: test\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n\
             contexts:\n- name: test\n  context:\n    cluster: test\n    user: test\n",
            self.port,
            encode(&self.ca_pem),
            encode(&identity.certificate_pem),
            encode(&identity.key_pem)
        )
    }

    pub fn write_kubeconfig(&self, path: &Path) -> anyhow::Result<()> {
        let admin = self.identity("admin", &["system:masters"])?;
        std::fs::write(path, self.kubeconfig(&admin)).context("write the kubeconfig")
    }

    /// Stops the server and lets the store go.
    pub async fn stop(self) {
        self.server.shutdown().await;
        let _ = self.store.close().await;
    }
}

/// A plain HTTP/1.1 client: one connection per request.
#[derive(Clone)]
pub struct Client {
    tls: Arc<rustls::ClientConfig>,
    port: u16,
}

pub struct Answer {
    pub code: u16,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }
}

impl Client {
    pub async fn connect(&self) -> anyhow::Result<hyper::client::conn::http1::SendRequest<Full<Bytes>>> {
        let tcp = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await?;
        let name = "127.0.0.1".try_into()?;
        let tls = tokio_rustls::TlsConnector::from(self.tls.clone())
            .connect(name, tcp)
            .await?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }

    pub async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<http::Response<hyper::body::Incoming>> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1");
        for (key, value) in headers {
            request = request.header(*key, *value);
        }
        let request = request.body(Full::new(body.into()))?;
        Ok(self.connect().await?.send_request(request).await?)
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Answer> {
        let response = self.open(method, path, headers, body).await?;
        let (head, body) = response.into_parts();
        Ok(Answer {
            code: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
        })
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send("GET", path, &[], "").await
    }

    pub async fn post(&self, path: &str, body: &serde_json::Value) -> anyhow::Result<Answer> {
        self.send(
            "POST",
            path,
            &[("content-type", "application/json")],
            body.to_string(),
        )
        .await
    }

    pub async fn put(&self, path: &str, body: &serde_json::Value) -> anyhow::Result<Answer> {
        self.send(
            "PUT",
            path,
            &[("content-type", "application/json")],
            body.to_string(),
        )
        .await
    }

    pub async fn patch(&self, path: &str, kind: &str, body: &serde_json::Value) -> anyhow::Result<Answer> {
        let kind = format!("application/{kind}");
        self.send("PATCH", path, &[("content-type", &kind)], body.to_string())
            .await
    }

    pub async fn delete(&self, path: &str, body: &serde_json::Value) -> anyhow::Result<Answer> {
        self.send(
            "DELETE",
            path,
            &[("content-type", "application/json")],
            body.to_string(),
        )
        .await
    }
}

/// Reads the frames of a watch.
pub struct Frames {
    body: hyper::body::Incoming,
    buffer: Vec<u8>,
}

impl Frames {
    pub async fn open(client: &Client, path: &str) -> anyhow::Result<Self> {
        Self::open_as(client, path, "application/json").await
    }

    pub async fn open_as(client: &Client, path: &str, accept: &str) -> anyhow::Result<Self> {
        let response = client.open("GET", path, &[("accept", accept)], "").await?;
        anyhow::ensure!(response.status() == 200, "{}", response.status());
        Ok(Self {
            body: response.into_body(),
            buffer: Vec::new(),
        })
    }

    /// The next frame, `None` at the end; a server that sends nothing fails the test.
    pub async fn next(&mut self) -> anyhow::Result<Option<serde_json::Value>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            let wait = std::time::Duration::from_secs(20);
            match tokio::time::timeout(wait, self.body.frame())
                .await
                .context("no frame")?
            {
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                None => return Ok(None),
            }
        }
    }
}
