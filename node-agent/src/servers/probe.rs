//! Whether the present server answers. A process that is stopped, or cut off, still takes connections: so it is asked.

use std::{sync::Arc, time::Duration};

use futures::stream::{FuturesUnordered, StreamExt as _};
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Servers, client::TlsSource};

/// Between two questions to a server that answers.
const EVERY: Duration = Duration::from_millis(300);
/// How long an answer may take before the others are asked too. Late is not dead: the present server takes part.
const PATIENCE: Duration = Duration::from_millis(400);
/// How long the first answer of anybody may take.
const RACE: Duration = Duration::from_secs(2);

type Asking = SendRequest<Empty<bytes::Bytes>>;

/// Asks until cancelled.
pub(super) async fn run(servers: Arc<Servers>, tls: TlsSource, name: ServerName<'static>) {
    loop {
        let present = servers.present.borrow().clone();
        watch(&servers, &present, &tls, &name).await;
        // Whoever answers first is used; the present one is asked first, and stays if it is merely slow.
        let mut race: FuturesUnordered<_> = servers
            .all()
            .into_iter()
            .map(|server| {
                let (tls, name) = (&tls, name.clone());
                async move {
                    let mut asking = connect(&server, tls, name).await?;
                    is_ready(&mut asking).await.then_some(server)
                }
            })
            .collect();
        let first = async {
            while let Some(answer) = race.next().await {
                if answer.is_some() {
                    return answer;
                }
            }
            None
        };
        if let Ok(Some(server)) = tokio::time::timeout(RACE, first).await {
            servers.use_server(&server);
        }
        drop(race);
        tokio::time::sleep(PATIENCE / 4).await;
    }
}

/// Returns when a server does not answer in time, or that it is not ready.
async fn watch(servers: &Servers, server: &str, tls: &TlsSource, name: &ServerName<'static>) {
    let connecting = tokio::time::timeout(PATIENCE, connect(server, tls, name.clone()));
    let Ok(Some(mut asking)) = connecting.await else {
        return;
    };
    loop {
        if !matches!(
            tokio::time::timeout(PATIENCE, is_ready(&mut asking)).await,
            Ok(true)
        ) {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = servers.doubt.notified() => {}
        }
    }
}

async fn connect(server: &str, tls: &TlsSource, name: ServerName<'static>) -> Option<Asking> {
    let tcp = TcpStream::connect(server).await.ok()?;
    let mut config = (*tls.get()).clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let tls = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .ok()?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls))
        .await
        .ok()?;
    tokio::spawn(connection);
    Some(sender)
}

async fn is_ready(asking: &mut Asking) -> bool {
    let request = Request::get("/readyz")
        .header(header::HOST, super::SERVER_NAME)
        .body(Empty::new());
    let Ok(request) = request else { return false };
    if asking.ready().await.is_err() {
        return false;
    }
    match asking.send_request(request).await {
        Ok(response) => {
            let status = response.status();
            // Read to its end, so that the connection can be used again.
            http_body_util::BodyExt::collect(response.into_body())
                .await
                .is_ok()
                && status == StatusCode::OK
        }
        Err(_) => false,
    }
}
