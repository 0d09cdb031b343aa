//! The registry as controllers see it: the same checks as for any client, without HTTP in between.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use skiff_api::{
    Registry, RequestContext, Status,
    registry::{Change, DeleteOptions, Patch, PatchFormat, Preconditions, Propagation, Target},
};
use skiff_auth::User;
use skiff_controllers::{Api, ApiError, Binding, PatchKind, ResourceKind, ResourceName, WatchEvent};
use skiff_resources::{Part, Resource};
use tokio::sync::mpsc;

/// How many changes wait for a controller before the follower does.
const QUEUE: usize = 256;

/// One controller's access, under its own name.
pub struct ControllerApi {
    registry: Registry,
    ctx: RequestContext,
}

impl ControllerApi {
    /// For the controller of this name: `system:serviceaccount:kube-system:<name>`, the scheduler as
    /// `system:kube-scheduler`.
    pub fn new(registry: Registry, name: &str) -> Self {
        let user = match name {
            "kube-scheduler" => User::authenticated("system:kube-scheduler", &[]),
            _ => User::authenticated(
                format!("system:serviceaccount:kube-system:{name}"),
                &["system:serviceaccounts", "system:serviceaccounts:kube-system"],
            ),
        };
        let manager = if name == "kube-scheduler" {
            name
        } else {
            "kube-controller-manager"
        };
        Self {
            registry,
            ctx: RequestContext::internal(user, manager),
        }
    }

    fn row(&self, r: ResourceName) -> Result<&'static Resource, ApiError> {
        self.registry
            .resource(r.group, r.version, r.plural)
            .ok_or_else(|| error(Status::no_such_path()))
    }

    fn target<'a>(&self, r: ResourceName, namespace: &'a str, name: &'a str) -> Result<Target<'a>, ApiError> {
        Ok(Target {
            resource: self.row(r)?,
            namespace,
            name,
        })
    }
}

#[async_trait]
impl Api for ControllerApi {
    async fn get(&self, r: ResourceName, namespace: &str, name: &str) -> Result<Arc<Value>, ApiError> {
        self.registry
            .get_value(&self.target(r, namespace, name)?)
            .await
            .map_err(error)
    }

    async fn list(&self, r: ResourceName, namespace: &str) -> Result<Vec<Arc<Value>>, ApiError> {
        self.registry
            .list_values(self.row(r)?, namespace)
            .await
            .map_err(error)
    }

    fn watch(&self, r: ResourceName) -> mpsc::Receiver<WatchEvent> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        // A resource that is not served has no objects: the channel ends at once.
        let Ok(row) = self.row(r) else { return receiver };
        let mut follower = self.registry.follow(row);
        tokio::spawn(async move {
            loop {
                let changes = tokio::select! {
                    changes = follower.next() => changes,
                    () = sender.closed() => return,
                };
                let Some(changes) = changes else { return };
                for change in changes {
                    let event = match change {
                        Change::Applied(object) => WatchEvent::Applied(object),
                        Change::Deleted(object) => WatchEvent::Deleted(object),
                        Change::Synced => WatchEvent::Synced,
                    };
                    if sender.send(event).await.is_err() {
                        return;
                    }
                }
            }
        });
        receiver
    }

    async fn create(&self, r: ResourceName, object: &Value) -> Result<Arc<Value>, ApiError> {
        let namespace = object
            .pointer("/metadata/namespace")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let written = self
            .registry
            .create(&self.ctx, self.row(r)?, &namespace, object.clone())
            .await;
        written.map(|w| w.value).map_err(error)
    }

    async fn update(
        &self,
        r: ResourceName,
        subresource: &str,
        object: &Value,
    ) -> Result<Arc<Value>, ApiError> {
        let text = |pointer| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let target = self.target(r, text("/metadata/namespace"), text("/metadata/name"))?;
        let written = self
            .registry
            .update(&self.ctx, &target, part(subresource), object.clone())
            .await;
        written.map(|w| w.value).map_err(error)
    }

    async fn patch(
        &self,
        r: ResourceName,
        namespace: &str,
        name: &str,
        subresource: &str,
        kind: PatchKind,
        patch: &Value,
    ) -> Result<Arc<Value>, ApiError> {
        let format = match kind {
            PatchKind::Merge => PatchFormat::Merge,
            PatchKind::Json => PatchFormat::Json,
            PatchKind::Strategic => PatchFormat::Strategic,
        };
        let patch = Patch {
            format,
            body: patch.to_string().into(),
            force: false,
        };
        let target = self.target(r, namespace, name)?;
        let written = self
            .registry
            .patch(&self.ctx, &target, part(subresource), &patch)
            .await;
        written.map(|w| w.value).map_err(error)
    }

    async fn delete(
        &self,
        r: ResourceName,
        namespace: &str,
        name: &str,
        options: &skiff_controllers::DeleteOptions,
    ) -> Result<(), ApiError> {
        let options = DeleteOptions {
            grace_seconds: options.grace_seconds,
            propagation: options.propagation.map(|policy| match policy {
                "Orphan" => Propagation::Orphan,
                "Foreground" => Propagation::Foreground,
                _ => Propagation::Background,
            }),
            preconditions: Preconditions {
                uid: options.uid.clone(),
                resource_version: options.resource_version.clone(),
            },
            ..DeleteOptions::default()
        };
        let target = self.target(r, namespace, name)?;
        self.registry
            .delete(&self.ctx, &target, &options)
            .await
            .map(drop)
            .map_err(error)
    }

    async fn bind(&self, bindings: &[Binding]) -> Vec<Result<(), ApiError>> {
        let bindings: Vec<_> = bindings
            .iter()
            .map(|b| skiff_api::registry::Binding {
                namespace: b.namespace.clone(),
                name: b.name.clone(),
                uid: b.uid.clone(),
                node: b.node.clone(),
            })
            .collect();
        let results = self.registry.bind_many(&bindings).await;
        results.into_iter().map(|result| result.map_err(error)).collect()
    }
}

/// The sub-resources that controllers write.
fn part(subresource: &str) -> Part {
    match subresource {
        "" => Part::Main,
        "status" => Part::Status,
        "finalize" => Part::Other("finalize"),
        _ => Part::Other("binding"),
    }
}

fn error(status: Status) -> ApiError {
    ApiError {
        code: status.code,
        reason: status.reason.to_owned(),
        message: status.message,
    }
}

/// Every stored kind, for the controllers that look at all of them (garbage collection, namespaces).
pub fn stored_kinds() -> Vec<ResourceKind> {
    let is_static = |text: &std::borrow::Cow<'static, str>| match text {
        std::borrow::Cow::Borrowed(text) => Some(*text),
        std::borrow::Cow::Owned(_) => None,
    };
    let mut seen = std::collections::BTreeSet::new();
    skiff_resources::table()
        .iter()
        // Events of both groups are one: looked at once. What can't be deleted is not stored.
        .filter(|row| {
            row.verbs.contains(&"delete") && row.verbs.contains(&"list") && seen.insert(row.storage)
        })
        .filter_map(|row| {
            let name = ResourceName {
                group: is_static(&row.group)?,
                version: is_static(&row.version)?,
                plural: is_static(&row.plural)?,
            };
            Some(ResourceKind {
                name,
                kind: is_static(&row.kind)?,
                namespaced: row.namespaced,
            })
        })
        .collect()
}
