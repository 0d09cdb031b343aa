//! Services that the kernel carries.

use super::*;

/// What the proxy has counted of its one service.
async fn counted(proxy: &Proxy) -> proxy::PortReport {
    proxy.report().await.remove(0)
}

pub async fn the_kernel_carries_what_pods_of_the_node_have_between_them() -> Result<()> {
    let (dir, network) = start().await?;
    let [client, one, two] = pods(&network, ["client", "one", "two"]).await?;
    let servers = [one.serve_tcp(80, "one").await?, two.serve_tcp(80, "two").await?];
    let backends = [&one, &two].map(|pod| SocketAddr::from((pod.address, 80)));
    let proxy = proxy_of(&network);
    let set = |backends: &[SocketAddr]| proxy.set(web(backends));
    set(&backends).await?;
    let mut streams = Vec::new();
    for turn in 0..10 {
        let mut stream = client.connect(WEB).await?;
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
        ensure!(
            greeting(&mut client.connect(WEB).await?)
                .await?
                .starts_with("two")
        );
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

pub async fn a_connection_the_kernel_gave_to_the_wrong_backend_gets_another_one() -> Result<()> {
    let (_dir, network) = start().await?;
    let [client, sound, refusing] = pods(&network, ["client", "sound", "refusing"]).await?;
    sound.serve_tcp(80, "sound").await?;
    let backends = [&refusing, &sound].map(|pod| SocketAddr::from((pod.address, 80)));
    let proxy = proxy_of(&network);
    proxy.set(web(&backends)).await?;
    let begun = Instant::now();
    for _ in 0..6 {
        let mut stream = client.connect(WEB).await?;
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
                greeting(&mut client.connect(WEB).await?).await?;
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
        let refused = client.connect(WEB).await.map(drop).map_err(|error| error.kind());
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

pub async fn backends_that_keep_silent_or_reset_lose_their_turns() -> Result<()> {
    let (_dir, network) = start().await?;
    let [client, sound, bad] = pods(&network, ["client", "sound", "bad"]).await?;
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
    let proxy = proxy_of(&network);
    let web = |bad: SocketAddr| {
        let backends = [bad, (sound.address, 80).into()];
        web(&backends)
    };
    proxy.set(web(silent_at)).await?;
    let begun = Instant::now();
    for _ in 0..6 {
        ensure!(
            greeting(&mut client.connect(WEB).await?)
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
            let mut stream = client.connect(WEB).await?;
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

pub async fn datagrams_the_kernel_carries_go_on_elsewhere_when_nobody_listens() -> Result<()> {
    let (_dir, network) = start().await?;
    let [client, sound, leaving] = pods(&network, ["client", "sound", "leaving"]).await?;
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

pub async fn who_has_fewer_connections_gets_more_of_the_new_ones() -> Result<()> {
    const OPEN: usize = 40;
    let (_dir, network) = start().await?;
    let [client, old, new] = pods(&network, ["client", "old", "new"]).await?;
    old.serve_tcp(80, "old").await?;
    new.serve_tcp(80, "new").await?;
    let backends = [&old, &new].map(|pod| SocketAddr::from((pod.address, 80)));
    let proxy = proxy_of(&network);
    proxy.set(web(&backends[..1])).await?;
    let mut open = Vec::new();
    for _ in 0..OPEN {
        open.push(client.connect(WEB).await?);
    }
    proxy.set(web(&backends)).await?;
    // Short ones, ten at a time, until so many of ten are the new one's.
    let until = async |share: usize| {
        loop {
            let mut of_new = 0;
            for _ in 0..10 {
                let text = greeting(&mut client.connect(WEB).await?).await?;
                of_new += usize::from(text.starts_with("new"));
            }
            if of_new == share {
                return anyhow::Ok(());
            }
        }
    };
    timeout(Duration::from_secs(10), until(8)).await??;
    // They end, and all are alike again.
    open.clear();
    timeout(Duration::from_secs(10), until(5)).await??;
    network.destroy().await?;
    Ok(())
}

pub async fn what_a_policy_forbids_is_refused_at_once_by_services_too() -> Result<()> {
    let (_dir, network) = start().await?;
    let [client, server] = pods(&network, ["client", "server"]).await?;
    server.serve_tcp(80, "server").await?;
    let proxy = proxy_of(&network);
    let backend = SocketAddr::from((server.address, 80));
    proxy.set(web(&[backend])).await?;
    let mut before = client.connect(WEB).await?;
    greeting(&mut before).await?;
    let closed = skiff_pod_network::policy::PodRules {
        ingress: Some(Vec::new()),
        egress: None,
    };
    network
        .set_rules([(server.address.into(), closed)].into())
        .await?;
    let begun = Instant::now();
    let refused = client.connect(WEB).await.map(drop).map_err(|error| error.kind());
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
    greeting(&mut client.connect(WEB).await?).await?;
    network.destroy().await?;
    Ok(())
}
