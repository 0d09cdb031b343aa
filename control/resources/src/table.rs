//! The rows, in discovery order. Compare with `kubectl api-resources -o wide`.

use std::borrow::Cow;

use crate::{Resource, Strategy, Subresource, kinds};

const ALL: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
/// Namespaces are deleted one at a time.
const NO_COLLECTION: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];
const READ: &[&str] = &["get", "list", "watch"];
const CREATE: &[&str] = &["create"];
const CHANGE: &[&str] = &["get", "patch", "update"];
const CONNECT: &[&str] = &["create", "get"];
const PROXY: &[&str] = &["create", "delete", "get", "patch", "update"];

const CORE: (&str, &str) = ("", "v1");
const APPS: (&str, &str) = ("apps", "v1");
const RBAC: (&str, &str) = ("rbac.authorization.k8s.io", "v1");
const AUTHENTICATION: (&str, &str) = ("authentication.k8s.io", "v1");
const AUTHORIZATION: (&str, &str) = ("authorization.k8s.io", "v1");

const SCALE: Subresource = sub("scale", ("autoscaling", "v1", "Scale"), CHANGE);

const fn sub(
    name: &'static str,
    gvk: (&'static str, &'static str, &'static str),
    verbs: &'static [&'static str],
) -> Subresource {
    Subresource { name, gvk, verbs }
}

/// A sub-resource of the core group.
const fn core(name: &'static str, kind: &'static str, verbs: &'static [&'static str]) -> Subresource {
    sub(name, ("", "v1", kind), verbs)
}

/// A row with all verbs, in a namespace, stored under its group and plural.
const fn row(
    (group, version): (&'static str, &'static str),
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    strategy: &'static dyn Strategy,
) -> Resource {
    Resource {
        group: Cow::Borrowed(group),
        version: Cow::Borrowed(version),
        kind: Cow::Borrowed(kind),
        plural: Cow::Borrowed(plural),
        singular: Cow::Borrowed(singular),
        short_names: &[],
        categories: &[],
        namespaced: true,
        verbs: ALL,
        subresources: &[],
        storage: (group, plural),
        strategy,
    }
}

impl Resource {
    const fn cluster(mut self) -> Self {
        self.namespaced = false;
        self
    }

    const fn short(mut self, names: &'static [&'static str]) -> Self {
        self.short_names = names;
        self
    }

    const fn all(mut self) -> Self {
        self.categories = &["all"];
        self
    }

    const fn verbs(mut self, verbs: &'static [&'static str]) -> Self {
        self.verbs = verbs;
        self
    }

    const fn subs(mut self, subresources: &'static [Subresource]) -> Self {
        self.subresources = subresources;
        self
    }

    const fn stored(mut self, group: &'static str, plural: &'static str) -> Self {
        self.storage = (group, plural);
        self
    }
}

static TABLE: &[Resource] = &[
    row(CORE, "Binding", "bindings", "binding", &kinds::review::Virtual).verbs(CREATE),
    row(
        CORE,
        "ConfigMap",
        "configmaps",
        "configmap",
        &kinds::config_map::ConfigMap,
    )
    .short(&["cm"]),
    row(
        CORE,
        "Endpoints",
        "endpoints",
        "endpoints",
        &kinds::endpoints::Endpoints,
    )
    .short(&["ep"]),
    row(
        CORE,
        "Event",
        "events",
        "event",
        &kinds::event::Event { modern: false },
    )
    .short(&["ev"]),
    row(
        CORE,
        "LimitRange",
        "limitranges",
        "limitrange",
        &kinds::limit_range::LimitRange,
    )
    .short(&["limits"]),
    row(
        CORE,
        "Namespace",
        "namespaces",
        "namespace",
        &kinds::namespace::Namespace,
    )
    .cluster()
    .short(&["ns"])
    .verbs(NO_COLLECTION)
    .subs(&[
        core("finalize", "Namespace", &["update"]),
        core("status", "Namespace", CHANGE),
    ]),
    row(CORE, "Node", "nodes", "node", &kinds::node::Node)
        .cluster()
        .short(&["no"])
        .subs(&[
            core("proxy", "NodeProxyOptions", PROXY),
            core("status", "Node", CHANGE),
        ]),
    row(
        CORE,
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        "persistentvolumeclaim",
        &kinds::persistent_volume_claim::PersistentVolumeClaim,
    )
    .short(&["pvc"])
    .subs(&[core("status", "PersistentVolumeClaim", CHANGE)]),
    row(
        CORE,
        "PersistentVolume",
        "persistentvolumes",
        "persistentvolume",
        &kinds::persistent_volume::PersistentVolume,
    )
    .cluster()
    .short(&["pv"])
    .subs(&[core("status", "PersistentVolume", CHANGE)]),
    row(CORE, "Pod", "pods", "pod", &kinds::pod::Pod)
        .short(&["po"])
        .all()
        .subs(&[
            core("attach", "PodAttachOptions", CONNECT),
            core("binding", "Binding", CREATE),
            core("ephemeralcontainers", "Pod", CHANGE),
            sub("eviction", ("policy", "v1", "Eviction"), CREATE),
            core("exec", "PodExecOptions", CONNECT),
            core("log", "Pod", &["get"]),
            core("portforward", "PodPortForwardOptions", CONNECT),
            core("proxy", "PodProxyOptions", PROXY),
            core("resize", "Pod", CHANGE),
            core("status", "Pod", CHANGE),
        ]),
    row(
        CORE,
        "ResourceQuota",
        "resourcequotas",
        "resourcequota",
        &kinds::resource_quota::ResourceQuota,
    )
    .short(&["quota"])
    .subs(&[core("status", "ResourceQuota", CHANGE)]),
    row(CORE, "Secret", "secrets", "secret", &kinds::secret::Secret),
    row(
        CORE,
        "ServiceAccount",
        "serviceaccounts",
        "serviceaccount",
        &kinds::service_account::ServiceAccount,
    )
    .short(&["sa"])
    .subs(&[sub(
        "token",
        ("authentication.k8s.io", "v1", "TokenRequest"),
        CREATE,
    )]),
    row(CORE, "Service", "services", "service", &kinds::service::Service)
        .short(&["svc"])
        .all()
        .subs(&[
            core("proxy", "ServiceProxyOptions", PROXY),
            core("status", "Service", CHANGE),
        ]),
    // There are none yet. kubectl asks for them when it meets a kind that it does not know, to say so.
    row(
        ("apiextensions.k8s.io", "v1"),
        "CustomResourceDefinition",
        "customresourcedefinitions",
        "customresourcedefinition",
        &kinds::review::Virtual,
    )
    .cluster()
    .short(&["crd", "crds"])
    .verbs(READ),
    row(
        APPS,
        "ControllerRevision",
        "controllerrevisions",
        "controllerrevision",
        &kinds::controller_revision::ControllerRevision,
    ),
    row(
        APPS,
        "Deployment",
        "deployments",
        "deployment",
        &kinds::deployment::Deployment,
    )
    .short(&["deploy"])
    .all()
    .subs(&[SCALE, sub("status", ("apps", "v1", "Deployment"), CHANGE)]),
    row(
        APPS,
        "ReplicaSet",
        "replicasets",
        "replicaset",
        &kinds::replica_set::ReplicaSet,
    )
    .short(&["rs"])
    .all()
    .subs(&[SCALE, sub("status", ("apps", "v1", "ReplicaSet"), CHANGE)]),
    row(
        ("events.k8s.io", "v1"),
        "Event",
        "events",
        "event",
        &kinds::event::Event { modern: true },
    )
    .short(&["ev"])
    .stored("", "events"),
    row(
        AUTHENTICATION,
        "SelfSubjectReview",
        "selfsubjectreviews",
        "selfsubjectreview",
        &kinds::review::Virtual,
    )
    .cluster()
    .verbs(CREATE),
    row(
        AUTHENTICATION,
        "TokenReview",
        "tokenreviews",
        "tokenreview",
        &kinds::review::Virtual,
    )
    .cluster()
    .verbs(CREATE),
    row(
        AUTHORIZATION,
        "LocalSubjectAccessReview",
        "localsubjectaccessreviews",
        "localsubjectaccessreview",
        &kinds::review::Virtual,
    )
    .verbs(CREATE),
    row(
        AUTHORIZATION,
        "SelfSubjectAccessReview",
        "selfsubjectaccessreviews",
        "selfsubjectaccessreview",
        &kinds::review::Virtual,
    )
    .cluster()
    .verbs(CREATE),
    row(
        AUTHORIZATION,
        "SelfSubjectRulesReview",
        "selfsubjectrulesreviews",
        "selfsubjectrulesreview",
        &kinds::review::Virtual,
    )
    .cluster()
    .verbs(CREATE),
    row(
        AUTHORIZATION,
        "SubjectAccessReview",
        "subjectaccessreviews",
        "subjectaccessreview",
        &kinds::review::Virtual,
    )
    .cluster()
    .verbs(CREATE),
    row(
        ("networking.k8s.io", "v1"),
        "NetworkPolicy",
        "networkpolicies",
        "networkpolicy",
        &kinds::network_policy::NetworkPolicy,
    )
    .short(&["netpol"]),
    row(
        ("policy", "v1"),
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        "poddisruptionbudget",
        &kinds::pod_disruption_budget::PodDisruptionBudget,
    )
    .short(&["pdb"])
    .subs(&[sub("status", ("policy", "v1", "PodDisruptionBudget"), CHANGE)]),
    row(
        RBAC,
        "ClusterRoleBinding",
        "clusterrolebindings",
        "clusterrolebinding",
        &kinds::rbac::RoleBinding { cluster: true },
    )
    .cluster(),
    row(
        RBAC,
        "ClusterRole",
        "clusterroles",
        "clusterrole",
        &kinds::rbac::Role { cluster: true },
    )
    .cluster(),
    row(
        RBAC,
        "RoleBinding",
        "rolebindings",
        "rolebinding",
        &kinds::rbac::RoleBinding { cluster: false },
    ),
    row(
        RBAC,
        "Role",
        "roles",
        "role",
        &kinds::rbac::Role { cluster: false },
    ),
    row(
        ("scheduling.k8s.io", "v1"),
        "PriorityClass",
        "priorityclasses",
        "priorityclass",
        &kinds::priority_class::PriorityClass,
    )
    .cluster()
    .short(&["pc"]),
    row(
        ("coordination.k8s.io", "v1"),
        "Lease",
        "leases",
        "lease",
        &kinds::lease::Lease,
    ),
    row(
        ("discovery.k8s.io", "v1"),
        "EndpointSlice",
        "endpointslices",
        "endpointslice",
        &kinds::endpoint_slice::EndpointSlice,
    ),
];

/// Every built-in resource, in discovery order.
pub fn table() -> &'static [Resource] {
    TABLE
}

/// The row of a group, version and plural.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    TABLE
        .iter()
        .find(|r| r.group == group && r.version == version && r.plural == plural)
}

/// The row of an `apiVersion` and `kind`.
pub fn find_kind(api_version: &str, kind: &str) -> Option<&'static Resource> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    TABLE
        .iter()
        .find(|r| r.group == group && r.version == version && r.kind == kind)
}
