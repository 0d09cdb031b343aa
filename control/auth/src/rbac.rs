//! RBAC: an index of roles and bindings, rebuilt when one of them changes (Kubernetes, "Using RBAC Authorization").

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Attributes, Decision, User};

/// A rule as objects and reviews show it.
pub type Rule = Value;

/// All roles and bindings, indexed by subject. Build a new one when any changes.
#[derive(Default)]
pub struct Policy {
    cluster_roles: HashMap<String, Arc<[PolicyRule]>>,
    roles: HashMap<(String, String), Arc<[PolicyRule]>>,
    grants: HashMap<Subject, Vec<Grant>>,
}

/// One rule (`rbac.authorization.k8s.io/v1` PolicyRule).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PolicyRule {
    verbs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    api_groups: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resource_names: Vec<String>,
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    non_resource_urls: Vec<String>,
}

/// Service accounts are users with a long name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    User(String),
    Group(String),
}

/// Rules a subject holds, everywhere or in one namespace.
#[derive(Clone)]
struct Grant {
    namespace: Option<String>,
    rules: Arc<[PolicyRule]>,
    /// For the answer: which binding to which role.
    source: Arc<str>,
}

impl Policy {
    /// From Role, ClusterRole, RoleBinding and ClusterRoleBinding objects (aggregated ClusterRoles are resolved
    /// here too). Objects that do not parse grant nothing.
    pub fn build<'a>(objects: impl Iterator<Item = &'a Value>) -> Self {
        let mut policy = Self::default();
        let (mut cluster_roles, mut bindings) = (BTreeMap::new(), Vec::new());
        for object in objects {
            let (namespace, name) = (
                text(object, "/metadata/namespace"),
                text(object, "/metadata/name"),
            );
            match text(object, "/kind") {
                "ClusterRole" => {
                    cluster_roles.insert(name, object);
                }
                "Role" => {
                    policy
                        .roles
                        .insert((namespace.into(), name.into()), rules_of(object).into());
                }
                "RoleBinding" | "ClusterRoleBinding" => bindings.push(object),
                _ => {}
            }
        }
        for name in cluster_roles.keys() {
            let rules = resolve(name, &cluster_roles, &mut BTreeSet::new());
            policy
                .cluster_roles
                .insert((*name).to_owned(), rules.into_iter().collect());
        }
        for binding in bindings {
            policy.add_binding(binding);
        }
        policy
    }

    fn add_binding(&mut self, binding: &Value) {
        let kind = text(binding, "/kind");
        let namespace = (kind == "RoleBinding").then(|| text(binding, "/metadata/namespace").to_owned());
        let (role_kind, role) = (text(binding, "/roleRef/kind"), text(binding, "/roleRef/name"));
        let Some(rules) = self.find_role(role_kind, namespace.as_deref().unwrap_or_default(), role) else {
            return;
        };
        let name = match &namespace {
            Some(namespace) => format!("{}/{namespace}", text(binding, "/metadata/name")),
            None => text(binding, "/metadata/name").to_owned(),
        };
        for subject in binding["subjects"].as_array().into_iter().flatten() {
            let subject_name = text(subject, "/name");
            let subject_kind = text(subject, "/kind");
            let key = match subject_kind {
                "User" => Subject::User(subject_name.to_owned()),
                "Group" => Subject::Group(subject_name.to_owned()),
                "ServiceAccount" => {
                    let of = subject["namespace"]
                        .as_str()
                        .or(namespace.as_deref())
                        .unwrap_or_default();
                    Subject::User(format!("system:serviceaccount:{of}:{subject_name}"))
                }
                _ => continue,
            };
            let source = format!(
                "RBAC: allowed by {kind} \"{name}\" of {role_kind} \"{role}\" to {subject_kind} \"{subject_name}\""
            );
            self.grants.entry(key).or_default().push(Grant {
                namespace: namespace.clone(),
                rules: rules.clone(),
                source: source.into(),
            });
        }
    }

    fn find_role(&self, kind: &str, namespace: &str, name: &str) -> Option<Arc<[PolicyRule]>> {
        match kind {
            "ClusterRole" => self.cluster_roles.get(name).cloned(),
            "Role" => self.roles.get(&(namespace.to_owned(), name.to_owned())).cloned(),
            _ => None,
        }
    }

    /// The grants of a user that hold in `namespace` (empty: only those that hold everywhere).
    fn grants<'a>(&'a self, user: &'a User, namespace: &'a str) -> impl Iterator<Item = &'a Grant> {
        let groups = user.groups.iter().map(|g| Subject::Group(g.clone()));
        std::iter::once(Subject::User(user.name.clone()))
            .chain(groups)
            .filter_map(|subject| self.grants.get(&subject))
            .flatten()
            .filter(move |grant| match &grant.namespace {
                None => true,
                Some(of) => !namespace.is_empty() && of == namespace,
            })
    }

    /// Whether some binding allows it. `system:masters` may do everything.
    pub fn authorize(&self, user: &User, what: &Attributes<'_>) -> Decision {
        if user.is_in("system:masters") {
            return Decision::Allow("system:masters".into());
        }
        for grant in self.grants(user, what.namespace) {
            if grant.rules.iter().any(|rule| rule.allows(what)) {
                return Decision::Allow(grant.source.to_string());
            }
        }
        Decision::NoOpinion(String::new())
    }

    /// Resource rules and path rules of a user in a namespace (SelfSubjectRulesReview), without duplicates.
    pub fn rules(&self, user: &User, namespace: &str) -> (Vec<Rule>, Vec<Rule>) {
        let mut held: BTreeSet<&PolicyRule> = BTreeSet::new();
        let everything = PolicyRule::everything();
        if user.is_in("system:masters") {
            held.extend(&everything);
        }
        held.extend(self.grants(user, namespace).flat_map(|g| g.rules.iter()));
        let json = |rule: &&PolicyRule| serde_json::to_value(rule).unwrap_or_default();
        let (paths, resources): (Vec<_>, Vec<_>) =
            held.iter().partition(|rule| !rule.non_resource_urls.is_empty());
        (
            resources.iter().map(json).collect(),
            paths.iter().map(json).collect(),
        )
    }

    /// The first rule of `wanted` (rules of a role to be created or bound) that the user does not hold already: a
    /// write of it would be an escalation. `None`: fine.
    pub fn escalates(&self, user: &User, namespace: &str, wanted: &[Rule]) -> Option<Rule> {
        if user.is_in("system:masters") {
            return None;
        }
        let held: Vec<&PolicyRule> = self
            .grants(user, namespace)
            .flat_map(|g| g.rules.iter())
            .collect();
        let is_held = |rule: &Rule| {
            serde_json::from_value::<PolicyRule>(rule.clone()).is_ok_and(|rule| {
                rule.atoms()
                    .iter()
                    .all(|atom| held.iter().any(|h| h.covers(atom)))
            })
        };
        wanted.iter().find(|rule| !is_held(rule)).cloned()
    }

    /// The rules of the role a binding refers to, for [`Policy::escalates`].
    pub fn role_rules(&self, kind: &str, namespace: &str, name: &str) -> Option<Vec<Rule>> {
        let rules = self.find_role(kind, namespace, name)?;
        Some(
            rules
                .iter()
                .map(|rule| serde_json::to_value(rule).unwrap_or_default())
                .collect(),
        )
    }
}

impl PolicyRule {
    /// What `system:masters` holds.
    fn everything() -> [Self; 2] {
        let all = || vec!["*".to_owned()];
        [
            Self {
                verbs: all(),
                api_groups: all(),
                resources: all(),
                ..Self::default()
            },
            Self {
                verbs: all(),
                non_resource_urls: all(),
                ..Self::default()
            },
        ]
    }

    fn allows(&self, what: &Attributes<'_>) -> bool {
        if !has(&self.verbs, what.verb) {
            return false;
        }
        if what.resource.is_empty() {
            return self.allows_path(what.path);
        }
        has(&self.api_groups, what.group)
            && self.allows_resource(what.resource, what.subresource)
            && (self.resource_names.is_empty() || self.resource_names.iter().any(|n| n == what.name))
    }

    fn allows_resource(&self, resource: &str, subresource: &str) -> bool {
        self.resources.iter().any(|rule| match rule.split_once('/') {
            None => rule == "*" || (subresource.is_empty() && rule == resource),
            Some(("*", sub)) => sub == subresource,
            Some((of, sub)) => of == resource && sub == subresource,
        })
    }

    fn allows_path(&self, path: &str) -> bool {
        self.non_resource_urls
            .iter()
            .any(|rule| match rule.strip_suffix('*') {
                Some(prefix) => path.starts_with(prefix),
                None => rule == path,
            })
    }

    /// The rule split into rules of one verb, group, resource and name each.
    fn atoms(&self) -> Vec<Self> {
        let mut atoms = Vec::new();
        let names: Vec<Vec<String>> = if self.resource_names.is_empty() {
            vec![Vec::new()]
        } else {
            self.resource_names.iter().map(|n| vec![n.clone()]).collect()
        };
        for verb in &self.verbs {
            let verbs = vec![verb.clone()];
            for group in &self.api_groups {
                for resource in &self.resources {
                    for resource_names in &names {
                        atoms.push(Self {
                            verbs: verbs.clone(),
                            api_groups: vec![group.clone()],
                            resources: vec![resource.clone()],
                            resource_names: resource_names.clone(),
                            non_resource_urls: Vec::new(),
                        });
                    }
                }
            }
            for url in &self.non_resource_urls {
                atoms.push(Self {
                    verbs: verbs.clone(),
                    non_resource_urls: vec![url.clone()],
                    ..Self::default()
                });
            }
        }
        atoms
    }

    /// Whether this rule grants all that `atom` (one of [`Self::atoms`]) does.
    fn covers(&self, atom: &Self) -> bool {
        if !has(&self.verbs, &atom.verbs[0]) {
            return false;
        }
        if let Some(url) = atom.non_resource_urls.first() {
            return self.allows_path(url);
        }
        let (resource, subresource) = atom.resources[0]
            .split_once('/')
            .unwrap_or((&atom.resources[0], ""));
        let resource_held =
            self.resources.contains(&atom.resources[0]) || self.allows_resource(resource, subresource);
        let names_held = self.resource_names.is_empty()
            || atom
                .resource_names
                .first()
                .is_some_and(|name| self.resource_names.contains(name));
        has(&self.api_groups, &atom.api_groups[0]) && resource_held && names_held
    }
}

fn has(values: &[String], wanted: &str) -> bool {
    values.iter().any(|v| v == "*" || v == wanted)
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn rules_of(role: &Value) -> Vec<PolicyRule> {
    let rules = role["rules"].as_array().into_iter().flatten();
    rules
        .filter_map(|rule| PolicyRule::deserialize(rule).ok())
        .collect()
}

/// The rules of a ClusterRole, with those it aggregates (which may aggregate themselves: `admin` takes in `edit`, which
/// takes in `view`). `seen` ends cycles.
fn resolve<'a>(
    name: &'a str,
    roles: &BTreeMap<&'a str, &'a Value>,
    seen: &mut BTreeSet<&'a str>,
) -> BTreeSet<PolicyRule> {
    let Some(role) = roles.get(name).filter(|_| seen.insert(name)) else {
        return BTreeSet::new();
    };
    let Some(selectors) = role
        .pointer("/aggregationRule/clusterRoleSelectors")
        .and_then(Value::as_array)
    else {
        return rules_of(role).into_iter().collect();
    };
    let mut rules = BTreeSet::new();
    for (other, object) in roles {
        if selectors
            .iter()
            .any(|selector| selects(selector, &object["metadata"]["labels"]))
        {
            rules.extend(resolve(other, roles, seen));
        }
    }
    rules
}

/// A LabelSelector against labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let matches_labels = selector["matchLabels"]
        .as_object()
        .is_none_or(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)));
    let matches_expressions = selector["matchExpressions"].as_array().is_none_or(|expressions| {
        expressions.iter().all(|e| {
            let label = labels.get(text(e, "/key"));
            let listed = || {
                e["values"]
                    .as_array()
                    .is_some_and(|v| label.is_some_and(|l| v.contains(l)))
            };
            match text(e, "/operator") {
                "In" => listed(),
                "NotIn" => !listed(),
                "Exists" => label.is_some(),
                "DoesNotExist" => label.is_none(),
                _ => false,
            }
        })
    });
    matches_labels && matches_expressions
}

#[cfg(test)]
mod tests;
