//! The Node authorizer: a node reads what its own pods refer to, and writes itself, its lease and its pods' status
//! (Kubernetes, "Using Node Authorization"). Which pods a node may change is left to the NodeRestriction admission.

use crate::{Attributes, Decision};

/// What the authorizer must know about the cluster.
pub trait Graph: Send + Sync {
    /// Whether a pod bound to `node` refers to this object (`secrets`, `configmaps`, `persistentvolumeclaims`, …).
    fn refers(&self, node: &str, resource: &str, namespace: &str, name: &str) -> bool;
    /// The node a pod is bound to.
    fn pod_node(&self, namespace: &str, pod: &str) -> Option<String>;
    /// Whether a pod bound to `node` runs as this service account.
    fn runs_as(&self, node: &str, namespace: &str, service_account: &str) -> bool;
}

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["update", "patch"];

/// How the names of the leases in `kube-system` begin by which nodes agree who answers for an address of a load balancer; the
/// address follows.
pub const BALANCER_LEASES: &str = "load-balancer.";

/// Decides for `system:node:<node>`.
pub fn authorize(node: &str, what: &Attributes<'_>, graph: &dyn Graph) -> Decision {
    let verb = what.verb;
    let read = READ.contains(&verb);
    let write = WRITE.contains(&verb);
    let own = what.name == node;
    let allowed = match (what.group, what.resource, what.subresource) {
        ("", "nodes", "") => read || verb == "create" || (write && own),
        ("", "nodes", "status") => write && own,
        ("", "pods", "") => read || matches!(verb, "create" | "delete"),
        ("", "pods", "status") => {
            write
                && graph
                    .pod_node(what.namespace, what.name)
                    .is_none_or(|n| n == node)
        }
        ("", "pods", "eviction") => verb == "create",
        ("", "secrets" | "configmaps" | "persistentvolumeclaims", "") => {
            if read && (what.name.is_empty() || !graph.refers(node, what.resource, what.namespace, what.name))
            {
                return Decision::NoOpinion(format!(
                    "no relationship found between node '{node}' and this object"
                ));
            }
            read
        }
        ("", "persistentvolumes", "") => verb == "get",
        ("", "serviceaccounts", "token") => {
            verb == "create" && graph.runs_as(node, what.namespace, what.name)
        }
        ("", "serviceaccounts", "") => verb == "get" && graph.runs_as(node, what.namespace, what.name),
        ("", "services" | "endpoints", "") | ("discovery.k8s.io", "endpointslices", "") => read,
        ("" | "events.k8s.io", "events", "") => verb == "create" || write,
        ("coordination.k8s.io", "leases", "") => {
            let single = verb == "get" || verb == "delete" || write;
            // Which names a node may create is left to the admission too: they are not known here.
            match what.namespace {
                "kube-node-lease" => verb == "create" || (own && single),
                "kube-system" if what.name.is_empty() => read || verb == "create",
                "kube-system" => single && what.name.starts_with(BALANCER_LEASES),
                _ => false,
            }
        }
        ("authentication.k8s.io", "tokenreviews", "")
        | ("authorization.k8s.io", "subjectaccessreviews" | "localsubjectaccessreviews", "") => {
            verb == "create"
        }
        ("networking.k8s.io", "networkpolicies", "") | ("", "namespaces", "") => read,
        ("node.k8s.io", "runtimeclasses", "") => read,
        _ => false,
    };
    if allowed {
        Decision::Allow("node authorizer".into())
    } else {
        Decision::NoOpinion(String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct OnePod;

    impl Graph for OnePod {
        fn refers(&self, node: &str, resource: &str, namespace: &str, name: &str) -> bool {
            (node, resource, namespace, name) == ("n1", "secrets", "default", "tls")
        }
        fn pod_node(&self, _: &str, pod: &str) -> Option<String> {
            (pod == "web").then(|| "n1".into())
        }
        fn runs_as(&self, node: &str, namespace: &str, service_account: &str) -> bool {
            (node, namespace, service_account) == ("n1", "default", "web")
        }
    }

    fn allowed(
        node: &str,
        verb: &str,
        (group, resource, subresource): (&str, &str, &str),
        ns: &str,
        name: &str,
    ) -> bool {
        let what = Attributes {
            verb,
            group,
            resource,
            subresource,
            namespace: ns,
            name,
            path: "",
        };
        authorize(node, &what, &OnePod).is_allowed()
    }

    #[test]
    fn a_node_reads_only_the_secrets_its_pods_refer_to() {
        let secrets = ("", "secrets", "");
        assert!(allowed("n1", "get", secrets, "default", "tls"));
        assert!(allowed("n1", "watch", secrets, "default", "tls"));
        assert!(!allowed("n2", "get", secrets, "default", "tls"));
        assert!(!allowed("n1", "get", secrets, "default", "other"));
        assert!(!allowed("n1", "list", secrets, "default", ""));
        assert!(!allowed("n1", "update", secrets, "default", "tls"));
    }

    #[test]
    fn a_node_writes_itself_and_no_other_node() {
        assert!(allowed("n1", "patch", ("", "nodes", "status"), "", "n1"));
        assert!(!allowed("n1", "patch", ("", "nodes", "status"), "", "n2"));
        assert!(!allowed("n1", "delete", ("", "nodes", ""), "", "n1"));
        let leases = ("coordination.k8s.io", "leases", "");
        assert!(allowed("n1", "update", leases, "kube-node-lease", "n1"));
        assert!(!allowed("n1", "update", leases, "kube-node-lease", "n2"));
        assert!(!allowed("n1", "update", leases, "kube-system", "n1"));
        assert!(allowed("n1", "watch", leases, "kube-system", ""));
        let balancer = "load-balancer.192.0.2.1";
        assert!(allowed("n1", "delete", leases, "kube-system", balancer));
        assert!(!allowed("n1", "delete", leases, "default", balancer));
        assert!(!allowed("n1", "deletecollection", leases, "kube-system", ""));
    }

    #[test]
    fn a_node_writes_status_of_its_pods_and_gets_tokens_for_them_only() {
        assert!(allowed("n1", "patch", ("", "pods", "status"), "default", "web"));
        assert!(!allowed("n2", "patch", ("", "pods", "status"), "default", "web"));
        assert!(allowed(
            "n1",
            "create",
            ("", "serviceaccounts", "token"),
            "default",
            "web"
        ));
        assert!(!allowed(
            "n2",
            "create",
            ("", "serviceaccounts", "token"),
            "default",
            "web"
        ));
        assert!(!allowed(
            "n1",
            "create",
            ("apps", "deployments", ""),
            "default",
            ""
        ));
    }
}
