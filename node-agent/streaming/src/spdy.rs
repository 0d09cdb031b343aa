//! SPDY/3.1 as far as Kubernetes' streaming uses it: streams opened by the client, replies, data, both ends closed
//! one by one. Source: the SPDY Protocol, Draft 3.1 (its flow control is not used by these clients; a stream that
//! is not read holds the connection up, as with them).

mod frame;
mod headers;

use std::{collections::HashMap, io, sync::Arc};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::{Mutex, mpsc},
};
use tokio_util::sync::CancellationToken;

use frame::{Frame, MAX_DATA};
use headers::{Compressor, Decompressor};

/// Frames of one stream that wait to be read.
const QUEUE: usize = 32;

/// A connection, server side. Dropping it ends it.
pub struct Connection {
    accepted: mpsc::Receiver<Stream>,
    ended: CancellationToken,
    reader: tokio::task::JoinHandle<()>,
}

impl Connection {
    /// Begins to serve; a task reads until the end.
    pub fn start(io: impl crate::Duplex) -> Self {
        let (reader, writer) = tokio::io::split(io);
        let shared: Shared = Arc::new(Mutex::new(Out {
            io: Box::new(writer),
            compressor: Compressor::new(),
        }));
        let (sender, accepted) = mpsc::channel(QUEUE);
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let reader = tokio::spawn(async move {
            let _guard = guard;
            if let Err(error) = read_frames(reader, shared, sender).await {
                tracing::debug!(%error, "a SPDY connection ended badly");
            }
        });
        Self {
            accepted,
            ended,
            reader,
        }
    }

    /// The next stream that the client opens; `None` at the end of the connection. Cancel safe.
    pub async fn accept(&mut self) -> Option<Stream> {
        self.accepted.recv().await
    }

    /// Resolves at the end of the connection.
    pub async fn ended(&mut self) {
        loop {
            tokio::select! {
                () = self.ended.cancelled() => return,
                // Streams nobody expects are not left in the way.
                stream = self.accepted.recv() => if stream.is_none() { return },
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

struct Out {
    io: Box<dyn AsyncWrite + Send + Unpin>,
    compressor: Compressor,
}

type Shared = Arc<Mutex<Out>>;

/// A stream opened by the client.
pub struct Stream {
    headers: HashMap<String, String>,
    data: mpsc::Receiver<Bytes>,
    writer: Writer,
}

impl Stream {
    /// A header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The next bytes; `None` once the client has closed its side. Cancel safe.
    pub async fn receive(&mut self) -> Option<Bytes> {
        self.data.recv().await
    }

    /// Our side.
    pub fn writer(&self) -> Writer {
        self.writer.clone()
    }
}

/// Our side of a stream.
#[derive(Clone)]
pub struct Writer {
    id: u32,
    shared: Shared,
}

impl Writer {
    /// Accepts the stream: the client waits for it.
    pub async fn reply(&self) -> io::Result<()> {
        let mut out = self.shared.lock().await;
        let block = out.compressor.compress(&[])?;
        let bytes = frame::syn_reply(self.id, &block);
        out.write(&bytes).await
    }

    /// Sends bytes, and with `fin` closes our side.
    pub async fn send(&self, bytes: &[u8], fin: bool) -> io::Result<()> {
        let mut out = self.shared.lock().await;
        let mut chunks = bytes.chunks(MAX_DATA).peekable();
        if chunks.peek().is_none() && fin {
            return out.write(&frame::data(self.id, &[], true)).await;
        }
        while let Some(chunk) = chunks.next() {
            let is_last = chunks.peek().is_none();
            out.write(&frame::data(self.id, chunk, fin && is_last)).await?;
        }
        Ok(())
    }

    /// Says goodbye and closes our side of the connection.
    pub async fn close_connection(&self) -> io::Result<()> {
        let mut out = self.shared.lock().await;
        out.write(&frame::goaway(self.id)).await?;
        out.io.shutdown().await
    }
}

impl Out {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.io.write_all(bytes).await?;
        self.io.flush().await
    }
}

async fn read_frames<R>(mut io: ReadHalf<R>, shared: Shared, accepted: mpsc::Sender<Stream>) -> io::Result<()>
where
    ReadHalf<R>: AsyncRead + Unpin,
    WriteHalf<R>: Unpin,
{
    let mut decompressor = Decompressor::new();
    let mut open: HashMap<u32, mpsc::Sender<Bytes>> = HashMap::new();
    while let Some(frame) = frame::read(&mut io).await? {
        match frame {
            Frame::SynStream { id, fin, block } => {
                let headers = decompressor.decompress(&block)?;
                let (sender, data) = mpsc::channel(QUEUE);
                if !fin {
                    open.insert(id, sender);
                }
                let stream = Stream {
                    headers,
                    data,
                    writer: Writer {
                        id,
                        shared: shared.clone(),
                    },
                };
                if accepted.send(stream).await.is_err() {
                    return Ok(());
                }
            }
            Frame::Headers { block } => {
                // Its content is not used, but the compression goes on from it.
                decompressor.decompress(&block)?;
            }
            Frame::Data { id, fin, bytes } => {
                let gone = match open.get(&id) {
                    Some(stream) if !bytes.is_empty() => stream.send(bytes).await.is_err(),
                    _ => false,
                };
                if fin || gone {
                    open.remove(&id);
                }
            }
            Frame::Reset { id } => {
                open.remove(&id);
            }
            Frame::Ping { payload } => shared.lock().await.write(&frame::ping(&payload)).await?,
            Frame::GoAway => return Ok(()),
            Frame::Other => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
