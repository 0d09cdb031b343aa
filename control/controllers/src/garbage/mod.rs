//! Owner garbage collection: what belongs to an owner goes when its last owner has gone.
//!
//! [`graph`] follows the metadata of every kind; [`plan`] decides about one object from it; this module carries the
//! decision out, after asking the API itself whether an owner that the graph lacks is really gone.

mod graph;
mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub use graph::Graph;

use crate::{
    DeleteOptions, PatchKind, ResourceKind,
    machinery::{Client, Error, Outcome, Queue, client::api_error, run_keyed},
};
use graph::{Entry, Uid};
use plan::{Decision, OwnerState, decide};

/// The controller.
pub struct Controller {
    client: Client,
    graph: Arc<Graph>,
    queue: Arc<Queue<Uid>>,
}

impl Controller {
    /// Works on what `graph` queues.
    pub fn new(client: Client, graph: Arc<Graph>) -> Self {
        let queue = graph.queue();
        Self { client, graph, queue }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        // An owner whose kind has not been listed yet looks as if it were gone.
        tokio::select! {
            () = self.graph.synced() => {}
            () = stop.cancelled() => return,
        }
        let all = || self.graph.with_owners();
        run_keyed("garbage", self.queue.clone(), 32, all, stop, |uid| {
            self.reconcile(uid)
        })
        .await;
    }

    async fn reconcile(&self, uid: Uid) -> Outcome {
        let Some(seen) = self.graph.look(&uid) else {
            return Ok(None);
        };
        let mut owners = Vec::new();
        if !seen.entry.deleting {
            for owner in &seen.entry.owners {
                owners.push(self.owner_state(&seen.entry, owner).await?);
            }
        }
        match decide(&seen, &owners) {
            Decision::Nothing => Ok(None),
            Decision::Look(others) => {
                others.into_iter().for_each(|other| self.queue.add(other));
                Ok(None)
            }
            Decision::Delete(propagation) => self.delete(&seen.entry, propagation).await,
            Decision::DropOwners(gone) => self.drop_owners(&seen.entry, &gone).await,
            Decision::Orphan(dependents) => {
                for dependent in dependents {
                    if let Some(seen) = self.graph.look(&dependent) {
                        self.drop_owners(&seen.entry, std::slice::from_ref(&uid.0))
                            .await?;
                    }
                }
                self.drop_finalizer(&seen.entry, "orphan").await
            }
            Decision::Finish => self.drop_finalizer(&seen.entry, "foregroundDeletion").await,
        }
    }

    async fn owner_state(&self, entry: &Entry, owner: &graph::Owner) -> Result<OwnerState, Error> {
        if let Some(seen) = self.graph.look(&Uid(owner.uid.clone())) {
            let owner = seen.entry;
            if !owner.namespace.is_empty() && owner.namespace != entry.namespace {
                // An owner in another namespace is no owner (Kubernetes, "Owners and dependents").
                return Ok(OwnerState::Gone);
            }
            let waiting = owner.deleting && owner.foreground;
            return Ok(if waiting {
                OwnerState::WaitsForDependents
            } else {
                OwnerState::There
            });
        }
        let Some(kind) = self.graph.kind(&owner.group, &owner.kind) else {
            return Ok(OwnerState::Unknown);
        };
        if kind.namespaced && entry.namespace.is_empty() {
            return Ok(OwnerState::Unknown);
        }
        let namespace = if kind.namespaced {
            entry.namespace.as_str()
        } else {
            ""
        };
        match self.client.api.get(kind.name, namespace, &owner.name).await {
            Ok(found) if found["metadata"]["uid"] == owner.uid.as_str() => Ok(OwnerState::There),
            Ok(_) => Ok(OwnerState::Gone),
            Err(error) if error.code == 404 => Ok(OwnerState::Gone),
            Err(error) => Err(api_error("get", kind.name, namespace, &owner.name)(error)),
        }
    }

    async fn delete(&self, entry: &Entry, propagation: &'static str) -> Outcome {
        // Whoever gave it another owner meanwhile has changed its revision.
        let options = DeleteOptions {
            uid: Some(entry.uid.clone()),
            resource_version: Some(entry.revision.clone()),
            propagation: Some(propagation),
            grace_seconds: None,
        };
        let r = entry.kind.name;
        match self
            .client
            .api
            .delete(r, &entry.namespace, &entry.name, &options)
            .await
        {
            Err(error) if error.code != 404 => {
                Err(api_error("delete", r, &entry.namespace, &entry.name)(error))
            }
            _ => Ok(None),
        }
    }

    async fn drop_owners(&self, entry: &Entry, gone: &[String]) -> Outcome {
        self.edit(entry, |metadata| {
            let owners = metadata["ownerReferences"].as_array().into_iter().flatten();
            let kept = owners.filter(|o| !gone.iter().any(|g| o["uid"] == g.as_str()));
            json!({"ownerReferences": kept.collect::<Vec<_>>()})
        })
        .await
    }

    async fn drop_finalizer(&self, entry: &Entry, finalizer: &str) -> Outcome {
        self.edit(entry, |metadata| {
            let finalizers = metadata["finalizers"].as_array().into_iter().flatten();
            json!({"finalizers": finalizers.filter(|f| *f != finalizer).collect::<Vec<_>>()})
        })
        .await
    }

    /// Changes metadata, on the live object.
    async fn edit(&self, entry: &Entry, change: impl FnOnce(&Value) -> Value) -> Outcome {
        let ResourceKind { name: r, .. } = entry.kind;
        let (namespace, name) = (entry.namespace.as_str(), entry.name.as_str());
        let live = match self.client.api.get(r, namespace, name).await {
            Ok(live) if live["metadata"]["uid"] == entry.uid.as_str() => live,
            Ok(_) => return Ok(None),
            Err(error) if error.code == 404 => return Ok(None),
            Err(error) => return Err(api_error("get", r, namespace, name)(error)),
        };
        let mut changed = change(&live["metadata"]);
        changed["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
        changed["uid"] = live["metadata"]["uid"].clone();
        let patch = json!({"metadata": changed});
        match self
            .client
            .api
            .patch(r, namespace, name, "", PatchKind::Merge, &patch)
            .await
        {
            Err(error) if error.code != 404 => Err(api_error("patch", r, namespace, name)(error)),
            _ => Ok(None),
        }
    }
}
