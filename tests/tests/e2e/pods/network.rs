//! Services and names, seen from a pod and from the host.

use anyhow::{Result, ensure};
use serde_json::json;
use skiff_tests::{Cluster, eventually, pod, shell_pod, web_deployment, web_service};

use crate::{has, same};

skiff_tests::cases! {
    shared:
        names_resolve_as_the_specification_says,
        a_service_answers_inside_and_outside,
        a_service_without_endpoints_refuses_at_once,
        a_node_port_that_was_taken_is_listened_on_when_it_is_free;
}

fn names_resolve_as_the_specification_says(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let image = cluster.image("v1")?;
    let web = json!({"hostname": "one", "subdomain": "headless", "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "web", "image": image}]});
    ns.apply(&[
        pod("web", web),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "normal"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "headless"},
            "spec": {"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"port": 80}]}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "outside"},
            "spec": {"type": "ExternalName", "externalName": "kubernetes.default.svc.cluster.local"}}),
        shell_pod("client", &image, "sleep 1000"),
    ])?;
    let address = ns
        .wait_ready("web")?
        .status
        .and_then(|status| status.pod_ip)
        .unwrap_or_default();
    ns.wait_ready("client")?;
    let normal = ns.cluster_address("normal")?.ip().to_string();
    let lookup = |name: &str| ns.kubectl(["exec", "client", "--", "nslookup", name]);
    let domain = format!("{}.svc.cluster.local", ns.name());
    let resolves = |name: String, to: &str| eventually("the name", || has(&lookup(&name).ok()?, &[to]));
    resolves(format!("normal.{domain}"), &normal)?;
    resolves(format!("headless.{domain}"), &address)?;
    resolves(format!("one.headless.{domain}"), &address)?;
    resolves(format!("outside.{domain}"), "10.96.0.1")?;
    resolves(
        format!("{}.{}.pod.cluster.local", address.replace('.', "-"), ns.name()),
        &address,
    )?;
    let missing = lookup(&format!("nobody.{domain}"));
    ensure!(
        missing.stdout.contains("NXDOMAIN")
            || missing.stderr.contains("NXDOMAIN")
            || missing.stdout.contains("can't find"),
        "{missing}"
    );
    // By its short names, as programs ask.
    for name in [
        "normal".to_owned(),
        format!("normal.{}", ns.name()),
        format!("normal.{}.svc", ns.name()),
    ] {
        let url = format!("http://{name}/");
        eventually("the web server", || {
            has(
                &ns.kubectl(["exec", "client", "--", "wget", "-q", "-O", "-", &url])
                    .ok()?,
                &["Hello from one"],
            )
        })?;
    }
    let config = ns.kubectl("exec client -- cat /etc/resolv.conf").ok()?;
    has(
        &config,
        &[
            "nameserver 10.96.0.10",
            &format!("search {domain} svc.cluster.local cluster.local"),
            "options ndots:5",
        ],
    )?;
    has(&ns.kubectl("exec web -- hostname -f").ok()?, &["one"])
}

fn a_service_answers_inside_and_outside(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let image = cluster.image("v1")?;
    ns.apply(&[
        web_deployment("web", &image, 2),
        web_service("web"),
        shell_pod("client", &image, "sleep 1000"),
    ])?;
    ns.wait_rolled_out("web")?;
    ns.wait_ready("client")?;
    let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do wget -q -O - http://web/ || echo failed; done";
    eventually("the service", || {
        has(
            &ns.kubectl("exec client -- wget -q -O - http://web/").ok()?,
            &["Hello from web-"],
        )
    })?;
    let text = ns.kubectl(["exec", "client", "--", "sh", "-c", script]).ok()?;
    ensure!(!text.contains("failed") && text.lines().count() == 20, "{text}");
    for pod in ns.pods("app=web")? {
        has(&text, &[&pod])?;
    }
    let address = ns.node_address("web")?;
    eventually("the node port", || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address)?;
        write!(stream, "GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        has(&answer, &["Hello from web-"])
    })
}

fn a_service_without_endpoints_refuses_at_once(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    ns.apply(&[
        web_service("web"),
        shell_pod("client", &cluster.image("v1")?, "sleep 1000"),
    ])?;
    ns.wait_ready("client")?;
    let begin = std::time::Instant::now();
    let address = ns.cluster_address("web")?;
    let output = ns.kubectl(format!(
        "exec client -- nc -w 60 {} {}",
        address.ip(),
        address.port()
    ));
    same(output.code, 1)?;
    has(&output.stderr, &["refused"])?;
    ensure!(begin.elapsed().as_secs() < 50, "it took {:?}", begin.elapsed());
    ensure!(
        std::net::TcpStream::connect(ns.node_address("web")?).is_err(),
        "the node port answers"
    );
    Ok(())
}

fn a_node_port_that_was_taken_is_listened_on_when_it_is_free(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let image = cluster.image("v1")?;
    // Somebody else has the port; which one is free is the API's to say.
    ns.apply(&[web_service("first")])?;
    let port = ns.node_address("first")?.port();
    let holder = eventually("the port", || Ok(std::net::TcpListener::bind(("0.0.0.0", port))?))?;
    ns.kubectl("delete service first").ok()?;
    let mut service = web_service("web");
    service["spec"]["ports"][0]["nodePort"] = json!(port);
    ns.apply(&[web_deployment("web", &image, 1), service])?;
    ns.wait_rolled_out("web")?;
    eventually("the event", || {
        let events = ns
            .kubectl("get events --field-selector involvedObject.kind=Service")
            .ok()?;
        has(
            &events,
            &[
                "Warning",
                "FailedToListen",
                "service/web",
                &format!(":{port}"),
                "in use",
            ],
        )
    })?;
    drop(holder);
    eventually("the web server", || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
        write!(stream, "GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        has(&answer, &["Hello from web-"])
    })
}
