//! New keys for the whole cluster while it runs: CA, service-account tokens, join tokens, and the key that seals secrets.
//!
//! ```text
//! skiff server rotate-keys ─► record in the store ─► every member takes it over: files, TLS, certificates, kubeconfigs
//!                                                    the leader says so in the EndpointSlices ─► agents renew
//! skiff server rotate-keys --finish: once members, nodes and pods have the new keys ─► the record without the old ones
//! ```
//! The record is all there is to a step: it is written in one transaction, sealed with the key that members have in a file,
//! and each member brings itself in line with it, also after a crash. What the two CAs are to each other is in
//! `pki/held.rs`. The next key of `pki/secrets.key` is beside the record, sealed with the one before, until the rotation is
//! finished; all secrets are sealed with a new key below it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::{Value, json};
use skiff_api::{AUTHORITY, Registry, Status};
use skiff_store::{Compare, Error, Op, Txn};

use super::{Membership, record};
use crate::pki::Keys;

const RECORD: &str = "/skiff/keys";
/// What a member says that it has.
const HAS: &str = "/skiff/keys-of/";
const RETRY: Duration = Duration::from_secs(1);
/// Agents look at the tokens of their pods each minute.
const TOKENS: Duration = Duration::from_secs(150);

pub(super) fn has_key(member: u64) -> Bytes {
    format!("{HAS}{member}").into()
}

impl Membership {
    /// Takes over the keys in the record whenever they are further than this member's.
    pub async fn follow_keys(self: std::sync::Arc<Self>) {
        loop {
            let watch = self.store.watch(record::PREFIX, self.store.revision());
            let followed = async {
                self.take_keys().map_err(|status| status.message)?;
                self.say_keys().await.map_err(|error| error.to_string())
            };
            if let Err(error) = followed.await {
                tracing::warn!(error, "taking over the keys of the cluster failed, trying again");
                tokio::time::sleep(RETRY).await;
                continue;
            }
            let event = match watch {
                Ok(mut watch) => watch.next().await.map(drop),
                Err(error) => Err(error),
            };
            match event {
                Ok(()) => {}
                Err(Error::Closed(_)) => return,
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    fn take_keys(&self) -> Result<(), Status> {
        let Some(entry) = self.store.get(RECORD.as_bytes()) else {
            return Ok(());
        };
        let registry = self.registry()?;
        // Before this member says that it has the keys.
        registry.take_file_key()?;
        let plain = registry.open_for_members(RECORD.as_bytes(), &entry.value);
        let keys: Option<Keys> = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
        let keys = keys.ok_or_else(|| {
            Status::internal("the keys in the store can't be opened with pki/secrets.key of this member")
        })?;
        let adopted = self.pki.adopt(&keys).map_err(Status::internal)?;
        if adopted {
            registry
                .set_service_account_keys(&self.pki.service_account_keys())
                .map_err(Status::internal)?;
            tracing::info!(stage = %self.pki.stage(), "the keys of the cluster were taken over");
            // Certificates of a CA that is not believed any more are refused; the leader tells the nodes.
            self.revocations.send_modify(|count| *count += 1);
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Tells the others which keys this member has. A cluster whose keys were never renewed has nothing to tell.
    async fn say_keys(&self) -> Result<(), Error> {
        let key = has_key(self.me());
        let stage = Bytes::from(self.pki.stage().to_string());
        let said = self.store.get(&key);
        if self.store.get(RECORD.as_bytes()).is_none() || said.is_some_and(|entry| entry.value == stage) {
            return Ok(());
        }
        let value = skiff_store::Value {
            bytes: stage,
            revision_at: None,
        };
        let txn = Txn {
            compare: Vec::new(),
            ops: vec![Op::Put(key, value)],
        };
        self.store.commit(txn).await.map(drop)
    }

    /// Makes new keys, beside which the present ones stay valid.
    pub(super) async fn rotate_keys(&self) -> Result<Value, Status> {
        self.store.read_barrier().await?;
        self.take_keys()?;
        if !self.pki.stage().is_settled {
            return Err(Status::new(
                409,
                "Conflict",
                "the keys from before the last rotation are still valid: `skiff server rotate-keys --finish` first",
            ));
        }
        let keys = self.pki.renewed(SystemTime::now()).map_err(Status::internal)?;
        let registry = self.registry()?;
        let answer = self.write_keys(&keys, registry.new_file_key()?).await?;
        // It is made sure of again when the rotation is finished.
        if let Err(status) = registry.seal_by_present_file().await {
            tracing::warn!(%status, "sealing all secrets with a new key");
        }
        Ok(answer)
    }

    /// Ends the validity of the keys before the present ones.
    pub(super) async fn finish_keys(&self, force: bool) -> Result<Value, Status> {
        self.store.read_barrier().await?;
        self.take_keys()?;
        if self.pki.stage().is_settled {
            return Err(Status::new(
                409,
                "Conflict",
                "there is nothing to finish: only the present keys are valid",
            ));
        }
        let registry = self.registry()?;
        let missing = self.without_new_keys(registry).await?;
        if !missing.is_empty() && !force {
            return Err(Status::new(
                409,
                "Conflict",
                format!(
                    "not everybody has the new keys yet: {}; try again later, or remove what is gone for good, or give \
                     --force, after which they are refused",
                    missing.join(", ")
                ),
            ));
        }
        registry.seal_by_present_file().await?;
        self.write_keys(&self.pki.settled(), registry.drop_file_key())
            .await
    }

    /// Writes the keys, and what becomes of that of the file, at once.
    async fn write_keys(&self, keys: &Keys, of_file: Op) -> Result<Value, Status> {
        let name = Bytes::from_static(RECORD.as_bytes());
        let compare = match self.store.get(&name) {
            Some(entry) => Compare::At(name.clone(), entry.mod_revision),
            None => Compare::Absent(name.clone()),
        };
        let plain = serde_json::to_vec(keys).map_err(Status::internal)?;
        let sealed = self.registry()?.seal_for_members(&name, &plain)?;
        let value = skiff_store::Value {
            bytes: sealed.into(),
            revision_at: None,
        };
        let txn = Txn {
            compare: vec![compare],
            ops: vec![Op::Put(name, value), of_file],
        };
        self.store.commit(txn).await?;
        self.take_keys()?;
        Ok(json!({ "stage": self.pki.stage().to_string() }))
    }

    /// Who would be refused if the keys before ceased to be valid now.
    async fn without_new_keys(&self, registry: &Registry) -> Result<Vec<String>, Status> {
        let stage = self.pki.stage().to_string();
        let mut missing = Vec::new();
        for stored in record::all(&self.store) {
            let said = self.store.get(&has_key(stored.record.id));
            if said.is_none_or(|entry| entry.value != stage.as_bytes()) {
                missing.push(format!("member {} ({})", stored.record.id, stored.record.name));
            }
        }
        let nodes = registry
            .resource("", "v1", "nodes")
            .ok_or_else(Status::no_such_path)?;
        let signs = self.pki.pins().into_iter().next().unwrap_or_default();
        for node in registry.list_values(nodes, "").await? {
            if node["metadata"]["annotations"][AUTHORITY] != signs.as_str() {
                let name = node["metadata"]["name"].as_str().unwrap_or_default();
                missing.push(format!("node {name}"));
            }
        }
        let age = self.pki.since_renewal(SystemTime::now()).unwrap_or_default();
        if let Some(left) = TOKENS.checked_sub(age) {
            missing.push(format!("pods, for another {} s", left.as_secs() + 1));
        }
        Ok(missing)
    }
}
