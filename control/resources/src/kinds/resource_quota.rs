//! ResourceQuota.

use serde_json::Value;

use super::pod::resources;

use crate::{
    Column, FieldError, Part, Strategy, meta,
    print::{self, AGE, NAME, column},
    validate::{
        Errors, Path,
        meta::{self as metadata, Scope},
        names, quantity,
    },
    value::{entries, get, get_mut, list},
};

pub(crate) struct ResourceQuota;

impl Strategy for ResourceQuota {
    fn default(&self, object: &mut Value) {
        for path in ["spec.hard", "status.hard", "status.used"] {
            if let Some(amounts) = get_mut(object, path) {
                resources::canonicalize(amounts);
            }
        }
    }

    fn prepare_create(&self, object: &mut Value) {
        meta::clear_status(object);
        meta::without_generation(object);
    }

    fn prepare_update(&self, part: Part, new: &mut Value, old: &Value) {
        meta::separate_status(part, new, old);
        meta::keep_generation(new, old);
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, Scope::Namespaced, names::dns1123_subdomain);
        let hard = Path::root("spec.hard");
        for (name, value) in entries(object, "spec.hard") {
            errors.invalid_each(&hard.key(name), name, names::qualified_name(name));
            if let Some(amount) = quantity::amount(&mut errors, &hard.key(name), value)
                && !amount.is_whole()
                && (name.starts_with("count/")
                    || matches!(name, "pods" | "services" | "secrets" | "configmaps"))
            {
                errors.invalid(&hard.key(name), amount.to_string(), "must be an integer");
            }
        }
        scopes(&mut errors, object);
        errors.into_vec()
    }

    fn validate_update(&self, part: Part, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::update(&mut errors, new, old);
        if part != Part::Status {
            errors.immutable(
                &Path::root("spec.scopes"),
                get(new, "spec.scopes"),
                get(old, "spec.scopes"),
            );
        }
        let mut errors = errors.into_vec();
        errors.extend(self.validate(new));
        errors
    }

    fn warnings(&self, _object: &Value) -> Vec<String> {
        vec!["spec.hard: not enforced: nothing counts what a namespace uses yet".to_owned()]
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Request", "string", "Used and allowed amounts, limits apart."),
            column("Limit", "string", "Used and allowed sums of limits."),
            AGE,
        ];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        let used = get(object, "status.used");
        let mut hard: Vec<(&str, &Value)> = entries(object, "status.hard").collect();
        hard.sort_unstable_by_key(|(name, _)| *name);
        let (mut requests, mut limits) = (Vec::new(), Vec::new());
        for (name, amount) in hard {
            let used = used
                .and_then(|u| u.get(name))
                .and_then(Value::as_str)
                .unwrap_or("0");
            let cell = format!("{name}: {used}/{}", amount.as_str().unwrap_or_default());
            if name.starts_with("limits.") {
                limits.push(cell);
            } else {
                requests.push(cell);
            }
        }
        vec![
            print::name(object),
            requests.join(", ").into(),
            limits.join(", ").into(),
            print::age(object, now),
        ]
    }
}

/// Which pods a quota counts: known scopes, and not one with its opposite.
fn scopes(errors: &mut Errors, object: &Value) {
    const OPPOSITES: [[&str; 2]; 2] = [["Terminating", "NotTerminating"], ["BestEffort", "NotBestEffort"]];
    let path = Path::root("spec.scopes");
    let given: Vec<&str> = list(object, "spec.scopes")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let value = || get(object, "spec.scopes").cloned().unwrap_or_default();
    for scope in &given {
        let known = OPPOSITES.as_flattened().contains(scope)
            || matches!(
                *scope,
                "PriorityClass" | "CrossNamespacePodAffinity" | "VolumeAttributesClass"
            );
        if !known {
            errors.invalid(&path, value(), "unsupported scope");
        }
        let counts_pods_alone = *scope == "BestEffort";
        for (name, _) in entries(object, "spec.hard") {
            if counts_pods_alone && known && name != "pods" {
                errors.invalid(&path, value(), "unsupported scope applied to resource");
            }
        }
    }
    if OPPOSITES
        .iter()
        .any(|pair| pair.iter().all(|s| given.contains(s)))
    {
        errors.invalid(&path, value(), "conflicting scopes");
    }
}
