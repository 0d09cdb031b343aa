//! Questions the cluster can't answer: asked of the host's name servers from the host's namespace, and remembered for
//! a short while.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, RecordType},
};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UdpSocket,
    time::{Instant, timeout},
};
use tracing::debug;

use crate::netns::Namespace;

/// One server's time to answer, and the time for all of them: clients give up after five seconds.
const SERVER_DEADLINE: Duration = Duration::from_millis(1500);
const DEADLINE: Duration = Duration::from_millis(4500);

/// Answers kept; one is a few hundred bytes.
const CACHED: NonZeroUsize = NonZeroUsize::new(2048).unwrap();
/// However long the answer says it may be kept.
const LONGEST_KEPT: Duration = Duration::from_secs(30);

/// What fits into one unfragmented datagram on any path (DNS flag day 2020).
const PAYLOAD: u16 = 1232;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    name: Name,
    kind: RecordType,
    dnssec: bool,
}

struct Kept {
    message: Message,
    since: Instant,
    until: Instant,
}

#[derive(Default)]
struct Servers {
    /// Length and time of change of the file they were read from.
    version: Option<(u64, SystemTime)>,
    addresses: Arc<[SocketAddr]>,
}

pub(crate) struct Upstream {
    host: Arc<Namespace>,
    resolv_conf: PathBuf,
    /// Where this server listens: asking itself would go round for ever.
    own: SocketAddr,
    servers: Mutex<Servers>,
    /// The server that answered last is asked first.
    first: AtomicUsize,
    cache: Mutex<LruCache<Key, Kept>>,
}

impl Upstream {
    pub fn new(host: Arc<Namespace>, resolv_conf: PathBuf, own: SocketAddr) -> Self {
        Self {
            host,
            resolv_conf,
            own,
            servers: Mutex::default(),
            first: AtomicUsize::new(0),
            cache: Mutex::new(LruCache::new(CACHED)),
        }
    }

    /// The answer to `query`, from the cache or a server; none when no server gave a usable one in time. Its identifier
    /// is arbitrary.
    pub async fn resolve(&self, query: &Query, dnssec: bool) -> Option<Message> {
        let key = Key {
            name: query.name().to_lowercase(),
            kind: query.query_type(),
            dnssec,
        };
        if let Some(message) = self.cached(&key, Instant::now()) {
            return Some(message);
        }
        let servers = self.servers();
        let message = timeout(DEADLINE, self.ask_all(&servers, query, dnssec))
            .await
            .ok()??;
        self.keep(key, &message);
        Some(message)
    }

    fn cached(&self, key: &Key, now: Instant) -> Option<Message> {
        let mut cache = self.cache.lock();
        let kept = cache.get(key)?;
        if kept.until <= now {
            cache.pop(key);
            return None;
        }
        let mut message = kept.message.clone();
        let age = u32::try_from((now - kept.since).as_secs()).unwrap_or(u32::MAX);
        let sections = [
            &mut message.answers,
            &mut message.authorities,
            &mut message.additionals,
        ];
        for record in sections.into_iter().flatten() {
            record.decrement_ttl(age);
        }
        Some(message)
    }

    fn keep(&self, key: Key, message: &Message) {
        let Some(time) = keep_for(message) else { return };
        let now = Instant::now();
        self.cache.lock().put(
            key,
            Kept {
                message: message.clone(),
                since: now,
                until: now + time,
            },
        );
    }

    /// The servers of the file as it is now.
    fn servers(&self) -> Arc<[SocketAddr]> {
        let version = std::fs::metadata(&self.resolv_conf)
            .and_then(|meta| Ok((meta.len(), meta.modified()?)))
            .ok();
        let mut servers = self.servers.lock();
        if servers.version != version || version.is_none() {
            let text = std::fs::read_to_string(&self.resolv_conf).unwrap_or_default();
            servers.addresses = name_servers(&text)
                .filter(|&address| address != self.own)
                .collect();
            servers.version = version;
        }
        Arc::clone(&servers.addresses)
    }

    async fn ask_all(&self, servers: &[SocketAddr], query: &Query, dnssec: bool) -> Option<Message> {
        let first = self.first.load(Ordering::Relaxed);
        let mut refusal = None;
        for turn in 0..servers.len() {
            let index = (first + turn) % servers.len();
            let server = servers[index];
            match timeout(SERVER_DEADLINE, self.ask(server, query, dnssec)).await {
                Ok(Ok(message)) => match message.metadata.response_code {
                    ResponseCode::NoError | ResponseCode::NXDomain => {
                        self.first.store(index, Ordering::Relaxed);
                        return Some(message);
                    }
                    _ => refusal = Some(message),
                },
                Ok(Err(error)) => debug!(%server, %error, "name server failed"),
                Err(_) => debug!(%server, "name server did not answer"),
            }
        }
        refusal
    }

    async fn ask(&self, server: SocketAddr, query: &Query, dnssec: bool) -> io::Result<Message> {
        // A socket of its own, so a port of its own: the answer can't be forged by guessing the identifier alone.
        let any = match server.ip() {
            IpAddr::V4(_) => SocketAddr::from(([0_u8; 4], 0)),
            IpAddr::V6(_) => SocketAddr::from(([0_u16; 8], 0)),
        };
        let question = question(query, dnssec);
        let bytes = question.to_vec().map_err(io::Error::other)?;
        let socket = self.host.udp_socket(any).await?;
        socket.connect(server)?;
        let socket = UdpSocket::from_std(socket)?;
        socket.send(&bytes).await?;
        let mut buffer = vec![0; 4096];
        loop {
            crate::udp::readable(&socket).await?;
            let length = match socket.try_recv(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                other => other?,
            };
            match Message::from_vec(&buffer[..length]) {
                Ok(answer) if !answers(&answer, &question) => {}
                Ok(answer) if !answer.metadata.truncation => return Ok(answer),
                // Cut short, or too odd to parse because it was: the whole answer is to be had over TCP.
                _ => break,
            }
        }
        let mut stream = self.host.tcp_connect(server, None).await?;
        stream
            .write_all(
                &u16::try_from(bytes.len())
                    .map_err(io::Error::other)?
                    .to_be_bytes(),
            )
            .await?;
        stream.write_all(&bytes).await?;
        let length = stream.read_u16().await?;
        buffer.resize(usize::from(length), 0);
        stream.read_exact(&mut buffer).await?;
        let answer = Message::from_vec(&buffer).map_err(io::Error::other)?;
        if answers(&answer, &question) {
            Ok(answer)
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }
}

fn question(query: &Query, dnssec: bool) -> Message {
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(query.clone());
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD);
    edns.set_dnssec_ok(dnssec);
    message.set_edns(edns);
    message
}

fn answers(answer: &Message, question: &Message) -> bool {
    answer.metadata.message_type == MessageType::Response
        && answer.metadata.id == question.metadata.id
        && answer.queries == question.queries
}

/// How long an answer may be kept: its shortest time to live, or what the SOA says about absence (RFC 2308).
fn keep_for(message: &Message) -> Option<Duration> {
    let found = match message.metadata.response_code {
        ResponseCode::NoError => !message.answers.is_empty(),
        ResponseCode::NXDomain => false,
        _ => return None,
    };
    let seconds = if found {
        message.answers.iter().map(|record| record.ttl).min()
    } else {
        message.authorities.iter().find_map(|record| match &record.data {
            RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
            _ => None,
        })
    };
    seconds
        .filter(|&seconds| seconds > 0)
        .map(|seconds| Duration::from_secs(seconds.into()).min(LONGEST_KEPT))
}

/// The `nameserver` lines. Source: resolv.conf(5).
fn name_servers(text: &str) -> impl Iterator<Item = SocketAddr> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words
            .next()
            .filter(|&word| word == "nameserver")
            .and_then(|_| words.next())?;
        // With a zone (fe80::1%eth0) it would need that interface's number; the others are asked.
        Some(SocketAddr::new(address.parse().ok()?, 53))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_past_comments_options_and_zones() {
        let text = "# nameserver 1.1.1.1\nsearch example.org\nnameserver 127.0.0.53\n nameserver\t::1 # x\n\
                    nameserver fe80::1%eth0\noptions edns0\n";
        let servers: Vec<_> = name_servers(text).map(|server| server.to_string()).collect();
        assert_eq!(servers, ["127.0.0.53:53", "[::1]:53"]);
    }
}
