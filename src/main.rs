//! The skiff command line.
fn main() {}
