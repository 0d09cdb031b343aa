//! Controllers and scheduler: level-triggered, one key at a time, desired and observed in, a plan out, then carried
//! out. They run on the Raft leader, in the server's process, and reach the API through the [`Api`] trait: the same
//! admission, validation and conflicts as any client, without HTTP in between.

mod deployment;
mod disruption;
mod endpointslice;
mod garbage;
mod loadbalancer;
mod machinery;
mod namespace;
mod node;
mod podgc;
mod replicaset;
mod rootca;
mod scheduler;
mod serviceaccount;
#[cfg(test)]
mod testing;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use loadbalancer::Pool;
use machinery::{Caches, Client, Clock, Recorder};

/// Names a resource: group (empty for core), version, plural.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResourceName {
    /// API group, empty for core.
    pub group: &'static str,
    /// Version.
    pub version: &'static str,
    /// Plural.
    pub plural: &'static str,
}

/// An API error as controllers need to tell them apart.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason} ({code}): {message}")]
pub struct ApiError {
    /// HTTP code: 404 gone, 409 conflict or already exists, 410 expired, 422 invalid …
    pub code: u16,
    /// Kubernetes' reason: `NotFound`, `Conflict`, `AlreadyExists`, `Expired` …
    pub reason: String,
    /// Text.
    pub message: String,
}

/// One watch event. Objects are shared: never copied per controller.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    /// Created or changed; also one for each object that exists when the watch starts.
    Applied(Arc<Value>),
    /// Deleted; the last state.
    Deleted(Arc<Value>),
    /// Everything that existed at the start has been sent.
    Synced,
}

/// How a patch is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// RFC 7386.
    Merge,
    /// RFC 6902.
    Json,
    /// Kubernetes' strategic merge.
    Strategic,
}

/// How to delete.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Only the object with this uid.
    pub uid: Option<String>,
    /// Only at this resourceVersion.
    pub resource_version: Option<String>,
    /// `Background`, `Foreground`, `Orphan`.
    pub propagation: Option<&'static str>,
    /// Grace period in seconds.
    pub grace_seconds: Option<i64>,
}

/// The API as controllers see it; `skiff-control` implements it over the server's registry with the controller's
/// own service-account identity (`system:serviceaccount:kube-system:<controller>` or `system:kube-scheduler`).
#[async_trait]
pub trait Api: Send + Sync + 'static {
    /// Reads one object.
    async fn get(&self, r: ResourceName, namespace: &str, name: &str) -> Result<Arc<Value>, ApiError>;
    /// Lists objects, in one namespace or (empty) everywhere.
    async fn list(&self, r: ResourceName, namespace: &str) -> Result<Vec<Arc<Value>>, ApiError>;
    /// Follows all objects of a resource: first what exists, then [`WatchEvent::Synced`], then changes. Ends by
    /// itself only when the server stops; after being left behind it re-lists and sends the difference.
    fn watch(&self, r: ResourceName) -> tokio::sync::mpsc::Receiver<WatchEvent>;
    /// Creates; `metadata.namespace` in the object says where.
    async fn create(&self, r: ResourceName, object: &Value) -> Result<Arc<Value>, ApiError>;
    /// Replaces; the object's resourceVersion is the precondition. `subresource` is empty, `status`, `finalize`, …
    async fn update(
        &self,
        r: ResourceName,
        subresource: &str,
        object: &Value,
    ) -> Result<Arc<Value>, ApiError>;
    /// Patches.
    async fn patch(
        &self,
        r: ResourceName,
        namespace: &str,
        name: &str,
        subresource: &str,
        kind: PatchKind,
        patch: &Value,
    ) -> Result<Arc<Value>, ApiError>;
    /// Deletes.
    async fn delete(
        &self,
        r: ResourceName,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<(), ApiError>;
    /// Binds many pods to nodes in one log entry where possible: `(namespace, name, uid, node)` each; one result
    /// per pod, in order.
    async fn bind(&self, bindings: &[Binding]) -> Vec<Result<(), ApiError>>;
}

/// A scheduling decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Pod namespace.
    pub namespace: String,
    /// Pod name.
    pub name: String,
    /// Pod uid (precondition).
    pub uid: String,
    /// Node name.
    pub node: String,
}

/// One served kind, as the garbage collector and the namespace controller need to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResourceKind {
    /// The resource, in the version it is to be read in.
    pub name: ResourceName,
    /// Kind, e.g. `Deployment`: owner references name kinds, not resources.
    pub kind: &'static str,
    /// Lives in a namespace.
    pub namespaced: bool,
}

/// Settings of the controllers.
#[derive(Clone, Debug)]
pub struct Config {
    /// PEM of the cluster's CAs, for `kube-root-ca.crt` in every namespace.
    pub root_ca: tokio::sync::watch::Receiver<String>,
    /// Pods of the cluster get addresses from here; every node gets a /24 (`spec.podCIDR`), and with a second range, of IPv6,
    /// behind a comma a /64 beside it.
    pub pod_cidr: String,
    /// A node whose Lease is older than this is not ready. Kubernetes: 40 s.
    pub node_grace_seconds: u64,
    /// Addresses for services of type LoadBalancer; without, they have those of the nodes.
    pub load_balancer_pool: Option<Pool>,
    /// Every kind that can be listed, watched and deleted, once per stored kind (not once per version): the content
    /// of a namespace, and the graph of owners.
    pub resources: Vec<ResourceKind>,
}

/// After a panic, all controllers start again after this time.
const RESTART: Duration = Duration::from_secs(5);

/// Runs all controllers and the scheduler until `stop` is cancelled (leadership lost or shutdown). Returns when
/// all have ended. `api` gives each controller its own identity by name.
///
/// The names are those of the bootstrap roles: `deployment-controller`, `replicaset-controller`,
/// `endpointslice-controller`, `endpoint-controller`, `namespace-controller`, `service-account-controller`,
/// `root-ca-cert-publisher`, `generic-garbage-collector` (which also feeds the shared cache), `node-controller`,
/// `pod-garbage-collector`, `service-controller`, `disruption-controller` and
/// `kube-scheduler`.
pub async fn run(api: impl Fn(&'static str) -> Arc<dyn Api>, config: Config, stop: CancellationToken) {
    loop {
        let term = stop.child_token();
        // Not one expression: the reference must not live on in the future.
        let running = run_with(&api, config.clone(), Clock::system(), term);
        running.await;
        // Only a panic gets here without `stop`. Everything is read anew, from an empty cache.
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RESTART) => {}
        }
    }
}

/// [`run`] with a clock to choose. Tasks start at the call; `api` is used only then.
pub(crate) fn run_with(
    api: &dyn Fn(&'static str) -> Arc<dyn Api>,
    config: Config,
    clock: Clock,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + use<> {
    let caches = Arc::new(Caches::default());
    let recorder = Recorder::new(clock.clone());
    let client =
        |name: &'static str| Client::new(name, api(name), caches.clone(), recorder.clone(), clock.clone());
    let graph = Arc::new(garbage::Graph::new(config.resources.clone()));
    let watcher = api("generic-garbage-collector");
    let mut tasks = JoinSet::new();

    // Listeners are registered before anything is fed, so that none misses an object.
    let deployment = deployment::Controller::new(client("deployment-controller"));
    let replicaset = replicaset::Controller::new(client("replicaset-controller"));
    let slices = endpointslice::Controller::new(client("endpointslice-controller"));
    let endpoints = endpointslice::mirror::Controller::new(client("endpoint-controller"));
    let namespaces =
        namespace::Controller::new(client("namespace-controller"), config.resources.clone(), &graph);
    let accounts = serviceaccount::Controller::new(client("service-account-controller"));
    let root_ca = rootca::Controller::new(client("root-ca-cert-publisher"), config.root_ca.clone());
    let garbage = garbage::Controller::new(client("generic-garbage-collector"), graph.clone());
    let nodes = node::Controller::new(
        client("node-controller"),
        node::Settings {
            pod_cidr: config.pod_cidr.clone(),
            grace: Duration::from_secs(config.node_grace_seconds),
        },
    );
    let disruption = disruption::Controller::new(client("disruption-controller"));
    let balancers = loadbalancer::Controller::new(client("service-controller"), config.load_balancer_pool);
    let podgc = podgc::Controller::new(client("pod-garbage-collector"));
    let scheduler = scheduler::Scheduler::new(client("kube-scheduler"));

    caches.feed(&watcher, &mut tasks, &stop);
    graph.feed(&watcher, &mut tasks, &stop);
    let drain = {
        let stop = stop.clone();
        let recorder = recorder.clone();
        async move { recorder.run(stop).await }
    };
    tasks.spawn(drain);

    async move {
        tokio::select! {
            () = caches.synced() => {
                tasks.spawn(deployment.run(stop.clone()));
                tasks.spawn(replicaset.run(stop.clone()));
                tasks.spawn(slices.run(stop.clone()));
                tasks.spawn(endpoints.run(stop.clone()));
                tasks.spawn(namespaces.run(stop.clone()));
                tasks.spawn(accounts.run(stop.clone()));
                tasks.spawn(root_ca.run(stop.clone()));
                tasks.spawn(garbage.run(stop.clone()));
                tasks.spawn(nodes.run(stop.clone()));
                tasks.spawn(disruption.run(stop.clone()));
                tasks.spawn(balancers.run(stop.clone()));
                tasks.spawn(podgc.run(stop.clone()));
                tasks.spawn(scheduler.run(stop.clone()));
            }
            () = stop.cancelled() => {}
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                // A controller that panicked has met a broken invariant, maybe in what all share.
                tracing::error!(%error, "controller panicked");
                stop.cancel();
            }
        }
    }
}
