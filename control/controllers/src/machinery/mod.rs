//! What all controllers share: one cache per resource, a keyed queue, writes that the cache sees at once, events.
//!
//! The way of a change: [`cache`] (fed by the watch and by own writes) → listeners → [`queue`] → [`runner`] (never
//! two runs for one key) → a controller's `plan` and `act` → [`client`] → API and, at once, the cache again. Because a
//! controller reads its own writes, it needs no record of writes it still expects to see.

pub mod amounts;
pub mod cache;
mod caches;
pub mod client;
mod clock;
pub mod events;
pub mod listen;
pub mod object;
pub mod ownership;
pub mod pods;
pub mod queue;
pub mod runner;
pub mod selector;

pub use caches::{Cached, Caches, NODE_LEASES};
pub use client::{Client, Error};
pub use clock::{Clock, seconds};
pub use events::{EventType, Recorder};
pub use object::{Key, Object, resource_of};
pub use queue::Queue;
pub use runner::{Outcome, run_keyed};
