//! Between objects and stored bytes.
//!
//! The layout of stored bytes is fixed: `{"apiVersion":…,"kind":…,"metadata":{"resourceVersion":"<spliced>",…},…}`,
//! so that the place of the revision is known without searching. Secrets are sealed: see `seal.rs`.

use std::{
    collections::{HashMap, VecDeque},
    path::Path,
    sync::{Arc, Weak},
};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use skiff_resources::Resource;
use skiff_store::{Entry, Revision, Store};

use super::{
    file_key::{FileKeys, KeyError},
    seal::Seal,
};
use crate::status::Status;

/// Encodes, seals, opens and parses.
pub(crate) struct Codec {
    pub(super) seal: Seal,
    parsed: Parsed,
}

impl Codec {
    pub(crate) fn open(key_file: &Path, store: Store) -> Result<Self, KeyError> {
        Ok(Self {
            seal: Seal::new(FileKeys::open(key_file)?, store),
            parsed: Parsed::default(),
        })
    }

    /// The value to store for an object (in the stored shape).
    pub(crate) fn encode(
        &self,
        resource: &Resource,
        key: &[u8],
        object: &Value,
    ) -> Result<skiff_store::Value, Status> {
        let (bytes, at) = layout(object);
        if !is_secret(resource) {
            return Ok(skiff_store::Value {
                bytes,
                revision_at: Some(at),
            });
        }
        Ok(skiff_store::Value {
            bytes: self.seal.seal(key, &bytes, at)?,
            revision_at: None,
        })
    }

    /// The JSON of an entry as stored, with secrets in clear. `revision` is the one it is to show.
    fn plain(&self, entry: &Entry, revision: Revision) -> Result<Bytes, Status> {
        if !Seal::is_sealed(&entry.value) {
            return Ok(entry.value.clone());
        }
        let broken = || Status::internal("a stored secret can't be decrypted with this key file");
        let (at, plain) = self.seal.open(entry).ok_or_else(broken)?;
        let (before, after) = plain.split_at_checked(at).ok_or_else(broken)?;
        let revision = revision.to_string();
        Ok([before, revision.as_bytes(), after].concat().into())
    }

    /// The bytes of an entry as they go on the wire for this resource.
    pub(crate) fn bytes(
        &self,
        resource: &Resource,
        entry: &Entry,
        revision: Revision,
    ) -> Result<Bytes, Status> {
        let plain = self.plain(entry, revision)?;
        if resource.strategy.is_storage_form() {
            return Ok(plain);
        }
        Ok(wire(resource, parse_stored(&plain)?))
    }

    /// The object of an entry in the stored shape, parsed; shared by all who hold the same revision.
    pub(crate) fn value(&self, entry: &Entry, revision: Revision) -> Result<Arc<Value>, Status> {
        if let Some(value) = self.parsed.get(&entry.key, revision) {
            return Ok(value);
        }
        let plain = self.plain(entry, revision)?;
        let value = Arc::new(parse_stored(&plain)?);
        self.parsed.put(entry.key.clone(), revision, &value, plain.len());
        Ok(value)
    }
}

/// The wire form of an object in the stored shape.
pub(crate) fn wire(resource: &Resource, mut object: Value) -> Bytes {
    if !resource.strategy.is_storage_form() {
        resource.strategy.from_storage(&mut object);
    }
    Bytes::from(object.to_string())
}

fn parse_stored(bytes: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(bytes)
        .map_err(|e| Status::internal(format!("a stored object does not parse: {e}")))
}

fn is_secret(resource: &Resource) -> bool {
    resource.group.is_empty() && resource.plural == "secrets"
}

/// Serialises an object in the fixed layout; returns the bytes and where the revision goes.
fn layout(object: &Value) -> (Bytes, u32) {
    let mut out = Vec::with_capacity(1024);
    let empty = serde_json::Map::new();
    let top = object.as_object().unwrap_or(&empty);
    out.push(b'{');
    for key in ["apiVersion", "kind"] {
        out.extend_from_slice(format!("\"{key}\":").as_bytes());
        json_into(&mut out, top.get(key).unwrap_or(&Value::Null));
        out.push(b',');
    }
    out.extend_from_slice(b"\"metadata\":{\"resourceVersion\":\"");
    let at = out.len() as u32;
    out.push(b'"');
    let metadata = top.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
    for (key, value) in metadata.iter().filter(|(key, _)| *key != "resourceVersion") {
        field_into(&mut out, key, value);
    }
    out.push(b'}');
    let front = ["apiVersion", "kind", "metadata"];
    for (key, value) in top.iter().filter(|(key, _)| !front.contains(&key.as_str())) {
        field_into(&mut out, key, value);
    }
    out.push(b'}');
    (out.into(), at)
}

fn field_into(out: &mut Vec<u8>, key: &str, value: &Value) {
    out.push(b',');
    json_into(out, key);
    out.push(b':');
    json_into(out, value);
}

fn json_into<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Writing JSON values into memory does not fail.
    let _ = serde_json::to_writer(out, value);
}

/// Parsed objects: as long as somebody holds one, everybody gets the same; the youngest are held here.
#[derive(Default)]
struct Parsed {
    inner: Mutex<ParsedInner>,
}

#[derive(Default)]
struct ParsedInner {
    known: HashMap<Bytes, (Revision, Weak<Value>)>,
    recent: VecDeque<(usize, Arc<Value>)>,
    recent_bytes: usize,
    sweep_at: usize,
}

/// How much JSON (not memory: that is several times more) the youngest may stand for.
const RECENT_BYTES: usize = 1 << 20;

impl Parsed {
    fn get(&self, key: &Bytes, revision: Revision) -> Option<Arc<Value>> {
        let inner = self.inner.lock();
        let (known, value) = inner.known.get(key)?;
        (*known == revision).then(|| value.upgrade())?
    }

    fn put(&self, key: Bytes, revision: Revision, value: &Arc<Value>, size: usize) {
        let mut inner = self.inner.lock();
        let newer = inner
            .known
            .get(&key)
            .is_some_and(|(known, value)| *known > revision && value.strong_count() > 0);
        if !newer {
            inner.known.insert(key, (revision, Arc::downgrade(value)));
        }
        inner.recent.push_back((size, value.clone()));
        inner.recent_bytes += size;
        while inner.recent_bytes > RECENT_BYTES {
            let Some((size, _)) = inner.recent.pop_front() else {
                break;
            };
            inner.recent_bytes -= size;
        }
        if inner.known.len() >= inner.sweep_at.max(256) {
            inner.known.retain(|_, (_, value)| value.strong_count() > 0);
            inner.sweep_at = inner.known.len() * 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_revision_goes_where_the_layout_says() {
        let object = json!({"kind": "X", "apiVersion": "v1", "data": {"a": "b"},
            "metadata": {"name": "n", "resourceVersion": "3"}});
        let (bytes, at) = layout(&object);
        let spliced = [&bytes[..at as usize], b"77", &bytes[at as usize..]].concat();
        let back: Value = serde_json::from_slice(&spliced).unwrap();
        assert_eq!(back["metadata"], json!({"name": "n", "resourceVersion": "77"}));
        assert_eq!(back["data"], object["data"]);
    }
}
