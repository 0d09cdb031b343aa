//! The service account `default` of every namespace.

use std::sync::Arc;

use k8s_openapi::{api::core::v1::ServiceAccount, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use tokio_util::sync::CancellationToken;

use crate::machinery::{Client, Key, Object, Outcome, Queue, listen, run_keyed};

const NAME: &str = "default";

/// The controller.
pub struct Controller {
    client: Client,
    queue: Arc<Queue<Key>>,
}

impl Controller {
    /// Registers its listeners.
    pub fn new(client: Client) -> Self {
        let queue: Arc<Queue<Key>> = Arc::new(Queue::default());
        listen::namespaces(&client.caches, &queue);
        let q = queue.clone();
        client.caches.service_accounts.listen(move |old, new| {
            let gone = old.filter(|o| new.is_none() && o.name() == NAME);
            gone.into_iter().for_each(|a| q.add(Key::new("", a.namespace())));
        });
        Self { client, queue }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (queue, caches) = (self.queue.clone(), self.client.caches.clone());
        run_keyed(
            "serviceaccount",
            queue,
            8,
            || caches.namespaces.keys(),
            stop,
            |key| self.reconcile(key),
        )
        .await;
    }

    async fn reconcile(&self, key: Key) -> Outcome {
        let caches = &self.client.caches;
        let Some(namespace) = caches.namespaces.get_key(&key) else {
            return Ok(None);
        };
        if namespace.is_terminating() || caches.service_accounts.get(&key.name, NAME).is_some() {
            return Ok(None);
        }
        let account = ServiceAccount {
            metadata: ObjectMeta {
                name: Some(NAME.to_owned()),
                namespace: Some(key.name),
                ..ObjectMeta::default()
            },
            ..ServiceAccount::default()
        };
        match self.client.create(&account).await {
            Err(error) if !error.is_already_exists() && !error.is_namespace_terminating() => Err(error),
            _ => Ok(None),
        }
    }
}
