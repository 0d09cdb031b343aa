//! Secrets at rest: AES-256-GCM, the key of the entry authenticated with it.
//!
//! ```text
//! byte 1, with the key of the file:   1 | where the revision goes (4 bytes, big endian) | nonce (12) | cipher text
//! byte 2, with a key of the cluster:  2 | number of the key (4) | where the revision goes (4) | nonce (12) | cipher text
//! ```
//! Keys of the cluster are in the store, sealed with the key of the file, which all members have: `/skiff/secrets-keys/<n>`.
//! Being in the store, a key is there on every member before anything that is sealed with it. The newest seals;
//! older ones stay, for what snapshots and the history hold.
//!
//! Another key for the file comes by the store too: `/skiff/next-secrets-file`, sealed with the one before. It is there, on every
//! member, before anything that it seals; each member takes it over into its file, and when all have, it goes from the store.

use std::collections::HashMap;

use aes_gcm::Aes256Gcm;
use bytes::{BufMut as _, Bytes, BytesMut};
use parking_lot::Mutex;
use skiff_store::{Compare, Entry, Op, Range, Store, Txn};

use super::{
    Registry,
    file_key::{FileKeys, Key, cipher, close, open},
    prefix,
};
use crate::status::Status;

const BY_FILE: u8 = 1;
const BY_NUMBER: u8 = 2;
const KEYS: &str = "/skiff/secrets-keys/";
const NEWEST: &[u8] = b"/skiff/newest-secrets-key";
const NEXT_FILE: &[u8] = b"/skiff/next-secrets-file";
/// How often all secrets are gone through: those that were written meanwhile may have the old key.
const PASSES: usize = 10;

/// Seals and opens.
pub(crate) struct Seal {
    file: FileKeys,
    store: Store,
    opened: Mutex<HashMap<u32, Aes256Gcm>>,
}

/// What was sealed: the plain text, and where the revision goes.
pub(super) type Opened = (usize, Vec<u8>);

impl Seal {
    pub(super) fn new(file: FileKeys, store: Store) -> Self {
        Self {
            file,
            store,
            opened: Mutex::default(),
        }
    }

    /// Whether a stored value is sealed.
    pub(super) fn is_sealed(value: &[u8]) -> bool {
        matches!(value.first(), Some(&(BY_FILE | BY_NUMBER)))
    }

    /// Number of the key that seals now; 0: that of the file.
    fn newest(&self) -> u32 {
        let entry = self.store.get(NEWEST);
        let number = entry.and_then(|entry| std::str::from_utf8(&entry.value).ok()?.parse().ok());
        number.unwrap_or(0)
    }

    /// Seals with the key `number`; 0: that of the file.
    fn close(&self, number: u32, key: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        match number {
            0 => self.file.close(key, plain),
            _ => close(&self.numbered(number)?, key, plain),
        }
    }

    fn numbered(&self, number: u32) -> Option<Aes256Gcm> {
        if let Some(cipher) = self.opened.lock().get(&number) {
            return Some(cipher.clone());
        }
        let entry = self.store.get(key_of(number).as_ref())?;
        let key: Key = self.open_by_file(&entry.key, &entry.value)?.try_into().ok()?;
        let cipher = cipher(&key);
        self.opened.lock().insert(number, cipher.clone());
        Some(cipher)
    }

    /// With a key that this member has in a file, or is about to have.
    fn open_by_file(&self, name: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let by_next = || open(&cipher(&self.next_file_key()?), name, sealed);
        self.file.open_any(name, sealed).or_else(by_next)
    }

    fn next_file_key(&self) -> Option<Key> {
        let entry = self.store.get(NEXT_FILE)?;
        self.file.open_any(NEXT_FILE, &entry.value)?.try_into().ok()
    }

    /// Whether the newest key is one of the cluster that the present key of the file seals.
    fn is_of_present_file(&self) -> bool {
        let entry = self.store.get(key_of(self.newest()).as_ref());
        entry.is_some_and(|entry| self.file.is_present(&entry.key, &entry.value))
    }

    /// Seals the value of an entry.
    pub(super) fn seal(&self, key: &[u8], plain: &[u8], revision_at: u32) -> Result<Bytes, Status> {
        let number = self.newest();
        let sealed = self.close(number, key, plain);
        let sealed = sealed.ok_or_else(|| Status::internal("encrypting a secret"))?;
        let mut out = BytesMut::with_capacity(sealed.len() + 16);
        if number == 0 {
            out.put_u8(BY_FILE);
        } else {
            out.put_u8(BY_NUMBER);
            out.put_u32(number);
        }
        out.put_u32(revision_at);
        out.put_slice(&sealed);
        Ok(out.freeze())
    }

    /// Opens the value of an entry.
    pub(super) fn open(&self, entry: &Entry) -> Option<Opened> {
        let (number, rest) = parse(&entry.value)?;
        let (at, sealed) = rest.split_first_chunk::<4>()?;
        let plain = match number {
            0 => self.open_by_file(&entry.key, sealed)?,
            _ => open(&self.numbered(number)?, &entry.key, sealed)?,
        };
        Some((u32::from_be_bytes(*at) as usize, plain))
    }
}

/// The number of the key, and what follows it.
fn parse(value: &[u8]) -> Option<(u32, &[u8])> {
    match value.split_first()? {
        (&BY_FILE, rest) => Some((0, rest)),
        (&BY_NUMBER, rest) => {
            let (number, rest) = rest.split_first_chunk::<4>()?;
            Some((u32::from_be_bytes(*number), rest))
        }
        _ => None,
    }
}

fn key_of(number: u32) -> Bytes {
    format!("{KEYS}{number}").into()
}

fn plain(bytes: impl Into<Bytes>) -> skiff_store::Value {
    skiff_store::Value {
        bytes: bytes.into(),
        revision_at: None,
    }
}

impl Registry {
    /// Seals something for all members, with the key that they have in a file. `name` must be given again to open it.
    ///
    /// # Errors
    /// When encryption fails.
    pub fn seal_for_members(&self, name: &[u8], plain: &[u8]) -> Result<Vec<u8>, Status> {
        let sealed = self.seal().file.close(name, plain);
        sealed.ok_or_else(|| Status::internal("sealing for the members"))
    }

    /// What was sealed under this name; `None` if it was with another key.
    pub fn open_for_members(&self, name: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.seal().open_by_file(name, sealed)
    }

    fn seal(&self) -> &Seal {
        &self.inner.parts.codec.seal
    }

    /// The write that gives all members another key for their files: see [`Registry::take_file_key`].
    ///
    /// # Errors
    /// When encryption fails.
    pub fn new_file_key(&self) -> Result<Op, Status> {
        let key: Key = rand::random();
        let sealed = self.seal_for_members(NEXT_FILE, &key)?;
        Ok(Op::Put(Bytes::from_static(NEXT_FILE), plain(sealed)))
    }

    /// Takes over the key that the store has for the file, if there is one. It is on disk when this returns, and seals from
    /// now on; what the keys before have sealed can still be opened.
    ///
    /// # Errors
    /// When it can't be opened here, or not be written.
    pub fn take_file_key(&self) -> Result<(), Status> {
        if self.store().get(NEXT_FILE).is_none() {
            return Ok(());
        }
        let key = self.seal().next_file_key().ok_or_else(|| {
            Status::internal("the next key of pki/secrets.key can't be opened with that of this member")
        })?;
        if self.seal().file.adopt(key).map_err(Status::internal)? {
            tracing::info!("pki/secrets.key is a new one");
        }
        Ok(())
    }

    /// The write that ends the way of a key by the store, once all members have it in their files.
    pub fn drop_file_key(&self) -> Op {
        Op::Delete(Bytes::from_static(NEXT_FILE), None)
    }

    /// Sees to it that no secret is sealed with a key that somebody with an earlier file could know.
    ///
    /// # Errors
    /// As [`Registry::rotate_secrets_key`].
    pub async fn seal_by_present_file(&self) -> Result<(), Status> {
        self.fresh(None).await?;
        if !self.seal().is_of_present_file() {
            return self.rotate_secrets_key().await.map(drop);
        }
        self.seal_secrets(self.seal().newest()).await.map(drop)
    }

    /// Makes a new key for secrets at rest and seals all of them with it. Returns how many. Stopped half-way, the rest has the
    /// old key, which still opens it; asked again, it goes on with another new one.
    ///
    /// # Errors
    /// 503 without quorum, or when secrets are written faster than they can be sealed.
    pub async fn rotate_secrets_key(&self) -> Result<usize, Status> {
        self.fresh(None).await?;
        let number = self.seal().newest() + 1;
        let key: Key = rand::random();
        let record = key_of(number);
        let sealed = self.seal_for_members(&record, &key)?;
        let txn = Txn {
            compare: vec![Compare::Absent(record.clone())],
            ops: vec![
                Op::Put(record, plain(sealed)),
                Op::Put(Bytes::from_static(NEWEST), plain(number.to_string())),
            ],
        };
        self.store().commit(txn).await?;
        self.seal_secrets(number).await
    }

    /// Seals all secrets with the newest key, which has this number.
    async fn seal_secrets(&self, number: u32) -> Result<usize, Status> {
        let secrets = self
            .resource("", "v1", "secrets")
            .ok_or_else(Status::no_such_path)?;
        let range = Range {
            prefix: prefix(secrets, ""),
            ..Range::default()
        };
        let mut count = 0;
        for _ in 0..PASSES {
            self.fresh(None).await?;
            let entries = self.store().range(&range)?.entries;
            let old: Vec<Entry> = entries
                .into_iter()
                .filter(|entry| parse(&entry.value).is_none_or(|(key, _)| key < number))
                .collect();
            if old.is_empty() {
                tracing::info!(number, count, "secrets are sealed with a new key");
                return Ok(count);
            }
            for entry in old {
                let object = self.parse(&entry)?;
                let value = self.inner.parts.codec.encode(secrets, &entry.key, &object)?;
                let txn = Txn {
                    compare: vec![Compare::At(entry.key.clone(), entry.mod_revision)],
                    ops: vec![Op::Put(entry.key.clone(), value)],
                };
                match self.store().commit(txn).await {
                    Ok(_) => count += 1,
                    // Written meanwhile: looked at again in the next pass.
                    Err(skiff_store::Error::Conflict { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Err(Status::unavailable(
            "secrets are written faster than they can be sealed anew: try again",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn write(store: &Store, op: Op) {
        let txn = Txn {
            compare: Vec::new(),
            ops: vec![op],
        };
        store.commit(txn).await.unwrap();
    }

    #[tokio::test]
    async fn members_take_over_a_key_for_their_files_and_who_left_before_does_not_have_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(skiff_store::Config::new(dir.path().join("store")))
            .await
            .unwrap();
        let member = |name: &str| {
            let path = dir.path().join(name).join("secrets.key");
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, [1; 32]).unwrap();
            Seal::new(FileKeys::open(&path).unwrap(), store.clone())
        };
        let (first, second, gone) = (member("first"), member("second"), member("gone"));
        let old = first.seal(b"s", b"old", 0).unwrap();
        assert!(!first.is_of_present_file());

        let next = first.file.close(NEXT_FILE, &[2; 32]).unwrap();
        write(&store, Op::Put(Bytes::from_static(NEXT_FILE), plain(next))).await;
        first.file.adopt(first.next_file_key().unwrap()).unwrap();
        let record = key_of(1);
        let sealed = first.file.close(&record, &[3; 32]).unwrap();
        write(&store, Op::Put(record, plain(sealed))).await;
        write(&store, Op::Put(Bytes::from_static(NEWEST), plain("1"))).await;
        assert!(first.is_of_present_file());
        let new = first.seal(b"s", b"new", 0).unwrap();
        let entry = |value: &Bytes| Entry {
            key: Bytes::from_static(b"s"),
            value: value.clone(),
            ..store.get(NEWEST).unwrap()
        };
        let read = |seal: &Seal, value: &Bytes| seal.open(&entry(value)).map(|(_, plain)| plain);
        // One that has not taken it over yet knows it by the store.
        assert_eq!(read(&second, &new).unwrap(), b"new");
        second.file.adopt(second.next_file_key().unwrap()).unwrap();

        write(&store, Op::Delete(Bytes::from_static(NEXT_FILE), None)).await;
        for seal in [&first, &second] {
            seal.opened.lock().clear();
            assert_eq!(read(seal, &new).unwrap(), b"new");
            assert_eq!(read(seal, &old).unwrap(), b"old");
        }
        assert_eq!(read(&gone, &new), None);
        assert_eq!(read(&gone, &old).unwrap(), b"old");
    }
}
