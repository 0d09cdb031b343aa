//! Many watchers of all pods while pods change, and how late each change arrives.
//!
//! ```text
//! watchers URL TOKEN NAMESPACE WATCHERS CHANGES_PER_SECOND SECONDS
//! ```
//! Pods of the namespace are created first (50), then one annotation of each changes in turn; it says when. Prints
//! `watchers EVENTS P50_MS P99_MS`. `tests/bench/store` runs it; the server's certificate is not looked at.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring::default_provider,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;

const PODS: usize = 50;

#[derive(Clone)]
struct Api {
    address: String,
    token: String,
    tls: Arc<ClientConfig>,
}

/// One connection.
struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    token: String,
}

impl Api {
    async fn connect(&self) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let tls = tokio_rustls::TlsConnector::from(self.tls.clone())
            .connect(name, stream)
            .await?;
        let (sender, connection) = http1::handshake(TokioIo::new(tls)).await?;
        tokio::spawn(connection);
        let token = self.token.clone();
        Ok(Connection { sender, token })
    }
}

impl Connection {
    async fn send(&mut self, method: &str, path: &str, body: String) -> anyhow::Result<Response<Incoming>> {
        let kind = if method == "PATCH" {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", kind)
            .body(Full::new(Bytes::from(body)))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let good = response.status().is_success();
        ensure!(
            good || response.status() == 409,
            "{method} {path}: {}",
            response.status()
        );
        Ok(response)
    }

    async fn call(&mut self, method: &str, path: &str, body: String) -> anyhow::Result<()> {
        self.send(method, path, body).await?.into_body().collect().await?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, token, namespace, watchers, rate, seconds] = &arguments[..] else {
        anyhow::bail!("give URL TOKEN NAMESPACE WATCHERS CHANGES_PER_SECOND SECONDS");
    };
    let (watchers, rate, seconds): (usize, u32, u32) = (watchers.parse()?, rate.parse()?, seconds.parse()?);
    let provider = Arc::new(default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    let api = Api {
        address: url.trim_start_matches("https://").to_owned(),
        token: token.clone(),
        tls: Arc::new(tls),
    };
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let mut writer = api.connect().await?;
    for number in 0..PODS {
        let pod = format!(
            r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"w-{number}"}},"spec":{{"schedulerName":"none","containers":[{{"name":"c","image":"i"}}]}}}}"#
        );
        writer.call("POST", &pods, pod).await?;
    }
    let started = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..watchers {
        let mut connection = api.connect().await?;
        let path = format!("{pods}?watch=true&timeoutSeconds={}", seconds + 60);
        let response = connection.send("GET", &path, String::new()).await?;
        let end = Duration::from_secs(u64::from(seconds) + 15);
        tasks.push(tokio::spawn(watch(
            response.into_body(),
            started,
            end,
            connection,
        )));
    }
    let changes = rate * seconds;
    let mut pause = tokio::time::interval(Duration::from_secs(1) / rate);
    for number in 0..changes {
        pause.tick().await;
        let patch = format!(
            r#"{{"metadata":{{"annotations":{{"sent":"@{}@"}}}}}}"#,
            started.elapsed().as_nanos()
        );
        writer
            .call("PATCH", &format!("{pods}/w-{}", number as usize % PODS), patch)
            .await?;
    }
    writer
        .call(
            "PATCH",
            &format!("{pods}/w-0"),
            r#"{"metadata":{"annotations":{"sent":"@end@"}}}"#.into(),
        )
        .await?;
    let mut late = Vec::new();
    for task in tasks {
        late.extend(task.await??);
    }
    ensure!(
        late.len() == changes as usize * watchers,
        "{} events arrived, not {}",
        late.len(),
        changes as usize * watchers
    );
    late.sort_unstable();
    let at = |part: f64| late[((late.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    println!("watchers {} {:.2} {:.2}", late.len(), at(0.5), at(0.99));
    Ok(())
}

/// How late every change came, until the last one.
async fn watch(
    mut body: Incoming,
    started: Instant,
    end: Duration,
    _connection: Connection,
) -> anyhow::Result<Vec<Duration>> {
    let mut late = Vec::new();
    let mut rest = Vec::new();
    tokio::time::timeout(end, async {
        while let Some(frame) = body.frame().await {
            let Ok(bytes) = frame?.into_data() else { continue };
            let now = started.elapsed();
            rest.extend_from_slice(&bytes);
            while let Some(line) = rest.iter().position(|byte| *byte == b'\n') {
                let event: Vec<u8> = rest.drain(..=line).collect();
                // Of the annotation, not of the managed fields, which name it too.
                let Some(at) = event.windows(8).position(|part| part == b"sent\":\"@") else {
                    continue;
                };
                let value = &event[at + 8..];
                let length = value.iter().position(|byte| *byte == b'@').context("no end")?;
                match std::str::from_utf8(&value[..length])? {
                    "end" => return Ok(()),
                    nanos => late.push(now.saturating_sub(Duration::from_nanos(nanos.parse()?))),
                }
            }
        }
        anyhow::Ok(())
    })
    .await
    .context("the last change did not arrive")??;
    Ok(late)
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
