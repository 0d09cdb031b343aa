//! Connections to the server, as Go's clients make them.

use std::sync::Arc;

use anyhow::ensure;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring::{cipher_suite, default_provider},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Where the server is, and who asks.
#[derive(Clone)]
pub struct Api {
    address: String,
    pub token: String,
    tls: Arc<ClientConfig>,
}

impl Api {
    pub fn new(url: &str, token: &str) -> anyhow::Result<Self> {
        let mut provider = default_provider();
        // The order of Go's clients, which most clients of Kubernetes are, on processors that can AES.
        provider.cipher_suites = vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ];
        let tls = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate))
            .with_no_client_auth();
        Ok(Self {
            address: url.trim_start_matches("https://").to_owned(),
            token: token.to_owned(),
            tls: Arc::new(tls),
        })
    }

    pub async fn tls(&self) -> anyhow::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let connector = tokio_rustls::TlsConnector::from(self.tls.clone());
        Ok(connector.connect(name, stream).await?)
    }

    pub async fn connect(&self) -> anyhow::Result<Connection> {
        let (sender, connection) = http1::handshake(TokioIo::new(self.tls().await?)).await?;
        tokio::spawn(connection);
        let token = self.token.clone();
        Ok(Connection { sender, token })
    }
}

/// One connection for one request after the other.
pub struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    token: String,
}

impl Connection {
    /// Sends a request; `kind` is what a body is, or else what is accepted.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        kind: &str,
        body: String,
    ) -> anyhow::Result<Response<Incoming>> {
        let header = if method == "GET" { "accept" } else { "content-type" };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {}", self.token))
            .header(header, kind)
            .body(Full::new(Bytes::from(body)))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        ensure!(status.is_success() || status == 409, "{method} {path}: {status}");
        Ok(response)
    }

    /// Sends a request and returns the whole answer.
    pub async fn call(
        &mut self,
        method: &str,
        path: &str,
        kind: &str,
        body: String,
    ) -> anyhow::Result<Bytes> {
        let response = self.send(method, path, kind, body).await?;
        Ok(response.into_body().collect().await?.to_bytes())
    }
}

/// For a server of this benchmark's own, on loopback.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
