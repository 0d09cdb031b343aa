//! What really happened, by revision, and the checks against it.
//!
//! Every write returns its revision and every read is of one, so the order of revisions is the witness that
//! linearizability asks for, and no search for an order is needed (as Wing and Gong's would be). It is one if
//! 1. all members apply the same change at each revision, each revision once, none left out ([`Truth::applied`]),
//! 2. each answer is what the state at its revision gives, and no proposal has two revisions,
//! 3. an operation's revision lies between what was known before it began and what there is when it ends ([`Truth::known`]).

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use crate::{Entry, Event, Revision, state::State};

/// A key at one revision; `None`: not there.
type Version = (Revision, Option<Entry>);

#[derive(Default)]
pub struct Truth {
    /// The changes of revision 2 and later.
    changes: Vec<Vec<Event>>,
    keys: BTreeMap<Bytes, Vec<Version>>,
    /// The revision that each written text came in at.
    texts: HashMap<Bytes, Revision>,
    /// The newest revision that somebody was answered with.
    pub known: Revision,
}

/// The part of a value that no other write has: up to the revision that is spliced in.
fn text(value: &Bytes) -> Bytes {
    let end = value.iter().position(|&byte| byte == b'@').unwrap_or(value.len());
    value.slice(..end)
}

fn same(a: &Event, b: &Event) -> bool {
    (a.revision, &a.entry, &a.previous, a.deleted) == (b.revision, &b.entry, &b.previous, b.deleted)
}

impl Truth {
    pub fn now(&self) -> Revision {
        self.changes.len() as Revision + 1
    }

    pub fn at(&self, revision: Revision) -> &[Event] {
        revision
            .checked_sub(2)
            .and_then(|at| self.changes.get(at as usize))
            .map_or(&[], Vec::as_slice)
    }

    /// A member has applied these changes, all those of their revisions; `after` is the revision it had before.
    pub fn applied(&mut self, member: u64, after: Revision, events: &[Event]) {
        let batches = events.chunk_by(|a, b| a.revision == b.revision);
        for (expected, batch) in (after + 1..).zip(batches) {
            let revision = batch[0].revision;
            assert_eq!(
                revision, expected,
                "member {member} left out a revision, or repeats one"
            );
            if revision <= self.now() {
                let known = self.at(revision);
                assert!(
                    known.len() == batch.len() && known.iter().zip(batch).all(|(a, b)| same(a, b)),
                    "member {member} applied something else at {revision}: {batch:?}, not {known:?}"
                );
                continue;
            }
            assert_eq!(
                revision,
                self.now() + 1,
                "member {member} is ahead of what anybody applied"
            );
            for event in batch {
                let key = &event.entry.key;
                if !event.deleted {
                    let before = self.texts.insert(text(&event.entry.value), revision);
                    assert!(
                        before.is_none_or(|before| before == revision),
                        "a proposal was applied at {before:?} and again at {revision}"
                    );
                }
                let now = (!event.deleted).then(|| event.entry.clone());
                self.keys.entry(key.clone()).or_default().push((revision, now));
            }
            self.changes.push(batch.to_vec());
        }
    }

    /// A key as it was at a revision.
    pub fn version(&self, key: &[u8], revision: Revision) -> Option<&Entry> {
        let versions = self.keys.get(key)?;
        let upto = versions.partition_point(|(at, _)| *at <= revision);
        versions[..upto].last()?.1.as_ref()
    }

    /// Whether a key was in this state at some moment from `low` on.
    pub fn was(&self, key: &[u8], state: Option<&Entry>, low: Revision) -> bool {
        let changes = self.keys.get(key).into_iter().flatten();
        let later = changes
            .filter(|(at, _)| *at > low)
            .any(|(_, then)| then.as_ref() == state);
        later || self.version(key, low) == state
    }

    /// A member's whole state is that of its revision.
    pub fn check_state(&self, member: u64, state: &State) {
        let revision = state.revision;
        assert!(
            revision <= self.now(),
            "member {member} is at {revision}, which nobody applied"
        );
        let mut count = 0;
        for key in self.keys.keys() {
            let expected = self.version(key, revision);
            assert_eq!(
                state.map.get(key),
                expected,
                "member {member}, {key:?} at {revision}"
            );
            count += usize::from(expected.is_some());
        }
        assert_eq!(
            state.map.len(),
            count,
            "member {member} has keys that nobody wrote"
        );
        let bytes: usize = state
            .map
            .iter()
            .map(|entry| entry.key.len() + entry.value.len())
            .sum();
        assert_eq!(state.live_bytes, bytes, "member {member} counts its bytes wrong");
    }

    /// What a watcher of `prefix` that has seen everything up to `after` must see up to `upto`.
    pub fn watched(&self, prefix: &[u8], after: Revision, upto: Revision) -> Vec<&Event> {
        (after + 1..=upto)
            .flat_map(|revision| self.at(revision))
            .filter(|event| event.entry.key.starts_with(prefix))
            .collect()
    }

    /// A watcher got `events`, having seen everything up to `after`; returns up to where it has now.
    pub fn delivered(&self, prefix: &[u8], after: Revision, events: &[Event]) -> Revision {
        let Some(last) = events.last() else { return after };
        let expected = self.watched(prefix, after, last.revision);
        assert!(
            expected.len() == events.len() && expected.iter().zip(events).all(|(a, b)| same(a, b)),
            "a watcher of {prefix:?} after {after} got {events:?}, not {expected:?}"
        );
        last.revision
    }
}
