//! Services of every kind, seen from outside, and what is told about them.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};
use skiff_tests::{Cluster, Namespace, eventually, web_deployment};

use crate::has;

skiff_tests::cases! {
    shared:
        a_load_balancer_is_reached_at_the_node_and_asks_for_its_health,
        endpoints_without_a_selector_are_served_and_counted,
        sctp_is_refused_plainly;
}

/// The answer to an HTTP request, headers and all.
fn get(to: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(5))?;
    write!(stream, "GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A port that nobody has now.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("0.0.0.0", 0))?.local_addr()?.port())
}

fn balancer(ns: &Namespace<'_>, name: &str, port: u16) -> Result<Value> {
    ns.apply(&[json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {
            "type": "LoadBalancer", "externalTrafficPolicy": "Local", "selector": {"app": "web"},
            "ports": [{"name": "http", "port": port, "targetPort": "http"}],
        },
    })])?;
    let has_address = |service: Option<&Service>| {
        let status = service.and_then(|service| service.status.as_ref()?.load_balancer.as_ref());
        status.is_some_and(|balancer| balancer.ingress.as_ref().is_some_and(|all| !all.is_empty()))
    };
    let service = ns
        .wait::<Service>(name, "an address", has_address)?
        .context("service")?;
    Ok(json!(service))
}

fn a_load_balancer_is_reached_at_the_node_and_asks_for_its_health(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let image = cluster.image("v1")?;
    ns.apply(&[web_deployment("web", &image, 1)])?;
    ns.wait_rolled_out("web")?;
    let port = free_port()?;
    let service = balancer(&ns, "web", port)?;
    let ip: IpAddr = service["status"]["loadBalancer"]["ingress"][0]["ip"]
        .as_str()
        .context("address")?
        .parse()?;
    eventually("the load balancer", || {
        has(&get((ip, port).into())?, &["Hello from web-"])
    })?;
    let health = service["spec"]["healthCheckNodePort"]
        .as_u64()
        .context("health-check port")?;
    let health = SocketAddr::from(([127, 0, 0, 1], u16::try_from(health)?));
    eventually("the health check", || {
        has(&get(health)?, &[" 200 ", "\"localEndpoints\":1"])
    })?;
    ns.kubectl("scale deployment web --replicas=0").ok()?;
    eventually("the health check without endpoints", || {
        has(&get(health)?, &[" 503 ", "\"localEndpoints\":0"])
    })?;
    eventually("a refusal", || {
        ensure!(
            TcpStream::connect((ip, port)).is_err(),
            "the load balancer still answers"
        );
        Ok(())
    })
}

fn endpoints_without_a_selector_are_served_and_counted(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let image = cluster.image("v1")?;
    ns.apply(&[
        skiff_tests::pod("one", json!({"terminationGracePeriodSeconds": 0, "containers": [{"name": "web", "image": image}]})),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "by-hand"},
            "spec": {"type": "NodePort", "sessionAffinity": "ClientIP", "ports": [{"name": "http", "port": 80}]},
        }),
    ])?;
    let pod = ns.wait_ready("one")?;
    let ip = pod
        .status
        .and_then(|status| status.pod_ip)
        .context("address of the pod")?;
    ns.apply(&[json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "by-hand-1", "labels": {"kubernetes.io/service-name": "by-hand"}},
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [ip]}],
    })])?;
    let address = ns.node_address("by-hand")?;
    eventually("the service", || has(&get(address)?, &["Hello from one"]))?;
    let table = cluster
        .skiff(["services", "--interval", "0", "--backends", "by-hand"])
        .ok()?;
    let name = format!("{}/by-hand", ns.name());
    has(
        &table,
        &[
            "CONNECT P50/P99",
            &name,
            "80/tcp",
            &format!("  {ip}:8080"),
            "100 %",
        ],
    )?;
    let metrics = node_metrics(cluster)?;
    has(
        &metrics,
        &[
            &format!("skiff_service_connections_total{{service=\"{name}\",port=\"80\",protocol=\"tcp\"}}"),
            &format!("backend=\"{ip}:8080\"}}"),
            "skiff_descriptors_limit ",
        ],
    )
}

fn node_metrics(cluster: &Cluster) -> Result<String> {
    let node = cluster.kubectl("get nodes -o name").ok()?;
    let node = node.trim().trim_start_matches("node/");
    cluster
        .kubectl(format!("get --raw /api/v1/nodes/{node}/proxy/metrics"))
        .ok()
}

fn sctp_is_refused_plainly(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "sctp"},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "sctp", "port": 80, "protocol": "SCTP"}]},
    });
    let applied = ns.kubectl_with_input("apply -f -", service.to_string());
    has(&applied.stderr, &["SCTP is not served"])?;
    eventually("the event", || {
        let events = ns
            .kubectl("get events --field-selector involvedObject.kind=Service")
            .ok()?;
        has(&events, &["Warning", "UnsupportedProtocol", "service/sctp"])
    })
}
