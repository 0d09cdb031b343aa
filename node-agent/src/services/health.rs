//! Health-check node ports: where a load balancer asks whether this node has endpoints of a service whose outside traffic
//! policy is `Local`.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

/// A request's headers must have come by then.
const PATIENCE: Duration = Duration::from_secs(5);

/// More than any load balancer's request.
const MOST_HEADER_BYTES: usize = 8192;

struct Health {
    port: u16,
    endpoints: Arc<AtomicUsize>,
    _task: AbortOnDropHandle<()>,
}

/// The health-check ports that are listened on, by service.
#[derive(Default)]
pub(super) struct Healths(HashMap<String, Health>);

impl Healths {
    /// Makes `name` answer on this port with this many endpoints, or not at all.
    ///
    /// # Errors
    /// When the port can't be listened on, with its address.
    pub async fn set(
        &mut self,
        name: &str,
        wanted: Option<(u16, usize)>,
    ) -> Result<(), (SocketAddr, io::Error)> {
        let Some((port, endpoints)) = wanted else {
            self.0.remove(name);
            return Ok(());
        };
        if let Some(health) = self.0.get(name).filter(|health| health.port == port) {
            health.endpoints.store(endpoints, Relaxed);
            return Ok(());
        }
        self.0.remove(name);
        let listener = listen(port).await?;
        let endpoints = Arc::new(AtomicUsize::new(endpoints));
        let (service, count) = (name.to_owned(), Arc::clone(&endpoints));
        let task = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let answer = answer(&service, count.load(Relaxed));
                        tokio::spawn(timeout(PATIENCE, serve(stream, answer)));
                    }
                    Err(error) => {
                        debug!(%error, "a health check was not accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
        let health = Health {
            port,
            endpoints,
            _task: AbortOnDropHandle::new(task),
        };
        self.0.insert(name.to_owned(), health);
        Ok(())
    }
}

/// On all addresses of the host; without IPv6, on those of IPv4.
async fn listen(port: u16) -> Result<TcpListener, (SocketAddr, io::Error)> {
    let all = SocketAddr::from(([0_u16; 8], port));
    match TcpListener::bind(all).await {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            let all = SocketAddr::from(([0_u8; 4], port));
            TcpListener::bind(all).await.map_err(|error| (all, error))
        }
        other => other.map_err(|error| (all, error)),
    }
}

/// What kube-proxy answers.
fn answer(service: &str, endpoints: usize) -> String {
    let (namespace, name) = service.split_once('/').unwrap_or_default();
    let body = serde_json::json!({
        "service": {"namespace": namespace, "name": name},
        "localEndpoints": endpoints,
        "serviceProxyHealthy": true,
    });
    let body = body.to_string();
    let status = if endpoints > 0 {
        "200 OK"
    } else {
        "503 Service Unavailable"
    };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n\
         X-Load-Balancing-Endpoint-Weight: {endpoints}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Answers one request, whatever it asks.
async fn serve(mut stream: TcpStream, answer: String) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() > MOST_HEADER_BYTES || stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(port: u16) -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: node\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn a_load_balancer_learns_whether_there_are_endpoints_here() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        let mut healths = Healths::default();
        let (_, error) = healths.set("default/web", Some((port, 1))).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(free);
        healths.set("default/web", Some((port, 2))).await.unwrap();
        let healthy = get(port).await.unwrap();
        assert!(
            healthy.starts_with("HTTP/1.1 200 ") && healthy.contains("\"localEndpoints\":2"),
            "{healthy}"
        );
        healths.set("default/web", Some((port, 0))).await.unwrap();
        let empty = get(port).await.unwrap();
        assert!(
            empty.starts_with("HTTP/1.1 503 ") && empty.contains("Endpoint-Weight: 0\r\n"),
            "{empty}"
        );
        healths.set("default/web", None).await.unwrap();
        tokio::task::yield_now().await;
        assert!(get(port).await.is_err());
    }
}
