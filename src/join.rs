//! Joining a cluster: the token pins its CA, the CA signs our key.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes};
use hyper_util::rt::TokioIo;
use kube::config::Kubeconfig;
use rustls::{
    ClientConfig, Error, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::ring,
    pki_types::ServerName,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use skiff_control::pki::{self, Pki, Place};
use skiff_node_agent::tls::{ServersBy, Shown};

use crate::{cluster::Fixed, paths::Paths, server};

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

/// What the agent has from joining.
pub struct Joined {
    key_pem: String,
    /// What names our key for the server.
    pub key: String,
}

impl Joined {
    /// Of the kubeconfig that joining, or `skiff up`, has written; `None` before that.
    pub fn load(paths: &Paths) -> Result<Option<Self>> {
        let path = paths.node_kubeconfig();
        if !path.exists() {
            return Ok(None);
        }
        let kubeconfig = Kubeconfig::read_from(&path).with_context(|| format!("read {path:?}"))?;
        let user = kubeconfig.auth_infos.into_iter().find_map(|user| user.auth_info);
        let data = user.and_then(|user| user.client_key_data).context("the key")?;
        let pem = BASE64_STANDARD.decode(data.expose_secret()).context("the key")?;
        let key_pem = String::from_utf8(pem).context("the key")?;
        let key = rcgen::KeyPair::from_pem(&key_pem).context("the key")?;
        Ok(Some(Self {
            key: pki::key_name(&key),
            key_pem,
        }))
    }
}

/// Asks the server behind `url` for a certificate for `node` and writes the agent's kubeconfig and what the agent must know
/// of the cluster. A node that joins again keeps its key: another one would not get the name.
pub fn join(paths: &Paths, url: &str, token: &str, node: &str, node_ip: Option<IpAddr>) -> Result<()> {
    let pin = pin(token, 'K').context("`skiff token` on a server prints the token of nodes")?;
    let authority = authority(url)?;
    let key = match Joined::load(paths).ok().flatten() {
        Some(known) => rcgen::KeyPair::from_pem(&known.key_pem)?,
        None => rcgen::KeyPair::generate()?,
    };
    let csr = rcgen::CertificateParams::default()
        .serialize_request(&key)?
        .pem()?;
    let body = |local: IpAddr| json!({"token": token, "node": node, "csr": csr, "address": node_ip.unwrap_or(local)});
    let (ca_pem, answer) = server::runtime()?
        .block_on(post(authority, pin, "/skiff/v1/join", body))
        .with_context(|| format!("join {url}"))?;
    // Of a server that knows nothing of the next CA: the one that the token pins.
    let ca_pem = answer["authorities"].as_str().map_or(ca_pem, str::to_owned);
    let certificate_pem = answer["certificate"]
        .as_str()
        .context("the server's answer has no certificate")?
        .to_owned();
    let fixed: Fixed = serde_json::from_value(answer["cluster"].clone())
        .context("the server's answer does not describe the cluster")?;
    fixed.record(&paths.data)?;
    let identity = pki::Identity {
        certificate_pem,
        key_pem: key.serialize_pem(),
    };
    let kubeconfig = pki::kubeconfig(
        &ca_pem,
        &[Place::only(format!("https://{authority}"))],
        pki::CLUSTER,
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

/// Posts JSON to a server whose CA is the pinned one; returns that CA's certificate and the answer. `body` is told the
/// address of this machine on the way to that server.
pub async fn post(
    authority: &str,
    pin: &str,
    path: &str,
    body: impl FnOnce(IpAddr) -> Value,
) -> Result<(String, Value)> {
    let address: SocketAddr = tokio::net::lookup_host(authority)
        .await
        .with_context(|| format!("look up {authority}"))?
        .next()
        .ok_or_else(|| anyhow!("{authority} has no address"))?;
    let found = Arc::new(OnceLock::new());
    let provider = Arc::new(ring::default_provider());
    let (pin, seen) = (pin.to_owned(), Arc::clone(&found));
    let verifier = ServersBy::new(Arc::clone(&provider), move |shown: Shown<'_>| {
        let ca = pinned(&pin, shown)?;
        seen.get_or_init(|| ca);
        Ok(())
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let tcp = tokio::net::TcpStream::connect(address)
        .await
        .with_context(|| format!("connect to {address}"))?;
    let body = body(tcp.local_addr()?.ip()).to_string();
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
        let reason = serde_json::from_slice::<Value>(&bytes).ok();
        let reason = reason.and_then(|v| v["message"].as_str().map(str::to_owned));
        bail!(
            "the server refuses: {}",
            reason.unwrap_or_else(|| status.to_string())
        );
    }
    let answer: Value = serde_json::from_slice(&bytes).context("the server's answer")?;
    let ca = found.get().context("no CA was seen")?;
    Ok((pem::encode(&pem::Pem::new("CERTIFICATE", ca.clone())), answer))
}

/// The CA that the pin is of, among the certificates that a server shows, if it has signed that of the server.
fn pinned(pin: &str, shown: Shown<'_>) -> Result<Vec<u8>, Error> {
    let ca = shown
        .intermediates
        .iter()
        .find(|c| pki::der_pin(c) == pin)
        .ok_or_else(|| Error::General("this is not the cluster that the token is for".into()))?;
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone().into_owned())?;
    let verifier =
        WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::new(ring::default_provider()))
            .build()
            .map_err(|e| Error::General(e.to_string()))?;
    let Shown {
        certificate,
        intermediates,
        name,
        ocsp,
        now,
    } = shown;
    verifier.verify_server_cert(certificate, intermediates, name, ocsp, now)?;
    Ok(ca.to_vec())
}
