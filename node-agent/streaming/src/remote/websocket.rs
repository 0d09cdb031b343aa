//! `v5.channel.k8s.io` and its elders over WebSocket: the first byte of a message is its channel.
//!
//! 0 stdin, 1 stdout, 2 stderr, 3 the final Status, 4 resize; v5 adds 255: the channel named in the next byte is closed.
//! The `base64` forms send text: a digit and base64.

use std::{io, time::Duration};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::{SinkExt, StreamExt, stream::SplitSink};
use http::{HeaderMap, Request, Response, header};
use hyper::{body::Incoming, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message, Utf8Bytes,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};

use super::{Channel, Input, Output, plain_text, run, size, switching};
use crate::{
    ExecRequest, NodeError, Session,
    server::{Body, bad_request},
};

/// How long a client of v5 that says nothing is given until the first message. kubectl 1.30 to 1.33 and what else is built on
/// their library begin to read before they have made their streams, and throw away what comes for one that is not there yet
/// (Kubernetes issue 131189); our processes answer faster than that takes. A terminal's client speaks first, so it loses nothing.
const SETTLING: Duration = Duration::from_millis(25);

/// How long a client may take to close a connection that we have closed.
const FAREWELL: Duration = Duration::from_secs(2);

/// A connection after its handshake.
pub type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A sub-protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// As in the handshake.
    pub name: &'static str,
    /// Text messages with base64.
    pub is_base64: bool,
    /// The end comes as a `Status`.
    pub has_status: bool,
    /// A channel can be closed.
    pub has_close: bool,
}

const fn protocol(name: &'static str, is_base64: bool, has_status: bool, has_close: bool) -> Protocol {
    Protocol {
        name,
        is_base64,
        has_status,
        has_close,
    }
}

/// The best first.
pub const PROTOCOLS: &[Protocol] = &[
    protocol("v5.channel.k8s.io", false, true, true),
    protocol("v4.channel.k8s.io", false, true, false),
    protocol("v4.base64.channel.k8s.io", true, true, false),
    protocol("v3.channel.k8s.io", false, false, false),
    protocol("v2.channel.k8s.io", false, false, false),
    protocol("channel.k8s.io", false, false, false),
    protocol("base64.channel.k8s.io", true, false, false),
];

/// The sub-protocols a client offers, in its order; without any it means the oldest.
pub fn offered(headers: &HeaderMap) -> Vec<String> {
    let lines = headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|v| v.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .map(|name| name.trim().to_owned())
        .filter(|n| !n.is_empty())
        .collect()
}

/// Our choice: the first offer that we know, since clients put the best first.
fn choose(offers: &[String]) -> Option<Protocol> {
    if offers.is_empty() {
        return PROTOCOLS.iter().find(|p| p.name == "channel.k8s.io").copied();
    }
    offers
        .iter()
        .find_map(|offer| PROTOCOLS.iter().find(|p| p.name == offer))
        .copied()
}

/// The response of the handshake; `protocol` is named in it if the client offered any.
pub fn accept(headers: &HeaderMap, protocol: Option<&str>) -> Result<Response<Body>, NodeError> {
    let key = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .ok_or_else(|| bad_request("Sec-WebSocket-Key is missing"))?;
    let mut answer = vec![(header::UPGRADE, "websocket"), (header::CONNECTION, "Upgrade")];
    let accept = derive_accept_key(key.as_bytes());
    answer.push((header::SEC_WEBSOCKET_ACCEPT, &accept));
    answer.extend(protocol.map(|p| (header::SEC_WEBSOCKET_PROTOCOL, p)));
    switching(&answer)
}

/// The upgraded connection as a WebSocket.
pub async fn socket(request: Request<Incoming>) -> Result<Socket, hyper::Error> {
    let io = TokioIo::new(hyper::upgrade::on(request).await?);
    Ok(WebSocketStream::from_raw_socket(io, Role::Server, None).await)
}

/// Answers the handshake and runs the session.
pub fn upgrade(
    request: Request<Incoming>,
    wanted: ExecRequest,
    session: Session,
) -> Result<Response<Body>, NodeError> {
    let offers = offered(request.headers());
    let Some(protocol) = choose(&offers) else {
        session.control.close();
        return Err(bad_request(format!(
            "none of the sub-protocols {offers:?} is known"
        )));
    };
    let response = accept(request.headers(), (!offers.is_empty()).then_some(protocol.name))?;
    tokio::spawn(async move {
        match socket(request).await {
            Ok(socket) => serve(socket, protocol, wanted, session).await,
            Err(error) => {
                session.control.close();
                tracing::debug!(%error, "the WebSocket was not opened");
            }
        }
    });
    Ok(response)
}

async fn serve(socket: Socket, protocol: Protocol, wanted: ExecRequest, session: Session) {
    let (sink, mut messages) = socket.split();
    let (sender, inputs) = mpsc::channel(16);
    let mut output = Sender { sink, protocol };
    // An empty message tells the client that the connection is up.
    let greeting = if wanted.stdout { 1 } else { 3 };
    let (spoken, first) = oneshot::channel();
    let mut reader = tokio::spawn(async move {
        let mut spoken = Some(spoken);
        while let Some(Ok(message)) = messages.next().await {
            spoken.take().map(|spoken| spoken.send(()));
            if message.is_close() {
                break;
            }
            let Some((channel, bytes)) = unwrap(protocol, message) else {
                continue;
            };
            let input = match channel {
                0 if bytes.is_empty() => continue,
                0 => Input::Stdin(bytes),
                4 => match size(&bytes) {
                    Some(input) => input,
                    None => continue,
                },
                255 if protocol.has_close && bytes.first() == Some(&0) => Input::StdinEnd,
                _ => continue,
            };
            // What a process is told after its end is lost, but read: see below.
            let _ = sender.send(input).await;
        }
    });
    if protocol.has_close {
        let _ = tokio::time::timeout(SETTLING, first).await;
    }
    if output.send(greeting, &[]).await.is_err() {
        session.control.close();
        reader.abort();
        return;
    }
    run(session, inputs, output).await;
    // The client closes the connection when it has read everything. Dropping it before would reset it, and what is on its way
    // would be lost.
    if tokio::time::timeout(FAREWELL, &mut reader).await.is_err() {
        reader.abort();
    }
}

/// Channel and content of a message.
pub fn unwrap(protocol: Protocol, message: Message) -> Option<(u8, Bytes)> {
    let bytes: Bytes = match message {
        Message::Binary(bytes) => bytes,
        Message::Text(text) => text.into(),
        _ => return None,
    };
    let channel = *bytes.first()?;
    if protocol.is_base64 {
        let decoded = BASE64_STANDARD.decode(&bytes[1..]).ok()?;
        return Some((channel.checked_sub(b'0')?, decoded.into()));
    }
    Some((channel, bytes.slice(1..)))
}

/// Bytes of a channel as a message.
pub fn wrap(protocol: Protocol, channel: u8, bytes: &[u8]) -> Message {
    if protocol.is_base64 {
        return Message::text(format!("{channel}{}", BASE64_STANDARD.encode(bytes)));
    }
    let mut message = Vec::with_capacity(bytes.len() + 1);
    message.push(channel);
    message.extend_from_slice(bytes);
    Message::binary(message)
}

struct Sender {
    sink: SplitSink<Socket, Message>,
    protocol: Protocol,
}

impl Sender {
    async fn send(&mut self, channel: u8, bytes: &[u8]) -> io::Result<()> {
        self.sink
            .send(wrap(self.protocol, channel, bytes))
            .await
            .map_err(io::Error::other)
    }
}

#[async_trait]
impl Output for Sender {
    async fn write(&mut self, channel: Channel, bytes: &[u8]) -> io::Result<()> {
        let number = match channel {
            Channel::Stdout => 1,
            Channel::Stderr => 2,
        };
        self.send(number, bytes).await
    }

    async fn finish(&mut self, status: &Value) -> io::Result<()> {
        if self.protocol.has_status {
            self.send(3, status.to_string().as_bytes()).await?;
        } else if let Some(text) = plain_text(status) {
            self.send(3, text.as_bytes()).await?;
        }
        // Without a code, kubectl takes the end for a broken connection.
        let end = CloseFrame {
            code: CloseCode::Normal,
            reason: Utf8Bytes::default(),
        };
        self.sink
            .send(Message::Close(Some(end)))
            .await
            .map_err(io::Error::other)?;
        self.sink.close().await.map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_offer_is_taken() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            choose(&names(&["v5.channel.k8s.io", "v4.channel.k8s.io"]))
                .unwrap()
                .name,
            "v5.channel.k8s.io"
        );
        assert_eq!(
            choose(&names(&["v6.channel.k8s.io", "v4.channel.k8s.io"]))
                .unwrap()
                .name,
            "v4.channel.k8s.io"
        );
        assert_eq!(choose(&names(&["unknown"])), None);
        assert_eq!(choose(&[]).unwrap().name, "channel.k8s.io");
    }

    #[test]
    fn messages_come_out_as_they_went_in_binary_and_base64() {
        for protocol in PROTOCOLS {
            let message = wrap(*protocol, 4, b"hello");
            assert_eq!(
                unwrap(*protocol, message),
                Some((4, Bytes::from_static(b"hello"))),
                "{}",
                protocol.name
            );
        }
        assert_eq!(unwrap(PROTOCOLS[0], Message::binary(Vec::new())), None);
        assert_eq!(unwrap(PROTOCOLS[2], Message::text("1!!!")), None);
    }
}
