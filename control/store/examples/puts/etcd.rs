//! `etcdserverpb.KV/Put` over HTTP/2, written out by hand: two fields.

use anyhow::ensure;
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// A connection; clones share it.
#[derive(Clone)]
pub struct Client {
    sender: http2::SendRequest<Full<Bytes>>,
    url: String,
}

impl Client {
    pub async fn connect(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let url = format!("http://{address}/etcdserverpb.KV/Put");
        Ok(Self { sender, url })
    }

    pub async fn put(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        let mut message = BytesMut::with_capacity(key.len() + value.len() + 16);
        for (tag, bytes) in [(0x0a, key), (0x12, value)] {
            message.put_u8(tag);
            let mut length = bytes.len();
            while length >= 0x80 {
                message.put_u8(length as u8 | 0x80);
                length >>= 7;
            }
            message.put_u8(length as u8);
            message.put_slice(bytes);
        }
        let mut body = BytesMut::with_capacity(message.len() + 5);
        body.put_u8(0);
        body.put_u32(message.len() as u32);
        body.put_slice(&message);
        let request = Request::post(&self.url)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(body.freeze()))?;
        let response = self.sender.clone().send_request(request).await?;
        ensure!(response.status().is_success(), "{}", response.status());
        let collected = response.into_body().collect().await?;
        let status = collected
            .trailers()
            .and_then(|trailers| trailers.get("grpc-status"));
        ensure!(status.is_some_and(|status| status == "0"), "{status:?}");
        Ok(())
    }
}
