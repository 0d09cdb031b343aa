//! One thin safe function per system call that `nix` and `rustix` do not offer safely: the only crate with `unsafe`.
