//! Watches over HTTP: one frame per change, bookmarks in between.
//!
//! What is new is sent in one piece, whose bytes are shared by all who watch the same (`shared.rs`). A watcher has no more of its own
//! than its position and the piece under way, also when its client is slow.

mod form;
mod shared;

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::Stream;
use skiff_resources::Resource;
use skiff_store::{Entry, Range, Revision};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use form::Form;
pub(crate) use shared::Shared;
use shared::{Feed, Span};

use crate::{
    registry::{Registry, narrowed},
    request::query::ListOptions,
    selector::Selector,
    status::Status,
    table::View,
};

/// How often a client hears how far it has come. Kubernetes: a minute.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// A watch without a timeout ends after one to two of these, so that clients spread. Kubernetes: 30 minutes.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1800);
/// Events are sent in pieces of about this size: two records of TLS, so that a slow client holds on to little.
const PIECE: usize = 32 << 10;

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
    form: Form,
    /// Who sees the same.
    feed: Option<Arc<Feed>>,
    bookmarks: bool,
    initial: std::vec::IntoIter<Entry>,
    /// Bookmark to send when `initial` is empty.
    initial_end: Option<Revision>,
    watch: Result<skiff_store::Watch, Status>,
    deadline: Instant,
    next_bookmark: Instant,
    /// Until the next of both.
    alarm: Pin<Box<Sleep>>,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
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
    let form = Form::new(registry.clone(), resource, selector, view, protobuf);
    let feed = form.feed(&prefix, &options);
    let now = Instant::now();
    let mut running = Running {
        registry: registry.clone(),
        feed: feed.map(|key| registry.inner.parts.watches.join(key)),
        form,
        bookmarks: options.bookmarks,
        initial: initial.into_iter(),
        initial_end: (options.send_initial_events == Some(true) && options.bookmarks).then_some(after),
        watch: registry
            .store()
            .watch_in_rounds(&prefix, after)
            .map_err(Status::from),
        deadline: now + timeout,
        next_bookmark: now + BOOKMARK_EVERY.mul_f64(0.9 + 0.2 * rand::random::<f64>()),
        alarm: Box::pin(sleep_until(now)),
        stopped: Box::pin(stop.cancelled_owned()),
        ended: false,
        _count: registry.metrics().watch_started(resource),
    };
    running.set_alarm();
    Ok(futures::stream::unfold(running, |mut running| async move {
        let piece = running.next().await?;
        Some((piece, running))
    }))
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
            let watch = match &mut self.watch {
                Ok(watch) => watch,
                Err(status) => {
                    self.ended = true;
                    return Some(self.form.error(status));
                }
            };
            let changed = tokio::select! {
                biased;
                () = &mut self.stopped => return None,
                // First: changes may come without an end.
                () = &mut self.alarm => return self.alarmed(),
                changed = watch.changed() => changed,
            };
            match changed.and_then(|()| self.piece()) {
                Ok(piece) if piece.is_empty() => {}
                Ok(piece) => return Some(piece),
                Err(skiff_store::Error::Closed(_)) => return None,
                Err(error) => self.watch = Err(error.into()),
            }
        }
    }

    fn next_initial(&mut self) -> Option<Bytes> {
        let mut out = BytesMut::new();
        while out.len() < PIECE
            && let Some(entry) = self.initial.next()
        {
            self.form.initial(&mut out, &entry);
        }
        if self.initial.len() == 0
            && let Some(revision) = self.initial_end.take()
        {
            out.extend_from_slice(&self.form.bookmark(revision, true));
        }
        (!out.is_empty()).then(|| out.freeze())
    }

    /// The frames of what comes next, made here or by another watcher of the feed; none when nothing of it is to be seen.
    fn piece(&mut self) -> Result<Bytes, skiff_store::Error> {
        let Ok(watch) = &mut self.watch else {
            return Ok(Bytes::new());
        };
        let from = watch.position();
        let shared = &self.registry.inner.parts.watches;
        if let Some(known) = self.feed.as_ref().and_then(|feed| shared.span(feed, from)) {
            watch.skip_to(known.until);
            return Ok(known.frames);
        }
        let events = watch.read(PIECE)?;
        let mut out = BytesMut::new();
        for event in &events {
            if let Err(status) = self.form.change(&mut out, event) {
                tracing::error!(%status, "a stored object can't be read");
                self.watch = Err(status);
                return Ok(out.freeze());
            }
        }
        let span = Span {
            until: watch.position(),
            frames: out.freeze(),
        };
        if let Some(feed) = &self.feed {
            shared.keep(feed, from, &span);
        }
        Ok(span.frames)
    }

    /// The deadline has come, or it is time for a bookmark.
    fn alarmed(&mut self) -> Option<Bytes> {
        let now = Instant::now();
        self.ended = now >= self.deadline;
        if !self.bookmarks {
            return None;
        }
        self.next_bookmark = now + BOOKMARK_EVERY;
        self.set_alarm();
        let progress = self.watch.as_ref().map_or(0, skiff_store::Watch::progress);
        Some(self.form.bookmark(progress, false))
    }

    fn set_alarm(&mut self) {
        let at = if self.bookmarks {
            self.deadline.min(self.next_bookmark)
        } else {
            self.deadline
        };
        self.alarm.as_mut().reset(at);
    }
}
