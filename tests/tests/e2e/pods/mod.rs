//! Pods as the API describes them, in real namespaces.

mod configuration;
mod hooks;
mod host;
mod images;
mod inside;
mod life;
mod limits;
mod many;
mod network;
mod probes;
mod resize;
mod security;
mod sidecars;
mod storage;
