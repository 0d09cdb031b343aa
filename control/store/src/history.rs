//! The recent changes, oldest first, shared by all watchers and by reads at older revisions.
//!
//! Invariant: every change with a revision in `(floor, now]` is here; so the state at any revision `r >= floor` can
//! be had by undoing the changes after `r`, and a watcher that has seen everything up to `r >= floor` misses nothing.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::{Entry, Event, Revision};

/// What an event weighs beside its bytes.
const EVENT_OVERHEAD: usize = 224;

#[derive(Default)]
pub(crate) struct History {
    events: VecDeque<Event>,
    bytes: usize,
    /// The oldest revision that can be read or watched from.
    pub floor: Revision,
}

impl History {
    pub fn new(floor: Revision) -> Self {
        Self {
            floor,
            ..Self::default()
        }
    }

    pub fn push(&mut self, event: Event) {
        self.bytes += weight(&event);
        self.events.push_back(event);
    }

    /// Forgets whole revisions from the old end until the bounds hold; `forgotten` gets every change that goes.
    pub fn trim(&mut self, now: Revision, revisions: u64, bytes: usize, mut forgotten: impl FnMut(&Event)) {
        while let Some(oldest) = self.events.front().map(|event| event.revision) {
            if self.bytes <= bytes && now - self.floor <= revisions {
                return;
            }
            while let Some(event) = self.events.pop_front_if(|event| event.revision == oldest) {
                self.bytes -= weight(&event);
                forgotten(&event);
            }
            self.floor = oldest;
        }
    }

    /// The changes with a revision greater than `revision`, in order.
    pub fn after(&self, revision: Revision) -> impl Iterator<Item = &Event> {
        let from = self.events.partition_point(|event| event.revision <= revision);
        self.events.range(from..)
    }

    /// For every key with the prefix that changed after `revision`: what it was then.
    pub fn undo(&self, revision: Revision, prefix: &[u8]) -> HashMap<&Bytes, Option<&Entry>> {
        let mut then = HashMap::new();
        for event in self
            .after(revision)
            .filter(|event| event.entry.key.starts_with(prefix))
        {
            then.entry(&event.entry.key).or_insert(event.previous.as_ref());
        }
        then
    }

    /// The newest events that weigh at most `bytes`, in order, and the floor that they allow.
    pub fn tail(&self, bytes: usize) -> (Revision, Vec<Event>) {
        let (mut weighs, mut floor) = (0, self.floor);
        let mut from = self.events.len();
        for (at, event) in self.events.iter().enumerate().rev() {
            weighs += weight(event);
            if weighs > bytes {
                floor = event.revision;
                break;
            }
            from = at;
        }
        // A revision that is only half there goes as a whole.
        let tail = self
            .events
            .range(from..)
            .filter(|event| event.revision > floor)
            .cloned()
            .collect();
        (floor, tail)
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Counts the previous value too: it lives as long as the event does.
fn weight(event: &Event) -> usize {
    let previous = event.previous.as_ref().map_or(0, |entry| entry.value.len());
    event.entry.key.len() + event.entry.value.len() + previous + EVENT_OVERHEAD
}
