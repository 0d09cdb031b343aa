//! The API servers, as this agent reaches them: through a loopback address of its own that leads to one that answers.
//!
//! ```text
//! API client, tunnel ──TLS, end to end──► forwarder (127.0.0.1) ──► the present server
//!                                                probe: GET /readyz ──► if it fails: the first one that answers
//! EndpointSlices of the service `kubernetes` ──► which servers there are, kept on disk for the next start; which CAs
//! ```
//! The forwarder moves bytes and knows nothing of what is in them: who a server is, the client finds out by its
//! certificate. When the present server stops answering, its connections are closed, and whoever had them connects
//! again, to another one.

mod client;
mod probe;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::TryStreamExt as _;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Api, Client, runtime::watcher};
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

pub(crate) use client::{Renewing, TlsSource};

/// The name that every API server's certificate has.
const SERVER_NAME: &str = "kubernetes";
/// Annotation of the slices: the CAs to be believed.
const AUTHORITIES: &str = "skiff.dev/authorities";
const CONNECT: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(200);
/// How long a server may be silent on a connection that asks it something, or whether it is there.
const LOSS: Duration = Duration::from_secs(4);

/// Who the API servers are, and which one is used.
pub(crate) struct Servers {
    /// `host:port`, the one of the kubeconfig first.
    known: Mutex<Vec<String>>,
    present: watch::Sender<String>,
    /// Which CAs are to be believed, as the cluster says.
    authorities: watch::Sender<Option<String>>,
    /// The present one could not be connected to.
    doubt: Notify,
    cache: PathBuf,
}

impl Servers {
    /// Starts the forwarder. `first` is the server of the kubeconfig; others that were known at the last run are read
    /// from `cache`. Returns the address to use instead.
    pub(crate) async fn start(
        first: String,
        cache: PathBuf,
        tls: client::TlsSource,
        stop: CancellationToken,
    ) -> io::Result<(Arc<Self>, SocketAddr)> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let mut known = vec![first.clone()];
        known.extend(read(&cache).into_iter().filter(|server| *server != first));
        let servers = Arc::new(Self {
            known: Mutex::new(known),
            present: watch::Sender::new(first),
            authorities: watch::Sender::new(None),
            doubt: Notify::new(),
            cache,
        });
        let accepting = accept(Arc::clone(&servers), listener);
        tokio::spawn(stop.clone().run_until_cancelled_owned(accepting));
        let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
        let probing = probe::run(Arc::clone(&servers), tls, name);
        tokio::spawn(stop.run_until_cancelled_owned(probing));
        Ok((servers, address))
    }

    /// Which CAs are to be believed, as the cluster announces it; `None` until it does.
    pub(crate) fn authorities(&self) -> watch::Receiver<Option<String>> {
        self.authorities.subscribe()
    }

    /// Follows which servers there are.
    pub(crate) async fn follow(self: Arc<Self>, client: Client, stop: CancellationToken) {
        let slices: Api<EndpointSlice> = Api::namespaced(client, "default");
        let config = watcher::Config::default().labels("kubernetes.io/service-name=kubernetes");
        let work = async {
            let mut slices = std::pin::pin!(watcher::watcher(slices, config));
            let mut by_name = std::collections::BTreeMap::new();
            let mut listing = None;
            loop {
                let event = slices.try_next().await;
                if let Ok(Some(watcher::Event::InitApply(slice) | watcher::Event::Apply(slice))) = &event {
                    self.note_authorities(slice);
                }
                match event {
                    Ok(Some(watcher::Event::Init)) => listing = Some(std::collections::BTreeMap::new()),
                    Ok(Some(watcher::Event::InitApply(slice))) => {
                        let list = listing.get_or_insert_default();
                        list.insert(slice.metadata.name.clone(), addresses(&slice));
                        continue;
                    }
                    Ok(Some(watcher::Event::InitDone)) => by_name = listing.take().unwrap_or_default(),
                    Ok(Some(watcher::Event::Apply(slice))) => {
                        by_name.insert(slice.metadata.name.clone(), addresses(&slice));
                    }
                    Ok(Some(watcher::Event::Delete(slice))) => {
                        by_name.remove(&slice.metadata.name);
                    }
                    Ok(None) => return,
                    Err(error) => {
                        debug!(%error, "watch the API servers");
                        tokio::time::sleep(RETRY).await;
                        continue;
                    }
                }
                if listing.is_none() {
                    self.learn(by_name.values().flatten().cloned().collect());
                }
            }
        };
        stop.run_until_cancelled(work).await;
    }

    fn note_authorities(&self, slice: &EndpointSlice) {
        let annotations = slice.metadata.annotations.as_ref();
        if let Some(announced) = annotations.and_then(|all| all.get(AUTHORITIES)) {
            self.authorities.send_if_modified(|known| {
                let changes = known.as_ref() != Some(announced);
                *known = Some(announced.clone());
                changes
            });
        }
    }

    fn learn(&self, servers: Vec<String>) {
        if servers.is_empty() {
            return;
        }
        let mut known = self.known.lock();
        let mut now = vec![known[0].clone()];
        now.extend(servers.into_iter().filter(|server| *server != known[0]));
        if *known == now {
            return;
        }
        info!(servers = ?now, "API servers");
        if let Err(error) = write(&self.cache, &now) {
            warn!(%error, path = ?self.cache, "keep the list of API servers");
        }
        *known = now;
    }

    /// All servers, the present one first.
    fn all(&self) -> Vec<String> {
        let present = self.present.borrow().clone();
        let known = self.known.lock();
        let others = known.iter().filter(|server| **server != present).cloned();
        std::iter::once(present.clone()).chain(others).collect()
    }

    /// Uses another server from now on; connections to the one before end.
    fn use_server(&self, server: &str) {
        self.present.send_if_modified(|present| {
            let changes = present != server;
            if changes {
                info!(from = %present, to = server, "using another API server");
                server.clone_into(present);
            }
            changes
        });
    }
}

async fn accept(servers: Arc<Servers>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => drop(tokio::spawn(forward(Arc::clone(&servers), socket))),
            Err(error) => {
                warn!(%error, "accept for the API servers");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Moves the bytes of one connection until either side ends it, or another server is used.
async fn forward(servers: Arc<Servers>, mut near: TcpStream) {
    let mut present = servers.present.subscribe();
    let mut far = None;
    for server in servers.all() {
        match tokio::time::timeout(CONNECT, TcpStream::connect(&server)).await {
            Ok(Ok(socket)) => {
                far = Some(socket);
                break;
            }
            // The others are tried for this connection; which one is used from now on is the probe's to say.
            _ => servers.doubt.notify_one(),
        }
    }
    let Some(mut far) = far else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true), notice_loss(&far));
    present.mark_unchanged();
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = present.changed() => {}
    }
}

/// Ends a connection within seconds after the way to the server, or the address of this host, is gone: a watch says nothing
/// for minutes, and the kernel retransmits for a quarter of an hour.
fn notice_loss(socket: &TcpStream) -> io::Result<()> {
    let socket = socket2::SockRef::from(socket);
    socket.set_tcp_user_timeout(Some(LOSS))?;
    socket.set_tcp_keepalive(
        &socket2::TcpKeepalive::new()
            .with_time(LOSS / 2)
            .with_interval(LOSS / 4)
            .with_retries(2),
    )
}

/// `host:port` of each endpoint of a slice.
fn addresses(slice: &EndpointSlice) -> Vec<String> {
    let port = slice
        .ports
        .iter()
        .flatten()
        .find_map(|port| port.port)
        .unwrap_or(443);
    slice
        .endpoints
        .iter()
        .flatten()
        .filter_map(|endpoint| endpoint.addresses.first())
        .map(|address| match address.parse() {
            Ok(ip) => SocketAddr::new(ip, port as u16).to_string(),
            Err(_) => format!("{address}:{port}"),
        })
        .collect()
}

fn read(cache: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(cache).unwrap_or_default();
    text.lines()
        .map(str::to_owned)
        .filter(|line| !line.is_empty())
        .collect()
}

fn write(cache: &Path, servers: &[String]) -> io::Result<()> {
    let temporary = cache.with_extension("new");
    std::fs::write(&temporary, servers.join("\n") + "\n")?;
    std::fs::rename(&temporary, cache)
}
