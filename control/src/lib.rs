//! The control plane of one member: store, API server, controllers, scheduler and PKI wired together.
//!
//! [`member::run`] is the main path: keys → store → API server → controllers while this member leads.

pub mod pki;
