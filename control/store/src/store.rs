//! The calls.

use std::{sync::Arc, time::Duration};

use skiff_raft::{Alone, Group, Leadership, Stats, Transport};
use tokio::sync::watch;

use crate::{
    Committed, Config, Entry, Error, Op, OpenError, Page, Range, Revision, Txn,
    codec::encode_txn,
    directory::{Directory, log_failed},
    machine::Machine,
    map::prefix_end,
    snapshot::Snapshot,
    watch::{Watch, Watched},
};

/// The store of one member. Cheap to clone; all clones are one store, which ends with the last of them.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    watched: Arc<Watched>,
    group: Group<Result<Committed, Error>>,
    max_txn_bytes: usize,
    max_objects: usize,
    max_bytes: usize,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("revision", &self.revision())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store, replays what is on disk and joins its Raft group. Needs a running tokio runtime.
    ///
    /// When it returns, everything that was ever acknowledged is applied: a read sees it without a barrier.
    ///
    /// # Errors
    /// See [`OpenError`]; none of them alters what is on disk.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        Self::open_with(config, Alone).await
    }

    /// As [`Store::open`], with a way to the other members. A member among others shows what it had applied at its
    /// last checkpoint until it has heard from their leader: reads need a barrier.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_with<T: Transport>(config: Config, transport: T) -> Result<Self, OpenError> {
        let member = config.member;
        let opened = tokio::task::spawn_blocking(move || {
            let directory = Directory::open(&config.dir)?;
            let log = directory.log();
            let watched = Arc::new(Watched::default());
            let checkpoint = directory.read_checkpoint()?;
            let machine = Machine::new(config.clone(), watched.clone(), Arc::new(directory), checkpoint);
            let raft = skiff_raft::Config {
                first_start: config.first_start,
                ..skiff_raft::Config::new(log, config.member)
            };
            let dir = raft.dir.clone();
            let group = Group::open(raft, machine, transport).map_err(log_failed(&dir))?;
            let inner = Inner {
                watched,
                group,
                max_txn_bytes: config.max_txn_bytes,
                max_objects: config.max_objects,
                max_bytes: config.max_bytes,
            };
            Ok::<_, OpenError>(Self {
                inner: Arc::new(inner),
            })
        });
        let store = opened.await.map_err(|_| OpenError::Failed)??;
        // The log's tail is applied once this member leads, which on one member is at once. A store that shows less
        // than was acknowledged must not be opened. The tail may say that it has not been alone for long: then there
        // are others to ask, and nothing to wait for here.
        let mut members = store.members();
        let replayed = tokio::select! {
            replayed = store.inner.group.read_index() => replayed,
            among_others = members.wait_for(|members| !members.is_only(member)) => {
                drop(among_others);
                Ok(())
            }
        };
        match replayed {
            Err(error) if members.borrow().is_only(member) => Err(OpenError::Start(error.into())),
            _ => Ok(store),
        }
    }

    pub(crate) fn group(&self) -> &Group<Result<Committed, Error>> {
        &self.inner.group
    }

    /// Commits a transaction: returns when a majority has it on disk and this member has applied it.
    /// Cancelling the future does not undo the write.
    ///
    /// # Errors
    /// `Conflict`: a condition did not hold, nothing was written. `TooLarge`, `Full`: the same. `Unavailable` and `Closed`:
    /// unknown, the write may or may not have happened.
    pub async fn commit(&self, txn: Txn) -> Result<Committed, Error> {
        let data = encode_txn(&txn);
        if data.len() > self.inner.max_txn_bytes {
            return Err(Error::TooLarge {
                size: data.len(),
                limit: self.inner.max_txn_bytes,
            });
        }
        self.check_room(&txn)?;
        self.inner.group.propose(data.into()).await?
    }

    /// Looked at before a proposal is made and not when it is applied: the limits may differ from member to member and
    /// from version to version, and what is applied must not.
    fn check_room(&self, txn: &Txn) -> Result<(), Error> {
        let state = self.inner.watched.state.read();
        let Inner {
            max_objects,
            max_bytes,
            ..
        } = *self.inner;
        let (objects, bytes) = (state.map.len(), state.live_bytes);
        if objects < max_objects && bytes < max_bytes {
            return Ok(());
        }
        let grows = txn.ops.iter().any(|op| match op {
            Op::Put(key, value) => match state.map.get(key) {
                None => true,
                Some(now) => bytes >= max_bytes && value.bytes.len() > now.value.len(),
            },
            Op::Delete(..) => false,
        });
        if !grows {
            return Ok(());
        }
        Err(Error::Full {
            objects,
            bytes,
            max_objects,
            max_bytes,
        })
    }

    /// Waits until everything acknowledged by the group before this call is applied here, and returns the revision
    /// (ReadIndex; on one member at once). After it, `get` and `range` are linearizable.
    ///
    /// # Errors
    /// `Unavailable` without a leader or quorum.
    pub async fn read_barrier(&self) -> Result<Revision, Error> {
        self.inner.group.read_index().await?;
        Ok(self.revision())
    }

    /// The revision last applied here.
    pub fn revision(&self) -> Revision {
        self.inner.watched.state.read().revision
    }

    /// The oldest revision that `range` and `watch` accept.
    pub fn oldest(&self) -> Revision {
        self.inner.watched.state.read().history.floor
    }

    /// The entry under `key`, as applied here.
    pub fn get(&self, key: &[u8]) -> Option<Entry> {
        self.inner.watched.state.read().map.get(key).cloned()
    }

    /// Reads a range, as applied here or as of an older retained revision.
    ///
    /// # Errors
    /// `Compacted` or `Future` for a revision that is not retained.
    pub fn range(&self, range: &Range) -> Result<Page, Error> {
        let map = {
            let state = self.inner.watched.state.read();
            if range.revision.is_some_and(|revision| revision != state.revision) {
                return state.range(range);
            }
            // A clone of the map is one reference count, and reading it holds no lock.
            (state.map.clone(), state.revision)
        };
        Ok(crate::state::page(&map.0, range, map.1))
    }

    /// Number of keys with this prefix now.
    pub fn count(&self, prefix: &[u8]) -> usize {
        let map = self.inner.watched.state.read().map.clone();
        map.count(prefix, prefix_end(prefix).as_deref())
    }

    /// All changes with a revision greater than `after` to keys with `prefix`, in order, without gaps.
    ///
    /// # Errors
    /// `Compacted` when `after` is older than the history, `Future` when it lies ahead, `Closed`.
    pub fn watch(&self, prefix: &[u8], after: Revision) -> Result<Watch, Error> {
        Watch::begin(&self.inner.watched, prefix, after, false)
    }

    /// The same for one of many: it hears of changes together with the others under this prefix, and when those are many and
    /// changes are frequent up to some hundredths of a second later. For what writes them to a connection.
    ///
    /// # Errors
    /// As [`watch`](Self::watch).
    pub fn watch_in_rounds(&self, prefix: &[u8], after: Revision) -> Result<Watch, Error> {
        Watch::begin(&self.inner.watched, prefix, after, true)
    }

    /// The state as applied here, for a snapshot file: cheap to take, and written without holding up anything.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.inner.watched.state.read())
    }

    /// Follows leadership of this member.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.inner.group.leadership()
    }

    /// Why this member can't write, if its disk does not let it. Reads go on.
    pub fn trouble(&self) -> Option<String> {
        self.inner.group.trouble()
    }

    /// Figures of the log since it was opened.
    pub fn log_stats(&self) -> Stats {
        self.inner.group.stats()
    }

    /// Figures of the state.
    pub fn stats(&self) -> StoreStats {
        let state = self.inner.watched.state.read();
        StoreStats {
            revision: state.revision,
            oldest: state.history.floor,
            keys: state.map.len(),
            live_bytes: state.live_bytes,
            history_bytes: state.history.bytes(),
            watches: self.inner.watched.topics.watches(),
            election_timeout: self.inner.group.stats().election_timeout,
        }
    }

    /// Writes a checkpoint and stops; later writes and watches fail with `Closed`, reads go on with what is there.
    ///
    /// # Errors
    /// `Closed` when it was closed already, or when the checkpoint failed (nothing is lost: the log is kept).
    pub async fn close(&self) -> Result<(), Error> {
        Ok(self.inner.group.close(true).await?)
    }

    /// The health of the log's disk; tests break it here.
    #[doc(hidden)]
    pub fn disk(&self) -> &skiff_raft::FileHealth {
        self.inner.group.disk()
    }
}

/// Figures of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreStats {
    /// The revision last applied.
    pub revision: Revision,
    /// The oldest revision that can be read or watched from.
    pub oldest: Revision,
    /// Number of keys.
    pub keys: usize,
    /// Bytes of keys and values as they are now.
    pub live_bytes: usize,
    /// Bytes that the history holds, at most; values it shares with the present are counted.
    pub history_bytes: usize,
    /// Running watches.
    pub watches: usize,
    /// The shortest time without the leader after which this member asks for an election, as measured.
    pub election_timeout: Duration,
}

/// What a key costs beside its bytes: its entry, its place in a leaf, and what the allocator adds.
const OBJECT_OVERHEAD: usize = 250;

impl StoreStats {
    /// Bytes of memory that an object takes on average, without the history; 0 when there is none.
    pub fn memory_per_object(&self) -> usize {
        self.live_bytes
            .checked_div(self.keys)
            .map_or(0, |bytes| bytes + OBJECT_OVERHEAD)
    }
}

impl From<skiff_raft::Error> for Error {
    fn from(error: skiff_raft::Error) -> Self {
        match error {
            skiff_raft::Error::Unavailable(reason) => Self::Unavailable(reason),
            skiff_raft::Error::Closed(reason) => Self::Closed(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Value;

    #[tokio::test]
    async fn an_entry_that_is_not_understood_closes_the_store_and_is_never_skipped() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(Config::new(dir.path())).await.expect("opens");
        let value = Value {
            bytes: Bytes::from_static(b"v"),
            revision_at: None,
        };
        let put = Txn {
            compare: vec![],
            ops: vec![Op::Put(Bytes::from_static(b"/a"), value)],
        };
        store.commit(put.clone()).await.expect("commits");
        let mut watch = store.watch(b"/", 2).expect("watches");
        let foreign = store.inner.group.propose(Bytes::from_static(&[9, 9, 9])).await;
        assert!(
            matches!(foreign, Err(skiff_raft::Error::Closed(_))),
            "{foreign:?}"
        );
        assert!(matches!(watch.next().await, Err(Error::Closed(_))));
        assert!(matches!(store.commit(put).await, Err(Error::Closed(_))));
        assert!(store.get(b"/a").is_some());
        drop((store, watch));
        let reopened = Store::open(Config::new(dir.path())).await;
        assert!(matches!(reopened, Err(OpenError::Start(_))), "{reopened:?}");
    }
}
