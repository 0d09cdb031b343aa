//! Cluster DNS.

use std::path::PathBuf;

use super::*;

/// Cluster DNS of a network, at 10.43.0.2.
pub async fn cluster_dns(network: &PodNetwork, resolv_conf: PathBuf) -> Result<Dns> {
    let config = proxy::dns::Config {
        domain: "cluster.local".into(),
        listen: "10.43.0.2:53".parse()?,
        node: network.node(),
        upstream: network.host(),
        resolv_conf,
    };
    Ok(Dns::start(config).await?)
}

pub async fn cluster_names_resolve_from_a_pod() -> Result<()> {
    let (dir, network) = start().await?;
    let one = pod(&network, "one").await?;
    let dns = cluster_dns(&network, dir.path().join("resolv.conf")).await?;
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
pub fn question(id: u16, labels: &[&str]) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in labels {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

/// A name server that knows every name: 192.0.2.7, for a minute.
pub fn name_server(socket: UdpSocket) -> JoinHandle<()> {
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

pub async fn names_of_the_world_are_asked_of_the_hosts_name_servers() -> Result<()> {
    let (dir, network) = start().await?;
    loopback_up(&network.host()).await?;
    let one = pod(&network, "one").await?;
    let resolv_conf = dir.path().join("resolv.conf");
    // The first server is dead, as happens; the second is on the host's loopback, as with systemd-resolved.
    std::fs::write(&resolv_conf, "nameserver 127.0.0.9\nnameserver 127.0.0.53\n")?;
    let server = name_server(UdpSocket::bind("127.0.0.53:53").await?);
    let dns = cluster_dns(&network, resolv_conf.clone()).await?;
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
