//! `skiff server`: the control plane in the foreground.

use std::{
    fs::{File, TryLockError},
    net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs as _},
    os::unix::fs::OpenOptionsExt as _,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use skiff_control::{
    member,
    members::identity::Identity,
    pki::{MinTls, Pki},
};

use crate::{
    cli::{ServerArgs, ServerCommand, TlsVersion},
    cluster::{self, Fixed},
    kubeconfig, members, notify,
    paths::Paths,
};

/// Serves until SIGTERM or SIGINT. Joins first, if told to and not done yet.
pub fn run(paths: &Paths, command: &ServerCommand) -> Result<()> {
    start_logging();
    paths.create()?;
    crate::process::register(&paths.run, "server")?;
    let args = &command.server;
    let listener = listen(args)?;
    let _alone = lock(paths)?;
    let address = listener.local_addr()?;
    let known = Identity::load(&paths.data)?;
    let advertise = advertised(command, known.as_ref())?;
    let advertise = SocketAddr::new(advertise, address.port());
    let has_keys = paths.pki().join("ca.key").exists();
    let mut identity = match (known, &command.join, &command.token) {
        (Some(known), ..) if has_keys => known,
        (None, Some(url), _) if has_keys => bail!(
            "{:?} holds a cluster of its own: to make this server a member of the one at {url}, give another --data-dir, or \
             remove that one",
            paths.data
        ),
        (_, Some(url), Some(token)) => members::join(paths, args, url, token, advertise)?,
        (Some(known), ..) if known.joined => bail!("joining was not finished: give --join and --token again"),
        // A restored snapshot knows the members of the cluster it is of; they are not this one's.
        _ if paths.data.join("store").exists() => Identity::first().alone(),
        _ => Identity::first(),
    };
    identity.save(&paths.data)?;
    if command.recover {
        crate::recover::run(paths, identity.id, command.yes)?;
        identity = identity.alone();
        identity.save(&paths.data)?;
    }
    let fixed = Fixed::check(args, &paths.data)?;
    let pki = Arc::new(Pki::open(&paths.pki())?);
    let kubeconfig = kubeconfig::Keeper::start(paths, pki.clone(), address, &identity)?;
    let config = member::Config {
        data_dir: paths.data.clone(),
        listener,
        advertise,
        names: args.tls_san.clone(),
        min_tls: match args.tls_min_version {
            TlsVersion::V1_2 => MinTls::V1_2,
            TlsVersion::V1_3 => MinTls::V1_3,
        },
        cluster_cidr: fixed.cluster_cidr,
        service_cidr: fixed.service_cidr,
        cluster_domain: fixed.cluster_domain,
        load_balancer_pool: args.load_balancer_pool.clone(),
        audit: args.audit(),
        identity,
        host: cluster::host_name()?,
        pki,
    };
    runtime()?.block_on(async {
        let id = config.identity.id;
        let member = tokio::select! {
            member = member::start(config) => member?,
            () = signalled() => return Ok(()),
        };
        tracing::info!(member = id, %address, %advertise, "serving");
        // Reading the log leaves as much free memory behind as it has bytes, in pieces that are not given back.
        skiff_sys::process::trim_heap();
        notify::ready().context("tell that we are ready")?;
        tokio::spawn(kubeconfig.run(member.members()));
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

/// One server at a time works on a data directory, from the first file on that it writes there: the store's own lock comes
/// after the kubeconfig.
fn lock(paths: &Paths) -> Result<File> {
    let path = paths.data.join("server.lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("open {path:?}"))?;
    // One that was killed a moment ago holds it until it is gone.
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => bail!(
                "another server works on {:?}: give this one another --data-dir",
                paths.data
            ),
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("lock {path:?}")),
        }
    }
}

/// Where others reach this server: as given, else on the way to the members it knows.
fn advertised(command: &ServerCommand, known: Option<&Identity>) -> Result<IpAddr> {
    if let Some(address) = command.server.advertise {
        return Ok(address);
    }
    if let Some(known) = known
        && let Some(other) = known.members.iter().find(|member| member.id != known.id)
    {
        return Ok(cluster::address_towards(other.address.ip()).unwrap_or_else(cluster::default_address));
    }
    if let Some(url) = &command.join {
        let authority = crate::join::authority(url)?;
        let mut found = authority
            .to_socket_addrs()
            .with_context(|| format!("look up {authority}"))?;
        let towards = found
            .next()
            .and_then(|server| cluster::address_towards(server.ip()));
        return Ok(towards.unwrap_or_else(cluster::default_address));
    }
    Ok(cluster::default_address())
}

fn listen(args: &ServerArgs) -> Result<TcpListener> {
    let address = SocketAddr::new(args.listen, args.port);
    let listener = TcpListener::bind(address).with_context(|| {
        format!("listen on {address} (is another server running there? choose another with --port)")
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
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
