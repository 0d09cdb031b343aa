//! Writes whose results the cache sees at once.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value, json};

use super::{Cached, Caches, Clock, EventType, Object, Recorder, resource_of, seconds};
use crate::{Api, ApiError, DeleteOptions, PatchKind, ResourceName};

/// A write or live read that failed, or an object that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API refused.
    #[error("{verb} {resource} {object}")]
    Api {
        /// `get`, `create`, `patch`, `update`, `delete`, `list`.
        verb: &'static str,
        /// Plural.
        resource: &'static str,
        /// Namespace and name.
        object: String,
        /// What it said.
        source: ApiError,
    },
    /// An object does not have the form of its kind.
    #[error("{resource} can't be encoded or decoded")]
    Form {
        /// Plural.
        resource: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// Not now; the reason is in the text.
    #[error("{0}")]
    Wait(&'static str),
}

impl Error {
    /// What the API said, if it was the API.
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api { source, .. } => Some(source),
            _ => None,
        }
    }

    /// The object is not there.
    pub fn is_not_found(&self) -> bool {
        self.api().is_some_and(|e| e.code == 404)
    }

    /// It exists already.
    pub fn is_already_exists(&self) -> bool {
        self.api()
            .is_some_and(|e| e.code == 409 && e.reason == "AlreadyExists")
    }

    /// Somebody else changed it first: read again and retry.
    pub fn is_conflict(&self) -> bool {
        self.api()
            .is_some_and(|e| e.code == 409 && e.reason != "AlreadyExists")
    }

    /// Nothing can be created in a namespace that is being deleted: harmless.
    pub fn is_namespace_terminating(&self) -> bool {
        self.api()
            .is_some_and(|e| e.code == 403 && e.message.contains("being terminated"))
    }
}

/// The API with one controller's identity, and the caches.
#[derive(Clone)]
pub struct Client {
    /// Name of the controller.
    pub name: &'static str,
    /// The API.
    pub api: Arc<dyn Api>,
    /// What is known.
    pub caches: Arc<Caches>,
    clock: Clock,
    recorder: Recorder,
}

impl Client {
    /// A client of one controller.
    pub fn new(
        name: &'static str,
        api: Arc<dyn Api>,
        caches: Arc<Caches>,
        recorder: Recorder,
        clock: Clock,
    ) -> Self {
        Self {
            name,
            api,
            caches,
            clock,
            recorder,
        }
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Now, as Kubernetes writes it.
    pub fn time(&self) -> Time {
        seconds(self.now())
    }

    /// Creates an object.
    pub async fn create<T: Cached>(&self, object: &T) -> Result<Arc<T>, Error> {
        let resource = resource_of::<T>();
        let value = encode(resource, object)?;
        let name = if object.name().is_empty() {
            object.metadata().generate_name.as_deref().unwrap_or_default()
        } else {
            object.name()
        };
        let created = self.api.create(resource, &value).await;
        let created = created.map_err(api_error("create", resource, object.namespace(), name))?;
        self.take::<T>(&created)
    }

    /// Writes the difference between `old`, which must be as the API gave it, and `new`; refused by the API when
    /// the object has changed since. `None`: there is no difference.
    pub async fn patch<T: Cached>(
        &self,
        old: &T,
        new: &T,
        subresource: &str,
    ) -> Result<Option<Arc<T>>, Error> {
        let resource = resource_of::<T>();
        let Some(mut patch) = difference(&encode(resource, old)?, &encode(resource, new)?) else {
            return Ok(None);
        };
        patch["metadata"]["resourceVersion"] = json!(old.metadata().resource_version);
        patch["metadata"]["uid"] = json!(old.metadata().uid);
        let (namespace, name) = (old.namespace(), old.name());
        let patched = self
            .api
            .patch(resource, namespace, name, subresource, PatchKind::Merge, &patch)
            .await;
        match patched {
            Ok(value) => self.take::<T>(&value).map(Some),
            Err(error) => {
                if error.code == 404 {
                    T::cache(&self.caches).forget(&old.key(), old.uid());
                }
                Err(api_error("patch", resource, namespace, name)(error))
            }
        }
    }

    /// Deletes an object, if it is still the one with this uid. Gone already counts as done.
    pub async fn delete<T: Cached>(&self, object: &T, options: DeleteOptions) -> Result<(), Error> {
        let resource = resource_of::<T>();
        let options = DeleteOptions {
            uid: object.metadata().uid.clone(),
            ..options
        };
        match self
            .api
            .delete(resource, object.namespace(), object.name(), &options)
            .await
        {
            Ok(()) => {
                T::cache(&self.caches).mark_deleting(object.uid());
                Ok(())
            }
            Err(error) if error.code == 404 => {
                T::cache(&self.caches).forget(&object.key(), object.uid());
                Ok(())
            }
            Err(error) => Err(api_error("delete", resource, object.namespace(), object.name())(
                error,
            )),
        }
    }

    /// Reads an object from the API, not from the cache. `None`: it does not exist.
    pub async fn live<T: Cached>(&self, namespace: &str, name: &str) -> Result<Option<Arc<T>>, Error> {
        let resource = resource_of::<T>();
        match self.api.get(resource, namespace, name).await {
            Ok(value) => self.take::<T>(&value).map(Some),
            Err(error) if error.code == 404 => Ok(None),
            Err(error) => Err(api_error("get", resource, namespace, name)(error)),
        }
    }

    /// Records an event about an object.
    pub fn event<T: Object>(&self, object: &T, kind: EventType, reason: &'static str, message: String) {
        self.recorder.record(self, object, kind, reason, message);
    }

    fn take<T: Cached>(&self, value: &Value) -> Result<Arc<T>, Error> {
        let resource = resource_of::<T>();
        T::cache(&self.caches)
            .written(value)
            .map_err(|source| Error::Form {
                resource: resource.plural,
                source,
            })
    }
}

/// Wraps an API error with what was tried.
pub fn api_error(
    verb: &'static str,
    resource: ResourceName,
    namespace: &str,
    name: &str,
) -> impl FnOnce(ApiError) -> Error {
    let object = super::Key::new(namespace, name).to_string();
    move |source| Error::Api {
        verb,
        resource: resource.plural,
        object,
        source,
    }
}

fn encode<T: Object>(resource: ResourceName, object: &T) -> Result<Value, Error> {
    serde_json::to_value(object).map_err(|source| Error::Form {
        resource: resource.plural,
        source,
    })
}

/// The merge patch (RFC 7386) that makes `new` out of `old`; `None` when they are equal.
pub fn difference(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(a), Value::Object(b)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let mut patch = Map::new();
    for (key, value) in b {
        let changed = match a.get(key) {
            Some(before) => difference(before, value),
            None => Some(value.clone()),
        };
        patch.extend(changed.map(|v| (key.clone(), v)));
    }
    patch.extend(
        a.keys()
            .filter(|k| !b.contains_key(*k))
            .map(|k| (k.clone(), Value::Null)),
    );
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_a_merge_patch_with_nulls_for_what_is_gone() {
        let old = json!({"a": 1, "b": {"c": [1], "d": 2}, "e": 3});
        let new = json!({"a": 1, "b": {"c": [1, 2], "d": 2}});
        assert_eq!(
            difference(&old, &new),
            Some(json!({"b": {"c": [1, 2]}, "e": null}))
        );
        assert_eq!(difference(&old, &old), None);
    }
}
