//! Secrets at rest: AES-256-GCM, the key of the entry authenticated with it.
//!
//! ```text
//! byte 1, with the key of the file:   1 | where the revision goes (4 bytes, big endian) | nonce (12) | cipher text
//! byte 2, with a key of the cluster:  2 | number of the key (4) | where the revision goes (4) | nonce (12) | cipher text
//! ```
//! Keys of the cluster are in the store, sealed with the key of the file, which all members have: `/skiff/secrets-keys/<n>`.
//! Being in the store, a key is there on every member before anything that is sealed with it. The newest seals;
//! older ones stay, for what snapshots and the history hold.

use std::collections::HashMap;

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use bytes::{BufMut as _, Bytes, BytesMut};
use parking_lot::Mutex;
use skiff_store::{Compare, Entry, Op, Range, Store, Txn};

use super::{Registry, prefix};
use crate::status::Status;

const BY_FILE: u8 = 1;
const BY_NUMBER: u8 = 2;
const NONCE: usize = 12;
const KEYS: &str = "/skiff/secrets-keys/";
const NEWEST: &[u8] = b"/skiff/newest-secrets-key";
/// How often all secrets are gone through: those that were written meanwhile may have the old key.
const PASSES: usize = 10;

/// Seals and opens.
pub(crate) struct Seal {
    file: Aes256Gcm,
    store: Store,
    opened: Mutex<HashMap<u32, Aes256Gcm>>,
}

/// What was sealed: the plain text, and where the revision goes.
pub(super) type Opened = (usize, Vec<u8>);

impl Seal {
    pub(crate) fn new(key: [u8; 32], store: Store) -> Self {
        Self {
            file: Aes256Gcm::new(&key.into()),
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

    fn cipher(&self, number: u32) -> Option<Aes256Gcm> {
        if number == 0 {
            return Some(self.file.clone());
        }
        if let Some(cipher) = self.opened.lock().get(&number) {
            return Some(cipher.clone());
        }
        let entry = self.store.get(key_of(number).as_ref())?;
        let key: [u8; 32] = open(&self.file, &entry.key, &entry.value)?.try_into().ok()?;
        let cipher = Aes256Gcm::new(&key.into());
        self.opened.lock().insert(number, cipher.clone());
        Some(cipher)
    }

    /// Seals the value of an entry.
    pub(super) fn seal(&self, key: &[u8], plain: &[u8], revision_at: u32) -> Result<Bytes, Status> {
        let failed = || Status::internal("encrypting a secret");
        let number = self.newest();
        let cipher = self.cipher(number).ok_or_else(failed)?;
        let mut out = BytesMut::with_capacity(plain.len() + 64);
        if number == 0 {
            out.put_u8(BY_FILE);
        } else {
            out.put_u8(BY_NUMBER);
            out.put_u32(number);
        }
        out.put_u32(revision_at);
        out.put_slice(&close(&cipher, key, plain).ok_or_else(failed)?);
        Ok(out.freeze())
    }

    /// Opens the value of an entry.
    pub(super) fn open(&self, entry: &Entry) -> Option<Opened> {
        let (number, rest) = parse(&entry.value)?;
        let (at, sealed) = rest.split_first_chunk::<4>()?;
        let plain = open(&self.cipher(number)?, &entry.key, sealed)?;
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

/// Nonce and cipher text.
fn close(cipher: &Aes256Gcm, aad: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let nonce: [u8; NONCE] = rand::random();
    let sealed = cipher.encrypt(&nonce.into(), Payload { msg: plain, aad }).ok()?;
    Some([&nonce[..], &sealed].concat())
}

fn open(cipher: &Aes256Gcm, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    cipher
        .decrypt(&(*nonce).into(), Payload { msg: sealed, aad })
        .ok()
}

impl Registry {
    /// Seals something for all members, with the key that they have in a file. `name` must be given again to open it.
    ///
    /// # Errors
    /// When encryption fails.
    pub fn seal_for_members(&self, name: &[u8], plain: &[u8]) -> Result<Vec<u8>, Status> {
        close(&self.inner.parts.codec.seal.file, name, plain)
            .ok_or_else(|| Status::internal("sealing for the members"))
    }

    /// What was sealed under this name; `None` if it was with another key.
    pub fn open_for_members(&self, name: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        open(&self.inner.parts.codec.seal.file, name, sealed)
    }

    /// Makes a new key for secrets at rest and seals all of them with it. Returns how many. Stopped half-way, the rest has the
    /// old key, which still opens it; asked again, it goes on with another new one.
    ///
    /// # Errors
    /// 503 without quorum, or when secrets are written faster than they can be sealed.
    pub async fn rotate_secrets_key(&self) -> Result<usize, Status> {
        self.fresh(None).await?;
        let seal = &self.inner.parts.codec.seal;
        let number = seal.newest() + 1;
        let plain = |bytes: Vec<u8>| skiff_store::Value {
            bytes: bytes.into(),
            revision_at: None,
        };
        let key: [u8; 32] = rand::random();
        let record = key_of(number);
        let sealed = close(&seal.file, &record, &key).ok_or_else(|| Status::internal("sealing a key"))?;
        let txn = Txn {
            compare: vec![Compare::Absent(record.clone())],
            ops: vec![
                Op::Put(record, plain(sealed)),
                Op::Put(Bytes::from_static(NEWEST), plain(number.to_string().into_bytes())),
            ],
        };
        self.store().commit(txn).await?;
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
