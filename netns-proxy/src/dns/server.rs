//! The sockets of the cluster DNS: questions in, answers out, over UDP and TCP.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hickory_proto::{
    op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode},
    rr::{DNSClass, RecordType},
};
use parking_lot::RwLock;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::Semaphore,
    time::timeout,
};
use tracing::debug;

use super::{
    upstream::Upstream,
    zone::{Answer, Zone},
};

/// A datagram without EDNS carries no more (RFC 1035), one with EDNS no more than fits into a packet on any path.
const PLAIN_PAYLOAD: u16 = 512;
const LARGEST_PAYLOAD: u16 = 1232;

/// Longest chain of aliases inside the cluster.
const MOST_ALIASES: usize = 8;

/// Questions that wait for upstream servers at once; more get a server failure at once.
const MOST_WAITING: usize = 1024;

/// TCP connections at once, and how long one may be idle.
const MOST_CONNECTIONS: usize = 256;
const IDLE: Duration = Duration::from_secs(10);

static WAITING: Semaphore = Semaphore::const_new(MOST_WAITING);

pub(crate) struct Server {
    pub zone: Arc<RwLock<Zone>>,
    pub upstream: Upstream,
}

/// A question as understood.
enum Asked {
    /// Answer that is ready.
    Ready(Message),
    /// Needs upstream servers; the answer so far (an alias, perhaps) and the name that is missing.
    Upstream(Box<(Message, Query)>),
}

impl Server {
    pub async fn serve_udp(self: Arc<Self>, socket: UdpSocket) {
        let socket = Arc::new(socket);
        let mut buffer = vec![0; 4096];
        loop {
            let Ok((length, client)) = socket.recv_from(&mut buffer).await else {
                // An ICMP error about an earlier answer.
                tokio::task::yield_now().await;
                continue;
            };
            let Some(question) = parse(&buffer[..length]) else {
                continue;
            };
            let limit = payload(question.as_ref().ok());
            match self.look_up(question) {
                Asked::Ready(answer) => send(&socket, client, &answer, limit).await,
                Asked::Upstream(asked) => {
                    let (server, socket) = (Arc::clone(&self), Arc::clone(&socket));
                    tokio::spawn(async move {
                        let (answer, query) = *asked;
                        let answer = server.complete(answer, &query).await;
                        send(&socket, client, &answer, limit).await;
                    });
                }
            }
        }
    }

    pub async fn serve_tcp(self: Arc<Self>, listener: TcpListener) {
        let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        loop {
            // Never closed; the permit is held by the connection.
            let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let server = Arc::clone(&self);
                    tokio::spawn(async move {
                        let _permit = permit;
                        if let Err(error) = server.serve_connection(stream).await {
                            debug!(%error, "DNS connection broke");
                        }
                    });
                }
                Err(error) => {
                    debug!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    async fn serve_connection(&self, mut stream: TcpStream) -> std::io::Result<()> {
        loop {
            let length = match timeout(IDLE, stream.read_u16()).await {
                Ok(Ok(length)) => length,
                _ => return Ok(()),
            };
            let mut buffer = vec![0; usize::from(length)];
            timeout(IDLE, stream.read_exact(&mut buffer)).await??;
            let Some(question) = parse(&buffer) else {
                return Ok(());
            };
            let answer = match self.look_up(question) {
                Asked::Ready(answer) => answer,
                Asked::Upstream(asked) => self.complete(asked.0, &asked.1).await,
            };
            let bytes = encode(&answer, u16::MAX);
            let mut framed = Vec::with_capacity(bytes.len() + 2);
            framed.extend(u16::try_from(bytes.len()).unwrap_or(0).to_be_bytes());
            framed.extend(bytes);
            timeout(IDLE, stream.write_all(&framed)).await??;
        }
    }

    /// Answers from the zone as far as it goes.
    fn look_up(&self, question: Result<Message, Message>) -> Asked {
        let question = match question {
            Ok(question) => question,
            Err(refusal) => return Asked::Ready(refusal),
        };
        let mut answer = response(&question, ResponseCode::NoError);
        let [query] = question.queries.as_slice() else {
            answer.metadata.response_code = ResponseCode::FormErr;
            return Asked::Ready(answer);
        };
        if question.metadata.op_code != OpCode::Query {
            answer.metadata.response_code = ResponseCode::NotImp;
            return Asked::Ready(answer);
        }
        if question.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
            answer.metadata.response_code = ResponseCode::BADVERS;
            return Asked::Ready(answer);
        }
        if query.query_class() != DNSClass::IN {
            answer.metadata.response_code = ResponseCode::Refused;
            return Asked::Ready(answer);
        }
        let zone = self.zone.read();
        let mut name = query.name().clone();
        for _ in 0..MOST_ALIASES {
            let code = match zone.answer(&name, query.query_type()) {
                Answer::Elsewhere => {
                    let mut rest = Query::query(name, query.query_type());
                    rest.set_query_class(DNSClass::IN);
                    return Asked::Upstream(Box::new((answer, rest)));
                }
                Answer::Alias { alias, target } => {
                    answer.metadata.authoritative = true;
                    answer.add_answer(*alias);
                    name = target;
                    if query.query_type() != RecordType::CNAME {
                        continue;
                    }
                    ResponseCode::NoError
                }
                Answer::Records { answers, additionals } => {
                    answer.metadata.authoritative = true;
                    answer.add_answers(answers);
                    answer.add_additionals(additionals);
                    ResponseCode::NoError
                }
                negative => {
                    answer.metadata.authoritative = true;
                    answer.add_authority(zone.start_of_authority());
                    if negative == Answer::NoName {
                        ResponseCode::NXDomain
                    } else {
                        ResponseCode::NoError
                    }
                }
            };
            answer.metadata.response_code = code;
            return Asked::Ready(answer);
        }
        answer.metadata.response_code = ResponseCode::ServFail;
        Asked::Ready(answer)
    }

    /// Adds what upstream servers say about `query`.
    async fn complete(&self, mut answer: Message, query: &Query) -> Message {
        let dnssec = answer.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
        let found = match WAITING.try_acquire() {
            Ok(_permit) => self.upstream.resolve(query, dnssec).await,
            Err(_) => None,
        };
        match found {
            Some(found) => {
                answer.metadata.response_code = found.metadata.response_code;
                answer.metadata.authentic_data = found.metadata.authentic_data && answer.answers.is_empty();
                answer.metadata.authoritative = false;
                answer.add_answers(found.answers);
                answer.add_authorities(found.authorities);
                answer.add_additionals(found.additionals);
            }
            None => answer.metadata.response_code = ResponseCode::ServFail,
        }
        answer
    }
}

/// The question in `bytes`, or the answer saying that it is malformed; none for what must not be answered.
fn parse(bytes: &[u8]) -> Option<Result<Message, Message>> {
    match Message::from_vec(bytes) {
        Ok(message) if message.metadata.message_type == MessageType::Query => Some(Ok(message)),
        Ok(_) => None,
        // With the header at least, and not an answer: two such servers would talk for ever.
        Err(_) if bytes.len() >= 12 && bytes[2] & 0x80 == 0 => {
            let id = u16::from_be_bytes([bytes[0], bytes[1]]);
            Some(Err(Message::error_msg(id, OpCode::Query, ResponseCode::FormErr)))
        }
        Err(_) => None,
    }
}

fn response(question: &Message, code: ResponseCode) -> Message {
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata = Metadata::response_from_request(&question.metadata);
    answer.metadata.recursion_available = true;
    answer.metadata.response_code = code;
    answer.queries.clone_from(&question.queries);
    if let Some(asked) = &question.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(LARGEST_PAYLOAD);
        edns.set_dnssec_ok(asked.flags().dnssec_ok);
        answer.set_edns(edns);
    }
    answer
}

/// What the client's datagram may hold.
fn payload(question: Option<&Message>) -> u16 {
    let asked = question
        .and_then(|question| question.edns.as_ref())
        .map(Edns::max_payload);
    asked
        .unwrap_or(PLAIN_PAYLOAD)
        .clamp(PLAIN_PAYLOAD, LARGEST_PAYLOAD)
}

/// The answer in at most `limit` bytes, marked as truncated if it had to be cut.
fn encode(answer: &Message, limit: u16) -> Vec<u8> {
    let bytes = answer.to_vec().unwrap_or_else(|error| {
        debug!(%error, "DNS answer cannot be encoded");
        let mut failure = Message::error_msg(
            answer.metadata.id,
            answer.metadata.op_code,
            ResponseCode::ServFail,
        );
        failure.queries.clone_from(&answer.queries);
        failure.to_vec().unwrap_or_default()
    });
    if bytes.len() <= usize::from(limit) {
        return bytes;
    }
    let mut cut = answer.truncate();
    cut.metadata.truncation = true;
    // What is left may still be a header and a question only; that always fits.
    match cut.to_vec() {
        Ok(bytes) if bytes.len() <= usize::from(limit) => bytes,
        _ => {
            cut.answers.clear();
            cut.authorities.clear();
            cut.additionals.clear();
            cut.to_vec().unwrap_or_default()
        }
    }
}

async fn send(socket: &UdpSocket, client: SocketAddr, answer: &Message, limit: u16) {
    if let Err(error) = socket.send_to(&encode(answer, limit), client).await {
        debug!(%client, %error, "DNS answer not sent");
    }
}
