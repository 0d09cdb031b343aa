//! PersistentVolumeClaim.

use serde_json::{Value, json};

use super::{
    persistent_volume::{class, phase},
    pod::resources,
};
use crate::{
    Column, Part, Strategy, meta,
    print::{self, AGE, NAME, column, wide},
    value::{get, get_mut, set, set_default, set_default_text, text},
};

pub(crate) struct PersistentVolumeClaim;

impl Strategy for PersistentVolumeClaim {
    fn default(&self, object: &mut Value) {
        if let Some(spec) = get_mut(object, "spec") {
            set_default(spec, "volumeMode", "Filesystem");
        }
        for path in [
            "spec.resources.requests",
            "spec.resources.limits",
            "status.capacity",
        ] {
            if let Some(amounts) = get_mut(object, path) {
                resources::canonicalize(amounts);
            }
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
