//! The state that the log is applied to: the map as it is now, and its recent history.

use bytes::{BufMut, Bytes};

use crate::{
    Committed, Compare, Config, Entry, Error, Event, Op, Page, Range, Revision, Txn, Value,
    history::History,
    map::{Map, prefix_end},
};

/// What happens to the changes of a key.
pub(crate) enum Note<'a> {
    /// The key changed at this revision.
    Changed(&'a Bytes, Revision),
    /// The change that the key had at this revision has left the history.
    Forgotten(&'a Bytes, Revision),
}

pub(crate) struct State {
    pub map: Map,
    /// Bytes of keys and values in the map.
    pub live_bytes: usize,
    pub revision: Revision,
    pub history: History,
    /// Why nothing will change any more.
    pub closed: Option<String>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            map: Map::default(),
            live_bytes: 0,
            revision: 1,
            history: History::new(1),
            closed: None,
        }
    }
}

impl State {
    /// Applies a transaction; `note` hears what watchers must know. Deterministic but for the history's bounds.
    pub fn apply(
        &mut self,
        txn: Txn,
        config: &Config,
        mut note: impl FnMut(Note<'_>),
    ) -> Result<Committed, Error> {
        for compare in &txn.compare {
            let (key, holds) = match compare {
                Compare::Absent(key) => (key, self.map.get(key).is_none()),
                Compare::Present(key) => (key, self.map.get(key).is_some()),
                Compare::At(key, at) => (
                    key,
                    self.map.get(key).is_some_and(|entry| entry.mod_revision == *at),
                ),
            };
            if !holds {
                return Err(Error::Conflict {
                    key: key.clone(),
                    current: self.map.get(key).cloned(),
                });
            }
        }
        let revision = self.revision + 1;
        let mut changes = false;
        let mut entries = Vec::with_capacity(txn.ops.len());
        for op in txn.ops {
            let event = match op {
                Op::Put(key, value) => Some(self.put(key, &value, revision)),
                Op::Delete(key, last) => self.delete(&key, last.as_ref(), revision),
            };
            entries.push(event.as_ref().map(|event| event.entry.clone()));
            if let Some(event) = event {
                changes = true;
                note(Note::Changed(&event.entry.key, revision));
                self.history.push(event);
            }
        }
        if changes {
            self.revision = revision;
            self.history.trim(
                revision,
                config.history_revisions,
                config.history_bytes,
                |event| {
                    note(Note::Forgotten(&event.entry.key, event.revision));
                },
            );
        }
        Ok(Committed {
            revision: self.revision,
            entries,
        })
    }

    fn put(&mut self, key: Bytes, value: &Value, revision: Revision) -> Event {
        let before = self.map.get(&key);
        // The key in the map is a copy of its own, made once: a slice would keep the log entry in memory.
        let (key, create_revision) = match before {
            Some(before) => (before.key.clone(), before.create_revision),
            None => (Bytes::copy_from_slice(&key), revision),
        };
        let entry = Entry {
            key,
            value: splice(value, revision),
            create_revision,
            mod_revision: revision,
        };
        self.live_bytes += entry.key.len() + entry.value.len();
        let previous = self.map.insert(entry.clone());
        if let Some(previous) = &previous {
            self.live_bytes -= previous.key.len() + previous.value.len();
        }
        Event {
            revision,
            entry,
            previous,
            deleted: false,
        }
    }

    fn delete(&mut self, key: &[u8], last: Option<&Value>, revision: Revision) -> Option<Event> {
        let previous = self.map.remove(key)?;
        self.live_bytes -= previous.key.len() + previous.value.len();
        let value = last.map_or_else(|| previous.value.clone(), |last| splice(last, revision));
        let entry = Entry {
            value,
            mod_revision: revision,
            ..previous.clone()
        };
        Some(Event {
            revision,
            entry,
            previous: Some(previous),
            deleted: true,
        })
    }

    /// Whether a revision can be read or watched from.
    pub fn check(&self, requested: Revision) -> Result<(), Error> {
        if requested < self.history.floor {
            return Err(Error::Compacted {
                requested,
                oldest: self.history.floor,
            });
        }
        if requested > self.revision {
            return Err(Error::Future {
                requested,
                current: self.revision,
            });
        }
        Ok(())
    }

    pub fn range(&self, range: &Range) -> Result<Page, Error> {
        let revision = range.revision.unwrap_or(self.revision);
        self.check(revision)?;
        if revision == self.revision {
            return Ok(page(&self.map, range, revision));
        }
        // Undo what came after in a copy: it costs as much as changed under the prefix, plus the walk over the history.
        let mut map = self.map.clone();
        for (key, then) in self.history.undo(revision, &range.prefix) {
            match then {
                Some(entry) => drop(map.insert(entry.clone())),
                None => drop(map.remove(key)),
            }
        }
        Ok(page(&map, range, revision))
    }
}

/// A page of the map as it is.
pub(crate) fn page(map: &Map, range: &Range, revision: Revision) -> Page {
    let start = match &range.after {
        // The first key after `after` is `after` and a zero byte.
        Some(after) if *after >= range.prefix => [after.as_ref(), &[0]].concat().into(),
        _ => range.prefix.clone(),
    };
    let limit = if range.limit == 0 { usize::MAX } else { range.limit };
    let end = prefix_end(&range.prefix);
    let total = map.count(&start, end.as_deref());
    let mut entries = Vec::with_capacity(total.min(limit));
    entries.extend(
        map.from(&start)
            .take_while(|entry| entry.key.starts_with(&range.prefix))
            .take(limit)
            .cloned(),
    );
    Page {
        revision,
        remaining: total - entries.len(),
        entries,
    }
}

/// The value with the revision's digits in their place, in memory of its own.
fn splice(value: &Value, revision: Revision) -> Bytes {
    let Some(at) = value.revision_at else {
        return Bytes::copy_from_slice(&value.bytes);
    };
    let (before, after) = value.bytes.split_at((at as usize).min(value.bytes.len()));
    let digits = revision.to_string();
    let mut out = Vec::with_capacity(value.bytes.len() + digits.len());
    out.put_slice(before);
    out.put_slice(digits.as_bytes());
    out.put_slice(after);
    out.into()
}

#[cfg(test)]
mod tests;
