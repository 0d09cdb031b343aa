//! That docs/oci.md has a row for every field of the specification, as our types have them, and names tests that exist.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use oci_spec::runtime::{Features, Spec, State};
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor, value::Error},
    forward_to_deserialize_any,
};

/// The paths of all fields of a type: it is asked to read something that has each of them.
fn fields<T: for<'a> Deserialize<'a>>(prefix: &str) -> BTreeSet<String> {
    let found = RefCell::default();
    let reader = Reader {
        path: prefix.to_owned(),
        found: &found,
    };
    T::deserialize(reader).unwrap_or_else(|e| panic!("{prefix}: {e}"));
    found.into_inner()
}

/// Gives every type one value, and writes down the fields it asks for.
struct Reader<'a> {
    path: String,
    found: &'a RefCell<BTreeSet<String>>,
}

impl Reader<'_> {
    fn below(&self, more: &str) -> Self {
        Reader {
            path: format!("{}{more}", self.path),
            found: self.found,
        }
    }

    /// A text that is a name, a path, a capability; or a list of processors.
    fn text(&self) -> &'static str {
        if self.path.contains("CPUAffinity") {
            "0"
        } else {
            "CAP_CHOWN"
        }
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.text())
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(Each {
            reader: self,
            fields,
            value: None,
        })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Once(Some(self.below("[]"))))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Once(Some(self.below(".*"))))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(variants[0].into_deserializer())
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(true)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_i64(1)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_i32(1)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u64(1)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u32(1)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u16(1)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u8(1)
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// The fields of a struct.
struct Each<'a> {
    reader: Reader<'a>,
    fields: &'static [&'static str],
    value: Option<Reader<'a>>,
}

impl<'de> MapAccess<'de> for Each<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((first, rest)) = self.fields.split_first() else {
            return Ok(None);
        };
        self.fields = rest;
        let dot = if self.reader.path.is_empty() { "" } else { "." };
        let value = self.reader.below(&format!("{dot}{first}"));
        self.reader.found.borrow_mut().insert(value.path.clone());
        self.value = Some(value);
        seed.deserialize((*first).into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.value.take().expect("a key came before"))
    }
}

/// One element of a list or a map.
struct Once<'a>(Option<Reader<'a>>);

impl<'de> SeqAccess<'de> for Once<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.0.take().map(|reader| seed.deserialize(reader)).transpose()
    }
}

impl<'de> MapAccess<'de> for Once<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let reader = self.0.as_ref().map(|reader| reader.below(""));
        reader.map(|reader| seed.deserialize(reader)).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.0.take().expect("a key came before"))
    }
}

/// The rows of the page's part on fields: what the first cell and the last name in code.
fn rows() -> Vec<[BTreeSet<String>; 2]> {
    let text = fs::read_to_string(repository().join("docs/oci.md")).unwrap();
    let part = text.split("\n## ").find(|part| part.starts_with("Every field"));
    let code = |cell: Option<&str>| -> BTreeSet<String> {
        let names = cell.unwrap_or_default().split('`').skip(1).step_by(2);
        names.map(str::to_owned).collect()
    };
    part.expect("a part on every field")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let mut cells = line.trim_matches('|').split('|');
            [code(cells.next()), code(cells.next_back())]
        })
        .collect()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All that is written in the sources below a folder.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|end| end == "rs") {
            text += &fs::read_to_string(path).unwrap();
        }
    }
    text
}

#[test]
fn every_field_has_a_row_in_the_documentation() {
    let mut all = fields::<Spec>("");
    all.append(&mut fields::<State>("state"));
    all.append(&mut fields::<Features>("features"));
    // What is for other platforms is refused as a whole.
    let elsewhere = ["vm", "zos", "solaris", "windows"];
    all.retain(|path| {
        let first = path.split('.').next().unwrap_or_default();
        !elsewhere.contains(&first) || elsewhere.contains(&path.as_str())
    });
    let named: BTreeSet<String> = rows().into_iter().flat_map(|[fields, _]| fields).collect();
    let missing: Vec<_> = all.difference(&named).collect();
    assert!(missing.is_empty(), "no row for {missing:#?}");
    let unknown: Vec<_> = named.difference(&all).collect();
    assert!(unknown.is_empty(), "there is no such field: {unknown:#?}");
}

#[test]
fn every_row_names_tests_that_exist() {
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [kernel, own] = ["tests/kernel", "src"].map(|folder| sources(&runtime.join(folder)));
    let exists = |test: &str| match test.rsplit_once("::") {
        Some((_, name)) => own.contains(&format!("fn {name}()")),
        None if test.contains('/') => repository().join(test).exists(),
        None => kernel.contains(&format!("\"{test}\"")),
    };
    for [fields, tests] in rows() {
        let missing: Vec<_> = tests.iter().filter(|test| !exists(test)).collect();
        assert!(missing.is_empty(), "{fields:?}: there is no test {missing:?}");
    }
}

#[test]
fn features_tells_every_field() {
    let told = super::features::all();
    for field in fields::<Features>("") {
        let pointer = format!("/{}", field.replace('.', "/"));
        let value = told.pointer(&pointer);
        assert!(value.is_some_and(|value| !value.is_null()), "{field}: {value:?}");
    }
}
