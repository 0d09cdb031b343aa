//! Watches for parts of this process: first what exists, then changes; re-lists by itself when left behind.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::Value;
use skiff_resources::Resource;
use skiff_store::{Range, Revision, Watch};

use super::{Registry, prefix};
use crate::status::Status;

/// One change. Objects are shared between all followers.
#[derive(Clone, Debug)]
pub enum Change {
    /// Created or changed; also one for each object that exists at the start.
    Applied(Arc<Value>),
    /// Deleted; the last state.
    Deleted(Arc<Value>),
    /// Everything that existed at the start has been sent.
    Synced,
}

/// Follows all objects of a resource.
pub struct Follower {
    registry: Registry,
    resource: &'static Resource,
    known: HashMap<Bytes, (Revision, Arc<Value>)>,
    watch: Option<Watch>,
    synced: bool,
}

/// Pause before the next try when the store can't be read.
const RETRY: Duration = Duration::from_millis(100);

impl Registry {
    /// Follows all objects of a resource in all namespaces.
    pub fn follow(&self, resource: &'static Resource) -> Follower {
        Follower {
            registry: self.clone(),
            resource,
            known: HashMap::new(),
            watch: None,
            synced: false,
        }
    }
}

impl Follower {
    /// The next changes, in order, never empty; `None` when the store is closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Vec<Change>> {
        loop {
            let Some(watch) = &mut self.watch else {
                match self.relist() {
                    Ok(changes) if changes.is_empty() => {}
                    Ok(changes) => return Some(changes),
                    Err(error) => {
                        tracing::debug!(resource = %self.resource.plural, %error, "listing for a follower failed");
                        tokio::time::sleep(RETRY).await;
                    }
                }
                continue;
            };
            match watch.next().await {
                Ok(events) => {
                    let mut changes = Vec::with_capacity(events.len());
                    for event in events {
                        let codec = &self.registry.inner.parts.codec;
                        match codec.value(&event.entry, event.revision) {
                            Ok(value) if event.deleted => {
                                self.known.remove(&event.entry.key);
                                changes.push(Change::Deleted(value));
                            }
                            Ok(value) => {
                                let known = (event.revision, value.clone());
                                self.known.insert(event.entry.key.clone(), known);
                                changes.push(Change::Applied(value));
                            }
                            Err(error) => tracing::error!(%error, "a stored object can't be read"),
                        }
                    }
                    if !changes.is_empty() {
                        return Some(changes);
                    }
                }
                Err(skiff_store::Error::Closed(_)) => return None,
                Err(_) => self.watch = None,
            }
        }
    }

    /// Lists, and returns the difference to what is known.
    fn relist(&mut self) -> Result<Vec<Change>, Status> {
        let page = self.registry.store().range(&Range {
            prefix: prefix(self.resource, ""),
            ..Range::default()
        })?;
        let watch = self
            .registry
            .store()
            .watch(&prefix(self.resource, ""), page.revision)?;
        let mut gone = std::mem::take(&mut self.known);
        let mut changes = Vec::new();
        for entry in page.entries {
            let before = gone.remove(&entry.key);
            let value = match before {
                Some((revision, value)) if revision == entry.mod_revision => value,
                _ => {
                    let value = self.registry.parse(&entry)?;
                    changes.push(Change::Applied(value.clone()));
                    value
                }
            };
            self.known.insert(entry.key, (entry.mod_revision, value));
        }
        changes.extend(gone.into_values().map(|(_, value)| Change::Deleted(value)));
        if !self.synced {
            self.synced = true;
            changes.push(Change::Synced);
        }
        self.watch = Some(watch);
        Ok(changes)
    }
}
