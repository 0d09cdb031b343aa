//! When that happened which led to a write of endpoints: clients measure by it how long a change takes to reach them.
//!
//! Source: Kubernetes, `TriggerTimeTracker`.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Pod, Service},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use parking_lot::Mutex;

use crate::machinery::{Key, Object, pods};

/// Annotation: when the change was made that led to this write; none for one that nobody's readiness led to.
pub const LAST_CHANGE: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// What every service was like when it was looked at last.
#[derive(Default)]
pub struct Triggers {
    services: Mutex<HashMap<Key, Seen>>,
}

#[derive(Default)]
struct Seen {
    created: Option<Timestamp>,
    /// Since when pods are ready, or are not.
    pods: HashMap<String, Timestamp>,
}

impl Triggers {
    /// The earliest change since the last call for this service; for a new service, its creation.
    pub fn next(&self, service: &Service, pods: &[Arc<Pod>]) -> Option<Timestamp> {
        let created = service.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let since = |pod: &Arc<Pod>| Some((pod.name().to_owned(), pods::ready_since(pod)?));
        let now = Seen {
            created,
            pods: pods.iter().filter_map(since).collect(),
        };
        let mut services = self.services.lock();
        let Some(before) = services.remove(&service.key()) else {
            services.insert(service.key(), now);
            return created;
        };
        let changed = now
            .pods
            .iter()
            .filter(|(name, time)| before.pods.get(*name).is_none_or(|last| last < *time));
        let changed = changed.map(|(_, time)| *time);
        let again = created.filter(|_| before.created < created);
        let earliest = changed.chain(again).min();
        services.insert(service.key(), now);
        earliest
    }

    /// A service that is gone.
    pub fn forget(&self, service: &Key) {
        self.services.lock().remove(service);
    }
}

/// Writes into an object's metadata what led to this write.
pub fn annotate(metadata: &mut ObjectMeta, trigger: Option<Timestamp>) {
    match trigger {
        Some(time) => {
            let annotations = metadata.annotations.get_or_insert_default();
            annotations.insert(
                LAST_CHANGE.into(),
                time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            );
        }
        None => {
            if let Some(annotations) = &mut metadata.annotations {
                annotations.remove(LAST_CHANGE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(created: &str) -> Service {
        serde_json::from_value(
            json!({"metadata": {"namespace": "n", "name": "s", "creationTimestamp": created}}),
        )
        .unwrap()
    }

    fn pod(name: &str, since: &str) -> Arc<Pod> {
        let pod = json!({"metadata": {"namespace": "n", "name": name},
            "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": since}]}});
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn at(time: &str) -> Option<Timestamp> {
        Some(time.parse().unwrap())
    }

    #[test]
    fn the_earliest_of_what_changed_since_the_last_look_is_the_trigger() {
        let [first, second, third, fourth] = [1, 2, 3, 4].map(|n| format!("2026-01-01T00:00:0{n}Z"));
        let triggers = Triggers::default();
        let old = service(&first);
        let pods = [pod("a", &second), pod("b", &second)];
        assert_eq!(triggers.next(&old, &pods), at(&first), "a new service");
        assert_eq!(triggers.next(&old, &pods), None);
        let pods = [pod("a", &fourth), pod("b", &third)];
        assert_eq!(triggers.next(&old, &pods), at(&third));
        assert_eq!(
            triggers.next(&old, &pods[..1]),
            None,
            "a pod that is gone is no trigger"
        );
        assert_eq!(triggers.next(&old, &pods), at(&third), "one that came is");
        let again = service(&fourth);
        assert_eq!(
            triggers.next(&again, &pods),
            at(&fourth),
            "made again under its name"
        );
        triggers.forget(&again.key());
        assert_eq!(triggers.next(&again, &[]), at(&fourth));
    }
}
