//! A control plane of three members when one of them dies, hangs, moves, goes or comes.

mod agents;
mod apart;
mod audit;
mod clock;
mod disks;
mod failover;
mod forwarder;
mod keys;
mod membership;
mod quorum;
mod writers;
