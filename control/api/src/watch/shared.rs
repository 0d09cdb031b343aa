//! What watchers share: those who see the same take the same bytes.
//!
//! A **feed** is all who watch the same prefix with the same selectors in the same form. What a feed sees of the changes after a revision
//! is a **span**: the first of its watchers that wants it makes it, the others get the same bytes. They are told of changes
//! in rounds, so that their positions are the same. The youngest spans are kept.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use skiff_store::Revision;

/// Spans are kept up to so many bytes: a third of a second of a thousand changes of pods. Whoever is later makes its own.
const SPANS: usize = 1 << 20;
/// Frames in protobuf, which several feeds may want of one change.
const FRAMES: usize = 256 << 10;
/// What an item weighs beside its bytes.
const OVERHEAD: usize = 128;

/// What all watchers of a feed have in common.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct FeedKey {
    /// Address of the row: versions of a kind have different bytes.
    pub(super) resource: usize,
    pub(super) protobuf: bool,
    pub(super) prefix: Bytes,
    pub(super) labels: String,
    pub(super) fields: String,
}

/// A feed that has watchers.
pub(super) struct Feed(u64);

/// The frames of the changes in `(from, until]`, where `from` is the key.
#[derive(Clone)]
pub(super) struct Span {
    pub(super) until: Revision,
    pub(super) frames: Bytes,
}

/// Which frame of which change.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct FrameKey {
    /// Address of the row.
    pub(super) resource: usize,
    pub(super) kind: &'static str,
    pub(super) revision: Revision,
    pub(super) key: Bytes,
}

/// Shared by all watches.
pub(crate) struct Shared {
    feeds: Mutex<HashMap<FeedKey, Weak<Feed>>>,
    next_feed: AtomicU64,
    spans: Mutex<Recent<(u64, Revision), Span>>,
    frames: Mutex<Recent<FrameKey, Bytes>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            feeds: Mutex::default(),
            next_feed: AtomicU64::new(0),
            spans: Mutex::new(Recent::new(SPANS)),
            frames: Mutex::new(Recent::new(FRAMES)),
        }
    }
}

impl Shared {
    /// For a new watcher: the feed it belongs to.
    pub(super) fn join(&self, key: FeedKey) -> Arc<Feed> {
        let mut feeds = self.feeds.lock();
        if let Some(feed) = feeds.get(&key).and_then(Weak::upgrade) {
            return feed;
        }
        if feeds.len() == feeds.capacity() {
            feeds.retain(|_, feed| feed.strong_count() > 0);
        }
        let feed = Arc::new(Feed(self.next_feed.fetch_add(1, Ordering::Relaxed)));
        feeds.insert(key, Arc::downgrade(&feed));
        feed
    }

    /// What the feed sees after `from`, if somebody made it.
    pub(super) fn span(&self, feed: &Arc<Feed>, from: Revision) -> Option<Span> {
        self.spans.lock().get(&(feed.0, from))
    }

    /// Keeps a span for the other watchers of the feed, if it has any.
    pub(super) fn keep(&self, feed: &Arc<Feed>, from: Revision, span: &Span) {
        if Arc::strong_count(feed) > 1 {
            let weight = span.frames.len();
            self.spans.lock().put((feed.0, from), span.clone(), weight);
        }
    }

    /// The frame of a change, made now if it is not known.
    pub(super) fn frame(&self, key: FrameKey, make: impl FnOnce() -> Bytes) -> Bytes {
        if let Some(known) = self.frames.lock().get(&key) {
            return known;
        }
        // Without the lock: two may make the same at once, others do not wait for it.
        let frame = make();
        self.frames.lock().put(key, frame.clone(), frame.len());
        frame
    }
}

/// The youngest items, up to a weight.
struct Recent<K, V> {
    known: HashMap<K, (V, usize)>,
    order: VecDeque<K>,
    weight: usize,
    most: usize,
}

impl<K: Clone + Eq + Hash, V: Clone> Recent<K, V> {
    fn new(most: usize) -> Self {
        Self {
            known: HashMap::new(),
            order: VecDeque::new(),
            weight: 0,
            most,
        }
    }

    fn get(&self, key: &K) -> Option<V> {
        self.known.get(key).map(|(value, _)| value.clone())
    }

    /// Adds an item that weighs `bytes` and some; one that is there already stays.
    fn put(&mut self, key: K, value: V, bytes: usize) {
        if self.known.contains_key(&key) {
            return;
        }
        let weight = bytes + OVERHEAD;
        self.weight += weight;
        self.known.insert(key.clone(), (value, weight));
        self.order.push_back(key);
        while self.weight > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.weight -= self.known.remove(&oldest).map_or(0, |(_, weight)| weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(prefix: &'static [u8]) -> FeedKey {
        FeedKey {
            resource: 1,
            protobuf: false,
            prefix: Bytes::from_static(prefix),
            labels: "a=b".into(),
            fields: String::new(),
        }
    }

    fn span(until: Revision, bytes: usize) -> Span {
        let frames = vec![0; bytes].into();
        Span { until, frames }
    }

    #[test]
    fn who_watches_the_same_is_in_one_feed_as_long_as_somebody_does() {
        let shared = Shared::default();
        let (one, two) = (shared.join(key(b"/a/")), shared.join(key(b"/a/")));
        assert!(Arc::ptr_eq(&one, &two));
        let other = shared.join(key(b"/b/"));
        assert_ne!(one.0, other.0);
        let former = one.0;
        drop((one, two));
        assert_ne!(shared.join(key(b"/a/")).0, former);
        for number in 0..1000u32 {
            shared.join(FeedKey {
                labels: number.to_string(),
                ..key(b"/a/")
            });
        }
        assert!(
            shared.feeds.lock().len() < 100,
            "those without watchers are forgotten"
        );
    }

    #[test]
    fn a_span_is_kept_for_the_feed_it_was_made_for_only() {
        let shared = Shared::default();
        let feed = shared.join(key(b"/a/"));
        shared.keep(&feed, 7, &span(9, 10));
        assert!(shared.span(&feed, 7).is_none(), "nobody else would take it");
        let (_second, other) = (shared.join(key(b"/a/")), shared.join(key(b"/b/")));
        shared.keep(&feed, 7, &span(9, 10));
        // Somebody who read further at the same time: who took the first one is not contradicted.
        shared.keep(&feed, 7, &span(11, 20));
        assert_eq!(shared.span(&feed, 7).map(|span| span.until), Some(9));
        assert!(shared.span(&feed, 8).is_none());
        assert!(shared.span(&other, 7).is_none());
    }

    #[test]
    fn the_youngest_are_kept_up_to_a_weight() {
        let mut recent = Recent::new(10 << 10);
        for number in 0..100 {
            recent.put(number, number, 1 << 10);
            assert_eq!(recent.get(&number), Some(number));
        }
        assert!(recent.weight <= 10 << 10 && recent.known.len() == recent.order.len());
        assert_eq!(recent.weight, recent.known.len() * ((1 << 10) + OVERHEAD));
        assert_eq!((recent.get(&99), recent.get(&0)), (Some(99), None));
    }

    #[test]
    fn a_frame_is_made_once() {
        let shared = Shared::default();
        let made = std::cell::Cell::new(0);
        let get = |revision, kind| {
            let key = FrameKey {
                resource: 1,
                kind,
                revision,
                key: Bytes::from_static(b"/registry/core/pods/ns/a"),
            };
            shared.frame(key, || {
                made.set(made.get() + 1);
                Bytes::from(vec![0; 1 << 10])
            })
        };
        let first = get(1, "ADDED");
        assert!(std::ptr::eq(first.as_ptr(), get(1, "ADDED").as_ptr()));
        assert_eq!(made.get(), 1);
        // Who sees another change of it, as when its selection differs, has another one.
        get(1, "MODIFIED");
        assert_eq!(made.get(), 2);
    }
}
