//! Feeds the workers: a watch of the pods of this node, one worker per uid.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    runtime::watcher::{self, Event},
};
use parking_lot::RwLock;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::{
    model::{name, namespace, uid},
    restore,
    worker::{self, Msg, Running},
};
use crate::{agent::Agent, enter};

/// The pods of this node. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Manager {
    pods: Arc<RwLock<BTreeMap<String, Running>>>,
}

impl Manager {
    /// Starts to run pods: those an earlier agent left at once, without waiting for the API.
    pub fn start(agent: Arc<Agent>) -> Self {
        let manager = Self { pods: Arc::default() };
        let (done, finished) = mpsc::unbounded_channel();
        let kept = kept(&agent.config.data_dir);
        for (dir, _) in enter::supervisors(&agent.config.run_dir) {
            if let Some(pod) = restore::read_pod(&dir) {
                manager.tell(&agent, Arc::new(pod), &done);
            }
        }
        tokio::spawn(manager.clone().run(agent, kept, done, finished));
        manager
    }

    /// The pod of a name; the youngest, when one of that name is still going.
    pub fn find(&self, ns: &str, pod: &str) -> Option<Arc<worker::Shared>> {
        let pods = self.pods.read();
        let mut found: Vec<_> = pods
            .values()
            .filter(|running| {
                let object = running.shared.pod.read();
                namespace(&object) == ns && name(&object) == pod
            })
            .collect();
        found.sort_by_key(|running| {
            let object = running.shared.pod.read();
            object.metadata.creation_timestamp.as_ref().map(|time| time.0)
        });
        found.last().map(|running| Arc::clone(&running.shared))
    }

    /// All pods as the API has them.
    pub fn list(&self) -> Vec<Arc<Pod>> {
        self.pods
            .read()
            .values()
            .map(|running| Arc::clone(&running.shared.pod.read()))
            .collect()
    }

    async fn run(
        self,
        agent: Arc<Agent>,
        mut kept: Vec<PathBuf>,
        done: mpsc::UnboundedSender<String>,
        mut finished: mpsc::UnboundedReceiver<String>,
    ) {
        let api: Api<Pod> = Api::all(agent.client.clone());
        let selector = format!("spec.nodeName={}", agent.config.node_name);
        // A watch with a list in it: one round trip until the first pod.
        let config = watcher::Config::default().fields(&selector);
        let mut events = std::pin::pin!(watcher::watcher(api, config));
        let mut listed: Option<BTreeSet<String>> = None;
        let mut pause = Duration::from_millis(50);
        loop {
            let event = tokio::select! {
                Some(uid) = finished.recv() => {
                    self.pods.write().remove(&uid);
                    continue;
                }
                event = events.next() => event,
            };
            match event {
                None => return,
                Some(Err(error)) => {
                    warn!(%error, "watch pods");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(2));
                    continue;
                }
                Some(Ok(Event::Init)) => listed = Some(BTreeSet::new()),
                Some(Ok(Event::InitApply(pod))) => {
                    if let Some(listed) = &mut listed {
                        listed.insert(uid(&pod).to_owned());
                    }
                    self.tell(&agent, Arc::new(pod), &done);
                }
                Some(Ok(Event::InitDone)) => {
                    let mut listed = listed.take().unwrap_or_default();
                    self.sweep(&listed);
                    let old = std::mem::take(&mut kept);
                    listed.extend(self.pods.read().keys().cloned());
                    tokio::task::spawn_blocking(move || release(old, listed));
                }
                Some(Ok(Event::Apply(pod))) => self.tell(&agent, Arc::new(pod), &done),
                Some(Ok(Event::Delete(pod))) => {
                    if let Some(running) = self.pods.read().get(uid(&pod)) {
                        let _ = running.sender.send(Msg::Gone);
                    }
                }
            }
            pause = Duration::from_millis(50);
        }
    }

    fn tell(&self, agent: &Arc<Agent>, pod: Arc<Pod>, done: &mpsc::UnboundedSender<String>) {
        let mut pods = self.pods.write();
        match pods.get(uid(&pod)) {
            Some(running) => {
                let _ = running.sender.send(Msg::Desired(pod));
            }
            None => {
                debug!(namespace = namespace(&pod), name = name(&pod), "new pod");
                let uid = uid(&pod).to_owned();
                let running = worker::start(Arc::clone(agent), pod, done.clone());
                pods.insert(uid, running);
            }
        }
    }

    /// Pods that a complete list does not have are gone.
    fn sweep(&self, listed: &BTreeSet<String>) {
        for (uid, running) in self.pods.read().iter() {
            if !listed.contains(uid) {
                let _ = running.sender.send(Msg::Gone);
            }
        }
    }
}

/// What is kept of pods under the data directory now.
fn kept(data: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for dir in ["pods", "logs"] {
        let entries = std::fs::read_dir(data.join(dir)).into_iter().flatten().flatten();
        paths.extend(entries.map(|entry| entry.path()));
    }
    paths
}

/// Removes what was kept before this agent started for pods that are neither listed nor known here.
fn release(kept: Vec<PathBuf>, known: BTreeSet<String>) {
    for path in kept {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let uid = name.rsplit_once('_').map_or(name, |(_, uid)| uid);
        if !known.contains(uid) {
            debug!(?path, "remove what a pod of an earlier run left");
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}
