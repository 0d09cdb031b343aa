//! PersistentVolumeClaim.

use serde_json::{Value, json};

use super::persistent_volume::{class, phase};
use crate::{
    Column, Part, Strategy, meta,
    print::{self, AGE, NAME, column, wide},
    value::{get, set, text},
};

pub(crate) struct PersistentVolumeClaim;

impl Strategy for PersistentVolumeClaim {
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
            column("Status", "string", "Phase of the claim."),
            column("Volume", "string", "The volume it is bound to."),
            column("Capacity", "string", "Size of the volume."),
            column("Access Modes", "string", "How the volume can be mounted."),
            column("StorageClass", "string", "Storage class."),
            column("VolumeAttributesClass", "string", "Volume attributes class."),
            AGE,
            wide("VolumeMode", "string", "Filesystem or Block."),
        ];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        let bound = !text(object, "spec.volumeName").is_empty();
        let (capacity, modes) = if bound {
            (
                print::text_or(object, "status.capacity.storage", "0"),
                print::access_modes(get(object, "status.accessModes")),
            )
        } else {
            ("".into(), String::new())
        };
        vec![
            print::name(object),
            phase(object).into(),
            text(object, "spec.volumeName").into(),
            capacity,
            modes.into(),
            class(object).into(),
            print::text_or(object, "spec.volumeAttributesClassName", "<unset>"),
            print::age(object, now),
            print::text_or(object, "spec.volumeMode", "<unset>"),
        ]
    }
}
