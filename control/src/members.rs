//! Who belongs to the control plane: joining, leaving, and what the leader does to bring the group in line with the
//! records (`record.rs`); the decision is [`plan::next`].

pub mod identity;
mod keep;
mod keys;
pub mod plan;
pub mod record;
mod requests;

pub use requests::{JoinAnswer, JoinRequest};

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use serde_json::Value;
use skiff_api::{
    Registry, Status,
    members::{Asker, BoxStream, Certificate, Members, StreamKind},
};
use skiff_auth::User;
use skiff_store::Store;
use tokio::sync::{Notify, watch};

use crate::{
    peers::{NodePlaces, Peers},
    pki::{self, Pki},
};

/// Part of what a removed member is told; it recognises itself by it.
pub(crate) const REMOVED: &str = "was removed from the cluster";

/// This member's part in the membership.
pub struct Membership {
    store: Store,
    peers: Arc<Peers>,
    pki: Arc<Pki>,
    /// Settings that all members must have in common.
    fixed: Value,
    places: NodePlaces,
    registry: OnceLock<Registry>,
    /// A record was changed here: no need to wait for the next look.
    changed: Notify,
    /// Everybody, as far as this member knows.
    known: watch::Sender<Vec<record::Record>>,
    /// Counts changes of what is known of members, revocations among them.
    revocations: watch::Sender<u64>,
}

impl Membership {
    /// Over an open store.
    pub fn new(store: Store, peers: Arc<Peers>, pki: Arc<Pki>, fixed: Value) -> Arc<Self> {
        Arc::new(Self {
            store,
            peers,
            pki,
            fixed,
            places: NodePlaces::default(),
            registry: OnceLock::new(),
            changed: Notify::new(),
            known: watch::Sender::default(),
            revocations: watch::Sender::new(0),
        })
    }

    /// Everybody, as far as this member knows, as it changes.
    pub fn known(&self) -> watch::Receiver<Vec<record::Record>> {
        self.known.subscribe()
    }

    /// The registry, once the API server has made it: the leader publishes where servers are.
    pub fn publish_through(&self, registry: Registry) {
        let _ = self.registry.set(registry);
    }

    fn me(&self) -> u64 {
        self.peers.me()
    }
}

#[async_trait]
impl Members for Membership {
    fn member_of(&self, user: &User, key: &str) -> Option<u64> {
        let id = pki::member_of(user)?;
        // A member that has just joined, or starts, does not have the records yet; it has been told who is who.
        let record = record::get(&self.store, id).map(|stored| stored.record);
        let record = record.or_else(|| self.peers.record(id))?;
        (record.key == key).then_some(id)
    }

    fn refused(&self, certificate: &Certificate) -> Option<String> {
        let Certificate { key, issuer } = certificate;
        if !key.is_empty() && record::is_removed(&self.store, key) {
            return Some(format!("the certificate is refused: its owner {REMOVED}"));
        }
        let is_past = self.pki.has_dropped(issuer);
        is_past.then(|| "the certificate is refused: the keys of the cluster were made anew".to_owned())
    }

    fn revocations(&self) -> watch::Receiver<u64> {
        self.revocations.subscribe()
    }

    fn accept(&self, member: u64, kind: StreamKind, announced: Option<&str>, stream: BoxStream) {
        self.peers.accept(member, kind, announced, stream);
    }

    async fn answer(&self, asker: Asker, method: &Method, path: &str, body: Bytes) -> Result<Value, Status> {
        self.request(asker, method, path, body).await
    }

    async fn open(&self, node: &str) -> Option<BoxStream> {
        self.places.open(&self.peers, node).await
    }
}
