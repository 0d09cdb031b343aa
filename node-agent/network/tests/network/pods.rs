//! Interfaces, addresses and routes of pods.

use super::{
    egress::outbound_works,
    names::{cluster_dns, question},
    *,
};

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

pub async fn segments_are_large_while_all_they_reach_is_this_node() -> Result<()> {
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
    let (_dir, network) = start().await?;
    give_host_an_address(&network).await?;
    let [client, server] = pods(&network, ["client", "server"]).await?;
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

pub async fn a_pod_cannot_send_from_an_address_that_is_not_its_own() -> Result<()> {
    let (_dir, network) = start().await?;
    let [liar, victim, target] = pods(&network, ["liar", "victim", "target"]).await?;
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

pub async fn attaching_is_quick_and_detaching_leaves_no_interface() -> Result<()> {
    let (_dir, network) = start().await?;
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

pub async fn a_restarted_agent_finds_pods_and_node_namespace_again() -> Result<()> {
    let (dir, network) = start().await?;
    let [one, two] = pods(&network, ["one", "two"]).await?;
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

pub async fn destroying_leaves_nothing_behind() -> Result<()> {
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

pub async fn an_idle_node_uses_no_cpu_time() -> Result<()> {
    let (dir, network) = start().await?;
    give_host_an_address(&network).await?;
    // Flows and connections of every kind stay behind.
    outbound_works(&network).await?;
    let [client, server] = pods(&network, ["client", "server"]).await?;
    let proxy = proxy_of(&network);
    server.serve_tcp(80, "server").await?;
    echo_udp(server.udp(53).await?, "server");
    proxy.set(web(&[(server.address, 80).into()])).await?;
    proxy
        .set(service(
            "default/dns",
            "10.43.0.11",
            Protocol::Udp,
            53,
            &[(server.address, 53).into()],
        ))
        .await?;
    let mut stream = client.connect(WEB).await?;
    greeting(&mut stream).await?;
    let bulk = vec![7; 4 << 20];
    let (mut read, mut write) = stream.split();
    let mut back = vec![0; bulk.len()];
    tokio::try_join!(write.write_all(&bulk), read.read_exact(&mut back))?;
    write.shutdown().await?;
    let mut second = client.connect(WEB).await?;
    greeting(&mut second).await?;
    let socket = client.udp(0).await?;
    ask_udp(&socket, "10.43.0.11:53".parse()?, "x").await?;
    let dns = cluster_dns(&network, dir.path().join("resolv.conf")).await?;
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
