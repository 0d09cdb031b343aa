//! The control plane of one member: store, API server, controllers, scheduler and PKI wired together.
