//! Secret.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{
    Column, Strategy,
    print::{self, AGE, NAME, column},
    value::{entries, make_object, remove, set_default_text, text},
};

pub(crate) struct Secret;

impl Strategy for Secret {
    fn default(&self, object: &mut Value) {
        set_default_text(object, "type", "Opaque");
        // Plain text is only a way to write data.
        let plain = remove(object, "stringData").unwrap_or_default();
        let encoded: Vec<(String, Value)> = entries(&plain, "")
            .map(|(key, text)| {
                let text = text.as_str().unwrap_or_default();
                (key.to_owned(), STANDARD.encode(text).into())
            })
            .collect();
        if !encoded.is_empty()
            && let Some(data) = make_object(object, "data")
        {
            data.extend(encoded);
        }
    }

    fn field(&self, object: &Value, path: &str) -> Option<String> {
        (path == "type").then(|| text(object, path).to_owned())
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Type", "string", "What the data is for."),
            column("Data", "string", "Number of entries."),
            AGE,
        ];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        vec![
            print::name(object),
            text(object, "type").into(),
            entries(object, "data").count().into(),
            print::age(object, now),
        ]
    }
}
