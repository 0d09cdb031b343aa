//! Outbound TCP: a transparent listener in the node namespace, a socket of the host per connection.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use skiff_netns_proxy::{
    accept::{Reserve, accept_all},
    netns::Namespace,
    relay::{Moved, abort, relay},
};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use super::{Inside, set_transparent};
use crate::{nftables::Family, policy};

/// How long the world may take to accept. The pod sees its connection accepted before that and reset after.
const CONNECT_DEADLINE: Duration = Duration::from_secs(20);
const BACKLOG: i32 = 4096;

/// Listens in `node` for connections of a family and carries every one on from `host`; returns the port that packets have to be given to.
///
/// Bound to loopback, which pods can't reach: only what the rules hand over gets here.
pub(crate) async fn start(
    family: Family,
    node: &Namespace,
    host: &Arc<Namespace>,
    inside: Inside,
    rules: &policy::Shared,
) -> io::Result<(u16, AbortOnDropHandle<()>)> {
    let listener = node
        .run(move || {
            let bind = SocketAddr::new(family.loopback(), 0);
            let kind = Type::STREAM.nonblocking();
            let socket = Socket::new(Domain::for_address(bind), kind, Some(Protocol::TCP))?;
            set_transparent(&socket, bind)?;
            // Inherited by accepted sockets: a pod whose interface vanished is noticed.
            socket.set_tcp_nodelay(true)?;
            socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(Duration::from_secs(120)))?;
            socket.bind(&SockAddr::from(bind))?;
            socket.listen(BACKLOG)?;
            io::Result::Ok(std::net::TcpListener::from(socket))
        })
        .await??;
    let port = listener.local_addr()?.port();
    let listener = TcpListener::from_std(listener)?;
    let (host, rules) = (Arc::clone(host), Arc::clone(rules));
    let task = tokio::spawn(async move {
        let serve = |stream: TcpStream, client| {
            let rules = Arc::clone(&rules);
            tokio::spawn(carry(Arc::clone(&host), inside, rules, stream, client));
        };
        let shed = || warn!("outbound connection reset: no descriptors left");
        accept_all(listener, &Reserve::default(), shed, serve).await;
    });
    Ok((port, AbortOnDropHandle::new(task)))
}

async fn carry(
    host: Arc<Namespace>,
    inside: Inside,
    rules: policy::Shared,
    client: TcpStream,
    from: SocketAddr,
) {
    // What the pod asked for is the local end of a connection taken transparently.
    let Ok(to) = client.local_addr() else { return };
    if !inside.may_leave(to.ip()) || !policy::may_leave(&rules, from, to, libc::IPPROTO_TCP) {
        abort(&client);
        return;
    }
    let error = match timeout(CONNECT_DEADLINE, host.tcp_connect(to, None)).await {
        Ok(Ok(world)) => match relay(client, world, &Moved::default()).await {
            Ok(()) => return,
            Err(error) => error,
        },
        Ok(Err(error)) => {
            abort(&client);
            error
        }
        Err(_) => {
            abort(&client);
            io::ErrorKind::TimedOut.into()
        }
    };
    debug!(%from, %to, %error, "outbound connection broke");
}
