//! This node's Node object, its status and its lease.

mod status;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        coordination::v1::{Lease, LeaseSpec},
        core::v1::Node,
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference},
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
    runtime::watcher,
};
use serde_json::json;
use skiff_pod_network::DualRange;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub(crate) use self::status::{Capacity, State};
use crate::{Config, agent::Agent, enter::Entered};

/// Pause between two renewals of the lease, and how long one holds. Source: Kubernetes, "Nodes", heartbeats.
const RENEW: Duration = Duration::from_secs(10);
const LEASE_SECONDS: i32 = 40;
/// Namespace of node leases.
const LEASES: &str = "kube-node-lease";
/// The status is sent at least this often.
const REPORT: Duration = Duration::from_secs(300);
/// Pressure is looked at this often; nothing tells us when a disk fills up.
const MEASURE: Duration = Duration::from_secs(60);

/// Keeps the Node and its lease until `stop`.
pub(crate) fn start(agent: Arc<Agent>, state: watch::Receiver<State>, stop: CancellationToken) {
    tokio::spawn(
        stop.clone()
            .run_until_cancelled_owned(keep_node(Arc::clone(&agent), state)),
    );
    tokio::spawn(stop.run_until_cancelled_owned(keep_lease(agent)));
}

async fn keep_node(agent: Arc<Agent>, mut state: watch::Receiver<State>) {
    let api: Api<Node> = Api::all(agent.client.clone());
    let mut pause = Duration::from_millis(100);
    let mut node = loop {
        match register(&agent, &api).await {
            Ok(node) => break node,
            Err(error) => {
                warn!(error = format!("{error:#}"), "register the node");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
    };
    info!(name = agent.config.node_name, "node registered");
    let mut reported: Option<tokio::time::Instant> = None;
    let mut sent: Option<k8s_openapi::api::core::v1::NodeStatus> = None;
    let mut pause = Duration::from_millis(200);
    loop {
        let now_state = state.borrow_and_update().clone();
        let images = agent.images.clone();
        let images = tokio::task::spawn_blocking(move || images.list()).await;
        let images = images.ok().and_then(Result::ok).unwrap_or_default();
        let old = sent.as_ref().or(node.status.as_ref());
        let status = status::status(&agent, &now_state, old, &images, Timestamp::now());
        let changed = sent.as_ref().is_none_or(|sent| !status::same(sent, &status));
        let due = reported.is_none_or(|at| at.elapsed() >= REPORT);
        let mut wait = MEASURE;
        if changed || due {
            let body = status::patch(&status);
            match api
                .patch_status(
                    &agent.config.node_name,
                    &PatchParams::default(),
                    &Patch::Strategic(body),
                )
                .await
            {
                Ok(answer) => {
                    node = answer;
                    if changed {
                        announce(&agent, &node, sent.as_ref(), &status);
                    }
                    sent = Some(status);
                    reported = Some(tokio::time::Instant::now());
                    pause = Duration::from_millis(200);
                }
                Err(error) => {
                    warn!(%error, "report the node's status");
                    wait = pause;
                    pause = (pause * 2).min(Duration::from_secs(10));
                    if let kube::Error::Api(answer) = &error
                        && answer.code == 404
                        && let Ok(again) = register(&agent, &api).await
                    {
                        // Somebody deleted the Node: it comes back.
                        node = again;
                        sent = None;
                    }
                }
            }
        }
        tokio::select! {
            changed = state.changed() => if changed.is_err() {
                // Nobody changes the state any more; heartbeats go on.
                tokio::time::sleep(MEASURE).await;
            },
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn announce(
    agent: &Agent,
    node: &Node,
    before: Option<&k8s_openapi::api::core::v1::NodeStatus>,
    status: &k8s_openapi::api::core::v1::NodeStatus,
) {
    if before.is_none() {
        agent
            .events
            .node(node, false, "Starting", "Starting kubelet.".into());
    }
    for reason in status::pressures(before, status) {
        is_now(agent, node, &reason);
    }
    match (before.is_some_and(status::is_ready), status::is_ready(status)) {
        (false, true) => is_now(agent, node, "NodeReady"),
        (true, false) => is_now(agent, node, "NodeNotReady"),
        _ => {}
    }
}

/// Somebody has allowed or forbidden new pods on this node.
pub(crate) fn schedulable(agent: &Agent, node: &Node, is: bool) {
    let reason = if is {
        "NodeSchedulable"
    } else {
        "NodeNotSchedulable"
    };
    is_now(agent, node, reason);
}

fn is_now(agent: &Agent, node: &Node, reason: &str) {
    let text = format!("Node {} status is now: {reason}", agent.config.node_name);
    agent.events.node(node, false, reason, text);
}

/// Annotation: what names the key this node has joined with. The server gives its name to no other key.
const KEY: &str = "skiff.dev/key";

/// Creates the Node, or brings its labels and annotations up to date.
async fn register(agent: &Agent, api: &Api<Node>) -> anyhow::Result<Node> {
    let name = &agent.config.node_name;
    let labels = status::labels(&agent.config);
    let annotations: BTreeMap<String, String> = [
        ("skiff/rootless".to_owned(), agent.entered.rootless.to_string()),
        (KEY.to_owned(), agent.config.key.clone()),
    ]
    .into();
    if let Some(known) = api.get_opt(name).await.context("get the Node")? {
        let has = |known: Option<&BTreeMap<String, String>>, wanted: &BTreeMap<String, String>| {
            let mut wanted = wanted.iter();
            wanted.all(|(key, value)| known.and_then(|known| known.get(key)) == Some(value))
        };
        if has(known.metadata.labels.as_ref(), &labels)
            && has(known.metadata.annotations.as_ref(), &annotations)
        {
            return Ok(known);
        }
        let body = json!({ "metadata": { "labels": labels, "annotations": annotations } });
        return api
            .patch(name, &PatchParams::default(), &Patch::Merge(body))
            .await
            .context("label the Node");
    }
    let node = Node {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        status: Some(status::status(
            agent,
            &State::default(),
            None,
            &[],
            Timestamp::now(),
        )),
        ..Node::default()
    };
    match api.create(&PostParams::default(), &node).await {
        Err(kube::Error::Api(answer)) if answer.code == 409 => api.get(name).await.context("get the Node"),
        other => other.context("create the Node"),
    }
}

/// This node's ranges of pod addresses: given by the node controller, and kept for a start without the API.
async fn pod_ranges(agent: &Agent) -> anyhow::Result<DualRange> {
    if let Some(ranges) = noted_ranges(&agent.config) {
        return Ok(ranges);
    }
    let api: Api<Node> = Api::all(agent.client.clone());
    let mut nodes = std::pin::pin!(
        watcher::watcher(
            api,
            watcher::Config::default().fields(&format!("metadata.name={}", agent.config.node_name))
        )
        .filter_map(|event| async move {
            match event {
                Ok(watcher::Event::Apply(node) | watcher::Event::InitApply(node)) => Some(Ok(node)),
                Ok(_) => None,
                Err(error) => {
                    tracing::debug!(%error, "watch the Node");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    None
                }
            }
        })
    );
    loop {
        let node: Node = nodes
            .try_next()
            .await
            .map_err(|never: std::convert::Infallible| match never {})?
            .context("the watch of the Node ended")?;
        let texts = node.spec.and_then(|spec| spec.pod_cidrs).unwrap_or_default();
        if texts.is_empty() {
            continue;
        }
        let text = texts.join(",");
        let ranges = text.parse().with_context(|| format!("podCIDRs {text:?}"))?;
        let _ = std::fs::write(note_of_ranges(&agent.config), text);
        return Ok(ranges);
    }
}

/// File that keeps them as long as the machine is up.
fn note_of_ranges(config: &Config) -> PathBuf {
    config.run_dir.join("pod-cidr")
}

fn noted_ranges(config: &Config) -> Option<DualRange> {
    let text = std::fs::read_to_string(note_of_ranges(config)).ok()?;
    text.trim().parse().ok()
}

/// How the pod network of this node is to be, as soon as the node has its ranges.
pub(crate) async fn network(agent: &Agent) -> anyhow::Result<skiff_pod_network::Config> {
    let ranges = pod_ranges(agent).await?;
    anyhow::ensure!(
        ranges.v6.is_some() == agent.config.cluster_cidr.v6.is_some(),
        "the Node has podCIDRs {ranges} in a cluster with {}: delete the Node to have it get others",
        agent.config.cluster_cidr
    );
    Ok(network_with(&agent.config, agent.entered, ranges))
}

/// How the pod network of this node was, if it ever came up.
pub(crate) fn earlier_network(config: &Config, entered: Entered) -> Option<skiff_pod_network::Config> {
    Some(network_with(config, entered, noted_ranges(config)?))
}

fn network_with(config: &Config, entered: Entered, pod_cidr: DualRange) -> skiff_pod_network::Config {
    skiff_pod_network::Config {
        dir: config.run_dir.join("network"),
        cluster_cidr: config.cluster_cidr,
        pod_cidr,
        service_cidr: config.service_cidr,
        rootless: entered.rootless,
        egress: config.egress,
    }
}

async fn keep_lease(agent: Arc<Agent>) {
    let api: Api<Lease> = Api::namespaced(agent.client.clone(), LEASES);
    let mut ticks = tokio::time::interval(RENEW);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut owned = false;
    loop {
        ticks.tick().await;
        if let Err(error) = renew(&agent, &api, &mut owned).await {
            warn!(error = format!("{error:#}"), "renew the node lease");
            owned = false;
            // The namespace may be seconds away on a new cluster; heartbeats must not wait a whole period.
            ticks.reset_after(Duration::from_secs(1));
        }
    }
}

/// Renews the lease, and makes it before. It belongs to the Node, with which it goes; on a new cluster the first one may
/// be there before the Node is, and is given to it later.
async fn renew(agent: &Agent, api: &Api<Lease>, owned: &mut bool) -> anyhow::Result<()> {
    let name = &agent.config.node_name;
    let now = MicroTime(Timestamp::now());
    let mut owner = None;
    let mut there = true;
    if !*owned {
        let nodes: Api<Node> = Api::all(agent.client.clone());
        let node = nodes.get_opt(name).await.context("get the Node")?;
        owner = node.map(|node| {
            vec![OwnerReference {
                api_version: "v1".into(),
                kind: "Node".into(),
                name: name.clone(),
                uid: node.metadata.uid.unwrap_or_default(),
                ..OwnerReference::default()
            }]
        });
        there = api.get_opt(name).await.context("get the lease")?.is_some();
    }
    let is_owned = owner.is_some();
    if there {
        let mut body = json!({ "spec": {
            "holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now,
        } });
        if let Some(owner) = owner {
            body["metadata"] = json!({ "ownerReferences": owner });
        }
        api.patch(name, &PatchParams::default(), &Patch::Merge(body))
            .await
            .context("patch the lease")?;
    } else {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: Some(LEASES.into()),
                owner_references: owner,
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(name.clone()),
                lease_duration_seconds: Some(LEASE_SECONDS),
                renew_time: Some(now),
                ..LeaseSpec::default()
            }),
        };
        api.create(&PostParams::default(), &lease)
            .await
            .context("create the lease")?;
    }
    *owned |= is_owned;
    Ok(())
}
