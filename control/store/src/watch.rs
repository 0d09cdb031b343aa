//! Watches: positions in the shared history, woken by topic.
//!
//! A watcher owns no queue. It keeps the revision up to which it has seen everything, and reads on from there in the
//! one history that all share; so a slow watcher costs nothing, and one that falls off the history gets `Compacted`.
//!
//! Watchers are woken by **topic**: the prefix up to its last `/`. A change to `/registry/core/pods/ns/a` wakes the
//! topics that are a `/`-ending prefix of it, at most six look-ups, and no others.
//!
//! A quiet watcher is not woken by other topics, so its position stays where it was while the history moves on. It is
//! left behind only if a change *of its topic* was forgotten: `Topic::forgotten > position`.
//!
//! Who watches **in rounds** is told of changes together with the others of its topic, and reads up to what all were told, so that
//! they share what is made of it; the more they are, the longer the pause between two rounds (see `rounds.rs`).
//!
//! Why no change is missed:
//! 1. A topic is registered under the state's read lock, changes are made and noted in `Topic::last` under its write
//!    lock: a change is either in the history when the watcher first reads, or it finds the topic.
//! 2. A watcher marks the topic's signal as seen *before* it reads the history, and the signal is sent after the
//!    change is in the history: a change that its reading missed wakes it again.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::{
    Error, Event, Revision,
    rounds::Rounds,
    state::{Note, State},
};

/// Most events in one batch, but for the rest of a transaction: a watcher whose client is slow holds on to one.
const BATCH_EVENTS: usize = 128;
/// Most bytes of values in one batch, but for the rest of a transaction.
const BATCH_BYTES: usize = 1 << 20;

/// Those who watch one prefix.
pub(crate) struct Topic {
    /// The newest revision that changed a key of the topic.
    last: AtomicU64,
    /// The newest revision that changed a key of the topic and has left the history: who has not seen it never will.
    forgotten: AtomicU64,
    signal: watch::Sender<()>,
    rounds: Arc<Rounds>,
}

impl Topic {
    fn last(&self) -> Revision {
        self.last.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
pub(crate) struct Topics {
    by_prefix: Mutex<HashMap<Bytes, (Arc<Topic>, usize)>>,
}

impl Topics {
    fn join(&self, name: Bytes, floor: Revision, now: Revision) -> Arc<Topic> {
        let mut topics = self.by_prefix.lock();
        let (topic, watchers) = topics.entry(name).or_insert_with(|| {
            let (last, forgotten) = (AtomicU64::new(now), AtomicU64::new(floor));
            (
                Arc::new(Topic {
                    last,
                    forgotten,
                    signal: watch::Sender::new(()),
                    rounds: Arc::default(),
                }),
                0,
            )
        });
        *watchers += 1;
        topic.clone()
    }

    fn leave(&self, name: &Bytes) {
        let mut topics = self.by_prefix.lock();
        if let Some((_, watchers)) = topics.get_mut(name) {
            *watchers -= 1;
            if *watchers == 0 {
                topics.remove(name);
            }
        }
    }

    /// Notes what happened to a key, and adds the topics to be woken once the lock on the state is released.
    pub fn note(&self, note: &Note<'_>, wake: &mut Vec<Arc<Topic>>) {
        let topics = self.by_prefix.lock();
        if topics.is_empty() {
            return;
        }
        let (Note::Changed(key, revision) | Note::Forgotten(key, revision)) = note;
        let ends = key
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'/')
            .map(|(at, _)| at + 1);
        for end in std::iter::once(0).chain(ends) {
            let Some((topic, _)) = topics.get(&key[..end]) else {
                continue;
            };
            match note {
                Note::Forgotten(..) => topic.forgotten.store(*revision, Ordering::Relaxed),
                Note::Changed(..) => {
                    topic.last.store(*revision, Ordering::Relaxed);
                    topic.rounds.note();
                    if !wake.iter().any(|known| Arc::ptr_eq(known, topic)) {
                        wake.push(topic.clone());
                    }
                }
            }
        }
    }

    /// Number of watchers.
    pub fn watches(&self) -> usize {
        let topics = self.by_prefix.lock();
        topics.values().map(|(_, watchers)| watchers).sum()
    }

    /// Every topic.
    pub fn all(&self) -> Vec<Arc<Topic>> {
        self.by_prefix
            .lock()
            .values()
            .map(|(topic, _)| topic.clone())
            .collect()
    }

    /// Notes that the whole state was replaced, by one with this history.
    pub fn replaced(&self, floor: Revision, revision: Revision) -> Vec<Arc<Topic>> {
        let topics = self.all();
        for topic in &topics {
            topic.last.store(revision, Ordering::Relaxed);
            topic.forgotten.store(floor, Ordering::Relaxed);
        }
        topics
    }
}

/// Wakes the watchers of topics. Call without the lock on the state.
pub(crate) fn wake(topics: &mut Vec<Arc<Topic>>) {
    for topic in topics.drain(..) {
        topic.signal.send_replace(());
        topic.rounds.changed(topic.last());
    }
}

/// Wakes the watchers of topics at once, also those in rounds: for what comes last.
pub(crate) fn wake_all(topics: &[Arc<Topic>]) {
    for topic in topics {
        topic.signal.send_replace(());
        topic.rounds.announce(topic.last());
    }
}

/// The state with those who watch it.
#[derive(Default)]
pub(crate) struct Watched {
    pub state: RwLock<State>,
    pub topics: Topics,
}

/// When a watcher hears of changes.
enum Wake {
    /// Of each, at once.
    AtOnce(watch::Receiver<()>),
    /// With the others of its topic. Changes up to `bound` may be read.
    InRounds {
        announced: watch::Receiver<Revision>,
        bound: Revision,
    },
}

impl Wake {
    fn mark_seen(&mut self) {
        match self {
            Self::AtOnce(signal) => signal.mark_unchanged(),
            Self::InRounds { announced, bound } => *bound = (*bound).max(*announced.borrow_and_update()),
        }
    }

    async fn changed(&mut self) {
        // The topic, which holds the sender, lives as long as its watches.
        match self {
            Self::AtOnce(signal) => signal.changed().await.ok(),
            Self::InRounds { announced, .. } => announced.changed().await.ok(),
        };
    }

    fn bound(&self) -> Revision {
        match self {
            Self::AtOnce(_) => Revision::MAX,
            Self::InRounds { bound, .. } => *bound,
        }
    }
}

/// A running watch. Dropping it ends it.
pub struct Watch {
    watched: Arc<Watched>,
    topic: Arc<Topic>,
    topic_name: Bytes,
    wake: Wake,
    prefix: Bytes,
    /// Every change up to here has been returned.
    position: Revision,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("prefix", &self.prefix)
            .field("position", &self.position)
            .finish()
    }
}

impl Watch {
    pub(crate) fn begin(
        watched: &Arc<Watched>,
        prefix: &[u8],
        after: Revision,
        in_rounds: bool,
    ) -> Result<Self, Error> {
        let end = prefix
            .iter()
            .rposition(|&byte| byte == b'/')
            .map_or(0, |at| at + 1);
        let prefix = Bytes::copy_from_slice(prefix);
        let topic_name = prefix.slice(..end);
        let state = watched.state.read();
        if let Some(reason) = &state.closed {
            return Err(Error::Closed(reason.clone()));
        }
        state.check(after)?;
        // `last` and `forgotten` of a new topic begin at the ends of the history: right for everybody who starts within.
        let topic = watched
            .topics
            .join(topic_name.clone(), state.history.floor, state.revision);
        let wake = if in_rounds {
            Wake::InRounds {
                announced: topic.rounds.join(),
                bound: state.revision,
            }
        } else {
            Wake::AtOnce(topic.signal.subscribe())
        };
        drop(state);
        Ok(Self {
            watched: watched.clone(),
            topic,
            topic_name,
            wake,
            prefix,
            position: after,
        })
    }

    /// The next batch of changes (never empty), in order. Cancel safe. The changes of one transaction are never
    /// split over two batches.
    ///
    /// # Errors
    /// `Compacted` when this watcher is so slow that the history left it behind; `Closed` at shutdown.
    pub async fn next(&mut self) -> Result<Vec<Event>, Error> {
        loop {
            self.changed().await?;
            let events = self.read(BATCH_BYTES)?;
            if !events.is_empty() {
                return Ok(events);
            }
        }
    }

    /// Waits until there may be something to [`read`](Self::read). Cancel safe.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn changed(&mut self) -> Result<(), Error> {
        loop {
            self.wake.mark_seen();
            {
                let state = self.watched.state.read();
                if self.may_read(&state)? {
                    return Ok(());
                }
                if self.nothing_new() {
                    self.position = self.position.max(state.revision);
                }
            }
            self.wake.changed().await;
        }
    }

    /// Every change up to this revision has been returned.
    pub fn position(&self) -> Revision {
        self.position
    }

    /// Goes on after `position`: the caller has got the changes up to there by other means.
    pub fn skip_to(&mut self, position: Revision) {
        self.position = self.position.max(position);
    }

    /// Every change up to this revision has been returned by `next` (for bookmarks).
    pub fn progress(&self) -> Revision {
        let state = self.watched.state.read();
        if self.nothing_new() {
            state.revision.max(self.position)
        } else {
            self.position
        }
    }

    /// Whether nothing changed since `position`; only meaningful under the lock on the state.
    fn nothing_new(&self) -> bool {
        self.topic.last() <= self.position
    }

    /// Whether there may be something to read in this state.
    fn may_read(&self, state: &State) -> Result<bool, Error> {
        if !self.nothing_new() {
            if self.position < self.topic.forgotten.load(Ordering::Relaxed) {
                return Err(Error::Compacted {
                    requested: self.position,
                    oldest: state.history.floor,
                });
            }
            if self.position < self.wake.bound() {
                return Ok(true);
            }
        }
        match &state.closed {
            Some(reason) => Err(Error::Closed(reason.clone())),
            None => Ok(false),
        }
    }

    /// The next changes as [`next`](Self::next) returns them, without waiting: empty when there is nothing new. Ends with the
    /// change that makes it more than `bytes` of values.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn read(&mut self, bytes: usize) -> Result<Vec<Event>, Error> {
        let mut events: Vec<Event> = Vec::new();
        let state = self.watched.state.read();
        if !self.may_read(&state)? {
            return Ok(events);
        }
        let mut size = 0;
        let mut seen = state.revision.min(self.wake.bound());
        for event in state.history.after(self.position) {
            if event.revision > seen {
                break;
            }
            if let Some(last) = events.last()
                && (events.len() >= BATCH_EVENTS || size >= bytes)
                && last.revision != event.revision
            {
                seen = last.revision;
                break;
            }
            if event.entry.key.starts_with(&self.prefix) {
                size += event.entry.value.len();
                events.push(event.clone());
            }
        }
        self.position = seen;
        Ok(events)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watched.topics.leave(&self.topic_name);
    }
}
