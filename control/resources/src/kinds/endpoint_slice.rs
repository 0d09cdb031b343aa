//! EndpointSlice.

use std::{collections::BTreeSet, net::IpAddr};

use serde_json::Value;

use super::endpoints::usable_ip;

use crate::{
    Column, FieldError, Part, Strategy, meta,
    print::{self, AGE, NAME, column},
    validate::{
        Errors, Path,
        meta::{self as metadata, Scope},
        names, port,
    },
    value::{get, int, list, list_mut, set_default, text},
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

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, Scope::Namespaced, names::dns1123_subdomain);
        let kind = text(object, "addressType");
        errors.one_of(&Path::root("addressType"), kind, &["FQDN", "IPv4", "IPv6"], true);
        endpoints(&mut errors, list(object, "endpoints"), kind);
        ports(&mut errors, list(object, "ports"));
        errors.into_vec()
    }

    fn validate_update(&self, _part: Part, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::update(&mut errors, new, old);
        errors.immutable(
            &Path::root("addressType"),
            get(new, "addressType"),
            get(old, "addressType"),
        );
        let mut errors = errors.into_vec();
        errors.extend(self.validate(new));
        errors
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

const MAX_ENDPOINTS: usize = 1000;
const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 20000;

fn endpoints(errors: &mut Errors, endpoints: &[Value], kind: &str) {
    let path = Path::root("endpoints");
    if endpoints.len() > MAX_ENDPOINTS {
        errors.too_many(&path, endpoints.len(), MAX_ENDPOINTS);
        return;
    }
    for (i, endpoint) in endpoints.iter().enumerate() {
        let path = path.index(i);
        let at = path.field("addresses");
        let addresses = list(endpoint, "addresses");
        if addresses.is_empty() {
            errors.required(&at, "must contain at least 1 address");
        } else if addresses.len() > MAX_ADDRESSES {
            errors.too_many(&at, addresses.len(), MAX_ADDRESSES);
        }
        for (i, address) in addresses.iter().enumerate() {
            let (at, address) = (at.index(i), address.as_str().unwrap_or_default());
            let parsed = address.parse::<IpAddr>().ok();
            match kind {
                "IPv4" if !parsed.is_some_and(|a| a.is_ipv4()) => {
                    errors.invalid(&at, address, "must be a valid IPv4 address");
                }
                "IPv6" if !parsed.is_some_and(|a| a.is_ipv6()) => {
                    errors.invalid(&at, address, "must be a valid IPv6 address");
                }
                "IPv4" | "IPv6" => usable_ip(errors, &at, address),
                "FQDN" => errors.invalid_each(&at, address, names::dns1123_subdomain(address)),
                _ => {}
            }
        }
        let host = text(endpoint, "hostname");
        if !host.is_empty() {
            errors.invalid_each(&path.field("hostname"), host, names::dns1123_label(host));
        }
        let node = text(endpoint, "nodeName");
        if !node.is_empty() {
            errors.invalid_each(&path.field("nodeName"), node, names::dns1123_subdomain(node));
        }
    }
}

fn ports(errors: &mut Errors, ports: &[Value]) {
    let path = Path::root("ports");
    if ports.len() > MAX_PORTS {
        errors.too_many(&path, ports.len(), MAX_PORTS);
        return;
    }
    let mut seen = BTreeSet::new();
    for (i, found) in ports.iter().enumerate() {
        let path = path.index(i);
        let name = text(found, "name");
        if !name.is_empty() {
            errors.invalid_each(&path.field("name"), name, names::dns1123_label(name));
        }
        if !seen.insert(name) {
            errors.duplicate(&path.field("name"), name);
        }
        errors.one_of(
            &path.field("protocol"),
            text(found, "protocol"),
            &["SCTP", "TCP", "UDP"],
            true,
        );
        if let Some(number) = int(found, "port") {
            port(errors, &path.field("port"), number);
        }
    }
}
