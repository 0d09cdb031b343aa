//! The other nodes: who they are is read from their Node objects, where this node says the same of itself.
//!
//! Nothing listens and no device is made while this node is the only one.

mod carry;
mod key;
mod roster;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api,
    api::{Patch, PatchParams},
    runtime::watcher,
};
use serde_json::json;
use skiff_pod_network::{PodNetwork, TunnelKind};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use self::{key::Key, roster::Roster};
use crate::{agent::Agent, node, relay::Ways};

/// Annotation of a Node: public key of its tunnel, base64.
const TUNNEL_KEY: &str = "skiff.dev/tunnel-key";
/// Annotation: where its tunnel is, address and UDP port.
const TUNNEL_ENDPOINT: &str = "skiff.dev/tunnel-endpoint";
/// Annotation: where its agent takes streams of others, address and TCP port.
const RELAY_ENDPOINT: &str = "skiff.dev/relay-endpoint";

/// Pause between two looks at the host's address. Nothing is sent for it.
const LOOK: Duration = Duration::from_secs(2);
/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// What is open for other nodes.
struct Open {
    key: Key,
    relay_port: u16,
    _relay: AbortOnDropHandle<()>,
}

/// Follows the other nodes for ever.
pub(crate) async fn follow(
    agent: Arc<Agent>,
    network: Arc<PodNetwork>,
    ways: Arc<Ways>,
    state: watch::Sender<node::State>,
) {
    let api: Api<Node> = Api::all(agent.client.clone());
    let mut nodes = std::pin::pin!(watcher::watcher(api, watcher::Config::default()));
    let mut roster = Roster::new(&agent.config.node_name);
    let mut open: Option<Open> = None;
    let mut renewals = agent.renewals.clone();
    let mut streams = carry::Streams::default();
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // What could not be carried out, or has changed, is due.
    let mut due = None;
    loop {
        tokio::select! {
            Some(event) = nodes.next() => match event {
                Ok(event) => {
                    if roster.take(event) {
                        due = Some(tokio::time::Instant::now());
                    }
                }
                Err(error) => {
                    warn!(%error, "watch nodes");
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            },
            Ok(()) = renewals.changed() => {
                // Tokens of before may be of a key that is not valid much longer.
                agent.tokens.lock().clear();
                if let Err(error) = renew_ways(&agent, &ways) {
                    warn!(error = format!("{error:#}"), "renew the ways to other nodes");
                }
            },
            _ = looks.tick() => {
                streams.look(&agent, &network);
                if open.is_some() {
                    say(&state, &network, &roster);
                }
                if !agent.look_at_address() {
                    continue;
                }
                info!(address = %agent.host_ip(), "the host's address has changed");
                network.greet_peers();
                state.send_modify(|state| state.address = Some(agent.host_ip()));
                due = Some(tokio::time::Instant::now());
            },
            () = tokio::time::sleep_until(due.unwrap_or_else(tokio::time::Instant::now)), if due.is_some() => {
                due = None;
                if roster.is_alone() && open.is_none() {
                    continue;
                }
                if let Err(error) = carry_over(&agent, &network, &ways, &roster, &mut open).await {
                    let message = format!("{error:#}");
                    warn!(error = message, "ways to other nodes");
                    state.send_modify(|state| state.tunnel = Some(Err(message)));
                    due = Some(tokio::time::Instant::now() + RETRY);
                } else {
                    state.send_if_modified(|state| state.tunnel.take_if(|tunnel| tunnel.is_err()).is_some());
                    say(&state, &network, &roster);
                }
            }
        }
    }
}

/// Has the Node say how its ways to others are, unless they are in trouble.
fn say(state: &watch::Sender<node::State>, network: &PodNetwork, roster: &Roster) {
    let text = describe(network, roster.peers().len());
    state.send_if_modified(|state| {
        let new = Some(Ok(text));
        let changed = state.tunnel != new && !matches!(state.tunnel, Some(Err(_)));
        if changed {
            state.tunnel = new;
        }
        changed
    });
}

/// What the Node says of its ways to others.
fn describe(network: &PodNetwork, peers: usize) -> String {
    let device = match network.tunnel_kind() {
        Some(TunnelKind::Tun) => "a TUN device".to_owned(),
        Some(TunnelKind::Veth(reason)) => format!("a veth pair and a packet socket ({reason})"),
        None => "nothing yet".to_owned(),
    };
    let nodes = if peers == 1 { "node" } else { "nodes" };
    let mut text = format!("WireGuard tunnel to {peers} other {nodes} by {device}");
    let mut carried = network.carried_peers();
    if !carried.is_empty() {
        carried.sort();
        text.push_str("; UDP does not get through to ");
        text.push_str(&carried.join(", "));
        text.push_str(": a server relays the packets");
    }
    text
}

fn renew_ways(agent: &Agent, ways: &Ways) -> anyhow::Result<()> {
    let kubeconfig =
        kube::config::Kubeconfig::read_from(&agent.config.kubeconfig).context("read the kubeconfig")?;
    ways.renew(&kubeconfig)
}

async fn carry_over(
    agent: &Agent,
    network: &Arc<PodNetwork>,
    ways: &Arc<Ways>,
    roster: &Roster,
    open: &mut Option<Open>,
) -> anyhow::Result<()> {
    let opened = match open {
        Some(opened) => opened,
        None => open.insert(open_ways(agent, network, ways).await?),
    };
    let own = agent.host_ip();
    let wanted = [
        (TUNNEL_KEY, opened.key.public_text()),
        (TUNNEL_ENDPOINT, SocketAddr::new(own, opened.key.port).to_string()),
        (
            RELAY_ENDPOINT,
            SocketAddr::new(own, opened.relay_port).to_string(),
        ),
    ];
    if !roster.own_has(&wanted) {
        let annotations: std::collections::BTreeMap<_, _> = wanted.into_iter().collect();
        let body = json!({ "metadata": { "annotations": annotations } });
        Api::<Node>::all(agent.client.clone())
            .patch(
                &agent.config.node_name,
                &PatchParams::default(),
                &Patch::Merge(body),
            )
            .await
            .context("say where this node is")?;
    }
    let peers = roster.peers();
    network.set_peers(&peers).await.context("peers of the tunnel")?;
    ways.set_peers(&roster.relay_peers())
        .context("peers of the relay")
}

/// Opens tunnel and relay. The ports are the same as before if they are free.
async fn open_ways(agent: &Agent, network: &Arc<PodNetwork>, ways: &Arc<Ways>) -> anyhow::Result<Open> {
    let file: PathBuf = agent.config.data_dir.join("tunnel.json");
    let mut key = Key::load_or_make(&file).with_context(|| format!("the tunnel's key {file:?}"))?;
    let port = key.port;
    let host = network.host();
    let bound = host.run(move || {
        let bind = |port| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port));
        bind(port).or_else(|_| bind(0))
    });
    let socket = bound.await?.context("a UDP socket for the tunnel")?;
    let bound = socket.local_addr().context("the tunnel's port")?.port();
    if bound != key.port {
        key.port = bound;
        key.save(&file)
            .with_context(|| format!("the tunnel's key {file:?}"))?;
    }
    let towards = match agent.server_address().await {
        Some(IpAddr::V4(address)) => address,
        _ => Ipv4Addr::LOCALHOST,
    };
    network
        .open_tunnel(socket, key.secret, towards)
        .await
        .context("the tunnel")?;
    let (relay_port, relay) = ways.serve(key.port).await.context("the relay's port")?;
    info!(port = key.port, relay_port, kind = ?network.tunnel_kind(), "open to other nodes");
    Ok(Open {
        key,
        relay_port,
        _relay: relay,
    })
}
