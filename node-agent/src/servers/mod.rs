//! The API servers, as this agent and clients on this machine reach them: through a loopback address that leads to one
//! that answers.
//!
//! ```text
//! kubectl, API client, tunnel ──TLS, end to end──► forwarder (127.0.0.1:6440) ──► the present server
//!                                                probe: GET /readyz ──► if it fails: the first one that answers
//! EndpointSlices of the service `kubernetes` ──► which servers there are, kept on disk for the next start; which CAs
//! ```
//! When a server stops answering, the connections to it are closed, and whoever had them connects again, to another
//! one. A server on this machine is used before all others, and again when it is back.

mod client;
mod forward;
mod probe;

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket},
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
    net::TcpListener,
    sync::{Notify, watch},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

pub(crate) use client::{Renewing, TlsSource};
pub(crate) use forward::listen;

/// The name that every API server's certificate has.
const SERVER_NAME: &str = "kubernetes";
/// Annotation of the slices: the CAs to be believed.
const AUTHORITIES: &str = "skiff.dev/authorities";
const RETRY: Duration = Duration::from_millis(200);

/// Who the API servers are, and which one is used.
pub(crate) struct Servers {
    /// `host:port`, the one of the kubeconfig first.
    known: Mutex<Vec<String>>,
    present: watch::Sender<String>,
    /// The one on this machine.
    home: Option<String>,
    /// Of the forwarder, which must not lead to itself.
    own: String,
    /// Connections to a server hold receivers; they end when the sender is dropped.
    ways: Mutex<HashMap<String, watch::Sender<()>>>,
    probe: probe::Identity,
    /// Which CAs are to be believed, as the cluster says.
    authorities: watch::Sender<Option<String>>,
    /// The present one could not be connected to.
    doubt: Notify,
    /// There are others than before.
    learned: Notify,
    cache: PathBuf,
}

impl Servers {
    /// Starts the forwarder on `listener`. `first` is the server of the kubeconfig; others that were known at the last run
    /// are read from `cache`. Returns the address to use instead.
    pub(crate) fn start(
        listener: std::net::TcpListener,
        first: String,
        cache: PathBuf,
        tls: client::TlsSource,
        stop: CancellationToken,
    ) -> io::Result<(Arc<Self>, SocketAddr)> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let mut known = vec![first.clone()];
        known.extend(read(&cache).into_iter().filter(|server| *server != first));
        let servers = Arc::new(Self {
            known: Mutex::new(known),
            home: is_here(&first).then(|| first.clone()),
            present: watch::Sender::new(first),
            own: address.to_string(),
            ways: Mutex::default(),
            probe: probe::Identity {
                tls,
                name: ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?,
            },
            authorities: watch::Sender::new(None),
            doubt: Notify::new(),
            learned: Notify::new(),
            cache,
        });
        let accepting = forward::accept(Arc::clone(&servers), listener);
        tokio::spawn(stop.clone().run_until_cancelled_owned(accepting));
        let probing = probe::run(Arc::clone(&servers));
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
        now.extend(
            servers
                .into_iter()
                .filter(|server| *server != known[0] && !self.is_home(server)),
        );
        if *known == now {
            return;
        }
        info!(servers = ?now, "API servers");
        if let Err(error) = write(&self.cache, &now) {
            warn!(%error, path = ?self.cache, "keep the list of API servers");
        }
        *known = now;
        self.learned.notify_one();
    }

    /// Whether this is the server of this machine under another of its addresses.
    fn is_home(&self, server: &str) -> bool {
        let port = |server: &str| server.rsplit_once(':').map(|(_, port)| port.to_owned());
        let home = self.home.as_deref();
        home.is_some_and(|home| port(home) == port(server)) && is_here(server)
    }

    /// All servers, the present one first.
    fn all(&self) -> Vec<String> {
        let present = self.present.borrow().clone();
        let known = self.known.lock();
        let others = known.iter().filter(|server| **server != present);
        let all = std::iter::once(&present).chain(others);
        all.filter(|server| **server != self.own).cloned().collect()
    }

    /// Uses another server from now on; connections to the one before stay until that is lost.
    fn use_server(self: &Arc<Self>, server: &str) {
        let before = self.present.send_replace(server.to_owned());
        if before == server {
            return;
        }
        info!(from = %before, to = server, "using another API server");
        let way = self.ways.lock().get(&before).cloned();
        if let Some(way) = way {
            tokio::spawn(probe::mind(Arc::clone(self), before, way));
        }
    }

    /// Something to hold for as long as a connection to a server lasts: it changes when the server is lost.
    fn way(self: &Arc<Self>, server: &str) -> watch::Receiver<()> {
        let mut ways = self.ways.lock();
        if let Some(way) = ways.get(server) {
            return way.subscribe();
        }
        let (way, held) = watch::channel(());
        ways.insert(server.to_owned(), way.clone());
        // The present one is looked at anyway.
        if *self.present.borrow() != server {
            tokio::spawn(probe::mind(Arc::clone(self), server.to_owned(), way));
        }
        held
    }

    /// Ends the connections to a server.
    fn lose(&self, server: &str) {
        self.ways.lock().remove(server);
    }
}

/// Whether a server (`host:port`) is on this machine.
fn is_here(server: &str) -> bool {
    let addresses = server.to_socket_addrs().into_iter().flatten();
    addresses
        .map(|address| address.ip())
        .any(|ip: IpAddr| ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok())
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
