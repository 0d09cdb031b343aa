//! Events (`kubectl describe`): recorded without waiting, repeated ones counted.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Event, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Client, Clock, Object, resource_of, seconds};
use crate::{Api, PatchKind};

/// Events that wait to be written; more are dropped, for events must never slow their sender.
const WAITING: usize = 4096;
/// Repeated events that are remembered, to be counted.
const REMEMBERED: usize = 4096;
/// Events written at the same time.
const PARALLEL: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// Normal or Warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// Expected.
    Normal,
    /// Something to look at.
    Warning,
}

/// Records events.
#[derive(Clone)]
pub struct Recorder {
    send: mpsc::Sender<Recorded>,
    receive: Arc<Mutex<Option<mpsc::Receiver<Recorded>>>>,
    seen: Arc<Mutex<HashMap<Identity, Seen>>>,
    serial: Arc<AtomicU64>,
    clock: Clock,
}

struct Recorded {
    api: Arc<dyn Api>,
    identity: Identity,
    component: &'static str,
    at: Timestamp,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Identity {
    api_version: &'static str,
    kind: &'static str,
    namespace: String,
    name: String,
    uid: String,
    resource_version: String,
    event_type: EventType,
    reason: &'static str,
    message: String,
}

struct Seen {
    name: String,
    last: Timestamp,
    count: i32,
}

impl Recorder {
    /// A recorder; [`Recorder::run`] writes what it records.
    pub fn new(clock: Clock) -> Self {
        let (send, receive) = mpsc::channel(WAITING);
        Self {
            send,
            receive: Arc::new(Mutex::new(Some(receive))),
            seen: Arc::default(),
            serial: Arc::default(),
            clock,
        }
    }

    /// Records an event about `object`, in the name of `client`'s controller.
    pub fn record<T: Object>(
        &self,
        client: &Client,
        object: &T,
        event_type: EventType,
        reason: &'static str,
        message: String,
    ) {
        let identity = Identity {
            api_version: T::API_VERSION,
            kind: T::KIND,
            namespace: object.namespace().to_owned(),
            name: object.name().to_owned(),
            uid: object.uid().to_owned(),
            resource_version: object.metadata().resource_version.clone().unwrap_or_default(),
            event_type,
            reason,
            message,
        };
        // `From` in `kubectl describe`: the scheduler goes by its profile's name there, and evictions are the business of a
        // controller of their own.
        let component = match (client.name, reason) {
            ("kube-scheduler", _) => "default-scheduler",
            (_, "TaintManagerEviction") => "taint-eviction-controller",
            (name, _) => name,
        };
        let event = Recorded {
            api: client.api.clone(),
            identity,
            component,
            at: self.clock.now(),
        };
        if self.send.try_send(event).is_err() {
            tracing::debug!(reason, "event dropped");
        }
    }

    /// Writes events until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let Some(mut receive) = self.receive.lock().take() else {
            return;
        };
        let events = futures::stream::poll_fn(|context| receive.poll_recv(context));
        let write = events.for_each_concurrent(Some(PARALLEL.get()), |event| self.write(event));
        tokio::select! {
            () = write => {}
            () = stop.cancelled() => {}
        }
    }

    async fn write(&self, event: Recorded) {
        let resource = resource_of::<Event>();
        let mut known = event.identity.clone();
        known.resource_version.clear();
        let again = {
            let mut seen = self.seen.lock();
            seen.get_mut(&known).map(|s| {
                s.count += 1;
                s.last = event.at;
                (s.name.clone(), s.count)
            })
        };
        let namespace = namespace_of(&event.identity);
        if let Some((name, count)) = again {
            let patch = json!({"count": count, "lastTimestamp": seconds(event.at)});
            let patched = event
                .api
                .patch(resource, namespace, &name, "", PatchKind::Merge, &patch)
                .await;
            if patched.is_ok() {
                return;
            }
        }
        let name = format!("{}.{:x}", event.identity.name, self.unique(event.at));
        let object = event_object(&event, &name);
        let Ok(value) = serde_json::to_value(&object) else {
            return;
        };
        match event.api.create(resource, &value).await {
            Ok(_) => {
                let mut seen = self.seen.lock();
                if seen.len() >= REMEMBERED {
                    // Forgetting only means that a repetition is written as a new event.
                    let oldest = seen.iter().min_by_key(|(_, s)| s.last).map(|(k, _)| k.clone());
                    oldest.map(|k| seen.remove(&k));
                }
                seen.insert(
                    known,
                    Seen {
                        name,
                        last: event.at,
                        count: 1,
                    },
                );
            }
            Err(error) => tracing::debug!(%error, "event not written"),
        }
    }

    /// A number that no other event of this object has: the time, moved on when two fall together.
    fn unique(&self, at: Timestamp) -> u64 {
        let now = u64::try_from(at.as_nanosecond()).unwrap_or_default();
        let next = |last: u64| Some(now.max(last + 1));
        let before = self
            .serial
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        now.max(before.unwrap_or_default() + 1)
    }
}

/// Events about cluster-scoped objects live in `default`.
fn namespace_of(identity: &Identity) -> &str {
    if identity.namespace.is_empty() {
        "default"
    } else {
        &identity.namespace
    }
}

fn event_object(event: &Recorded, name: &str) -> Event {
    let about = &event.identity;
    let text = |s: &str| (!s.is_empty()).then(|| s.to_owned());
    Event {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace_of(about).to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some(about.api_version.to_owned()),
            kind: Some(about.kind.to_owned()),
            name: text(&about.name),
            namespace: text(&about.namespace),
            uid: text(&about.uid),
            resource_version: text(&about.resource_version),
            field_path: None,
        },
        reason: Some(about.reason.to_owned()),
        message: Some(about.message.clone()),
        type_: Some(format!("{:?}", about.event_type)),
        count: Some(1),
        first_timestamp: Some(seconds(event.at)),
        last_timestamp: Some(seconds(event.at)),
        source: Some(EventSource {
            component: Some(event.component.to_owned()),
            host: None,
        }),
        reporting_component: Some(event.component.to_owned()),
        reporting_instance: Some(String::new()),
        ..Event::default()
    }
}
