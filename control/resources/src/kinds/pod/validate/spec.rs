//! The pod spec as a whole.

use serde_json::Value;

use super::{containers, scheduling, volumes};
use crate::{
    validate::{Errors, Path, ip, labels, names, quantity},
    value::{entries, flag, get, has, int, list, text},
};

/// A pod spec, of a pod or a template, after defaults.
pub(crate) fn spec(errors: &mut Errors, path: &Path<'_>, spec: &Value) {
    let volumes = volumes::volumes(errors, &path.field("volumes"), list(spec, "volumes"));
    containers::all(errors, path, spec, &volumes);
    errors.one_of(
        &path.field("restartPolicy"),
        text(spec, "restartPolicy"),
        &["Always", "OnFailure", "Never"],
        true,
    );
    dns(errors, path, spec);
    labels::labels(errors, &path.field("nodeSelector"), get(spec, "nodeSelector"));
    security(errors, path, spec);
    for field in [
        "serviceAccountName",
        "nodeName",
        "priorityClassName",
        "runtimeClassName",
    ] {
        let name = text(spec, field);
        if !name.is_empty() {
            errors.invalid_each(&path.field(field), name, names::dns1123_subdomain(name));
        }
    }
    for field in ["hostname", "subdomain"] {
        let name = text(spec, field);
        if !name.is_empty() {
            errors.invalid_each(&path.field(field), name, names::dns1123_label(name));
        }
    }
    let host_name = text(spec, "hostnameOverride");
    if !host_name.is_empty() {
        let at = path.field("hostnameOverride");
        if host_name.len() > 64 {
            errors.invalid(&at, host_name, "must be no more than 64 bytes");
        }
        errors.invalid_each(&at, host_name, names::dns1123_subdomain(host_name));
        if flag(spec, "hostNetwork") {
            errors.forbidden(&at, "may not be specified when hostNetwork is true");
        }
        if flag(spec, "setHostnameAsFQDN") {
            errors.forbidden(&at, "may not be specified when setHostnameAsFQDN is true");
        }
    }
    let at = path.field("imagePullSecrets");
    for (i, reference) in list(spec, "imagePullSecrets").iter().enumerate() {
        if text(reference, "name").is_empty() {
            errors.required(&at.index(i).field("name"), "");
        }
    }
    errors.within(
        &path.field("activeDeadlineSeconds"),
        int(spec, "activeDeadlineSeconds"),
        1,
        i64::from(i32::MAX),
    );
    errors.not_negative(
        &path.field("terminationGracePeriodSeconds"),
        int(spec, "terminationGracePeriodSeconds"),
    );
    let at = path.field("hostAliases");
    for (i, alias) in list(spec, "hostAliases").iter().enumerate() {
        let at = at.index(i);
        ip(errors, &at.field("ip"), text(alias, "ip"));
        for name in list(alias, "hostnames").iter().filter_map(Value::as_str) {
            errors.invalid_each(&at.field("hostnames"), name, names::dns1123_subdomain(name));
        }
    }
    errors.one_of(
        &path.field("preemptionPolicy"),
        text(spec, "preemptionPolicy"),
        &["Never", "PreemptLowerPriority"],
        false,
    );
    if has(spec, "os") {
        errors.one_of(
            &path.field("os").field("name"),
            text(spec, "os.name"),
            &["linux", "windows"],
            true,
        );
    }
    if let Some(overhead) = get(spec, "overhead") {
        quantity::amounts(errors, &path.field("overhead"), overhead);
    }
    if let Some(resources) = get(spec, "resources") {
        pod_resources(errors, &path.field("resources"), resources);
    }
    scheduling::all(errors, path, spec);
}

/// Resources of the pod as a whole are cpu, memory and huge pages.
fn pod_resources(errors: &mut Errors, path: &Path<'_>, resources: &Value) {
    for field in ["limits", "requests"] {
        let at = path.field(field);
        for (name, _) in entries(resources, field) {
            if !matches!(name, "cpu" | "memory") && !name.starts_with("hugepages-") {
                errors.not_supported(&at.key(name), name, &["cpu", "hugepages-", "memory"]);
            }
        }
    }
    if has(resources, "claims") {
        errors.forbidden(
            &path.field("claims"),
            "claims may not be set for Resources at pod-level",
        );
    }
    quantity::requirements(errors, path, resources);
}

fn dns(errors: &mut Errors, path: &Path<'_>, spec: &Value) {
    let policy = text(spec, "dnsPolicy");
    errors.one_of(
        &path.field("dnsPolicy"),
        policy,
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
        true,
    );
    let at = path.field("dnsConfig");
    let servers = list(spec, "dnsConfig.nameservers");
    if policy == "None" {
        if !has(spec, "dnsConfig") {
            errors.required(&at, "must provide `dnsConfig` when `dnsPolicy` is None");
        } else if servers.is_empty() {
            errors.required(
                &at.field("nameservers"),
                "must provide at least one DNS nameserver when `dnsPolicy` is None",
            );
        }
    }
    if servers.len() > 3 {
        errors.invalid(
            &at.field("nameservers"),
            servers.to_vec(),
            "must not have more than 3 nameservers",
        );
    }
    for (i, server) in servers.iter().enumerate() {
        ip(
            errors,
            &at.field("nameservers").index(i),
            server.as_str().unwrap_or_default(),
        );
    }
    let searches = list(spec, "dnsConfig.searches");
    if searches.len() > 32 {
        errors.invalid(
            &at.field("searches"),
            searches.to_vec(),
            "must not have more than 32 search paths",
        );
    }
    for (i, option) in list(spec, "dnsConfig.options").iter().enumerate() {
        if text(option, "name").is_empty() {
            errors.required(&at.field("options").index(i), "must not be empty");
        }
    }
}

fn security(errors: &mut Errors, path: &Path<'_>, spec: &Value) {
    let at = path.field("securityContext");
    let Some(context) = get(spec, "securityContext") else {
        return;
    };
    ids(errors, &at, context, &["runAsUser", "runAsGroup", "fsGroup"]);
    let groups = at.field("supplementalGroups");
    for (i, group) in list(context, "supplementalGroups").iter().enumerate() {
        errors.within(&groups.index(i), group.as_i64(), 0, i64::from(i32::MAX));
    }
    errors.one_of(
        &at.field("fsGroupChangePolicy"),
        text(context, "fsGroupChangePolicy"),
        &["OnRootMismatch", "Always"],
        false,
    );
    errors.one_of(
        &at.field("supplementalGroupsPolicy"),
        text(context, "supplementalGroupsPolicy"),
        &["Merge", "Strict"],
        false,
    );
    profile(errors, &at, context);
    let sysctls = at.field("sysctls");
    let mut seen: Vec<&str> = Vec::new();
    for (i, sysctl) in list(context, "sysctls").iter().enumerate() {
        let name = text(sysctl, "name");
        let at = sysctls.index(i);
        if name.is_empty() {
            errors.required(&at.field("name"), "");
        } else if !is_sysctl(name) {
            errors.invalid(
                &at.field("name"),
                name,
                "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
            );
        } else if seen.contains(&name) {
            errors.duplicate(&at.field("name"), name);
        }
        seen.push(name);
    }
    if flag(spec, "hostPID") && flag(spec, "shareProcessNamespace") {
        errors.invalid(
            &path.field("shareProcessNamespace"),
            true,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        );
    }
    if get(spec, "hostUsers").and_then(Value::as_bool) == Some(false) {
        for field in ["hostNetwork", "hostPID", "hostIPC"] {
            if flag(spec, field) {
                errors.forbidden(&path.field(field), "when `hostUsers` is false");
            }
        }
    }
}

fn is_sysctl(name: &str) -> bool {
    name.len() <= 253
        && name.split(['.', '/']).all(|part| {
            let ends = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            ends(part.bytes().next())
                && ends(part.bytes().last())
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
        })
}

/// User and group numbers.
pub(super) fn ids(errors: &mut Errors, path: &Path<'_>, context: &Value, fields: &[&str]) {
    for field in fields {
        errors.within(&path.field(field), int(context, field), 0, i64::from(i32::MAX));
    }
}

/// seccomp and AppArmor profiles.
pub(super) fn profile(errors: &mut Errors, path: &Path<'_>, context: &Value) {
    for field in ["seccompProfile", "appArmorProfile"] {
        let Some(profile) = get(context, field) else {
            continue;
        };
        let at = path.field(field);
        let kind = text(profile, "type");
        errors.one_of(
            &at.field("type"),
            kind,
            &["Localhost", "RuntimeDefault", "Unconfined"],
            true,
        );
        let local = text(profile, "localhostProfile");
        if kind == "Localhost" && local.is_empty() {
            errors.required(
                &at.field("localhostProfile"),
                &format!(
                    "must be set when {} type is Localhost",
                    if field == "seccompProfile" {
                        "seccomp"
                    } else {
                        "AppArmor"
                    }
                ),
            );
        } else if kind != "Localhost" && has(profile, "localhostProfile") {
            errors.invalid(
                &at.field("localhostProfile"),
                local,
                &format!(
                    "can only be set when {} type is Localhost",
                    if field == "seccompProfile" {
                        "seccomp"
                    } else {
                        "AppArmor"
                    }
                ),
            );
        }
    }
}
