//! Clusters of several nodes, on hosts of a network of their own.

mod across;
mod dual;
mod pool;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use skiff_tests::{Host, Lan, Namespace, Netns, User, eventually, pod, web_service};

use crate::{has, same};

skiff_tests::cases! {
    own:
        agents_join_by_token_and_clashes_are_refused,
        pods_of_two_nodes_reach_each_other_as_far_as_policies_allow;
    ordinary:
        packets_go_through_the_server_while_udp_is_blocked,
        partitions_new_addresses_and_dead_nodes_heal;
}

/// Two agents join one server with nothing but its address and a token; what can't be is refused with the reason.
fn agents_join_by_token_and_clashes_are_refused(user: User) -> Result<()> {
    let lan = Lan::new()?;
    let (server, one, two) = (lan.host(user)?, lan.host(user)?, lan.host(user)?);
    server.serve("--cluster-cidr 10.200.0.0/16 --service-cidr 10.201.0.0/16 --cluster-domain lan.test")?;
    one.join(&server, "")?;
    two.join(&server, "")?;
    server.wait_nodes_ready(&[&one, &two])?;
    has(
        &server.skiff("status").ok()?,
        &[
            "server   running",
            "agent    not running",
            "node     host-2, ready",
            "node     host-3, ready",
        ],
    )?;
    has(
        &one.skiff("status").ok()?,
        &["server   not running", "agent    running", "this is a node"],
    )?;
    let mut ranges = Vec::new();
    for host in [&one, &two] {
        let node = server.wait_node(host.name(), "to be there", |_| true)?;
        let addresses = node
            .status
            .and_then(|status| status.addresses)
            .unwrap_or_default();
        same(addresses[0].address.clone(), host.address().to_string())?;
        ranges.push(node.spec.and_then(|spec| spec.pod_cidr).unwrap_or_default());
    }
    ranges.sort();
    same(
        ranges,
        vec!["10.200.0.0/24".to_owned(), "10.200.1.0/24".to_owned()],
    )?;

    // Again with the same key, as after a reboot; then others in its place.
    one.end("agent", Signal::TERM)?;
    one.join(&server, "")?;
    server.wait_nodes_ready(&[&one])?;
    let token = server.skiff("token").ok()?;
    let url = server.url();
    let words = ["agent", "--join", &url, "--token", token.trim()];
    let refused = |more: &[&str]| server.skiff([&words[..], more].concat().as_slice()).fails(1);
    has(
        &refused(&["--node-name", one.name()])?,
        &["name host-2 is taken", "another key"],
    )?;
    let address = two.address().to_string();
    has(
        &refused(&["--node-name", "third", "--node-ip", &address])?,
        &[&format!("address {address} is that of node host-3"), "--node-ip"],
    )?;
    has(
        &refused(&["--node-name", "third", "--cluster-cidr", "10.1.0.0/16"])?,
        &["the server has --cluster-cidr 10.200.0.0/16"],
    )
}

/// A server and an agent on one host, an agent on another.
struct Pair {
    server: Host,
    far: Host,
    lan: Lan,
}

impl Pair {
    /// Both nodes are ready. The far one belongs to `far`.
    fn start(near: User, far: User) -> Result<Self> {
        Self::start_with(near, far, "")
    }

    /// The same, with further options of `skiff up`.
    fn start_with(near: User, far: User, options: &str) -> Result<Self> {
        let lan = Lan::new()?;
        let (server, far) = (lan.host(near)?, lan.host(far)?);
        let mut words = server.node_options();
        words.extend(options.split_whitespace().map(str::to_owned));
        server.up(words).ok()?;
        far.join(&server, "")?;
        server.wait_nodes_ready(&[&server, &far])?;
        Ok(Self { server, far, lan })
    }

    /// See [`web`].
    fn web(&self, name: &str, host: &Host) -> Result<Value> {
        web(&self.server, name, host)
    }
}

/// A pod of the web server on a node, which says "Hello from NAME" on port 8080.
fn web(server: &Host, name: &str, host: &Host) -> Result<Value> {
    Ok(pod(
        name,
        json!({
            "nodeName": host.name(), "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "web", "image": server.image("v1")?,
                "ports": [{"name": "http", "containerPort": 8080}],
                "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1}}],
        }),
    ))
}

fn address_of(ns: &Namespace<'_>, name: &str) -> Result<String> {
    ns.wait_ready(name)?
        .status
        .and_then(|status| status.pod_ip)
        .context("an address")
}

/// What a command says inside a pod.
fn inside(ns: &Namespace<'_>, pod: &str, script: &str) -> Result<String> {
    ns.kubectl(["exec", pod, "--", "sh", "-c", script]).ok()
}

fn pods_of_two_nodes_reach_each_other_as_far_as_policies_allow(user: User) -> Result<()> {
    // Each kind of node with the other.
    let other = if user == User::Root {
        User::Ordinary
    } else {
        User::Root
    };
    let pair = Pair::start(user, other)?;
    let (server, far) = (&pair.server, &pair.far);
    let ns = server.namespace()?;
    let mut service = web_service("far");
    service["spec"]["selector"] = json!({"app": "there"});
    ns.apply(&[
        pair.web("here", server)?,
        pair.web("friend", server)?,
        pair.web("beside", far)?,
        pair.web("there", far)?,
        service,
    ])?;
    let (here, there) = (address_of(&ns, "here")?, address_of(&ns, "there")?);
    for name in ["friend", "beside"] {
        ns.wait_ready(name)?;
    }
    everybody_reaches(&pair, &ns, &here, &there)?;
    policies_hold(server, &ns, &there)
}

fn everybody_reaches(pair: &Pair, ns: &Namespace<'_>, here: &str, there: &str) -> Result<()> {
    let (server, far) = (&pair.server, &pair.far);
    // By address: packets, with the sender's own address.
    eventually("an answer to ping", || {
        has(
            &inside(ns, "here", &format!("ping -c 1 -W 1 {there}"))?,
            &["1 packets received"],
        )
    })?;
    has(
        &inside(ns, "there", &format!("ping -c 1 -W 2 {here}"))?,
        &["1 packets received"],
    )?;
    has(
        &inside(ns, "here", &format!("wget -q -O - http://{there}:8080/"))?,
        &["Hello from there"],
    )?;
    // As large as pods may send, and a stream of them.
    has(
        &inside(ns, "there", &format!("ping -c 1 -W 2 -s 1400 {here}"))?,
        &["1 packets received"],
    )?;

    // The world answers pings too, whoever carries them.
    has(
        &inside(ns, "there", &format!("ping -c 1 -W 2 {}", Lan::GATEWAY))?,
        &["1 packets received"],
    )?;

    // Through the service, from either node, and from the node ports of both.
    for pod in ["here", "there"] {
        eventually("the service", || {
            has(
                &inside(ns, pod, "wget -q -O - http://far/")?,
                &["Hello from there"],
            )
        })?;
    }
    let port = ns.node_address("far")?.port();
    for host in [server, far] {
        eventually("the node port", || {
            has(
                &get(host.link().netns(), &format!("{}:{port}", host.address()))?,
                &["Hello from there"],
            )
        })?;
    }
    for host in [server, far] {
        let node = server.wait_node(host.name(), "to be there", |_| true)?;
        let text = serde_json::to_string(&node.status.and_then(|status| status.conditions))?;
        has(&text, &["NodeTunnel", "WireGuard tunnel to 1 other node by"])?;
    }
    let status = server.skiff("status").ok()?;
    has(&status, &["NodeTunnel: WireGuard tunnel to 1 other node by"])
}

/// What a web server says to somebody in a network.
fn get(from: &Netns, address: &str) -> Result<String> {
    use std::io::{Read as _, Write as _};
    let address = address.parse()?;
    from.inside(|| {
        let patience = std::time::Duration::from_secs(5);
        let mut stream = std::net::TcpStream::connect_timeout(&address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(!answer.is_empty(), "no answer");
        Ok(answer)
    })
}

/// For packets and for services, on both nodes.
fn policies_hold(server: &Host, ns: &Namespace<'_>, there: &str) -> Result<()> {
    let ways = [format!("http://{there}:8080/"), "http://far/".to_owned()];
    let fetch =
        |pod: &str, url: &str| inside(ns, pod, &format!("timeout 1 wget -q -O - {url} || echo refused"));
    let expect = |pod: &str, answer: &str| -> Result<()> {
        for url in &ways {
            eventually(&format!("{answer:?} to {pod} from {url}"), || {
                has(&fetch(pod, url)?, &[answer])
            })?;
        }
        Ok(())
    };
    let policy = |spec: Value| json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p"}, "spec": spec});
    ns.apply(&[policy(json!({
        "podSelector": {"matchLabels": {"app": "there"}}, "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}], "ports": [{"port": "http"}]}],
    }))])?;
    for pod in ["here", "beside"] {
        expect(pod, "refused")?;
    }
    expect("friend", "Hello from there")?;
    // A label makes a friend, and the node's own probes were never in question.
    ns.kubectl("label pod beside app=friend --overwrite").ok()?;
    expect("beside", "Hello from there")?;
    ensure!(
        skiff_tests::is_ready(&ns.get("there")?),
        "the probe does not pass"
    );

    // What a pod sends, to other nodes and to the world.
    let world = format!("http://{}/v2/", server.registry()?.address());
    let reach_world = || {
        inside(
            ns,
            "here",
            &format!("timeout 1 wget -q -O /dev/null {world} && echo reached || echo refused"),
        )
    };
    has(&reach_world()?, &["reached"])?;
    ns.apply(&[policy(json!({
        "podSelector": {"matchLabels": {"app": "here"}}, "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": {"matchLabels": {"app": "nobody"}}}]}],
    }))])?;
    expect("here", "refused")?;
    eventually("no way to the world", || has(&reach_world()?, &["refused"]))?;
    ns.kubectl("delete networkpolicy p").ok()?;
    expect("here", "Hello from there")?;
    eventually("the world", || has(&reach_world()?, &["reached"]))
}

fn packets_go_through_the_server_while_udp_is_blocked(user: User) -> Result<()> {
    let lan = Lan::new()?;
    let (server, far) = (lan.host(user)?, lan.host(user)?);
    server.up(server.node_options()).ok()?;
    far.link().block_udp()?;
    far.join(&server, "")?;
    server.wait_nodes_ready(&[&server, &far])?;
    let pair = Pair { server, far, lan };
    let (server, far) = (&pair.server, &pair.far);
    let ns = server.namespace()?;
    ns.apply(&[pair.web("here", server)?, pair.web("there", far)?])?;
    let (here, there) = (address_of(&ns, "here")?, address_of(&ns, "there")?);
    let ping = |pod: &str, to: &str| {
        has(
            &inside(&ns, pod, &format!("ping -c 1 -W 1 -s 1400 {to} || true"))?,
            &["1 packets received"],
        )
    };
    eventually("packets by the server", || ping("here", &there))?;
    ping("there", &here)?;
    has(
        &inside(&ns, "here", &format!("wget -q -O - http://{there}:8080/"))?,
        &["Hello from there"],
    )?;
    let says = |host: &Host, what: &str, is_relayed: bool| {
        server.wait_node(host.name(), what, |node| {
            let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
            conditions.into_iter().flatten().any(|condition| {
                let message = condition.message.as_deref().unwrap_or_default();
                condition.type_ == "NodeTunnel"
                    && message.contains("UDP does not get through to") == is_relayed
            })
        })
    };
    for host in [server, far] {
        says(host, "to say that its packets are relayed", true)?;
    }
    let status = server.skiff("status").ok()?;
    has(&status, &[&format!("UDP does not get through to {}", far.name())])?;

    // As soon as UDP works it is used again.
    far.link().rejoin()?;
    for host in [server, far] {
        says(host, "to use UDP again", false)?;
    }
    ping("here", &there)?;
    ping("there", &here)
}

fn partitions_new_addresses_and_dead_nodes_heal(user: User) -> Result<()> {
    let pair = Pair::start(user, user)?;
    let (server, far) = (&pair.server, &pair.far);
    let ns = server.namespace()?;
    let mut service = web_service("far");
    service["spec"]["selector"] = json!({"app": "there"});
    ns.apply(&[pair.web("here", server)?, pair.web("there", far)?, service])?;
    let (here, there) = (address_of(&ns, "here")?, address_of(&ns, "there")?);
    let ping = |pod: &str, to: &str| {
        inside(
            &ns,
            pod,
            &format!("ping -c 1 -W 1 {to} >/dev/null && echo yes || echo no"),
        )
    };
    let fetch = || inside(&ns, "here", "timeout 2 wget -q -O - http://far/ || echo failed");
    let whole = || -> Result<()> {
        eventually("packets", || has(&ping("here", &there)?, &["yes"]))?;
        eventually("the service", || has(&fetch()?, &["Hello from there"]))
    };
    whole()?;

    server.link().part_from(far.link())?;
    has(&ping("here", &there)?, &["no"])?;
    server.link().rejoin()?;
    whole()?;

    // Another lease: the far node is heard of at its new address, and says so itself.
    let begun = std::time::Instant::now();
    far.link()
        .change_address(std::net::Ipv4Addr::new(192, 168, 50, 99))?;
    whole()?;
    let took = begun.elapsed();
    println!("packets and services again {took:?} after a new address");
    let new = far.address().to_string();
    server.wait_node(far.name(), "to say its new address", |node| {
        let addresses = node.status.as_ref().and_then(|status| status.addresses.as_ref());
        addresses.is_some_and(|addresses| addresses[0].address == new)
    })?;
    eventually("the way back", || has(&ping("there", &here)?, &["yes"]))?;

    // The agent dies and comes back; its pods were there all the while.
    far.end("agent", Signal::KILL)?;
    far.join(server, "")?;
    whole()
}
