//! Endpoints.

use std::net::IpAddr;

use serde_json::Value;

use crate::{
    Column, FieldError, Strategy,
    print::{self, AGE, NAME, column},
    validate::{
        Errors, Path,
        meta::{self as metadata, Scope},
        names, port,
    },
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

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, Scope::Namespaced, names::dns1123_subdomain);
        let subsets = Path::root("subsets");
        for (i, subset) in list(object, "subsets").iter().enumerate() {
            let path = subsets.index(i);
            if list(subset, "addresses").is_empty() && list(subset, "notReadyAddresses").is_empty() {
                errors.required(&path, "must specify `addresses` or `notReadyAddresses`");
            }
            for field in ["addresses", "notReadyAddresses"] {
                let at = path.field(field);
                for (i, address) in list(subset, field).iter().enumerate() {
                    let ip = text(address, "ip");
                    usable_ip(&mut errors, &at.index(i).field("ip"), ip);
                    let host = text(address, "hostname");
                    if !host.is_empty() {
                        errors.invalid_each(&at.index(i).field("hostname"), host, names::dns1123_label(host));
                    }
                }
            }
            let ports = list(subset, "ports");
            let at = path.field("ports");
            for (i, found) in ports.iter().enumerate() {
                let at = at.index(i);
                match text(found, "name") {
                    "" if ports.len() > 1 => errors.required(&at.field("name"), ""),
                    "" => {}
                    name => errors.invalid_each(&at.field("name"), name, names::dns1123_label(name)),
                }
                port(
                    &mut errors,
                    &at.field("port"),
                    int(found, "port").unwrap_or_default(),
                );
                errors.one_of(
                    &at.field("protocol"),
                    text(found, "protocol"),
                    &["SCTP", "TCP", "UDP"],
                    true,
                );
            }
        }
        errors.into_vec()
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

/// An address that a service may send traffic to.
pub(super) fn usable_ip(errors: &mut Errors, path: &Path<'_>, text: &str) {
    let Ok(address) = text.parse::<IpAddr>() else {
        errors.invalid(
            path,
            text,
            "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        );
        return;
    };
    // However it is written: ::ffff:127.0.0.1 is the loopback too.
    let address = address.to_canonical();
    if address.is_unspecified() {
        errors.invalid(path, text, &format!("may not be unspecified ({text})"));
    }
    if address.is_loopback() {
        errors.invalid(
            path,
            text,
            "may not be in the loopback range (127.0.0.0/8, ::1/128)",
        );
    }
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    if link_local {
        errors.invalid(
            path,
            text,
            "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
        );
    }
    if address.is_multicast() {
        errors.invalid(
            path,
            text,
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        );
    }
}
