//! A WebSocket as a plain stream of bytes.

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::tungstenite::Message;

use super::CHUNK;
use crate::remote::websocket::Socket;

/// The bytes of the binary messages, both ways, until either side ends.
pub fn bytes(socket: Socket) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(2 * CHUNK);
    let (mut sink, mut messages) = socket.split();
    let (mut outgoing, mut incoming) = tokio::io::split(ours);
    tokio::spawn(async move {
        let receive = async {
            while let Some(Ok(message)) = messages.next().await {
                match message {
                    Message::Binary(bytes) if incoming.write_all(&bytes).await.is_err() => return,
                    Message::Close(_) => break,
                    _ => {}
                }
            }
            let _ = incoming.shutdown().await;
        };
        let send = async {
            let mut buffer = vec![0; CHUNK];
            while let Ok(length @ 1..) = outgoing.read(&mut buffer).await {
                if sink
                    .send(Message::binary(buffer[..length].to_vec()))
                    .await
                    .is_err()
                {
                    return;
                }
            }
            let _ = sink.close().await;
        };
        tokio::select! {
            () = receive => {}
            () = send => {}
        }
    });
    theirs
}
