//! Events: what people read in `kubectl describe`. Equal ones are counted, not repeated. Best effort: an event that
//! can't be written is dropped.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Event, EventSource, Node, ObjectReference, Pod, Service},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::sync::mpsc;
use tracing::debug;

/// As Kubernetes' node agent calls itself: tools filter on it.
const COMPONENT: &str = "kubelet";

/// Events remembered for counting.
const REMEMBERED: usize = 512;

/// Where events are handed in. Cheap to clone; never blocks.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    sender: mpsc::Sender<Happened>,
}

#[derive(Debug)]
struct Happened {
    about: ObjectReference,
    warning: bool,
    reason: String,
    message: String,
    at: Timestamp,
}

impl Recorder {
    /// Starts the writer. Needs a running tokio runtime.
    pub fn start(client: Client, node: String) -> Self {
        let (sender, receiver) = mpsc::channel(256);
        tokio::spawn(write(client, node, receiver));
        Self { sender }
    }

    /// Something about a pod or, with `container`, about a part of it (`spec.containers{web}`).
    pub fn pod(&self, pod: &Pod, field: Option<String>, warning: bool, reason: &str, message: String) {
        let about = ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Pod".into()),
            name: pod.metadata.name.clone(),
            namespace: pod.metadata.namespace.clone(),
            uid: pod.metadata.uid.clone(),
            resource_version: pod.metadata.resource_version.clone(),
            field_path: field,
        };
        self.happened(about, warning, reason, message);
    }

    /// Something about a service.
    pub fn service(&self, service: &Service, warning: bool, reason: &str, message: String) {
        let about = ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Service".into()),
            name: service.metadata.name.clone(),
            namespace: service.metadata.namespace.clone(),
            uid: service.metadata.uid.clone(),
            ..ObjectReference::default()
        };
        self.happened(about, warning, reason, message);
    }

    /// Something about the node.
    pub fn node(&self, node: &Node, warning: bool, reason: &str, message: String) {
        let about = ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Node".into()),
            name: node.metadata.name.clone(),
            uid: node.metadata.uid.clone(),
            ..ObjectReference::default()
        };
        self.happened(about, warning, reason, message);
    }

    fn happened(&self, about: ObjectReference, warning: bool, reason: &str, message: String) {
        let event = Happened {
            about,
            warning,
            reason: reason.into(),
            message,
            at: Timestamp::now(),
        };
        if self.sender.try_send(event).is_err() {
            debug!(reason, "event dropped");
        }
    }
}

type Key = (Option<String>, Option<String>, String, String);

async fn write(client: Client, node: String, mut events: mpsc::Receiver<Happened>) {
    let mut known: HashMap<Key, (String, i32)> = HashMap::new();
    while let Some(event) = events.recv().await {
        let namespace = event.about.namespace.clone().unwrap_or_else(|| "default".into());
        let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
        let key = (
            event.about.uid.clone(),
            event.about.field_path.clone(),
            event.reason.clone(),
            event.message.clone(),
        );
        if let Some((name, count)) = known.get_mut(&key) {
            let body = json!({ "count": *count + 1, "lastTimestamp": Time(event.at) });
            if api
                .patch(name, &PatchParams::default(), &Patch::Merge(body))
                .await
                .is_ok()
            {
                *count += 1;
                continue;
            }
        }
        let name = format!(
            "{}.{:x}{:04x}",
            event.about.name.as_deref().unwrap_or_default(),
            event.at.as_nanosecond(),
            rand::random::<u16>()
        );
        let object = Event {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: Some(namespace),
                ..ObjectMeta::default()
            },
            involved_object: event.about,
            type_: Some(if event.warning { "Warning" } else { "Normal" }.into()),
            reason: Some(event.reason),
            message: Some(event.message.chars().take(1024).collect()),
            first_timestamp: Some(Time(event.at)),
            last_timestamp: Some(Time(event.at)),
            count: Some(1),
            source: Some(EventSource {
                component: Some(COMPONENT.into()),
                host: Some(node.clone()),
            }),
            reporting_component: Some(COMPONENT.into()),
            reporting_instance: Some(node.clone()),
            ..Event::default()
        };
        match api.create(&PostParams::default(), &object).await {
            Ok(_) => {
                if known.len() >= REMEMBERED {
                    known.clear();
                }
                known.insert(key, (name, 1));
            }
            Err(error) => debug!(%error, "write an event"),
        }
    }
}
