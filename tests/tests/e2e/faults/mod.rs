//! What a cluster does under load and when something of it is killed or missing.

mod disk;
mod load;
mod machine;
mod rounds;
mod traffic;
