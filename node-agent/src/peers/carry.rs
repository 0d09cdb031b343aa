//! Peers that UDP does not reach: their packets go over a stream through the API server.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use skiff_pod_network::PodNetwork;
use skiff_streaming::tunnel;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info};

use crate::agent::Agent;

/// Pauses between two tries to reach the same peer.
const SHORTEST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A try to reach one peer.
struct Try {
    begun: Instant,
    /// Before the next one.
    pause: Duration,
    task: AbortOnDropHandle<()>,
}

/// The streams this node has asked for.
#[derive(Default)]
pub(super) struct Streams(HashMap<String, Try>);

impl Streams {
    /// Asks for streams to the peers that need one.
    pub fn look(&mut self, agent: &Arc<Agent>, network: &Arc<PodNetwork>) {
        let unreached = network.unreached_peers();
        self.0
            .retain(|name, tried| !tried.task.is_finished() || unreached.contains(name));
        for name in unreached {
            let pause = match self.0.get(&name) {
                Some(tried) if !tried.task.is_finished() || tried.begun.elapsed() < tried.pause => continue,
                Some(tried) => (tried.pause * 2).min(LONGEST_PAUSE),
                None => SHORTEST_PAUSE,
            };
            let task = tokio::spawn(carry(Arc::clone(agent), Arc::clone(network), name.clone()));
            let tried = Try {
                begun: Instant::now(),
                pause,
                task: AbortOnDropHandle::new(task),
            };
            self.0.insert(name, tried);
        }
    }
}

async fn carry(agent: Arc<Agent>, network: Arc<PodNetwork>, node: String) {
    match tunnel::packets_to(&agent.uplink, &node).await {
        Ok(stream) => {
            info!(node, "UDP does not get through: packets go through the server");
            let ended = network.carry(&node, stream, true).await;
            info!(node, ?ended, "packets no longer go through the server");
        }
        Err(error) => debug!(node, %error, "no stream for packets"),
    }
}
