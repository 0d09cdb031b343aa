//! What the network promises a pod, kept by another node than its own.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skiff_tests::{Namespace, User, eventually, pod};

use super::{Pair, address_of, get, inside};
use crate::has;

skiff_tests::cases! {
    ordinary:
        names_ports_and_settings_hold_across_nodes,
        lost_packets_and_new_policies_on_the_way_between_nodes;
}

/// How long a policy may take on a busy machine. Usually it is a fifth of a second.
const POLICY_DEADLINE: f64 = 5.0;

/// On the far node: a pod behind the port of its host's address, and one on the host's network. On either node: a member of the services
/// `both` and `spread`. On the near node: a client with settings of its own.
fn names_ports_and_settings_hold_across_nodes(user: User) -> Result<()> {
    let pair = Pair::start(user, user)?;
    let (server, far) = (&pair.server, &pair.far);
    let ns = server.namespace()?;
    let domain = format!("{}.svc.cluster.local", ns.name());
    let member = |name: &str, host| -> Result<Value> {
        let mut member = pair.web(name, host)?;
        member["metadata"]["labels"]["of"] = json!("both");
        member["spec"]["hostname"] = json!(name);
        member["spec"]["subdomain"] = json!("spread");
        Ok(member)
    };
    let mut ported = pair.web("ported", far)?;
    ported["spec"]["containers"][0]["ports"][0]["hostPort"] = json!(8088);
    ported["spec"]["containers"][0]["ports"][0]["hostIP"] = json!(far.address().to_string());
    ported["spec"]["securityContext"] =
        json!({"sysctls": [{"name": "net.ipv4.ip_local_port_range", "value": "20000 30000"}]});
    let mut on_host = pair.web("on-host", far)?;
    on_host["spec"]["hostNetwork"] = json!(true);
    on_host["spec"]["containers"][0]["ports"][0]["hostPort"] = json!(8080);
    let client = pod(
        "client",
        json!({
            "nodeName": server.name(), "terminationGracePeriodSeconds": 0,
            "hostAliases": [{"ip": far.address().to_string(), "hostnames": ["elsewhere.test"]}],
            "dnsConfig": {"searches": [format!("spread.{domain}")], "options": [{"name": "ndots", "value": "2"}]},
            "containers": [{"name": "main", "image": server.image("v1")?, "command": ["sleep", "1000"]}],
        }),
    );
    let service = |name: &str, spec: Value| {
        let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"of": "both"}, "ports": [{"port": 80, "targetPort": "http"}]}});
        for (key, value) in spec.as_object().into_iter().flatten() {
            service["spec"][key] = value.clone();
        }
        service
    };
    ns.apply(&[
        member("near", server)?,
        member("away", far)?,
        ported,
        on_host,
        client,
        service("both", json!({})),
        service("spread", json!({"clusterIP": "None"})),
    ])?;
    let (near, away) = (address_of(&ns, "near")?, address_of(&ns, "away")?);
    for name in ["client", "ported"] {
        ns.wait_ready(name)?;
    }
    members_are_found(&ns, &near, &away)?;
    ports_of_the_host_answer(&pair, &ns)?;
    let seen = inside(&ns, "client", "cat /etc/hosts /etc/resolv.conf")?;
    has(&seen, &["elsewhere.test", &format!("spread.{domain}"), "ndots:2"])?;
    let range = inside(&ns, "ported", "cat /proc/sys/net/ipv4/ip_local_port_range")?;
    has(&range, &["20000\t30000"])
}

/// By their service, by the headless service and by their own names, from both nodes.
fn members_are_found(ns: &Namespace<'_>, near: &str, away: &str) -> Result<()> {
    let many = "for i in 1 2 3 4 5 6 7 8 9 10; do wget -q -O - http://both/ || echo failed; done";
    for pod in ["client", "ported"] {
        eventually("both members of the service", || {
            let text = inside(ns, pod, many)?;
            ensure!(!text.contains("failed"), "{text}");
            has(&text, &["Hello from near", "Hello from away"])
        })?;
        let name = format!("spread.{}.svc.cluster.local", ns.name());
        eventually("the members' addresses", || {
            has(&inside(ns, pod, &format!("nslookup {name}"))?, &[near, away])
        })?;
    }
    // By a search path of its own, and to the pod itself.
    has(
        &inside(ns, "client", "wget -q -O - http://away:8080/")?,
        &["Hello from away"],
    )?;
    has(
        &inside(ns, "ported", "wget -q -O - http://near.spread:8080/")?,
        &["Hello from near"],
    )
}

fn ports_of_the_host_answer(pair: &Pair, ns: &Namespace<'_>) -> Result<()> {
    let (server, far) = (&pair.server, &pair.far);
    eventually("the host's port", || {
        let answer = get(server.link().netns(), &format!("{}:8088", far.address()))?;
        has(&answer, &["Hello from ported"])
    })?;
    has(
        &inside(ns, "client", "wget -q -O - http://elsewhere.test:8088/")?,
        &["Hello from ported"],
    )?;
    ensure!(
        get(far.link().netns(), "127.0.0.1:8088").is_err(),
        "the port is open on an address that was not asked for"
    );
    // On the host's network: its address is the node's, and the server is one of the host's own.
    let on_host = ns.wait_ready("on-host")?.status.context("a status")?;
    let address = far.address().to_string();
    ensure!(on_host.pod_ip.as_ref() == Some(&address), "{:?}", on_host.pod_ip);
    for url in ["http://elsewhere.test:8080/", &format!("http://{address}:8080/")] {
        has(
            &inside(ns, "client", &format!("wget -q -O - {url}"))?,
            &["Hello from"],
        )?;
    }
    has(&get(far.link().netns(), "127.0.0.1:8080")?, &["Hello from"])
}

fn lost_packets_and_new_policies_on_the_way_between_nodes(user: User) -> Result<()> {
    let pair = Pair::start(user, user)?;
    let (server, far) = (&pair.server, &pair.far);
    let ns = server.namespace()?;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "far"},
        "spec": {"selector": {"app": "there"}, "ports": [{"port": 80, "targetPort": "http"}]}});
    ns.apply(&[pair.web("here", server)?, pair.web("there", far)?, service])?;
    let there = address_of(&ns, "there")?;
    ns.wait_ready("here")?;
    let ways = [format!("http://{there}:8080/"), "http://far/".to_owned()];
    for url in &ways {
        eventually("an answer", || {
            has(
                &inside(&ns, "here", &format!("timeout 2 wget -q -O - {url}"))?,
                &["Hello from there"],
            )
        })?;
    }

    // Seven megabytes that are the same everywhere, while the link loses packets both ways.
    const NUMBERS: &str = "seq 1 1000000";
    inside(&ns, "there", &format!("{NUMBERS} >/tmp/www/numbers"))?;
    let expected = inside(&ns, "here", &format!("{NUMBERS} | busybox md5sum"))?;
    far.link().lose_packets(3)?;
    for url in &ways {
        let begun = Instant::now();
        let sum = inside(
            &ns,
            "here",
            &format!("wget -q -O - {url}numbers | busybox md5sum"),
        )?;
        ensure!(sum == expected, "{url}: {sum} is not {expected}");
        println!(
            "7 MB from {url} with 3 of 100 packets lost: {:?}",
            begun.elapsed()
        );
    }
    far.link().rejoin()?;
    policies_reach_another_node_soon(&ns, &ways)
}

/// The far pod is closed by a policy while the near one asks again and again.
fn policies_reach_another_node_soon(ns: &Namespace<'_>, ways: &[String]) -> Result<()> {
    for (number, url) in ways.iter().enumerate() {
        // When the first question without an answer was asked, by a clock that is everybody's.
        let script = format!(
            "while read now rest </proc/uptime && timeout 1 wget -q -O /dev/null {url}; do echo answered; done; echo $now"
        );
        let mut asking = ns.kubectl_in_background(["exec", "here", "--", "sh", "-c", &script])?;
        asking.line(|line| line == "answered")?;
        let name = format!("closed-{number}");
        ns.apply(&[json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name},
            "spec": {"podSelector": {"matchLabels": {"app": "there"}}, "policyTypes": ["Ingress"]},
        })])?;
        let applied = uptime()?;
        let refused = asking.line(|line| line.parse::<f64>().is_ok())?;
        let took = refused.parse::<f64>()? - applied;
        println!("{url} is closed {took:.2} s after the policy was there");
        ensure!(took < POLICY_DEADLINE, "{url}: {took} s");
        ns.kubectl(["delete", "networkpolicy", &name]).ok()?;
        eventually("an answer", || {
            has(
                &inside(ns, "here", &format!("timeout 2 wget -q -O - {url}"))?,
                &["Hello from there"],
            )
        })?;
    }
    Ok(())
}

/// Seconds since the machine was started.
fn uptime() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/uptime")?;
    let first = text.split(' ').next().context("a number")?;
    Ok(first.parse()?)
}
