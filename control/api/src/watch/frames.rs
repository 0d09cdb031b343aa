//! The frames of the latest changes. The first watcher that wants one makes it, the others get the same bytes.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use parking_lot::Mutex;
use skiff_resources::Resource;
use skiff_store::{Event, Revision};

/// Enough for a third of a second of a thousand changes of pods: whoever is later than that makes its own.
const MOST_BYTES: usize = 512 << 10;

/// Which frame of which change.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct FrameKey {
    /// Address of the row: versions of a kind have different bytes.
    resource: usize,
    protobuf: bool,
    kind: &'static str,
    revision: Revision,
    key: Bytes,
}

impl FrameKey {
    pub(super) fn new(
        resource: &'static Resource,
        protobuf: bool,
        kind: &'static str,
        event: &Event,
    ) -> Self {
        Self {
            resource: std::ptr::from_ref(resource).addr(),
            protobuf,
            kind,
            revision: event.revision,
            key: event.entry.key.clone(),
        }
    }
}

/// Shared by all watches.
#[derive(Default)]
pub(crate) struct Frames(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    known: HashMap<FrameKey, Bytes>,
    order: VecDeque<FrameKey>,
    bytes: usize,
}

impl Frames {
    /// The frame, made now if it is not known.
    pub(super) fn get(&self, key: FrameKey, make: impl FnOnce() -> Bytes) -> Bytes {
        if let Some(known) = self.0.lock().known.get(&key) {
            return known.clone();
        }
        // Without the lock: two may make the same at once, others do not wait for it.
        let frame = make();
        let mut inner = self.0.lock();
        if let Some(known) = inner.known.get(&key) {
            return known.clone();
        }
        inner.bytes += frame.len();
        inner.known.insert(key.clone(), frame.clone());
        inner.order.push_back(key);
        while inner.bytes > MOST_BYTES
            && let Some(oldest) = inner.order.pop_front()
        {
            let gone = inner.known.remove(&oldest).map_or(0, |frame| frame.len());
            inner.bytes -= gone;
        }
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(revision: Revision, kind: &'static str) -> FrameKey {
        FrameKey {
            resource: 1,
            protobuf: true,
            kind,
            revision,
            key: Bytes::from_static(b"/registry/core/pods/ns/a"),
        }
    }

    #[test]
    fn a_frame_is_made_once_and_forgotten_in_turn() {
        let frames = Frames::default();
        let made = std::cell::Cell::new(0);
        let get = |revision, kind| {
            frames.get(key(revision, kind), || {
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
        for revision in 2..1000 {
            get(revision, "ADDED");
        }
        let inner = frames.0.lock();
        assert!(inner.bytes <= MOST_BYTES && inner.known.len() == inner.order.len());
        assert_eq!(inner.bytes, inner.known.len() << 10);
        drop(inner);
        let before = made.get();
        get(999, "ADDED");
        assert_eq!(made.get(), before);
        get(1, "ADDED");
        assert_eq!(made.get(), before + 1);
    }
}
