//! Templates, their hash, and the annotations of ReplicaSets.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use sha2::{Digest, Sha256};

use super::rollout;
use crate::machinery::Object;

/// Label that tells the pods of one template from those of another.
pub const HASH_LABEL: &str = "pod-template-hash";
/// Annotation: which revision of the Deployment a ReplicaSet (or the Deployment itself) is at.
pub const REVISION: &str = "deployment.kubernetes.io/revision";
/// Annotation: earlier revisions with the same template.
pub const HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// Annotation: replicas of the Deployment when the ReplicaSet was last scaled.
pub const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
/// Annotation: the same with the surge.
pub const MAX: &str = "deployment.kubernetes.io/max-replicas";

/// Annotations that a ReplicaSet does not take over from its Deployment.
const OWN: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];

/// Letters that can't form words, and no digit that looks like a letter (Kubernetes, "safe encoding").
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// The template's hash, as 10 safe characters.
pub fn hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    let mut hasher = Sha256::new();
    // Field order is fixed by the type and maps are sorted, so equal templates give equal text.
    hasher.update(serde_json::to_vec(template).unwrap_or_default());
    hasher.update(collisions.unwrap_or(0).to_le_bytes());
    let digest = hasher.finalize();
    digest
        .iter()
        .take(10)
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
        .collect()
}

/// Whether a ReplicaSet's template is the Deployment's, apart from the hash label.
pub fn same_template(of_set: Option<&PodTemplateSpec>, wanted: &PodTemplateSpec) -> bool {
    of_set.is_some_and(|t| t.spec == wanted.spec && plain(t) == plain(wanted))
}

fn plain(template: &PodTemplateSpec) -> ObjectMeta {
    let mut metadata = template.metadata.clone().unwrap_or_default();
    metadata.creation_timestamp = None;
    if let Some(labels) = &mut metadata.labels {
        labels.remove(HASH_LABEL);
    }
    let empty = |m: &BTreeMap<String, String>| m.is_empty();
    metadata.labels = metadata.labels.filter(|m| !empty(m));
    metadata.annotations = metadata.annotations.filter(|m| !empty(m));
    metadata.finalizers = metadata.finalizers.filter(|f| !f.is_empty());
    metadata
}

/// The ReplicaSet with the Deployment's template: the oldest, should there be several.
pub fn newest_template<'a>(
    deployment: &Deployment,
    sets: &'a [Arc<ReplicaSet>],
) -> Option<&'a Arc<ReplicaSet>> {
    let fitting = sets
        .iter()
        .filter(|s| same_template(s.spec.template.as_ref(), &deployment.spec.template));
    fitting.min_by_key(|s| age(s))
}

/// Sorts oldest first.
pub fn age(set: &ReplicaSet) -> (Option<jiff::Timestamp>, String) {
    (
        set.metadata.creation_timestamp.as_ref().map(|t| t.0),
        set.name().to_owned(),
    )
}

/// The revision a ReplicaSet is at; 0 without one.
pub fn of(set: &ReplicaSet) -> i64 {
    number(set.annotations().get(REVISION))
}

fn number(text: Option<&String>) -> i64 {
    text.and_then(|t| t.parse().ok()).unwrap_or(0)
}

/// The number in an annotation, if there is one.
pub fn annotation(set: &ReplicaSet, key: &str) -> Option<i32> {
    set.annotations().get(key)?.parse().ok()
}

/// Gives the ReplicaSet of the current template its annotations: the Deployment's own, and the new revision.
pub fn annotate_newest(deployment: &Deployment, set: &mut ReplicaSet, revision: i64) {
    let annotations = set.metadata.annotations.get_or_insert_default();
    let inherited = deployment
        .annotations()
        .iter()
        .filter(|(k, _)| !OWN.contains(&k.as_str()));
    annotations.extend(inherited.map(|(k, v)| (k.clone(), v.clone())));
    let before = annotations.get(REVISION).cloned();
    if number(before.as_ref()) < revision {
        annotations.insert(REVISION.into(), revision.to_string());
        if let Some(before) = before {
            // The template is used again after others: a rollback.
            let history = annotations.entry(HISTORY.into()).or_default();
            let known: Vec<&str> = history.split(',').filter(|h| !h.is_empty()).collect();
            if !known.contains(&before.as_str()) {
                *history = known
                    .into_iter()
                    .chain([before.as_str()])
                    .collect::<Vec<_>>()
                    .join(",");
            }
        }
    }
}

/// Notes the Deployment's size on a ReplicaSet, the base of proportional scaling.
pub fn annotate_size(deployment: &Deployment, set: &mut ReplicaSet) {
    let desired = rollout::replicas(deployment);
    let max = desired + rollout::max_surge(deployment);
    let annotations = set.metadata.annotations.get_or_insert_default();
    annotations.insert(DESIRED.into(), desired.to_string());
    annotations.insert(MAX.into(), max.to_string());
}

/// A new, empty ReplicaSet for the Deployment's template.
pub fn new_set(deployment: &Deployment, revision: i64) -> ReplicaSet {
    let collisions = deployment.status.as_ref().and_then(|s| s.collision_count);
    let hash = hash(&deployment.spec.template, collisions);
    let mut template = deployment.spec.template.clone();
    let metadata = template.metadata.get_or_insert_default();
    metadata
        .labels
        .get_or_insert_default()
        .insert(HASH_LABEL.into(), hash.clone());
    let labels = metadata.labels.clone();
    let mut selector = deployment.spec.selector.clone();
    selector
        .match_labels
        .get_or_insert_default()
        .insert(HASH_LABEL.into(), hash.clone());
    let mut set = ReplicaSet {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", deployment.name())),
            namespace: deployment.metadata.namespace.clone(),
            labels,
            owner_references: Some(vec![deployment.controller_reference()]),
            ..ObjectMeta::default()
        },
        spec: ReplicaSetSpec {
            replicas: Some(0),
            min_ready_seconds: deployment.spec.min_ready_seconds,
            selector,
            template: Some(template),
        },
        status: None,
    };
    annotate_newest(deployment, &mut set, revision);
    annotate_size(deployment, &mut set);
    set
}
