//! Load balancers with addresses of their own.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Event, Service};
use kube::{Api, api::ListParams};
use rustix::process::Signal;
use serde_json::{Value, json};
use skiff_tests::{Host, Lan, Namespace, User, eventually};

use super::{Pair, get, web};
use crate::{has, same};

skiff_tests::cases! {
    root:
        an_address_of_the_pool_is_answered_by_one_node_and_moves_when_that_dies;
    ordinary:
        an_address_that_is_led_to_a_node_is_answered_there;
}

/// In the network of the hosts: the only two addresses there are.
const FIRST: &str = "192.168.50.200";
const SECOND: &str = "192.168.50.201";
const POOL: &str = "--load-balancer-pool=192.168.50.200-192.168.50.201";

/// A service of type LoadBalancer for the pods called `web`.
fn balancer(name: &str, asks: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {
            "type": "LoadBalancer", "selector": {"app": "web"}, "loadBalancerIP": asks,
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
        },
    })
}

/// The address that a service has been given.
fn given(ns: &Namespace<'_>, name: &str) -> Result<String> {
    let address = |service: &Service| -> Option<String> {
        let balancer = service.status.as_ref()?.load_balancer.as_ref()?;
        balancer.ingress.as_ref()?.first()?.ip.clone()
    };
    let is_given = |service: Option<&Service>| service.is_some_and(|service| address(service).is_some());
    let service = ns
        .wait(name, "to have an address", is_given)?
        .context("the service")?;
    address(&service).context("an address")
}

/// Waits for an event about a service.
fn told(ns: &Namespace<'_>, service: &str, text: &str) -> Result<()> {
    let events: Api<Event> = ns.api();
    eventually(&format!("an event of {service}"), || {
        let about = ListParams::default().fields(&format!("involvedObject.name={service}"));
        let list = ns.cluster().block_on(events.list(&about))?;
        let all: Vec<String> = list.into_iter().filter_map(|event| event.message).collect();
        has(&all.join("\n"), &[text])
    })
}

/// The host whose interface has an address.
fn holder<'h>(hosts: &[&'h Host], address: &str) -> Result<&'h Host> {
    let mut holders = Vec::new();
    for host in hosts {
        let list = host.link().netns().ip("-4 -o address show dev eth0")?;
        if list.contains(&format!(" {address}/32 ")) {
            holders.push(*host);
        }
    }
    ensure!(holders.len() == 1, "{} hosts have {address}", holders.len());
    Ok(holders[0])
}

fn an_address_of_the_pool_is_answered_by_one_node_and_moves_when_that_dies(user: User) -> Result<()> {
    let lan = Lan::new()?;
    let (server, one, two, three) = (lan.host(user)?, lan.host(user)?, lan.host(user)?, lan.host(user)?);
    let hosts = [&one, &two, &three];
    server.serve(POOL)?;
    for host in hosts {
        host.join(&server, "")?;
    }
    server.wait_nodes_ready(&hosts)?;
    let ns = server.namespace()?;
    ns.apply(&[web(&server, "web", &three)?, balancer("asks", SECOND)])?;
    same(given(&ns, "asks")?, SECOND.to_owned())?;
    ns.apply(&[balancer("any", "")])?;
    same(given(&ns, "any")?, FIRST.to_owned())?;

    // From a machine that is no node, which learns by ARP where an address is.
    let answers = |address: &str| {
        let from = lan.switch();
        eventually(&format!("an answer of {address}"), || {
            has(&get(from, &format!("{address}:80"))?, &["Hello from web"])
        })
    };
    answers(FIRST)?;
    answers(SECOND)?;
    let node = holder(&hosts, FIRST)?;
    told(&ns, "any", &format!("node {} answers for {FIRST}", node.name()))?;

    // Without a word, as when the power fails: its address goes from there by itself.
    node.end("agent", Signal::KILL)?;
    let begun = std::time::Instant::now();
    let others: Vec<&Host> = hosts
        .into_iter()
        .filter(|host| host.name() != node.name())
        .collect();
    let next = eventually("another node that answers", || holder(&others, FIRST))?;
    println!("another node answers after {:?}", begun.elapsed());
    if node.name() == three.name() {
        // Its pod is out of reach until it is back.
        node.join(&server, "")?;
    }
    answers(FIRST)?;
    eventually("one node that has the address", || {
        same(holder(&hosts, FIRST)?.name(), next.name())
    })?;

    // One that ends says so: no need to wait. And an address that is free goes to who waits for it.
    next.end("agent", Signal::TERM)?;
    let left = holder(&[next], FIRST);
    ensure!(left.is_err(), "{} still has {FIRST}", next.name());
    ns.apply(&[balancer("late", ""), balancer("strange", "10.1.2.3")])?;
    told(
        &ns,
        "late",
        "no address of the pool 192.168.50.200-192.168.50.201 is free",
    )?;
    told(
        &ns,
        "strange",
        "address 10.1.2.3, which spec.loadBalancerIP asks for, is not in the pool",
    )?;
    ns.kubectl("delete service any").ok()?;
    same(given(&ns, "late")?, FIRST.to_owned())
}

/// Ordinary users can't give addresses to interfaces: the operator leads them to a node.
fn an_address_that_is_led_to_a_node_is_answered_there(user: User) -> Result<()> {
    let lan = Lan::new()?;
    let (server, far) = (lan.host(user)?, lan.host(user)?);
    let mut options = server.node_options();
    options.push("--load-balancer-pool=203.0.113.7".to_owned());
    server.up(options).ok()?;
    far.join(&server, "")?;
    server.wait_nodes_ready(&[&server, &far])?;
    let pair = Pair { server, far, lan };
    let (server, far) = (&pair.server, &pair.far);
    // What services of type LoadBalancer are told apart by is the address; the port may be one for everybody.
    far.link()
        .netns()
        .inside(|| std::fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "80"))?;
    let ns = server.namespace()?;
    ns.apply(&[pair.web("web", server)?, balancer("routed", "")])?;
    same(given(&ns, "routed")?, "203.0.113.7".to_owned())?;
    let switch = pair.lan.switch();
    switch.ip(&format!("route add 203.0.113.7/32 via {}", far.address()))?;
    far.link().netns().ip("address add 203.0.113.7/32 dev lo")?;
    eventually("an answer", || {
        has(&get(switch, "203.0.113.7:80")?, &["Hello from web"])
    })
}
