//! The control plane of one member: store, API server, controllers, scheduler and PKI wired together.
//!
//! [`member::start`] is the main path: keys → store → API server → controllers while this member leads.

mod controllers;
mod join;
pub mod member;
pub mod pki;
