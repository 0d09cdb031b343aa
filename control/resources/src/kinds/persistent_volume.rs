//! PersistentVolume.

use serde_json::{Value, json};

use super::pod::{self, resources};

use crate::{
    Column, Part, Strategy, meta,
    print::{self, AGE, NAME, column, wide},
    value::{get, get_mut, has, set, set_default, set_default_text, text},
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
