//! NetworkPolicy.

use ipnet::IpNet;
use serde_json::{Value, json};

use crate::{
    Column, FieldError, Part, Strategy, meta,
    print::{self, AGE, NAME, column},
    validate::{
        Errors, Path, labels,
        meta::{self as metadata, Scope},
        names, port, port_or_name,
    },
    value::{get, int, list, list_mut, set, set_default_text, text},
};

pub(crate) struct NetworkPolicy;

/// The two directions: field of the rules, its peers, and the policy type.
const DIRECTIONS: [(&str, &str, &str); 2] = [("ingress", "from", "Ingress"), ("egress", "to", "Egress")];

impl Strategy for NetworkPolicy {
    fn default(&self, object: &mut Value) {
        let Some(spec) = object.get_mut("spec") else {
            return;
        };
        if list(spec, "policyTypes").is_empty() {
            let mut types = vec!["Ingress"];
            if !list(spec, "egress").is_empty() {
                types.push("Egress");
            }
            set(spec, "policyTypes", json!(types));
        }
        for (rules, ..) in DIRECTIONS {
            for rule in list_mut(spec, rules) {
                for port in list_mut(rule, "ports") {
                    set_default_text(port, "protocol", "TCP");
                }
            }
        }
    }

    fn prepare_create(&self, object: &mut Value) {
        meta::first_generation(object);
    }

    fn prepare_update(&self, _part: Part, new: &mut Value, old: &Value) {
        meta::count_changes(new, old, &["spec"]);
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, Scope::Namespaced, names::dns1123_subdomain);
        let path = Path::root("spec");
        labels::selector(
            &mut errors,
            &path.field("podSelector"),
            get(object, "spec.podSelector"),
        );
        let empty = json!({});
        let spec = get(object, "spec").unwrap_or(&empty);
        for (rules, peers, _) in DIRECTIONS {
            let rules_path = path.field(rules);
            for (i, rule) in list(spec, rules).iter().enumerate() {
                let rule_path = rules_path.index(i);
                let ports_path = rule_path.field("ports");
                for (i, port) in list(rule, "ports").iter().enumerate() {
                    policy_port(&mut errors, &ports_path.index(i), port);
                }
                let peers_path = rule_path.field(peers);
                for (i, peer) in list(rule, peers).iter().enumerate() {
                    policy_peer(&mut errors, &peers_path.index(i), peer);
                }
            }
        }
        let (types, types_path) = (list(spec, "policyTypes"), path.field("policyTypes"));
        if types.len() > DIRECTIONS.len() {
            errors.invalid(
                &types_path,
                types.to_vec(),
                "may not specify more than two policyTypes",
            );
            return errors.into_vec();
        }
        for (i, kind) in types.iter().enumerate() {
            let kind = kind.as_str().unwrap_or_default();
            errors.one_of(&types_path.index(i), kind, &["Egress", "Ingress"], false);
        }
        errors.into_vec()
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Pod-Selector", "string", "The pods the policy is for."),
            AGE,
        ];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        vec![
            print::name(object),
            print::label_selector(get(object, "spec.podSelector")).into(),
            print::age(object, now),
        ]
    }
}

fn policy_port(errors: &mut Errors, path: &Path<'_>, value: &Value) {
    errors.one_of(
        &path.field("protocol"),
        text(value, "protocol"),
        &["SCTP", "TCP", "UDP"],
        false,
    );
    let (first, last) = (get(value, "port"), int(value, "endPort"));
    if first.is_some() {
        port_or_name(errors, &path.field("port"), first);
    }
    let Some(last) = last else { return };
    let path = path.field("endPort");
    match first {
        None => errors.invalid(&path, last, "may not be specified when `port` is not specified"),
        Some(Value::String(_)) => {
            errors.invalid(&path, last, "may not be specified when `port` is non-numeric")
        }
        Some(first) => {
            if first.as_i64().is_some_and(|first| last < first) {
                errors.invalid(&path, first.clone(), "must be greater than or equal to `port`");
            }
            port(errors, &path, last);
        }
    }
}

fn policy_peer(errors: &mut Errors, path: &Path<'_>, peer: &Value) {
    let selectors = ["podSelector", "namespaceSelector"];
    for field in selectors {
        labels::selector(errors, &path.field(field), get(peer, field));
    }
    let has_selector = selectors.iter().any(|field| get(peer, field).is_some());
    match get(peer, "ipBlock") {
        None if !has_selector => errors.required(path, "must specify a peer"),
        None => {}
        Some(block) => {
            ip_block(errors, &path.field("ipBlock"), block);
            if has_selector {
                errors.forbidden(path, "may not specify both ipBlock and another peer");
            }
        }
    }
}

fn ip_block(errors: &mut Errors, path: &Path<'_>, block: &Value) {
    const CIDR: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    let whole = text(block, "cidr");
    if whole.is_empty() {
        errors.required(&path.field("cidr"), "");
        return;
    }
    let Ok(whole) = whole.parse::<IpNet>() else {
        errors.invalid(&path.field("cidr"), whole, CIDR);
        return;
    };
    let path = path.field("except");
    for (i, except) in list(block, "except").iter().enumerate() {
        let text = except.as_str().unwrap_or_default();
        match text.parse::<IpNet>() {
            Err(_) => errors.invalid(&path.index(i), text, CIDR),
            Ok(part) if whole.contains(&part) && part.prefix_len() > whole.prefix_len() => {}
            Ok(_) => errors.invalid(&path.index(i), text, "must be a strict subset of `cidr`"),
        }
    }
}
