//! Deployment.

use serde_json::{Value, json};

use super::pod;

use crate::{
    Column, FieldError, Part, ScalePaths, Strategy, meta,
    print::{self, AGE, NAME, column, wide},
    selector::LabelSelector,
    validate::{
        Errors, Path, count_or_percent, counter, labels,
        meta::{self as metadata, Scope},
        names, percent,
    },
    value::{carry, get, get_mut, has, int, make_object, set_default, set_default_text, text},
};

pub(crate) struct Deployment;

/// Where workloads keep their numbers.
pub(crate) const SCALE: ScalePaths = ScalePaths {
    spec_replicas: "/spec/replicas",
    status_replicas: "/status/replicas",
    selector: "/spec/selector",
};

impl Strategy for Deployment {
    fn default(&self, object: &mut Value) {
        make_object(object, "spec.template.spec");
        if let Some(spec) = get_mut(object, "spec") {
            set_default(spec, "replicas", 1);
            set_default(spec, "revisionHistoryLimit", 10);
            set_default(spec, "progressDeadlineSeconds", 600);
            set_default(spec, "strategy", json!({}));
            if let Some(strategy) = get_mut(spec, "strategy") {
                set_default_text(strategy, "type", "RollingUpdate");
                if text(strategy, "type") == "RollingUpdate" {
                    set_default(strategy, "rollingUpdate", json!({}));
                }
                if let Some(rolling) = get_mut(strategy, "rollingUpdate") {
                    set_default(rolling, "maxUnavailable", "25%");
                    set_default(rolling, "maxSurge", "25%");
                }
            }
            if let Some(template) = get_mut(spec, "template") {
                pod::defaults::template(template);
            }
        }
    }

    fn prepare_create(&self, object: &mut Value) {
        meta::clear_status(object);
        meta::first_generation(object);
    }

    fn prepare_update(&self, part: Part, new: &mut Value, old: &Value) {
        meta::separate_status(part, new, old);
        match part {
            Part::Status => {
                carry("metadata.labels", old, new);
                meta::keep_generation(new, old);
            }
            _ => meta::count_changes(new, old, &["spec", "metadata.annotations"]),
        }
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, Scope::Namespaced, names::dns1123_subdomain);
        let path = Path::root("spec");
        let empty = Value::Null;
        let spec = get(object, "spec").unwrap_or(&empty);
        counter(&mut errors, &path, spec, "replicas");
        workload(&mut errors, object, "Deployment");
        strategy(&mut errors, &path.field("strategy"), spec);
        counter(&mut errors, &path, spec, "minReadySeconds");
        counter(&mut errors, &path, spec, "revisionHistoryLimit");
        if let Some(deadline) = int(spec, "progressDeadlineSeconds") {
            let at = path.field("progressDeadlineSeconds");
            errors.not_negative(&at, Some(deadline));
            if deadline <= int(spec, "minReadySeconds").unwrap_or_default() {
                errors.invalid(&at, deadline, "must be greater than minReadySeconds");
            }
        }
        errors.into_vec()
    }

    fn validate_update(&self, part: Part, new: &Value, old: &Value) -> Vec<FieldError> {
        let counts = [
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
        ];
        workload_update(self, part, new, old, &counts)
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        pod::warnings::template(object)
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Ready", "string", "Ready pods of those wanted."),
            column("Up-to-date", "string", "Pods made from the current template."),
            column("Available", "string", "Pods ready for at least minReadySeconds."),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        let status = |field: &str| int(object, &format!("status.{field}")).unwrap_or_default();
        let wanted = int(object, "spec.replicas").unwrap_or_default();
        let (names, images) = print::containers(get(object, "spec.template.spec"));
        let selector = LabelSelector::from_object(get(object, "spec.selector")).unwrap_or_default();
        vec![
            print::name(object),
            format!("{}/{wanted}", status("readyReplicas")).into(),
            status("updatedReplicas").into(),
            status("availableReplicas").into(),
            print::age(object, now),
            names.into(),
            images.into(),
            selector.to_string().into(),
        ]
    }

    fn scale(&self) -> Option<ScalePaths> {
        Some(SCALE)
    }
}

/// The wide columns of kinds with a template of pods.
pub(super) const CONTAINERS: Column =
    wide("Containers", "string", "Names of each container in the template.");
pub(super) const IMAGES: Column = wide("Images", "string", "Images of each container in the template.");
pub(super) const SELECTOR: Column = wide("Selector", "string", "Selects the pods.");

/// What Deployments and ReplicaSets have in common: a selector, and a template it selects.
pub(super) fn workload(errors: &mut Errors, object: &Value, kind: &str) {
    let path = Path::root("spec");
    let empty = Value::Null;
    let spec = get(object, "spec").unwrap_or(&empty);
    let at = path.field("selector");
    let selector = get(spec, "selector");
    match selector {
        None => errors.required(&at, ""),
        Some(found) => {
            labels::selector(errors, &at, selector);
            if ["matchLabels", "matchExpressions"].iter().all(|f| {
                get(found, f).is_none_or(|v| {
                    v.as_object().is_none_or(|m| m.is_empty()) && v.as_array().is_none_or(Vec::is_empty)
                })
            }) {
                errors.invalid(&at, found.clone(), "empty selector is invalid for deployment");
            }
        }
    }
    let Ok(parsed) = LabelSelector::from_object(selector) else {
        errors.invalid(
            &at,
            selector.cloned().unwrap_or_default(),
            "invalid label selector",
        );
        return;
    };
    let at = path.field("template");
    let template = get(spec, "template").unwrap_or(&empty);
    // No selector selects nothing, an empty one everything.
    if selector.is_none() || (!parsed.requirements().is_empty() && !parsed.matches(template)) {
        errors.invalid(
            &at.field("metadata").field("labels"),
            get(template, "metadata.labels").cloned().unwrap_or_default(),
            "`selector` does not match template `labels`",
        );
    }
    pod::validate::template(errors, &at, template);
    let at = at.field("spec");
    let restart = text(template, "spec.restartPolicy");
    if matches!(restart, "OnFailure" | "Never") {
        errors.not_supported(&at.field("restartPolicy"), restart, &["Always"]);
    }
    if has(template, "spec.activeDeadlineSeconds") {
        errors.forbidden(
            &at.field("activeDeadlineSeconds"),
            &format!("activeDeadlineSeconds in {kind} is not Supported"),
        );
    }
}

/// The change of a Deployment or ReplicaSet: of its status, with these counts in it, or of the object, whose selector
/// stays.
pub(super) fn workload_update(
    kind: &dyn Strategy,
    part: Part,
    new: &Value,
    old: &Value,
    counts: &[&str],
) -> Vec<FieldError> {
    let mut errors = Errors::new();
    metadata::update(&mut errors, new, old);
    if part == Part::Status {
        status(&mut errors, new, counts);
        return errors.into_vec();
    }
    errors.immutable(
        &Path::root("spec.selector"),
        get(new, "spec.selector"),
        get(old, "spec.selector"),
    );
    let mut errors = errors.into_vec();
    errors.extend(kind.validate(new));
    errors
}

/// The numbers in a status.
fn status(errors: &mut Errors, object: &Value, fields: &[&str]) {
    let path = Path::root("status");
    let number = |field: &str| get(object, "status").and_then(|s| int(s, field));
    for field in fields.iter().chain(&["observedGeneration", "collisionCount"]) {
        errors.not_negative(&path.field(field), number(field));
    }
    let total = number("replicas").unwrap_or_default();
    for field in fields {
        if *field == "replicas" || *field == "unavailableReplicas" {
            continue;
        }
        if let Some(part) = number(field).filter(|n| *n > total) {
            errors.invalid(&path.field(field), part, "cannot be greater than status.replicas");
        }
    }
    let ready = number("readyReplicas").unwrap_or_default();
    if let Some(available) = number("availableReplicas").filter(|n| *n > ready) {
        errors.invalid(
            &path.field("availableReplicas"),
            available,
            "cannot be greater than readyReplicas",
        );
    }
}

fn strategy(errors: &mut Errors, path: &Path<'_>, spec: &Value) {
    let at = path.field("rollingUpdate");
    match text(spec, "strategy.type") {
        "Recreate" if has(spec, "strategy.rollingUpdate") => {
            errors.forbidden(&at, "may not be specified when strategy `type` is 'Recreate'")
        }
        "Recreate" => {}
        "RollingUpdate" => {
            let Some(rolling) = get(spec, "strategy.rollingUpdate") else {
                errors.required(&at, "this should be defaulted and never be nil");
                return;
            };
            let (unavailable, surge) = (get(rolling, "maxUnavailable"), get(rolling, "maxSurge"));
            count_or_percent(errors, &at.field("maxUnavailable"), unavailable);
            count_or_percent(errors, &at.field("maxSurge"), surge);
            let is_zero = |v: Option<&Value>| v.and_then(Value::as_i64).or_else(|| percent(v)) == Some(0);
            if is_zero(unavailable) && is_zero(surge) {
                errors.invalid(
                    &at.field("maxUnavailable"),
                    unavailable.cloned().unwrap_or_default(),
                    "may not be 0 when `maxSurge` is 0",
                );
            }
            if percent(unavailable).is_some_and(|p| p > 100) {
                errors.invalid(
                    &at.field("maxUnavailable"),
                    unavailable.cloned().unwrap_or_default(),
                    "must not be greater than 100%",
                );
            }
        }
        other => errors.not_supported(path, other, &["Recreate", "RollingUpdate"]),
    }
}
