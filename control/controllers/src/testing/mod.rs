//! An API server in memory, as far as controllers can tell: revisions, conflicts, watch, generateName, graceful
//! deletion and finalizers. It can be told to die between any two writes.

pub mod cluster;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    Api, ApiError, Binding, DeleteOptions, PatchKind, ResourceKind, ResourceName, WatchEvent,
    machinery::{Clock, Object, resource_of},
};

pub use cluster::Cluster;

type Id = (ResourceName, String, String);

/// The server.
pub struct MemoryApi {
    state: Mutex<State>,
    clock: Clock,
    /// Writes left before every call fails; negative: no end.
    budget: AtomicI64,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<(String, String, String), (ResourceName, Arc<Value>)>,
    watchers: HashMap<ResourceName, Vec<mpsc::Sender<WatchEvent>>>,
    revision: u64,
    writes: u64,
    binds: u64,
}

fn error(code: u16, reason: &str, message: impl Into<String>) -> ApiError {
    ApiError {
        code,
        reason: reason.to_owned(),
        message: message.into(),
    }
}

fn path(r: ResourceName, namespace: &str, name: &str) -> (String, String, String) {
    (
        format!("{}/{}", r.group, r.plural),
        namespace.to_owned(),
        name.to_owned(),
    )
}

fn id_of(r: ResourceName, object: &Value) -> Id {
    let text = |f: &str| object["metadata"][f].as_str().unwrap_or_default().to_owned();
    (r, text("namespace"), text("name"))
}

impl MemoryApi {
    /// Empty.
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            clock,
            budget: AtomicI64::new(-1),
        })
    }

    /// Dies after `writes` more writes; `None`: lives on.
    pub fn die_after(&self, writes: Option<i64>) {
        self.budget.store(writes.unwrap_or(-1), Ordering::SeqCst);
    }

    /// Whether it has died.
    pub fn is_dead(&self) -> bool {
        self.budget.load(Ordering::SeqCst) == 0
    }

    /// How many writes there were.
    pub fn writes(&self) -> u64 {
        self.state.lock().writes
    }

    /// How many calls of bind there were.
    pub fn binds(&self) -> u64 {
        self.state.lock().binds
    }

    /// All objects of a type.
    pub fn all<T: Object>(&self) -> Vec<T> {
        let prefix = path(resource_of::<T>(), "", "").0;
        let state = self.state.lock();
        let found = state.objects.iter().filter(|((r, _, _), _)| *r == prefix);
        found.map(|(_, (_, v))| T::deserialize(&**v).unwrap()).collect()
    }

    /// One object.
    pub fn one<T: Object>(&self, namespace: &str, name: &str) -> Option<T> {
        let key = path(resource_of::<T>(), namespace, name);
        self.state
            .lock()
            .objects
            .get(&key)
            .map(|(_, v)| T::deserialize(&**v).unwrap())
    }

    /// Creates as a client would.
    pub fn put<T: Object>(&self, object: Value) -> T {
        let created = self.insert(resource_of::<T>(), object).unwrap();
        T::deserialize(&*created).unwrap()
    }

    /// Changes an object in place, spec and status alike.
    pub fn change<T: Object>(&self, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let r = resource_of::<T>();
        let mut state = self.state.lock();
        let old = state.objects[&path(r, namespace, name)].1.clone();
        let mut new = (*old).clone();
        change(&mut new);
        state.store(r, &old, new);
    }

    /// Deletes as a client would.
    pub fn remove<T: Object>(&self, namespace: &str, name: &str, options: &DeleteOptions) {
        self.state
            .lock()
            .delete(resource_of::<T>(), namespace, name, options, self.clock.now())
            .unwrap();
    }

    fn spend(&self) -> Result<(), ApiError> {
        let spent = self
            .budget
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| match left {
                0 => None,
                left if left > 0 => Some(left - 1),
                left => Some(left),
            });
        spent
            .map(|_| ())
            .map_err(|_| error(503, "ServiceUnavailable", "dead"))
    }

    fn insert(&self, r: ResourceName, mut object: Value) -> Result<Arc<Value>, ApiError> {
        let mut state = self.state.lock();
        let metadata = object["metadata"].as_object_mut().expect("metadata");
        if metadata.get("name").is_none_or(Value::is_null) {
            let prefix = metadata["generateName"].as_str().unwrap_or_default().to_owned();
            let suffix = state.revision + 1;
            metadata.insert("name".into(), json!(format!("{prefix}{suffix:05}")));
        }
        if r.plural == "namespaces" || r.plural == "nodes" {
            metadata.remove("namespace");
        }
        let (_, namespace, name) = id_of(r, &object);
        let key = path(r, &namespace, &name);
        if state.objects.contains_key(&key) {
            return Err(error(
                409,
                "AlreadyExists",
                format!("{} \"{name}\" already exists", r.plural),
            ));
        }
        if let Some((_, ns)) = state.objects.get(&path(NAMESPACES, "", &namespace))
            && !ns["metadata"]["deletionTimestamp"].is_null()
        {
            let text = format!(
                "unable to create new content in namespace {namespace} because it is being terminated"
            );
            return Err(error(403, "Forbidden", text));
        }
        state.revision += 1;
        state.writes += 1;
        let revision = state.revision;
        object["metadata"]["uid"] = json!(format!("uid-{revision:06}"));
        object["metadata"]["resourceVersion"] = json!(revision.to_string());
        object["metadata"]["generation"] = json!(1);
        object["metadata"]["creationTimestamp"] =
            json!(self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        if r.plural == "namespaces" {
            object["spec"] = json!({"finalizers": ["kubernetes"]});
            object["status"] = json!({"phase": "Active"});
        }
        let object = Arc::new(object);
        state.objects.insert(key, (r, object.clone()));
        state.send(r, WatchEvent::Applied(object.clone()));
        Ok(object)
    }
}

const NAMESPACES: ResourceName = ResourceName {
    group: "",
    version: "v1",
    plural: "namespaces",
};

impl State {
    fn send(&mut self, r: ResourceName, event: WatchEvent) {
        if let Some(watchers) = self.watchers.get_mut(&r) {
            watchers.retain(|w| w.try_send(event.clone()).is_ok() || !w.is_closed());
        }
    }

    fn store(&mut self, r: ResourceName, old: &Value, mut new: Value) -> Arc<Value> {
        let mut comparable = new.clone();
        comparable["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
        if comparable == *old {
            return Arc::new(comparable);
        }
        self.revision += 1;
        self.writes += 1;
        let (_, namespace, name) = id_of(r, &new);
        if new["spec"] != old["spec"] {
            new["metadata"]["generation"] = json!(old["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
        }
        new["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let key = path(r, &namespace, &name);
        let new = Arc::new(new);
        let held = |list: &Value| list.as_array().is_some_and(|l| !l.is_empty());
        let deleting = !new["metadata"]["deletionTimestamp"].is_null();
        let finalizing = held(&new["metadata"]["finalizers"])
            || (r == NAMESPACES && held(&new["spec"]["finalizers"]))
            || (r.plural == "pods"
                && new["metadata"]["deletionGracePeriodSeconds"]
                    .as_i64()
                    .unwrap_or(0)
                    > 0);
        if deleting && !finalizing {
            self.objects.remove(&key);
            self.send(r, WatchEvent::Deleted(new.clone()));
        } else {
            self.objects.insert(key, (r, new.clone()));
            self.send(r, WatchEvent::Applied(new.clone()));
        }
        new
    }

    fn delete(
        &mut self,
        r: ResourceName,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let key = path(r, namespace, name);
        let Some((_, old)) = self.objects.get(&key).cloned() else {
            return Err(error(
                404,
                "NotFound",
                format!("{} \"{name}\" not found", r.plural),
            ));
        };
        if options
            .uid
            .as_deref()
            .is_some_and(|uid| old["metadata"]["uid"] != uid)
        {
            return Err(error(409, "Conflict", "the uid in the precondition differs"));
        }
        let mut new = (*old).clone();
        let finalizer = match options.propagation {
            Some("Foreground") => Some("foregroundDeletion"),
            Some("Orphan") => Some("orphan"),
            _ => None,
        };
        let mut finalizers: Vec<String> =
            serde_json::from_value(new["metadata"]["finalizers"].clone()).unwrap_or_default();
        if let Some(f) = finalizer
            && !finalizers.iter().any(|x| x == f)
        {
            finalizers.push(f.to_owned());
        }
        if !finalizers.is_empty() {
            new["metadata"]["finalizers"] = json!(finalizers);
        }
        if new["metadata"]["deletionTimestamp"].is_null() {
            new["metadata"]["deletionTimestamp"] = json!(now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        }
        if r.plural == "pods" {
            let bound = new["spec"]["nodeName"].as_str().is_some_and(|n| !n.is_empty());
            let grace = options
                .grace_seconds
                .or(new["spec"]["terminationGracePeriodSeconds"].as_i64());
            let grace = if bound { grace.unwrap_or(0) } else { 0 };
            new["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
        }
        if r == NAMESPACES {
            new["status"]["phase"] = json!("Terminating");
        }
        self.store(r, &old, new);
        Ok(())
    }
}

#[async_trait]
impl Api for MemoryApi {
    async fn get(&self, r: ResourceName, namespace: &str, name: &str) -> Result<Arc<Value>, ApiError> {
        let state = self.state.lock();
        let found = state
            .objects
            .get(&path(r, namespace, name))
            .map(|(_, v)| v.clone());
        found.ok_or_else(|| error(404, "NotFound", format!("{} \"{name}\" not found", r.plural)))
    }

    async fn list(&self, r: ResourceName, namespace: &str) -> Result<Vec<Arc<Value>>, ApiError> {
        let prefix = path(r, "", "").0;
        let state = self.state.lock();
        let found = state
            .objects
            .iter()
            .filter(|((p, ns, _), _)| *p == prefix && (namespace.is_empty() || ns == namespace));
        Ok(found.map(|(_, (_, v))| v.clone()).collect())
    }

    fn watch(&self, r: ResourceName) -> mpsc::Receiver<WatchEvent> {
        let (send, receive) = mpsc::channel(100_000);
        let mut state = self.state.lock();
        let prefix = path(r, "", "").0;
        for ((p, _, _), (_, value)) in &state.objects {
            if *p == prefix {
                send.try_send(WatchEvent::Applied(value.clone())).unwrap();
            }
        }
        send.try_send(WatchEvent::Synced).unwrap();
        state.watchers.entry(r).or_default().push(send);
        receive
    }

    async fn create(&self, r: ResourceName, object: &Value) -> Result<Arc<Value>, ApiError> {
        self.spend()?;
        self.insert(r, object.clone())
    }

    async fn update(&self, r: ResourceName, _: &str, object: &Value) -> Result<Arc<Value>, ApiError> {
        self.spend()?;
        let (_, namespace, name) = id_of(r, object);
        let mut state = self.state.lock();
        let Some((_, old)) = state.objects.get(&path(r, &namespace, &name)).cloned() else {
            return Err(error(404, "NotFound", "not found"));
        };
        if object["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"] {
            return Err(error(409, "Conflict", "the object has been modified"));
        }
        Ok(state.store(r, &old, object.clone()))
    }

    async fn patch(
        &self,
        r: ResourceName,
        namespace: &str,
        name: &str,
        subresource: &str,
        kind: PatchKind,
        patch: &Value,
    ) -> Result<Arc<Value>, ApiError> {
        self.spend()?;
        assert_eq!(kind, PatchKind::Merge);
        let mut state = self.state.lock();
        let Some((_, old)) = state.objects.get(&path(r, namespace, name)).cloned() else {
            return Err(error(
                404,
                "NotFound",
                format!("{} \"{name}\" not found", r.plural),
            ));
        };
        for precondition in ["resourceVersion", "uid"] {
            let wanted = &patch["metadata"][precondition];
            if !wanted.is_null() && *wanted != old["metadata"][precondition] {
                return Err(error(409, "Conflict", format!("{precondition} differs")));
            }
        }
        let mut new = (*old).clone();
        merge(&mut new, patch);
        // A status write leaves the spec alone, and the other way round.
        if subresource == "status" {
            let (status, annotations) = (new["status"].take(), new["metadata"]["annotations"].take());
            new = (*old).clone();
            new["status"] = status;
            if !annotations.is_null() {
                new["metadata"]["annotations"] = annotations;
            }
        } else if r.plural != "events" {
            match old.get("status") {
                Some(status) => new["status"] = status.clone(),
                None => {
                    new.as_object_mut().map(|o| o.remove("status"));
                }
            }
        }
        Ok(state.store(r, &old, new))
    }

    async fn delete(
        &self,
        r: ResourceName,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<(), ApiError> {
        self.spend()?;
        self.state
            .lock()
            .delete(r, namespace, name, options, self.clock.now())
    }

    async fn bind(&self, bindings: &[Binding]) -> Vec<Result<(), ApiError>> {
        if let Err(error) = self.spend() {
            return bindings.iter().map(|_| Err(error.clone())).collect();
        }
        let r = ResourceName {
            group: "",
            version: "v1",
            plural: "pods",
        };
        let mut state = self.state.lock();
        state.binds += 1;
        let bind = |b: &Binding| {
            let Some((_, old)) = state.objects.get(&path(r, &b.namespace, &b.name)).cloned() else {
                return Err(error(404, "NotFound", "not found"));
            };
            if old["metadata"]["uid"] != b.uid.as_str() || old["spec"]["nodeName"].is_string() {
                return Err(error(409, "Conflict", "the pod is bound already"));
            }
            let mut new = (*old).clone();
            new["spec"]["nodeName"] = json!(b.node);
            let scheduled = json!({"type": "PodScheduled", "status": "True"});
            new["status"]["conditions"] = json!([scheduled]);
            state.store(r, &old, new);
            Ok(())
        };
        bindings.iter().map(bind).collect()
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in fields {
        if value.is_null() {
            target.as_object_mut().map(|o| o.remove(key));
        } else {
            merge(&mut target[key], value);
        }
    }
}

/// The kinds of the tests.
pub fn kinds() -> Vec<ResourceKind> {
    let kind = |group, plural, kind, namespaced| ResourceKind {
        name: ResourceName {
            group,
            version: "v1",
            plural,
        },
        kind,
        namespaced,
    };
    vec![
        kind("", "pods", "Pod", true),
        kind("", "services", "Service", true),
        kind("", "endpoints", "Endpoints", true),
        kind("", "configmaps", "ConfigMap", true),
        kind("", "serviceaccounts", "ServiceAccount", true),
        kind("", "events", "Event", true),
        kind("", "nodes", "Node", false),
        kind("", "namespaces", "Namespace", false),
        kind("apps", "deployments", "Deployment", true),
        kind("apps", "replicasets", "ReplicaSet", true),
        kind("discovery.k8s.io", "endpointslices", "EndpointSlice", true),
        kind("coordination.k8s.io", "leases", "Lease", true),
    ]
}
