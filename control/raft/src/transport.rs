//! How messages reach the other members.

use bytes::Bytes;
use protobuf::{Message as _, ProtobufError};
use raft::eraftpb::Message;

/// Appends a message as it travels.
///
/// # Errors
/// Never for a message that Raft made.
pub fn encode(message: &Message, out: &mut Vec<u8>) -> Result<(), ProtobufError> {
    message.write_to_vec(out)
}

/// The reverse of [`encode`]. Entries are slices of `bytes`.
///
/// # Errors
/// When the bytes are no message.
pub fn decode(bytes: &Bytes) -> Result<Message, ProtobufError> {
    Message::parse_from_carllerche_bytes(bytes)
}

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
