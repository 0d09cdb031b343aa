//! A socket that reads ahead.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_util::io::poll_read_buf;

/// What is read at once.
const AHEAD_BYTES: usize = 64 * 1024;

/// A socket under TLS, which asks for 4 KiB at a time: five system calls for a record, if each were one. The buffer is there only while
/// bytes flow.
#[derive(Debug)]
pub(super) struct ReadsAhead<S = TcpStream> {
    socket: S,
    ahead: BytesMut,
}

impl<S> ReadsAhead<S> {
    pub fn new(socket: S) -> Self {
        Self {
            socket,
            ahead: BytesMut::new(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadsAhead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.ahead.is_empty() {
            this.ahead.reserve(AHEAD_BYTES);
            let read = poll_read_buf(Pin::new(&mut this.socket), cx, &mut this.ahead);
            if this.ahead.is_empty() {
                this.ahead = BytesMut::new();
            }
            ready!(read)?;
        }
        let length = this.ahead.len().min(buffer.remaining());
        buffer.put_slice(&this.ahead[..length]);
        this.ahead.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadsAhead<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn bytes_come_in_order_whatever_is_asked_for_and_an_idle_socket_holds_no_buffer() {
        let data: Vec<u8> = (0..300_000_u32).map(|index| (index % 251) as u8).collect();
        let (near, mut far) = duplex(100_000);
        let mut near = ReadsAhead::new(near);
        let sent = data.clone();
        let sender = tokio::spawn(async move {
            far.write_all(&sent).await.unwrap();
            far
        });
        let mut seen = Vec::new();
        for size in (1..5000).cycle() {
            let mut part = vec![0; size.min(data.len() - seen.len())];
            near.read_exact(&mut part).await.unwrap();
            seen.extend(part);
            if seen.len() == data.len() {
                break;
            }
        }
        assert!(seen == data);
        let far = sender.await.unwrap();
        let mut byte = [0];
        tokio::select! {
            biased;
            read = near.read(&mut byte) => panic!("{read:?} of nothing"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(near.ahead.capacity(), 0);
        drop(far);
        assert_eq!(near.read(&mut byte).await.unwrap(), 0);
    }
}
