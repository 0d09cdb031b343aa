//! The rows themselves.

use std::collections::BTreeSet;

use k8s_openapi::{
    Resource as _, api, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};

use crate::{find, find_kind, table};

/// `(apiVersion, kind, plural)` of generated types.
macro_rules! known {
    ($($path:ident :: $version:ident :: $kind:ident),* $(,)?) => {
        [$((
            api::$path::$version::$kind::API_VERSION,
            api::$path::$version::$kind::KIND,
            api::$path::$version::$kind::URL_PATH_SEGMENT,
        )),*]
    };
}

#[test]
fn every_row_is_a_kind_of_the_published_api() {
    let mut known = known![
        core::v1::Binding,
        core::v1::ConfigMap,
        core::v1::Endpoints,
        core::v1::Event,
        core::v1::LimitRange,
        core::v1::Namespace,
        core::v1::Node,
        core::v1::PersistentVolume,
        core::v1::PersistentVolumeClaim,
        core::v1::Pod,
        core::v1::ResourceQuota,
        core::v1::Secret,
        core::v1::Service,
        core::v1::ServiceAccount,
        apps::v1::ControllerRevision,
        apps::v1::Deployment,
        apps::v1::ReplicaSet,
        events::v1::Event,
        authentication::v1::SelfSubjectReview,
        authentication::v1::TokenReview,
        authorization::v1::LocalSubjectAccessReview,
        authorization::v1::SelfSubjectAccessReview,
        authorization::v1::SelfSubjectRulesReview,
        authorization::v1::SubjectAccessReview,
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        rbac::v1::ClusterRole,
        rbac::v1::ClusterRoleBinding,
        rbac::v1::Role,
        rbac::v1::RoleBinding,
        scheduling::v1::PriorityClass,
        coordination::v1::Lease,
        discovery::v1::EndpointSlice,
    ]
    .to_vec();
    known.push((
        CustomResourceDefinition::API_VERSION,
        CustomResourceDefinition::KIND,
        CustomResourceDefinition::URL_PATH_SEGMENT,
    ));
    for row in table() {
        let api_version = if row.group.is_empty() {
            row.version.to_string()
        } else {
            format!("{}/{}", row.group, row.version)
        };
        let found = known
            .iter()
            .find(|(version, kind, _)| *version == api_version && *kind == row.kind);
        let (_, _, plural) = found.unwrap_or_else(|| panic!("{api_version} {} is not published", row.kind));
        // Bindings and reviews have no collection path in the generated types' view of a namespace.
        assert_eq!(*plural, row.plural);
        assert!(std::ptr::eq(find_kind(&api_version, &row.kind).unwrap(), row));
        assert!(std::ptr::eq(
            find(&row.group, &row.version, &row.plural).unwrap(),
            row
        ));
    }
}

#[test]
fn names_are_consistent() {
    let mut seen = BTreeSet::new();
    for row in table() {
        assert_eq!(row.singular, row.kind.to_lowercase());
        assert!(
            seen.insert((row.group.clone(), row.plural.clone())),
            "{}",
            row.plural
        );
        assert!(row.verbs.is_sorted(), "{}", row.plural);
        assert!(row.subresources.is_sorted_by_key(|s| s.name), "{}", row.plural);
        for name in row.short_names {
            let clash = table()
                .iter()
                .any(|r| r.plural == *name || (r.kind != row.kind && r.short_names.contains(name)));
            assert!(!clash, "{name}");
        }
        let has_status = row.subresources.iter().any(|s| s.name == "status");
        let scales = row.subresources.iter().any(|s| s.name == "scale");
        assert_eq!(scales, row.strategy.scale().is_some(), "{}", row.plural);
        if has_status {
            let sample = super::samples()
                .into_iter()
                .find(|s| s["kind"] == row.kind.as_ref())
                .unwrap();
            let (mut new, mut old) = (sample.clone(), sample);
            new["status"] = serde_json::json!({"phase": "new"});
            old["status"] = serde_json::json!({"phase": "old"});
            row.strategy.prepare_update(crate::Part::Main, &mut new, &old);
            assert_eq!(new["status"]["phase"], "old", "{}", row.plural);
        }
    }
}

#[test]
fn columns_and_cells_have_the_same_length() {
    for object in super::samples() {
        let strategy = super::row(&object).strategy;
        let columns = strategy.columns();
        assert_eq!(
            strategy.cells(&object, 0).len(),
            columns.len(),
            "{}",
            object["kind"]
        );
        assert_eq!(
            columns.iter().filter(|c| c.format == "name").count(),
            1,
            "{}",
            object["kind"]
        );
        for column in columns {
            assert!(!column.description.is_empty());
        }
    }
}

#[test]
fn every_stored_kind_has_a_sample() {
    let samples = super::samples();
    for row in table()
        .iter()
        .filter(|r| r.verbs.contains(&"create") && r.verbs.contains(&"list"))
    {
        assert!(
            samples.iter().any(|s| std::ptr::eq(super::row(s), row)),
            "{} {}",
            row.group,
            row.kind
        );
    }
}
