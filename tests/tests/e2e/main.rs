//! What a user of skiff relies on, end to end.

mod lifecycle;
