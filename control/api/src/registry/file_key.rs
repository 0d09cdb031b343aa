//! The keys that members have in files: `secrets.key`, which seals, and beside it those that did before.
//!
//! What was sealed with an earlier key stays readable: it is in the history, and in snapshots. The earlier keys are written
//! first, so that a crash between the two files loses none.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use parking_lot::RwLock;

/// File of the keys before, 32 bytes each, the latest first; beside that of the present one.
pub const FORMER_SECRETS_KEYS: &str = "former-secrets.keys";

pub(super) type Key = [u8; LENGTH];
const LENGTH: usize = 32;
const NONCE: usize = 12;

/// The key file of secrets at rest can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Reading or making the file.
    #[error("key file {path:?}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The file has another length than it should.
    #[error("key file {path:?} has {length} bytes, not 32 for each key")]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length.
        length: usize,
    },
}

/// The present key, then those before.
pub(super) struct FileKeys {
    path: PathBuf,
    keys: RwLock<Vec<Known>>,
}

struct Known {
    key: Key,
    cipher: Aes256Gcm,
}

impl Known {
    fn new(key: Key) -> Self {
        Self {
            cipher: cipher(&key),
            key,
        }
    }
}

impl FileKeys {
    /// Reads the files, or makes a first key (mode 0600) when there is none.
    pub(super) fn open(path: &Path) -> Result<Self, KeyError> {
        let mut keys = read(path)?;
        if keys.is_empty() {
            let key: Key = rand::random();
            write(path, &key)?;
            keys.push(key);
        }
        if keys.len() > 1 {
            return Err(KeyError::Length {
                path: path.to_owned(),
                length: keys.len() * LENGTH,
            });
        }
        for former in read(&path.with_file_name(FORMER_SECRETS_KEYS))? {
            if !keys.contains(&former) {
                keys.push(former);
            }
        }
        Ok(Self {
            path: path.to_owned(),
            keys: RwLock::new(keys.into_iter().map(Known::new).collect()),
        })
    }

    /// Takes over another key, which seals from now on; true if it was new here.
    pub(super) fn adopt(&self, key: Key) -> Result<bool, KeyError> {
        let mut keys = self.keys.write();
        if keys.iter().any(|known| known.key == key) {
            return Ok(false);
        }
        let former: Vec<Key> = keys.iter().map(|known| known.key).collect();
        write(&self.path.with_file_name(FORMER_SECRETS_KEYS), &former.concat())?;
        write(&self.path, &key)?;
        keys.insert(0, Known::new(key));
        Ok(true)
    }

    /// Seals with the present key.
    pub(super) fn close(&self, aad: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        close(&self.keys.read().first()?.cipher, aad, plain)
    }

    /// Opens with whichever key it was sealed with.
    pub(super) fn open_any(&self, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let keys = self.keys.read();
        keys.iter().find_map(|known| open(&known.cipher, aad, sealed))
    }

    /// Whether something was sealed with the present key.
    pub(super) fn is_present(&self, aad: &[u8], sealed: &[u8]) -> bool {
        let keys = self.keys.read();
        keys.first()
            .is_some_and(|known| open(&known.cipher, aad, sealed).is_some())
    }
}

pub(super) fn cipher(key: &Key) -> Aes256Gcm {
    Aes256Gcm::new(key.into())
}

/// Nonce and cipher text.
pub(super) fn close(cipher: &Aes256Gcm, aad: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let nonce: [u8; NONCE] = rand::random();
    let sealed = cipher.encrypt(&nonce.into(), Payload { msg: plain, aad }).ok()?;
    Some([&nonce[..], &sealed].concat())
}

pub(super) fn open(cipher: &Aes256Gcm, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    cipher
        .decrypt(&(*nonce).into(), Payload { msg: sealed, aad })
        .ok()
}

/// The keys in a file; none when it is not there.
fn read(path: &Path) -> Result<Vec<Key>, KeyError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(|source| failed(path, source))?,
    };
    let (keys, rest) = bytes.as_chunks();
    if keys.is_empty() || !rest.is_empty() {
        return Err(KeyError::Length {
            path: path.to_owned(),
            length: bytes.len(),
        });
    }
    Ok(keys.to_vec())
}

/// Writes a file of mode 0600 so that a crash leaves the one before or this one.
fn write(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let failed = |source| failed(path, source);
    let temporary = path.with_extension("new");
    let _ = fs::remove_file(&temporary);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(failed)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)?;
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::File::open(parent)
            .and_then(|d| d.sync_all())
            .map_err(failed)?;
    }
    Ok(())
}

fn failed(path: &Path, source: io::Error) -> KeyError {
    KeyError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_key_sealed_stays_readable_also_after_a_crash_between_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets.key");
        let keys = FileKeys::open(&path).unwrap();
        let first = fs::read(&path).unwrap();
        let old = keys.close(b"a", b"old").unwrap();
        assert!(keys.adopt([7; 32]).unwrap() && !keys.adopt([7; 32]).unwrap());
        let new = keys.close(b"a", b"new").unwrap();
        assert!(keys.is_present(b"a", &new) && !keys.is_present(b"a", &old));
        // Killed after the first of the two files: the key before, which is a former one as well.
        let half = tempfile::tempdir().unwrap();
        fs::copy(
            dir.path().join(FORMER_SECRETS_KEYS),
            half.path().join(FORMER_SECRETS_KEYS),
        )
        .unwrap();
        let half = half.path().join("secrets.key");
        fs::write(&half, &first).unwrap();
        let unfinished = FileKeys::open(&half).unwrap();
        assert!(unfinished.adopt([7; 32]).unwrap());
        for keys in [
            keys,
            unfinished,
            FileKeys::open(&path).unwrap(),
            FileKeys::open(&half).unwrap(),
        ] {
            assert_eq!(keys.open_any(b"a", &old).as_deref(), Some(&b"old"[..]));
            assert_eq!(keys.open_any(b"a", &new).as_deref(), Some(&b"new"[..]));
            assert_eq!(keys.open_any(b"b", &new), None);
            assert!(
                !keys.adopt(first.clone().try_into().unwrap()).unwrap(),
                "a former key came back"
            );
        }
    }

    #[test]
    fn a_file_of_another_length_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets.key");
        for length in [0, 31, 64] {
            fs::write(&path, vec![1; length]).unwrap();
            assert!(
                matches!(FileKeys::open(&path), Err(KeyError::Length { .. })),
                "{length}"
            );
        }
    }
}
