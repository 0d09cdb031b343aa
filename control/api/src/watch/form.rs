//! How one watcher sees changes: selected, in some view, in JSON or protobuf.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use skiff_resources::Resource;
use skiff_store::{Entry, Event, Revision};

use super::shared::{FeedKey, FrameKey};
use crate::{
    registry::Registry,
    request::{protobuf, query::ListOptions},
    selector::Selector,
    status::Status,
    table::View,
};

/// The form of a watch's frames.
pub(super) struct Form {
    registry: Registry,
    resource: &'static Resource,
    selector: Selector,
    view: View,
    /// Frames in protobuf, else lines of JSON.
    protobuf: bool,
    /// A table has its column definitions in its first frame.
    headers_sent: bool,
}

impl Form {
    pub(super) fn new(
        registry: Registry,
        resource: &'static Resource,
        selector: Selector,
        view: View,
        protobuf: bool,
    ) -> Self {
        Self {
            registry,
            resource,
            selector,
            view,
            protobuf,
            headers_sent: false,
        }
    }

    /// The feed of everybody who sees the same, if others can: tables have ages in them.
    pub(super) fn feed(&self, prefix: &Bytes, options: &ListOptions) -> Option<FeedKey> {
        self.view.is_plain().then(|| FeedKey {
            resource: self.row(),
            protobuf: self.protobuf,
            prefix: prefix.clone(),
            labels: options.label_selector.clone(),
            fields: options.field_selector.clone(),
        })
    }

    fn row(&self) -> usize {
        std::ptr::from_ref(self.resource).addr()
    }

    /// Appends what is to be seen of an object that is there at the beginning.
    pub(super) fn initial(&mut self, out: &mut BytesMut, entry: &Entry) {
        let codec = &self.registry.inner.parts.codec;
        let Ok(bytes) = codec.bytes(self.resource, entry, entry.mod_revision) else {
            return;
        };
        let parsed = || self.registry.parse(entry).unwrap_or_default();
        if self.selector.matches(self.resource, &bytes, parsed) {
            let value = || (*parsed()).clone();
            let object = self.view.object(self.resource, &bytes, value, !self.headers_sent);
            self.headers_sent = true;
            self.frame(out, "ADDED", &object);
        }
    }

    /// Appends what is to be seen of a change, if anything.
    ///
    /// # Errors
    /// When a stored object can't be read.
    pub(super) fn change(&mut self, out: &mut BytesMut, event: &Event) -> Result<(), Status> {
        let codec = &self.registry.inner.parts.codec;
        let now = codec.bytes(self.resource, &event.entry, event.revision)?;
        let parse_now = || codec.value(&event.entry, event.revision).unwrap_or_default();
        let before = event.previous.as_ref();
        let (is, was) = if self.selector.is_empty() {
            (!event.deleted, before.is_some())
        } else {
            let is = !event.deleted && self.selector.matches(self.resource, &now, parse_now);
            let was = match before {
                Some(entry) => {
                    let bytes = codec.bytes(self.resource, entry, entry.mod_revision)?;
                    let parsed = || codec.value(entry, entry.mod_revision).unwrap_or_default();
                    self.selector.matches(self.resource, &bytes, parsed)
                }
                None => false,
            };
            (is, was)
        };
        let (kind, bytes, value): (_, Bytes, Option<Arc<Value>>) = match (is, was) {
            (true, false) => ("ADDED", now, None),
            (true, true) => ("MODIFIED", now, None),
            (false, true) if event.deleted => ("DELETED", now, None),
            (false, true) => {
                // It left the selection: the last state that was in it, at the revision of the change.
                let Some(entry) = before else { return Ok(()) };
                let mut value = (*codec.value(entry, entry.mod_revision)?).clone();
                value["metadata"]["resourceVersion"] = event.revision.to_string().into();
                (
                    "DELETED",
                    crate::registry::wire(self.resource, value.clone()),
                    Some(Arc::new(value)),
                )
            }
            (false, false) => return Ok(()),
        };
        if self.protobuf && self.view.is_plain() && value.is_none() {
            // Feeds with other selectors or prefixes see the same; what left the selection is this feed's alone.
            let key = FrameKey {
                resource: self.row(),
                kind,
                revision: event.revision,
                key: event.entry.key.clone(),
            };
            let frame = self
                .registry
                .inner
                .parts
                .watches
                .frame(key, || frame(true, kind, &bytes));
            out.extend_from_slice(&frame);
            return Ok(());
        }
        let parsed = || (*value.unwrap_or_else(parse_now)).clone();
        let object = self
            .view
            .object(self.resource, &bytes, parsed, !self.headers_sent);
        self.headers_sent = true;
        self.frame(out, kind, &object);
        Ok(())
    }

    /// How far this watcher has come.
    pub(super) fn bookmark(&self, revision: Revision, initial_end: bool) -> Bytes {
        let object = self.view.bookmark(self.resource, revision, initial_end);
        frame(self.protobuf, "BOOKMARK", object.to_string().as_bytes())
    }

    /// The last frame of a watch that can't go on.
    pub(super) fn error(&self, status: &Status) -> Bytes {
        frame(self.protobuf, "ERROR", &status.to_bytes())
    }

    fn frame(&self, out: &mut BytesMut, kind: &str, object: &[u8]) {
        append_frame(self.protobuf, out, kind, object);
    }
}

fn frame(protobuf: bool, kind: &str, object: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    append_frame(protobuf, &mut out, kind, object);
    out.freeze()
}

/// Appends a frame with an object that is JSON here.
fn append_frame(protobuf: bool, out: &mut BytesMut, kind: &str, object: &[u8]) {
    if protobuf {
        let value = serde_json::from_slice(object).unwrap_or_default();
        let frame = protobuf::frame(kind, &value).or_else(|error| {
            tracing::error!(%error, "a stored object has no protobuf form");
            protobuf::frame("ERROR", &Status::internal(error).to_value())
        });
        out.extend_from_slice(&frame.unwrap_or_default());
        return;
    }
    out.reserve(object.len() + 40);
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    out.extend_from_slice(object);
    out.extend_from_slice(b"}\n");
}
