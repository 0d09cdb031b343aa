//! Pod.

mod columns;
pub(crate) mod defaults;
mod qos;
pub mod resources;
pub(crate) mod validate;
pub(crate) mod warnings;

use serde_json::Value;

pub use qos::qos_class;

use crate::{
    Column, FieldError, Part, Strategy, meta,
    value::{carry, flag, get, get_mut, int, list, make_object, set, text},
};

pub(crate) struct Pod;

impl Strategy for Pod {
    fn default(&self, object: &mut Value) {
        make_object(object, "spec");
        defaults::pod(object);
    }

    fn prepare_create(&self, object: &mut Value) {
        if let Some(spec) = get_mut(object, "spec") {
            // Admission may have chosen the service account.
            defaults::service_account(spec);
        }
        let qos = qos_class(object);
        set(
            object,
            "status",
            serde_json::json!({"phase": "Pending", "qosClass": qos}),
        );
        meta::first_generation(object);
    }

    fn prepare_update(&self, part: Part, new: &mut Value, old: &Value) {
        match part {
            Part::Main => {
                carry("status", old, new);
                carry("spec.ephemeralContainers", old, new);
                meta::count_changes(new, old, &["spec"]);
            }
            Part::Status => {
                carry("spec", old, new);
                carry("metadata.ownerReferences", old, new);
                carry("metadata.deletionTimestamp", old, new);
                carry("status.qosClass", old, new);
                meta::keep_generation(new, old);
            }
            // The caller sets the node and the condition that goes with it.
            Part::Other("binding") => meta::keep_generation(new, old),
            Part::Other(_) => {
                carry("status", old, new);
                meta::count_changes(new, old, &["spec"]);
            }
        }
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        validate::create(object).into_vec()
    }

    fn validate_update(&self, part: Part, new: &Value, old: &Value) -> Vec<FieldError> {
        validate::update::update(part, new, old).into_vec()
    }

    fn field(&self, object: &Value, path: &str) -> Option<String> {
        match path {
            "spec.nodeName"
            | "spec.restartPolicy"
            | "spec.schedulerName"
            | "spec.serviceAccountName"
            | "status.phase"
            | "status.nominatedNodeName" => Some(text(object, path).to_owned()),
            "spec.hostNetwork" => Some(flag(object, path).to_string()),
            "status.podIP" => Some(
                list(object, "status.podIPs")
                    .first()
                    .map_or_else(|| text(object, path), |ip| text(ip, "ip"))
                    .to_owned(),
            ),
            "status.podIPs" => Some(String::new()),
            _ => None,
        }
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        warnings::pod(object)
    }

    fn columns(&self) -> &'static [Column] {
        columns::COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        columns::cells(object, now)
    }

    /// `terminationGracePeriodSeconds`; nothing to wait for once the pod has ended or before it has a node.
    fn default_grace_seconds(&self, object: &Value) -> Option<i64> {
        let ended = matches!(text(object, "status.phase"), "Succeeded" | "Failed");
        if ended || text(object, "spec.nodeName").is_empty() {
            return Some(0);
        }
        Some(
            get(object, "spec")
                .and_then(|s| int(s, "terminationGracePeriodSeconds"))
                .unwrap_or(30),
        )
    }
}
