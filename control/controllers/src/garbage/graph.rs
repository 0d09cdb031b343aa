//! Who owns whom, over all kinds: metadata only.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{Api, ResourceKind, WatchEvent, machinery::Queue};

/// uid of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Uid(pub String);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An owner reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub uid: String,
    pub group: String,
    pub kind: String,
    pub name: String,
    /// The owner must wait for this object when it is deleted in the foreground.
    pub blocks: bool,
}

/// An object.
#[derive(Clone, Debug)]
pub struct Entry {
    pub kind: ResourceKind,
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub revision: String,
    pub owners: Vec<Owner>,
    pub deleting: bool,
    /// Has the finalizer `foregroundDeletion`.
    pub foreground: bool,
    /// Has the finalizer `orphan`.
    pub orphan: bool,
}

/// A dependent of an object.
#[derive(Clone, Debug)]
pub struct Dependent {
    pub uid: Uid,
    pub blocks: bool,
}

/// An object with its dependents.
#[derive(Clone, Debug)]
pub struct Seen {
    pub entry: Entry,
    pub dependents: Vec<Dependent>,
}

type OnRemoved = Box<dyn Fn(&str) + Send + Sync>;

/// The graph.
pub struct Graph {
    kinds: Vec<ResourceKind>,
    state: Mutex<State>,
    queue: Arc<Queue<Uid>>,
    /// Kinds not listed yet.
    missing: watch::Sender<usize>,
    on_removed: RwLock<Vec<OnRemoved>>,
}

#[derive(Default)]
struct State {
    entries: HashMap<String, Entry>,
    dependents: HashMap<String, HashSet<String>>,
}

impl Graph {
    /// Of these kinds. Events own nothing and nobody owns them, so they are left out.
    pub fn new(kinds: Vec<ResourceKind>) -> Self {
        let kinds: Vec<_> = kinds.into_iter().filter(|k| k.kind != "Event").collect();
        Self {
            state: Mutex::default(),
            queue: Arc::default(),
            missing: watch::Sender::new(kinds.len()),
            on_removed: RwLock::default(),
            kinds,
        }
    }

    /// The queue of objects to decide about.
    pub fn queue(&self) -> Arc<Queue<Uid>> {
        self.queue.clone()
    }

    /// Calls `listener` with the namespace of each object that goes.
    pub fn on_removed(&self, listener: impl Fn(&str) + Send + Sync + 'static) {
        self.on_removed.write().push(Box::new(listener));
    }

    /// Waits until all kinds are listed.
    pub async fn synced(&self) {
        let mut missing = self.missing.subscribe();
        // An error means that the sender is gone, which `self` holds.
        let _ = missing.wait_for(|m| *m == 0).await;
    }

    /// The kind of an owner reference, in whichever version it is served.
    pub fn kind(&self, group: &str, kind: &str) -> Option<ResourceKind> {
        self.kinds
            .iter()
            .find(|k| k.name.group == group && k.kind == kind)
            .copied()
    }

    /// An object and its dependents.
    pub fn look(&self, uid: &Uid) -> Option<Seen> {
        let state = self.state.lock();
        let entry = state.entries.get(&uid.0)?.clone();
        let dependents = state.dependents.get(&uid.0).into_iter().flatten();
        let dependents = dependents
            .filter_map(|d| state.entries.get(d))
            .map(|d| Dependent {
                uid: Uid(d.uid.clone()),
                blocks: d.owners.iter().any(|o| o.uid == uid.0 && o.blocks),
            });
        Some(Seen {
            dependents: dependents.collect(),
            entry,
        })
    }

    /// All objects with owners, and those that wait for something.
    pub fn with_owners(&self) -> Vec<Uid> {
        let state = self.state.lock();
        let concerned = state
            .entries
            .values()
            .filter(|e| !e.owners.is_empty() || e.deleting);
        concerned.map(|e| Uid(e.uid.clone())).collect()
    }

    /// Starts to follow all kinds, until `stop`.
    pub fn feed(self: &Arc<Self>, api: &Arc<dyn Api>, tasks: &mut JoinSet<()>, stop: &CancellationToken) {
        for kind in &self.kinds {
            let (graph, api, stop, kind) = (self.clone(), api.clone(), stop.clone(), *kind);
            tasks.spawn(async move {
                tokio::select! {
                    () = graph.follow(&*api, kind) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
    }

    async fn follow(&self, api: &dyn Api, kind: ResourceKind) {
        let mut first = true;
        loop {
            let mut events = api.watch(kind.name);
            let mut present = Some(HashSet::new());
            while let Some(event) = events.recv().await {
                match event {
                    WatchEvent::Applied(value) => {
                        let Some(entry) = entry_of(kind, &value) else {
                            continue;
                        };
                        present.iter_mut().for_each(|p| {
                            p.insert(entry.uid.clone());
                        });
                        self.insert(entry);
                    }
                    WatchEvent::Deleted(value) => {
                        if let Some(uid) = value["metadata"]["uid"].as_str() {
                            self.remove(uid);
                        }
                    }
                    WatchEvent::Synced => {
                        if let Some(present) = present.take() {
                            self.keep_only(kind, &present);
                        }
                        if std::mem::take(&mut first) {
                            self.missing.send_modify(|m| *m -= 1);
                        }
                    }
                }
            }
            tracing::warn!(kind = kind.kind, "watch ended");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    fn insert(&self, entry: Entry) {
        let mut state = self.state.lock();
        let uid = entry.uid.clone();
        let old = state.entries.get(&uid);
        let changed = old.is_none_or(|o| {
            o.owners != entry.owners
                || (o.deleting, o.foreground, o.orphan) != (entry.deleting, entry.foreground, entry.orphan)
        });
        for owner in old.map(|o| o.owners.clone()).unwrap_or_default() {
            state.unlink(&owner.uid, &uid);
        }
        for owner in &entry.owners {
            state
                .dependents
                .entry(owner.uid.clone())
                .or_default()
                .insert(uid.clone());
        }
        let look = changed && (!entry.owners.is_empty() || entry.deleting);
        // Dependents of an owner that starts to wait for them are to go now.
        let dependents = if changed && entry.deleting && entry.foreground {
            state.dependents.get(&uid).cloned().unwrap_or_default()
        } else {
            HashSet::new()
        };
        state.entries.insert(uid.clone(), entry);
        drop(state);
        if look {
            self.queue.add(Uid(uid));
        }
        dependents.into_iter().for_each(|d| self.queue.add(Uid(d)));
    }

    fn remove(&self, uid: &str) {
        let mut state = self.state.lock();
        let Some(entry) = state.entries.remove(uid) else {
            return;
        };
        for owner in &entry.owners {
            state.unlink(&owner.uid, uid);
        }
        let dependents = state.dependents.get(uid).cloned().unwrap_or_default();
        let waiting = entry
            .owners
            .iter()
            .filter(|o| state.entries.get(&o.uid).is_some_and(|o| o.deleting));
        let waiting: Vec<String> = waiting.map(|o| o.uid.clone()).collect();
        drop(state);
        dependents
            .into_iter()
            .chain(waiting)
            .for_each(|uid| self.queue.add(Uid(uid)));
        self.on_removed
            .read()
            .iter()
            .for_each(|listener| listener(&entry.namespace));
    }

    fn keep_only(&self, kind: ResourceKind, present: &HashSet<String>) {
        let gone: Vec<String> = {
            let state = self.state.lock();
            let gone = state
                .entries
                .values()
                .filter(|e| e.kind == kind && !present.contains(&e.uid));
            gone.map(|e| e.uid.clone()).collect()
        };
        gone.iter().for_each(|uid| self.remove(uid));
    }
}

impl State {
    fn unlink(&mut self, owner: &str, dependent: &str) {
        if let Some(dependents) = self.dependents.get_mut(owner) {
            dependents.remove(dependent);
            if dependents.is_empty() {
                self.dependents.remove(owner);
            }
        }
    }
}

fn entry_of(kind: ResourceKind, value: &Value) -> Option<Entry> {
    let metadata = &value["metadata"];
    let text = |f: &str| metadata[f].as_str().unwrap_or_default().to_owned();
    let owners = metadata["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|o| {
            let text = |f: &str| o[f].as_str().unwrap_or_default();
            Owner {
                uid: text("uid").to_owned(),
                group: text("apiVersion")
                    .rsplit_once('/')
                    .map_or("", |(group, _)| group)
                    .to_owned(),
                kind: text("kind").to_owned(),
                name: text("name").to_owned(),
                blocks: o["blockOwnerDeletion"] == true,
            }
        });
    let has = |f: &str| {
        metadata["finalizers"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|x| x == f)
    };
    Some(Entry {
        kind,
        namespace: text("namespace"),
        name: text("name"),
        uid: metadata["uid"].as_str()?.to_owned(),
        revision: text("resourceVersion"),
        owners: owners.collect(),
        deleting: !metadata["deletionTimestamp"].is_null(),
        foreground: has("foregroundDeletion"),
        orphan: has("orphan"),
    })
}
