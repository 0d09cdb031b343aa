//! One thin safe function per system call that `nix` and `rustix` do not offer safely: the only crate with `unsafe`.
//!
//! Calls that those crates do offer safely (the new mount API, `pivot_root`, `setns`, `pidfd_open`, `SCM_RIGHTS`) are
//! used from there directly; [`mod@file`], [`idmap`] and [`path`] add helpers that several crates need around them.

pub mod bpf;
pub mod device;
pub mod entry;
pub mod file;
pub mod idmap;
pub mod keyring;
pub mod mount;
pub mod net;
pub mod path;
pub mod pattern;
pub mod process;
pub mod pty;
pub mod schedule;
pub mod seccomp;
