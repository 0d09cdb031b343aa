//! The ConfigMap `kube-root-ca.crt` of every namespace: what pods trust the API server by.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::machinery::{Client, Key, Object, Outcome, Queue, listen, run_keyed};

const NAME: &str = "kube-root-ca.crt";
const DATA: &str = "ca.crt";
const DESCRIPTION: &str = "kubernetes.io/description";
const TEXT: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints \
                    such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across \
                    distributions of Kubernetes clusters.";

/// The controller.
pub struct Controller {
    client: Client,
    queue: Arc<Queue<Key>>,
    ca: watch::Receiver<String>,
}

impl Controller {
    /// Registers its listeners.
    pub fn new(client: Client, ca: watch::Receiver<String>) -> Self {
        let queue: Arc<Queue<Key>> = Arc::new(Queue::default());
        listen::namespaces(&client.caches, &queue);
        let q = queue.clone();
        client.caches.config_maps.listen(move |old, new| {
            new.or(old)
                .into_iter()
                .for_each(|m| q.add(Key::new("", m.namespace())));
        });
        Self { client, queue, ca }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let (queue, caches) = (self.queue.clone(), self.client.caches.clone());
        let mut ca = self.ca.clone();
        let following = async {
            while ca.changed().await.is_ok() {
                caches
                    .namespaces
                    .keys()
                    .into_iter()
                    .for_each(|key| self.queue.add(key));
            }
            std::future::pending::<()>().await;
        };
        let working = run_keyed(
            "rootca",
            queue,
            8,
            || caches.namespaces.keys(),
            stop,
            |key| self.reconcile(key),
        );
        tokio::select! {
            () = working => {}
            () = following => {}
        }
    }

    async fn reconcile(&self, key: Key) -> Outcome {
        let caches = &self.client.caches;
        let Some(namespace) = caches.namespaces.get_key(&key) else {
            return Ok(None);
        };
        if namespace.is_terminating() {
            return Ok(None);
        }
        let ca = self.ca.borrow().clone();
        let result = match caches.config_maps.get(&key.name, NAME) {
            None => self.client.create(&config_map(&key.name, &ca)).await.map(|_| ()),
            Some(old) if old.is_terminating() => Ok(()),
            Some(old) => {
                let mut new = (*old).clone();
                let wanted = config_map(&key.name, &ca);
                new.data = wanted.data;
                let annotations = new.metadata.annotations.get_or_insert_default();
                annotations.extend(wanted.metadata.annotations.into_iter().flatten());
                self.client.patch(&*old, &new, "").await.map(|_| ())
            }
        };
        match result {
            Err(error) if !error.is_already_exists() && !error.is_namespace_terminating() => Err(error),
            _ => Ok(None),
        }
    }
}

fn config_map(namespace: &str, ca_pem: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            namespace: Some(namespace.to_owned()),
            annotations: Some(BTreeMap::from([(DESCRIPTION.to_owned(), TEXT.to_owned())])),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(DATA.to_owned(), ca_pem.to_owned())])),
        ..ConfigMap::default()
    }
}
