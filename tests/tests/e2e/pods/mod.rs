//! Pods as the API describes them, in real namespaces.

mod configuration;
mod images;
mod life;
mod network;
mod security;
