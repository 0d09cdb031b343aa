//! The second address family.

use std::net::Ipv6Addr;

use super::*;

fn dual(dir: &Path) -> Config {
    Config {
        cluster_cidr: "10.42.0.0/16,fd00:42::/56".parse().unwrap(),
        pod_cidr: "10.42.3.0/24,fd00:42:0:3::/64".parse().unwrap(),
        service_cidr: "10.43.0.0/16,fd00:43::/112".parse().unwrap(),
        ..config(dir)
    }
}

/// A pod with its addresses, IPv4 first.
struct Both {
    namespace: Arc<Namespace>,
    addresses: [IpAddr; 2],
}

impl Both {
    async fn attach(network: &PodNetwork, uid: &str) -> Result<Self> {
        let namespace = Namespace::create(uid)?;
        let address = network
            .attach(uid, namespace.as_fd().try_clone_to_owned()?)
            .await?;
        let v6 = address.v6.context("an IPv6 address")?;
        Ok(Self {
            namespace,
            addresses: [address.v4.into(), v6.into()],
        })
    }

    async fn serve(&self, name: &'static str) -> Result<()> {
        for address in self.addresses {
            let listener = self.namespace.tcp_listener((address, 80).into()).await?;
            greet(TcpListener::from_std(listener)?, name);
        }
        Ok(())
    }

    /// What a server at `to` says first.
    async fn ask(&self, to: impl Into<SocketAddr>) -> Result<String> {
        let connecting = self.namespace.tcp_connect(to.into(), None);
        greeting(&mut timeout(SOON, connecting).await??).await
    }
}

pub async fn pods_reach_each_other_and_a_service_in_both_families() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(dual(dir.path())).await?;
    let (one, two) = (
        Both::attach(&network, "one").await?,
        Both::attach(&network, "two").await?,
    );
    ensure!(one.addresses[1] == "fd00:42:0:3::2".parse::<IpAddr>()?);
    two.serve("two").await?;
    for (own, to) in one.addresses.into_iter().zip(two.addresses) {
        let said = one.ask((to, 80)).await?;
        ensure!(
            said == format!("two {own}"),
            "{said}: a pod is seen with its own address"
        );
    }
    for (node, to) in network.node_address().all().zip(two.addresses) {
        let said = greeting(&mut network.connect((to, 80).into()).await?).await?;
        ensure!(said == format!("two {node}"), "{said}");
    }

    let proxy = proxy_of(&network);
    let backend = SocketAddr::from((two.addresses[1], 80));
    proxy
        .set(service("web", "fd00:43::7", Protocol::Tcp, 80, &[backend]))
        .await?;
    let said = one.ask("[fd00:43::7]:80".parse::<SocketAddr>()?).await?;
    ensure!(
        said == format!("two {}", one.addresses[1]),
        "{said}: the client's address is kept"
    );
    let echo = SocketAddr::from((two.addresses[1], 53));
    echo_udp(UdpSocket::from_std(two.namespace.udp_socket(echo).await?)?, "two");
    let mut dns = service("dns", "fd00:43::9", Protocol::Udp, 53, &[echo]);
    dns.ports[0].node_port = Some(30053);
    proxy.set(dns).await?;
    loopback_up(&network.host()).await?;
    let host = UdpSocket::bind("[::]:0").await?;
    for to in ["[::1]:30053", "[fd00:43::9]:53"] {
        let to: SocketAddr = to.parse()?;
        let own = SocketAddr::from((one.addresses[1], 0));
        let pod = UdpSocket::from_std(one.namespace.udp_socket(own).await?)?;
        let client = if to.ip().is_loopback() { &host } else { &pod };
        ensure!(ask_udp(client, to, "hello").await? == "two hello", "{to}");
    }

    // Nobody's: refused at once, not sent to the world.
    for nobody in [
        "[fd00:43::8]:80",
        "[fd00:42:0:3::99]:80",
        "[fd00:42:0:9::1]:80",
        "[2001:db8::1]:80",
    ] {
        let to: SocketAddr = nobody.parse()?;
        let asked = Instant::now();
        let refused = timeout(SOON, one.namespace.tcp_connect(to, None)).await?;
        ensure!(
            refused.is_err() && asked.elapsed() < Duration::from_secs(2),
            "{nobody}: {refused:?} after {:?}",
            asked.elapsed()
        );
    }

    // The next agent finds everything in place.
    let kept = one.addresses;
    drop((proxy, network));
    let network = PodNetwork::start(dual(dir.path())).await?;
    let again = network
        .attach("one", one.namespace.as_fd().try_clone_to_owned()?)
        .await?;
    ensure!(again.all().eq(kept), "{again}");
    one.ask((two.addresses[1], 80)).await?;
    network.destroy().await?;
    Ok(())
}

pub async fn a_pod_has_no_other_ipv6_address_than_its_own() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let network = PodNetwork::start(dual(dir.path())).await?;
    let (liar, victim, target) = (
        Both::attach(&network, "liar").await?,
        Both::attach(&network, "victim").await?,
        Both::attach(&network, "target").await?,
    );
    let addresses = liar
        .namespace
        .run(|| std::fs::read_to_string("/proc/thread-self/net/if_inet6"))
        .await??;
    let of_eth0 = addresses.lines().filter(|line| line.ends_with("eth0"));
    ensure!(of_eth0.count() == 1, "{addresses}");

    let to = SocketAddr::from((target.addresses[1], 9));
    let socket = UdpSocket::from_std(target.namespace.udp_socket(to).await?)?;
    let foreign: Ipv6Addr = "2001:db8::7".parse()?;
    for from in [victim.addresses[1], foreign.into()] {
        let forger = liar
            .namespace
            .run(move || {
                let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None)?;
                socket.set_freebind_v6(true)?;
                socket.bind(&SocketAddr::from((from, 0)).into())?;
                io::Result::Ok(std::net::UdpSocket::from(socket))
            })
            .await??;
        forger.send_to(b"forged", to)?;
    }
    let own = SocketAddr::from((liar.addresses[1], 0));
    liar.namespace.udp_socket(own).await?.send_to(b"honest", to)?;
    let mut buffer = [0; 16];
    let (length, from) = timeout(SOON, socket.recv_from(&mut buffer)).await??;
    ensure!(
        &buffer[..length] == b"honest" && from.ip() == liar.addresses[1],
        "{from}"
    );
    network.destroy().await?;
    Ok(())
}

/// Sends an echo request from the calling thread's namespace; what its answer holds.
fn ping(to: IpAddr) -> io::Result<Vec<u8>> {
    let kind = socket2::Type::DGRAM;
    let socket = socket2::Socket::new(socket2::Domain::IPV6, kind, Some(socket2::Protocol::ICMPV6))?;
    socket.set_read_timeout(Some(SOON))?;
    socket.connect(&SocketAddr::new(to, 0).into())?;
    socket.send(&[&[128, 0, 0, 0, 0, 0, 0, 1][..], b"ping"].concat())?;
    let mut answer = [0; 64];
    let length = (&socket).read(&mut answer)?;
    Ok(answer[8.min(length)..length].into())
}

/// What a pod gets from the world at an address that this namespace, the host's, has.
pub async fn outbound_ipv6_is_carried_by_sockets_as_soon_as_the_host_has_a_way() -> Result<()> {
    outbound(true).await
}

/// With IPv4 masqueraded by the kernel.
pub async fn as_root_outbound_ipv6_is_carried_by_sockets_too() -> Result<()> {
    outbound(false).await
}

async fn outbound(rootless: bool) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let config = Config {
        rootless,
        ..dual(dir.path())
    };
    let network = PodNetwork::start(config).await?;
    loopback_up(&network.host()).await?;
    let one = Both::attach(&network, "one").await?;
    let address: IpAddr = "2001:db8::1".parse()?;
    let refused = timeout(SOON, one.namespace.tcp_connect((address, 80).into(), None)).await?;
    ensure!(
        refused
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused),
        "{refused:?}"
    );

    let given = std::process::Command::new("ip")
        .args(["address", "add", "2001:db8::1/32", "dev", "lo", "nodad"])
        .status()?;
    ensure!(given.success(), "ip address add");
    let listener = TcpListener::bind((address, 0)).await?;
    let to = listener.local_addr()?;
    greet(listener, "world");
    let carried = async {
        loop {
            if let Ok(said) = one.ask(to).await {
                return said;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let said = timeout(SOON, carried).await?;
    ensure!(said.starts_with("world "), "{said}");

    let socket = UdpSocket::bind((address, 0)).await?;
    let to = socket.local_addr()?;
    echo_udp(socket, "world");
    let own = SocketAddr::from((one.addresses[1], 0));
    let client = UdpSocket::from_std(one.namespace.udp_socket(own).await?)?;
    for text in ["first", "second"] {
        let answer = ask_udp(&client, to, text).await?;
        ensure!(answer == format!("world {text}"), "{answer}");
    }
    std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 0").context("allow pings")?;
    let answered = one.namespace.run(move || ping(address)).await??;
    ensure!(answered == b"ping", "{answered:?}");
    // The host itself is not the world.
    for inside in ["::1", "::ffff:127.0.0.1"] {
        let to = SocketAddr::new(inside.parse()?, to.port());
        let connected = timeout(Duration::from_secs(1), one.namespace.tcp_connect(to, None)).await;
        ensure!(!matches!(connected, Ok(Ok(_))), "{inside} was reached");
    }
    network.destroy().await?;
    Ok(())
}
