//! Services that the proxy carries, and what both ways have in common.

use super::*;

pub async fn pods_reach_each_other_and_a_service_of_theirs() -> Result<()> {
    let (_dir, network) = start().await?;
    let [one, two] = pods(&network, ["one", "two"]).await?;
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
    proxy.set(web(&backends)).await?;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..8 {
        // From a backend itself too: the hairpin.
        let mut stream = one.connect(WEB).await?;
        let text = greeting(&mut stream).await?;
        stream.write_all(b"echo").await?;
        let mut echo = [0; 4];
        stream.read_exact(&mut echo).await?;
        ensure!(&echo == b"echo");
        seen.insert(text.split(' ').next().map(str::to_owned));
    }
    ensure!(seen.len() == 2, "{seen:?}");
    // From the node, as probes and the API server do.
    greeting(&mut network.connect(WEB).await?).await?;
    network.destroy().await?;
    Ok(())
}

pub async fn a_node_port_is_served_in_the_host_namespace() -> Result<()> {
    let (_dir, network) = start().await?;
    let one = pod(&network, "one").await?;
    one.serve_tcp(80, "one").await?;
    loopback_up(&network.host()).await?;
    let proxy = proxy_of(&network);
    let mut web = web(&[(one.address, 80).into()]);
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

pub async fn a_pod_behind_a_service_sees_its_clients_address() -> Result<()> {
    let (_dir, network) = start().await?;
    let host_address = IpAddr::from([192, 0, 2, 1]);
    give_host_an_address(&network).await?;
    let [client, server] = pods(&network, ["client", "server"]).await?;
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

pub async fn udp_services_answer_from_the_service_address() -> Result<()> {
    let (_dir, network) = start().await?;
    let [client, one, two] = pods(&network, ["client", "one", "two"]).await?;
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

pub async fn a_service_without_backends_is_refused_at_once() -> Result<()> {
    let (_dir, network) = start().await?;
    let one = pod(&network, "one").await?;
    one.serve_tcp(80, "one").await?;
    let proxy = proxy_of(&network);
    proxy.set(web(&[(one.address, 80).into()])).await?;
    let mut kept = one.connect(WEB).await?;
    greeting(&mut kept).await?;
    proxy.set(web(&[])).await?;
    let started = Instant::now();
    let error = one.connect(WEB).await.unwrap_err();
    ensure!(error.kind() == io::ErrorKind::ConnectionRefused, "{error}");
    ensure!(started.elapsed() < Duration::from_millis(500));
    kept.write_all(b"y").await?;
    ensure!(kept.read_u8().await? == b'y', "established connections stay");
    network.destroy().await?;
    Ok(())
}
