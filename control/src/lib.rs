//! The control plane of one member: store, API server, controllers, scheduler and PKI wired together.
//!
//! [`member::start`] is the main path: keys → store (over [`peers`]) → API server → [`members`] → controllers while this
//! member leads.

mod controllers;
mod join;
pub mod member;
pub mod members;
pub mod peers;
pub mod pki;
mod snapshots;

pub use skiff_api::{DualRange, audit};
pub use skiff_controllers::Pool;
pub use skiff_store::{OpenError, snapshot};
