//! What a request asks for: the path ([`RequestInfo`]), the query, the accepted representation and the body.

pub mod accept;
pub mod body;
pub(crate) mod protobuf;
pub mod query;

use http::Method;

/// What the path and method of a request mean. Source: apiserver `RequestInfoFactory`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestInfo {
    /// Whether this is `/api/v1/…` or `/apis/<group>/<version>/…` with a resource.
    pub is_resource: bool,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for other paths the
    /// method in lower case.
    pub verb: &'static str,
    /// API group, empty for core.
    pub group: String,
    /// Version.
    pub version: String,
    /// Namespace, empty for cluster scope and for all namespaces.
    pub namespace: String,
    /// Plural.
    pub resource: String,
    /// Sub-resource or empty.
    pub subresource: String,
    /// Object name or empty.
    pub name: String,
    /// What follows the sub-resource in the path (`proxy/…`), without the leading slash.
    pub rest: String,
    /// The name a list or watch is restricted to by `fieldSelector=metadata.name=…`, else empty: such a request
    /// is authorized like one for the object.
    pub selected_name: String,
    /// The path as sent.
    pub path: String,
}

impl RequestInfo {
    /// Reads method, path and query. Path segments are percent-decoded.
    pub fn parse(method: &Method, path: &str, query: &query::Query) -> Self {
        let mut info = Self {
            verb: method_word(method),
            path: path.to_owned(),
            ..Self::default()
        };
        let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        let mut rest: &[&str] = match segments.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => {
                info.version = (*version).to_owned();
                rest
            }
            ["apis", group, version, rest @ ..] if !rest.is_empty() => {
                info.group = (*group).to_owned();
                info.version = (*version).to_owned();
                rest
            }
            _ => return info,
        };
        info.is_resource = true;
        // The deprecated form /api/v1/watch/pods.
        let mut watch = query.flag("watch");
        if rest.len() > 1 && rest[0] == "watch" {
            watch = true;
            rest = &rest[1..];
        }
        if let ["namespaces", namespace, after @ ..] = rest {
            info.namespace = decode(namespace);
            // /namespaces/{name}/status and /finalize belong to the namespace itself.
            let own = after.is_empty() || matches!(after, ["status" | "finalize"]);
            if !own {
                rest = after;
            }
        }
        info.resource = rest.first().map(|s| decode(s)).unwrap_or_default();
        info.name = rest.get(1).map(|s| decode(s)).unwrap_or_default();
        info.subresource = rest.get(2).map(|s| decode(s)).unwrap_or_default();
        info.rest = rest.get(3..).map(|r| r.join("/")).unwrap_or_default();
        let by_name = !info.name.is_empty();
        info.verb = match *method {
            Method::POST => "create",
            Method::GET | Method::HEAD if by_name && !info.subresource.is_empty() => "get",
            Method::GET | Method::HEAD if watch => "watch",
            Method::GET | Method::HEAD if by_name => "get",
            Method::GET | Method::HEAD => "list",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if by_name => "delete",
            Method::DELETE => "deletecollection",
            _ => "",
        };
        if matches!(info.verb, "list" | "watch" | "deletecollection") && !by_name {
            let fields = query.get("fieldSelector").unwrap_or_default();
            let named = fields.split(',').find_map(|f| f.strip_prefix("metadata.name="));
            info.selected_name = named.unwrap_or_default().trim_start_matches('=').to_owned();
        }
        info
    }

    /// What the authorizer is asked.
    pub fn attributes(&self) -> skiff_auth::Attributes<'_> {
        if self.is_resource {
            skiff_auth::Attributes {
                verb: self.verb,
                group: &self.group,
                resource: &self.resource,
                subresource: &self.subresource,
                namespace: &self.namespace,
                name: if self.name.is_empty() {
                    &self.selected_name
                } else {
                    &self.name
                },
                path: "",
            }
        } else {
            skiff_auth::Attributes {
                verb: self.verb,
                path: &self.path,
                ..Default::default()
            }
        }
    }
}

fn method_word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::OPTIONS => "options",
        _ => "",
    }
}

fn decode(segment: &str) -> String {
    query::percent_decode(segment, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: Method, path: &str, query: &str) -> RequestInfo {
        RequestInfo::parse(&method, path, &query::Query::parse(query))
    }

    #[test]
    fn paths_name_resource_namespace_and_subresource() {
        let info = parse(
            Method::GET,
            "/api/v1/namespaces/kube-system/pods/dns/log",
            "follow=true",
        );
        assert!(info.is_resource);
        assert_eq!((info.verb, info.namespace.as_str()), ("get", "kube-system"));
        assert_eq!(
            (info.resource.as_str(), info.subresource.as_str()),
            ("pods", "log")
        );
        assert_eq!(info.name, "dns");

        let info = parse(Method::PUT, "/api/v1/namespaces/x/finalize", "");
        assert_eq!((info.resource.as_str(), info.name.as_str()), ("namespaces", "x"));
        assert_eq!(
            (info.subresource.as_str(), info.namespace.as_str()),
            ("finalize", "x")
        );

        let info = parse(Method::GET, "/apis/apps/v1/deployments", "watch=1");
        assert_eq!((info.group.as_str(), info.version.as_str()), ("apps", "v1"));
        assert_eq!((info.verb, info.namespace.as_str()), ("watch", ""));

        let info = parse(Method::GET, "/api/v1/nodes/n1/proxy/metrics/cadvisor", "");
        assert_eq!(
            (info.subresource.as_str(), info.rest.as_str()),
            ("proxy", "metrics/cadvisor")
        );
    }

    #[test]
    fn paths_without_a_resource_keep_the_method() {
        for path in [
            "/version",
            "/api",
            "/api/v1",
            "/apis/apps/v1",
            "/openapi/v3/apis/apps/v1",
        ] {
            let info = parse(Method::GET, path, "");
            assert!(!info.is_resource, "{path}");
            assert_eq!(info.verb, "get");
        }
    }

    #[test]
    fn deleting_without_a_name_is_a_collection() {
        let info = parse(Method::DELETE, "/api/v1/namespaces/a/configmaps", "");
        assert_eq!(info.verb, "deletecollection");
    }
}
