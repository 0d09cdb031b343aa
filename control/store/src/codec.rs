//! Bytes of transactions and entries, in the log and in checkpoints.
//!
//! Numbers are LEB128; a byte string is its length and its bytes. Not a serde format, so that decoding hands out
//! slices of the log entry instead of copies. The first byte of a transaction is its format: a member must never
//! guess at an entry that it does not understand, since all members must apply alike.

use bytes::{Buf, BufMut, Bytes};

use crate::{Compare, Entry, Event, Op, Txn, Value};

/// Format of transactions in the log.
const TXN_FORMAT: u8 = 1;

/// Bytes that do not decode.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum DecodeError {
    #[error("format {0} is not known to this version")]
    Format(u8),
    #[error("it ends early or is damaged")]
    Damaged,
}

pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.put_u8(number as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8(number as u8);
}

pub(crate) fn number(from: &mut Bytes) -> Result<u64, DecodeError> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = byte(from)?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(DecodeError::Damaged);
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(DecodeError::Damaged)
}

fn byte(from: &mut Bytes) -> Result<u8, DecodeError> {
    from.try_get_u8().map_err(|_| DecodeError::Damaged)
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.put_slice(bytes);
}

pub(crate) fn bytes(from: &mut Bytes) -> Result<Bytes, DecodeError> {
    let length = usize::try_from(number(from)?).map_err(|_| DecodeError::Damaged)?;
    if length > from.len() {
        return Err(DecodeError::Damaged);
    }
    Ok(from.split_to(length))
}

pub(crate) fn encode_txn(txn: &Txn) -> Vec<u8> {
    let size: usize = txn.ops.iter().map(op_size).sum::<usize>() + txn.compare.len() * 80;
    let mut out = Vec::with_capacity(size + 16);
    out.put_u8(TXN_FORMAT);
    put_number(&mut out, txn.compare.len() as u64);
    for compare in &txn.compare {
        let (tag, key, revision) = match compare {
            Compare::Absent(key) => (0, key, None),
            Compare::Present(key) => (1, key, None),
            Compare::At(key, revision) => (2, key, Some(*revision)),
        };
        out.put_u8(tag);
        put_bytes(&mut out, key);
        if let Some(revision) = revision {
            put_number(&mut out, revision);
        }
    }
    put_number(&mut out, txn.ops.len() as u64);
    for op in &txn.ops {
        let (tag, key, value) = match op {
            Op::Put(key, value) => (0, key, Some(value)),
            Op::Delete(key, None) => (1, key, None),
            Op::Delete(key, Some(value)) => (2, key, Some(value)),
        };
        out.put_u8(tag);
        put_bytes(&mut out, key);
        if let Some(value) = value {
            put_number(&mut out, value.revision_at.map_or(0, |at| u64::from(at) + 1));
            put_bytes(&mut out, &value.bytes);
        }
    }
    out
}

fn op_size(op: &Op) -> usize {
    match op {
        Op::Put(key, value) | Op::Delete(key, Some(value)) => key.len() + value.bytes.len() + 16,
        Op::Delete(key, None) => key.len() + 8,
    }
}

pub(crate) fn decode_txn(mut from: Bytes) -> Result<Txn, DecodeError> {
    match byte(&mut from)? {
        TXN_FORMAT => {}
        other => return Err(DecodeError::Format(other)),
    }
    let mut txn = Txn::default();
    for _ in 0..number(&mut from)? {
        let tag = byte(&mut from)?;
        let key = bytes(&mut from)?;
        txn.compare.push(match tag {
            0 => Compare::Absent(key),
            1 => Compare::Present(key),
            2 => Compare::At(key, number(&mut from)?),
            _ => return Err(DecodeError::Damaged),
        });
    }
    for _ in 0..number(&mut from)? {
        let tag = byte(&mut from)?;
        let key = bytes(&mut from)?;
        txn.ops.push(match tag {
            0 => Op::Put(key, value(&mut from)?),
            1 => Op::Delete(key, None),
            2 => Op::Delete(key, Some(value(&mut from)?)),
            _ => return Err(DecodeError::Damaged),
        });
    }
    if from.is_empty() {
        Ok(txn)
    } else {
        Err(DecodeError::Damaged)
    }
}

fn value(from: &mut Bytes) -> Result<Value, DecodeError> {
    let at = number(from)?;
    let revision_at = at
        .checked_sub(1)
        .map(u32::try_from)
        .transpose()
        .map_err(|_| DecodeError::Damaged)?;
    Ok(Value {
        bytes: bytes(from)?,
        revision_at,
    })
}

pub(crate) fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    put_number(out, entry.create_revision);
    put_number(out, entry.mod_revision);
    put_bytes(out, &entry.key);
    put_bytes(out, &entry.value);
}

/// Copies, so that an entry does not keep the whole block it came in.
pub(crate) fn entry(from: &mut Bytes) -> Result<Entry, DecodeError> {
    let create_revision = number(from)?;
    let mod_revision = number(from)?;
    let key = Bytes::copy_from_slice(&bytes(from)?);
    let value = Bytes::copy_from_slice(&bytes(from)?);
    Ok(Entry {
        key,
        value,
        create_revision,
        mod_revision,
    })
}

pub(crate) fn put_event(out: &mut Vec<u8>, event: &Event) {
    put_number(out, event.revision);
    out.put_u8(u8::from(event.deleted) | u8::from(event.previous.is_some()) << 1);
    put_entry(out, &event.entry);
    if let Some(previous) = &event.previous {
        put_entry(out, previous);
    }
}

pub(crate) fn event(from: &mut Bytes) -> Result<Event, DecodeError> {
    let revision = number(from)?;
    let flags = byte(from)?;
    let entry_now = entry(from)?;
    let previous = if flags & 2 != 0 { Some(entry(from)?) } else { None };
    Ok(Event {
        revision,
        entry: entry_now,
        previous,
        deleted: flags & 1 != 0,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn some_bytes() -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
    }

    fn some_value() -> impl Strategy<Value = Value> {
        (some_bytes(), any::<Option<u32>>()).prop_map(|(bytes, revision_at)| Value { bytes, revision_at })
    }

    fn some_txn() -> impl Strategy<Value = Txn> {
        let compare = prop_oneof![
            some_bytes().prop_map(Compare::Absent),
            some_bytes().prop_map(Compare::Present),
            (some_bytes(), any::<u64>()).prop_map(|(key, revision)| Compare::At(key, revision)),
        ];
        let op = prop_oneof![
            (some_bytes(), some_value()).prop_map(|(key, value)| Op::Put(key, value)),
            (some_bytes(), proptest::option::of(some_value())).prop_map(|(key, last)| Op::Delete(key, last)),
        ];
        (
            proptest::collection::vec(compare, 0..4),
            proptest::collection::vec(op, 0..6),
        )
            .prop_map(|(compare, ops)| Txn { compare, ops })
    }

    proptest! {
        #[test]
        fn a_transaction_comes_back_as_it_was(txn in some_txn()) {
            prop_assert_eq!(decode_txn(encode_txn(&txn).into()), Ok(txn));
        }

        #[test]
        fn a_shortened_transaction_is_refused(txn in some_txn(), cut in any::<proptest::sample::Index>()) {
            let mut encoded = encode_txn(&txn);
            encoded.truncate(cut.index(encoded.len()));
            prop_assert_eq!(decode_txn(encoded.into()), Err(DecodeError::Damaged));
        }

        #[test]
        fn foreign_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), known in any::<bool>()) {
            if known && let Some(first) = bytes.first_mut() {
                *first = TXN_FORMAT;
            }
            decode_txn(bytes.into()).ok();
        }
    }

    #[test]
    fn an_unknown_format_is_named() {
        assert_eq!(
            decode_txn(Bytes::from_static(&[9, 0, 0])),
            Err(DecodeError::Format(9))
        );
    }
}
