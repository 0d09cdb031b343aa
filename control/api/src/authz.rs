//! May this user do this? The Node authorizer for nodes, then RBAC; the index of roles follows the store.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::Value;
use skiff_auth::{Attributes, Decision, User, node::Graph, rbac::Policy};

use crate::{
    registry::{Change, Registry, meta},
    request::RequestInfo,
    status::Status,
};

/// The current policy.
#[derive(Default)]
pub(crate) struct Authorizer {
    policy: ArcSwap<Policy>,
}

const GROUP: &str = "rbac.authorization.k8s.io";
const KINDS: [&str; 4] = ["clusterroles", "clusterrolebindings", "roles", "rolebindings"];

impl Authorizer {
    pub(crate) fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }
}

impl Registry {
    /// Whether a user may do something.
    pub fn authorize(&self, user: &User, what: &Attributes<'_>) -> Decision {
        if let Some(node) = user.node() {
            let decision = skiff_auth::node::authorize(node, what, self);
            if decision.is_allowed() {
                return decision;
            }
        }
        self.authorizer().policy.load().authorize(user, what)
    }

    /// Builds the policy from what is stored now.
    pub(crate) fn rebuild_policy(&self) -> Result<(), Status> {
        let mut objects = Vec::new();
        for plural in KINDS {
            if let Some(resource) = self.resource(GROUP, "v1", plural) {
                objects.extend(self.all(resource, "")?.1);
            }
        }
        let policy = Policy::build(objects.iter().map(|o| &**o));
        self.authorizer().policy.store(Arc::new(policy));
        Ok(())
    }

    /// Keeps the policy up to date until the store closes.
    pub(crate) async fn follow_policy(self) {
        let follow = |plural| self.resource(GROUP, "v1", plural).map(|r| self.follow(r));
        let mut followers: Vec<_> = KINDS.into_iter().filter_map(follow).collect();
        while !followers.is_empty() {
            let waits = followers.iter_mut().map(|f| Box::pin(f.next()));
            let (changes, _, _) = futures::future::select_all(waits).await;
            let Some(changes) = changes else { return };
            let real = changes.iter().any(|c| !matches!(c, Change::Synced));
            if real && let Err(error) = self.rebuild_policy() {
                tracing::error!(%error, "the policy can't be rebuilt");
            }
        }
    }
}

/// The 403 of a request that nobody allows.
pub(crate) fn refusal(user: &User, info: &RequestInfo, why: &str) -> Status {
    refusal_for(user, &info.attributes(), why)
}

/// See [`refusal`].
pub(crate) fn refusal_for(user: &User, what: &Attributes<'_>, why: &str) -> Status {
    let tail = if why.is_empty() {
        String::new()
    } else {
        format!(": {why}")
    };
    if what.resource.is_empty() {
        let text = format!(
            "forbidden: User \"{}\" cannot {} path \"{}\"{tail}",
            user.name, what.verb, what.path
        );
        return Status::new(403, "Forbidden", text);
    }
    let resource = if what.subresource.is_empty() {
        what.resource.to_owned()
    } else {
        format!("{}/{}", what.resource, what.subresource)
    };
    let place = if what.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace \"{}\"", what.namespace)
    };
    let text = format!(
        "User \"{}\" cannot {} resource \"{resource}\" in API group \"{}\" {place}{tail}",
        user.name, what.verb, what.group
    );
    Status::forbidden_for(what.group, what.resource, what.name, &text)
}

impl Graph for Registry {
    fn refers(&self, node: &str, resource: &str, namespace: &str, name: &str) -> bool {
        self.pods_on(node, namespace)
            .any(|pod| refers(&pod, resource, name))
    }

    fn pod_node(&self, namespace: &str, pod: &str) -> Option<String> {
        let pod = self.peek("", "pods", namespace, pod)?;
        Some(meta::text(&pod, &["spec", "nodeName"]).to_owned())
    }

    fn runs_as(&self, node: &str, namespace: &str, service_account: &str) -> bool {
        self.pods_on(node, namespace)
            .any(|pod| meta::text(&pod, &["spec", "serviceAccountName"]) == service_account)
    }
}

impl Registry {
    /// The pods of a namespace that are bound to a node. Pods are looked at as bytes first: only those that
    /// mention the node are parsed.
    fn pods_on<'a>(&'a self, node: &'a str, namespace: &str) -> impl Iterator<Item = Arc<Value>> + 'a {
        let needle = format!("\"nodeName\":\"{node}\"");
        let resource = self.resource("", "v1", "pods");
        let page = resource.and_then(|resource| {
            let range = skiff_store::Range {
                prefix: crate::registry::prefix(resource, namespace),
                ..Default::default()
            };
            self.store().range(&range).ok()
        });
        let entries = page.map(|p| p.entries).unwrap_or_default();
        entries.into_iter().filter_map(move |entry| {
            memchr::memmem::find(&entry.value, needle.as_bytes())?;
            let pod = self.parse(&entry).ok()?;
            (meta::text(&pod, &["spec", "nodeName"]) == node).then_some(pod)
        })
    }
}

/// Whether a pod mentions an object of its namespace.
fn refers(pod: &Value, resource: &str, name: &str) -> bool {
    let spec = &pod["spec"];
    let array = |v: &'_ Value| v.as_array().cloned().unwrap_or_default();
    let volumes = array(&spec["volumes"]);
    let in_volumes = |kind: &str, field: &str| {
        let sources = volumes.iter().flat_map(|v| {
            let projected = array(&v["projected"]["sources"]);
            std::iter::once(v[kind].clone()).chain(projected.into_iter().map(|s| s[kind].clone()))
        });
        sources.into_iter().any(|s| s[field] == name || s["name"] == name)
    };
    let in_env = |from: &str, key: &str| {
        ["containers", "initContainers", "ephemeralContainers"]
            .iter()
            .flat_map(|list| array(&spec[*list]))
            .any(|c| {
                array(&c["envFrom"]).iter().any(|e| e[from]["name"] == name)
                    || array(&c["env"])
                        .iter()
                        .any(|e| e["valueFrom"][key]["name"] == name)
            })
    };
    match resource {
        "secrets" => {
            in_volumes("secret", "secretName")
                || in_env("secretRef", "secretKeyRef")
                || array(&spec["imagePullSecrets"]).iter().any(|s| s["name"] == name)
        }
        "configmaps" => in_volumes("configMap", "name") || in_env("configMapRef", "configMapKeyRef"),
        "persistentvolumeclaims" => {
            volumes
                .iter()
                .any(|v| v["persistentVolumeClaim"]["claimName"] == name)
                || volumes.iter().any(|v| {
                    v["ephemeral"].is_object()
                        && format!("{}-{}", meta::name(pod), v["name"].as_str().unwrap_or_default()) == name
                })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_refers_to_what_it_mounts_reads_and_pulls_with() {
        let pod = json!({"metadata": {"name": "p"}, "spec": {
            "imagePullSecrets": [{"name": "pull"}],
            "volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "ca"}}, {"secret": {"name": "s1"}}]}},
                {"name": "w", "secret": {"secretName": "s2"}}],
            "containers": [{"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s3", "key": "k"}}}],
                "envFrom": [{"configMapRef": {"name": "c1"}}]}]}});
        for name in ["pull", "s1", "s2", "s3"] {
            assert!(refers(&pod, "secrets", name), "{name}");
        }
        for name in ["ca", "c1"] {
            assert!(refers(&pod, "configmaps", name), "{name}");
        }
        assert!(!refers(&pod, "secrets", "ca"));
        assert!(!refers(&pod, "secrets", "other"));
    }

    #[test]
    fn refusals_read_like_kubernetes() {
        let user = User::authenticated("bob", &[]);
        let what = Attributes {
            verb: "list",
            resource: "pods",
            namespace: "default",
            ..Attributes::default()
        };
        assert_eq!(
            refusal_for(&user, &what, "").message,
            "pods is forbidden: User \"bob\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""
        );
    }
}
