//! The pod network with real namespaces: pods are network namespaces without processes.

mod dual;
mod egress;
mod harness;
mod names;
mod pods;
mod services;
mod translated;

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
use harness::{Need, Test};
use skiff_netns_proxy::{
    self as proxy, Backend, Port, Protocol, Proxy, Service,
    dns::{Dns, ServiceRecord},
    netns::Namespace,
};
use skiff_pod_network::{Config, EgressWay, PodNetwork};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinHandle,
    time::timeout,
};

/// What happens at once on an idle machine, on a busy one.
const SOON: Duration = Duration::from_secs(10);

macro_rules! tests {
    ($($module:ident: $($name:ident $(needs $need:ident)?),*;)*) => {
        &[$($(Test {
            name: stringify!($name),
            need: tests!(@need $($need)?),
            body: || Box::pin($module::$name()),
        }),*),*]
    };
    (@need) => { Need::Nothing };
    (@need $need:ident) => { Need::$need };
}

fn main() -> ExitCode {
    harness::run(tests! {
        pods:
            segments_are_large_while_all_they_reach_is_this_node,
            a_pod_cannot_send_from_an_address_that_is_not_its_own,
            attaching_is_quick_and_detaching_leaves_no_interface,
            a_restarted_agent_finds_pods_and_node_namespace_again,
            destroying_leaves_nothing_behind,
            an_idle_node_uses_no_cpu_time;
        services:
            pods_reach_each_other_and_a_service_of_theirs,
            a_node_port_is_served_in_the_host_namespace,
            a_pod_behind_a_service_sees_its_clients_address,
            udp_services_answer_from_the_service_address,
            a_service_without_backends_is_refused_at_once;
        translated:
            the_kernel_carries_what_pods_of_the_node_have_between_them,
            a_connection_the_kernel_gave_to_the_wrong_backend_gets_another_one,
            backends_that_keep_silent_or_reset_lose_their_turns,
            who_has_fewer_connections_gets_more_of_the_new_ones,
            datagrams_the_kernel_carries_go_on_elsewhere_when_nobody_listens,
            what_a_policy_forbids_is_refused_at_once_by_services_too;
        egress:
            outbound_tcp_and_udp_leave_through_sockets_of_the_host,
            a_flood_of_outbound_datagrams_from_one_pod_leaves_room_for_others,
            pods_are_kept_from_the_hosts_loopback_and_that_of_others,
            as_root_the_kernel_masquerades_and_leaves_the_host_as_it_was needs Root,
            pasta_carries_what_leaves_and_is_started_again needs Pasta;
        names:
            cluster_names_resolve_from_a_pod,
            names_of_the_world_are_asked_of_the_hosts_name_servers;
        dual:
            pods_reach_each_other_and_a_service_in_both_families,
            a_pod_has_no_other_ipv6_address_than_its_own,
            outbound_ipv6_is_carried_by_sockets_as_soon_as_the_host_has_a_way,
            as_root_outbound_ipv6_is_carried_by_sockets_too needs Root;
    })
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

/// A network in a directory of its own.
async fn start() -> Result<(TempDir, Arc<PodNetwork>)> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(config(dir.path())).await?;
    Ok((dir, network))
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

async fn pods<const COUNT: usize>(network: &PodNetwork, uids: [&str; COUNT]) -> Result<[Pod; COUNT]> {
    let mut pods = Vec::new();
    for uid in uids {
        pods.push(pod(network, uid).await?);
    }
    pods.try_into()
        .map_err(|_| anyhow::anyhow!("as many pods as names"))
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

/// The service that most tests have.
fn web(backends: &[SocketAddr]) -> Service {
    service("default/web", "10.43.0.10", Protocol::Tcp, 8080, backends)
}

/// Where it is.
const WEB: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 43, 0, 10)), 8080);

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

/// The world outside: a namespace of its own, behind a veth pair of the host. The test's "host" namespace has no other
/// interface.
const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

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
