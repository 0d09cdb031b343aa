//! Namespace: empties a namespace that is being deleted, pods first, then lets it go.

mod plan;

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Namespace;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    DeleteOptions, ResourceKind,
    garbage::Graph,
    machinery::{Client, Error, Key, Object, Outcome, Queue, client::api_error, resource_of, run_keyed},
};
use plan::{Content, Plan, plan};

/// The finalizer in `spec.finalizers` that is ours.
const FINALIZER: &str = "kubernetes";
/// Deletes at the same time.
const PARALLEL: usize = 32;
/// While content is left, and nothing says that it has gone.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The controller.
pub struct Controller {
    client: Client,
    queue: Arc<Queue<Key>>,
    kinds: Vec<ResourceKind>,
}

impl Controller {
    /// Registers its listeners. `kinds`: everything a namespace can contain, among others.
    pub fn new(client: Client, kinds: Vec<ResourceKind>, graph: &Graph) -> Self {
        let queue: Arc<Queue<Key>> = Arc::new(Queue::default());
        let q = queue.clone();
        client.caches.namespaces.listen(move |_, new| {
            new.into_iter()
                .filter(|n| n.is_terminating())
                .for_each(|n| q.add(n.key()));
        });
        let (q, caches) = (queue.clone(), Arc::downgrade(&client.caches));
        graph.on_removed(move |namespace| {
            let namespace = caches.upgrade().and_then(|c| c.namespaces.get("", namespace));
            namespace
                .filter(|n| n.is_terminating())
                .into_iter()
                .for_each(|n| q.add(n.key()));
        });
        Self {
            client,
            queue,
            kinds: kinds.into_iter().filter(|k| k.namespaced).collect(),
        }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (queue, caches) = (self.queue.clone(), self.client.caches.clone());
        run_keyed(
            "namespace",
            queue,
            8,
            || caches.namespaces.keys(),
            stop,
            |key| self.reconcile(key),
        )
        .await;
    }

    async fn reconcile(&self, key: Key) -> Outcome {
        let Some(namespace) = self.client.caches.namespaces.get_key(&key) else {
            return Ok(None);
        };
        if !namespace.is_terminating() {
            return Ok(None);
        }
        if !finalizers(&namespace).iter().any(|f| f == FINALIZER) {
            return Ok(None);
        }
        let content = self.content(&key.name).await?;
        let Plan { delete, status, done } = plan(&namespace, &content, self.client.now());
        let mut new = (*namespace).clone();
        new.status = Some(status);
        self.client.patch(&*namespace, &new, "status").await?;
        let deleted = stream::iter(delete).map(|(kind, object)| self.delete(kind, object));
        let results: Vec<_> = deleted.buffer_unordered(PARALLEL).collect().await;
        results.into_iter().collect::<Result<Vec<()>, Error>>()?;
        if done {
            self.finalize(&key.name, namespace.uid()).await?;
            return Ok(None);
        }
        Ok(Some(LOOK_AGAIN))
    }

    async fn content(&self, namespace: &str) -> Result<Vec<Content>, Error> {
        let lists = self.kinds.iter().map(|kind| async move {
            let objects = self.client.api.list(kind.name, namespace).await;
            let objects = objects.map_err(api_error("list", kind.name, namespace, ""))?;
            Ok(Content { kind: *kind, objects })
        });
        futures::future::try_join_all(lists).await
    }

    async fn delete(&self, kind: ResourceKind, object: Arc<Value>) -> Result<(), Error> {
        let text = |f: &str| object["metadata"][f].as_str().unwrap_or_default();
        let options = DeleteOptions {
            uid: Some(text("uid").to_owned()),
            ..DeleteOptions::default()
        };
        let (namespace, name) = (text("namespace"), text("name"));
        match self.client.api.delete(kind.name, namespace, name, &options).await {
            // Another object of the name: it will be seen in the next round.
            Err(error) if !matches!(error.code, 404 | 409) => {
                Err(api_error("delete", kind.name, namespace, name)(error))
            }
            _ => Ok(()),
        }
    }

    async fn finalize(&self, name: &str, uid: &str) -> Result<(), Error> {
        let r = resource_of::<Namespace>();
        let live = match self.client.api.get(r, "", name).await {
            Ok(live) => live,
            Err(error) if error.code == 404 => return Ok(()),
            Err(error) => return Err(api_error("get", r, "", name)(error)),
        };
        if live["metadata"]["uid"] != uid {
            return Ok(());
        }
        let mut new = (*live).clone();
        let left = live["spec"]["finalizers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|f| *f != FINALIZER);
        new["spec"]["finalizers"] = json!(left.collect::<Vec<_>>());
        match self.client.api.update(r, "finalize", &new).await {
            Err(error) if error.code != 404 => Err(api_error("update", r, "", name)(error)),
            _ => Ok(()),
        }
    }
}

fn finalizers(namespace: &Namespace) -> &[String] {
    namespace
        .spec
        .as_ref()
        .and_then(|s| s.finalizers.as_deref())
        .unwrap_or_default()
}
