//! Joining a cluster: the token pins its CA, the CA signs our key.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result, anyhow, bail, ensure};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use skiff_control::pki::{self, Pki};

use crate::{paths::Paths, server};

/// Prints the token for nodes, or that for servers.
pub fn print_token(paths: &Paths, server: bool) -> Result<()> {
    ensure!(
        paths.pki().join("ca.key").exists(),
        "no server has been started here yet (`skiff up` or `skiff server`)"
    );
    let pki = Pki::open(&paths.pki())?;
    let token = if server {
        pki.server_token()
    } else {
        pki.join_token()
    };
    crate::output::say!("{token}");
    Ok(())
}

/// Asks the server behind `url` for a certificate for `node` and writes the agent's kubeconfig.
pub fn join(paths: &Paths, url: &str, token: &str, node: &str) -> Result<()> {
    let pin = pin(token, 'K').context("`skiff token` on a server prints the token of nodes")?;
    let authority = authority(url)?;
    let key = rcgen::KeyPair::generate()?;
    let csr = rcgen::CertificateParams::default()
        .serialize_request(&key)?
        .pem()?;
    let body = serde_json::json!({"token": token, "node": node, "csr": csr}).to_string();
    let (ca_pem, answer) = server::runtime()?
        .block_on(post(authority, pin, "/skiff/v1/join", body))
        .with_context(|| format!("join {url}"))?;
    let certificate_pem = answer["certificate"]
        .as_str()
        .context("the server's answer has no certificate")?
        .to_owned();
    let identity = pki::Identity {
        certificate_pem,
        key_pem: key.serialize_pem(),
    };
    let kubeconfig = pki::kubeconfig(
        &ca_pem,
        &format!("https://{authority}"),
        &format!("system:node:{node}"),
        &identity,
    );
    pki::write_private(&paths.node_kubeconfig(), &kubeconfig)?;
    Ok(())
}

/// The hash of the CA's certificate in a token that begins with this letter.
pub fn pin(token: &str, letter: char) -> Result<&str> {
    let rest = token.strip_prefix(letter).and_then(|rest| rest.split_once("::"));
    rest.map(|(pin, _)| pin)
        .ok_or_else(|| anyhow!("this is not the right token"))
}

/// Host and port of a server's URL.
pub fn authority(url: &str) -> Result<&str> {
    url.strip_prefix("https://")
        .map(|rest| rest.trim_end_matches('/'))
        .ok_or_else(|| anyhow!("{url:?} is not the URL of a server: https://host:port"))
}

/// Posts JSON to a server whose CA is the pinned one; returns that CA's certificate and the answer.
pub async fn post(
    authority: &str,
    pin: &str,
    path: &str,
    body: String,
) -> Result<(String, serde_json::Value)> {
    let address: SocketAddr = tokio::net::lookup_host(authority)
        .await
        .with_context(|| format!("look up {authority}"))?
        .next()
        .ok_or_else(|| anyhow!("{authority} has no address"))?;
    let verifier = Arc::new(Pinned {
        pin: pin.to_owned(),
        found: Default::default(),
    });
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_no_client_auth();
    let tcp = tokio::net::TcpStream::connect(address)
        .await
        .with_context(|| format!("connect to {address}"))?;
    let name = ServerName::try_from("kubernetes").context("server name")?;
    let tls = tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .context("TLS")?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await?;
    tokio::spawn(connection);
    let request = Request::post(path)
        .header("host", authority)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let bytes = response.into_body().collect().await?.to_bytes();
    if !status.is_success() {
        let reason = serde_json::from_slice::<serde_json::Value>(&bytes).ok();
        let reason = reason.and_then(|v| v["message"].as_str().map(str::to_owned));
        bail!(
            "the server refuses: {}",
            reason.unwrap_or_else(|| status.to_string())
        );
    }
    let answer: serde_json::Value = serde_json::from_slice(&bytes).context("the server's answer")?;
    let ca = verifier
        .found
        .lock()
        .map_err(|_| anyhow!("verifier panicked"))?
        .clone()
        .context("no CA was seen")?;
    Ok((pem::encode(&pem::Pem::new("CERTIFICATE", ca)), answer))
}

/// Accepts a server whose chain holds the CA that the token pins, and that this CA has signed.
#[derive(Debug)]
struct Pinned {
    pin: String,
    found: std::sync::Mutex<Option<Vec<u8>>>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let ca = intermediates
            .iter()
            .find(|c| pki::der_pin(c) == self.pin)
            .ok_or_else(|| Error::General("this is not the cluster that the token is for".into()))?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::new(ring::default_provider()))
                .build()
                .map_err(|e| Error::General(e.to_string()))?;
        let verified = verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp, now)?;
        if let Ok(mut found) = self.found.lock() {
            *found = Some(ca.to_vec());
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
