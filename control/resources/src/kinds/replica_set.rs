//! ReplicaSet.

use serde_json::{Value, json};

use super::{
    deployment::{CONTAINERS, IMAGES, SCALE, SELECTOR, workload, workload_update},
    pod,
};
use crate::{
    Column, FieldError, Part, ScalePaths, Strategy, meta,
    print::{self, AGE, NAME, column},
    validate::{
        Errors, Path, counter,
        meta::{self as metadata, Scope},
        names,
    },
    value::{get, get_mut, int, make_object, set, set_default},
};

pub(crate) struct ReplicaSet;

impl Strategy for ReplicaSet {
    fn default(&self, object: &mut Value) {
        make_object(object, "spec.template.spec");
        if let Some(spec) = get_mut(object, "spec") {
            set_default(spec, "replicas", 1);
            if let Some(template) = get_mut(spec, "template") {
                pod::defaults::template(template);
            }
        }
    }

    fn prepare_create(&self, object: &mut Value) {
        set(object, "status", json!({"replicas": 0}));
        meta::first_generation(object);
    }

    fn prepare_update(&self, part: Part, new: &mut Value, old: &Value) {
        meta::separate_status(part, new, old);
        match part {
            Part::Status => meta::keep_generation(new, old),
            _ => meta::count_changes(new, old, &["spec"]),
        }
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, Scope::Namespaced, names::dns1123_subdomain);
        let path = Path::root("spec");
        let empty = Value::Null;
        let spec = get(object, "spec").unwrap_or(&empty);
        counter(&mut errors, &path, spec, "replicas");
        counter(&mut errors, &path, spec, "minReadySeconds");
        workload(&mut errors, object, "ReplicaSet");
        errors.into_vec()
    }

    fn validate_update(&self, part: Part, new: &Value, old: &Value) -> Vec<FieldError> {
        let counts = [
            "replicas",
            "fullyLabeledReplicas",
            "readyReplicas",
            "availableReplicas",
        ];
        workload_update(self, part, new, old, &counts)
    }

    fn field(&self, object: &Value, path: &str) -> Option<String> {
        (path == "status.replicas").then(|| int(object, path).unwrap_or_default().to_string())
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        pod::warnings::template(object)
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Desired", "integer", "Pods wanted."),
            column("Current", "integer", "Pods there are."),
            column("Ready", "integer", "Pods that are ready."),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        let number = |path| int(object, path).unwrap_or_default().into();
        let (names, images) = print::containers(get(object, "spec.template.spec"));
        vec![
            print::name(object),
            number("spec.replicas"),
            number("status.replicas"),
            number("status.readyReplicas"),
            print::age(object, now),
            names.into(),
            images.into(),
            print::label_selector(get(object, "spec.selector")).into(),
        ]
    }

    fn scale(&self) -> Option<ScalePaths> {
        Some(SCALE)
    }
}
