//! What leaves the node.

use super::{
    names::{name_server, question},
    *,
};

pub async fn outbound_tcp_and_udp_leave_through_sockets_of_the_host() -> Result<()> {
    let (_dir, network) = start().await?;
    give_host_an_address(&network).await?;
    outbound_works(&network).await?;
    network.destroy().await?;
    Ok(())
}

pub async fn outbound_works(network: &PodNetwork) -> Result<()> {
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

pub async fn a_flood_of_outbound_datagrams_from_one_pod_leaves_room_for_others() -> Result<()> {
    let (_dir, network) = start().await?;
    give_host_an_address(&network).await?;
    let [flooder, other] = pods(&network, ["flooder", "other"]).await?;
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

pub async fn pods_are_kept_from_the_hosts_loopback_and_that_of_others() -> Result<()> {
    let (_dir, network) = start().await?;
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

pub async fn as_root_the_kernel_masquerades_and_leaves_the_host_as_it_was() -> Result<()> {
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

pub async fn pasta_carries_what_leaves_and_is_started_again() -> Result<()> {
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
