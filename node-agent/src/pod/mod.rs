//! Pods: a task per pod ([`worker`]) that decides by [`plan`] and carries out, a [`publish`]er of its status, and the
//! [`manager`] that feeds the workers from the API.

pub(crate) mod handle;
pub(crate) mod manager;
pub(crate) mod model;
pub(crate) mod plan;
pub(crate) mod publish;
pub(crate) mod resize;
pub(crate) mod restore;
pub(crate) mod status;
pub(crate) mod steps;
pub(crate) mod worker;
