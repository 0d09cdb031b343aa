//! One file per kind: its [`Strategy`](crate::Strategy). The rows are in [`crate::table()`].

pub(crate) mod config_map;
pub(crate) mod controller_revision;
pub(crate) mod deployment;
pub(crate) mod endpoint_slice;
pub(crate) mod endpoints;
pub mod event;
pub(crate) mod lease;
pub(crate) mod limit_range;
pub(crate) mod namespace;
pub(crate) mod network_policy;
pub(crate) mod node;
pub(crate) mod persistent_volume;
pub(crate) mod persistent_volume_claim;
pub mod pod;
pub(crate) mod pod_disruption_budget;
pub(crate) mod priority_class;
pub(crate) mod rbac;
pub(crate) mod replica_set;
pub(crate) mod resource_quota;
pub(crate) mod review;
pub(crate) mod secret;
pub(crate) mod service;
pub(crate) mod service_account;
