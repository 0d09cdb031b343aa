//! The shared cache of one resource: decoded objects with indexes, fed by a watch and by own writes.
//!
//! Own writes go in at once, so that the next plan sees them. That raises three questions about order, answered by
//! the one revision counter of the store:
//! - a watch event older than the cached object is ignored;
//! - the result of an own write is ignored when the watch has already passed its revision (the object may have
//!   been deleted since);
//! - an own write which the watch never confirms (the object vanished while the watch was re-listing) is checked
//!   with a live read by [`Cache::feed`].
//!
//! A delete returns no object, so it is remembered by uid ([`Cache::mark_deleting`]) until the watch shows it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::RwLock;
use serde_json::Value;
use tokio::{sync::watch, time::Instant};

use super::{Key, Object, resource_of};
use crate::{Api, WatchEvent};

/// Called after each change with the object before and after.
type Listener<T> = Box<dyn Fn(Option<&Arc<T>>, Option<&Arc<T>>) + Send + Sync>;

/// An own write or delete that the watch has not shown for this long is checked with a live read.
const UNCONFIRMED: Duration = Duration::from_secs(10);

/// All objects of one resource.
pub struct Cache<T> {
    state: RwLock<State<T>>,
    listeners: RwLock<Vec<Listener<T>>>,
    synced: watch::Sender<bool>,
    /// Which objects to hold; the others are never decoded.
    keep: fn(&Value) -> bool,
    /// The node an object belongs to, for the index by node.
    node: fn(&T) -> Option<&str>,
}

struct State<T> {
    objects: BTreeMap<Key, Arc<T>>,
    /// Controller uid → objects; objects without a controller under `/namespace`.
    by_owner: HashMap<String, BTreeSet<Key>>,
    by_node: HashMap<String, BTreeSet<Key>>,
    /// The highest revision the watch has delivered.
    seen: u64,
    unconfirmed: HashMap<Key, (u64, Instant)>,
    deleting: HashMap<String, Instant>,
}

impl<T: Object> Default for Cache<T> {
    fn default() -> Self {
        Self::new(|_| true, |_| None)
    }
}

impl<T: Object> Cache<T> {
    /// An empty cache that holds what `keep` accepts, with an index by `node`.
    pub fn new(keep: fn(&Value) -> bool, node: fn(&T) -> Option<&str>) -> Self {
        Self {
            state: RwLock::new(State {
                objects: BTreeMap::new(),
                by_owner: HashMap::new(),
                by_node: HashMap::new(),
                seen: 0,
                unconfirmed: HashMap::new(),
                deleting: HashMap::new(),
            }),
            listeners: RwLock::new(Vec::new()),
            synced: watch::Sender::new(false),
            keep,
            node,
        }
    }

    /// Registers a listener. It runs on whichever task made the change, and must only note what changed.
    pub fn listen(&self, listener: impl Fn(Option<&Arc<T>>, Option<&Arc<T>>) + Send + Sync + 'static) {
        self.listeners.write().push(Box::new(listener));
    }

    /// Waits until everything that existed at the start is here.
    pub async fn synced(&self) {
        let mut synced = self.synced.subscribe();
        // An error means that the sender is gone, which `self` holds.
        let _ = synced.wait_for(|s| *s).await;
    }

    /// One object.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        self.get_key(&Key::new(namespace, name))
    }

    /// One object.
    pub fn get_key(&self, key: &Key) -> Option<Arc<T>> {
        self.state.read().objects.get(key).cloned()
    }

    /// All objects, ordered by key.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.state.read().objects.values().cloned().collect()
    }

    /// All keys, in order.
    pub fn keys(&self) -> Vec<Key> {
        self.state.read().objects.keys().cloned().collect()
    }

    /// How many objects.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.state.read().objects.len()
    }

    /// The objects of a namespace, ordered by name.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<T>> {
        let start = Key::new(namespace, "");
        let state = self.state.read();
        state
            .objects
            .range(start..)
            .take_while(|(k, _)| k.namespace == namespace)
            .map(|(_, o)| o.clone())
            .collect()
    }

    /// The objects whose controller has this uid.
    pub fn owned_by(&self, uid: &str) -> Vec<Arc<T>> {
        let state = self.state.read();
        state.resolve(state.by_owner.get(uid))
    }

    /// The objects of a namespace without a controller.
    pub fn orphans(&self, namespace: &str) -> Vec<Arc<T>> {
        let state = self.state.read();
        state.resolve(state.by_owner.get(&format!("/{namespace}")))
    }

    /// The objects of a node.
    pub fn on_node(&self, node: &str) -> Vec<Arc<T>> {
        let state = self.state.read();
        state.resolve(state.by_node.get(node))
    }

    /// The nodes that have objects.
    pub fn nodes(&self) -> Vec<String> {
        self.state.read().by_node.keys().cloned().collect()
    }

    /// Whether its deletion has begun, as far as the API has shown or was asked for by us.
    pub fn is_deleting(&self, object: &T) -> bool {
        object.is_terminating() || self.state.read().deleting.contains_key(object.uid())
    }

    /// Remembers that this object was deleted by us, until the watch shows it.
    pub fn mark_deleting(&self, uid: &str) {
        self.state.write().deleting.insert(uid.to_owned(), Instant::now());
    }

    /// Takes in the result of an own write. Returns it decoded.
    pub fn written(&self, value: &Value) -> Result<Arc<T>, serde_json::Error> {
        let object = decode::<T>(value)?;
        if (self.keep)(value) {
            let revision = object.revision();
            let old = {
                let mut state = self.state.write();
                if revision <= state.seen {
                    return Ok(object);
                }
                let key = object.key();
                let current = state.objects.get(&key);
                if current.is_some_and(|c| c.revision() >= revision) {
                    return Ok(object);
                }
                state.unconfirmed.insert(key, (revision, Instant::now()));
                state.insert(object.clone(), self.node)
            };
            self.notify(old.as_ref(), Some(&object));
        }
        Ok(object)
    }

    fn applied(&self, value: &Value) {
        if !(self.keep)(value) {
            return self.removed(value);
        }
        let object = match decode::<T>(value) {
            Ok(object) => object,
            Err(error) => {
                tracing::warn!(kind = T::KIND, %error, "object can't be decoded");
                return;
            }
        };
        let revision = object.revision();
        let old = {
            let mut state = self.state.write();
            state.seen = state.seen.max(revision);
            let key = object.key();
            if state.unconfirmed.get(&key).is_some_and(|(r, _)| *r <= revision) {
                state.unconfirmed.remove(&key);
            }
            if object.is_terminating() {
                state.deleting.remove(object.uid());
            }
            if state.objects.get(&key).is_some_and(|c| c.revision() >= revision) {
                return;
            }
            state.insert(object.clone(), self.node)
        };
        self.notify(old.as_ref(), Some(&object));
    }

    fn removed(&self, value: &Value) {
        let metadata = &value["metadata"];
        let text = |field: &str| metadata[field].as_str().unwrap_or_default();
        let key = Key::new(text("namespace"), text("name"));
        let revision = text("resourceVersion").parse().unwrap_or_default();
        let old = {
            let mut state = self.state.write();
            state.seen = state.seen.max(revision);
            state.deleting.remove(text("uid"));
            if state.objects.get(&key).is_none_or(|c| c.uid() != text("uid")) {
                return;
            }
            state.remove(&key, self.node)
        };
        self.notify(old.as_ref(), None);
    }

    /// Drops an object that a live read did not find.
    pub fn forget(&self, key: &Key, uid: &str) {
        let old = {
            let mut state = self.state.write();
            state.deleting.remove(uid);
            if state.objects.get(key).is_none_or(|c| c.uid() != uid) {
                return;
            }
            state.remove(key, self.node)
        };
        self.notify(old.as_ref(), None);
    }

    fn notify(&self, old: Option<&Arc<T>>, new: Option<&Arc<T>>) {
        for listener in self.listeners.read().iter() {
            listener(old, new);
        }
    }

    /// Follows the resource until cancelled by being dropped.
    pub async fn feed(&self, api: &dyn Api) {
        let resource = resource_of::<T>();
        loop {
            let mut events = api.watch(resource);
            let mut present = Some(HashSet::new());
            let mut check = tokio::time::interval(UNCONFIRMED);
            loop {
                tokio::select! {
                    event = events.recv() => match event {
                        Some(WatchEvent::Applied(value)) => {
                            if let Some(present) = &mut present {
                                let text = |f: &str| value["metadata"][f].as_str().unwrap_or_default().to_owned();
                                present.insert(Key { namespace: text("namespace"), name: text("name") });
                            }
                            self.applied(&value);
                        }
                        Some(WatchEvent::Deleted(value)) => self.removed(&value),
                        Some(WatchEvent::Synced) => {
                            if let Some(present) = present.take() {
                                self.drop_absent(&present);
                            }
                            self.synced.send_replace(true);
                        }
                        None => break,
                    },
                    _ = check.tick() => self.check_unconfirmed(api).await,
                }
            }
            // The watch ends by itself only when the server stops; until we are stopped too, try again.
            tracing::warn!(kind = T::KIND, "watch ended");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// After watching anew: what was not listed is gone, unless it was written since.
    fn drop_absent(&self, present: &HashSet<Key>) {
        let gone: Vec<(Key, String)> = {
            let state = self.state.read();
            let absent = |k: &&Key| !present.contains(*k) && !state.unconfirmed.contains_key(*k);
            let gone = state.objects.keys().filter(absent);
            gone.map(|k| (k.clone(), state.objects[k].uid().to_owned()))
                .collect()
        };
        for (key, uid) in gone {
            self.forget(&key, &uid);
        }
    }

    async fn check_unconfirmed(&self, api: &dyn Api) {
        let now = Instant::now();
        let old = |since: &Instant| now.duration_since(*since) > UNCONFIRMED;
        let suspects: Vec<(Key, String)> = {
            let mut state = self.state.write();
            state.deleting.retain(|_, since| !old(since));
            let keys = state
                .unconfirmed
                .iter()
                .filter(|(_, (_, since))| old(since))
                .map(|(k, _)| k.clone());
            let keys: Vec<Key> = keys.collect();
            keys.into_iter()
                .filter_map(|k| {
                    state
                        .objects
                        .get(&k)
                        .map(|o| o.uid().to_owned())
                        .map(|uid| (k, uid))
                })
                .collect()
        };
        for (key, uid) in suspects {
            match api.get(resource_of::<T>(), &key.namespace, &key.name).await {
                Ok(value) => self.applied(&value),
                Err(error) if error.code == 404 => self.forget(&key, &uid),
                Err(_) => continue,
            }
            self.state.write().unconfirmed.remove(&key);
        }
    }
}

impl<T: Object> State<T> {
    fn insert(&mut self, object: Arc<T>, node: fn(&T) -> Option<&str>) -> Option<Arc<T>> {
        let key = object.key();
        let old = self.remove(&key, node);
        self.by_owner
            .entry(owner_key(&*object))
            .or_default()
            .insert(key.clone());
        if let Some(node) = node(&object) {
            self.by_node
                .entry(node.to_owned())
                .or_default()
                .insert(key.clone());
        }
        self.objects.insert(key, object);
        old
    }

    fn remove(&mut self, key: &Key, node: fn(&T) -> Option<&str>) -> Option<Arc<T>> {
        let old = self.objects.remove(key)?;
        remove_from(&mut self.by_owner, &owner_key(&*old), key);
        if let Some(node) = node(&old) {
            remove_from(&mut self.by_node, node, key);
        }
        Some(old)
    }

    fn resolve(&self, keys: Option<&BTreeSet<Key>>) -> Vec<Arc<T>> {
        keys.into_iter()
            .flatten()
            .filter_map(|k| self.objects.get(k).cloned())
            .collect()
    }
}

fn owner_key<T: Object>(object: &T) -> String {
    match object.controller() {
        Some(owner) => owner.uid.clone(),
        None => format!("/{}", object.namespace()),
    }
}

fn remove_from(index: &mut HashMap<String, BTreeSet<Key>>, entry: &str, key: &Key) {
    if let Some(keys) = index.get_mut(entry) {
        keys.remove(key);
        if keys.is_empty() {
            index.remove(entry);
        }
    }
}

fn decode<T: Object>(value: &Value) -> Result<Arc<T>, serde_json::Error> {
    let mut object = T::deserialize(value)?;
    // Half of an object's size, and no controller reads it.
    object.metadata_mut().managed_fields = None;
    Ok(Arc::new(object))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::*;

    fn pod(name: &str, uid: &str, revision: u64, owner: Option<&str>) -> Value {
        let owners: Vec<Value> = owner
            .iter()
            .map(|uid| json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": uid, "controller": true}))
            .collect();
        json!({"metadata": {"namespace": "d", "name": name, "uid": uid, "resourceVersion": revision.to_string(),
               "ownerReferences": owners, "managedFields": [{"manager": "x"}]}})
    }

    #[test]
    fn own_writes_are_seen_at_once_and_by_owner() {
        let cache = Cache::<Pod>::default();
        cache.written(&pod("a", "1", 5, Some("o"))).unwrap();
        assert_eq!(cache.owned_by("o").len(), 1);
        assert!(cache.get("d", "a").unwrap().metadata.managed_fields.is_none());
        cache.applied(&pod("a", "1", 4, None));
        assert_eq!(cache.owned_by("o").len(), 1, "an older watch event is ignored");
        cache.applied(&pod("a", "1", 6, None));
        assert_eq!((cache.owned_by("o").len(), cache.orphans("d").len()), (0, 1));
    }

    #[test]
    fn a_late_write_result_does_not_bring_back_a_deleted_object() {
        let cache = Cache::<Pod>::default();
        cache.applied(&pod("a", "1", 5, None));
        cache.removed(&pod("a", "1", 5, None));
        cache.written(&pod("a", "1", 5, None)).unwrap();
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn the_deletion_of_an_earlier_object_leaves_its_successor() {
        let cache = Cache::<Pod>::default();
        cache.applied(&pod("a", "1", 5, None));
        cache.written(&pod("a", "2", 8, None)).unwrap();
        cache.removed(&pod("a", "1", 7, None));
        assert_eq!(cache.get("d", "a").unwrap().uid(), "2");
    }
}
