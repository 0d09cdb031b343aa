//! Validation that kinds share.

pub mod names;
