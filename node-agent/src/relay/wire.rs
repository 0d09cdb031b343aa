//! One stream at a time over one connection between two agents, and the next one after it.
//!
//! A frame is a byte that says what it is, three bytes of length, and that many bytes:
//! ```text
//! O  "backend client"   open: connect to the backend on behalf of the client        dialler ─►
//! A  ""                 accepted                                                     ◄─ node of the backend
//! R  errno              refused                                                      ◄─ node of the backend
//! D  bytes              data                                                         both ways
//! E  ""                 end of data in this direction: a half-close                  both ways
//! ```
//! After an end in both directions, or a refusal, the connection can carry another stream. A connection that breaks before that
//! is a reset.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    sync::mpsc,
};
use tokio_rustls::TlsStream;

const OPEN: u8 = b'O';
const ACCEPTED: u8 = b'A';
const REFUSED: u8 = b'R';
const DATA: u8 = b'D';
const END: u8 = b'E';

const HEADER_BYTES: usize = 4;
/// Data of a frame. A multiple of what a TLS record takes, less the header.
const LONGEST_DATA: usize = 64 * 1024 - HEADER_BYTES;
/// A question or an answer is a line of text.
const LONGEST_LINE: usize = 256;

/// A connection between two agents.
pub(super) type Connection = TlsStream<TcpStream>;

/// What a stream is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub backend: SocketAddr,
    pub client: SocketAddr,
}

fn header(kind: u8, length: usize) -> [u8; HEADER_BYTES] {
    let length = (length as u32).to_be_bytes();
    [kind, length[1], length[2], length[3]]
}

fn length_of(header: [u8; HEADER_BYTES]) -> usize {
    u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the other agent sent something odd")
}

async fn write_line(connection: &mut Connection, kind: u8, text: &str) -> io::Result<()> {
    let mut frame = header(kind, text.len()).to_vec();
    frame.extend_from_slice(text.as_bytes());
    connection.write_all(&frame).await?;
    connection.flush().await
}

async fn read_line(connection: &mut Connection) -> io::Result<(u8, String)> {
    let mut head = [0; HEADER_BYTES];
    connection.read_exact(&mut head).await?;
    if length_of(head) > LONGEST_LINE {
        return Err(malformed());
    }
    let mut text = vec![0; length_of(head)];
    connection.read_exact(&mut text).await?;
    Ok((head[0], String::from_utf8(text).map_err(|_| malformed())?))
}

/// Asks the other agent for a stream. The outer error is one of the connection, the inner one the answer.
pub(super) async fn ask(connection: &mut Connection, question: Question) -> io::Result<io::Result<()>> {
    let text = format!("{} {}", question.backend, question.client);
    write_line(connection, OPEN, &text).await?;
    match read_line(connection).await? {
        (ACCEPTED, _) => Ok(Ok(())),
        (REFUSED, text) => {
            let error = text
                .parse()
                .map_or(io::ErrorKind::Other.into(), io::Error::from_raw_os_error);
            Ok(Err(error))
        }
        _ => Err(malformed()),
    }
}

/// Waits for the other agent to ask.
pub(super) async fn asked(connection: &mut Connection) -> io::Result<Question> {
    let (OPEN, text) = read_line(connection).await? else {
        return Err(malformed());
    };
    let (backend, client) = text.split_once(' ').ok_or_else(malformed)?;
    Ok(Question {
        backend: backend.parse().map_err(|_| malformed())?,
        client: client.parse().map_err(|_| malformed())?,
    })
}

/// Answers [`ask`].
pub(super) async fn answer(connection: &mut Connection, outcome: Result<(), &io::Error>) -> io::Result<()> {
    match outcome {
        Ok(()) => write_line(connection, ACCEPTED, "").await,
        Err(error) => {
            let number = error.raw_os_error().unwrap_or(match error.kind() {
                io::ErrorKind::TimedOut => libc::ETIMEDOUT,
                _ => libc::EHOSTUNREACH,
            });
            write_line(connection, REFUSED, &number.to_string()).await
        }
    }
}

/// A stream that was agreed on. When both directions have ended, dropping it gives the connection back to where it came
/// from; otherwise the connection is closed, which the other side sees as a reset.
pub(super) struct Stream {
    connection: Option<Connection>,
    home: mpsc::WeakUnboundedSender<Connection>,
    /// Bytes of the header that have come, and how many.
    head: [u8; HEADER_BYTES],
    head_length: usize,
    /// Data of the frame that is being read.
    to_read: usize,
    read_ended: bool,
    /// The header that is being sent, from the first byte that is not out yet, and the data it still promises.
    to_send: [u8; HEADER_BYTES],
    sent: usize,
    to_write: usize,
    write_ended: bool,
    /// The end mark is out as far as TLS; only a flush is missing.
    end_written: bool,
}

impl Stream {
    pub fn new(connection: Connection, home: mpsc::WeakUnboundedSender<Connection>) -> Self {
        Self {
            connection: Some(connection),
            home,
            head: [0; HEADER_BYTES],
            head_length: 0,
            to_read: 0,
            read_ended: false,
            to_send: [0; HEADER_BYTES],
            sent: HEADER_BYTES,
            to_write: 0,
            write_ended: false,
            end_written: false,
        }
    }

    fn connection(&mut self) -> io::Result<Pin<&mut Connection>> {
        let connection = self.connection.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        Ok(Pin::new(connection))
    }

    /// The next frame of data, or the end.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.to_read == 0 && !self.read_ended {
            let mut head = self.head;
            let mut buffer = ReadBuf::new(&mut head[self.head_length..]);
            ready!(self.connection()?.poll_read(cx, &mut buffer))?;
            let got = buffer.filled().len();
            if got == 0 {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            self.head = head;
            self.head_length += got;
            if self.head_length < HEADER_BYTES {
                continue;
            }
            self.head_length = 0;
            match self.head[0] {
                DATA if length_of(self.head) <= LONGEST_DATA => self.to_read = length_of(self.head),
                END => self.read_ended = true,
                _ => return Poll::Ready(Err(malformed())),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn begin_frame(&mut self, kind: u8, length: usize) {
        self.to_send = header(kind, length);
        self.sent = 0;
        self.to_write = length;
    }

    /// Takes note that TLS took this much of header and data; returns how much data that was.
    fn took(&mut self, count: usize) -> usize {
        let of_header = count.min(HEADER_BYTES - self.sent);
        self.sent += of_header;
        let data = count - of_header;
        self.to_write -= data;
        data
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_head(cx))?;
        if this.read_ended {
            return Poll::Ready(Ok(()));
        }
        // The rest of this frame and no more.
        let room = this.to_read.min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
        ready!(this.connection()?.poll_read(cx, &mut part))?;
        let got = part.filled().len();
        if got == 0 && room > 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        this.to_read -= got;
        buffer.advance(got);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            if this.sent == HEADER_BYTES && this.to_write == 0 {
                this.begin_frame(DATA, bytes.len().min(LONGEST_DATA));
            }
            // A frame begun earlier promised this many bytes; the caller never takes bytes back.
            let part = &bytes[..bytes.len().min(this.to_write)];
            let (head, sent) = (this.to_send, this.sent);
            let slices = [IoSlice::new(&head[sent..]), IoSlice::new(part)];
            let count = ready!(this.connection()?.poll_write_vectored(cx, &slices))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let data = this.took(count);
            if data > 0 {
                return Poll::Ready(Ok(data));
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.write_ended {
            return Poll::Ready(Ok(()));
        }
        if !this.end_written {
            if this.sent == HEADER_BYTES {
                if this.to_write > 0 {
                    // Promised data never came.
                    return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
                }
                this.begin_frame(END, 0);
            }
            while this.sent < HEADER_BYTES {
                let (head, sent) = (this.to_send, this.sent);
                let count = ready!(this.connection()?.poll_write(cx, &head[sent..]))?;
                if count == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                this.took(count);
            }
            this.end_written = true;
        }
        ready!(this.connection()?.poll_flush(cx))?;
        this.write_ended = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.read_ended
            && self.write_ended
            && let (Some(connection), Some(home)) = (self.connection.take(), self.home.upgrade())
        {
            let _ = home.send(connection);
        }
    }
}
