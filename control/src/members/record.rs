//! What the cluster remembers of its members, in the replicated store:
//! `/skiff/members/<id>` (a [`Record`]), `/skiff/next-member` (the next id to give out), and
//! `/skiff/removed/<hash of key>` for the keys that are not taken any more.

use std::net::SocketAddr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use skiff_store::{Compare, Entry, Error, Op, Range, Revision, Store, Txn, Value};

/// Everything about members is below.
pub const PREFIX: &[u8] = b"/skiff/";
const RECORDS: &str = "/skiff/members/";
const NEXT: &str = "/skiff/next-member";

/// A member, or a server that is becoming one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its id, which no other member ever gets.
    pub id: u64,
    /// Its host's name, for people.
    pub name: String,
    /// Where it is reached.
    pub address: SocketAddr,
    /// Hex SHA-256 of its public key: what it is known by.
    pub key: String,
    /// It is to be taken out of the group.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removing: bool,
}

/// A record and the revision it was written at.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The record.
    pub record: Record,
    /// For conditions.
    pub revision: Revision,
}

fn key_of(id: u64) -> Bytes {
    format!("{RECORDS}{id}").into()
}

fn removed_key(key: &str) -> Bytes {
    format!("/skiff/removed/{key}").into()
}

fn value(of: &impl Serialize) -> Value {
    Value {
        // Plain structures do not fail to serialise.
        bytes: serde_json::to_vec(of).unwrap_or_default().into(),
        revision_at: None,
    }
}

fn stored(entry: &Entry) -> Option<Stored> {
    let record = serde_json::from_slice(&entry.value)
        .inspect_err(
            |error| tracing::error!(key = ?entry.key, %error, "the record of a member does not parse"),
        )
        .ok()?;
    Some(Stored {
        record,
        revision: entry.mod_revision,
    })
}

/// All records, as applied here, by id.
pub fn all(store: &Store) -> Vec<Stored> {
    let range = Range {
        prefix: Bytes::from_static(RECORDS.as_bytes()),
        ..Range::default()
    };
    let entries = store.range(&range).map(|page| page.entries).unwrap_or_default();
    let mut all: Vec<Stored> = entries.iter().filter_map(stored).collect();
    all.sort_by_key(|stored| stored.record.id);
    all
}

/// One record, as applied here.
pub fn get(store: &Store, id: u64) -> Option<Stored> {
    stored(&store.get(&key_of(id))?)
}

/// Whether certificates with this key are refused, as applied here.
pub fn is_removed(store: &Store, key: &str) -> bool {
    store.get(&removed_key(key)).is_some()
}

/// Writes a record that is new (`None`) or was read at a revision.
pub async fn put(store: &Store, record: &Record, read_at: Option<Revision>) -> Result<(), Error> {
    let key = key_of(record.id);
    let compare = match read_at {
        Some(revision) => Compare::At(key.clone(), revision),
        None => Compare::Absent(key.clone()),
    };
    let txn = Txn {
        compare: vec![compare],
        ops: vec![Op::Put(key, value(record))],
    };
    store.commit(txn).await.map(drop)
}

/// Adds a record under an id that was never used; the one with this key if there is one. A key that was removed is
/// not taken again (`Ok(None)`).
pub async fn add(store: &Store, name: &str, address: SocketAddr, key: &str) -> Result<Option<Record>, Error> {
    loop {
        store.read_barrier().await?;
        if is_removed(store, key) {
            return Ok(None);
        }
        let known = all(store);
        if let Some(stored) = known.iter().find(|stored| stored.record.key == key) {
            let mut record = stored.record.clone();
            record.address = address;
            if record != stored.record {
                put(store, &record, Some(stored.revision)).await?;
            }
            return Ok(Some(record));
        }
        let next = store.get(NEXT.as_bytes());
        let from_counter = next
            .as_ref()
            .and_then(|entry| serde_json::from_slice::<u64>(&entry.value).ok());
        let highest = known.iter().map(|stored| stored.record.id).max().unwrap_or(1);
        let id = from_counter.unwrap_or(2).max(highest + 1);
        let counter = Bytes::from_static(NEXT.as_bytes());
        let compare = match &next {
            Some(entry) => Compare::At(counter.clone(), entry.mod_revision),
            None => Compare::Absent(counter.clone()),
        };
        let record = Record {
            id,
            name: name.to_owned(),
            address,
            key: key.to_owned(),
            removing: false,
        };
        let txn = Txn {
            compare: vec![compare, Compare::Absent(key_of(id))],
            ops: vec![
                Op::Put(counter, value(&(id + 1))),
                Op::Put(key_of(id), value(&record)),
            ],
        };
        match store.commit(txn).await {
            Ok(_) => return Ok(Some(record)),
            // Another server joins at the same moment.
            Err(Error::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Forgets a member and refuses its key from now on.
pub async fn forget(store: &Store, record: &Record) -> Result<(), Error> {
    let txn = Txn {
        compare: vec![Compare::Present(key_of(record.id))],
        ops: vec![
            Op::Delete(key_of(record.id), None),
            Op::Delete(super::keys::has_key(record.id), None),
            Op::Put(removed_key(&record.key), value(&record.id)),
        ],
    };
    match store.commit(txn).await {
        Ok(_) | Err(Error::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Forgets everybody but one member. Those that were given up must not come back with what they alone know: they are
/// refused, and join as new ones.
pub async fn forget_others(store: &Store, id: u64) -> Result<(), Error> {
    for stored in all(store).iter().filter(|stored| stored.record.id != id) {
        tracing::warn!(
            member = stored.record.id,
            name = stored.record.name,
            "a member that was given up is forgotten"
        );
        forget(store, &stored.record).await?;
    }
    Ok(())
}

/// Refuses a key from now on; `whose` is for people.
pub async fn refuse(store: &Store, key: &str, whose: &serde_json::Value) -> Result<(), Error> {
    let txn = Txn {
        compare: Vec::new(),
        ops: vec![Op::Put(removed_key(key), value(whose))],
    };
    store.commit(txn).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ids_are_never_given_twice_and_removed_keys_never_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(skiff_store::Config::new(dir.path())).await.unwrap();
        let at: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let two = add(&store, "b", at, "key-b").await.unwrap().unwrap();
        assert_eq!(two.id, 2);
        // The same server again, after a crash between asking and writing it down.
        let again = add(&store, "b", "127.0.0.1:2".parse().unwrap(), "key-b")
            .await
            .unwrap();
        assert_eq!(again.map(|r| (r.id, r.address.port())), Some((2, 2)));
        forget(&store, &two).await.unwrap();
        assert!(get(&store, 2).is_none());
        assert_eq!(add(&store, "b", at, "key-b").await.unwrap(), None);
        let three = add(&store, "c", at, "key-c").await.unwrap().unwrap();
        assert_eq!(three.id, 3);
        forget_others(&store, 7).await.unwrap();
        assert!(all(&store).is_empty() && is_removed(&store, "key-c"));
    }
}
