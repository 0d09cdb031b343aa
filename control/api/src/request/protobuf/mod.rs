//! Kubernetes' protobuf encoding (`application/vnd.kubernetes.protobuf`): `k8s\0`, then a `runtime.Unknown` with the
//! type and the object. A request body becomes the same JSON value a JSON client would have sent; [`encode`] writes
//! answers from JSON values by the same table.
//!
//! Field numbers and JSON names are facts from the published `.proto` files and OpenAPI definitions, in
//! `generated.rs`. Go clients put every field that is no pointer on the wire, zero or not: the table says where zero
//! means "not given".

mod encode;
#[rustfmt::skip]
mod generated;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

pub(crate) use encode::{encode, frame, knows};
use generated::MESSAGES;

/// The media type.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
const MAGIC: &[u8] = b"k8s\0";
/// Where the types of the meta group are.
const META: &str = "apimachinery.pkg.apis.meta.v1";

/// A type of the table.
struct Message {
    /// Published name without `io.k8s.`, e.g. `api.apps.v1.Deployment`. Sorted.
    name: &'static str,
    /// Sorted by number.
    fields: &'static [Field],
}

/// Number, JSON name (empty: the fields of this message belong to the object around it), kind, shape, and whether
/// zero means absent.
struct Field(u32, &'static str, Kind, Shape, bool);

#[derive(Clone, Copy)]
enum Shape {
    One,
    List,
    Map,
}

#[derive(Clone, Copy)]
enum Kind {
    String,
    Bool,
    Int,
    Bytes,
    Time,
    MicroTime,
    Quantity,
    IntOrString,
    /// JSON in bytes (`FieldsV1`, `RawExtension`).
    Raw,
    /// A message that stands for a list of strings (`ExtraValue`).
    Items,
    /// An index of [`MESSAGES`].
    Message(u16),
}

/// A body that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// It does not begin with `k8s\0`.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    Magic,
    /// It ends in the middle, or holds something that protobuf does not allow here.
    #[error("proto: malformed message")]
    Malformed,
    /// A string is not UTF-8.
    #[error("proto: a string is not UTF-8")]
    Utf8,
    /// The type is not in the table.
    #[error("no kind \"{0}\" is registered for protobuf")]
    Kind(String),
}

/// Reads an object. `api_version` and `kind` are what the request is for: used when the body does not say.
pub(crate) fn decode(bytes: &[u8], api_version: &str, kind: &str) -> Result<Value, Error> {
    let mut unknown = Reader(bytes.strip_prefix(MAGIC).ok_or(Error::Magic)?);
    let (mut given_version, mut given_kind, mut raw) = (String::new(), String::new(), &[][..]);
    while let Some((number, wire)) = unknown.field()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => {
                let mut meta = Reader(bytes);
                while let Some((number, wire)) = meta.field()? {
                    match (number, wire) {
                        (1, Wire::Bytes(text)) => given_version = utf8(text)?,
                        (2, Wire::Bytes(text)) => given_kind = utf8(text)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let or = |given: String, asked: &str| if given.is_empty() { asked.to_owned() } else { given };
    let (api_version, kind) = (or(given_version, api_version), or(given_kind, kind));
    let message = find(&api_version, &kind).ok_or_else(|| Error::Kind(kind.clone()))?;
    let mut object = Map::new();
    object.insert("apiVersion".into(), json!(api_version));
    object.insert("kind".into(), json!(kind));
    read(message, raw, &mut object)?;
    Ok(Value::Object(object))
}

/// The message of a kind: `apps/v1` is in `api.apps.v1`, `rbac.authorization.k8s.io/v1` in `api.rbac.v1`; options such
/// as `DeleteOptions` are in the meta group whatever version they are sent under.
fn find(api_version: &str, kind: &str) -> Option<&'static Message> {
    let (group, version) = api_version.split_once('/').unwrap_or(("core", api_version));
    let own = !group.contains('.') || group.ends_with(".k8s.io");
    let short = group.split('.').next().unwrap_or_default();
    let meta = || by_name(&format!("{META}.{kind}"));
    match kind {
        "DeleteOptions" => meta(),
        _ if !own => None,
        _ => by_name(&format!("api.{short}.{version}.{kind}")).or_else(meta),
    }
}

fn by_name(name: &str) -> Option<&'static Message> {
    let at = MESSAGES.binary_search_by(|m| m.name.cmp(name)).ok()?;
    MESSAGES.get(at)
}

/// One value on the wire.
enum Wire<'a> {
    Varint(u64),
    Fixed32(u32),
    /// 64 bits that no type in the table has.
    Skipped,
    Bytes(&'a [u8]),
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn varint(&mut self) -> Result<u64, Error> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.0.split_first().ok_or(Error::Malformed)?;
            self.0 = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Error::Malformed)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(Error::Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    /// The next field, `None` at the end.
    fn field(&mut self) -> Result<Option<(u32, Wire<'a>)>, Error> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| Error::Malformed)?;
        let fixed = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |all, b| all << 8 | u64::from(*b));
        let wire = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => {
                self.take(8)?;
                Wire::Skipped
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Error::Malformed)?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed32(fixed(self.take(4)?) as u32),
            _ => return Err(Error::Malformed),
        };
        Ok(Some((number, wire)))
    }
}

fn utf8(bytes: &[u8]) -> Result<String, Error> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Error::Utf8)
}

/// Reads a message into an object. The depth is bounded by the table: no type in it contains itself.
fn read(message: &Message, bytes: &[u8], object: &mut Map<String, Value>) -> Result<(), Error> {
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.field()? {
        // Fields that came after the table was made are left out, as an older server would.
        let Ok(at) = message.fields.binary_search_by_key(&number, |f| f.0) else {
            continue;
        };
        let Field(_, name, kind, shape, absent_when_zero) = &message.fields[at];
        match (shape, wire) {
            (Shape::One, Wire::Bytes(inner)) if name.is_empty() => {
                if let Kind::Message(index) = kind {
                    read(&MESSAGES[usize::from(*index)], inner, object)?;
                }
            }
            (Shape::One, wire) => {
                let value = value(*kind, wire)?;
                let absent = value.is_null() || (*absent_when_zero && is_zero(&value));
                if !absent {
                    object.insert((*name).to_owned(), value);
                }
            }
            // Packed numbers: several in one field.
            (Shape::List, Wire::Bytes(packed)) if matches!(kind, Kind::Int | Kind::Bool) => {
                let mut packed = Reader(packed);
                while !packed.0.is_empty() {
                    let number = Wire::Varint(packed.varint()?);
                    push(object, name, value(*kind, number)?);
                }
            }
            (Shape::List, wire) => push(object, name, value(*kind, wire)?),
            (Shape::Map, Wire::Bytes(entry)) => {
                let (mut key, mut item) = (String::new(), None);
                let mut entry = Reader(entry);
                while let Some((number, wire)) = entry.field()? {
                    match (number, wire) {
                        (1, Wire::Bytes(text)) => key = utf8(text)?,
                        (2, wire) => item = Some(value(*kind, wire)?),
                        _ => {}
                    }
                }
                let item = match item {
                    Some(item) => item,
                    None => value(*kind, empty(*kind))?,
                };
                let map = object.entry(*name).or_insert_with(|| json!({}));
                if let Some(map) = map.as_object_mut() {
                    map.insert(key, item);
                }
            }
            (Shape::Map, _) => return Err(Error::Malformed),
        }
    }
    Ok(())
}

fn push(object: &mut Map<String, Value>, name: &str, item: Value) {
    let list = object.entry(name).or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.push(item);
    }
}

/// What a map entry without a value stands for.
fn empty(kind: Kind) -> Wire<'static> {
    match kind {
        Kind::Bool | Kind::Int => Wire::Varint(0),
        _ => Wire::Bytes(&[]),
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_i64() == Some(0),
        _ => false,
    }
}

fn value(kind: Kind, wire: Wire<'_>) -> Result<Value, Error> {
    Ok(match (kind, wire) {
        (Kind::String, Wire::Bytes(text)) => Value::String(utf8(text)?),
        (Kind::Bool, Wire::Varint(number)) => Value::Bool(number != 0),
        // Negative numbers are sent as 64-bit two's complement.
        (Kind::Int, Wire::Varint(number)) => json!(number as i64),
        (Kind::Int, Wire::Fixed32(number)) => json!(number as i32),
        (Kind::Bytes, Wire::Bytes(bytes)) => Value::String(STANDARD.encode(bytes)),
        (Kind::Time, Wire::Bytes(bytes)) => time(bytes, "%Y-%m-%dT%H:%M:%SZ")?,
        (Kind::MicroTime, Wire::Bytes(bytes)) => time(bytes, "%Y-%m-%dT%H:%M:%S.%6fZ")?,
        (Kind::Quantity, Wire::Bytes(bytes)) => {
            let mut text = String::new();
            let mut reader = Reader(bytes);
            while let Some((number, wire)) = reader.field()? {
                if let (1, Wire::Bytes(bytes)) = (number, wire) {
                    text = utf8(bytes)?;
                }
            }
            Value::String(if text.is_empty() { "0".into() } else { text })
        }
        (Kind::IntOrString, Wire::Bytes(bytes)) => {
            let (mut is_text, mut number, mut text) = (false, 0, String::new());
            let mut reader = Reader(bytes);
            while let Some(field) = reader.field()? {
                match field {
                    (1, Wire::Varint(kind)) => is_text = kind == 1,
                    (2, Wire::Varint(value)) => number = value as i32,
                    (3, Wire::Bytes(bytes)) => text = utf8(bytes)?,
                    _ => {}
                }
            }
            if is_text {
                Value::String(text)
            } else {
                json!(number)
            }
        }
        (Kind::Raw, Wire::Bytes(bytes)) => {
            let mut value = Value::Null;
            let mut reader = Reader(bytes);
            while let Some((number, wire)) = reader.field()? {
                if let (1, Wire::Bytes(raw)) = (number, wire)
                    && !raw.is_empty()
                {
                    value = serde_json::from_slice(raw).map_err(|_| Error::Malformed)?;
                }
            }
            value
        }
        (Kind::Items, Wire::Bytes(bytes)) => {
            let mut items = Vec::new();
            let mut reader = Reader(bytes);
            while let Some((number, wire)) = reader.field()? {
                if let (1, Wire::Bytes(text)) = (number, wire) {
                    items.push(Value::String(utf8(text)?));
                }
            }
            Value::Array(items)
        }
        (Kind::Message(index), Wire::Bytes(bytes)) => {
            let mut object = Map::new();
            read(&MESSAGES[usize::from(index)], bytes, &mut object)?;
            Value::Object(object)
        }
        _ => return Err(Error::Malformed),
    })
}

/// `Time { seconds = 1, nanos = 2 }`; the zero time is an empty message and becomes null.
fn time(bytes: &[u8], format: &str) -> Result<Value, Error> {
    let (mut seconds, mut nanos) = (None, 0);
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Varint(value)) => seconds = Some(value as i64),
            (2, Wire::Varint(value)) => nanos = value as i32,
            _ => {}
        }
    }
    let Some(seconds) = seconds else {
        return Ok(Value::Null);
    };
    let time = jiff::Timestamp::new(seconds, nanos).map_err(|_| Error::Malformed)?;
    Ok(Value::String(time.strftime(format).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of bytes.
    fn bytes(number: u8, inner: &[u8]) -> Vec<u8> {
        let mut out = vec![
            number << 3 | 2,
            u8::try_from(inner.len()).expect("a short message"),
        ];
        out.extend_from_slice(inner);
        out
    }

    fn envelope(api_version: &str, kind: &str, object: &[u8]) -> Vec<u8> {
        let meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), bytes(1, &meta), bytes(2, object)].concat()
    }

    #[test]
    fn a_config_map_is_read() {
        let metadata = [bytes(1, b"a"), bytes(2, b""), bytes(8, b"")].concat();
        let entry = [bytes(1, b"k"), bytes(2, b"v")].concat();
        let body = envelope(
            "v1",
            "ConfigMap",
            &[bytes(1, &metadata), bytes(2, &entry)].concat(),
        );
        let expected =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}});
        assert_eq!(decode(&body, "v1", "ConfigMap").unwrap(), expected);
    }

    #[test]
    fn zero_replicas_are_a_value_and_zero_min_ready_seconds_are_not() {
        let spec = [1 << 3, 0, 5 << 3, 0];
        let body = envelope("apps/v1", "Deployment", &bytes(2, &spec));
        assert_eq!(
            decode(&body, "apps/v1", "Deployment").unwrap()["spec"],
            json!({"replicas": 0})
        );
    }

    #[test]
    fn embedded_types_belong_to_the_object_around_them() {
        // Volume { name, volumeSource { emptyDir {} } } in a PodSpec.
        let volume = [bytes(1, b"v"), bytes(2, &bytes(2, b""))].concat();
        let body = envelope("v1", "Pod", &bytes(2, &bytes(1, &volume)));
        let volumes = json!([{"name": "v", "emptyDir": {}}]);
        assert_eq!(decode(&body, "v1", "Pod").unwrap()["spec"]["volumes"], volumes);
    }

    #[test]
    fn broken_bodies_are_errors() {
        assert_eq!(decode(b"{}", "v1", "Pod"), Err(Error::Magic));
        let body = envelope("v1", "Pod", &bytes(2, &bytes(1, b"abc")));
        for end in MAGIC.len()..body.len() {
            // Whatever is cut off, nothing panics.
            let _ = decode(&body[..end], "v1", "Pod");
        }
        assert_eq!(
            decode(&[MAGIC, &[0x12, 0x7f]].concat(), "v1", "Pod"),
            Err(Error::Malformed)
        );
        assert!(matches!(
            decode(&envelope("v1", "Nothing", b""), "v1", "Pod"),
            Err(Error::Kind(_))
        ));
    }
}
