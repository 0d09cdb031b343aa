//! The generic registry: every read and write of every kind, for HTTP requests and for controllers in this process.
//!
//! The way of a write: `write` (metadata, defaults, admission, strategy, validation, managed fields) → `allocate`
//! (service addresses and ports) → `codec` (bytes, encryption) → one transaction on the store. Reads copy the
//! stored bytes.

mod allocate;
mod bind;
mod bootstrap;
mod codec;
mod delete;
mod evict;
mod file_key;
mod follow;
pub(crate) mod meta;
mod patch;
mod read;
mod scale;
mod seal;
mod write;

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use serde_json::Value;
use skiff_auth::{
    User,
    token::{TokenError, Tokens},
};
use skiff_resources::Resource;
use skiff_store::{Entry, Store};

pub use bind::Binding;
pub(crate) use bootstrap::run as bootstrap;
pub(crate) use codec::{Codec, wire};
pub use delete::{DeleteOptions, Propagation};
pub use file_key::{FORMER_SECRETS_KEYS, KeyError};
pub use follow::{Change, Follower};
pub use patch::{Patch, PatchFormat};
pub(crate) use read::narrowed;
pub use read::{List, Object};
pub use write::Preconditions;

use crate::{
    DualRange, authz::Authorizer, metrics::Metrics, request::query::FieldValidation, status::Status,
    watch::Shared,
};

/// Who writes, and how.
#[derive(Clone, Debug, Default)]
pub struct RequestContext {
    /// The user (after impersonation).
    pub user: User,
    /// `fieldManager`; empty: the first word of the user agent.
    pub field_manager: String,
    /// Everything but the write.
    pub dry_run: bool,
    /// What happens to unknown fields.
    pub field_validation: FieldValidation,
    /// `User-Agent`.
    pub user_agent: String,
}

impl RequestContext {
    /// The context of a part of this process that acts under a user's name.
    pub fn internal(user: User, field_manager: &str) -> Self {
        Self {
            user,
            field_manager: field_manager.to_owned(),
            ..Self::default()
        }
    }

    /// The name under which fields are managed.
    pub fn manager(&self) -> &str {
        if !self.field_manager.is_empty() {
            return &self.field_manager;
        }
        let agent = self.user_agent.split('/').next().unwrap_or_default();
        if agent.is_empty() { "unknown" } else { agent }
    }
}

/// One object of one resource.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The row.
    pub resource: &'static Resource,
    /// Namespace, empty for cluster scope.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
}

impl Target<'_> {
    pub(crate) fn key(&self) -> Bytes {
        key(self.resource, self.namespace, self.name)
    }
}

/// The key of an object.
pub(crate) fn key(resource: &Resource, namespace: &str, name: &str) -> Bytes {
    let (group, plural) = resource.storage;
    skiff_store::key::object(group, plural, namespace, name)
}

/// The prefix of a resource's keys.
pub(crate) fn prefix(resource: &Resource, namespace: &str) -> Bytes {
    let (group, plural) = resource.storage;
    skiff_store::key::prefix(group, plural, (!namespace.is_empty()).then_some(namespace))
}

/// What a write left behind.
#[derive(Clone, Debug)]
pub struct Written {
    /// The object as it goes on the wire.
    pub bytes: Bytes,
    /// The same, parsed.
    pub value: Arc<Value>,
    /// Whether the object is new.
    pub created: bool,
    /// Warnings for the client.
    pub warnings: Vec<String>,
}

/// What the registry is made of.
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) codec: Codec,
    pub(crate) service_cidr: DualRange,
    pub(crate) node_ports: std::ops::RangeInclusive<u16>,
    pub(crate) tokens: Tokens,
    pub(crate) metrics: Metrics,
    pub(crate) watches: Shared,
}

pub(crate) struct Inner {
    pub(crate) parts: Parts,
    rows: HashMap<(&'static str, &'static str, &'static str), &'static Resource>,
    pub(crate) authorizer: Authorizer,
}

/// The registry. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    pub(crate) inner: Arc<Inner>,
}

impl Registry {
    pub(crate) fn new(parts: Parts) -> Self {
        let rows = skiff_resources::table()
            .iter()
            .map(|row| ((&*row.group, &*row.version, &*row.plural), row))
            .collect();
        Self {
            inner: Arc::new(Inner {
                parts,
                rows,
                authorizer: Authorizer::default(),
            }),
        }
    }

    /// The row of a resource.
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
        let rows: &HashMap<(&str, &str, &str), &'static Resource> = &self.inner.rows;
        rows.get(&(group, version, plural)).copied()
    }

    /// The row of a resource in whatever version is served first.
    pub fn any_version(&self, group: &str, plural: &str) -> Option<&'static Resource> {
        skiff_resources::table()
            .iter()
            .find(|row| row.group == group && row.plural == plural)
    }

    /// The row of a kind.
    pub fn kind(&self, api_version: &str, kind: &str) -> Option<&'static Resource> {
        skiff_resources::find_kind(api_version, kind)
    }

    /// The store below.
    pub fn store(&self) -> &Store {
        &self.inner.parts.store
    }

    pub(crate) fn authorizer(&self) -> &Authorizer {
        &self.inner.authorizer
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.inner.parts.tokens
    }

    /// Signs service-account tokens with the first of these keys from now on, and takes those of all of them.
    ///
    /// # Errors
    /// When one is no key; nothing has changed then.
    pub fn set_service_account_keys(&self, keys: &[String]) -> Result<(), TokenError> {
        self.tokens().set_keys(keys)
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.parts.metrics
    }

    /// The stored object of a core resource, parsed, without a barrier: for admission and the like.
    pub(crate) fn peek(&self, group: &str, plural: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let row = self.any_version(group, plural)?;
        let entry = self.store().get(&key(row, namespace, name))?;
        self.parse(&entry).ok()
    }

    /// The stored object parsed, shared between all who ask for the same revision of it.
    pub(crate) fn parse(&self, entry: &Entry) -> Result<Arc<Value>, Status> {
        self.inner.parts.codec.value(entry, entry.mod_revision)
    }
}

/// `group/version`, or the version alone in the core group.
pub(crate) fn api_version_of(resource: &Resource) -> String {
    if resource.group.is_empty() {
        resource.version.to_string()
    } else {
        format!("{}/{}", resource.group, resource.version)
    }
}
