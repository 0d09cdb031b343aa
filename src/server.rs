//! `skiff server`: the control plane in the foreground.

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    time::Duration,
};

use anyhow::{Context, Result};
use skiff_control::{member, pki::Pki};

use crate::{
    cli::ServerArgs,
    cluster::{self, Fixed},
    notify,
    paths::Paths,
};

/// Serves until SIGTERM or SIGINT.
pub fn run(paths: &Paths, args: &ServerArgs) -> Result<()> {
    start_logging();
    paths.create()?;
    crate::process::register(&paths.run, "server")?;
    let fixed = Fixed::check(args, &paths.data)?;
    let listener = listen(args)?;
    let address = listener.local_addr()?;
    let pki = Pki::open(&paths.pki())?;
    let advertise = args.advertise.unwrap_or_else(cluster::default_address);
    write_kubeconfigs(paths, &pki, address, None)?;
    let config = member::Config {
        store_dir: paths.data.join("store"),
        listener,
        advertise: SocketAddr::new(advertise, address.port()),
        names: args.tls_san.clone(),
        cluster_cidr: fixed.cluster_cidr,
        service_cidr: fixed.service_cidr,
        cluster_domain: fixed.cluster_domain,
        pki,
    };
    runtime()?.block_on(async {
        let member = member::start(config).await?;
        tracing::info!(%address, %advertise, "serving");
        notify::ready().context("tell that we are ready")?;
        let ended = tokio::select! {
            () = signalled() => Ok(()),
            error = member.failed() => Err(error),
        };
        if tokio::time::timeout(Duration::from_secs(10), member.stop())
            .await
            .is_err()
        {
            tracing::warn!("connections were still open after 10 s");
        }
        ended
    })
}

fn listen(args: &ServerArgs) -> Result<TcpListener> {
    let address = SocketAddr::new(args.listen, args.port);
    let listener = TcpListener::bind(address).with_context(|| {
        format!("listen on {address} (is another server running there? choose another with --port)")
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Writes the administrator's kubeconfig and, for a node on this machine, the agent's.
pub fn write_kubeconfigs(paths: &Paths, pki: &Pki, address: SocketAddr, node: Option<&str>) -> Result<()> {
    let local = match address.ip() {
        ip if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        ip => ip,
    };
    let url = format!("https://{}", SocketAddr::new(local, address.port()));
    let admin = pki.issue_client("kubernetes-admin", &["system:masters"])?;
    let kubeconfig = pki.kubeconfig(&url, "kubernetes-admin", &admin);
    skiff_control::pki::write_private(&paths.admin_kubeconfig(), &kubeconfig)?;
    if let Some(node) = node {
        let identity = pki.issue_node(node)?;
        let kubeconfig = pki.kubeconfig(&url, &format!("system:node:{node}"), &identity);
        skiff_control::pki::write_private(&paths.node_kubeconfig(), &kubeconfig)?;
    }
    Ok(())
}

/// Logs go to standard error; `SKIFF_LOG` filters them as `RUST_LOG` does elsewhere.
pub fn start_logging() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("SKIFF_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
}

/// Two workers are enough for one member, and every thread costs memory.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the async runtime")
}

async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
