//! The proxy under test, in a pod network of its own.

use std::{
    fs::File,
    io::BufRead,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use skiff_netns_proxy::{Backend, Config as ProxyConfig, Dialer, Port, Protocol, Proxy, Service, Translator};
use skiff_pod_network::{Config, PodNetwork};

/// Runs until stdin ends. Lines: `service NAME tcp|udp ADDRESS BACKEND...`, `affine` with the same for one with client affinity,
/// `many SERVICES ENDPOINTS`, `metrics`; each is answered by a line.
pub fn run(dir: &Path, pods: &[&str]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(serve(dir, pods))
}

async fn serve(dir: &Path, pods: &[&str]) -> Result<()> {
    let network = PodNetwork::start(Config {
        dir: dir.to_owned(),
        cluster_cidr: "10.42.0.0/16".parse()?,
        pod_cidr: "10.42.3.0/24".parse()?,
        service_cidr: "10.96.0.0/16".parse()?,
        rootless: true,
        egress: None,
    })
    .await?;
    let proxy = Proxy::start(ProxyConfig {
        node: network.node(),
        host: network.host(),
        dialer: Arc::clone(&network) as Arc<dyn Dialer>,
        translator: network
            .translation()
            .map(|translation| translation as Arc<dyn Translator>),
    })?;
    for pod in pods {
        let (name, netns) = pod.split_once('=').context("POD=NETNS")?;
        let address = network.attach(name, File::open(netns)?.into()).await?.v4;
        println!("pod {name} {address}");
    }
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [
                command @ ("service" | "affine"),
                name,
                protocol,
                address,
                backends @ ..,
            ] => {
                let backends: Result<Vec<SocketAddr>, _> = backends.iter().map(|text| text.parse()).collect();
                let mut service = service(name, protocol, address.parse()?, &backends?);
                service.affinity = (*command == "affine").then_some(Duration::from_secs(10_800));
                proxy.set(service).await?;
                println!("done");
            }
            ["many", services, endpoints] => {
                println!("{}", many(&proxy, services.parse()?, endpoints.parse()?).await?);
            }
            ["metrics"] => println!("{}", serde_json::to_string(&proxy.metrics().await)?),
            _ => bail!("unknown command {line:?}"),
        }
    }
    network.destroy().await?;
    Ok(())
}

fn service(name: &str, protocol: &str, at: SocketAddr, backends: &[SocketAddr]) -> Service {
    Service {
        name: format!("bench/{name}"),
        addresses: vec![at.ip()],
        ports: vec![Port {
            name: String::new(),
            protocol: if protocol == "udp" {
                Protocol::Udp
            } else {
                Protocol::Tcp
            },
            port: at.port(),
            node_port: None,
            backends: backends
                .iter()
                .map(|&address| Backend {
                    address,
                    terminating: false,
                })
                .collect(),
        }],
        affinity: None,
        host_addresses: Vec::new(),
        external: Vec::new(),
    }
}

/// Sets that many services with that many endpoints between them, then changes one at a time. Says how long the
/// changes took.
async fn many(proxy: &Proxy, services: u32, endpoints: u32) -> Result<serde_json::Value> {
    let each = endpoints / services;
    let make = |number: u32, count: u32| {
        let at = SocketAddr::from((Ipv4Addr::from(0x0a60_4000 + number), 80));
        let backends: Vec<SocketAddr> = (0..count)
            .map(|index| {
                (
                    Ipv4Addr::from(0x0a2a_8000 + (number * each + index) % 0x7000),
                    8080,
                )
                    .into()
            })
            .collect();
        service(&format!("many-{number}"), "tcp", at, &backends)
    };
    let begin = Instant::now();
    for number in 0..services {
        proxy.set(make(number, each)).await?;
    }
    let all = begin.elapsed();
    let mut changes = Vec::new();
    for round in 0..100_u32 {
        let number = round * 37 % services;
        // One endpoint fewer, none at all (no listener), all of them again.
        for count in [each - 1, 0, each] {
            let begin = Instant::now();
            proxy.set(make(number, count)).await?;
            changes.push(begin.elapsed().as_secs_f64() * 1e3);
        }
    }
    changes.sort_by(f64::total_cmp);
    Ok(serde_json::json!({
        "all_ms": all.as_secs_f64() * 1e3,
        "p50_ms": changes[changes.len() / 2],
        "p99_ms": changes[changes.len() * 99 / 100],
    }))
}
