//! A bundle's `config.json`: read, and refused where it says what nobody could carry out.

use std::{fs, io, path::Path};

use oci_spec::runtime::{Capability, Spec};
use serde_json::Value;

use crate::error::{Context, invalid};

/// Reads and checks a configuration.
///
/// # Errors
/// What is wrong with the file or its content.
pub(super) fn load(path: &Path, notes: &mut Vec<String>) -> io::Result<Spec> {
    let text = fs::read(path).context(|| format!("read {path:?}"))?;
    let spec = parse(&text, notes).context(|| format!("read {path:?}"))?;
    check(&spec)?;
    Ok(spec)
}

fn parse(text: &[u8], notes: &mut Vec<String>) -> io::Result<Spec> {
    let error = match serde_json::from_slice(text) {
        Ok(spec) => return Ok(spec),
        Err(e) => e,
    };
    // Capabilities that this runtime does not know are left out, as runc does, rather than an error: a newer engine may
    // ask for a newer kernel's.
    let mut value: Value = serde_json::from_slice(text)?;
    let capabilities = value.pointer_mut("/process/capabilities");
    if capabilities.is_none_or(|sets| !drop_unknown(sets, notes)) {
        return Err(error.into());
    }
    Ok(serde_json::from_value(value)?)
}

/// Removes capabilities without a meaning from all sets; tells whether there were any.
pub(super) fn drop_unknown(sets: &mut Value, notes: &mut Vec<String>) -> bool {
    let before = notes.len();
    for names in sets.as_object_mut().into_iter().flat_map(|o| o.values_mut()) {
        let Some(names) = names.as_array_mut() else {
            continue;
        };
        names.retain(|name| {
            let known = serde_json::from_value::<Capability>(name.clone()).is_ok();
            if !known {
                let note = format!("unknown capability {name} is left out");
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
            known
        });
    }
    notes.len() > before
}

fn check(spec: &Spec) -> io::Result<()> {
    let version = spec.version();
    if !version.starts_with("1.") {
        return Err(invalid(format!("ociVersion {version:?} is not supported")));
    }
    if spec.root().is_none() {
        return Err(invalid("the configuration has no root"));
    }
    let process = spec
        .process()
        .as_ref()
        .ok_or_else(|| invalid("the configuration has no process"))?;
    if !process.cwd().is_absolute() {
        return Err(invalid(format!(
            "cwd {:?} must be an absolute path",
            process.cwd()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_capabilities_are_left_out_and_told() {
        let config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "cwd": "/", "args": ["true"], "user": {"uid": 0, "gid": 0},
                "capabilities": {"bounding": ["CAP_UNKNOWN", "CAP_KILL"], "effective": ["UNKNOWN_CAP"]},
            },
        });
        let mut notes = Vec::new();
        let spec = parse(config.to_string().as_bytes(), &mut notes).unwrap();
        let process = spec.process().as_ref().unwrap();
        let bounding = process
            .capabilities()
            .as_ref()
            .unwrap()
            .bounding()
            .as_ref()
            .unwrap();
        assert_eq!(bounding.iter().collect::<Vec<_>>(), [&Capability::Kill]);
        assert_eq!(notes.len(), 2);
    }

    /// Any JSON, not too deep.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map("[a-zA-Z]{0,10}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// Every place in a document.
    fn places(value: &Value, at: String, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, inner)| {
                places(
                    inner,
                    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")),
                    found,
                );
            }),
            Value::Array(list) => {
                for (index, inner) in list.iter().enumerate() {
                    places(inner, format!("{at}/{index}"), found);
                }
            }
            _ => (),
        }
        found.push(at);
    }

    fn load_bytes(bytes: &[u8]) {
        if let Ok(spec) = parse(bytes, &mut Vec::new()) {
            let _ = check(&spec);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn arbitrary_documents_never_panic(document in any_json()) {
            load_bytes(document.to_string().as_bytes());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            load_bytes(&bytes);
        }

        #[test]
        fn a_valid_configuration_with_one_place_replaced_never_panics(
            choice in any::<prop::sample::Index>(),
            replacement in any_json(),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut document = serde_json::to_value(Spec::default()).unwrap();
            let mut all = Vec::new();
            places(&document, String::new(), &mut all);
            *document.pointer_mut(&all[choice.index(all.len())]).unwrap() = replacement;
            let text = document.to_string();
            load_bytes(text.as_bytes());
            load_bytes(&text.as_bytes()[..cut.index(text.len())]);
        }
    }
}
