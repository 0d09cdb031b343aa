//! What is to go from a namespace, and what its conditions say.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition, NamespaceStatus};
use serde_json::Value;

use crate::{ResourceKind, machinery::seconds};

/// The objects of one kind.
pub struct Content {
    pub kind: ResourceKind,
    pub objects: Vec<Arc<Value>>,
}

/// What to do.
pub struct Plan {
    pub delete: Vec<(ResourceKind, Arc<Value>)>,
    pub status: NamespaceStatus,
    /// Nothing is left.
    pub done: bool,
}

/// Plans: while there are pods, only pods are deleted, so that they can end in order with what they need around
/// them. What is being deleted already is waited for.
pub fn plan(namespace: &Namespace, content: &[Content], now: Timestamp) -> Plan {
    let is_pods = |c: &&Content| c.kind.name.plural == "pods" && c.kind.name.group.is_empty();
    let pods_left = content.iter().any(|c| is_pods(&c) && !c.objects.is_empty());
    let turn = content.iter().filter(|c| !pods_left || is_pods(c));
    let fresh = |o: &&Arc<Value>| o["metadata"]["deletionTimestamp"].is_null();
    let delete = turn.flat_map(|c| c.objects.iter().filter(fresh).map(|o| (c.kind, o.clone())));
    let delete = delete.collect();

    let mut remaining = Vec::new();
    let mut finalizers: BTreeMap<String, usize> = BTreeMap::new();
    for kind in content.iter().filter(|c| !c.objects.is_empty()) {
        let group = kind.kind.name.group;
        let dot = if group.is_empty() { "" } else { "." };
        let count = kind.objects.len();
        remaining.push(format!(
            "{}{dot}{group} has {count} resource instances",
            kind.kind.name.plural
        ));
        for object in &kind.objects {
            let of_object = object["metadata"]["finalizers"].as_array().into_iter().flatten();
            for finalizer in of_object.filter_map(Value::as_str) {
                *finalizers.entry(finalizer.to_owned()).or_default() += 1;
            }
        }
    }
    let done = remaining.is_empty();
    let waiting: Vec<String> = finalizers
        .iter()
        .map(|(f, n)| format!("{f} in {n} resource instances"))
        .collect();

    let mut conditions = Vec::new();
    let mut say = |type_: &str, status: &str, reason: &str, message: String| {
        conditions.push((type_.to_owned(), status.to_owned(), reason.to_owned(), message));
    };
    let text = "All resources successfully discovered".to_owned();
    say(
        "NamespaceDeletionDiscoveryFailure",
        "False",
        "ResourcesDiscovered",
        text,
    );
    let text = "All legacy kube types successfully parsed".to_owned();
    say(
        "NamespaceDeletionGroupVersionParsingFailure",
        "False",
        "ParsedGroupVersions",
        text,
    );
    let text = "All content successfully deleted, may be waiting on finalization".to_owned();
    say("NamespaceDeletionContentFailure", "False", "ContentDeleted", text);
    if done {
        let text = "All content successfully removed".to_owned();
        say("NamespaceContentRemaining", "False", "ContentRemoved", text);
    } else {
        let text = format!("Some resources are remaining: {}", remaining.join(", "));
        say("NamespaceContentRemaining", "True", "SomeResourcesRemain", text);
    }
    if waiting.is_empty() {
        let text = "All content-preserving finalizers finished".to_owned();
        say(
            "NamespaceFinalizersRemaining",
            "False",
            "ContentHasNoFinalizers",
            text,
        );
    } else {
        let text = format!(
            "Some content in the namespace has finalizers remaining: {}",
            waiting.join(", ")
        );
        say(
            "NamespaceFinalizersRemaining",
            "True",
            "SomeFinalizersRemain",
            text,
        );
    }

    let before = namespace.status.clone().unwrap_or_default();
    let known = before.conditions.unwrap_or_default();
    let conditions = conditions.into_iter().map(|(type_, status, reason, message)| {
        let same = known.iter().find(|c| c.type_ == type_ && c.status == status);
        let since = same
            .and_then(|c| c.last_transition_time.clone())
            .unwrap_or_else(|| seconds(now));
        NamespaceCondition {
            type_,
            status,
            reason: Some(reason),
            message: Some(message),
            last_transition_time: Some(since),
        }
    });
    let status = NamespaceStatus {
        phase: Some("Terminating".to_owned()),
        conditions: Some(conditions.collect()),
    };
    Plan { delete, status, done }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::kinds;

    #[test]
    fn pods_go_first_and_the_conditions_count_what_is_left() {
        let kind = |plural| *kinds().iter().find(|k| k.name.plural == plural).unwrap();
        let object = |name: &str| Arc::new(json!({"metadata": {"name": name, "finalizers": ["x/y"]}}));
        let maps = Content {
            kind: kind("configmaps"),
            objects: vec![object("m")],
        };
        let pods = Content {
            kind: kind("pods"),
            objects: vec![object("p")],
        };
        let namespace = Namespace::default();
        let first = plan(&namespace, &[maps, pods], Timestamp::UNIX_EPOCH);
        assert_eq!(first.delete.len(), 1);
        assert_eq!(first.delete[0].0.kind, "Pod");
        let said = serde_json::to_value(&first.status).unwrap();
        assert_eq!(
            said["conditions"][3]["message"],
            "Some resources are remaining: configmaps has 1 resource instances, pods has 1 resource instances"
        );
        assert_eq!(
            said["conditions"][4]["message"],
            "Some content in the namespace has finalizers remaining: x/y in 2 resource instances"
        );

        let maps = Content {
            kind: kind("configmaps"),
            objects: vec![object("m")],
        };
        assert_eq!(plan(&namespace, &[maps], Timestamp::UNIX_EPOCH).delete.len(), 1);
        assert!(plan(&namespace, &[], Timestamp::UNIX_EPOCH).done);
    }
}
