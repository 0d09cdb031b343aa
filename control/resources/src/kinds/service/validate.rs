//! Validation of services.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{external, needs_cluster_ip};
use crate::{
    Part,
    kinds::endpoints::usable_ip,
    validate::{
        Errors, Path, ip, labels,
        meta::{self, Scope},
        names, port, port_or_name,
    },
    value::{get, has, int, list, text},
};

const SPEC: Path<'static> = Path::root("spec");

/// A whole service, after defaults.
pub(super) fn service(object: &Value) -> Errors {
    let mut errors = Errors::new();
    meta::object(&mut errors, object, Scope::Namespaced, names::dns1035_label);
    let empty = Value::Null;
    let spec = get(object, "spec").unwrap_or(&empty);
    let kind = text(spec, "type");
    errors.one_of(
        &SPEC.field("type"),
        kind,
        &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
        true,
    );
    labels::labels(&mut errors, &SPEC.field("selector"), get(spec, "selector"));
    affinity(&mut errors, spec);
    addresses(&mut errors, spec, kind);
    ports(&mut errors, spec, kind);
    external_access(&mut errors, object, spec, kind);
    errors
}

/// A change of a service.
pub(super) fn update(part: Part, new: &Value, old: &Value) -> Errors {
    let mut errors = Errors::new();
    if part == Part::Status {
        meta::update(&mut errors, new, old);
        return errors;
    }
    errors = service(new);
    meta::update(&mut errors, new, old);
    if needs_cluster_ip(old) && needs_cluster_ip(new) {
        let (before, after) = (list(old, "spec.clusterIPs"), list(new, "spec.clusterIPs"));
        if let Some(first) = before.first() {
            let at = SPEC.field("clusterIPs");
            match after.first() {
                None => errors.invalid(&at.index(0), after.to_vec(), "primary clusterIP can not be unset"),
                Some(now) if now != first => {
                    errors.invalid(&at.index(0), after.to_vec(), "may not change once set");
                }
                Some(_) => {}
            }
            if let (Some(before), Some(now)) = (before.get(1), after.get(1))
                && before != now
            {
                errors.invalid(&at.index(1), after.to_vec(), "may not change once set");
            }
        }
        let (before, after) = (list(old, "spec.ipFamilies"), list(new, "spec.ipFamilies"));
        if let (Some(before), Some(now)) = (before.first(), after.first())
            && before != now
        {
            errors.invalid(
                &SPEC.field("ipFamilies").index(0),
                after.to_vec(),
                "may not change once set",
            );
        }
    }
    let class = |o| get(o, "spec.loadBalancerClass");
    if text(old, "spec.type") == "LoadBalancer"
        && text(new, "spec.type") == "LoadBalancer"
        && class(old) != class(new)
    {
        errors.invalid(
            &SPEC.field("loadBalancerClass"),
            class(new).cloned().unwrap_or_default(),
            "may not change once set",
        );
    }
    errors
}

fn affinity(errors: &mut Errors, spec: &Value) {
    let affinity = text(spec, "sessionAffinity");
    errors.one_of(
        &SPEC.field("sessionAffinity"),
        affinity,
        &["ClientIP", "None"],
        true,
    );
    if affinity == "ClientIP" {
        let seconds = int(spec, "sessionAffinityConfig.clientIP.timeoutSeconds").unwrap_or_default();
        if !(1..=86400).contains(&seconds) {
            errors.invalid(
                &SPEC.field("sessionAffinityConfig.clientIP.timeoutSeconds"),
                seconds,
                "must be greater than 0 and less than 86400",
            );
        }
    } else if has(spec, "sessionAffinityConfig") {
        errors.forbidden(
            &SPEC.field("sessionAffinityConfig"),
            "must not be set when session affinity is None",
        );
    }
}

fn addresses(errors: &mut Errors, spec: &Value, kind: &str) {
    let at = SPEC.field("clusterIPs");
    let addresses = list(spec, "clusterIPs");
    let single = text(spec, "clusterIP");
    if kind == "ExternalName" {
        if !addresses.is_empty() {
            errors.forbidden(&at.index(0), "may not be set for ExternalName services");
        }
        for field in ["ipFamilies", "ipFamilyPolicy"] {
            if has(spec, field) {
                errors.forbidden(&SPEC.field(field), "may not be set for ExternalName services");
            }
        }
        let name = text(spec, "externalName");
        let plain = name.strip_suffix('.').unwrap_or(name);
        if name.is_empty() {
            errors.required(&SPEC.field("externalName"), "");
        } else {
            errors.invalid_each(&SPEC.field("externalName"), name, names::dns1123_subdomain(plain));
        }
        return;
    }
    let first = addresses.first().and_then(Value::as_str).unwrap_or(single);
    if !single.is_empty() && first != single {
        errors.invalid(&at, addresses.to_vec(), "first value must match `clusterIP`");
    }
    if first == "None" {
        if addresses.len() > 1 {
            errors.invalid(
                &at,
                addresses.to_vec(),
                "may not hold both empty and non-empty values",
            );
        }
        if matches!(kind, "LoadBalancer" | "NodePort") {
            errors.invalid(
                &at.index(0),
                "None",
                &format!("may not be set to 'None' for {kind} services"),
            );
        }
        families(errors, spec, &[]);
        return;
    }
    if addresses.len() > 2 {
        errors.invalid(&at, addresses.to_vec(), "may only hold up to 2 values");
    }
    for (i, address) in addresses.iter().enumerate() {
        ip(errors, &at.index(i), address.as_str().unwrap_or_default());
    }
    let is_v6 = |address: &Value| address.as_str().is_some_and(|text| text.contains(':'));
    if let [one, two] = addresses
        && is_v6(one) == is_v6(two)
    {
        let why = "may specify no more than one IP for each IP family";
        errors.invalid(&at, addresses.to_vec(), why);
    }
    families(errors, spec, addresses);
}

/// Families, which must be those of the addresses there are.
fn families(errors: &mut Errors, spec: &Value, addresses: &[Value]) {
    let families = list(spec, "ipFamilies");
    let at = SPEC.field("ipFamilies");
    for (i, family) in families.iter().enumerate() {
        let is_first = !families[..i].contains(family);
        let family = family.as_str().unwrap_or_default();
        errors.one_of(&at.index(i), family, &["IPv4", "IPv6"], true);
        if !is_first {
            errors.duplicate(&at.index(i), family);
        }
        let fits = addresses
            .get(i)
            .and_then(Value::as_str)
            .is_none_or(|a| a.contains(':') == (family == "IPv6"));
        if !fits {
            errors.invalid(
                &SPEC.field("clusterIPs").index(i),
                addresses[i].clone(),
                &format!("expected an {family} value as indicated by `ipFamilies[{i}]`"),
            );
        }
    }
    errors.one_of(
        &SPEC.field("ipFamilyPolicy"),
        text(spec, "ipFamilyPolicy"),
        &["PreferDualStack", "RequireDualStack", "SingleStack"],
        false,
    );
}

fn ports(errors: &mut Errors, spec: &Value, kind: &str) {
    let at = SPEC.field("ports");
    let ports = list(spec, "ports");
    let headless = text(spec, "clusterIP") == "None";
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.required(&at, "");
    }
    let (mut seen_names, mut seen_ports, mut seen_node_ports) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (i, found) in ports.iter().enumerate() {
        let at = at.index(i);
        let name = text(found, "name");
        if name.is_empty() {
            if ports.len() > 1 {
                errors.required(&at.field("name"), "");
            }
        } else {
            errors.invalid_each(&at.field("name"), name, names::dns1123_label(name));
            if !seen_names.insert(name) {
                errors.duplicate(&at.field("name"), name);
            }
        }
        let number = int(found, "port").unwrap_or_default();
        port(errors, &at.field("port"), number);
        let protocol = text(found, "protocol");
        errors.one_of(&at.field("protocol"), protocol, &["SCTP", "TCP", "UDP"], true);
        port_or_name(errors, &at.field("targetPort"), get(found, "targetPort"));
        if !seen_ports.insert((protocol, number)) {
            errors.duplicate(&at, serde_json::json!({"port": number, "protocol": protocol}));
        }
        let node_port = int(found, "nodePort").unwrap_or_default();
        if node_port == 0 {
            continue;
        }
        if matches!(kind, "ClusterIP" | "ExternalName") {
            errors.forbidden(
                &at.field("nodePort"),
                &format!("may not be used when `type` is '{kind}'"),
            );
        }
        port(errors, &at.field("nodePort"), node_port);
        if !seen_node_ports.insert((protocol, node_port)) {
            errors.duplicate(&at.field("nodePort"), node_port);
        }
    }
}

fn external_access(errors: &mut Errors, object: &Value, spec: &Value, kind: &str) {
    let at = SPEC.field("externalIPs");
    for (i, address) in list(spec, "externalIPs").iter().enumerate() {
        usable_ip(errors, &at.index(i), address.as_str().unwrap_or_default());
    }
    let policy = text(spec, "externalTrafficPolicy");
    let at = SPEC.field("externalTrafficPolicy");
    if external(object) {
        errors.one_of(&at, policy, &["Cluster", "Local"], true);
    } else if !policy.is_empty() {
        errors.invalid(&at, policy, "may only be set for externally-accessible services");
    }
    errors.one_of(
        &SPEC.field("internalTrafficPolicy"),
        text(spec, "internalTrafficPolicy"),
        &["Cluster", "Local"],
        false,
    );
    let health = int(spec, "healthCheckNodePort").unwrap_or_default();
    if health != 0 && !(kind == "LoadBalancer" && policy == "Local") {
        errors.invalid(
            &SPEC.field("healthCheckNodePort"),
            health,
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        );
    }
    if kind != "LoadBalancer" {
        for field in ["loadBalancerClass", "allocateLoadBalancerNodePorts"] {
            if has(spec, field) {
                errors.forbidden(
                    &SPEC.field(field),
                    "may only be used when `type` is 'LoadBalancer'",
                );
            }
        }
        if !list(spec, "loadBalancerSourceRanges").is_empty() {
            errors.forbidden(
                &SPEC.field("loadBalancerSourceRanges"),
                "may only be used when `type` is 'LoadBalancer'",
            );
        }
    } else {
        let at = SPEC.field("loadBalancerSourceRanges");
        for (i, range) in list(spec, "loadBalancerSourceRanges").iter().enumerate() {
            let range = range.as_str().unwrap_or_default();
            if range.trim().parse::<ipnet::IpNet>().is_err() {
                errors.invalid(
                    &at.index(i),
                    range,
                    "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
                );
            }
        }
        let class = text(spec, "loadBalancerClass");
        if !class.is_empty() {
            errors.invalid_each(
                &SPEC.field("loadBalancerClass"),
                class,
                names::qualified_name(class),
            );
        }
    }
    errors.one_of(
        &SPEC.field("trafficDistribution"),
        text(spec, "trafficDistribution"),
        &["PreferClose", "PreferSameNode", "PreferSameZone"],
        false,
    );
}
