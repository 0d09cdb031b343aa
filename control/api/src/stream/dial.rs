//! A connection to a port of a pod, through its node: a port-forward over a WebSocket with two channels (data, error),
//! which looks like a plain stream here.

use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use http::{HeaderValue, header};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::{members::BoxStream, server::App, status::Status};

/// Binary messages, whose first byte is the channel.
const PROTOCOL: &str = "v4.channel.k8s.io";
const DATA: u8 = 0;
/// On its way at once, each way.
const CHUNK: usize = 32 << 10;

/// Why the node could not connect, once it has said so: the stream then just ends.
pub(super) type Refusal = Arc<Mutex<Option<String>>>;

/// Connects. That the pod takes the connection is only known from the stream: it ends, and the refusal has the reason.
///
/// # Errors
/// 503 when the node is not connected, 502 when it does not take the port-forward.
pub(super) async fn dial(
    app: &App,
    node: &str,
    (namespace, pod): (&str, &str),
    port: u16,
) -> Result<(DuplexStream, Refusal), Status> {
    let failed = |why: &dyn std::fmt::Display| super::forward::unreachable(&format!("node \"{node}\""), why);
    let stream = super::open(app, node).await?;
    let url = format!("ws://node/portForward/{namespace}/{pod}?ports={port}");
    let mut request = url.into_client_request().map_err(|e| failed(&e))?;
    request
        .headers_mut()
        .insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    let (socket, _) = client_async(request, stream).await.map_err(|e| failed(&e))?;
    let (near, far) = tokio::io::duplex(CHUNK);
    let refusal = Refusal::default();
    tokio::spawn({
        let (stop, refusal) = (app.stop.clone(), refusal.clone());
        async move { stop.run_until_cancelled(pump(socket, far, refusal)).await }
    });
    Ok((near, refusal))
}

/// Moves bytes until either side ends.
async fn pump(socket: WebSocketStream<BoxStream>, far: DuplexStream, refusal: Refusal) {
    let (mut sink, mut messages) = socket.split();
    let (mut read, mut write) = tokio::io::split(far);
    let up = async {
        let mut buffer = vec![0; CHUNK + 1];
        buffer[0] = DATA;
        while let Ok(length @ 1..) = read.read(&mut buffer[1..]).await {
            let message = Message::binary(buffer[..=length].to_vec());
            if sink.send(message).await.is_err() {
                // It listens no more, but what it has said may still be on its way.
                std::future::pending::<()>().await;
            }
        }
    };
    let down = async {
        // Each channel begins with its port.
        let mut is_open = [false; 2];
        while let Some(Ok(message)) = messages.next().await {
            let Message::Binary(bytes) = message else { continue };
            let Some((channel, bytes)) = bytes.split_first() else {
                continue;
            };
            let Some(is_open) = is_open.get_mut(usize::from(*channel)) else {
                continue;
            };
            if !std::mem::replace(is_open, true) {
                continue;
            }
            if *channel != DATA {
                *refusal.lock() = Some(String::from_utf8_lossy(bytes).into_owned());
                return;
            }
            if write.write_all(bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}
