//! Whether the present server answers. A process that is stopped, or cut off, still takes connections: so it is asked.

use std::{sync::Arc, time::Duration};

use futures::stream::{FuturesUnordered, StreamExt as _};
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    net::TcpStream,
    sync::{Notify, watch::Sender as Way},
};
use tokio_rustls::TlsConnector;

use super::{Servers, client::TlsSource};

/// Between two questions to a server that answers.
const EVERY: Duration = Duration::from_millis(300);
/// How long an answer may take before the others are asked too. Late is not dead: the present server takes part.
const PATIENCE: Duration = Duration::from_millis(400);
/// How long the first answer of anybody may take.
const RACE: Duration = Duration::from_secs(2);
/// How often is looked whether the server on this machine is back.
const RETURN: Duration = Duration::from_secs(5);

type Asking = SendRequest<Empty<bytes::Bytes>>;

/// What servers are asked with.
pub(super) struct Identity {
    pub(super) tls: TlsSource,
    /// What is in their certificates.
    pub(super) name: ServerName<'static>,
}

/// Asks the present server until cancelled, and chooses another one when that does not answer.
pub(super) async fn run(servers: Arc<Servers>) {
    loop {
        let present = servers.present.borrow().clone();
        // Where there is nobody to move to, nothing follows from an answer.
        if servers.all() == [present.as_str()] {
            servers.learned.notified().await;
            continue;
        }
        tokio::select! {
            () = watch(&servers.probe, &present, &servers.doubt) => {}
            home = is_back(&servers, &present) => {
                servers.use_server(home);
                continue;
            }
        }
        // Whoever answers first is used; the present one is asked first, and stays if it is merely slow.
        let mut race: FuturesUnordered<_> = servers
            .all()
            .into_iter()
            .map(|server| {
                let identity = &servers.probe;
                async move {
                    let mut asking = connect(&server, identity).await?;
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
        if let Ok(Some(server)) = tokio::time::timeout(RACE, first).await
            && server != present
        {
            servers.lose(&present);
            servers.use_server(&server);
        }
        drop(race);
        tokio::time::sleep(PATIENCE / 4).await;
    }
}

/// Asks a server that is not the present one for as long as connections lead to it, and ends them when it does not answer.
pub(super) async fn mind(servers: Arc<Servers>, server: String, way: Way<()>) {
    let mut present = servers.present.subscribe();
    // Doubts are about the present one.
    let doubt = Notify::new();
    tokio::select! {
        () = watch(&servers.probe, &server, &doubt) => servers.lose(&server),
        () = way.closed() => servers.ways.lock().retain(|_, way| way.receiver_count() > 0),
        _ = present.wait_for(|present| *present == server) => {}
    }
}

/// Returns the server on this machine when it answers while another one is used.
async fn is_back<'a>(servers: &'a Servers, present: &str) -> &'a str {
    let Some(home) = servers.home.as_deref().filter(|home| *home != present) else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(RETURN).await;
        let asked = async {
            is_ready(&mut connect(home, &servers.probe).await?)
                .await
                .then_some(())
        };
        if let Ok(Some(())) = tokio::time::timeout(PATIENCE, asked).await {
            return home;
        }
    }
}

/// Returns when a server does not answer in time, or that it is not ready. In doubt it is asked at once.
async fn watch(identity: &Identity, server: &str, doubt: &Notify) {
    let connecting = tokio::time::timeout(PATIENCE, connect(server, identity));
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
            () = doubt.notified() => {}
        }
    }
}

async fn connect(server: &str, identity: &Identity) -> Option<Asking> {
    let tcp = TcpStream::connect(server).await.ok()?;
    let mut config = (*identity.tls.get()).clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let tls = TlsConnector::from(Arc::new(config))
        .connect(identity.name.clone(), tcp)
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
