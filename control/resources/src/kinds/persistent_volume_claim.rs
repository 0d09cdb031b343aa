//! PersistentVolumeClaim.

use serde_json::{Value, json};

use super::{
    persistent_volume::{access_modes, class, phase},
    pod::resources,
};
use crate::{
    Column, FieldError, Part, Strategy, meta,
    print::{self, AGE, NAME, column, wide},
    quantity::Quantity,
    validate::{
        Errors, Path, labels,
        meta::{self as metadata, Scope},
        names, quantity,
    },
    value::{carry, get, get_mut, same, set, set_default, set_default_text, text},
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

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, Scope::Namespaced, names::dns1123_subdomain);
        access_modes(&mut errors, object, "at least 1 access mode is required");
        let at = Path::root("spec.resources.requests.storage");
        match get(object, "spec.resources.requests.storage") {
            None => errors.required(&Path::root("spec.resources[storage]"), ""),
            Some(size) => {
                if quantity::amount(&mut errors, &at, size).is_some_and(|q| q.is_zero()) {
                    errors.invalid(
                        &Path::root("spec.resources[storage]"),
                        size.clone(),
                        "must be greater than zero",
                    );
                }
            }
        }
        labels::selector(
            &mut errors,
            &Path::root("spec.selector"),
            get(object, "spec.selector"),
        );
        errors.into_vec()
    }

    fn validate_update(&self, part: Part, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::update(&mut errors, new, old);
        if part == Part::Main {
            frozen(&mut errors, new, old);
        }
        let mut errors = errors.into_vec();
        errors.extend(self.validate(new));
        errors
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        if text(object, "spec.volumeName").is_empty() {
            vec!["spec: nothing binds claims to volumes yet: pods that use this claim will wait".to_owned()]
        } else {
            Vec::new()
        }
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

/// Once made, a bound claim may only ask for more.
fn frozen(errors: &mut Errors, new: &Value, old: &Value) {
    let mut munged = new.clone();
    let bound = text(old, "status.phase") == "Bound";
    if text(old, "spec.volumeName").is_empty() {
        carry("spec.volumeName", old, &mut munged);
    }
    if bound {
        carry("spec.resources.requests", old, &mut munged);
    }
    carry("spec.volumeAttributesClassName", old, &mut munged);
    if !same(get(&munged, "spec"), get(old, "spec")) {
        errors.forbidden(
            &Path::root("spec"),
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        );
    }
    let size = |o| get(o, "spec.resources.requests.storage").and_then(|s| Quantity::from_value(s).ok());
    if let (Some(now), Some(before)) = (size(new), size(old))
        && now < before
    {
        errors.forbidden(
            &Path::root("spec.resources.requests.storage"),
            "field can not be less than status.capacity",
        );
    }
}
