//! Who is it, and may they: client certificates, service-account tokens, RBAC with Kubernetes' bootstrap roles, and
//! the Node authorizer. Plain values in and out; the API server supplies objects and time.

pub mod authn;
pub mod bootstrap;
pub mod node;
pub mod rbac;
pub mod token;

use std::collections::BTreeMap;

/// Who makes a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct User {
    /// Name, e.g. `system:serviceaccount:default:web`.
    #[serde(rename = "username")]
    pub name: String,
    /// Unique id, empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Groups, `system:authenticated` among them for everybody but anonymous.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Anything else, e.g. `authentication.kubernetes.io/pod-name`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// `system:anonymous` in `system:unauthenticated`.
    pub fn anonymous() -> Self {
        Self {
            name: "system:anonymous".into(),
            groups: vec!["system:unauthenticated".into()],
            ..Self::default()
        }
    }

    /// A user in the given groups and in `system:authenticated`.
    pub fn authenticated(name: impl Into<String>, groups: &[&str]) -> Self {
        let mut groups: Vec<String> = groups.iter().map(|g| (*g).to_owned()).collect();
        groups.push("system:authenticated".into());
        Self {
            name: name.into(),
            groups,
            ..Self::default()
        }
    }

    /// Whether the user is in a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// Namespace and name when this is a service account.
    pub fn service_account(&self) -> Option<(&str, &str)> {
        self.name.strip_prefix("system:serviceaccount:")?.split_once(':')
    }

    /// The node's name when this is a node (`system:node:<name>` in `system:nodes`).
    pub fn node(&self) -> Option<&str> {
        self.is_in("system:nodes")
            .then(|| self.name.strip_prefix("system:node:"))?
    }
}

/// What a request wants to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, or for paths the method in
    /// lower case.
    pub verb: &'a str,
    /// API group, empty for core.
    pub group: &'a str,
    /// Plural, empty for a path.
    pub resource: &'a str,
    /// Sub-resource or empty.
    pub subresource: &'a str,
    /// Namespace, empty for cluster scope or all namespaces.
    pub namespace: &'a str,
    /// Object name or empty.
    pub name: &'a str,
    /// The path of a request that is not for a resource, else empty.
    pub path: &'a str,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allowed; the text says by what.
    Allow(String),
    /// Nobody allows it; the text may say why.
    NoOpinion(String),
}

impl Decision {
    /// Whether it may go on.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow(_))
    }
}
