//! Watches over HTTP: one frame per change, bookmarks in between.
//!
//! A frame is made once, and its bytes are shared by all who watch in the same form (`frames.rs`). A watcher has no more of its own
//! than a few references to what is shared, also when its client is slow.

mod frames;

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::Stream;
use serde_json::Value;
use skiff_resources::Resource;
use skiff_store::{Entry, Event, Range, Revision};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use frames::FrameKey;
pub(crate) use frames::Frames;

use crate::{
    registry::{Registry, narrowed},
    request::{protobuf, query::ListOptions},
    selector::Selector,
    status::Status,
    table::View,
};

/// How often a client hears how far it has come. Kubernetes: a minute.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// A watch without a timeout ends after one to two of these, so that clients spread. Kubernetes: 30 minutes.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1800);
/// Initial events are sent in pieces of about this size.
const PIECE: usize = 64 << 10;

/// What to watch.
pub(crate) struct Request {
    pub(crate) resource: &'static Resource,
    pub(crate) namespace: String,
    pub(crate) options: ListOptions,
    pub(crate) view: View,
    /// Frames in protobuf, else lines of JSON.
    pub(crate) protobuf: bool,
}

struct Running {
    registry: Registry,
    resource: &'static Resource,
    selector: Selector,
    view: View,
    protobuf: bool,
    bookmarks: bool,
    headers_sent: bool,
    initial: std::vec::IntoIter<Entry>,
    /// Bookmark to send when `initial` is empty.
    initial_end: Option<Revision>,
    watch: Option<skiff_store::Watch>,
    /// Changes that were read and not sent yet.
    pending: std::vec::IntoIter<Event>,
    deadline: Instant,
    next_bookmark: Instant,
    stop: CancellationToken,
    ended: bool,
    _count: crate::metrics::Running,
}

/// Starts a watch. Its frames end with the timeout, with an `ERROR` frame, or when the server stops.
///
/// # Errors
/// 400 for selectors that can't be read, 504 for a revision that lies ahead. A revision that is too old is an
/// `ERROR` frame, as in Kubernetes.
pub(crate) async fn start(
    registry: &Registry,
    request: Request,
    stop: CancellationToken,
) -> Result<impl Stream<Item = Bytes> + Send + use<>, Status> {
    let Request {
        resource,
        namespace,
        options,
        view,
        protobuf,
    } = request;
    let selector = Selector::parse(&options.label_selector, &options.field_selector, resource)?;
    let send_all = match options.send_initial_events {
        Some(wanted) => wanted,
        None => matches!(options.resource_version, None | Some(0)),
    };
    registry.fresh(options.resource_version).await?;
    let prefix = narrowed(resource, &namespace, &selector);
    let mut initial = Vec::new();
    let after = if send_all {
        let page = registry.store().range(&Range {
            prefix: prefix.clone(),
            ..Range::default()
        })?;
        initial = page.entries;
        page.revision
    } else {
        match options.resource_version {
            Some(revision) if revision > 0 => revision,
            _ => registry.store().revision(),
        }
    };
    let timeout = match options.timeout_seconds {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds),
        _ => DEFAULT_TIMEOUT.mul_f64(1.0 + rand::random::<f64>()),
    };
    let now = Instant::now();
    let mut running = Running {
        registry: registry.clone(),
        resource,
        selector,
        view,
        protobuf,
        bookmarks: options.bookmarks,
        headers_sent: false,
        initial: initial.into_iter(),
        initial_end: (options.send_initial_events == Some(true) && options.bookmarks).then_some(after),
        watch: None,
        pending: Vec::new().into_iter(),
        deadline: now + timeout,
        next_bookmark: now + BOOKMARK_EVERY.mul_f64(0.9 + 0.2 * rand::random::<f64>()),
        stop,
        ended: false,
        _count: registry.metrics().watch_started(resource),
    };
    let mut first = None;
    match registry.store().watch(&prefix, after) {
        Ok(watch) => running.watch = Some(watch),
        Err(error) => first = Some(error_frame(protobuf, &error.into())),
    }
    Ok(futures::stream::unfold(
        (running, first),
        |(mut running, first)| async move {
            if let Some(frame) = first {
                running.ended = true;
                return Some((frame, (running, None)));
            }
            let frame = running.next().await?;
            Some((frame, (running, None)))
        },
    ))
}

impl Running {
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        if let Some(piece) = self.next_initial() {
            return Some(piece);
        }
        loop {
            while let Some(event) = self.pending.next() {
                match self.frame(&event) {
                    Ok(Some(frame)) => return Some(frame),
                    Ok(None) => {}
                    Err(status) => {
                        tracing::error!(%status, "a stored object can't be read");
                        self.ended = true;
                        return Some(error_frame(self.protobuf, &status));
                    }
                }
            }
            let watch = self.watch.as_mut()?;
            let wake = if self.bookmarks {
                self.deadline.min(self.next_bookmark)
            } else {
                self.deadline
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                events = watch.next() => match events {
                    Ok(events) => self.pending = events.into_iter(),
                    Err(skiff_store::Error::Closed(_)) => return None,
                    Err(error) => {
                        self.ended = true;
                        return Some(error_frame(self.protobuf, &error.into()));
                    }
                },
                () = tokio::time::sleep_until(wake) => {
                    let now = Instant::now();
                    self.ended = now >= self.deadline;
                    if !self.bookmarks {
                        return None;
                    }
                    self.next_bookmark = now + BOOKMARK_EVERY;
                    return Some(self.bookmark(watch_progress(self.watch.as_ref()), false));
                }
            }
        }
    }

    fn next_initial(&mut self) -> Option<Bytes> {
        let mut out = BytesMut::new();
        while out.len() < PIECE {
            let Some(entry) = self.initial.next() else { break };
            let codec = &self.registry.inner.parts.codec;
            let Ok(bytes) = codec.bytes(self.resource, &entry, entry.mod_revision) else {
                continue;
            };
            let parsed = || self.registry.parse(&entry).unwrap_or_default();
            if self.selector.matches(self.resource, &bytes, parsed) {
                let value = || (*parsed()).clone();
                let object = self.view.object(self.resource, &bytes, value, !self.headers_sent);
                self.headers_sent = true;
                push_frame(self.protobuf, &mut out, "ADDED", &object);
            }
        }
        if self.initial.len() == 0
            && let Some(revision) = self.initial_end.take()
        {
            out.extend_from_slice(&self.bookmark(revision, true));
        }
        (!out.is_empty()).then(|| out.freeze())
    }

    fn bookmark(&self, revision: Revision, initial_end: bool) -> Bytes {
        let object = self.view.bookmark(self.resource, revision, initial_end);
        make_frame(self.protobuf, "BOOKMARK", object.to_string().as_bytes())
    }

    /// What a client with this selector sees of a change, if anything.
    fn frame(&mut self, event: &Event) -> Result<Option<Bytes>, Status> {
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
                let Some(entry) = before else { return Ok(None) };
                let mut value = (*codec.value(entry, entry.mod_revision)?).clone();
                value["metadata"]["resourceVersion"] = event.revision.to_string().into();
                (
                    "DELETED",
                    crate::registry::wire(self.resource, value.clone()),
                    Some(Arc::new(value)),
                )
            }
            (false, false) => return Ok(None),
        };
        // Only what left the selection is an object of this watcher alone.
        if self.view.is_plain() && value.is_none() {
            let key = FrameKey::new(self.resource, self.protobuf, kind, event);
            let frames = &self.registry.inner.parts.frames;
            return Ok(Some(frames.get(key, || make_frame(self.protobuf, kind, &bytes))));
        }
        let parsed = || (*value.unwrap_or_else(parse_now)).clone();
        let object = self
            .view
            .object(self.resource, &bytes, parsed, !self.headers_sent);
        self.headers_sent = true;
        Ok(Some(make_frame(self.protobuf, kind, &object)))
    }
}

fn watch_progress(watch: Option<&skiff_store::Watch>) -> Revision {
    watch.map_or(0, skiff_store::Watch::progress)
}

fn make_frame(protobuf: bool, kind: &str, object: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    push_frame(protobuf, &mut out, kind, object);
    out.freeze()
}

/// Appends a frame with an object that is JSON here.
fn push_frame(protobuf: bool, out: &mut BytesMut, kind: &str, object: &[u8]) {
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

fn error_frame(protobuf: bool, status: &Status) -> Bytes {
    make_frame(protobuf, "ERROR", &status.to_bytes())
}
