//! Services over real sockets in the test's own network namespace: every address is one of 127.0.0.0/8, so nothing has to
//! be set up and nobody has to be root.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use skiff_netns_proxy::{
    Backend, Config, Dialer, Port, Protocol, Proxy, Service,
    dns::{self, Dns, ServiceRecord},
    netns::Namespace,
};
use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream, UdpSocket},
    time::timeout,
};

const SOON: Duration = Duration::from_secs(10);

/// An address of this process's own, so that tests of several processes don't meet.
fn address() -> Ipv4Addr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    let number = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes()[1];
    Ipv4Addr::new(127, high.max(1), low, number)
}

struct Here(Arc<Namespace>);

impl Dialer for Here {
    fn namespace(&self, _: IpAddr) -> Arc<Namespace> {
        Arc::clone(&self.0)
    }
}

fn proxy() -> Result<Proxy> {
    let here = Namespace::current("test")?;
    let dialer = Arc::new(Here(Arc::clone(&here)));
    Ok(Proxy::start(Config {
        node: Arc::clone(&here),
        host: here,
        dialer,
        translator: None,
    })?)
}

fn ready(addresses: &[SocketAddr]) -> Vec<Backend> {
    addresses
        .iter()
        .map(|&address| Backend {
            address,
            terminating: false,
        })
        .collect()
}

fn service(to: SocketAddr, protocol: Protocol, backends: Vec<Backend>) -> Service {
    Service {
        name: "default/web".into(),
        addresses: vec![to.ip()],
        ports: vec![Port {
            name: "http".into(),
            protocol,
            port: to.port(),
            node_port: None,
            backends,
        }],
        affinity: None,
        host_addresses: Vec::new(),
        external: Vec::new(),
    }
}

/// A server that counts connections, says which backend it is and echoes.
async fn backend(name: u8) -> Result<(SocketAddr, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind((address(), 0)).await?;
    let at = listener.local_addr()?;
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            // Some tests leave no descriptors, to the backend either.
            let Ok((mut stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            };
            counter.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                stream.write_u8(name).await?;
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await?;
                write.shutdown().await
            });
        }
    });
    Ok((at, count))
}

/// Asks once, with an answer read to its end; returns the backend's name.
async fn ask(to: SocketAddr) -> io::Result<u8> {
    timeout(SOON, async {
        let mut stream = TcpStream::connect(to).await?;
        stream.write_all(b"hello").await?;
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        if answer.get(1..) == Some(b"hello") {
            Ok(answer[0])
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    })
    .await?
}

/// A port nobody listens on.
async fn nobody() -> Result<SocketAddr> {
    Ok(TcpListener::bind((address(), 0)).await?.local_addr()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_succeed_and_spread_within_a_tenth_of_even() -> Result<()> {
    let proxy = Arc::new(proxy()?);
    let backends = [backend(0).await?, backend(1).await?, backend(2).await?];
    let to = service_address();
    let addresses = backends.each_ref().map(|(address, _)| *address);
    proxy.set(service(to, Protocol::Tcp, ready(&addresses))).await?;
    let clients = (0..20).map(|_| {
        tokio::spawn(async move {
            for _ in 0..500 {
                ask(to).await?;
            }
            io::Result::Ok(())
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await??;
    }
    let counts = backends
        .each_ref()
        .map(|(_, count)| count.load(Ordering::Relaxed));
    ensure!(counts.iter().sum::<usize>() == 10_000, "{counts:?}");
    ensure!(
        counts.iter().all(|&count| count.abs_diff(3333) <= 333),
        "{counts:?}"
    );
    let metrics = proxy.metrics().await;
    let labels = format!("{{service=\"default/web\",port=\"{HIGH}\",protocol=\"tcp\"}}");
    ensure!(
        metrics.contains(&format!("skiff_service_connections_total{labels} 10000")),
        "{metrics}"
    );
    ensure!(
        metrics.contains(&format!("skiff_service_connect_failures_total{labels} 0")),
        "{metrics}"
    );
    Ok(())
}

/// Port of the services: no privilege needed.
const HIGH: u16 = 8080;

fn service_address() -> SocketAddr {
    SocketAddr::from((address(), HIGH))
}

#[tokio::test]
async fn a_backend_that_refuses_or_hangs_is_not_noticed_by_clients() -> Result<()> {
    let proxy = proxy()?;
    let (good, count) = backend(7).await?;
    // A full accept queue: the kernel lets further connections hang.
    let hanging = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    hanging.bind(&SocketAddr::from((address(), 0)).into())?;
    hanging.listen(0)?;
    let hangs = hanging.local_addr()?.as_socket().unwrap();
    let _fill = TcpStream::connect(hangs).await?;
    let to = service_address();
    proxy
        .set(service(to, Protocol::Tcp, ready(&[nobody().await?, hangs, good])))
        .await?;
    let started = Instant::now();
    for _ in 0..50 {
        ensure!(ask(to).await? == 7);
    }
    // One second at most for each time the hanging backend is tried; it is passed over after that.
    ensure!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    ensure!(count.load(Ordering::Relaxed) == 50);
    Ok(())
}

#[tokio::test]
async fn without_backends_a_service_is_refused_and_established_connections_stay() -> Result<()> {
    let proxy = proxy()?;
    let to = service_address();
    proxy.set(service(to, Protocol::Tcp, Vec::new())).await?;
    ensure!(ask(to).await.unwrap_err().kind() == io::ErrorKind::ConnectionRefused);
    let (address, _) = backend(1).await?;
    proxy.set(service(to, Protocol::Tcp, ready(&[address]))).await?;
    let mut stream = TcpStream::connect(to).await?;
    ensure!(stream.read_u8().await? == 1);
    for gone in [true, false] {
        if gone {
            proxy.set(service(to, Protocol::Tcp, Vec::new())).await?;
        } else {
            proxy.remove("default/web").await;
        }
        ensure!(ask(to).await.unwrap_err().kind() == io::ErrorKind::ConnectionRefused);
        stream.write_u8(9).await?;
        ensure!(timeout(SOON, stream.read_u8()).await?? == 9);
    }
    ensure!(
        !proxy.metrics().await.contains("default/web"),
        "a service that is gone leaves no metrics"
    );
    Ok(())
}

#[tokio::test]
async fn a_taken_port_is_named_and_the_other_ports_work() -> Result<()> {
    let proxy = proxy()?;
    let to = service_address();
    let taken = TcpListener::bind((to.ip(), 0)).await?;
    let (address, _) = backend(1).await?;
    let mut web = service(to, Protocol::Tcp, ready(&[address]));
    let port = taken.local_addr()?.port();
    web.ports.insert(
        0,
        Port {
            name: "taken".into(),
            port,
            ..web.ports[0].clone()
        },
    );
    let error = proxy.set(web.clone()).await.unwrap_err();
    ensure!(error.address == taken.local_addr()? && error.source.kind() == io::ErrorKind::AddrInUse);
    ensure!(ask(to).await? == 1);
    drop(taken);
    proxy.set(web).await?;
    ensure!(
        ask((to.ip(), port).into()).await? == 1,
        "set again, it is tried again"
    );
    Ok(())
}

#[tokio::test]
async fn a_client_keeps_its_backend_with_client_affinity() -> Result<()> {
    let proxy = proxy()?;
    let mut addresses = Vec::new();
    for name in 0..3 {
        addresses.push(backend(name).await?.0);
    }
    let to = service_address();
    let affinity = Some(Duration::from_secs(60));
    proxy
        .set(Service {
            affinity,
            ..service(to, Protocol::Tcp, ready(&addresses))
        })
        .await?;
    for _ in 0..3 {
        let client = address();
        let mut seen = Vec::new();
        for _ in 0..6 {
            let socket = TcpSocket::new_v4()?;
            socket.bind((client, 0).into())?;
            seen.push(socket.connect(to).await?.read_u8().await?);
        }
        seen.dedup();
        ensure!(seen.len() == 1, "{seen:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_terminating_backend_keeps_its_connections_and_gets_no_new_ones() -> Result<()> {
    let proxy = proxy()?;
    let (leaving, _) = backend(1).await?;
    let (staying, _) = backend(2).await?;
    let to = service_address();
    proxy.set(service(to, Protocol::Tcp, ready(&[leaving]))).await?;
    let mut old = TcpStream::connect(to).await?;
    ensure!(old.read_u8().await? == 1);
    let mut backends = ready(&[leaving, staying]);
    backends[0].terminating = true;
    proxy.set(service(to, Protocol::Tcp, backends)).await?;
    for _ in 0..10 {
        ensure!(ask(to).await? == 2);
    }
    old.write_u8(5).await?;
    ensure!(old.read_u8().await? == 5);
    Ok(())
}

#[tokio::test]
async fn a_udp_client_keeps_its_backend_until_that_refuses_or_leaves() -> Result<()> {
    let proxy = proxy()?;
    let to = service_address();
    let mut servers = Vec::new();
    let mut addresses = Vec::new();
    for name in 1..=2_u8 {
        let socket = UdpSocket::bind((address(), 0)).await?;
        addresses.push(socket.local_addr()?);
        servers.push(tokio::spawn(async move {
            let mut buffer = [0; 64];
            while let Ok((_, client)) = socket.recv_from(&mut buffer).await {
                let _ = socket.send_to(&[name], client).await;
            }
        }));
    }
    proxy.set(service(to, Protocol::Udp, ready(&addresses))).await?;
    let client = UdpSocket::bind((address(), 0)).await?;
    client.connect(to).await?;
    let ask = || async {
        let mut buffer = [0; 64];
        // Until somebody answers: a datagram to a backend that is gone is lost.
        loop {
            client.send(b"?").await?;
            if let Ok(got) = timeout(Duration::from_millis(300), client.recv(&mut buffer)).await {
                got?;
                return io::Result::Ok(buffer[0]);
            }
        }
    };
    let first = timeout(SOON, ask()).await??;
    for _ in 0..5 {
        ensure!(ask().await? == first);
    }
    // Its process ends: the next datagram is refused (ICMP), the one after it goes to the other.
    let server = servers.remove(usize::from(first - 1));
    server.abort();
    let _ = server.await;
    let second = timeout(SOON, ask()).await??;
    ensure!(second != first);
    proxy.set(service(to, Protocol::Udp, Vec::new())).await?;
    client.send(b"?").await?;
    let error = timeout(SOON, client.recv(&mut [0; 8])).await?.unwrap_err();
    ensure!(error.kind() == io::ErrorKind::ConnectionRefused);
    Ok(())
}

/// Runs one of the tests below in a process of its own: they measure or change the process.
fn alone(name: &str) -> Result<bool> {
    if std::env::var_os("SKIFF_ALONE").is_some() {
        return Ok(true);
    }
    let outcome = Command::new(std::env::current_exe()?)
        .args(["--exact", name, "--nocapture"])
        .env("SKIFF_ALONE", "1")
        .output()?;
    let said = String::from_utf8_lossy(&outcome.stderr);
    print!("{}{said}", String::from_utf8_lossy(&outcome.stdout));
    ensure!(outcome.status.success(), "{said}");
    Ok(false)
}

fn resident_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

fn limit_descriptors(count: u64) -> Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    ensure!(count <= hard, "needs {count} descriptors");
    setrlimit(Resource::RLIMIT_NOFILE, count, hard)?;
    Ok(())
}

#[tokio::test]
async fn an_idle_connection_costs_no_buffer() -> Result<()> {
    if !alone("an_idle_connection_costs_no_buffer")? {
        return Ok(());
    }
    const COUNT: usize = 1000;
    limit_descriptors(4 * COUNT as u64 + 200)?;
    let proxy = proxy()?;
    // A backend without buffers of its own: the kernel accepts for it.
    let listener = TcpListener::bind((address(), 0)).await?;
    let to = service_address();
    proxy
        .set(service(to, Protocol::Tcp, ready(&[listener.local_addr()?])))
        .await?;
    let connect = || async {
        let mut client = TcpStream::connect(to).await?;
        let (mut server, _) = listener.accept().await?;
        client.write_u8(1).await?;
        ensure!(timeout(SOON, server.read_u8()).await?? == 1);
        Ok((client, server))
    };
    let mut connections = vec![connect().await?];
    let before = resident_kib()?;
    while connections.len() < COUNT {
        connections.push(connect().await?);
    }
    let each = (resident_kib()? - before) as f64 / (COUNT - 1) as f64;
    println!("{each:.1} KiB per idle connection, client and server of the test included");
    // A pair of 8 KiB buffers alone would be 16.
    ensure!(each < 12.0, "{each:.1} KiB");
    Ok(())
}

#[tokio::test]
async fn without_descriptors_connections_are_shed_and_service_resumes() -> Result<()> {
    if !alone("without_descriptors_connections_are_shed_and_service_resumes")? {
        return Ok(());
    }
    let proxy = proxy()?;
    let (address, _) = backend(3).await?;
    let to = service_address();
    proxy.set(service(to, Protocol::Tcp, ready(&[address]))).await?;
    let before = descriptors()?;
    ensure!(ask(to).await? == 3);
    descriptors_are_back_at(before).await?;
    // Clients made before descriptors run out, connected after.
    let clients = (0..5).map(|_| Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None));
    let clients: Vec<Socket> = clients.collect::<io::Result<_>>()?;
    let mut hoard = Vec::new();
    limit_descriptors(128)?;
    while let Ok(file) = std::fs::File::open("/dev/null") {
        hoard.push(file);
    }
    let mut kept = Vec::new();
    for client in clients {
        // "In progress", or reset already.
        let _ = client.connect(&to.into());
        let mut stream = TcpStream::from_std(client.into())?;
        let error = timeout(SOON, stream.read_u8()).await?.unwrap_err();
        ensure!(error.kind() == io::ErrorKind::ConnectionReset, "{error}");
        // Closed now, its descriptor would be free for the next one.
        kept.push(stream);
    }
    drop(hoard);
    let again = ask(to).await;
    ensure!(matches!(again, Ok(3)), "{again:?} {}", proxy.metrics().await);
    // A client hears of it a moment before it is counted.
    let counted = async {
        while !proxy
            .metrics()
            .await
            .contains("skiff_service_connections_shed_total 5")
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    ensure!(timeout(SOON, counted).await.is_ok(), "{}", proxy.metrics().await);
    Ok(())
}

#[tokio::test]
async fn resets_and_half_closes_pass_in_both_directions() -> Result<()> {
    let proxy = proxy()?;
    let listener = TcpListener::bind((address(), 0)).await?;
    let to = service_address();
    proxy
        .set(service(to, Protocol::Tcp, ready(&[listener.local_addr()?])))
        .await?;
    let connect = || async {
        let client = TcpStream::connect(to).await?;
        let (server, _) = timeout(SOON, listener.accept()).await??;
        Result::<_>::Ok((client, server))
    };
    let reset = |stream: TcpStream| socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    let (client, mut server) = connect().await?;
    reset(client)?;
    let error = timeout(SOON, server.read_u8()).await?.unwrap_err();
    ensure!(error.kind() == io::ErrorKind::ConnectionReset, "{error}");
    let (mut client, server) = connect().await?;
    reset(server)?;
    let error = timeout(SOON, client.read_u8()).await?.unwrap_err();
    ensure!(error.kind() == io::ErrorKind::ConnectionReset, "{error}");
    // The server ends its side first, and still hears.
    let (mut client, mut server) = connect().await?;
    server.write_all(b"bye").await?;
    server.shutdown().await?;
    let mut said = String::new();
    timeout(SOON, client.read_to_string(&mut said)).await??;
    client.write_all(b"one more thing").await?;
    client.shutdown().await?;
    let mut heard = String::new();
    timeout(SOON, server.read_to_string(&mut heard)).await??;
    ensure!((said.as_str(), heard.as_str()) == ("bye", "one more thing"));
    Ok(())
}

#[tokio::test]
async fn a_backend_that_resets_every_connection_is_passed_over() -> Result<()> {
    let proxy = proxy()?;
    let (good, _) = backend(1).await?;
    let resetting = TcpListener::bind((address(), 0)).await?;
    let bad = resetting.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = resetting.accept().await {
            // The proxy is through with connecting when it sends; a reset before that would count as a refusal.
            let _ = stream.read_u8().await;
            let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
    });
    let to = service_address();
    proxy.set(service(to, Protocol::Tcp, ready(&[good, bad]))).await?;
    let passed_over = async || {
        let report = proxy.report().await.remove(0);
        let bad = report.backends.into_iter().find(|backend| backend.address == bad);
        bad.is_some_and(|backend| backend.failing)
    };
    let deadline = Instant::now() + SOON;
    let mut failed = 0;
    while !passed_over().await {
        ensure!(Instant::now() < deadline, "{failed} connections were reset");
        failed += usize::from(ask(to).await.is_err());
    }
    ensure!(failed >= 3, "passed over after {failed}");
    let mut answers = Vec::new();
    let begun = Instant::now();
    for _ in 0..10 {
        answers.push(ask(to).await.ok());
    }
    // On a machine that stands still for longer than the pause there is nothing to be seen.
    ensure!(
        begun.elapsed() > Duration::from_millis(100) || answers == [Some(1); 10],
        "{answers:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_to_a_backend_that_is_killed_are_reset_and_the_others_go_on() -> Result<()> {
    const CONNECTIONS: usize = 20;
    let proxy = proxy()?;
    let to = service_address();
    let doomed = TcpListener::bind((address(), 0)).await?;
    let (other, _) = backend(2).await?;
    let doomed_at = doomed.local_addr()?;
    proxy.set(service(to, Protocol::Tcp, ready(&[doomed_at]))).await?;
    let mut clients = Vec::new();
    let mut served = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(TcpStream::connect(to).await?);
        served.push(timeout(SOON, doomed.accept()).await??.0);
    }
    proxy
        .set(service(to, Protocol::Tcp, ready(&[doomed_at, other])))
        .await?;
    let transfers = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            let data = vec![5; 64 * 1024];
            loop {
                if let Err(error) = client.write_all(&data).await {
                    return error.kind();
                }
            }
        })
    });
    let transfers: Vec<_> = transfers.collect();
    let mut buffer = vec![0; 64 * 1024];
    for stream in &mut served {
        // Under way, and with unread bytes: closed like this the kernel sends resets, as it does for a killed process.
        timeout(SOON, stream.read_exact(&mut buffer)).await??;
    }
    drop((served, doomed));
    for transfer in transfers {
        let error = timeout(SOON, transfer).await??;
        let cut = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
        ensure!(cut.contains(&error), "{error}");
    }
    for _ in 0..CONNECTIONS {
        ensure!(ask(to).await? == 2);
    }
    let deadline = Instant::now() + SOON;
    while proxy.report().await[0].in_flight > 0 {
        ensure!(Instant::now() < deadline, "{:?}", proxy.report().await);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_up_only_itself_and_gets_everything() -> Result<()> {
    const LENGTH: usize = 24 * 1024 * 1024;
    let proxy = proxy()?;
    let listener = TcpListener::bind((address(), 0)).await?;
    let to = service_address();
    proxy
        .set(service(to, Protocol::Tcp, ready(&[listener.local_addr()?])))
        .await?;
    let mut slow = TcpStream::connect(to).await?;
    let (mut server, _) = listener.accept().await?;
    let data: Vec<u8> = (0..LENGTH).map(|index| (index % 251) as u8).collect();
    let sender = tokio::spawn(async move {
        server.write_all(&data).await?;
        server.shutdown().await
    });
    // Far more than the buffers on the way hold is waiting when the others are served.
    for _ in 0..20 {
        let mut quick = TcpStream::connect(to).await?;
        let (mut server, _) = timeout(SOON, listener.accept()).await??;
        quick.write_u8(7).await?;
        ensure!(timeout(SOON, server.read_u8()).await?? == 7);
    }
    ensure!(!sender.is_finished(), "nothing held it up");
    let deadline = Instant::now() + SOON;
    while proxy.report().await[0].sent == 0 {
        ensure!(
            Instant::now() < deadline,
            "bytes are not counted while connections last"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (mut got, mut buffer) = (0, vec![0; 100_000]);
    loop {
        let count = timeout(SOON, slow.read(&mut buffer)).await??;
        if count == 0 {
            break;
        }
        let right = buffer[..count]
            .iter()
            .zip(got..)
            .all(|(byte, index)| *byte == (index % 251) as u8);
        ensure!(right, "changed near {got}");
        got += count;
    }
    ensure!(got == LENGTH, "{got}");
    sender.await??;
    Ok(())
}

#[tokio::test]
async fn urgent_bytes_stay_urgent_and_in_their_place() -> Result<()> {
    let proxy = proxy()?;
    let listener = TcpListener::bind((address(), 0)).await?;
    let to = service_address();
    proxy
        .set(service(to, Protocol::Tcp, ready(&[listener.local_addr()?])))
        .await?;
    let mut client = TcpStream::connect(to).await?;
    let (mut server, _) = timeout(SOON, listener.accept()).await??;
    for round in 0..10_u8 {
        client.write_all(b"before").await?;
        socket2::SockRef::from(&client).send_out_of_band(&[round])?;
        client.write_all(b"after").await?;
        let mut text = [0; 11];
        timeout(SOON, server.read_exact(&mut text[..6])).await??;
        let mut urgent = [std::mem::MaybeUninit::uninit(); 1];
        let deadline = Instant::now() + SOON;
        while socket2::SockRef::from(&server)
            .recv_out_of_band(&mut urgent)
            .is_err()
        {
            ensure!(Instant::now() < deadline, "no urgent byte");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        timeout(SOON, server.read_exact(&mut text[6..])).await??;
        ensure!(&text == b"beforeafter", "{text:?}");
    }
    Ok(())
}

/// Descriptors of this process.
fn descriptors() -> Result<usize> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count())
}

/// Waits for connections that have ended to be closed everywhere.
async fn descriptors_are_back_at(before: usize) -> Result<()> {
    let deadline = Instant::now() + SOON;
    while descriptors()? > before {
        ensure!(Instant::now() < deadline, "{before} then, {} now", descriptors()?);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_opened_and_dropped_at_any_moment_leave_no_descriptor() -> Result<()> {
    if !alone("connections_opened_and_dropped_at_any_moment_leave_no_descriptor")? {
        return Ok(());
    }
    let proxy = proxy()?;
    let (good, _) = backend(1).await?;
    let to = service_address();
    proxy
        .set(service(to, Protocol::Tcp, ready(&[good, nobody().await?])))
        .await?;
    ensure!(ask(to).await? == 1);
    let before = descriptors()?;
    for round in 0..40_u64 {
        let clients = (0..50).map(|number| async move {
            let mut stream = TcpStream::connect(to).await?;
            match (round + number) % 4 {
                0 => {}
                1 => stream.write_all(&[1; 10]).await?,
                2 => drop(stream.read_u8().await?),
                _ => socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?,
            }
            io::Result::Ok(())
        });
        for client in clients.map(tokio::spawn).collect::<Vec<_>>() {
            client.await??;
        }
    }
    let deadline = Instant::now() + SOON;
    // What was dropped last may still be on its way.
    while descriptors()? > before || proxy.report().await[0].in_flight > 0 {
        ensure!(
            Instant::now() < deadline,
            "{} then, {} now",
            before,
            descriptors()?
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let report = &proxy.report().await[0];
    ensure!(report.connections == 2001, "{report:?}");
    ensure!(
        report.backends.iter().all(|backend| backend.in_flight == 0),
        "{report:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_flood_of_datagrams_from_one_client_leaves_room_for_others() -> Result<()> {
    if !alone("a_flood_of_datagrams_from_one_client_leaves_room_for_others")? {
        return Ok(());
    }
    limit_descriptors(8192)?;
    let proxy = proxy()?;
    let to = service_address();
    let server = UdpSocket::bind((address(), 0)).await?;
    proxy
        .set(service(to, Protocol::Udp, ready(&[server.local_addr()?])))
        .await?;
    tokio::spawn(async move {
        let mut buffer = [0; 64];
        while let Ok((count, client)) = server.recv_from(&mut buffer).await {
            let _ = server.send_to(&buffer[..count], client).await;
        }
    });
    let flooder = address();
    let mut sockets = Vec::new();
    let report = async || proxy.report().await.remove(0);
    let deadline = Instant::now() + SOON;
    // Each socket is a flow, until the client has no more of them.
    while report().await.failures == 0 {
        ensure!(sockets.len() < 3000, "no limit");
        let socket = UdpSocket::bind((flooder, 0)).await?;
        socket.send_to(b"flood", to).await?;
        sockets.push(socket);
        // One at a time: what does not fit into the listener's buffer would be lost.
        loop {
            let report = report().await;
            if report.connections + report.failures >= sockets.len() as u64 {
                break;
            }
            ensure!(Instant::now() < deadline, "{report:?}");
            tokio::task::yield_now().await;
        }
    }
    let other = UdpSocket::bind((address(), 0)).await?;
    other.connect(to).await?;
    other.send(b"hello").await?;
    let mut answer = [0; 64];
    let count = timeout(SOON, other.recv(&mut answer)).await??;
    ensure!(&answer[..count] == b"hello");
    Ok(())
}

#[tokio::test]
async fn an_outside_address_may_come_after_the_service() -> Result<()> {
    let proxy = proxy()?;
    let (backend, _) = backend(4).await?;
    let to = service_address();
    let mut web = service(to, Protocol::Tcp, ready(&[backend]));
    // Of the documentation range: no host has it. The other one is here.
    let here = address();
    web.external = vec!["192.0.2.33".parse()?, here.into()];
    proxy.set(web.clone()).await?;
    ensure!(ask((here, to.port()).into()).await? == 4);
    web.external.clear();
    proxy.set(web).await?;
    ensure!(ask((here, to.port()).into()).await.is_err());
    ensure!(ask(to).await? == 4);
    Ok(())
}

#[tokio::test]
async fn listeners_follow_readiness_within_a_tenth_of_a_second() -> Result<()> {
    let proxy = proxy()?;
    let (backend, _) = backend(6).await?;
    let to = service_address();
    for _ in 0..20 {
        let begun = Instant::now();
        proxy.set(service(to, Protocol::Tcp, ready(&[backend]))).await?;
        ensure!(ask(to).await? == 6);
        proxy.set(service(to, Protocol::Tcp, Vec::new())).await?;
        ensure!(ask(to).await.unwrap_err().kind() == io::ErrorKind::ConnectionRefused);
        // There and back again, with an exchange in between.
        ensure!(
            begun.elapsed() < Duration::from_millis(200),
            "{:?}",
            begun.elapsed()
        );
    }
    Ok(())
}

/// A question on the wire; the type is A.
fn question(id: u16, name: &str) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

#[tokio::test]
async fn names_are_answered_over_udp_and_what_does_not_fit_over_tcp() -> Result<()> {
    let here = Namespace::current("test")?;
    let dns = Dns::start(dns::Config {
        domain: "cluster.local".into(),
        listen: (address(), 0).into(),
        node: Arc::clone(&here),
        upstream: here,
        resolv_conf: "/nonexistent".into(),
    })
    .await?;
    let many = (1..=200)
        .map(|last| (None, IpAddr::from([10, 42, 0, last])))
        .collect();
    let few = vec![(Some("a".to_owned()), IpAddr::from([10, 42, 0, 1]))];
    dns.replace(BTreeMap::from([
        (
            "default/many".to_owned(),
            ServiceRecord {
                endpoints: many,
                ..ServiceRecord::default()
            },
        ),
        (
            "default/few".to_owned(),
            ServiceRecord {
                endpoints: few,
                ..ServiceRecord::default()
            },
        ),
    ]));
    let socket = UdpSocket::bind((address(), 0)).await?;
    socket.connect(dns.address()).await?;
    let ask = |name: &'static str| {
        let socket = &socket;
        async move {
            socket.send(&question(77, name)).await?;
            let mut answer = vec![0; 4096];
            let length = timeout(SOON, socket.recv(&mut answer)).await??;
            answer.truncate(length);
            ensure!(answer[..2] == [0, 77]);
            Ok(answer)
        }
    };
    let answer = ask("few.default.svc.cluster.local").await?;
    ensure!(
        answer.ends_with(&[10, 42, 0, 1]) && answer[7] == 1 && answer[2] & 0x04 != 0,
        "authoritative"
    );
    let absent = ask("no.default.svc.cluster.local").await?;
    ensure!(
        absent[3] & 15 == 3 && absent[9] == 1,
        "no such name, with the zone's SOA"
    );
    let cut = ask("many.default.svc.cluster.local").await?;
    ensure!(cut.len() <= 512 && cut[2] & 0x02 != 0, "truncated");
    let failed = ask("example.org").await?;
    ensure!(failed[3] & 15 == 2, "no upstream server: server failure at once");

    let mut stream = TcpStream::connect(dns.address()).await?;
    let asked = question(78, "many.default.svc.cluster.local");
    for _ in 0..2 {
        stream.write_u16(asked.len() as u16).await?;
        stream.write_all(&asked).await?;
        let length = timeout(SOON, stream.read_u16()).await??;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await?;
        ensure!(answer[6..8] == 200_u16.to_be_bytes(), "all of them");
    }
    Ok(())
}

#[tokio::test]
async fn malformed_questions_neither_stop_nor_stall_the_name_server() -> Result<()> {
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    let here = Namespace::current("test")?;
    let dns = Dns::start(dns::Config {
        domain: "cluster.local".into(),
        listen: (address(), 0).into(),
        node: Arc::clone(&here),
        upstream: here,
        resolv_conf: "/nonexistent".into(),
    })
    .await?;
    let endpoints = vec![(None, IpAddr::from([10, 42, 0, 1]))];
    let record = ServiceRecord {
        endpoints,
        ..ServiceRecord::default()
    };
    dns.replace(BTreeMap::from([("default/web".to_owned(), record)]));
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let good = question(1, "web.default.svc.cluster.local");
    let malformed = |random: &mut StdRng| {
        let mut bytes = good.clone();
        for _ in 0..random.random_range(1..6) {
            match random.random_range(0..3) {
                0 => bytes.truncate(random.random_range(0..=bytes.len())),
                1 => bytes.extend((0..random.random_range(0..40)).map(|_| random.random::<u8>())),
                _ if bytes.is_empty() => {}
                _ => {
                    let at = random.random_range(0..bytes.len());
                    // Lengths, pointers and counts that lead nowhere are likelier than chance has them.
                    bytes[at] = [0, 0xc0, 0xff, 63, random.random()][random.random_range(0..5)];
                }
            }
        }
        bytes
    };
    let client = UdpSocket::bind((address(), 0)).await?;
    client.connect(dns.address()).await?;
    let mut answer = vec![0; 4096];
    for round in 0..100_u16 {
        for _ in 0..50 {
            client.send(&malformed(&mut random)).await?;
        }
        // One over TCP, cut off in the middle.
        let mut stream = TcpStream::connect(dns.address()).await?;
        stream.write_u16(random.random_range(0..2000)).await?;
        stream.write_all(&malformed(&mut random)).await?;
        drop(stream);
        let id = 60_000 + round;
        let asked = question(id, "web.default.svc.cluster.local");
        client.send(&asked).await?;
        timeout(SOON, async {
            loop {
                let length = client.recv(&mut answer).await?;
                // Answers to the others come in between.
                if answer[..2] == id.to_be_bytes() && answer[..length].ends_with(&[10, 42, 0, 1]) {
                    return io::Result::Ok(());
                }
                if length == 0 {
                    client.send(&asked).await?;
                }
            }
        })
        .await??;
    }
    Ok(())
}
