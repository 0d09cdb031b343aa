//! The pod network with real namespaces: pods are network namespaces without processes.

mod dual;
mod harness;

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::AsFd,
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use dual::{
    a_pod_has_no_other_ipv6_address_than_its_own, as_root_outbound_ipv6_is_carried_by_sockets_too,
    outbound_ipv6_is_carried_by_sockets_as_soon_as_the_host_has_a_way,
    pods_reach_each_other_and_a_service_in_both_families,
};
use harness::{Need, Test};
use skiff_netns_proxy::{
    self as proxy, Backend, Port, Protocol, Proxy, Service,
    dns::{Dns, ServiceRecord},
    netns::Namespace,
};
use skiff_pod_network::{Config, EgressWay, PodNetwork};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinHandle,
    time::timeout,
};

/// What happens at once on an idle machine, on a busy one.
const SOON: Duration = Duration::from_secs(10);

macro_rules! tests {
    ($($name:ident $(needs $need:ident)?),* $(,)?) => {
        &[$(Test {
            name: stringify!($name),
            need: tests!(@need $($need)?),
            body: || Box::pin($name()),
        }),*]
    };
    (@need) => { Need::Nothing };
    (@need $need:ident) => { Need::$need };
}

fn main() -> ExitCode {
    harness::run(tests![
        pods_reach_each_other_and_a_service_of_theirs,
        segments_are_large_while_all_they_reach_is_this_node,
        a_pod_cannot_send_from_an_address_that_is_not_its_own,
        attaching_is_quick_and_detaching_leaves_no_interface,
        a_restarted_agent_finds_pods_and_node_namespace_again,
        a_node_port_is_served_in_the_host_namespace,
        a_pod_behind_a_service_sees_its_clients_address,
        outbound_tcp_and_udp_leave_through_sockets_of_the_host,
        a_flood_of_outbound_datagrams_from_one_pod_leaves_room_for_others,
        pods_are_kept_from_the_hosts_loopback_and_that_of_others,
        udp_services_answer_from_the_service_address,
        a_service_without_backends_is_refused_at_once,
        the_kernel_carries_what_pods_of_the_node_have_between_them,
        a_connection_the_kernel_gave_to_the_wrong_backend_gets_another_one,
        backends_that_keep_silent_or_reset_lose_their_turns,
        datagrams_the_kernel_carries_go_on_elsewhere_when_nobody_listens,
        what_a_policy_forbids_is_refused_at_once_by_services_too,
        cluster_names_resolve_from_a_pod,
        names_of_the_world_are_asked_of_the_hosts_name_servers,
        destroying_leaves_nothing_behind,
        pods_reach_each_other_and_a_service_in_both_families,
        a_pod_has_no_other_ipv6_address_than_its_own,
        outbound_ipv6_is_carried_by_sockets_as_soon_as_the_host_has_a_way,
        as_root_outbound_ipv6_is_carried_by_sockets_too needs Root,
        an_idle_node_uses_no_cpu_time,
        as_root_the_kernel_masquerades_and_leaves_the_host_as_it_was needs Root,
        pasta_carries_what_leaves_and_is_started_again needs Pasta,
    ])
}

fn config(dir: &Path) -> Config {
    Config {
        dir: dir.to_owned(),
        cluster_cidr: "10.42.0.0/16".parse().unwrap(),
        pod_cidr: "10.42.3.0/24".parse().unwrap(),
        service_cidr: "10.43.0.0/16".parse().unwrap(),
        rootless: true,
        egress: None,
    }
}

struct Pod {
    namespace: Arc<Namespace>,
    address: Ipv4Addr,
}

async fn pod(network: &PodNetwork, uid: &str) -> Result<Pod> {
    let namespace = Namespace::create(uid)?;
    let address = network
        .attach(uid, namespace.as_fd().try_clone_to_owned()?)
        .await?
        .v4;
    Ok(Pod { namespace, address })
}

impl Pod {
    /// Answers each connection with the name given and the caller's address, then echoes.
    async fn serve_tcp(&self, port: u16, name: &'static str) -> Result<JoinHandle<()>> {
        let listener = self
            .namespace
            .tcp_listener(SocketAddr::from((self.address, port)))
            .await?;
        Ok(greet(TcpListener::from_std(listener)?, name))
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        timeout(Duration::from_secs(5), self.namespace.tcp_connect(to, None)).await?
    }

    async fn udp(&self, port: u16) -> Result<UdpSocket> {
        let socket = self
            .namespace
            .udp_socket(SocketAddr::from((self.address, port)))
            .await?;
        Ok(UdpSocket::from_std(socket)?)
    }
}

fn greet(listener: TcpListener, name: &'static str) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Ok((mut stream, client)) = listener.accept().await {
            tokio::spawn(async move {
                stream
                    .write_all(format!("{name} {}\n", client.ip()).as_bytes())
                    .await?;
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    })
}

/// What a server of [`greet`] says first.
async fn greeting(stream: &mut TcpStream) -> Result<String> {
    let mut text = Vec::new();
    loop {
        match timeout(Duration::from_secs(5), stream.read_u8()).await?? {
            b'\n' => return Ok(String::from_utf8(text)?),
            byte => text.push(byte),
        }
    }
}

fn echo_udp(socket: UdpSocket, name: &'static str) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut buffer = vec![0; 2048];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            let answer = [name.as_bytes(), b" ", &buffer[..length]].concat();
            let _ = socket.send_to(&answer, client).await;
        }
    })
}

async fn ask_udp(socket: &UdpSocket, to: SocketAddr, text: &str) -> Result<String> {
    socket.send_to(text.as_bytes(), to).await?;
    let mut buffer = vec![0; 2048];
    let (length, from) = timeout(Duration::from_secs(5), socket.recv_from(&mut buffer)).await??;
    ensure!(from == to, "answer from {from} instead of {to}");
    Ok(String::from_utf8(buffer[..length].to_vec())?)
}

fn service(name: &str, address: &str, protocol: Protocol, port: u16, backends: &[SocketAddr]) -> Service {
    let backends = backends
        .iter()
        .map(|&address| Backend {
            address,
            terminating: false,
        })
        .collect();
    Service {
        name: name.into(),
        addresses: vec![address.parse().unwrap()],
        ports: vec![Port {
            name: String::new(),
            protocol,
            port,
            node_port: None,
            backends,
        }],
        affinity: None,
        host_addresses: Vec::new(),
        external: Vec::new(),
    }
}

fn proxy_of(network: &Arc<PodNetwork>) -> Proxy {
    Proxy::start(proxy::Config {
        node: network.node(),
        host: network.host(),
        dialer: Arc::clone(network) as Arc<dyn proxy::Dialer>,
        translator: network
            .translation()
            .map(|translation| translation as Arc<dyn proxy::Translator>),
    })
    .expect("threads for the proxy")
}

async fn pods_reach_each_other_and_a_service_of_theirs() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    let (one, two) = (pod(&network, "one").await?, pod(&network, "two").await?);
    one.serve_tcp(80, "one").await?;
    two.serve_tcp(80, "two").await?;
    let direct = greeting(&mut one.connect((two.address, 80).into()).await?).await?;
    ensure!(
        direct == format!("two {}", one.address),
        "{direct}: a pod is seen with its own address"
    );
    let probe = greeting(&mut network.connect((two.address, 80).into()).await?).await?;
    ensure!(probe == format!("two {}", network.node_address().v4), "{probe}");

    let proxy = proxy_of(&network);
    let backends = [
        SocketAddr::from((one.address, 80)),
        SocketAddr::from((two.address, 80)),
    ];
    proxy
        .set(service(
            "default/web",
            "10.43.0.10",
            Protocol::Tcp,
            8080,
            &backends,
        ))
        .await?;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..8 {
        // From a backend itself too: the hairpin.
        let mut stream = one.connect("10.43.0.10:8080".parse()?).await?;
        let text = greeting(&mut stream).await?;
        stream.write_all(b"echo").await?;
        let mut echo = [0; 4];
        stream.read_exact(&mut echo).await?;
        ensure!(&echo == b"echo");
        seen.insert(text.split(' ').next().map(str::to_owned));
    }
    ensure!(seen.len() == 2, "{seen:?}");
    // From the node, as probes and the API server do.
    greeting(&mut network.connect("10.43.0.10:8080".parse()?).await?).await?;
    network.destroy().await?;
    Ok(())
}

/// Takes in what clients send and tells them how much it was and a sum over it.
fn swallow(listener: std::net::TcpListener) -> Result<()> {
    listener.set_nonblocking(false)?;
    std::thread::spawn(move || -> io::Result<()> {
        loop {
            let (mut stream, _) = listener.accept()?;
            let mut buffer = vec![0; 1024 * 1024];
            let mut all = Sum::default();
            loop {
                match stream.read(&mut buffer)? {
                    0 => break,
                    length => all.add(&buffer[..length]),
                }
            }
            write!(stream, "{} {:x}", all.length, all.hash)?;
        }
    });
    Ok(())
}

/// Of bytes in their order.
#[derive(Default)]
struct Sum {
    length: u64,
    hash: u64,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = self.hash.rotate_left(5) ^ u64::from(*byte);
        }
        self.length += bytes.len() as u64;
    }
}

/// Packets and bytes the calling thread's namespace has sent by `eth0`.
fn sent_by_eth0() -> Result<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev")?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix("eth0:"));
    let fields: Vec<u64> = line
        .context("eth0")?
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok((fields[9], fields[8]))
}

/// Sends much to a server of [`swallow`]; returns the size of the average packet.
async fn send_much(from: &Pod, to: SocketAddr) -> Result<u64> {
    let before = from.namespace.run(sent_by_eth0).await??;
    let stream = from.connect(to).await?.into_std()?;
    stream.set_nonblocking(false)?;
    let sent = tokio::task::spawn_blocking(move || -> Result<()> {
        let mut stream = stream;
        let bytes: Vec<u8> = (0..1_u32 << 20).map(|at| (at ^ (at >> 7)) as u8).collect();
        let mut all = Sum::default();
        for number in 0..32 {
            let part = &bytes[number..];
            stream.write_all(part)?;
            all.add(part);
        }
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let expected = format!("{} {:x}", all.length, all.hash);
        ensure!(answer == expected, "{answer} arrived, {expected} was sent");
        Ok(())
    });
    timeout(Duration::from_secs(30), sent).await???;
    let after = from.namespace.run(sent_by_eth0).await??;
    Ok((after.1 - before.1) / (after.0 - before.0))
}

/// A segment as large as IPv4 allows without the kernel's help, with its headers.
const USUAL_SEGMENT: u64 = 65_536 + 14;

async fn segments_are_large_while_all_they_reach_is_this_node() -> Result<()> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let version: Vec<u32> = release
        .split('.')
        .take(2)
        .map_while(|word| word.parse().ok())
        .collect();
    if version < vec![6, 3] {
        println!("Linux {} knows no large segments", release.trim());
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    give_host_an_address(&network).await?;
    let (client, server) = (pod(&network, "client").await?, pod(&network, "server").await?);
    let backend = SocketAddr::from((server.address, 80));
    swallow(server.namespace.tcp_listener(backend).await?)?;
    let world = std::net::TcpListener::bind((HOST, 0))?;
    let outside = world.local_addr()?;
    swallow(world)?;
    let proxy = proxy_of(&network);
    let web = service("web", "10.43.0.7", Protocol::Tcp, 80, &[backend]);
    proxy.set(web).await?;
    let ways = [backend, "10.43.0.7:80".parse()?, outside];
    for to in ways {
        let size = send_much(&client, to).await?;
        ensure!(size > USUAL_SEGMENT, "to {to}: {size}");
    }

    // What goes to another node is cut before the tunnel: better by the sender.
    let socket = std::net::UdpSocket::bind((HOST, 0))?;
    network.open_tunnel(socket, [7; 32], Ipv4Addr::LOCALHOST).await?;
    let peer = skiff_pod_network::Peer {
        name: "other".into(),
        key: skiff_pod_network::public_key([8; 32]),
        endpoint: (HOST, 9).into(),
        range: "10.42.4.0/24".parse()?,
    };
    network.set_peers(&[peer]).await?;
    let late = pod(&network, "late").await?;
    for pod in [&client, &late] {
        for to in ways {
            let size = send_much(pod, to).await?;
            ensure!(size <= USUAL_SEGMENT, "to {to} with another node: {size}");
        }
    }
    network.set_peers(&[]).await?;
    let size = send_much(&late, ways[1]).await?;
    ensure!(size > USUAL_SEGMENT, "alone again: {size}");
    network.destroy().await?;
    Ok(())
}

async fn a_pod_cannot_send_from_an_address_that_is_not_its_own() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    let (liar, victim, target) = (
        pod(&network, "liar").await?,
        pod(&network, "victim").await?,
        pod(&network, "target").await?,
    );
    let socket = target.udp(9).await?;
    let forged = SocketAddr::from((victim.address, 0));
    let forger = liar
        .namespace
        .run(move || {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
            socket.set_ip_transparent_v4(true)?;
            socket.bind(&forged.into())?;
            io::Result::Ok(std::net::UdpSocket::from(socket))
        })
        .await??;
    forger.send_to(b"forged", (target.address, 9))?;
    liar.udp(0).await?.send_to(b"honest", (target.address, 9)).await?;
    let mut buffer = [0; 16];
    let (length, from) = timeout(Duration::from_secs(5), socket.recv_from(&mut buffer)).await??;
    ensure!(
        &buffer[..length] == b"honest" && from.ip() == liar.address,
        "{from}"
    );
    network.destroy().await?;
    Ok(())
}

async fn attaching_is_quick_and_detaching_leaves_no_interface() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    let mut times = Vec::new();
    let mut namespaces = Vec::new();
    for number in 0..40 {
        let uid = format!("pod-{number}");
        let namespace = Namespace::create(&uid)?;
        let started = Instant::now();
        network
            .attach(&uid, namespace.as_fd().try_clone_to_owned()?)
            .await?;
        times.push(started.elapsed());
        namespaces.push(namespace);
    }
    times.sort();
    println!(
        "attach: median {:?}, worst {:?}",
        times[times.len() / 2],
        times[times.len() - 1]
    );
    let interfaces = || async {
        let text = network
            .node()
            .run(|| std::fs::read_to_string("/proc/thread-self/net/dev"))
            .await??;
        anyhow::Ok(text.lines().filter(|line| line.contains("veth")).count())
    };
    ensure!(interfaces().await? == 40);
    network.retain(&["pod-7".to_owned()]).await?;
    ensure!(interfaces().await? == 1);
    let (left, gone): (Vec<_>, Vec<_>) = (0..40)
        .map(|number| (number, format!("pod-{number}")))
        .partition(|(number, _)| *number == 7);
    ensure!(left.len() == 1 && gone.len() == 39);
    let started = Instant::now();
    network.detach("pod-7").await?;
    println!("detach: {:?}", started.elapsed());
    network.detach("pod-7").await?;
    ensure!(interfaces().await? == 0);
    network.destroy().await?;
    Ok(())
}

async fn a_restarted_agent_finds_pods_and_node_namespace_again() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    let (one, two) = (pod(&network, "one").await?, pod(&network, "two").await?);
    one.serve_tcp(80, "one").await?;
    let identity =
        |network: &PodNetwork| -> Result<u64> { Ok(nix::sys::stat::fstat(network.node().as_fd())?.st_ino) };
    let before = identity(&network)?;
    // An established connection between pods, which the restart must not touch.
    let mut stream = two.connect((one.address, 80).into()).await?;
    greeting(&mut stream).await?;
    drop(network);

    let network = PodNetwork::start(config(dir.path())).await?;
    ensure!(identity(&network)? == before, "the same namespace");
    ensure!(
        network.pod(one.address.into()).is_none(),
        "known only once attached again"
    );
    let again = network
        .attach("one", one.namespace.as_fd().try_clone_to_owned()?)
        .await?;
    ensure!(again.v4 == one.address);
    stream.write_all(b"x").await?;
    ensure!(timeout(Duration::from_secs(5), stream.read_u8()).await?? == b'x');
    let three = pod(&network, "three").await?;
    ensure!(three.address != two.address && three.address != one.address);

    // A pod made anew under its old name: its old interface is in the way.
    let renewed = pod(&network, "two").await?;
    ensure!(renewed.address == two.address);
    greeting(&mut renewed.connect((one.address, 80).into()).await?).await?;
    network.destroy().await?;
    Ok(())
}

async fn a_node_port_is_served_in_the_host_namespace() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    let one = pod(&network, "one").await?;
    one.serve_tcp(80, "one").await?;
    loopback_up(&network.host()).await?;
    let proxy = proxy_of(&network);
    let mut web = service(
        "default/web",
        "10.43.0.10",
        Protocol::Tcp,
        80,
        &[(one.address, 80).into()],
    );
    web.ports[0].node_port = Some(30080);
    proxy.set(web.clone()).await?;
    for address in ["127.0.0.1:30080", "[::1]:30080"] {
        let mut stream = TcpStream::connect(address).await.context(address)?;
        ensure!(greeting(&mut stream).await?.starts_with("one "));
    }
    web.ports[0].node_port = None;
    proxy.set(web).await?;
    let refused = TcpStream::connect("127.0.0.1:30080").await.unwrap_err();
    ensure!(refused.kind() == io::ErrorKind::ConnectionRefused);

    let answers = one.udp(53).await?;
    echo_udp(answers, "one");
    let mut dns = service(
        "default/dns",
        "10.43.0.11",
        Protocol::Udp,
        53,
        &[(one.address, 53).into()],
    );
    dns.ports[0].node_port = Some(30053);
    proxy.set(dns).await?;
    let client = UdpSocket::bind("0.0.0.0:0").await?;
    let other_address = "127.9.9.9:30053".parse()?;
    ensure!(ask_udp(&client, other_address, "hello").await? == "one hello");
    network.destroy().await?;
    Ok(())
}

/// The world outside: a namespace of its own, behind a veth pair of the host. The test's "host" namespace has no other
/// interface.
const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

async fn a_pod_behind_a_service_sees_its_clients_address() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    let host_address = IpAddr::from([192, 0, 2, 1]);
    give_host_an_address(&network).await?;
    let (client, server) = (pod(&network, "client").await?, pod(&network, "server").await?);
    let listener = server
        .namespace
        .tcp_listener(SocketAddr::from((server.address, 80)))
        .await?;
    let listener = TcpListener::from_std(listener)?;
    let proxy = proxy_of(&network);
    let backend = SocketAddr::from((server.address, 80));
    let mut web = service("web", "10.43.0.7", Protocol::Tcp, 80, &[backend]);
    web.ports[0].node_port = Some(30080);
    proxy.set(web).await?;
    let listener = &listener;
    let exchange = |mut near: TcpStream| async move {
        let (mut far, from) = timeout(SOON, listener.accept()).await??;
        // Bytes come back too, and the end of both sides.
        near.write_all(b"hello").await?;
        near.shutdown().await?;
        let mut text = String::new();
        timeout(SOON, far.read_to_string(&mut text)).await??;
        far.write_all(text.as_bytes()).await?;
        drop(far);
        let mut answer = String::new();
        timeout(SOON, near.read_to_string(&mut answer)).await??;
        ensure!(answer == "hello", "{answer:?}");
        Ok(from.ip())
    };
    let to = "10.43.0.7:80".parse()?;
    let seen = exchange(timeout(SOON, client.connect(to)).await??).await?;
    ensure!(seen == IpAddr::V4(client.address), "{seen}");
    // A pod that is its own backend, and the node, whose address means the pod's own neighbour.
    let seen = exchange(timeout(SOON, server.connect(to)).await??).await?;
    ensure!(seen == IpAddr::V4(server.address), "{seen}");
    let seen = exchange(timeout(SOON, network.connect(to)).await??).await?;
    ensure!(
        seen == IpAddr::V4(network.node_address().v4) || to.ip() == seen,
        "{seen}"
    );
    let node_port = SocketAddr::new(host_address, 30080);
    let from_host = timeout(SOON, network.host().tcp_connect(node_port, None)).await??;
    let seen = exchange(from_host).await?;
    ensure!(seen == host_address, "{seen}");
    Ok(())
}

/// A host with an address that is not a loopback one; pods take it for the world.
async fn give_host_an_address(network: &PodNetwork) -> Result<()> {
    loopback_up(&network.host()).await?;
    let status = network
        .host()
        .run(|| {
            std::process::Command::new("ip")
                .args(["address", "add", "192.0.2.1/32", "dev", "lo"])
                .status()
        })
        .await??;
    ensure!(status.success(), "ip address add");
    Ok(())
}

async fn loopback_up(namespace: &Namespace) -> Result<()> {
    let status = namespace
        .run(|| {
            std::process::Command::new("ip")
                .args(["link", "set", "lo", "up"])
                .status()
        })
        .await??;
    ensure!(status.success(), "ip link set lo up");
    Ok(())
}

async fn outbound_tcp_and_udp_leave_through_sockets_of_the_host() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    give_host_an_address(&network).await?;
    outbound_works(&network).await?;
    network.destroy().await?;
    Ok(())
}

async fn outbound_works(network: &PodNetwork) -> Result<()> {
    let one = pod(network, "one").await?;
    let listener = TcpListener::bind((HOST, 0)).await?;
    let to = listener.local_addr()?;
    greet(listener, "world");
    let mut stream = one.connect(to).await?;
    ensure!(greeting(&mut stream).await?.starts_with("world "));
    stream.write_all(b"echo").await?;
    let mut echo = [0; 4];
    timeout(SOON, stream.read_exact(&mut echo)).await??;
    ensure!(echo == *b"echo", "{echo:?}");
    // pasta of 2023 does not tell the end of what comes to who has told the end of what goes, and not that nobody listens.
    let is_exact = network.egress() != EgressWay::Pasta;
    if is_exact {
        stream.shutdown().await?;
        ensure!(timeout(SOON, stream.read(&mut echo)).await?? == 0);
    }

    let socket = UdpSocket::bind((HOST, 0)).await?;
    let to = socket.local_addr()?;
    echo_udp(socket, "world");
    let client = one.udp(0).await?;
    let second = one.udp(0).await?;
    for round in 0..5 {
        let text = format!("datagram {round}");
        for socket in [&client, &second] {
            let answer = ask_udp(socket, to, &text).await.context("UDP")?;
            ensure!(answer == format!("world {text}"));
        }
    }
    if !is_exact {
        return Ok(());
    }
    // Nobody there: the connection ends at once, one way or the other.
    let nobody = SocketAddr::from((HOST, 1));
    let ended = [io::ErrorKind::ConnectionRefused, io::ErrorKind::ConnectionReset];
    match one.connect(nobody).await {
        // The reset may overtake the answer to the connect.
        Err(error) => ensure!(ended.contains(&error.kind()), "connecting to nobody: {error}"),
        Ok(mut stream) => {
            let read = timeout(Duration::from_secs(5), stream.read_u8()).await;
            let error = read.context("a connection to nobody goes on")?.unwrap_err();
            ensure!(error.kind() == io::ErrorKind::ConnectionReset, "{error}");
        }
    }
    Ok(())
}

async fn a_flood_of_outbound_datagrams_from_one_pod_leaves_room_for_others() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    give_host_an_address(&network).await?;
    let (flooder, other) = (pod(&network, "flooder").await?, pod(&network, "other").await?);
    let server = UdpSocket::bind((HOST, 0)).await?;
    let to = server.local_addr()?;
    echo_udp(server, "world");
    // Each socket is a flow, until the pod may have no more of them.
    let mut sockets = Vec::new();
    loop {
        ensure!(sockets.len() < 3000, "no limit");
        let socket = flooder.udp(0).await?;
        socket.send_to(b"flood", to).await?;
        let mut answer = [0; 64];
        let patience = Duration::from_millis(if sockets.len() < 1000 { 5000 } else { 500 });
        if timeout(patience, socket.recv(&mut answer)).await.is_err() {
            break;
        }
        sockets.push(socket);
    }
    ensure!(sockets.len() >= 1000, "{} flows", sockets.len());
    let client = other.udp(0).await?;
    ensure!(ask_udp(&client, to, "hello").await? == "world hello");
    // And those that it has go on.
    ensure!(ask_udp(&sockets[0], to, "again").await? == "world again");
    network.destroy().await?;
    Ok(())
}

async fn pods_are_kept_from_the_hosts_loopback_and_that_of_others() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    loopback_up(&network.host()).await?;
    let one = pod(&network, "one").await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    greet(listener, "secret");
    for address in [
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::UNSPECIFIED,
        skiff_pod_network::GATEWAY,
        network.node_address().v4,
    ] {
        let outcome = one.connect((address, port).into()).await;
        ensure!(outcome.is_err(), "{address}");
    }
    // What another pod has on its own loopback is not reached by its address, nor by a service of that.
    let two = pod(&network, "two").await?;
    loopback_up(&two.namespace).await?;
    let own = two
        .namespace
        .tcp_listener((Ipv4Addr::LOCALHOST, 8080).into())
        .await?;
    greet(TcpListener::from_std(own)?, "private");
    let proxy = proxy_of(&network);
    let to: SocketAddr = "10.43.0.10:80".parse()?;
    let backend = [SocketAddr::from((two.address, 8080))];
    proxy
        .set(service("default/two", "10.43.0.10", Protocol::Tcp, 80, &backend))
        .await?;
    ensure!(
        one.connect(backend[0]).await.is_err(),
        "the loopback of another pod"
    );
    let reached = async { greeting(&mut one.connect(to).await?).await };
    ensure!(
        reached.await.is_err(),
        "the loopback of another pod, by a service"
    );
    // An address of the cluster that nobody has does not go out either.
    let started = Instant::now();
    for address in ["10.42.3.200:80", "10.42.77.1:80", "10.43.9.9:80"] {
        let error = one.connect(address.parse()?).await.unwrap_err();
        println!("{address}: {error}");
    }
    ensure!(started.elapsed() < Duration::from_secs(1), "refused at once");
    network.destroy().await?;
    Ok(())
}

async fn udp_services_answer_from_the_service_address() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    let (client, one, two) = (
        pod(&network, "client").await?,
        pod(&network, "one").await?,
        pod(&network, "two").await?,
    );
    let first = echo_udp(one.udp(53).await?, "one");
    echo_udp(two.udp(53).await?, "two");
    let proxy = proxy_of(&network);
    let address = "10.43.0.53:53".parse()?;
    let backends = [
        SocketAddr::from((one.address, 53)),
        SocketAddr::from((two.address, 53)),
    ];
    proxy
        .set(service(
            "kube-system/dns",
            "10.43.0.53",
            Protocol::Udp,
            53,
            &backends,
        ))
        .await?;
    let (left, right) = (client.udp(0).await?, client.udp(0).await?);
    let mut names = Vec::new();
    for socket in [&left, &right] {
        let name = ask_udp(socket, address, "a").await?;
        ensure!(
            ask_udp(socket, address, "a").await? == name,
            "a flow stays with its backend"
        );
        names.push(name);
    }
    names.sort();
    ensure!(names == ["one a", "two a"], "{names:?}");
    // A backend that leaves takes its flows along.
    proxy
        .set(service(
            "kube-system/dns",
            "10.43.0.53",
            Protocol::Udp,
            53,
            &backends[1..],
        ))
        .await?;
    first.abort();
    for socket in [&left, &right] {
        ensure!(ask_udp(socket, address, "b").await? == "two b");
    }
    proxy.remove("kube-system/dns").await;
    left.connect(address).await?;
    left.send(b"c").await?;
    let error = timeout(Duration::from_secs(5), left.recv(&mut [0; 8]))
        .await?
        .unwrap_err();
    ensure!(error.kind() == io::ErrorKind::ConnectionRefused, "{error}");
    network.destroy().await?;
    Ok(())
}

async fn a_service_without_backends_is_refused_at_once() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    let one = pod(&network, "one").await?;
    one.serve_tcp(80, "one").await?;
    let proxy = proxy_of(&network);
    let to = "10.43.0.10:80".parse()?;
    proxy
        .set(service(
            "default/web",
            "10.43.0.10",
            Protocol::Tcp,
            80,
            &[(one.address, 80).into()],
        ))
        .await?;
    let mut kept = one.connect(to).await?;
    greeting(&mut kept).await?;
    proxy
        .set(service("default/web", "10.43.0.10", Protocol::Tcp, 80, &[]))
        .await?;
    let started = Instant::now();
    let error = one.connect(to).await.unwrap_err();
    ensure!(error.kind() == io::ErrorKind::ConnectionRefused, "{error}");
    ensure!(started.elapsed() < Duration::from_millis(500));
    kept.write_all(b"y").await?;
    ensure!(kept.read_u8().await? == b'y', "established connections stay");
    network.destroy().await?;
    Ok(())
}

/// What the proxy has counted of its one service.
async fn counted(proxy: &Proxy) -> proxy::PortReport {
    proxy.report().await.remove(0)
}

async fn the_kernel_carries_what_pods_of_the_node_have_between_them() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    let (client, one, two) = (
        pod(&network, "client").await?,
        pod(&network, "one").await?,
        pod(&network, "two").await?,
    );
    let servers = [one.serve_tcp(80, "one").await?, two.serve_tcp(80, "two").await?];
    let backends = [&one, &two].map(|pod| SocketAddr::from((pod.address, 80)));
    let at: SocketAddr = "10.43.0.10:8080".parse()?;
    let proxy = proxy_of(&network);
    let set = |backends: &[SocketAddr]| {
        proxy.set(service(
            "default/web",
            "10.43.0.10",
            Protocol::Tcp,
            8080,
            backends,
        ))
    };
    set(&backends).await?;
    let mut streams = Vec::new();
    for turn in 0..10 {
        let mut stream = client.connect(at).await?;
        let text = greeting(&mut stream).await?;
        let expected = format!("{} {}", ["one", "two"][turn % 2], client.address);
        ensure!(
            text == expected,
            "{text}: in turns, from the client's own address"
        );
        streams.push(stream);
    }
    let report = counted(&proxy).await;
    ensure!(report.connections == 10 && report.in_flight == 10, "{report:?}");
    ensure!(
        report
            .backends
            .iter()
            .all(|backend| backend.connections == 5 && backend.in_flight == 5),
        "{report:?}"
    );
    ensure!(
        report.connect_p50.is_none(),
        "{report:?}: the proxy had none of them"
    );
    let sent = report.sent;
    ensure!((150..=250).contains(&sent), "{report:?}: ten greetings");
    streams[0].write_all(&[7; 5000]).await?;
    streams[0].read_exact(&mut [0; 5000]).await?;
    let report = counted(&proxy).await;
    ensure!(
        report.received.abs_diff(5000) < 100 && (report.sent - sent).abs_diff(5000) < 100,
        "{report:?}"
    );

    // Who loses its turns keeps its connections, and neither the proxy nor its end matters to them.
    set(&backends[1..]).await?;
    for _ in 0..4 {
        ensure!(greeting(&mut client.connect(at).await?).await?.starts_with("two"));
    }
    ensure!(counted(&proxy).await.connections == 14);
    drop(proxy);
    for stream in &mut streams {
        stream.write_all(b"still there").await?;
        timeout(Duration::from_secs(5), stream.read_exact(&mut [0; 11])).await??;
    }
    // The next agent begins with nothing, and connections pass.
    drop(network);
    let network = PodNetwork::start(config(dir.path())).await?;
    streams[3].write_all(b"still there").await?;
    timeout(Duration::from_secs(5), streams[3].read_exact(&mut [0; 11])).await??;
    for server in servers {
        server.abort();
    }
    network.destroy().await?;
    Ok(())
}

async fn a_connection_the_kernel_gave_to_the_wrong_backend_gets_another_one() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    let (client, sound, refusing) = (
        pod(&network, "client").await?,
        pod(&network, "sound").await?,
        pod(&network, "refusing").await?,
    );
    sound.serve_tcp(80, "sound").await?;
    let backends = [&refusing, &sound].map(|pod| SocketAddr::from((pod.address, 80)));
    let at: SocketAddr = "10.43.0.10:8080".parse()?;
    let proxy = proxy_of(&network);
    let web = |backends: &[SocketAddr]| service("default/web", "10.43.0.10", Protocol::Tcp, 8080, backends);
    proxy.set(web(&backends)).await?;
    let begun = Instant::now();
    for _ in 0..6 {
        let mut stream = client.connect(at).await?;
        ensure!(greeting(&mut stream).await?.starts_with("sound"));
        // Without the options of its own first packet it carries much all the same.
        stream.write_all(&[1; 100_000]).await?;
        timeout(Duration::from_secs(5), stream.read_exact(&mut vec![0; 100_000])).await??;
    }
    ensure!(
        begun.elapsed() < Duration::from_millis(900),
        "{:?}: nobody waits for a client's second try",
        begun.elapsed()
    );
    let report = counted(&proxy).await;
    ensure!(report.retries >= 1 && report.failures == 0, "{report:?}");
    ensure!(report.backends[0].failing, "{report:?}");

    // It listens again, and gets turns once the proxy has seen it.
    refusing.serve_tcp(80, "refusing").await?;
    let both = async {
        loop {
            let before = counted(&proxy).await.backends[0].connections;
            for _ in 0..8 {
                greeting(&mut client.connect(at).await?).await?;
            }
            let report = counted(&proxy).await;
            if report.backends[0].connections == before + 4 && !report.backends[0].failing {
                return anyhow::Ok(());
            }
        }
    };
    timeout(Duration::from_secs(10), both).await??;

    // Alone, it is refused at once.
    let nobody = pod(&network, "nobody").await?;
    proxy.set(web(&[(nobody.address, 80).into()])).await?;
    for _ in 0..2 {
        let begun = Instant::now();
        let refused = client.connect(at).await.map(drop).map_err(|error| error.kind());
        ensure!(
            refused == Err(io::ErrorKind::ConnectionRefused) || refused == Ok(()),
            "{refused:?}"
        );
        ensure!(
            begun.elapsed() < Duration::from_millis(900),
            "{:?}",
            begun.elapsed()
        );
    }
    network.destroy().await?;
    Ok(())
}

async fn backends_that_keep_silent_or_reset_lose_their_turns() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    let (client, sound, bad) = (
        pod(&network, "client").await?,
        pod(&network, "sound").await?,
        pod(&network, "bad").await?,
    );
    sound.serve_tcp(80, "sound").await?;
    let silent_at = SocketAddr::from((bad.address, 80));
    // Room for one connection that nobody accepts; what comes after is not answered.
    let full = bad.namespace.run(move || -> io::Result<_> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.bind(&silent_at.into())?;
        socket.listen(0)?;
        Ok(socket)
    });
    let _full = full.await??;
    let _waits = client.connect(silent_at).await?;
    let at: SocketAddr = "10.43.0.10:8080".parse()?;
    let proxy = proxy_of(&network);
    let web = |bad: SocketAddr| {
        let backends = [bad, (sound.address, 80).into()];
        service("default/web", "10.43.0.10", Protocol::Tcp, 8080, &backends)
    };
    proxy.set(web(silent_at)).await?;
    let begun = Instant::now();
    for _ in 0..6 {
        ensure!(
            greeting(&mut client.connect(at).await?)
                .await?
                .starts_with("sound")
        );
    }
    // A client asks again after a second, and after two more.
    ensure!(
        begun.elapsed() < Duration::from_millis(2500),
        "{:?}",
        begun.elapsed()
    );
    ensure!(
        counted(&proxy).await.backends[0].failing,
        "{:?}",
        counted(&proxy).await
    );

    let resetting_at = SocketAddr::from((bad.address, 81));
    let resetting = TcpListener::from_std(bad.namespace.tcp_listener(resetting_at).await?)?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = resetting.accept().await {
            let _ = stream.read_u8().await;
            let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
    });
    proxy.set(web(resetting_at)).await?;
    let passed_over = async {
        loop {
            let mut stream = client.connect(at).await?;
            stream.write_all(b"x").await?;
            let _ = greeting(&mut stream).await;
            if counted(&proxy).await.backends[0].failing {
                return anyhow::Ok(());
            }
        }
    };
    timeout(Duration::from_secs(5), passed_over).await??;
    network.destroy().await?;
    Ok(())
}

async fn datagrams_the_kernel_carries_go_on_elsewhere_when_nobody_listens() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    let (client, sound, leaving) = (
        pod(&network, "client").await?,
        pod(&network, "sound").await?,
        pod(&network, "leaving").await?,
    );
    echo_udp(sound.udp(53).await?, "sound");
    let server = echo_udp(leaving.udp(53).await?, "leaving");
    let backends = [&leaving, &sound].map(|pod| SocketAddr::from((pod.address, 53)));
    let at: SocketAddr = "10.43.0.10:53".parse()?;
    let proxy = proxy_of(&network);
    let set = |backends: &[SocketAddr]| {
        proxy.set(service(
            "default/names",
            "10.43.0.10",
            Protocol::Udp,
            53,
            backends,
        ))
    };
    set(&backends).await?;
    let mut flows = Vec::new();
    for number in 0..4_u16 {
        let socket = client.udp(10_000 + number).await?;
        let who = ask_udp(&socket, at, "hello").await?;
        // A flow stays where it is.
        ensure!(ask_udp(&socket, at, "hello").await? == who);
        flows.push((socket, who));
    }
    let of_leaving = flows.iter().filter(|(_, who)| who.starts_with("leaving")).count();
    ensure!(of_leaving == 2, "{flows:?}");
    // A flood from one pod has an end, and others are served.
    for number in 0..1500_u16 {
        client.udp(20_000 + number).await?.send_to(b"flood", at).await?;
    }
    let flooded = counted(&proxy).await.connections;
    ensure!((1000..=1100).contains(&flooded), "{flooded} flows of one client");
    let other = pod(&network, "other").await?;
    ask_udp(&other.udp(10_000).await?, at, "hello").await?;
    // It ends: the next datagram is refused, the one after that finds another backend.
    server.abort();
    let _ = server.await;
    for (socket, who) in &flows {
        if who.starts_with("leaving") {
            socket.send_to(b"lost", at).await?;
            let moved = async {
                while counted(&proxy)
                    .await
                    .backends
                    .iter()
                    .all(|backend| !backend.failing)
                {
                    tokio::task::yield_now().await;
                }
            };
            timeout(Duration::from_secs(5), moved).await?;
            break;
        }
    }
    for (socket, _) in &flows[..2] {
        let answered = async {
            loop {
                socket.send_to(b"again", at).await?;
                let mut buffer = [0; 64];
                // The error about the lost one comes first.
                let answer = timeout(Duration::from_millis(300), socket.recv_from(&mut buffer)).await;
                if let Ok(Ok((length, _))) = answer {
                    return anyhow::Ok(buffer[..length].to_vec());
                }
            }
        };
        let answer = timeout(Duration::from_secs(5), answered).await??;
        ensure!(answer == b"sound again", "{:?}", String::from_utf8_lossy(&answer));
    }
    // One that is no backend any more has no flows either, as long as it may live.
    let server = echo_udp(leaving.udp(53).await?, "leaving");
    set(&backends[1..]).await?;
    for (socket, _) in &flows {
        let answer = ask_udp(socket, at, "where").await?;
        ensure!(answer == "sound where", "{answer}");
    }
    server.abort();
    network.destroy().await?;
    Ok(())
}

async fn what_a_policy_forbids_is_refused_at_once_by_services_too() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    let (client, server) = (pod(&network, "client").await?, pod(&network, "server").await?);
    server.serve_tcp(80, "server").await?;
    let at: SocketAddr = "10.43.0.10:8080".parse()?;
    let proxy = proxy_of(&network);
    let backend = SocketAddr::from((server.address, 80));
    proxy
        .set(service(
            "default/web",
            "10.43.0.10",
            Protocol::Tcp,
            8080,
            &[backend],
        ))
        .await?;
    let mut before = client.connect(at).await?;
    greeting(&mut before).await?;
    let closed = skiff_pod_network::policy::PodRules {
        ingress: Some(Vec::new()),
        egress: None,
    };
    network
        .set_rules([(server.address.into(), closed)].into())
        .await?;
    let begun = Instant::now();
    let refused = client.connect(at).await.map(drop).map_err(|error| error.kind());
    ensure!(refused == Err(io::ErrorKind::ConnectionRefused), "{refused:?}");
    ensure!(
        begun.elapsed() < Duration::from_millis(900),
        "{:?}",
        begun.elapsed()
    );
    // What was open is, and the backend is not to blame.
    before.write_all(b"x").await?;
    ensure!(timeout(Duration::from_secs(5), before.read_u8()).await?? == b'x');
    network.set_rules(Default::default()).await?;
    greeting(&mut client.connect(at).await?).await?;
    network.destroy().await?;
    Ok(())
}

async fn cluster_names_resolve_from_a_pod() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    let one = pod(&network, "one").await?;
    let dns = Dns::start(proxy::dns::Config {
        domain: "cluster.local".into(),
        listen: "10.43.0.2:53".parse()?,
        node: network.node(),
        upstream: network.host(),
        resolv_conf: dir.path().join("resolv.conf"),
    })
    .await?;
    let record = ServiceRecord {
        addresses: vec![IpAddr::from([10, 43, 0, 10])],
        ..ServiceRecord::default()
    };
    dns.set("default/web", Some(record));
    let socket = one.udp(0).await?;
    socket.connect("10.43.0.2:53").await?;
    let question = question(7, &["web", "default", "svc", "cluster", "local"]);
    socket.send(&question).await?;
    let mut buffer = [0; 512];
    let length = timeout(Duration::from_secs(5), socket.recv(&mut buffer)).await??;
    ensure!(buffer[..2] == question[..2] && buffer[3] & 0x0f == 0, "no error");
    ensure!(
        buffer[..length].ends_with(&[10, 43, 0, 10]),
        "{:?}",
        &buffer[..length]
    );
    network.destroy().await?;
    Ok(())
}

/// A question for an A record, on the wire.
fn question(id: u16, labels: &[&str]) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in labels {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

async fn destroying_leaves_nothing_behind() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo");
    let before = mounts()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    let one = pod(&network, "one").await?;
    ensure!(mounts()? != before, "the node namespace is kept by a mount");
    network.destroy().await?;
    network.destroy().await?;
    ensure!(mounts()? == before);
    ensure!(std::fs::read_dir(dir.path())?.next().is_none(), "no file is left");
    let inside = one
        .namespace
        .run(|| std::fs::read_to_string("/proc/thread-self/net/dev"))
        .await??;
    ensure!(!inside.contains("eth0"), "the pod's interface is gone too");
    Ok(())
}

async fn as_root_the_kernel_masquerades_and_leaves_the_host_as_it_was() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let state = || -> Result<(String, usize)> {
        let forwarding = std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward")?;
        let interfaces = std::fs::read_to_string("/proc/thread-self/net/dev")?
            .lines()
            .count();
        Ok((forwarding, interfaces))
    };
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "0")?;
    let (forwarding, interfaces) = state()?;
    let network = PodNetwork::start(Config {
        rootless: false,
        ..config(dir.path())
    })
    .await?;
    ensure!(
        state()? == ("1\n".to_owned(), interfaces + 1),
        "one interface, and forwarding"
    );
    give_host_an_address(&network).await?;
    outbound_works(&network).await?;
    drop(network);
    // The next agent takes over, and knows still what was before.
    let network = PodNetwork::start(Config {
        rootless: false,
        ..config(dir.path())
    })
    .await?;
    ensure!(state()?.1 == interfaces + 1);
    outbound_works(&network).await?;
    // A second network on the same host comes and the first one goes: forwarding stays until both are gone.
    let other_dir = tempfile::tempdir()?;
    let other = PodNetwork::start(Config {
        rootless: false,
        ..config(other_dir.path())
    })
    .await?;
    network.destroy().await?;
    ensure!(state()? == ("1\n".to_owned(), interfaces + 1));
    outbound_works(&other).await?;
    other.destroy().await?;
    ensure!(state()? == (forwarding, interfaces));
    let tables = std::process::Command::new("nft")
        .args(["list", "tables"])
        .output();
    if let Ok(tables) = tables {
        ensure!(!String::from_utf8_lossy(&tables.stdout).contains("skiff"));
    }
    Ok(())
}

/// The pasta that this process has started.
fn pasta() -> Result<rustix::process::Pid> {
    let children = std::fs::read_dir("/proc")?.flatten().filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let parent: u32 = rest.split_whitespace().nth(1)?.parse().ok()?;
        let is_it = (name.starts_with("pasta") || name.starts_with("passt")) && parent == std::process::id();
        is_it.then(|| entry.file_name().to_str()?.parse().ok())?
    });
    let mut children = children.filter_map(rustix::process::Pid::from_raw);
    children.next().context("pasta runs")
}

async fn pasta_carries_what_leaves_and_is_started_again() -> Result<()> {
    let dir = tempfile::tempdir()?;
    // It wants to see a way to the world.
    let script = "ip link set lo up && ip link add world type veth peer name far && ip link set far up && ip link set world up \
        && ip address add 192.0.2.1/24 dev world && ip route add default via 192.0.2.254";
    let made = std::process::Command::new("sh").args(["-c", script]).status()?;
    ensure!(made.success(), "an interface of the host");
    let config = Config {
        egress: Some(EgressWay::Pasta),
        ..config(dir.path())
    };
    let network = PodNetwork::start(config.clone()).await?;
    ensure!(network.egress() == EgressWay::Pasta);
    outbound_works(&network).await?;
    // A name, asked of a server of the world.
    let one = pod(&network, "one").await?;
    name_server(UdpSocket::bind((HOST, 53)).await?);
    let client = one.udp(0).await?;
    client.connect((HOST, 53)).await?;
    client.send(&question(1, &["example", "org"])).await?;
    let mut answer = [0; 512];
    let length = timeout(SOON, client.recv(&mut answer)).await.context("DNS")??;
    ensure!(answer[..length].ends_with(&[192, 0, 2, 7]));
    // The host's loopback is nobody's business.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    greet(listener, "host");
    for address in [[127, 0, 0, 1], [169, 254, 1, 1]] {
        let reached = timeout(
            Duration::from_secs(1),
            one.namespace.tcp_connect((address, port).into(), None),
        );
        ensure!(
            !matches!(reached.await, Ok(Ok(_))),
            "{address:?} leads to the host"
        );
    }

    let first = pasta()?;
    rustix::process::kill_process(first, rustix::process::Signal::KILL)?;
    let end = Instant::now() + SOON;
    while let Err(error) = outbound_works(&network).await {
        ensure!(Instant::now() < end, "not started again: {error:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(pasta()? != first);
    drop(network);
    // Another way, on what that one has left.
    let network = PodNetwork::start(Config {
        egress: None,
        ..config
    })
    .await?;
    ensure!(network.egress() == EgressWay::Sockets);
    outbound_works(&network).await?;
    network.destroy().await?;
    ensure!(pasta().is_err(), "pasta outlives its network");
    Ok(())
}

/// A name server that knows every name: 192.0.2.7, for a minute.
fn name_server(socket: UdpSocket) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((_, client)) = socket.recv_from(&mut buffer).await {
            let name = buffer[12..].iter().position(|&byte| byte == 0).unwrap_or(0);
            let mut answer = buffer[..12 + name + 5].to_vec();
            answer[2] |= 0x80;
            answer[4..12].copy_from_slice(&[0, 1, 0, 1, 0, 0, 0, 0]);
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
            let _ = socket.send_to(&answer, client).await;
        }
    })
}

async fn names_of_the_world_are_asked_of_the_hosts_name_servers() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    loopback_up(&network.host()).await?;
    let one = pod(&network, "one").await?;
    let resolv_conf = dir.path().join("resolv.conf");
    // The first server is dead, as happens; the second is on the host's loopback, as with systemd-resolved.
    std::fs::write(&resolv_conf, "nameserver 127.0.0.9\nnameserver 127.0.0.53\n")?;
    let server = name_server(UdpSocket::bind("127.0.0.53:53").await?);
    let dns = Dns::start(proxy::dns::Config {
        domain: "cluster.local".into(),
        listen: "10.43.0.2:53".parse()?,
        node: network.node(),
        upstream: network.host(),
        resolv_conf: resolv_conf.clone(),
    })
    .await?;
    let external = ServiceRecord {
        external_name: Some("www.example.org".into()),
        ..ServiceRecord::default()
    };
    dns.set("default/out", Some(external));
    let socket = one.udp(0).await?;
    socket.connect("10.43.0.2:53").await?;
    let ask = |labels: &'static [&'static str]| {
        let socket = &socket;
        async move {
            socket.send(&question(9, labels)).await?;
            let mut buffer = vec![0; 512];
            let length = timeout(Duration::from_secs(6), socket.recv(&mut buffer)).await??;
            buffer.truncate(length);
            anyhow::Ok(buffer)
        }
    };
    let started = Instant::now();
    let answer = ask(&["example", "org"]).await?;
    ensure!(
        answer[3] & 15 == 0 && answer[7] == 1 && answer.ends_with(&[192, 0, 2, 7]),
        "{answer:?}"
    );
    let alias = ask(&["out", "default", "svc", "cluster", "local"]).await?;
    ensure!(
        alias[7] == 2 && alias.ends_with(&[192, 0, 2, 7]),
        "the alias and its address: {alias:?}"
    );
    ensure!(
        started.elapsed() < Duration::from_secs(1),
        "a dead server is noticed at once"
    );
    server.abort();
    let _ = server.await;
    let kept = ask(&["Example", "org"]).await?;
    ensure!(
        kept.ends_with(&[192, 0, 2, 7]),
        "from the cache, whatever the case"
    );
    let failed = ask(&["other", "org"]).await?;
    ensure!(failed[3] & 15 == 2, "server failure");
    // Another file, another server.
    std::fs::write(&resolv_conf, "# changed\nnameserver 127.0.0.54\n")?;
    name_server(UdpSocket::bind("127.0.0.54:53").await?);
    let answer = ask(&["third", "org"]).await?;
    ensure!(answer.ends_with(&[192, 0, 2, 7]));
    network.destroy().await?;
    Ok(())
}

async fn an_idle_node_uses_no_cpu_time() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    give_host_an_address(&network).await?;
    // Flows and connections of every kind stay behind.
    outbound_works(&network).await?;
    let (client, server) = (pod(&network, "client").await?, pod(&network, "server").await?);
    let proxy = proxy_of(&network);
    server.serve_tcp(80, "server").await?;
    echo_udp(server.udp(53).await?, "server");
    let to = "10.43.0.10:80".parse()?;
    proxy
        .set(service(
            "default/web",
            "10.43.0.10",
            Protocol::Tcp,
            80,
            &[(server.address, 80).into()],
        ))
        .await?;
    proxy
        .set(service(
            "default/dns",
            "10.43.0.11",
            Protocol::Udp,
            53,
            &[(server.address, 53).into()],
        ))
        .await?;
    let mut stream = client.connect(to).await?;
    greeting(&mut stream).await?;
    let bulk = vec![7; 4 << 20];
    let (mut read, mut write) = stream.split();
    let mut back = vec![0; bulk.len()];
    tokio::try_join!(write.write_all(&bulk), read.read_exact(&mut back))?;
    write.shutdown().await?;
    let mut second = client.connect(to).await?;
    greeting(&mut second).await?;
    let socket = client.udp(0).await?;
    ask_udp(&socket, "10.43.0.11:53".parse()?, "x").await?;
    let dns = Dns::start(proxy::dns::Config {
        domain: "cluster.local".into(),
        listen: "10.43.0.2:53".parse()?,
        node: network.node(),
        upstream: network.host(),
        resolv_conf: dir.path().join("resolv.conf"),
    })
    .await?;
    socket
        .send_to(&question(1, &["example", "org"]), "10.43.0.2:53")
        .await?;
    socket.recv(&mut [0; 512]).await?;
    let used = || {
        let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF)?;
        let total = usage.user_time() + usage.system_time();
        anyhow::Ok(Duration::from_micros(u64::try_from(
            total.tv_sec() * 1_000_000 + total.tv_usec(),
        )?))
    };
    // Time has to pass: it is what is measured.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = used()?;
    tokio::time::sleep(Duration::from_millis(800)).await;
    let spent = used()? - before;
    println!("{spent:?} of CPU time in 800 ms");
    ensure!(spent < Duration::from_millis(20), "{spent:?}");
    drop(dns);
    network.destroy().await?;
    Ok(())
}
