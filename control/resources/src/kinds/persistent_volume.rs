//! PersistentVolume.

use serde_json::{Value, json};

use super::pod::{self, resources};

use crate::{
    Column, FieldError, Part, Strategy, meta,
    print::{self, AGE, NAME, column, wide},
    validate::{
        Errors, Path,
        meta::{self as metadata, Scope},
        names, quantity,
    },
    value::{entries, get, get_mut, has, list, set, set_default, set_default_text, text},
};

pub(crate) struct PersistentVolume;

/// Older objects name their class in this annotation.
pub(super) const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

impl Strategy for PersistentVolume {
    fn default(&self, object: &mut Value) {
        if let Some(spec) = get_mut(object, "spec") {
            set_default(spec, "volumeMode", "Filesystem");
            set_default_text(spec, "persistentVolumeReclaimPolicy", "Retain");
            if let Some(amounts) = get_mut(spec, "capacity") {
                resources::canonicalize(amounts);
            }
            pod::defaults::volume_source(spec);
        }
        if let Some(status) = get_mut(object, "status") {
            set_default_text(status, "phase", "Pending");
        }
    }

    fn prepare_create(&self, object: &mut Value) {
        set(object, "status", json!({"phase": "Pending"}));
        meta::without_generation(object);
    }

    fn prepare_update(&self, part: Part, new: &mut Value, old: &Value) {
        meta::separate_status(part, new, old);
        meta::keep_generation(new, old);
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, Scope::Cluster, names::dns1123_subdomain);
        volume(&mut errors, object);
        errors.into_vec()
    }

    fn validate_update(&self, part: Part, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::update(&mut errors, new, old);
        if part == Part::Main && source(new) != source(old) {
            errors.forbidden(
                &Path::root("spec.persistentvolumesource"),
                "spec.persistentvolumesource is immutable after creation",
            );
        }
        if part == Part::Main {
            errors.immutable(
                &Path::root("spec.volumeMode"),
                get(new, "spec.volumeMode"),
                get(old, "spec.volumeMode"),
            );
        }
        let mut errors = errors.into_vec();
        errors.extend(self.validate(new));
        errors
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Capacity", "string", "Size of the volume."),
            column("Access Modes", "string", "How it can be mounted."),
            column(
                "Reclaim Policy",
                "string",
                "What becomes of it when its claim goes.",
            ),
            column("Status", "string", "Phase of the volume."),
            column("Claim", "string", "The claim it is bound to."),
            column("StorageClass", "string", "Storage class."),
            column("VolumeAttributesClass", "string", "Volume attributes class."),
            column("Reason", "string", "Why it is in this phase."),
            AGE,
            wide("VolumeMode", "string", "Filesystem or Block."),
        ];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        let claim = match get(object, "spec.claimRef") {
            Some(claim) => format!("{}/{}", text(claim, "namespace"), text(claim, "name")),
            None => String::new(),
        };
        vec![
            print::name(object),
            print::text_or(object, "spec.capacity.storage", "0"),
            print::access_modes(get(object, "spec.accessModes")).into(),
            text(object, "spec.persistentVolumeReclaimPolicy").into(),
            phase(object).into(),
            claim.into(),
            class(object).into(),
            print::text_or(object, "spec.volumeAttributesClassName", "<unset>"),
            text(object, "status.reason").into(),
            print::age(object, now),
            print::text_or(object, "spec.volumeMode", "<unset>"),
        ]
    }
}

pub(super) fn phase(object: &Value) -> &str {
    if has(object, "metadata.deletionTimestamp") {
        "Terminating"
    } else {
        text(object, "status.phase")
    }
}

/// The storage class, from the annotation first.
pub(super) fn class(object: &Value) -> &str {
    get(object, "metadata.annotations")
        .and_then(|a| a.get(CLASS_ANNOTATION))
        .and_then(Value::as_str)
        .unwrap_or_else(|| text(object, "spec.storageClassName"))
}

/// Fields of the spec that are not the kind of storage.
const OTHER_FIELDS: &[&str] = &[
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

/// The kind of storage with its settings.
fn source(object: &Value) -> Option<(&str, &Value)> {
    entries(object, "spec").find(|(name, value)| !OTHER_FIELDS.contains(name) && !value.is_null())
}

/// Access modes of volumes and claims.
pub(super) fn access_modes(errors: &mut Errors, object: &Value, none: &str) {
    let path = Path::root("spec.accessModes");
    let modes = list(object, "spec.accessModes");
    if modes.is_empty() {
        errors.required(&path, none);
    }
    for mode in modes.iter().filter_map(Value::as_str) {
        errors.one_of(
            &path,
            mode,
            &[
                "ReadOnlyMany",
                "ReadWriteMany",
                "ReadWriteOnce",
                "ReadWriteOncePod",
            ],
            true,
        );
    }
    if modes.len() > 1 && modes.iter().any(|m| m == "ReadWriteOncePod") {
        errors.forbidden(&path, "may not use ReadWriteOncePod with other access modes");
    }
    errors.one_of(
        &Path::root("spec.volumeMode"),
        text(object, "spec.volumeMode"),
        &["Block", "Filesystem"],
        false,
    );
}

fn volume(errors: &mut Errors, object: &Value) {
    access_modes(errors, object, "");
    let path = Path::root("spec");
    match get(object, "spec.capacity") {
        None => errors.required(&path.field("capacity"), ""),
        Some(capacity) => {
            if !has(capacity, "storage") || entries(capacity, "").count() > 1 {
                errors.not_supported(
                    &path.field("capacity"),
                    entries(capacity, "")
                        .map(|(n, _)| n)
                        .find(|n| *n != "storage")
                        .unwrap_or_default(),
                    &["storage"],
                );
            }
            quantity::amounts(errors, &path.field("capacity"), capacity);
        }
    }
    let mut sources =
        entries(object, "spec").filter(|(name, v)| !OTHER_FIELDS.contains(name) && !v.is_null());
    match sources.next() {
        None => errors.required(&path, "must specify a volume type"),
        Some(("hostPath", host)) => pod::validate::host_path(errors, &path.field("hostPath"), host),
        Some(("local", _)) if !has(object, "spec.nodeAffinity") => {
            errors.required(&path.field("nodeAffinity"), "Local volume requires node affinity")
        }
        Some(_) => {}
    }
    for (extra, _) in sources {
        errors.forbidden(&path.field(extra), "may not specify more than 1 volume type");
    }
    errors.one_of(
        &path.field("persistentVolumeReclaimPolicy"),
        text(object, "spec.persistentVolumeReclaimPolicy"),
        &["Delete", "Recycle", "Retain"],
        true,
    );
}
