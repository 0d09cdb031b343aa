//! The way to the nodes: logs, exec, attach, port-forward and the proxies of nodes, pods and services, through the connection each agent
//! keeps open (see [`tunnel`]).

mod dial;
mod forward;
mod packets;
mod proxy;
mod tunnel;

use std::sync::Arc;

use http::{Method, Response};
use serde_json::Value;
use skiff_auth::{Attributes, Decision};
use skiff_resources::{FieldError, Resource};

pub(crate) use packets::{answer as carry_packets, packets_node};
pub(crate) use tunnel::{Tunnels, accept_tunnel, tunnel_node};

/// A stream to a node, whichever member it is connected to.
///
/// # Errors
/// 503 when the node is connected to none.
async fn open(app: &App, node: &str) -> Result<BoxStream, Status> {
    match (app.tunnels.open(node).await, &app.members) {
        (Ok(stream), _) => Ok(Box::new(stream)),
        (Err(status), Some(members)) => members.open(node).await.ok_or(status),
        (Err(status), None) => Err(status),
    }
}

use crate::{
    authz,
    members::BoxStream,
    registry::{Target, meta},
    request::query::Query,
    server::{App, Call, body::Body},
    status::{Status, qualified},
};

/// Whether a sub-resource is served by the node.
pub(crate) fn is_stream(resource: &Resource, subresource: &str) -> bool {
    resource.group.is_empty()
        && match &*resource.plural {
            "pods" => matches!(subresource, "log" | "exec" | "attach" | "portforward" | "proxy"),
            "nodes" | "services" => subresource == "proxy",
            _ => false,
        }
}

/// Sends a request on to the node it concerns.
pub(crate) async fn answer(
    app: &Arc<App>,
    call: Call,
    resource: &'static Resource,
) -> Result<Response<Body>, Status> {
    let info = &call.info;
    let method = call.request.method();
    if resource.plural == "nodes" {
        let (node, _) = info.name.split_once(':').unwrap_or((&info.name, ""));
        let row = app.registry.peek("", "nodes", "", node);
        row.ok_or_else(|| Status::not_found(resource, node))?;
        let path = with_query(format!("/{}", info.rest), call.request.uri().query());
        let node = node.to_owned();
        return forward::send(app, &node, call.request, &path).await;
    }
    if info.subresource == "proxy" {
        return proxy::answer(app, call, resource).await;
    }
    let connect = info.subresource != "log";
    let fits = if connect {
        matches!(*method, Method::GET | Method::POST)
    } else {
        *method == Method::GET
    };
    if !fits {
        return Err(Status::method_not_allowed());
    }
    // A WebSocket opens with GET, which alone would let readers in: it takes what a POST takes.
    if connect && *method == Method::GET {
        let what = Attributes {
            verb: "create",
            ..info.attributes()
        };
        if let Decision::NoOpinion(why) = app.registry.authorize(&call.user, &what) {
            return Err(authz::refusal_for(&call.user, &what, &why));
        }
    }
    let target = Target {
        resource,
        namespace: &info.namespace,
        name: &info.name,
    };
    let pod = app.registry.get_value(&target).await?;
    let node = meta::text(&pod, &["spec", "nodeName"]).to_owned();
    let path = path(&target, &info.subresource, &pod, &call.query)?;
    if node.is_empty() {
        if !connect {
            // Nothing has run, so nothing was logged.
            return Ok(Response::new(Body::empty()));
        }
        return Err(Status::bad_request(format!(
            "pod {} does not have a host assigned",
            info.name
        )));
    }
    forward::send(app, &node, call.request, &path).await
}

fn with_query(path: String, query: Option<&str>) -> String {
    match query {
        Some(query) if !query.is_empty() => format!("{path}?{query}"),
        _ => path,
    }
}

/// The node's path for a sub-resource of a pod.
fn path(target: &Target<'_>, subresource: &str, pod: &Value, query: &Query) -> Result<String, Status> {
    let (namespace, name) = (target.namespace, target.name);
    let mut out = Parameters::default();
    if subresource == "portforward" {
        for key in ["port", "ports"] {
            for value in query.all(key) {
                out.add(key, value);
            }
        }
        return Ok(out.after(format!("/portForward/{namespace}/{name}")));
    }
    if subresource == "log" {
        log_options(name, query)?;
    }
    let container = container(target, pod, query.get("container"))?;
    if subresource == "log" {
        for key in [
            "follow",
            "previous",
            "timestamps",
            "sinceSeconds",
            "sinceTime",
            "tailLines",
            "limitBytes",
            "stream",
        ] {
            if let Some(value) = query.get(key) {
                out.add(key, value);
            }
        }
        return Ok(out.after(format!("/containerLogs/{namespace}/{name}/{container}")));
    }
    // The kubelet calls the streams input, output and error; clients of the API stdin, stdout and stderr.
    for (key, kubelet) in [
        ("stdin", "input"),
        ("stdout", "output"),
        ("stderr", "error"),
        ("tty", "tty"),
    ] {
        if query.flag(key) {
            out.add(key, "1");
            if kubelet != key {
                out.add(kubelet, "1");
            }
        }
    }
    for value in query.all("command") {
        out.add("command", value);
    }
    Ok(out.after(format!("/{subresource}/{namespace}/{name}/{container}")))
}

/// Checks the options of a request for logs: the node would refuse them, too, but with less to say.
fn log_options(pod: &str, query: &Query) -> Result<(), Status> {
    let mut errors = Vec::new();
    let mut invalid = |field: &str, reason, message: String| {
        errors.push(FieldError {
            reason,
            field: field.to_owned(),
            message,
        });
    };
    for (field, least, words) in [
        ("tailLines", 0, "must be greater than or equal to 0"),
        ("limitBytes", 1, "must be greater than 0"),
        ("sinceSeconds", 1, "must be greater than 0"),
    ] {
        if let Some(number) = query.number::<i64>(field)?.filter(|n| *n < least) {
            invalid(
                field,
                "FieldValueInvalid",
                format!("Invalid value: {number}: {words}"),
            );
        }
    }
    if query.get("sinceSeconds").is_some() && query.get("sinceTime").is_some() {
        let message = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified";
        invalid("", "FieldValueForbidden", message.to_owned());
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Status::invalid_kind("", "PodLogOptions", pod, &errors))
    }
}

/// The container a request means. Source: `pkg/registry/core/pod/strategy.go`, `LogLocation`.
fn container(target: &Target<'_>, pod: &Value, asked: Option<&str>) -> Result<String, Status> {
    let names = |list: &str| -> Vec<String> {
        let containers = pod["spec"][list].as_array().into_iter().flatten();
        containers
            .filter_map(|c| c["name"].as_str().map(str::to_owned))
            .collect()
    };
    let (containers, init) = (names("containers"), names("initContainers"));
    match asked {
        Some(name) => {
            let known = containers
                .iter()
                .chain(&init)
                .chain(&names("ephemeralContainers"))
                .any(|n| n == name);
            if known {
                return Ok(name.to_owned());
            }
            Err(Status::bad_request(format!(
                "container {name} is not valid for pod {}",
                target.name
            )))
        }
        None => match containers.as_slice() {
            [one] => Ok(one.clone()),
            many => {
                let default = &pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"];
                if let Some(name) = default.as_str().filter(|n| many.iter().any(|m| m == n)) {
                    return Ok(name.to_owned());
                }
                let mut text = format!(
                    "a container name must be specified for {} {}, choose one of: [{}]",
                    qualified(target.resource).trim_end_matches('s'),
                    target.name,
                    many.join(" ")
                );
                if !init.is_empty() {
                    text.push_str(&format!(" or one of the init containers: [{}]", init.join(" ")));
                }
                Err(Status::bad_request(text))
            }
        },
    }
}

/// Query parameters in the making.
#[derive(Default)]
struct Parameters(String);

impl Parameters {
    fn add(&mut self, key: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(key);
        self.0.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                self.0.push(byte as char);
            } else {
                self.0.push_str(&format!("%{byte:02X}"));
            }
        }
    }

    fn after(self, path: String) -> String {
        with_query(path, Some(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path_of(subresource: &str, pod: &Value, query: &str) -> Result<String, Status> {
        let resource = skiff_resources::find("", "v1", "pods").expect("a row");
        let target = Target {
            resource,
            namespace: "ns",
            name: "web",
        };
        path(&target, subresource, pod, &Query::parse(query))
    }

    #[test]
    fn commands_arrive_as_they_were_sent() {
        let pod = json!({"spec": {"containers": [{"name": "c"}]}});
        let path = path_of(
            "exec",
            &pod,
            "command=sh&command=-c&command=echo%20a%26b&stdout=true&tty=false",
        );
        let expected = "/exec/ns/web/c?stdout=1&output=1&command=sh&command=-c&command=echo%20a%26b";
        assert_eq!(path.unwrap(), expected);
    }

    #[test]
    fn a_pod_with_two_containers_needs_a_name() {
        let mut pod = json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
        let error = path_of("log", &pod, "").unwrap_err();
        assert_eq!(
            error.message,
            "a container name must be specified for pod web, choose one of: [a b]"
        );
        let path = path_of("log", &pod, "container=b&follow=true").unwrap();
        assert_eq!(path, "/containerLogs/ns/web/b?follow=true");
        assert_eq!(path_of("log", &pod, "container=x").unwrap_err().code, 400);
        pod["metadata"] = json!({"annotations": {"kubectl.kubernetes.io/default-container": "a"}});
        assert_eq!(path_of("log", &pod, "").unwrap(), "/containerLogs/ns/web/a");
    }
}
