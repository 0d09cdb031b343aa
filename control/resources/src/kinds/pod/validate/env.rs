//! Environment variables and what they may refer to.

use serde_json::Value;

use crate::{
    validate::{Errors, Path, names, required_text},
    value::{get, has, list, text},
};

const MANY: &str = "may not have more than one field specified at a time";

/// `env` and `envFrom` of a container.
pub(super) fn env(errors: &mut Errors, path: &Path<'_>, container: &Value) {
    let at = path.field("env");
    for (i, variable) in list(container, "env").iter().enumerate() {
        let at = at.index(i);
        match text(variable, "name") {
            "" => errors.required(&at.field("name"), ""),
            name => errors.invalid_each(&at.field("name"), name, names::env_var(name)),
        }
        if let Some(source) = get(variable, "valueFrom") {
            value_from(errors, &at.field("valueFrom"), source, text(variable, "value"));
        }
    }
    let at = path.field("envFrom");
    for (i, source) in list(container, "envFrom").iter().enumerate() {
        let at = at.index(i);
        let prefix = text(source, "prefix");
        if !prefix.is_empty() {
            errors.invalid_each(&at.field("prefix"), prefix, names::env_var(prefix));
        }
        let found: Vec<&str> = ["configMapRef", "secretRef"]
            .into_iter()
            .filter(|f| has(source, f))
            .collect();
        match found.as_slice() {
            [] => errors.invalid(&at, "", "must specify one of: `configMapRef` or `secretRef`"),
            [_] => {}
            _ => errors.invalid(&at, "", MANY),
        }
        for field in found {
            if let Some(reference) = get(source, field) {
                required_text(errors, &at.field(field), reference, "name");
            }
        }
    }
}

fn value_from(errors: &mut Errors, path: &Path<'_>, source: &Value, value: &str) {
    let mut found = 0;
    if let Some(field) = get(source, "fieldRef") {
        found += 1;
        field_ref(errors, &path.field("fieldRef"), field, false);
    }
    if let Some(resource) = get(source, "resourceFieldRef") {
        found += 1;
        resource_ref(errors, &path.field("resourceFieldRef"), resource, false);
    }
    for field in ["configMapKeyRef", "secretKeyRef"] {
        if let Some(reference) = get(source, field) {
            found += 1;
            let at = path.field(field);
            required_text(errors, &at, reference, "name");
            match text(reference, "key") {
                "" => errors.required(&at.field("key"), ""),
                key => errors.invalid_each(&at.field("key"), key, names::config_key(key)),
            }
        }
    }
    if has(source, "fileKeyRef") {
        found += 1;
        errors.forbidden(&path.field("fileKeyRef"), "environment files are not supported");
    }
    if found == 0 {
        errors.invalid(
            path,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
        );
    } else if !value.is_empty() {
        errors.invalid(path, "", "may not be specified when `value` is not empty");
    } else if found > 1 {
        errors.invalid(path, "", MANY);
    }
}

/// Fields that environment variables may show.
const ENV_FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Fields that files may show.
const FILE_FIELDS: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];

/// A reference to a field of the pod, shown in a variable or a file.
pub(super) fn field_ref(errors: &mut Errors, path: &Path<'_>, reference: &Value, in_file: bool) {
    if !required_text(errors, path, reference, "apiVersion") {
        return;
    }
    let field = text(reference, "fieldPath");
    let at = path.field("fieldPath");
    if field.is_empty() {
        errors.required(&at, "");
        return;
    }
    if let Some((map, key)) = field
        .split_once("['")
        .and_then(|(m, rest)| Some((m, rest.strip_suffix("']")?)))
    {
        match map {
            "metadata.annotations" => {
                errors.invalid_each(&at, key, names::qualified_name(&key.to_lowercase()));
            }
            "metadata.labels" => errors.invalid_each(&at, key, names::qualified_name(key)),
            _ => errors.invalid(&at, field, "does not support subscript"),
        }
        return;
    }
    let supported = if in_file { FILE_FIELDS } else { ENV_FIELDS };
    if !supported.contains(&field) {
        errors.not_supported(&at, field, supported);
    }
}

/// Resources that may be shown.
const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// A reference to a container's resource, shown in a variable or a file.
pub(super) fn resource_ref(errors: &mut Errors, path: &Path<'_>, reference: &Value, in_file: bool) {
    if in_file && text(reference, "containerName").is_empty() {
        errors.required(&path.field("containerName"), "");
        return;
    }
    let resource = text(reference, "resource");
    if resource.is_empty() {
        errors.required(&path.field("resource"), "");
        return;
    }
    let huge = resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-");
    if !RESOURCES.contains(&resource) && !huge {
        errors.not_supported(&path.field("resource"), resource, RESOURCES);
        return;
    }
    let divisor = text(reference, "divisor");
    let fitting: &[&str] = if resource.ends_with(".cpu") {
        &["1m", "1"]
    } else {
        &[
            "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
        ]
    };
    if !matches!(divisor, "" | "0") && !fitting.contains(&divisor) {
        let kind = resource.split_once('.').map_or(resource, |(_, name)| name);
        let text = if kind == "cpu" {
            "only divisor's values 1m and 1 are supported with the cpu resource".to_owned()
        } else {
            format!(
                "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the {kind} resource"
            )
        };
        errors.invalid(&path.field("divisor"), divisor, &text);
    }
}
