//! Objects out: the JSON value that is stored, in protobuf. What a value does not have is not written: readers take
//! it as zero, which is what it stands for.

use serde_json::{Map, Value};

use super::{Error, Field, Kind, MAGIC, MESSAGES, META, Message, Shape, by_name, find};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Whether objects of a kind can be written.
pub(crate) fn knows(api_version: &str, kind: &str) -> bool {
    find(api_version, kind).is_some()
}

/// Writes an object, `apiVersion` and `kind` in it, as `k8s\0` and a `runtime.Unknown`.
pub(crate) fn encode(object: &Value) -> Result<Vec<u8>, Error> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let empty = Map::new();
    let fields = object.as_object().unwrap_or(&empty);
    let mut raw = Vec::new();
    match kind {
        "PartialObjectMetadata" => partial(fields, &mut raw)?,
        "PartialObjectMetadataList" => {
            put(&mut raw, 1, |out| {
                write(meta("ListMeta")?, member(fields, "metadata"), out)
            })?;
            for item in object["items"].as_array().into_iter().flatten() {
                put(&mut raw, 2, |out| {
                    partial(item.as_object().unwrap_or(&empty), out)
                })?;
            }
        }
        _ => {
            let message = find(api_version, kind).ok_or_else(|| Error::Kind(kind.to_owned()))?;
            write(message, fields, &mut raw)?;
        }
    }
    let mut out = Vec::with_capacity(raw.len() + 64);
    out.extend_from_slice(MAGIC);
    let mut type_meta = Vec::new();
    bytes(&mut type_meta, 1, api_version.as_bytes());
    bytes(&mut type_meta, 2, kind.as_bytes());
    bytes(&mut out, 1, &type_meta);
    bytes(&mut out, 2, &raw);
    bytes(&mut out, 3, b"");
    bytes(&mut out, 4, b"");
    Ok(out)
}

/// One frame of a watch: four bytes of length, big-endian, and a `WatchEvent` without the envelope, whose object has
/// one. Source: apimachinery `serializer/protobuf` (raw serializer, length-delimited framer).
pub(crate) fn frame(event: &str, object: &Value) -> Result<Vec<u8>, Error> {
    let object = encode(object)?;
    let mut extension = Vec::with_capacity(object.len() + 8);
    bytes(&mut extension, 1, &object);
    let mut body = Vec::with_capacity(extension.len() + 24);
    bytes(&mut body, 1, event.as_bytes());
    bytes(&mut body, 2, &extension);
    let length = u32::try_from(body.len()).map_err(|_| Error::Malformed)?;
    Ok([length.to_be_bytes().as_slice(), &body].concat())
}

fn meta(kind: &str) -> Result<&'static Message, Error> {
    by_name(&format!("{META}.{kind}")).ok_or_else(|| Error::Kind(kind.to_owned()))
}

/// `PartialObjectMetadata { metadata = 1 }`, which OpenAPI does not publish.
fn partial(fields: &Map<String, Value>, out: &mut Vec<u8>) -> Result<(), Error> {
    put(out, 1, |out| {
        write(meta("ObjectMeta")?, member(fields, "metadata"), out)
    })
}

fn member<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    fields.get(name).and_then(Value::as_object).unwrap_or(&NONE)
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    varint(out, u64::from(field) << 3);
    varint(out, value);
}

fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    varint(out, u64::from(field) << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// A field with a message in it.
fn put(
    out: &mut Vec<u8>,
    field: u32,
    fill: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut inner = Vec::new();
    fill(&mut inner)?;
    bytes(out, field, &inner);
    Ok(())
}

fn write(message: &Message, object: &Map<String, Value>, out: &mut Vec<u8>) -> Result<(), Error> {
    for Field(field, name, kind, shape, _) in message.fields {
        if name.is_empty() {
            // An embedded type: its fields are those of the object around it.
            if let Kind::Message(index) = kind {
                let mut inner = Vec::new();
                write(&MESSAGES[usize::from(*index)], object, &mut inner)?;
                if !inner.is_empty() {
                    bytes(out, *field, &inner);
                }
            }
            continue;
        }
        match (shape, object.get(*name)) {
            (_, None | Some(Value::Null)) => {}
            (Shape::One, Some(item)) => value(*kind, *field, item, out)?,
            (Shape::List, Some(list)) => {
                for item in list.as_array().ok_or(Error::Malformed)? {
                    value(*kind, *field, item, out)?;
                }
            }
            (Shape::Map, Some(map)) => {
                for (key, item) in map.as_object().ok_or(Error::Malformed)? {
                    put(out, *field, |out| {
                        bytes(out, 1, key.as_bytes());
                        value(*kind, 2, item, out)
                    })?;
                }
            }
        }
    }
    Ok(())
}

fn value(kind: Kind, field: u32, item: &Value, out: &mut Vec<u8>) -> Result<(), Error> {
    let text = || item.as_str().ok_or(Error::Malformed);
    match kind {
        Kind::String => bytes(out, field, text()?.as_bytes()),
        Kind::Bool => number(out, field, u64::from(item.as_bool().ok_or(Error::Malformed)?)),
        // Negative numbers go as 64-bit two's complement.
        Kind::Int => number(out, field, item.as_i64().ok_or(Error::Malformed)? as u64),
        Kind::Bytes => {
            let plain = STANDARD.decode(text()?).map_err(|_| Error::Malformed)?;
            bytes(out, field, &plain);
        }
        Kind::Time | Kind::MicroTime => {
            let time: jiff::Timestamp = text()?.parse().map_err(|_| Error::Malformed)?;
            put(out, field, |out| {
                number(out, 1, time.as_second() as u64);
                if matches!(kind, Kind::MicroTime) {
                    number(out, 2, i64::from(time.subsec_nanosecond()) as u64);
                }
                Ok(())
            })?;
        }
        Kind::Quantity => {
            let shown = match item {
                Value::Number(n) => n.to_string(),
                _ => text()?.to_owned(),
            };
            put(out, field, |out| {
                bytes(out, 1, shown.as_bytes());
                Ok(())
            })?;
        }
        Kind::IntOrString => put(out, field, |out| {
            match item {
                Value::String(text) => {
                    number(out, 1, 1);
                    bytes(out, 3, text.as_bytes());
                }
                _ => number(out, 2, item.as_i64().ok_or(Error::Malformed)? as u64),
            }
            Ok(())
        })?,
        Kind::Raw => put(out, field, |out| {
            bytes(out, 1, item.to_string().as_bytes());
            Ok(())
        })?,
        Kind::Items => put(out, field, |out| {
            for item in item.as_array().ok_or(Error::Malformed)? {
                bytes(out, 1, item.as_str().ok_or(Error::Malformed)?.as_bytes());
            }
            Ok(())
        })?,
        Kind::Message(index) => put(out, field, |out| {
            let fields = item.as_object().ok_or(Error::Malformed)?;
            write(&MESSAGES[usize::from(index)], fields, out)
        })?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::request::protobuf::decode;

    #[test]
    fn what_is_written_reads_back_as_it_was() {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "web", "namespace": "default", "labels": {"app": "web"}, "creationTimestamp": "2026-01-02T03:04:05Z",
                "managedFields": [{"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                    "time": "2026-01-02T03:04:05Z", "fieldsV1": {"f:metadata": {"f:labels": {}}}}],
            },
            "spec": {
                "volumes": [
                    {"name": "v", "emptyDir": {"sizeLimit": "1Gi"}},
                    {"name": "w", "downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                    {"name": "x", "scaleIO": {"gateway": "g", "system": "s", "secretRef": {"name": "s"}}},
                ],
                "containers": [{
                    "name": "c", "image": "i",
                    "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k", "optional": false}}}],
                    "resources": {"limits": {"cpu": "500m"}},
                    "readinessProbe": {"httpGet": {"path": "/", "port": "http", "scheme": "HTTP"}, "periodSeconds": 3},
                    "livenessProbe": {"tcpSocket": {"port": 80}},
                    "securityContext": {"runAsUser": 0, "privileged": false},
                }],
                "tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": -1}],
                "terminationGracePeriodSeconds": 0,
            },
            "status": {"podIPs": [{"ip": "10.0.0.1"}]},
        });
        let bytes = encode(&pod).unwrap();
        assert!(bytes.starts_with(MAGIC));
        assert_eq!(decode(&bytes, "v1", "Pod").unwrap(), pod);
    }

    #[test]
    fn lists_secrets_leases_and_statuses_read_back() {
        for object in [
            json!({"apiVersion": "v1", "kind": "SecretList", "metadata": {"resourceVersion": "7", "continue": "x"},
                "items": [{"metadata": {"name": "s"}, "data": {"k": "AAEC"}, "type": "Opaque"}]}),
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"},
                "spec": {"holderIdentity": "a", "renewTime": "2026-01-02T03:04:05.123456Z"}}),
            json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "message": "no",
                "reason": "NotFound", "details": {"name": "a", "kind": "pods", "causes": [{"field": "f"}]}, "code": 404}),
        ] {
            let kind = object["kind"].as_str().unwrap();
            let version = object["apiVersion"].as_str().unwrap();
            assert_eq!(decode(&encode(&object).unwrap(), version, kind).unwrap(), object);
        }
    }

    /// Without what a reader takes as zero: null, and empty lists, maps, strings and numbers that are not given.
    fn bare(value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                let kept = fields.iter().map(|(k, v)| (k.clone(), bare(v)));
                Value::Object(kept.filter(|(_, v)| !is_nothing(v)).collect())
            }
            Value::Array(items) => Value::Array(items.iter().map(bare).collect()),
            other => other.clone(),
        }
    }

    fn is_nothing(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Bool(on) => !on,
            Value::Number(n) => n.as_i64() == Some(0),
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
        }
    }

    #[test]
    fn every_kind_that_is_served_has_a_form_and_its_sample_reads_back() {
        let samples = include_str!("../../../../resources/src/tests/samples.json");
        let samples: Vec<Value> = serde_json::from_str(samples).expect("samples are JSON");
        assert!(samples.len() > 20);
        for mut sample in samples {
            let version = sample["apiVersion"].as_str().unwrap().to_owned();
            let kind = sample["kind"].as_str().unwrap().to_owned();
            let row = skiff_resources::find_kind(&version, &kind).unwrap();
            row.strategy.to_storage(&mut sample);
            row.strategy.default(&mut sample);
            row.strategy.from_storage(&mut sample);
            assert!(knows(&version, &kind), "{version} {kind}");
            let read = decode(&encode(&sample).unwrap(), &version, &kind).unwrap();
            assert_eq!(bare(&read), bare(&sample), "{version} {kind}");
        }
        for row in skiff_resources::table() {
            let version = if row.group.is_empty() {
                row.version.to_string()
            } else {
                format!("{}/{}", row.group, row.version)
            };
            // Definitions of custom resources, of which there are none, are JSON.
            assert!(
                knows(&version, &row.kind) || row.group == "apiextensions.k8s.io",
                "{version} {}",
                row.kind
            );
        }
    }

    #[test]
    fn a_frame_has_its_length_and_the_object_in_its_envelope() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        let frame = frame("ADDED", &object).unwrap();
        let (length, body) = frame.split_at(4);
        assert_eq!(
            u32::from_be_bytes(length.try_into().unwrap()) as usize,
            body.len()
        );
        assert!(body.starts_with(b"\x0a\x05ADDED\x12"));
        let at = body.windows(4).position(|w| w == MAGIC).unwrap();
        assert_eq!(decode(&body[at..], "v1", "ConfigMap").unwrap(), object);
    }

    #[test]
    fn metadata_alone_is_written_as_its_own_kind() {
        let item = json!({"metadata": {"name": "a"}});
        let list = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": {}, "items": [item]});
        let bytes = encode(&list).unwrap();
        // Unknown.raw: ListMeta {}, then one item with ObjectMeta { name }.
        let raw = [0x0a, 0, 0x12, 5, 0x0a, 3, 0x0a, 1, b'a'];
        assert!(bytes.windows(raw.len()).any(|w| w == raw));
    }

    #[test]
    fn kinds_of_other_groups_are_not_known_whatever_they_are_called() {
        assert!(knows("apps/v1", "Deployment"));
        assert!(knows("rbac.authorization.k8s.io/v1", "Role"));
        assert!(!knows("apps.example.org/v1", "Deployment"));
        assert!(!knows("example.org/v1", "Widget"));
    }
}
