//! Replication: the Raft log on disk, proposals, and the loop that applies what is committed.
