//! The stock kubectl: what it prints and does, as with any Kubernetes.

mod change;
mod look;
mod node;
mod roll;
mod stream;
mod versions;
