//! The forwarder: connections to a port of loopback go on to an API server.
//!
//! It moves bytes and knows nothing of what is in them: who a server is, the client finds out by its certificate, and who
//! a client is, the server.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, Write as _},
    net::{Ipv4Addr, TcpListener as Bound},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tracing::warn;

use super::Servers;

/// Tried when no port is asked for, from the last one down; then any. Each cluster on a machine has one of its own.
const PORTS: std::ops::RangeInclusive<u16> = 6421..=6440;
const CONNECT: Duration = Duration::from_secs(2);
/// How long a server may take to accept before the next one is tried beside it.
const STAGGER: Duration = Duration::from_millis(150);
const RETRY: Duration = Duration::from_millis(200);
/// How long a server may be silent on a connection that asks it something, or whether it is there.
const LOSS: Duration = Duration::from_secs(4);

/// Takes the port that is asked for (0: any), else the one of the last run, else one that is free. It is written to `file`, which
/// is locked for as long as the returned one is open: so whoever reads it knows whether it is true.
///
/// # Errors
/// When the port that was asked for is taken.
pub(crate) fn listen(wanted: Option<u16>, file: &Path) -> anyhow::Result<(Bound, File)> {
    let mut held = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("open {file:?}"))?;
    // Whoever looks at it holds it for a moment.
    held.lock().with_context(|| format!("lock {file:?}"))?;
    let mut text = String::new();
    let _ = held.read_to_string(&mut text);
    let before: Option<u16> = text.trim().parse().ok();
    let bind = |port| Bound::bind((Ipv4Addr::LOCALHOST, port));
    let listener = match (wanted, before) {
        (Some(port), _) => bind(port).with_context(|| {
            format!("port {port} of 127.0.0.1 is taken: stop what listens there, or choose another with --forwarder-port")
        })?,
        (None, before) => {
            let tried = before.into_iter().chain(PORTS.rev()).chain([0]);
            let found = tried.map(bind).find_map(Result::ok);
            found.context("no port of 127.0.0.1 is free")?
        }
    };
    let port = listener.local_addr()?.port();
    if before.is_some_and(|before| before != port) {
        warn!(
            ?before,
            port, "the forwarder to the API servers has another port: take over the new kubeconfig"
        );
    }
    if before != Some(port) {
        held.rewind()
            .and_then(|()| held.set_len(0))
            .and_then(|()| writeln!(held, "{port}"))
            .with_context(|| format!("write {file:?}"))?;
    }
    Ok((listener, held))
}

pub(super) async fn accept(servers: Arc<Servers>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => drop(tokio::spawn(forward(Arc::clone(&servers), socket))),
            Err(error) => {
                warn!(%error, "accept for the API servers");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Moves the bytes of one connection until either side ends it, or its server is lost.
async fn forward(servers: Arc<Servers>, mut near: TcpStream) {
    let Some((server, mut far)) = dial(&servers).await else {
        return;
    };
    let mut way = servers.way(&server);
    let _ = (near.set_nodelay(true), far.set_nodelay(true), notice_loss(&far));
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = way.changed() => {}
    }
}

/// A connection to whoever accepts first. The present server has a lead over the others; which one is used from now on is the
/// probe's to say.
async fn dial(servers: &Servers) -> Option<(String, TcpStream)> {
    let mut left = servers.all().into_iter();
    let mut trying = FuturesUnordered::new();
    loop {
        if let Some(server) = left.next() {
            trying.push(async {
                let connecting = tokio::time::timeout(CONNECT, TcpStream::connect(&server));
                let socket = connecting.await.ok().and_then(Result::ok);
                (server, socket)
            });
        }
        tokio::select! {
            tried = trying.next() => match tried? {
                (server, Some(socket)) => return Some((server, socket)),
                (_, None) => servers.doubt.notify_one(),
            },
            () = tokio::time::sleep(STAGGER), if left.len() > 0 => {}
        }
    }
}

/// Ends a connection within seconds after the way to the server, or the address of this host, is gone: a watch says nothing
/// for minutes, and the kernel retransmits for a quarter of an hour.
fn notice_loss(socket: &TcpStream) -> io::Result<()> {
    let socket = socket2::SockRef::from(socket);
    socket.set_tcp_user_timeout(Some(LOSS))?;
    socket.set_tcp_keepalive(
        &socket2::TcpKeepalive::new()
            .with_time(LOSS / 2)
            .with_interval(LOSS / 4)
            .with_retries(2),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_stays_the_same_and_is_known_by_a_locked_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("forwarder");
        let port = |listener: &Bound| listener.local_addr().unwrap().port();
        let (first, held) = listen(None, &file).unwrap();
        let chosen = port(&first);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{chosen}\n"));
        let looks = File::open(&file).unwrap();
        assert!(looks.try_lock_shared().is_err(), "nobody seems to listen");
        drop((first, held));
        assert!(looks.try_lock_shared().is_ok());
        drop(looks);
        let (again, held) = listen(None, &file).unwrap();
        assert_eq!(port(&again), chosen);
        drop(held);
        // Another cluster of this machine has another one.
        let other = dir.path().join("other");
        let (elsewhere, _held) = listen(None, &other).unwrap();
        assert_ne!(port(&elsewhere), chosen);
        // Taken meanwhile, it moves; one that was asked for does not.
        let (moved, _held) = listen(None, &file).unwrap();
        assert_ne!(port(&moved), chosen);
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text, format!("{}\n", port(&moved)));
        let refusal = listen(Some(chosen), &dir.path().join("third")).unwrap_err();
        assert!(format!("{refusal:#}").contains("--forwarder-port"), "{refusal:#}");
    }
}
