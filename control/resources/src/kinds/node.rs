//! Node.

use serde_json::Value;

use super::pod::resources;

use crate::{
    Column, FieldError, Part, Strategy, meta,
    print::{self, AGE, NAME, column, wide},
    validate::{
        Errors, Path,
        meta::{self as metadata, Scope},
        names, quantity,
    },
    value::{carry, entries, flag, get, get_mut, list, make_object, set, set_default, text},
};

pub(crate) struct Node;

impl Strategy for Node {
    fn default(&self, object: &mut Value) {
        // One range and the list of ranges tell the same.
        let range = text(object, "spec.podCIDR").to_owned();
        let first = list(object, "spec.podCIDRs").first().cloned();
        match first {
            None if !range.is_empty() => set(object, "spec.podCIDRs", vec![range]),
            Some(first) if range.is_empty() => set(object, "spec.podCIDR", first),
            _ => {}
        }
        make_object(object, "spec");
        make_object(object, "status");
        if let Some(status) = get_mut(object, "status") {
            if let Some(capacity) = get(status, "capacity").cloned() {
                set_default(status, "allocatable", capacity);
            }
            for field in ["capacity", "allocatable"] {
                if let Some(amounts) = get_mut(status, field) {
                    resources::canonicalize(amounts);
                }
            }
        }
    }

    fn prepare_create(&self, object: &mut Value) {
        // Nodes register with their status: it is kept.
        meta::without_generation(object);
    }

    fn prepare_update(&self, part: Part, new: &mut Value, old: &Value) {
        meta::separate_status(part, new, old);
        if part == Part::Main {
            carry("spec.configSource", old, new);
        }
        meta::keep_generation(new, old);
    }

    fn field(&self, object: &Value, path: &str) -> Option<String> {
        (path == "spec.unschedulable").then(|| flag(object, path).to_string())
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::object(&mut errors, object, Scope::Cluster, names::dns1123_subdomain);
        taints(&mut errors, list(object, "spec.taints"));
        let ranges = Path::root("spec.podCIDRs");
        for (i, range) in list(object, "spec.podCIDRs").iter().enumerate() {
            let range = range.as_str().unwrap_or_default();
            if range.parse::<ipnet::IpNet>().is_err() {
                errors.invalid(
                    &ranges.index(i),
                    range,
                    "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
                );
            }
        }
        for field in ["capacity", "allocatable"] {
            if let Some(amounts) = get(object, "status").and_then(|s| get(s, field)) {
                quantity::amounts(&mut errors, &Path::root("status").field(field), amounts);
            }
        }
        errors.into_vec()
    }

    fn validate_update(&self, part: Part, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        metadata::update(&mut errors, new, old);
        if part == Part::Main {
            let set_once = |errors: &mut Errors, field: &str, detail: &str| {
                let at = |o| get(o, "spec").and_then(|s| get(s, field));
                if at(old).is_some() && at(old) != at(new) {
                    errors.forbidden(&Path::root("spec").field(field), detail);
                }
            };
            set_once(
                &mut errors,
                "podCIDRs",
                "node updates may not change podCIDR except from \"\" to valid",
            );
            set_once(
                &mut errors,
                "providerID",
                "node updates may not change providerID except from \"\" to valid",
            );
        }
        let mut errors = errors.into_vec();
        errors.extend(self.validate(new));
        errors
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Status", "string", "Whether the node is ready and takes pods."),
            column("Roles", "string", "Roles, from labels."),
            AGE,
            column("Version", "string", "Version of the node agent."),
            wide("Internal-IP", "string", "Address inside the cluster."),
            wide("External-IP", "string", "Address outside the cluster."),
            wide("OS-Image", "string", "Operating system."),
            wide("Kernel-Version", "string", "Version of the kernel."),
            wide(
                "Container-Runtime",
                "string",
                "Container runtime and its version.",
            ),
        ];
        COLUMNS
    }

    fn cells(&self, object: &Value, now: i64) -> Vec<Value> {
        let ready = list(object, "status.conditions")
            .iter()
            .find(|c| text(c, "type") == "Ready");
        let mut status = match ready {
            Some(condition) if text(condition, "status") == "True" => "Ready".to_owned(),
            Some(_) => "NotReady".to_owned(),
            None => "Unknown".to_owned(),
        };
        if flag(object, "spec.unschedulable") {
            status.push_str(",SchedulingDisabled");
        }
        let address = |kind: &str| -> Value {
            list(object, "status.addresses")
                .iter()
                .find(|a| text(a, "type") == kind)
                .map_or("<none>", |a| text(a, "address"))
                .into()
        };
        vec![
            print::name(object),
            status.into(),
            roles(object).into(),
            print::age(object, now),
            text(object, "status.nodeInfo.kubeletVersion").into(),
            address("InternalIP"),
            address("ExternalIP"),
            print::text_or(object, "status.nodeInfo.osImage", "<unknown>"),
            print::text_or(object, "status.nodeInfo.kernelVersion", "<unknown>"),
            print::text_or(object, "status.nodeInfo.containerRuntimeVersion", "<unknown>"),
        ]
    }
}

/// Roles by the labels `node-role.kubernetes.io/ROLE` and `kubernetes.io/role=ROLE`, sorted.
fn roles(object: &Value) -> String {
    let mut roles: Vec<&str> = entries(object, "metadata.labels")
        .filter_map(
            |(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
                Some(role) => Some(role),
                None if key == "kubernetes.io/role" => value.as_str(),
                None => None,
            },
        )
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() {
        "<none>".to_owned()
    } else {
        roles.join(",")
    }
}

fn taints(errors: &mut Errors, taints: &[Value]) {
    // Kubernetes gives them this path, too.
    let path = Path::root("metadata.taints");
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (i, taint) in taints.iter().enumerate() {
        let path = path.index(i);
        let (key, value, effect) = (text(taint, "key"), text(taint, "value"), text(taint, "effect"));
        errors.invalid_each(&path.field("key"), key, names::qualified_name(key));
        errors.invalid_each(&path.field("value"), value, names::label_value(value));
        errors.one_of(
            &path.field("effect"),
            effect,
            &["NoSchedule", "PreferNoSchedule", "NoExecute"],
            true,
        );
        if seen.contains(&(key, effect)) {
            errors.duplicate(&path, taint.clone());
        }
        seen.push((key, effect));
    }
}
