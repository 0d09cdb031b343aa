//! Containers, init containers and ephemeral containers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{env, probes, spec, volumes::Volumes};
use crate::{
    validate::{Errors, Path, names, no_backsteps, port, quantity, volume_path},
    value::{entries, flag, get, has, int, list, text},
};

/// What tells the lists of containers apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Main,
    Init,
    Ephemeral,
}

/// All containers of a pod spec.
pub(super) fn all(errors: &mut Errors, path: &Path<'_>, spec: &Value, volumes: &Volumes<'_>) {
    let mut seen = BTreeSet::new();
    let mut host_ports = BTreeSet::new();
    let host_network = flag(spec, "hostNetwork");
    if list(spec, "containers").is_empty() {
        errors.required(&path.field("containers"), "");
    }
    for (field, role) in [
        ("containers", Role::Main),
        ("initContainers", Role::Init),
        ("ephemeralContainers", Role::Ephemeral),
    ] {
        let at = path.field(field);
        for (i, container) in list(spec, field).iter().enumerate() {
            let at = at.index(i);
            self::container(errors, &at, container, role, volumes);
            ports(
                errors,
                &at.field("ports"),
                container,
                host_network,
                &mut host_ports,
            );
            let name = text(container, "name");
            if !name.is_empty() && !seen.insert(name) {
                errors.duplicate(&at.field("name"), name);
            }
        }
    }
    let at = path.field("ephemeralContainers");
    for (i, container) in list(spec, "ephemeralContainers").iter().enumerate() {
        let target = text(container, "targetContainerName");
        if !target.is_empty() && !seen.contains(target) {
            errors.not_found(&at.index(i).field("targetContainerName"), target);
        }
    }
}

fn container(errors: &mut Errors, path: &Path<'_>, container: &Value, role: Role, volumes: &Volumes<'_>) {
    match text(container, "name") {
        "" => errors.required(&path.field("name"), ""),
        name => errors.invalid_each(&path.field("name"), name, names::dns1123_label(name)),
    }
    let image = text(container, "image");
    if image.is_empty() {
        errors.required(&path.field("image"), "");
    } else if image.trim() != image {
        errors.invalid(
            &path.field("image"),
            image,
            "must not have leading or trailing whitespace",
        );
    }
    errors.one_of(
        &path.field("terminationMessagePolicy"),
        text(container, "terminationMessagePolicy"),
        &["File", "FallbackToLogsOnError"],
        true,
    );
    errors.one_of(
        &path.field("imagePullPolicy"),
        text(container, "imagePullPolicy"),
        &["Always", "IfNotPresent", "Never"],
        true,
    );
    env::env(errors, path, container);
    mounts(errors, path, container, volumes);
    if let Some(resources) = get(container, "resources") {
        quantity::requirements(errors, &path.field("resources"), resources);
    }
    security(errors, &path.field("securityContext"), container);
    let sidecar = role == Role::Init && text(container, "restartPolicy") == "Always";
    restart_policy(errors, path, container, role);
    match role {
        Role::Ephemeral => {
            for field in [
                "ports",
                "livenessProbe",
                "readinessProbe",
                "startupProbe",
                "lifecycle",
            ] {
                if has(container, field) {
                    errors.forbidden(&path.field(field), "cannot be set for an Ephemeral Container");
                }
            }
            if ["limits", "requests"]
                .iter()
                .any(|f| entries(container, &format!("resources.{f}")).next().is_some())
            {
                errors.forbidden(
                    &path.field("resources"),
                    "cannot be set for an Ephemeral Container",
                );
            }
        }
        Role::Init if !sidecar => {
            for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
                if has(container, field) {
                    errors.forbidden(
                        &path.field(field),
                        "may not be set for init containers without restartPolicy=Always",
                    );
                }
            }
        }
        Role::Main | Role::Init => probes::all(errors, path, container),
    }
}

/// Only sidecars have a restart policy of their own: the node agent knows no other.
fn restart_policy(errors: &mut Errors, path: &Path<'_>, container: &Value, role: Role) {
    let policy = text(container, "restartPolicy");
    let at = path.field("restartPolicy");
    match role {
        _ if policy.is_empty() => {}
        Role::Init if policy != "Always" => errors.not_supported(&at, policy, &["Always"]),
        Role::Init => {}
        _ => errors.forbidden(&at, "may not be set for non-init containers"),
    }
    if !list(container, "restartPolicyRules").is_empty() {
        errors.forbidden(
            &path.field("restartPolicyRules"),
            "restart rules are not supported",
        );
    }
}

fn ports(
    errors: &mut Errors,
    path: &Path<'_>,
    container: &Value,
    host_network: bool,
    host_ports: &mut BTreeSet<String>,
) {
    let mut seen = BTreeSet::new();
    for (i, found) in list(container, "ports").iter().enumerate() {
        let at = path.index(i);
        let name = text(found, "name");
        if !name.is_empty() {
            errors.invalid_each(&at.field("name"), name, names::port_name(name));
            if !seen.insert(name) {
                errors.duplicate(&at.field("name"), name);
            }
        }
        let number = int(found, "containerPort").unwrap_or_default();
        if number == 0 {
            errors.required(&at.field("containerPort"), "");
        } else {
            port(errors, &at.field("containerPort"), number);
        }
        let protocol = text(found, "protocol");
        errors.one_of(&at.field("protocol"), protocol, &["SCTP", "TCP", "UDP"], true);
        let host_port = int(found, "hostPort").unwrap_or_default();
        if host_port != 0 {
            port(errors, &at.field("hostPort"), host_port);
            let key = format!("{protocol}/{}/{host_port}", text(found, "hostIP"));
            if !host_ports.insert(key.clone()) {
                errors.duplicate(&at.field("hostPort"), key);
            }
        }
        if host_network && host_port != 0 && host_port != number {
            errors.invalid(
                &at.field("containerPort"),
                number,
                "must match `hostPort` when `hostNetwork` is true",
            );
        }
    }
}

fn mounts(errors: &mut Errors, path: &Path<'_>, container: &Value, volumes: &Volumes<'_>) {
    let at = path.field("volumeMounts");
    let mut seen = BTreeSet::new();
    for (i, mount) in list(container, "volumeMounts").iter().enumerate() {
        let at = at.index(i);
        match text(mount, "name") {
            "" => errors.required(&at.field("name"), ""),
            name if !volumes.contains(name) => errors.not_found(&at.field("name"), name),
            _ => {}
        }
        let target = text(mount, "mountPath");
        if target.is_empty() {
            errors.required(&at.field("mountPath"), "");
        } else if !seen.insert(target) {
            errors.invalid(&at.field("mountPath"), target, "must be unique");
        }
        for field in ["subPath", "subPathExpr"] {
            let inside = text(mount, field);
            if !inside.is_empty() {
                volume_path(errors, &at.field(field), inside);
            }
        }
        if !text(mount, "subPath").is_empty() && !text(mount, "subPathExpr").is_empty() {
            errors.invalid(
                &at.field("subPathExpr"),
                text(mount, "subPathExpr"),
                "subPathExpr and subPath are mutually exclusive",
            );
        }
        let propagation = text(mount, "mountPropagation");
        errors.one_of(
            &at.field("mountPropagation"),
            propagation,
            &["Bidirectional", "HostToContainer", "None"],
            false,
        );
        if propagation == "Bidirectional" && !flag(container, "securityContext.privileged") {
            errors.forbidden(
                &at.field("mountPropagation"),
                "Bidirectional mount propagation is available only to privileged containers",
            );
        }
        let recursive = text(mount, "recursiveReadOnly");
        errors.one_of(
            &at.field("recursiveReadOnly"),
            recursive,
            &["Disabled", "Enabled", "IfPossible"],
            false,
        );
        if matches!(recursive, "Enabled" | "IfPossible") && !flag(mount, "readOnly") {
            errors.forbidden(
                &at.field("recursiveReadOnly"),
                "may only be specified when readOnly is true",
            );
        }
    }
    let at = path.field("volumeDevices");
    for (i, device) in list(container, "volumeDevices").iter().enumerate() {
        let at = at.index(i);
        match text(device, "name") {
            "" => errors.required(&at.field("name"), ""),
            name if !volumes.contains(name) => errors.not_found(&at.field("name"), name),
            name if !volumes.is_claim(name) => errors.invalid(
                &at.field("name"),
                name,
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
            ),
            _ => {}
        }
        match text(device, "devicePath") {
            "" => errors.required(&at.field("devicePath"), ""),
            target => {
                if seen.contains(target) {
                    errors.invalid(&at.field("devicePath"), target, "must be unique");
                }
                no_backsteps(errors, &at.field("devicePath"), target);
            }
        }
    }
}

fn security(errors: &mut Errors, path: &Path<'_>, container: &Value) {
    let Some(context) = get(container, "securityContext") else {
        return;
    };
    spec::ids(errors, path, context, &["runAsUser", "runAsGroup"]);
    spec::profile(errors, path, context);
    errors.one_of(
        &path.field("procMount"),
        text(context, "procMount"),
        &["Default", "Unmasked"],
        false,
    );
    if get(context, "allowPrivilegeEscalation").and_then(Value::as_bool) == Some(false) {
        if flag(context, "privileged") {
            errors.invalid(
                path,
                context.clone(),
                "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
            );
        }
        if list(context, "capabilities.add")
            .iter()
            .any(|c| c == "CAP_SYS_ADMIN")
        {
            errors.invalid(
                path,
                context.clone(),
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
            );
        }
    }
}
