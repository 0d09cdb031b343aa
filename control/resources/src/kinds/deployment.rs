//! Deployment.

use serde_json::{Value, json};

use super::pod;

use crate::{
    Column, Part, ScalePaths, Strategy, meta,
    print::{self, AGE, NAME, column, wide},
    selector::LabelSelector,
    value::{carry, get, get_mut, int, set_default, set_default_text, text},
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

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Ready", "string", "Ready pods of those wanted."),
            column("Up-to-date", "string", "Pods made from the current template."),
            column("Available", "string", "Pods ready for at least minReadySeconds."),
            AGE,
            wide("Containers", "string", "Names of each container in the template."),
            wide("Images", "string", "Images of each container in the template."),
            wide("Selector", "string", "Selects the pods."),
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
