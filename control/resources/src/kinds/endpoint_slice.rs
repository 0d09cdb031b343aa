//! EndpointSlice.

use serde_json::Value;

use crate::{
    Column, Part, Strategy, meta,
    print::{self, AGE, NAME, column},
    value::{int, list, list_mut, set_default, text},
};

pub(crate) struct EndpointSlice;

impl Strategy for EndpointSlice {
    fn default(&self, object: &mut Value) {
        for port in list_mut(object, "ports") {
            set_default(port, "name", "");
            set_default(port, "protocol", "TCP");
        }
    }

    fn prepare_create(&self, object: &mut Value) {
        meta::first_generation(object);
    }

    fn prepare_update(&self, _part: Part, new: &mut Value, old: &Value) {
        meta::count_changes(
            new,
            old,
            &["metadata.labels", "endpoints", "ports", "addressType"],
        );
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("AddressType", "string", "Family of the addresses."),
            column("Ports", "string", "Ports of every endpoint."),
            column("Endpoints", "string", "Addresses of the endpoints."),
            AGE,
        ];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        let ports: Vec<String> = list(object, "ports")
            .iter()
            .map(|p| match int(p, "port") {
                Some(number) => number.to_string(),
                None if p.get("name").is_some_and(Value::is_string) => text(p, "name").to_owned(),
                None => "*".to_owned(),
            })
            .collect();
        let addresses: Vec<String> = list(object, "endpoints")
            .iter()
            .flat_map(|e| list(e, "addresses"))
            .filter_map(|a| a.as_str().map(str::to_owned))
            .collect();
        vec![
            print::name(object),
            text(object, "addressType").into(),
            unset(print::first_three(&ports, "")).into(),
            unset(print::first_three(&addresses, "")).into(),
            print::age(object, now),
        ]
    }
}

/// A single port with an empty name also prints as unset.
fn unset(text: String) -> String {
    if text.is_empty() {
        "<unset>".to_owned()
    } else {
        text
    }
}
