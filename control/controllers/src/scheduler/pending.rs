//! Pods that wait for a node.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;

use crate::machinery::Object;

const BACKOFF_START: Duration = Duration::from_secs(1);
const BACKOFF_CAP: Duration = Duration::from_secs(10);
/// A pod that does not fit is tried again after this time even if nothing seems to have changed.
const RETRY: Duration = Duration::from_secs(60);

/// A waiting pod.
struct Waiting {
    pod: Arc<Pod>,
    attempts: u32,
    /// Not before.
    back_off: Instant,
    /// Only after a change, or at this time.
    parked_until: Option<Instant>,
    arrival: u64,
}

/// All of them, by uid.
#[derive(Default)]
pub struct Pending {
    pods: HashMap<String, Waiting>,
    arrivals: u64,
}

impl Pending {
    /// Takes in a pod; one whose spec or labels changed may be tried at once.
    pub fn offer(&mut self, pod: Arc<Pod>, now: Instant) {
        if let Some(known) = self.pods.get_mut(pod.uid()) {
            let same = known.pod.spec == pod.spec && known.pod.labels() == pod.labels();
            known.pod = pod;
            if !same {
                (known.parked_until, known.back_off, known.attempts) = (None, now, 0);
            }
            return;
        }
        self.arrivals += 1;
        let waiting = Waiting {
            attempts: 0,
            back_off: now,
            parked_until: None,
            arrival: self.arrivals,
            pod: pod.clone(),
        };
        self.pods.insert(pod.uid().to_owned(), waiting);
    }

    /// No longer waits.
    pub fn remove(&mut self, uid: &str) {
        self.pods.remove(uid);
    }

    /// Something changed that may let a parked pod fit.
    pub fn wake(&mut self) {
        self.pods.values_mut().for_each(|w| w.parked_until = None);
    }

    /// The pods to try now: by priority, then in order of arrival.
    pub fn due(&self, now: Instant) -> Vec<Arc<Pod>> {
        let mut due = BTreeMap::new();
        for waiting in self.pods.values().filter(|w| w.when() <= now) {
            let priority = waiting.pod.spec.as_ref().and_then(|s| s.priority).unwrap_or(0);
            due.insert(
                (std::cmp::Reverse(priority), waiting.arrival),
                waiting.pod.clone(),
            );
        }
        due.into_values().collect()
    }

    /// When the next pod is due.
    pub fn next(&self) -> Option<Instant> {
        self.pods.values().map(Waiting::when).min()
    }

    /// The pod does not fit anywhere: it waits for a change, and its back-off doubles.
    pub fn park(&mut self, uid: &str, now: Instant) {
        self.delay(uid, now);
        if let Some(waiting) = self.pods.get_mut(uid) {
            waiting.parked_until = Some(now + RETRY);
        }
    }

    /// The attempt failed for another reason: try again after the back-off.
    pub fn delay(&mut self, uid: &str, now: Instant) {
        if let Some(waiting) = self.pods.get_mut(uid) {
            let delay = BACKOFF_START
                .saturating_mul(1 << waiting.attempts.min(8))
                .min(BACKOFF_CAP);
            waiting.attempts += 1;
            waiting.back_off = now + delay;
        }
    }
}

impl Waiting {
    fn when(&self) -> Instant {
        self.parked_until
            .map_or(self.back_off, |until| until.max(self.back_off))
    }
}
