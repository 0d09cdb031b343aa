//! Endpoints.

use serde_json::Value;

use crate::{
    Column, Strategy,
    print::{self, AGE, NAME, column},
    value::{int, list, list_mut, set_default_text, text},
};

pub(crate) struct Endpoints;

impl Strategy for Endpoints {
    fn default(&self, object: &mut Value) {
        for subset in list_mut(object, "subsets") {
            for port in list_mut(subset, "ports") {
                set_default_text(port, "protocol", "TCP");
            }
        }
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Endpoints", "string", "Ready addresses with their ports."),
            AGE,
        ];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        let mut found = Vec::new();
        let subsets = list(object, "subsets");
        for subset in subsets {
            let (ports, addresses) = (list(subset, "ports"), list(subset, "addresses"));
            if ports.is_empty() {
                found.extend(addresses.iter().map(|a| text(a, "ip").to_owned()));
            }
            for port in ports {
                let number = int(port, "port").unwrap_or_default();
                found.extend(addresses.iter().map(|a| print::host_port(text(a, "ip"), number)));
            }
        }
        let none = if subsets.is_empty() { "<none>" } else { "" };
        vec![
            print::name(object),
            print::first_three(&found, none).into(),
            print::age(object, now),
        ]
    }

    fn warnings(&self, _object: &Value) -> Vec<String> {
        vec!["v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".to_owned()]
    }
}
