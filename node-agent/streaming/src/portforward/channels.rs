//! Two channels per port in one WebSocket: `2n` data, `2n + 1` error, for the n-th `ports` of the query. Each channel
//! begins with its port, two bytes, least significant first.

use futures::{SinkExt, StreamExt};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};
use tokio_tungstenite::tungstenite::Message;

use super::{CHUNK, Pod};
use crate::{
    NodeError,
    query::Query,
    remote::websocket::{self, PROTOCOLS, Protocol, Socket},
    server::{Body, bad_request},
};

/// Channels are numbered by a byte.
const MAX_PORTS: usize = 100;

/// Answers the handshake and forwards.
pub fn upgrade(
    request: Request<Incoming>,
    offers: &[String],
    query: &Query,
    pod: Pod,
) -> Result<Response<Body>, NodeError> {
    let known = |offer: &String| PROTOCOLS.iter().find(|p| p.name == offer).copied();
    let protocol = match offers {
        [] => PROTOCOLS.iter().find(|p| p.name == "channel.k8s.io").copied(),
        offers => offers.iter().find_map(known),
    };
    let protocol =
        protocol.ok_or_else(|| bad_request(format!("none of the sub-protocols {offers:?} is known")))?;
    let ports: Vec<u16> = query
        .all("ports")
        .chain(query.all("port"))
        .flat_map(|list| list.split(','))
        .map(|port| {
            port.parse()
                .map_err(|_| bad_request(format!("invalid port {port:?}")))
        })
        .collect::<Result<_, _>>()?;
    if ports.is_empty() || ports.len() > MAX_PORTS {
        return Err(bad_request(
            "the query must name the ports, at most 100: ports=80",
        ));
    }
    let response = websocket::accept(request.headers(), (!offers.is_empty()).then_some(protocol.name))?;
    tokio::spawn(async move {
        match websocket::socket(request).await {
            Ok(socket) => serve(socket, protocol, &ports, &pod).await,
            Err(error) => tracing::debug!(%error, "the WebSocket was not opened"),
        }
    });
    Ok(response)
}

async fn serve(socket: Socket, protocol: Protocol, ports: &[u16], pod: &Pod) {
    let (mut sink, mut messages) = socket.split();
    let (sender, mut outgoing) = mpsc::channel::<Message>(16);
    let mut tasks = tokio::task::JoinSet::new();
    let mut inputs = Vec::new();
    for (number, port) in ports.iter().enumerate() {
        let (input, received) = mpsc::channel::<bytes::Bytes>(16);
        inputs.push(input);
        let channel = (2 * number) as u8;
        tasks.spawn(forward(
            pod.clone(),
            *port,
            channel,
            protocol,
            received,
            sender.clone(),
        ));
    }
    drop(sender);
    let receive = async {
        while let Some(Ok(message)) = messages.next().await {
            let Some((channel, bytes)) = websocket::unwrap(protocol, message) else {
                continue;
            };
            let Some(input) = inputs.get(usize::from(channel / 2)).filter(|_| channel % 2 == 0) else {
                continue;
            };
            // A port whose connection has ended takes no more.
            let _ = input.send(bytes).await;
        }
    };
    let send = async {
        while let Some(message) = outgoing.recv().await {
            if sink.send(message).await.is_err() {
                return;
            }
        }
        let _ = sink.close().await;
    };
    tokio::select! {
        () = receive => {}
        () = send => {}
    }
}

async fn forward(
    pod: Pod,
    port: u16,
    channel: u8,
    protocol: Protocol,
    mut received: mpsc::Receiver<bytes::Bytes>,
    sender: mpsc::Sender<Message>,
) {
    for channel in [channel, channel + 1] {
        if sender
            .send(websocket::wrap(protocol, channel, &port.to_le_bytes()))
            .await
            .is_err()
        {
            return;
        }
    }
    let connected = match pod.dial(port).await {
        Ok(connected) => connected,
        Err(failed) => {
            let text = format!(
                "error forwarding port {port} to pod {}/{}: {failed}",
                pod.ns, pod.name
            );
            let _ = sender
                .send(websocket::wrap(protocol, channel + 1, text.as_bytes()))
                .await;
            return;
        }
    };
    let (mut from_pod, mut to_pod) = tokio::io::split(connected);
    let up = async {
        while let Some(bytes) = received.recv().await {
            if to_pod.write_all(&bytes).await.is_err() || to_pod.flush().await.is_err() {
                break;
            }
        }
        let _ = to_pod.shutdown().await;
        // The pod's answer may still be on its way.
        std::future::pending::<()>().await;
    };
    let down = async {
        let mut buffer = vec![0; CHUNK];
        while let Ok(length @ 1..) = from_pod.read(&mut buffer).await {
            if sender
                .send(websocket::wrap(protocol, channel, &buffer[..length]))
                .await
                .is_err()
            {
                return;
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}
