//! A cluster of two address families.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{Pod, Service};
use serde_json::{Value, json};
use skiff_tests::{Namespace, User, eventually};

use super::{Pair, inside};
use crate::{has, same};

skiff_tests::cases! {
    ordinary:
        pods_and_services_have_addresses_of_both_families;
}

/// A node of an ordinary user with a pod `here`, and one of root's with a pod `there`, which is what the services lead to.
fn pods_and_services_have_addresses_of_both_families(user: User) -> Result<()> {
    let ranges = "--cluster-cidr 10.200.0.0/16,fd00:200::/56 --service-cidr 10.201.0.0/16,fd00:201::/112";
    let pair = Pair::start_with(user, User::Root, ranges)?;
    let (server, far) = (&pair.server, &pair.far);
    for host in [server, far] {
        let node = server.wait_node(host.name(), "to be there", |_| true)?;
        let ranges = node.spec.and_then(|spec| spec.pod_cidrs).unwrap_or_default();
        let families: Vec<bool> = ranges.iter().map(|range| range.contains(':')).collect();
        same(families, vec![false, true])?;
    }
    let ns = server.namespace()?;
    let mut here = pair.web("here", server)?;
    here["spec"]["containers"][0]["env"] =
        json!([{"name": "IPS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}}]);
    let service = |name: &str, more: Value| {
        let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"app": "there"}, "ports": [{"port": 80, "targetPort": "http"}]}});
        for (key, value) in more.as_object().into_iter().flatten() {
            service["spec"][key] = value.clone();
        }
        service
    };
    ns.apply(&[
        here,
        pair.web("friend", server)?,
        pair.web("there", far)?,
        service("both", json!({"ipFamilyPolicy": "PreferDualStack"})),
        service("second", json!({"ipFamilies": ["IPv6"]})),
        service(
            "headless",
            json!({"clusterIP": "None", "ipFamilyPolicy": "RequireDualStack"}),
        ),
    ])?;
    ns.wait_ready("friend")?;
    let (here, there) = (addresses_of(&ns, "here")?, addresses_of(&ns, "there")?);
    same(
        inside(&ns, "here", "echo $IPS")?.trim().to_owned(),
        here.join(","),
    )?;
    has(&inside(&ns, "here", "cat /etc/hosts")?, &[&here[1]])?;
    packets_pass(&ns, &here[1], &there[1])?;
    services_answer(&ns, &there)?;
    policies_hold(&ns, &there[1])
}

/// Both addresses of a pod, IPv4 first.
fn addresses_of(ns: &Namespace<'_>, name: &str) -> Result<Vec<String>> {
    let pod: Pod = ns.wait_ready(name)?;
    let addresses = pod
        .status
        .and_then(|status| status.pod_ips)
        .context("addresses")?;
    let addresses: Vec<String> = addresses.into_iter().map(|one| one.ip).collect();
    ensure!(
        addresses.len() == 2 && !addresses[0].contains(':') && addresses[1].contains(':'),
        "{addresses:?}"
    );
    Ok(addresses)
}

/// From node to node, small ones and a stream of large ones; and what is nobody's is refused, not waited for.
fn packets_pass(ns: &Namespace<'_>, here: &str, there: &str) -> Result<()> {
    for (pod, to) in [("here", there), ("there", here)] {
        eventually("an answer to ping", || {
            let script = format!("ping -6 -c 1 -W 1 -s 1200 {to} || true");
            has(&inside(ns, pod, &script)?, &["1 packets received"])
        })?;
    }
    let fetch = format!("wget -q -O - http://[{there}]:8080/");
    has(&inside(ns, "here", &fetch)?, &["Hello from there"])?;
    for (pod, other, to) in [("here", "there", there), ("there", "here", here)] {
        let serve = "head -c 3000000 /dev/zero >/tmp/www/large; echo done";
        has(&inside(ns, other, serve)?, &["done"])?;
        let fetch = format!("wget -q -O - http://[{to}]:8080/large | wc -c");
        has(&inside(ns, pod, &fetch)?, &["3000000"])?;
    }
    Ok(())
}

fn services_answer(ns: &Namespace<'_>, there: &[String]) -> Result<()> {
    let addresses = |name: &str| -> Result<Vec<String>> {
        let service: Service = ns.get(name)?;
        service
            .spec
            .and_then(|spec| spec.cluster_ips)
            .context("addresses")
    };
    let (both, second) = (addresses("both")?, addresses("second")?);
    ensure!(both.len() == 2 && both[1].starts_with("fd00:201::"), "{both:?}");
    ensure!(
        second.len() == 1 && second[0].starts_with("fd00:201::"),
        "{second:?}"
    );
    for pod in ["here", "there"] {
        for host in [&both[0], &format!("[{}]", both[1]), "second"] {
            eventually("the service", || {
                let fetch = format!("timeout 2 wget -q -O - http://{host}/ || true");
                has(&inside(ns, pod, &fetch)?, &["Hello from there"])
            })?;
        }
    }
    let domain = format!("{}.svc.cluster.local", ns.name());
    let answers = |kind: &str, name: &str, expected: &[&str]| {
        eventually("a name", || {
            let script = format!("nslookup -type={kind} {name} || true");
            has(&inside(ns, "here", &script)?, expected)
        })
    };
    answers("aaaa", &format!("both.{domain}"), &[&both[1]])?;
    answers("a", &format!("headless.{domain}"), &[&there[0]])?;
    answers("aaaa", &format!("headless.{domain}"), &[&there[1]])?;
    eventually("the name of an address", || {
        let script = format!("nslookup {} || true", both[1]);
        has(&inside(ns, "here", &script)?, &[&format!("both.{domain}")])
    })?;
    let slices = ns
        .kubectl(["get", "endpointslices", "-l", "kubernetes.io/service-name=both"])
        .ok()?;
    has(&slices, &["IPv4", "IPv6", &there[0], &there[1]])
}

/// For packets and for services.
fn policies_hold(ns: &Namespace<'_>, there: &str) -> Result<()> {
    let policy = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p"}, "spec": {
        "podSelector": {"matchLabels": {"app": "there"}}, "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}], "ports": [{"port": "http"}]}]}});
    ns.apply(&[policy])?;
    for (pod, answer) in [("here", "refused"), ("friend", "Hello from there")] {
        for url in [format!("http://[{there}]:8080/"), "http://second/".to_owned()] {
            eventually(&format!("{answer:?} to {pod} from {url}"), || {
                let script = format!("timeout 1 wget -q -O - {url} || echo refused");
                has(&inside(ns, pod, &script)?, &[answer])
            })?;
        }
    }
    ensure!(
        skiff_tests::is_ready(&ns.get("there")?),
        "the probe does not pass"
    );
    Ok(())
}
