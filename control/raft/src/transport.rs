//! How messages reach the other members.

use raft::eraftpb::Message;

/// Carries Raft messages to other members. The other direction is [`Group::receive`](crate::Group::receive).
///
/// Messages may be lost, delayed and reordered; except that a `MsgPropose` must not be delivered twice, since a
/// proposal applied twice would be two writes (an ordinary stream per pair of members is enough).
pub trait Transport: Send + 'static {
    /// Sends to `message.to`. Called from the group's thread: must not block.
    fn send(&mut self, message: Message);

    /// The members have changed (ids of voters and learners, without this one).
    fn members(&mut self, others: &[u64]) {
        let _ = others;
    }
}

/// The transport of a group of one.
#[derive(Debug, Default)]
pub struct Alone;

impl Transport for Alone {
    fn send(&mut self, message: Message) {
        tracing::warn!(to = message.to, "message to another member without a transport");
    }
}
