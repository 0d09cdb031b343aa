//! Volumes of a pod.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{super::defaults::source_names, env};
use crate::{
    validate::{Errors, Path, file_mode, names, no_backsteps, quantity, required_text, volume_path},
    value::{get, has, int, list, text},
};

/// The volumes of a pod by name.
pub(super) struct Volumes<'a>(BTreeMap<&'a str, &'a Value>);

impl Volumes<'_> {
    /// Whether there is one of this name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether it can be a block device.
    pub(super) fn is_claim(&self, name: &str) -> bool {
        self.0
            .get(name)
            .is_some_and(|v| has(v, "persistentVolumeClaim") || has(v, "ephemeral"))
    }
}

/// Checks all volumes and returns them by name.
pub(super) fn volumes<'a>(errors: &mut Errors, path: &Path<'_>, volumes: &'a [Value]) -> Volumes<'a> {
    let mut found = BTreeMap::new();
    for (i, volume) in volumes.iter().enumerate() {
        let at = path.index(i);
        let name = text(volume, "name");
        if name.is_empty() {
            errors.required(&at.field("name"), "");
        } else {
            errors.invalid_each(&at.field("name"), name, names::dns1123_label(name));
        }
        if found.insert(name, volume).is_some() && !name.is_empty() {
            errors.duplicate(&at.field("name"), name);
        }
        source(errors, &at, volume);
    }
    Volumes(found)
}

fn source(errors: &mut Errors, path: &Path<'_>, volume: &Value) {
    let mut sources = source_names(volume);
    let Some(first) = sources.next() else {
        errors.required(path, "must specify a volume type");
        return;
    };
    for extra in sources {
        errors.forbidden(&path.field(extra), "may not specify more than 1 volume type");
    }
    let at = path.field(first);
    let Some(source) = get(volume, first) else {
        return;
    };
    match first {
        "emptyDir" => {
            if let Some(limit) = get(source, "sizeLimit") {
                quantity::amount(errors, &at.field("sizeLimit"), limit);
            }
        }
        "hostPath" => host_path(errors, &at, source),
        "secret" => {
            required_text(errors, &at, source, "secretName");
            files(errors, &at, source);
        }
        "configMap" => {
            required_text(errors, &at, source, "name");
            files(errors, &at, source);
        }
        "downwardAPI" => {
            file_mode(errors, &at.field("defaultMode"), int(source, "defaultMode"));
            downward(errors, &at, source);
        }
        "projected" => projected(errors, &at, source),
        "persistentVolumeClaim" => {
            required_text(errors, &at, source, "claimName");
        }
        "nfs" => {
            required_text(errors, &at, source, "server");
            if required_text(errors, &at, source, "path") && !text(source, "path").starts_with('/') {
                errors.invalid(
                    &at.field("path"),
                    text(source, "path"),
                    "must be an absolute path",
                );
            }
        }
        "csi" => {
            required_text(errors, &at, source, "driver");
        }
        "image" => {
            if text(source, "reference").is_empty() {
                errors.required(&at.field("reference"), "");
            }
            errors.one_of(
                &at.field("pullPolicy"),
                text(source, "pullPolicy"),
                &["Always", "IfNotPresent", "Never"],
                false,
            );
        }
        "ephemeral" if !has(source, "volumeClaimTemplate") => {
            errors.required(&at.field("volumeClaimTemplate"), "");
        }
        _ => {}
    }
}

/// A path on the host.
pub(crate) fn host_path(errors: &mut Errors, path: &Path<'_>, source: &Value) {
    if required_text(errors, path, source, "path") {
        no_backsteps(errors, &path.field("path"), text(source, "path"));
    }
    errors.one_of(
        &path.field("type"),
        text(source, "type"),
        &[
            "",
            "BlockDevice",
            "CharDevice",
            "Directory",
            "DirectoryOrCreate",
            "File",
            "FileOrCreate",
            "Socket",
        ],
        false,
    );
}

/// `items` and modes of secrets and config maps.
fn files(errors: &mut Errors, path: &Path<'_>, source: &Value) {
    file_mode(errors, &path.field("defaultMode"), int(source, "defaultMode"));
    let items = path.field("items");
    for (i, item) in list(source, "items").iter().enumerate() {
        let at = items.index(i);
        required_text(errors, &at, item, "key");
        if required_text(errors, &at, item, "path") {
            volume_path(errors, &at.field("path"), text(item, "path"));
        }
        file_mode(errors, &at.field("mode"), int(item, "mode"));
    }
}

fn downward(errors: &mut Errors, path: &Path<'_>, source: &Value) {
    for file in list(source, "items") {
        // Kubernetes names no index here.
        if required_text(errors, path, file, "path") {
            volume_path(errors, &path.field("path"), text(file, "path"));
        }
        match (get(file, "fieldRef"), get(file, "resourceFieldRef")) {
            (Some(field), other) => {
                env::field_ref(errors, &path.field("fieldRef"), field, true);
                if other.is_some() {
                    errors.invalid(
                        path,
                        "resource",
                        "fieldRef and resourceFieldRef can not be specified simultaneously",
                    );
                }
            }
            (None, Some(resource)) => {
                env::resource_ref(errors, &path.field("resourceFieldRef"), resource, true);
            }
            (None, None) => errors.required(
                &path.field("fieldRef"),
                "one of fieldRef and resourceFieldRef is required",
            ),
        }
        file_mode(errors, &path.field("mode"), int(file, "mode"));
    }
}

fn projected(errors: &mut Errors, path: &Path<'_>, source: &Value) {
    file_mode(errors, &path.field("defaultMode"), int(source, "defaultMode"));
    let sources = path.field("sources");
    for (i, source) in list(source, "sources").iter().enumerate() {
        let at = sources.index(i);
        let mut found = 0;
        for (name, source) in crate::value::entries(source, "").filter(|(_, v)| !v.is_null()) {
            found += 1;
            let at = at.field(name);
            if found > 1 {
                errors.forbidden(&at, "may not specify more than 1 volume type per source");
                continue;
            }
            match name {
                "secret" | "configMap" => {
                    required_text(errors, &at, source, "name");
                    files(errors, &at, source);
                }
                "downwardAPI" => downward(errors, &at, source),
                "serviceAccountToken" => token(errors, &at, source),
                _ => {}
            }
        }
        if found == 0 {
            errors.required(&at, "must specify a volume type");
        }
    }
}

fn token(errors: &mut Errors, path: &Path<'_>, source: &Value) {
    let seconds = int(source, "expirationSeconds").unwrap_or_default();
    if seconds < 600 {
        errors.invalid(
            &path.field("expirationSeconds"),
            seconds,
            "may not specify a duration less than 10 minutes",
        );
    }
    if seconds > 1 << 32 {
        errors.invalid(
            &path.field("expirationSeconds"),
            seconds,
            "may not specify a duration larger than 2^32 seconds",
        );
    }
    if required_text(errors, path, source, "path") {
        volume_path(errors, &path.field("path"), text(source, "path"));
    }
}
