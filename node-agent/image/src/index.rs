//! What the store holds: one small file, replaced as a whole under a lock, so that several processes can use one store.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::{Error, ImageProcess};

/// `index.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Format of this file.
    pub version: u32,
    /// Images by id (`sha256:…` of the config).
    pub images: BTreeMap<String, Record>,
}

/// One image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Names, each `registry/repository:tag`.
    pub tags: Vec<String>,
    /// Names with a digest, each `registry/repository@sha256:…`.
    pub digests: Vec<String>,
    /// What to run.
    pub process: ImageProcess,
    /// Diff ids, lowest first.
    pub layers: Vec<String>,
    /// Bytes of the unpacked layers.
    #[serde(default)]
    pub size: u64,
}

/// The only format there is.
const VERSION: u32 = 1;

impl Index {
    /// Reads the index; an absent file is an empty one.
    pub fn read(dir: &Path) -> Result<Self, Error> {
        let path = dir.join("index.json");
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(Error::store("read", &path, e)),
        };
        let index: Self = serde_json::from_slice(&bytes).map_err(|e| Error::store("parse", &path, e))?;
        if index.version > VERSION {
            let text = format!(
                "format {} is newer than this program knows ({VERSION})",
                index.version
            );
            return Err(Error::store("read", &path, anyhow::anyhow!(text)));
        }
        Ok(index)
    }

    /// Changes the index under the lock and writes it.
    pub fn update<T>(dir: &Path, change: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let _lock = lock(dir)?;
        let mut index = Self::read(dir)?;
        let before = index.clone();
        let result = change(&mut index)?;
        if index != before {
            index.version = VERSION;
            index.write(dir)?;
        }
        Ok(result)
    }

    fn write(&self, dir: &Path) -> Result<(), Error> {
        let path = dir.join("index.json");
        let temporary = dir.join("index.json.tmp");
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&temporary)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_all()?;
            std::fs::rename(&temporary, &path)?;
            File::open(dir)?.sync_all()
        };
        write().map_err(|e| Error::store("write", &path, e))
    }

    /// The image with this canonical name.
    pub fn find(&self, name: &str) -> Option<(&String, &Record)> {
        let known = |record: &Record| record.tags.iter().chain(&record.digests).any(|n| n == name);
        self.images
            .iter()
            .find(|(id, record)| *id == name || known(record))
    }

    /// Gives an image a name, taking it from whichever had it.
    pub fn tag(&mut self, id: &str, name: &str) {
        for record in self.images.values_mut() {
            record.tags.retain(|t| t != name);
        }
        if let Some(record) = self.images.get_mut(id) {
            record.tags.push(name.to_owned());
        }
    }
}

/// Holds the store's lock until dropped.
pub fn lock(dir: &Path) -> Result<File, Error> {
    let path: PathBuf = dir.join("lock");
    let open = || -> std::io::Result<File> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    };
    open().map_err(|e| Error::store("lock", &path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_belongs_to_one_image_only() {
        let mut index = Index::default();
        index.images.insert("sha256:a".into(), Record::default());
        index.images.insert("sha256:b".into(), Record::default());
        index.tag("sha256:a", "r/x:1");
        index.tag("sha256:b", "r/x:1");
        assert_eq!(index.find("r/x:1").unwrap().0, "sha256:b");
        assert!(index.images["sha256:a"].tags.is_empty());
    }

    #[test]
    fn an_index_of_a_newer_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("index.json"), r#"{"version":2,"images":{}}"#).unwrap();
        assert!(Index::read(dir.path()).is_err());
    }
}
