//! Reading objects against the schema, as the Kubernetes decoder does: one pass over JSON or over a parsed value
//! that checks types, drops what is unknown or null, and brings quantities, times and base64 into one form.

use std::fmt;

use base64::Engine as _;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::facts::{Shape, Struct};
use crate::{PatchError, StrictError, Type, quantity};

/// Kubernetes stops collecting here.
const MAX_STRICT_ERRORS: usize = 100;

/// Parses JSON into a value, reporting duplicate keys, and drops and reports fields the type does not know
/// (`fieldValidation`: Strict refuses on any, Warn turns them into `Warning` headers, Ignore forgets them).
/// Without a type only duplicate keys are reported.
///
/// Nulls are dropped, numbers given for quantities become strings, quantities and times get the form in which
/// Kubernetes stores them.
///
/// # Errors
/// `BadRequest` for malformed JSON and for wrong types of known fields, worded as Kubernetes words it.
pub fn decode(json: &[u8], ty: Option<Type>) -> Result<(Value, Vec<StrictError>), PatchError> {
    let mut findings = Findings::default();
    let mut source = serde_json::Deserializer::from_slice(json);
    let seed = Seed {
        shape: ty.map(|ty| Shape::Object(ty.0)),
        path: None,
        findings: &mut findings,
    };
    let value = seed
        .deserialize(&mut source)
        .and_then(|value| source.end().map(|()| value))
        .map_err(|error| PatchError::BadRequest(error.to_string()))?;
    findings.finish(value)
}

/// The same as [`decode`] for a value that is already parsed (YAML bodies, patch results). Running it twice
/// changes nothing more.
///
/// # Errors
/// As [`decode`]; `value` is null then.
pub fn prune(value: &mut Value, ty: Type) -> Result<Vec<StrictError>, PatchError> {
    let mut findings = Findings {
        whole_floats: true,
        ..Findings::default()
    };
    let seed = Seed {
        shape: Some(Shape::Object(ty.0)),
        path: None,
        findings: &mut findings,
    };
    let pruned = seed
        .deserialize(value.take())
        .map_err(|error| PatchError::BadRequest(error.to_string()))?;
    let (pruned, strict) = findings.finish(pruned)?;
    *value = pruned;
    Ok(strict)
}

#[derive(Default)]
struct Findings {
    strict: Vec<StrictError>,
    /// The first wrong type; decoding goes on, as in Go, so that every unknown field is found.
    mismatch: Option<String>,
    /// Take `3.0` for an integer: YAML and patch results have lost how the number was written.
    whole_floats: bool,
}

impl Findings {
    fn strict(&mut self, what: &str, path: Option<&Path<'_>>, name: &str) {
        if self.strict.len() < MAX_STRICT_ERRORS {
            let prefix = path.map(Path::strict).unwrap_or_default();
            let dot = if prefix.is_empty() { "" } else { "." };
            self.strict
                .push(StrictError(format!("{what} field \"{prefix}{dot}{name}\"")));
        }
    }

    fn mismatch(&mut self, message: impl FnOnce() -> String) {
        self.mismatch.get_or_insert_with(message);
    }

    fn finish(self, value: Value) -> Result<(Value, Vec<StrictError>), PatchError> {
        match self.mismatch {
            Some(message) => Err(PatchError::BadRequest(message)),
            None => Ok((value, self.strict)),
        }
    }
}

/// Where decoding is, as a list on the stack: nothing is written down unless there is something to report.
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

enum Step<'a> {
    Field(&'static Struct, &'static str),
    Key(&'a str),
    Index(usize),
}

impl Path<'_> {
    /// `spec.containers[0].name`
    fn strict(&self) -> String {
        let mut text = self.parent.map(Path::strict).unwrap_or_default();
        let dot = if text.is_empty() { "" } else { "." };
        match &self.step {
            Step::Field(_, name) => text += &format!("{dot}{name}"),
            Step::Key(name) => text += &format!("{dot}{name}"),
            Step::Index(index) => text += &format!("[{index}]"),
        }
        text
    }

    /// The field names alone, and the innermost struct: `EnvVar.spec.containers.env.value`.
    fn go(&self) -> Option<String> {
        let mut names = Vec::new();
        let mut owner = None;
        let mut at = Some(self);
        while let Some(path) = at {
            if let Step::Field(of, name) = path.step {
                owner.get_or_insert(of);
                names.push(name);
            }
            at = path.parent;
        }
        names.reverse();
        owner.map(|of| format!("{}.{}", of.go_name(), names.join(".")))
    }
}

struct Seed<'a> {
    /// `None`: an object without a schema, of which only duplicate keys are reported.
    shape: Option<Shape>,
    path: Option<&'a Path<'a>>,
    findings: &'a mut Findings,
}

impl Seed<'_> {
    /// Notes a value of the wrong JSON type. `found` is Go's word for it.
    fn mismatch(self, found: impl fmt::Display) -> Value {
        let Seed {
            shape,
            path,
            findings,
        } = self;
        let shape = shape.unwrap_or(Shape::Any(""));
        findings.mismatch(|| match (shape, path.and_then(Path::go)) {
            (Shape::IntOrString, _) => format!("json: cannot unmarshal {found} into Go value of type int32"),
            (Shape::Time | Shape::MicroTime, _) => {
                format!("json: cannot unmarshal {found} into Go value of type string")
            }
            (Shape::Quantity, _) => quantity::QuantityError::Format.to_string(),
            (_, Some(field)) => {
                format!(
                    "json: cannot unmarshal {found} into Go struct field {field} of type {}",
                    shape.go_type()
                )
            }
            (_, None) => format!(
                "json: cannot unmarshal {found} into Go value of type {}",
                shape.go_type()
            ),
        });
        Value::Null
    }

    fn integer(self, number: i64) -> Value {
        match self.shape {
            Some(Shape::Int64 | Shape::Number | Shape::Any(_)) | None => number.into(),
            Some(Shape::Int32 | Shape::IntOrString) if i32::try_from(number).is_ok() => number.into(),
            Some(Shape::Quantity) => self.quantity(&number.to_string()),
            Some(Shape::Int32 | Shape::IntOrString) => self.mismatch(format_args!("number {number}")),
            _ => self.mismatch("number"),
        }
    }

    fn quantity(self, text: &str) -> Value {
        match quantity::canonical(text.trim()) {
            Ok(canonical) => canonical.into(),
            Err(error) => {
                self.findings.mismatch(|| error.to_string());
                Value::Null
            }
        }
    }

    fn time(self, text: String, micros: bool) -> Value {
        let Ok(time) = text.parse::<jiff::Timestamp>() else {
            let layout = if micros {
                "2006-01-02T15:04:05.000000Z07:00"
            } else {
                "2006-01-02T15:04:05Z07:00"
            };
            self.findings.mismatch(|| {
                format!("parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\"")
            });
            return Value::Null;
        };
        let layout = if micros {
            "%Y-%m-%dT%H:%M:%S%.6fZ"
        } else {
            "%Y-%m-%dT%H:%M:%SZ"
        };
        let printed = time.strftime(layout).to_string();
        Value::String(if printed == text { text } else { printed })
    }

    fn bytes(self, mut text: String) -> Value {
        // Go skips line breaks when decoding and writes none.
        if text.contains(['\n', '\r']) {
            text.retain(|c| c != '\n' && c != '\r');
        }
        if let Err(error) = base64::engine::general_purpose::STANDARD.decode(&text) {
            let at = match error {
                base64::DecodeError::InvalidByte(at, _) => at,
                base64::DecodeError::InvalidLastSymbol { offset, .. } => offset,
                base64::DecodeError::InvalidLength(at) => at,
                _ => text.len(),
            };
            self.findings
                .mismatch(|| format!("illegal base64 data at input byte {at}"));
            return Value::Null;
        }
        Value::String(text)
    }
}

/// What Go leaves in a list or map for a null element.
fn zero(shape: Shape) -> Value {
    match shape {
        Shape::String => "".into(),
        Shape::Bool => false.into(),
        Shape::Int32 | Shape::Int64 | Shape::Number | Shape::IntOrString => 0.into(),
        Shape::Quantity => "0".into(),
        Shape::Object(_) | Shape::Granular(_) => Value::Object(Map::new()),
        Shape::Any(_) | Shape::Bytes | Shape::Time | Shape::MicroTime | Shape::List(_) | Shape::Map(_) => {
            Value::Null
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        match self.shape {
            Some(Shape::Any(_)) => serde::Deserialize::deserialize(source),
            _ => source.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(match self.shape {
            Some(Shape::Bool) | None => value.into(),
            _ => self.mismatch("bool"),
        })
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(self.integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(match i64::try_from(value) {
            Ok(value) => self.integer(value),
            Err(_) => match self.shape {
                Some(Shape::Number) | None => value.into(),
                Some(Shape::Quantity) => self.quantity(&value.to_string()),
                _ => self.mismatch(format_args!("number {value}")),
            },
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(match self.shape {
            Some(Shape::Number) | None => value.into(),
            Some(Shape::Quantity) => self.quantity(&value.to_string()),
            Some(Shape::Int32 | Shape::Int64 | Shape::IntOrString)
                if self.findings.whole_floats && value.fract() == 0.0 && value.abs() < 9e15 =>
            {
                self.integer(value as i64)
            }
            Some(Shape::Int32 | Shape::Int64 | Shape::IntOrString) => {
                self.mismatch(format_args!("number {value:?}"))
            }
            _ => self.mismatch("number"),
        })
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.visit_string(value.to_owned())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(match self.shape {
            Some(Shape::String | Shape::IntOrString) | None => Value::String(value),
            Some(Shape::Quantity) => self.quantity(&value),
            Some(Shape::Time) => self.time(value, false),
            Some(Shape::MicroTime) => self.time(value, true),
            Some(Shape::Bytes) => self.bytes(value),
            _ => self.mismatch("string"),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<Value, A::Error> {
        let items = match self.shape {
            None => None,
            Some(Shape::List(list)) => Some(list.items),
            Some(_) => {
                while source.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(self.mismatch("array"));
            }
        };
        let mut list = Vec::with_capacity(source.size_hint().unwrap_or(0).min(1024));
        loop {
            let path = Path {
                parent: self.path,
                step: Step::Index(list.len()),
            };
            let seed = Seed {
                shape: items,
                path: Some(&path),
                findings: &mut *self.findings,
            };
            match source.next_element_seed(seed)? {
                Some(Value::Null) => list.push(items.map_or(Value::Null, zero)),
                Some(value) => list.push(value),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<Value, A::Error> {
        match self.shape {
            Some(Shape::Object(of) | Shape::Granular(of)) => self.visit_struct(of, source),
            Some(Shape::Map(map)) => self.visit_keys(Some(map.values), source),
            None => self.visit_keys(None, source),
            Some(_) => {
                while source.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(self.mismatch("object"))
            }
        }
    }
}

impl Seed<'_> {
    fn visit_struct<'de, A: MapAccess<'de>>(
        self,
        of: &'static Struct,
        mut source: A,
    ) -> Result<Value, A::Error> {
        let mut object = Map::new();
        let mut seen = 0_u128;
        while let Some(key) = source.next_key::<String>()? {
            let Some(field) = of.field(&key) else {
                source.next_value::<IgnoredAny>()?;
                self.findings.strict("unknown", self.path, &key);
                continue;
            };
            // Field tables are far shorter than 128; a longer one would only lose the check on its tail.
            let index = of.fields.partition_point(|other| other.name < field.name);
            let bit = 1_u128.checked_shl(index as u32).unwrap_or(0);
            if seen & bit != 0 {
                self.findings.strict("duplicate", self.path, &key);
            }
            seen |= bit;
            let path = Path {
                parent: self.path,
                step: Step::Field(of, field.name),
            };
            let seed = Seed {
                shape: Some(field.shape),
                path: Some(&path),
                findings: &mut *self.findings,
            };
            match source.next_value_seed(seed)? {
                Value::Null => _ = object.remove(&key),
                value => _ = object.insert(key, value),
            }
        }
        Ok(Value::Object(object))
    }

    fn visit_keys<'de, A: MapAccess<'de>>(
        self,
        values: Option<Shape>,
        mut source: A,
    ) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = source.next_key::<String>()? {
            if object.contains_key(&key) {
                self.findings.strict("duplicate", self.path, &key);
            }
            let path = Path {
                parent: self.path,
                step: Step::Key(&key),
            };
            let seed = Seed {
                shape: values,
                path: Some(&path),
                findings: &mut *self.findings,
            };
            let value = match source.next_value_seed(seed)? {
                Value::Null => values.map_or(Value::Null, zero),
                value => value,
            };
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests;
