//! The agent as a whole: what its parts share, and the order in which they come up.

use std::{
    collections::HashMap,
    fs, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Context as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use parking_lot::Mutex;
use skiff_image::ImageStore;
use skiff_netns_proxy::{Proxy, dns};
use skiff_pod_network::{PodAddress, PodNetwork};
use skiff_runtime::spawner::Spawner;
use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    Config, cgroup,
    container::Places,
    enter::Entered,
    env::field::Facts,
    events::Recorder,
    node, peers,
    pod::{manager::Manager, resize::Promises},
    policy,
    relay::Ways,
    servers::{Renewing, Servers, listen},
    services, stream,
    tls::ServersBy,
    volume::etc,
};

/// How long the agent waits at its end for what it has to tell the API server.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the parts of the agent share.
pub(crate) struct Agent {
    pub config: Config,
    pub entered: Entered,
    pub client: Client,
    pub spawner: Spawner,
    pub images: ImageStore,
    pub events: Recorder,
    pub services: services::Table,
    pub cgroups: cgroup::Support,
    /// Addresses of this node now, the one on the way to the server first.
    host_ips: Mutex<Vec<IpAddr>>,
    /// The API server that this node joined.
    server: http::Uri,
    /// What pods may count on.
    pub promises: Promises,
    /// What the machine has.
    pub capacity: node::Capacity,
    /// Service-account tokens of pods with the time of their renewal.
    pub tokens: Mutex<HashMap<String, (String, Timestamp)>>,
    /// Changes whenever the kubeconfig has another certificate.
    pub renewals: watch::Receiver<u64>,
    /// TLS for HTTPS probes, which take any certificate.
    pub probe_tls: Arc<rustls::ClientConfig>,
    /// How the API server is reached for streams of packets.
    pub uplink: skiff_streaming::tunnel::Config,
    network: watch::Sender<Option<Arc<PodNetwork>>>,
    proxy: OnceLock<Arc<Proxy>>,
}

impl Agent {
    /// The pod network, once it is up.
    pub async fn network(&self) -> Arc<PodNetwork> {
        let mut receiver = self.network.subscribe();
        match receiver
            .wait_for(Option::is_some)
            .await
            .map(|network| network.clone())
        {
            Ok(Some(network)) => network,
            // The sender lives as long as we do.
            _ => std::future::pending().await,
        }
    }

    /// The pod network if it is up.
    pub fn network_now(&self) -> Option<Arc<PodNetwork>> {
        self.network.borrow().clone()
    }

    /// The proxy if it is up.
    pub fn proxy(&self) -> Option<&Arc<Proxy>> {
        self.proxy.get()
    }

    /// Address of this node now.
    pub fn host_ip(&self) -> IpAddr {
        self.host_ips()[0]
    }

    /// The same, and with two families the one of the other family, if this node has one.
    pub fn host_ips(&self) -> Vec<IpAddr> {
        self.host_ips.lock().clone()
    }

    /// Looks whether the host's addresses have changed; true if so. One that was given stays.
    pub fn look_at_address(&self) -> bool {
        // No way to the server at all just now: that is no other address.
        let Ok(now) = host_ips(&self.config, &self.server) else {
            return false;
        };
        let mut known = self.host_ips.lock();
        let changed = *known != now;
        *known = now;
        changed
    }

    /// Address of the API server, if its name can be resolved.
    pub async fn server_address(&self) -> Option<IpAddr> {
        let (host, port) = host_and_port(&self.server);
        let mut found = tokio::net::lookup_host((host, port)).await.ok()?;
        found.next().map(|address| address.ip())
    }

    /// Host name of a pod.
    pub fn hostname(&self, pod: &Pod) -> String {
        etc::hostname(pod, &self.config.node_name)
    }

    /// What fields of the downward API see.
    pub fn facts(&self, pod_ips: Vec<IpAddr>) -> Facts {
        Facts {
            node_name: self.config.node_name.clone(),
            host_ips: self.host_ips(),
            pod_ips,
            cpu_milli: self.capacity.cpu_milli,
            memory: self.capacity.memory,
            ephemeral_storage: self.capacity.storage,
        }
    }

    /// Writes `/etc/hosts` and its like of a pod.
    pub fn write_etc(&self, places: &Places, pod: &Pod, ip: Option<PodAddress>) -> io::Result<()> {
        let cluster = etc::Cluster {
            domain: &self.config.cluster_domain,
            dns: self.config.cluster_dns,
            host_resolv_conf: &fs::read_to_string("/etc/resolv.conf").unwrap_or_default(),
            host_hosts: &fs::read_to_string("/etc/hosts").unwrap_or_default(),
            node_name: &self.config.node_name,
        };
        etc::write(&places.data, pod, ip, &cluster)
    }
}

/// Runs the agent until SIGTERM or SIGINT. Pods keep running.
pub(crate) async fn run(
    config: Config,
    entered: Entered,
    cgroups: cgroup::Support,
    spawner: Spawner,
) -> anyhow::Result<()> {
    crate::descriptors::raise();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let (identity, mut api) = Renewing::open(config.kubeconfig.clone(), config.node_name.clone()).await?;
    let server = api.cluster_url.clone();
    let host_ips = host_ips(&config, &server)?;
    let host_ip = host_ips[0];
    #[expect(
        deprecated,
        reason = "its successor is unsafe for types that may close early; OwnedFd does not"
    )]
    let spawner_end = AsyncFd::with_interest(spawner.pidfd().try_clone_to_owned()?, Interest::READABLE)
        .context("watch the spawner")?;
    let port_file = config.kubeconfig.with_file_name("forwarder");
    let (listener, _port_is_true) =
        listen(config.forwarder_port, &port_file).context("listen for connections to the API servers")?;
    let (servers, forwarder) = Servers::start(
        listener,
        authority(&api.cluster_url)?,
        config.kubeconfig.with_file_name("servers"),
        identity.tls(),
        stop.clone(),
    )
    .context("listen for connections to the API servers")?;
    api.cluster_url = format!("https://{forwarder}")
        .parse()
        .context("our own address")?;
    let client = identity.client(&api)?;
    let authorities = servers.authorities();
    tokio::spawn(servers.follow(client.clone(), stop.clone()));
    let images = ImageStore::open(crate::image_config(&config, entered)).context("open the image store")?;
    // The first look compiles the grammar of references, which the first pod need not wait for.
    let warm = images.clone();
    tokio::task::spawn_blocking(move || warm.find("localhost/warm:up").is_ok());
    let agent = Arc::new(Agent {
        events: Recorder::start(client.clone(), config.node_name.clone()),
        capacity: node::Capacity::measure(&config.data_dir, config.max_pods),
        promises: Promises::default(),
        services: services::Table::default(),
        tokens: Mutex::default(),
        probe_tls: Arc::new(trusting_tls()?),
        uplink: stream::config((forwarder, identity.tls()), config.node_name.clone()),
        network: watch::Sender::new(None),
        proxy: OnceLock::new(),
        entered,
        client,
        spawner,
        images,
        cgroups,
        host_ips: Mutex::new(host_ips),
        server,
        renewals: identity.renewals(),
        config,
    });
    info!(node = agent.config.node_name, ip = %host_ip, rootless = entered.rootless, "node agent starts");

    let manager = Manager::start(Arc::clone(&agent));
    let (proxy, proxy_up) = watch::channel(None);
    let announcing = services::start(Arc::clone(&agent), proxy_up, stop.clone());
    let (state, node_state) = watch::channel(node::State::default());
    node::start(Arc::clone(&agent), node_state, stop.clone());
    let network = tokio::spawn(bring_up(Arc::clone(&agent), state, proxy));
    let tls = identity.tls();
    tokio::spawn(identity.run(api, authorities, stop.clone()));
    tokio::spawn(stream::tunnel(
        (forwarder, tls),
        Arc::new(stream::Streams::new(Arc::clone(&agent), manager.clone())),
        agent.config.node_name.clone(),
        stop.clone(),
    ));

    let outcome = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        // Forking is over for a process with threads: the next agent makes a new one and adopts the pods.
        _ = spawner_end.readable() => Err(anyhow::anyhow!("the spawner has ended")),
    };
    info!("node agent ends; pods keep running");
    network.abort();
    stop.cancel();
    // Others answer for this node's addresses of load balancers at once if it says that it does not; else a little later.
    let _ = tokio::time::timeout(FAREWELL, announcing).await;
    outcome
}

/// The network, the proxy and DNS; the node is ready after them.
async fn bring_up(
    agent: Arc<Agent>,
    state: watch::Sender<node::State>,
    proxy_up: watch::Sender<Option<services::Outputs>>,
) {
    let mut pause = Duration::from_millis(200);
    loop {
        match try_bring_up(&agent, &state).await {
            Ok(outputs) => {
                let _ = proxy_up.send(Some(outputs));
                let egress = agent.network_now().map(|network| network.egress());
                state.send_modify(|state| {
                    state.network = Ok(());
                    state.egress = egress;
                });
                info!("pod network is up");
                return;
            }
            Err(error) => {
                let message = format!("{error:#}");
                warn!(error = message, "bring up the pod network");
                state.send_modify(|state| state.network = Err(message));
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(30));
            }
        }
    }
}

async fn try_bring_up(
    agent: &Arc<Agent>,
    state: &watch::Sender<node::State>,
) -> anyhow::Result<services::Outputs> {
    let wanted = node::network(agent).await?;
    let network = match agent.network_now() {
        Some(network) => network,
        None => {
            let network = PodNetwork::start(wanted).await.context("pod network")?;
            // Addresses of pods that left nothing else are free. Before the network is shown to anybody, so that no
            // new pod has one yet.
            let known: Vec<String> = crate::enter::supervisors(&agent.config.run_dir)
                .into_iter()
                .filter_map(|(dir, _)| Some(dir.file_name()?.to_str()?.to_owned()))
                .collect();
            network
                .retain(&known)
                .await
                .context("addresses of earlier pods")?;
            network
        }
    };
    let kubeconfig = kube::config::Kubeconfig::read_from(&agent.config.kubeconfig)
        .with_context(|| format!("read kubeconfig {:?}", agent.config.kubeconfig))?;
    let ways = Arc::new(Ways::new(Arc::clone(&network), &kubeconfig).context("ways to other nodes")?);
    let proxy = match agent.proxy() {
        Some(proxy) => proxy,
        None => {
            let proxy = Proxy::start(skiff_netns_proxy::Config {
                node: network.node(),
                host: network.host(),
                dialer: Arc::clone(&ways) as Arc<dyn skiff_netns_proxy::Dialer>,
                translator: network
                    .translation()
                    .map(|translation| translation as Arc<dyn skiff_netns_proxy::Translator>),
            })
            .context("start the proxy of services")?;
            agent.proxy.get_or_init(|| Arc::new(proxy))
        }
    };
    let listen = SocketAddr::new(IpAddr::V4(agent.config.cluster_dns), 53);
    let dns = dns::Dns::start(dns::Config {
        domain: agent.config.cluster_domain.clone(),
        listen,
        node: network.node(),
        upstream: network.host(),
        resolv_conf: "/etc/resolv.conf".into(),
    })
    .await
    .with_context(|| format!("cluster DNS on {listen}"))?;
    agent.network.send_replace(Some(Arc::clone(&network)));
    tokio::spawn(policy::follow(Arc::clone(agent), Arc::clone(&network)));
    tokio::spawn(peers::follow(Arc::clone(agent), network, ways, state.clone()));
    Ok(services::Outputs {
        proxy: Arc::clone(proxy),
        dns: Arc::new(dns),
    })
}

/// `host:port` of a URL.
fn authority(url: &http::Uri) -> anyhow::Result<String> {
    let host = url.host().context("the API server's address has no host")?;
    Ok(format!("{host}:{}", url.port_u16().unwrap_or(443)))
}

/// Addresses of this host: the one given or on the route to the API server, and with two families the one it has towards the
/// IPv6 world.
fn host_ips(config: &Config, server: &http::Uri) -> anyhow::Result<Vec<IpAddr>> {
    let first = match config.node_ip {
        Some(ip) => ip,
        None => route_to(server)?,
    };
    let mut all = vec![first];
    if first.is_ipv4() && config.cluster_cidr.v6.is_some() {
        // Set aside for documentation (RFC 3849), as 192.0.2.0/24 is.
        let elsewhere = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 9));
        let second = source_address(elsewhere).ok();
        all.extend(second.filter(|ip| !ip.is_loopback() && !ip.is_unspecified()));
    }
    Ok(all)
}

/// Our address on the route to the API server. For a server on this machine that is a loopback address, which means
/// nothing to pods: then the address of the default route, if there is one.
fn route_to(url: &http::Uri) -> anyhow::Result<IpAddr> {
    let (host, port) = host_and_port(url);
    let server = (host, port)
        .to_socket_addrs()
        .with_context(|| format!("resolve {host}"))?
        .next()
        .with_context(|| format!("{host} has no address"))?;
    let own = source_address(server).with_context(|| format!("find the route to {server}"))?;
    if !own.is_loopback() {
        return Ok(own);
    }
    // Nothing is sent: connecting a datagram socket only looks up the route.
    let elsewhere = SocketAddr::from(([192, 0, 2, 1], 9));
    Ok(source_address(elsewhere)
        .ok()
        .filter(|ip| !ip.is_unspecified())
        .unwrap_or(own))
}

fn host_and_port(url: &http::Uri) -> (&str, u16) {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    (host, url.port_u16().unwrap_or(443))
}

fn source_address(to: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = if to.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect(to)?;
    Ok(socket.local_addr()?.ip())
}

/// Probes take any certificate, as the kubelet's do: they ask whether something answers, not who.
fn trusting_tls() -> anyhow::Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .context("TLS versions")?
        .dangerous()
        .with_custom_certificate_verifier(ServersBy::new(provider, |_| Ok(())))
        .with_no_client_auth())
}
