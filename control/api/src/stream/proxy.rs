//! `pods/{name}/proxy` and `services/{name}/proxy`: an HTTP request to a port of a pod, or of one of a service's ready
//! pods. Names are `name`, `name:port` or `scheme:name:port`. Source: `pkg/registry/core/{pod,service}` of Kubernetes,
//! `ResourceLocation`.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use rand::seq::IndexedRandom as _;
use serde_json::Value;
use skiff_resources::Resource;

use super::{dial, forward, with_query};
use crate::{
    registry::{Registry, Target, meta},
    server::{App, Call, body::Body},
    status::Status,
};

/// Segments of the path before what is meant for the pod: `api v1 namespaces {ns} pods {name} proxy`.
const OWN_SEGMENTS: usize = 7;
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
struct Destination {
    pod: String,
    node: String,
    port: u16,
}

/// Sends the request on.
pub(super) async fn answer(
    app: &Arc<App>,
    call: Call,
    resource: &'static Resource,
) -> Result<Response<Body>, Status> {
    let uri = call.request.uri().clone();
    let (own, path) = split(uri.path());
    let is_upgrade = call.request.headers().contains_key(header::UPGRADE);
    if path.is_empty() && !is_upgrade {
        // So that relative links of the page lead back here.
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
        let location = with_query(format!("{own}/"), uri.query());
        let location = HeaderValue::from_str(&location).map_err(Status::internal)?;
        response.headers_mut().insert(header::LOCATION, location);
        return Ok(response);
    }
    let (scheme, name, port) = parts(&call.info.name)?;
    if scheme == "https" {
        return Err(Status::bad_request(
            "the proxy speaks plain HTTP to pods: use port-forward for https",
        ));
    }
    let target = Target {
        resource,
        namespace: &call.info.namespace,
        name,
    };
    let to = if resource.plural == "services" {
        of_service(&app.registry, &target, port).await?
    } else {
        let pod = app.registry.get_value(&target).await?;
        of_pod(&pod, name, port_of_pod(&pod, port)?)?
    };
    let (stream, refusal) = dial::dial(app, &to.node, (target.namespace, &to.pod), to.port).await?;
    let peer = format!("pod \"{}\" port {}", to.pod, to.port);
    let mut request = call.request;
    let own = HeaderValue::from_str(&format!("{own}{path}")).map_err(Status::internal)?;
    request.headers_mut().insert(FORWARDED_URI, own);
    let path = with_query(if path.is_empty() { "/" } else { path }.to_owned(), uri.query());
    let host = HeaderValue::from_str(&format!("{}:{}", to.pod, to.port)).map_err(Status::internal)?;
    let answered = forward::exchange(app, stream, &peer, host, request, &path).await;
    answered.map_err(|status| match refusal.lock().take() {
        Some(why) => Status::unavailable(why),
        None => status,
    })
}

/// The path up to the proxy, and what comes after it, both as sent.
fn split(path: &str) -> (&str, &str) {
    let mut slashes = path.match_indices('/').map(|(at, _)| at);
    match slashes.nth(OWN_SEGMENTS) {
        Some(at) => path.split_at(at),
        None => (path, ""),
    }
}

/// Scheme, name and port of `name`, `name:port` or `scheme:name:port`. Source: apimachinery `SplitSchemeNamePort`.
fn parts(id: &str) -> Result<(&str, &str, &str), Status> {
    let pieces: Vec<&str> = id.split(':').collect();
    match pieces.as_slice() {
        [name] if !name.is_empty() => Ok(("", name, "")),
        [name, port] if !name.is_empty() => Ok(("", name, port)),
        [scheme @ ("" | "http" | "https"), name, port] if !name.is_empty() => Ok((scheme, name, port)),
        _ => Err(Status::bad_request(format!(
            "invalid pod or service request \"{id}\""
        ))),
    }
}

/// The port asked for, or the first one the pod names, or 80.
fn port_of_pod(pod: &Value, asked: &str) -> Result<u16, Status> {
    if !asked.is_empty() {
        let port: Option<u16> = asked.parse().ok().filter(|p| *p > 0);
        return port.ok_or_else(|| Status::bad_request(format!("invalid port \"{asked}\"")));
    }
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let first = containers
        .flat_map(|c| c["ports"].as_array().into_iter().flatten())
        .find_map(|p| p["containerPort"].as_u64());
    Ok(first.and_then(|p| u16::try_from(p).ok()).unwrap_or(80))
}

fn of_pod(pod: &Value, name: &str, port: u16) -> Result<Destination, Status> {
    let node = meta::text(pod, &["spec", "nodeName"]);
    if node.is_empty() || meta::text(pod, &["status", "podIP"]).is_empty() {
        return Err(Status::bad_request(format!(
            "pod {name} does not have an address yet"
        )));
    }
    Ok(Destination {
        pod: name.to_owned(),
        node: node.to_owned(),
        port,
    })
}

/// One of the ready pods behind a service's port.
async fn of_service(registry: &Registry, target: &Target<'_>, asked: &str) -> Result<Destination, Status> {
    let service = registry.get_value(target).await?;
    let name = target.name;
    let ports = service["spec"]["ports"].as_array().map_or(&[][..], Vec::as_slice);
    let port_name = match (asked, asked.parse::<u64>()) {
        ("", _) => match ports {
            [one] => meta::text(one, &["name"]),
            _ => "",
        },
        (_, Ok(number)) => {
            let found = ports.iter().find(|p| p["port"].as_u64() == Some(number));
            let found = found.ok_or_else(|| {
                Status::unavailable(format!("no service port {number} found for service \"{name}\""))
            })?;
            meta::text(found, &["name"])
        }
        _ => asked,
    };
    let row = registry.resource("discovery.k8s.io", "v1", "endpointslices");
    let slices = match row {
        Some(row) => registry.all(row, target.namespace)?.1,
        None => Vec::new(),
    };
    let of_service = slices
        .iter()
        .filter(|s| s["metadata"]["labels"]["kubernetes.io/service-name"] == *name);
    let ready: Vec<(&str, u16)> = of_service
        .flat_map(|slice| candidates(slice, port_name))
        .collect();
    let none = || Status::unavailable(format!("no endpoints available for service \"{name}\""));
    let (pod, port) = *ready.choose(&mut rand::rng()).ok_or_else(none)?;
    let pods = registry.any_version("", "pods").ok_or_else(none)?;
    let target = Target {
        resource: pods,
        namespace: target.namespace,
        name: pod,
    };
    of_pod(&*registry.get_value(&target).await?, pod, port)
}

/// The ready pods of a slice and the number its port of this name has.
fn candidates<'a>(slice: &'a Value, port_name: &str) -> Vec<(&'a str, u16)> {
    let mut ports = slice["ports"].as_array().into_iter().flatten();
    let port = ports
        .find(|p| meta::text(p, &["name"]) == port_name)
        .and_then(|p| u16::try_from(p["port"].as_u64()?).ok());
    let Some(port) = port else { return Vec::new() };
    let endpoints = slice["endpoints"].as_array().into_iter().flatten();
    endpoints
        .filter(|e| e["conditions"]["ready"] != false && e["targetRef"]["kind"] == "Pod")
        .map(|e| (meta::text(e, &["targetRef", "name"]), port))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_carry_scheme_and_port() {
        assert_eq!(parts("web").unwrap(), ("", "web", ""));
        assert_eq!(parts("web:80").unwrap(), ("", "web", "80"));
        assert_eq!(parts("https:web:tls").unwrap(), ("https", "web", "tls"));
        assert_eq!(parts("ftp:web:21").unwrap_err().code, 400);
        assert_eq!(parts(":80").unwrap_err().code, 400);
    }

    #[test]
    fn what_follows_the_proxy_is_the_pods_as_it_was_sent() {
        let own = "/api/v1/namespaces/default/pods/web:80/proxy";
        assert_eq!(split(own), (own, ""));
        assert_eq!(split(&format!("{own}/")), (own, "/"));
        assert_eq!(split(&format!("{own}/a%2Fb//c/")), (own, "/a%2Fb//c/"));
    }

    #[test]
    fn a_pods_own_port_is_the_first_it_names() {
        let pod = json!({"spec": {"containers": [{}, {"ports": [{"containerPort": 8080}]}]}});
        assert_eq!(port_of_pod(&pod, "").unwrap(), 8080);
        assert_eq!(port_of_pod(&pod, "81").unwrap(), 81);
        assert_eq!(port_of_pod(&json!({}), "").unwrap(), 80);
        assert_eq!(port_of_pod(&pod, "http").unwrap_err().code, 400);
    }

    #[test]
    fn only_ready_pods_with_the_port_are_candidates() {
        let slice = json!({"ports": [{"name": "http", "port": 8080}], "endpoints": [
            {"conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": "a"}},
            {"conditions": {"ready": false}, "targetRef": {"kind": "Pod", "name": "b"}},
            {"conditions": {"ready": true}}]});
        assert_eq!(candidates(&slice, "http"), [("a", 8080)]);
        assert!(candidates(&slice, "other").is_empty());
    }
}
