//! Typed objects and their keys.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::{
    Metadata,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::ResourceName;

/// Namespace (empty for cluster-scoped objects) and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Namespace, or empty.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// A key.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

/// An API object with metadata.
pub trait Object:
    Metadata<Ty = ObjectMeta> + DeserializeOwned + Serialize + Clone + PartialEq + Send + Sync + 'static
{
    /// Name, empty before the API gave one.
    fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }
    /// Namespace, empty for cluster-scoped objects.
    fn namespace(&self) -> &str {
        self.metadata().namespace.as_deref().unwrap_or_default()
    }
    /// uid.
    fn uid(&self) -> &str {
        self.metadata().uid.as_deref().unwrap_or_default()
    }
    /// resourceVersion as the number it is in this store.
    fn revision(&self) -> u64 {
        self.metadata()
            .resource_version
            .as_deref()
            .and_then(|v| v.parse().ok())
            .unwrap_or_default()
    }
    /// Namespace and name.
    fn key(&self) -> Key {
        Key::new(self.namespace(), self.name())
    }
    /// Labels.
    fn labels(&self) -> &BTreeMap<String, String> {
        self.metadata().labels.as_ref().unwrap_or(&NO_LABELS)
    }
    /// Annotations.
    fn annotations(&self) -> &BTreeMap<String, String> {
        self.metadata().annotations.as_ref().unwrap_or(&NO_LABELS)
    }
    /// Whether its deletion has begun.
    fn is_terminating(&self) -> bool {
        self.metadata().deletion_timestamp.is_some()
    }
    /// The owner reference with `controller: true`.
    fn controller(&self) -> Option<&OwnerReference> {
        self.metadata()
            .owner_references
            .iter()
            .flatten()
            .find(|o| o.controller == Some(true))
    }
    /// A reference that makes this object the controller of another.
    fn controller_reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: Self::API_VERSION.to_owned(),
            block_owner_deletion: Some(true),
            controller: Some(true),
            kind: Self::KIND.to_owned(),
            name: self.name().to_owned(),
            uid: self.uid().to_owned(),
        }
    }
}

impl<T> Object for T where
    T: Metadata<Ty = ObjectMeta> + DeserializeOwned + Serialize + Clone + PartialEq + Send + Sync + 'static
{
}

/// The resource of a typed object.
pub fn resource_of<T: Object>() -> ResourceName {
    ResourceName {
        group: T::GROUP,
        version: T::VERSION,
        plural: T::URL_PATH_SEGMENT,
    }
}
