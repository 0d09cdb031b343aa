//! The caches, one per resource, shared by all controllers.

use std::sync::Arc;

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    coordination::v1::Lease,
    core::v1::{ConfigMap, Endpoints, Namespace, Node, Pod, Service, ServiceAccount},
    discovery::v1::EndpointSlice,
    policy::v1::PodDisruptionBudget,
};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Object, cache::Cache};
use crate::Api;

/// The namespace of node heartbeats.
pub const NODE_LEASES: &str = "kube-node-lease";
/// The ConfigMap with the cluster's CA.
pub const ROOT_CA: &str = "kube-root-ca.crt";

/// An object that has a cache.
pub trait Cached: Object {
    /// Its cache.
    fn cache(caches: &Caches) -> &Cache<Self>;
}

macro_rules! caches {
    ($($field:ident: $kind:ty = $new:expr;)*) => {
        /// One cache per resource.
        pub struct Caches { $(
            #[doc = concat!("All ", stringify!($field), ".")]
            pub $field: Cache<$kind>,
        )* }

        impl Default for Caches {
            fn default() -> Self {
                Self { $($field: $new,)* }
            }
        }

        $(impl Cached for $kind {
            fn cache(caches: &Caches) -> &Cache<Self> {
                &caches.$field
            }
        })*

        impl Caches {
            /// Starts to follow everything, until `stop`.
            pub fn feed(self: &Arc<Self>, api: &Arc<dyn Api>, tasks: &mut JoinSet<()>, stop: &CancellationToken) {
                $({
                    let (caches, api, stop) = (self.clone(), api.clone(), stop.clone());
                    tasks.spawn(async move {
                        tokio::select! {
                            () = caches.$field.feed(&*api) => {}
                            () = stop.cancelled() => {}
                        }
                    });
                })*
            }

            /// Waits until all are complete.
            pub async fn synced(&self) {
                $(self.$field.synced().await;)*
            }
        }
    };
}

caches! {
    config_maps: ConfigMap = Cache::new(|v| field(v, "name") == ROOT_CA, |_| None);
    deployments: Deployment = Cache::default();
    disruption_budgets: PodDisruptionBudget = Cache::default();
    endpoints: Endpoints = Cache::default();
    endpoint_slices: EndpointSlice = Cache::default();
    leases: Lease = Cache::new(|v| field(v, "namespace") == NODE_LEASES, |_| None);
    namespaces: Namespace = Cache::default();
    nodes: Node = Cache::default();
    pods: Pod = Cache::new(|_| true, |p| p.spec.as_ref()?.node_name.as_deref().filter(|n| !n.is_empty()));
    replica_sets: ReplicaSet = Cache::default();
    service_accounts: ServiceAccount = Cache::default();
    services: Service = Cache::default();
}

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value["metadata"][name].as_str().unwrap_or_default()
}
