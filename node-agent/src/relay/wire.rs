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
    sync::mpsc,
};
use tokio_rustls::TlsStream;

use super::ahead::ReadsAhead;

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
pub(super) type Connection = TlsStream<ReadsAhead>;

/// What frames go over: a [`Connection`], or in tests anything.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire for T {}

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

async fn write_line(connection: &mut impl Wire, kind: u8, text: &str) -> io::Result<()> {
    let mut frame = header(kind, text.len()).to_vec();
    frame.extend_from_slice(text.as_bytes());
    connection.write_all(&frame).await?;
    connection.flush().await
}

async fn read_line(connection: &mut impl Wire) -> io::Result<(u8, String)> {
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
pub(super) async fn ask(connection: &mut impl Wire, question: Question) -> io::Result<io::Result<()>> {
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
pub(super) async fn asked(connection: &mut impl Wire) -> io::Result<Question> {
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
pub(super) async fn answer(connection: &mut impl Wire, outcome: Result<(), &io::Error>) -> io::Result<()> {
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
pub(super) struct Stream<C: Wire = Connection> {
    connection: Option<C>,
    home: mpsc::WeakUnboundedSender<C>,
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

impl<C: Wire> Stream<C> {
    pub fn new(connection: C, home: mpsc::WeakUnboundedSender<C>) -> Self {
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

    fn connection(&mut self) -> io::Result<Pin<&mut C>> {
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
                END if length_of(self.head) == 0 => self.read_ended = true,
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

impl<C: Wire> AsyncRead for Stream<C> {
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

impl<C: Wire> AsyncWrite for Stream<C> {
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

impl<C: Wire> Drop for Stream<C> {
    fn drop(&mut self) {
        if self.read_ended
            && self.write_ended
            && let (Some(connection), Some(home)) = (self.connection.take(), self.home.upgrade())
        {
            let _ = home.send(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    const QUESTION: Question = Question {
        backend: SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 244, 1, 2)), 80),
        client: SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 244, 0, 9)), 5000),
    };

    fn frame(kind: u8, data: &[u8]) -> Vec<u8> {
        [&header(kind, data.len()), data].concat()
    }

    /// A stream whose other end sends these bytes and is gone, and where it would come home.
    async fn fed(bytes: &[u8]) -> (Stream<DuplexStream>, Home) {
        let (near, mut far) = duplex(bytes.len().max(1));
        far.write_all(bytes).await.unwrap();
        let home = Home::default();
        (Stream::new(near, home.sender.downgrade()), home)
    }

    struct Home {
        sender: mpsc::UnboundedSender<DuplexStream>,
        receiver: mpsc::UnboundedReceiver<DuplexStream>,
    }

    impl Default for Home {
        fn default() -> Self {
            let (sender, receiver) = mpsc::unbounded_channel();
            Self { sender, receiver }
        }
    }

    async fn read_all(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let (mut stream, _home) = fed(bytes).await;
        let mut data = Vec::new();
        stream.read_to_end(&mut data).await?;
        Ok(data)
    }

    #[tokio::test]
    async fn streams_follow_each_other_over_one_connection_however_it_tears_the_frames() {
        let long: Vec<u8> = (0..3 * LONGEST_DATA + 5).map(|i| i as u8).collect();
        for room in [1, 5, 1 << 20] {
            let (mut near, mut far) = duplex(room);
            for data in [&long[..], b"", b"x"] {
                let (mut here, mut there) = (Home::default(), Home::default());
                let (asked, answered) = tokio::join!(ask(&mut near, QUESTION), async {
                    assert_eq!(asked(&mut far).await.unwrap(), QUESTION);
                    answer(&mut far, Ok(())).await
                });
                answered.unwrap();
                asked.unwrap().unwrap();
                let mut dialler = Stream::new(near, here.sender.downgrade());
                let mut server = Stream::new(far, there.sender.downgrade());
                let (mut to_server, mut to_dialler) = (Vec::new(), Vec::new());
                tokio::join!(
                    async {
                        dialler.write_all(data).await.unwrap();
                        dialler.shutdown().await.unwrap();
                        dialler.read_to_end(&mut to_dialler).await.unwrap();
                    },
                    async {
                        // A half-close: the answer is sent after the end of the question.
                        server.read_to_end(&mut to_server).await.unwrap();
                        server.write_all(b"seen").await.unwrap();
                        server.shutdown().await.unwrap();
                    }
                );
                assert!(to_server == data, "{room}");
                assert_eq!(to_dialler, b"seen");
                drop((dialler, server));
                near = here.receiver.try_recv().expect("home again");
                far = there.receiver.try_recv().expect("home again");
            }
        }
    }

    #[tokio::test]
    async fn a_stream_that_is_cut_anywhere_before_its_end_is_a_reset() {
        let whole = [
            frame(DATA, b"some"),
            frame(DATA, b""),
            frame(DATA, b" data"),
            frame(END, b""),
        ]
        .concat();
        assert_eq!(read_all(&whole).await.unwrap(), b"some data");
        for end in 0..whole.len() {
            let error = read_all(&whole[..end]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{end}");
        }
    }

    #[tokio::test]
    async fn frames_that_are_too_long_or_mean_nothing_are_malformed() {
        let longest = [frame(DATA, &vec![7; LONGEST_DATA]), frame(END, b"")].concat();
        assert_eq!(read_all(&longest).await.unwrap().len(), LONGEST_DATA);
        let odd = [
            header(DATA, LONGEST_DATA + 1).to_vec(),
            header(DATA, 0xff_ffff).to_vec(),
            frame(END, b"and more"),
            frame(ACCEPTED, b""),
            frame(OPEN, b"1.1.1.1:1 2.2.2.2:2"),
            vec![0; 8],
        ];
        for bytes in odd {
            let error = read_all(&bytes).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn questions_that_are_torn_too_long_or_odd_are_refused() {
        let asked_with = async |bytes: &[u8]| {
            let (mut near, mut far) = duplex(bytes.len().max(1));
            far.write_all(bytes).await.unwrap();
            drop(far);
            asked(&mut near).await.map_err(|error| error.kind())
        };
        let good = frame(OPEN, b"10.244.1.2:80 10.244.0.9:5000");
        assert_eq!(asked_with(&good).await, Ok(QUESTION));
        for end in 0..good.len() {
            assert_eq!(
                asked_with(&good[..end]).await,
                Err(io::ErrorKind::UnexpectedEof),
                "{end}"
            );
        }
        let odd = [
            frame(OPEN, b""),
            frame(OPEN, b"10.244.1.2:80"),
            frame(OPEN, b"10.244.1.2 10.244.0.9:5000"),
            frame(OPEN, b"10.244.1.2:80 10.244.0.9:70000"),
            frame(OPEN, b"\xff\xfe \xff"),
            frame(DATA, b"10.244.1.2:80 10.244.0.9:5000"),
            // Refused by its length alone: nothing is waited for.
            header(OPEN, LONGEST_LINE + 1).to_vec(),
        ];
        for bytes in odd {
            assert_eq!(
                asked_with(&bytes).await,
                Err(io::ErrorKind::InvalidData),
                "{bytes:?}"
            );
        }
    }

    #[tokio::test]
    async fn refusals_carry_their_number_and_what_is_no_answer_is_an_error_of_the_connection() {
        let told = async |error: io::Error| {
            let (mut near, mut far) = duplex(1 << 10);
            answer(&mut far, Err(&error)).await.unwrap();
            ask(&mut near, QUESTION)
                .await
                .unwrap()
                .unwrap_err()
                .raw_os_error()
        };
        let refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        assert_eq!(told(refused).await, Some(libc::ECONNREFUSED));
        assert_eq!(told(io::ErrorKind::TimedOut.into()).await, Some(libc::ETIMEDOUT));
        assert_eq!(told(io::ErrorKind::Other.into()).await, Some(libc::EHOSTUNREACH));
        for (bytes, kind) in [
            (frame(DATA, b"x"), io::ErrorKind::InvalidData),
            (
                header(REFUSED, LONGEST_LINE + 1).to_vec(),
                io::ErrorKind::InvalidData,
            ),
        ] {
            let (mut near, mut far) = duplex(1 << 10);
            far.write_all(&bytes).await.unwrap();
            assert_eq!(ask(&mut near, QUESTION).await.unwrap_err().kind(), kind);
        }
    }

    #[tokio::test]
    async fn only_a_stream_that_has_ended_both_ways_comes_home() {
        for (is_read, is_written) in [(false, false), (true, false), (false, true), (true, true)] {
            let (near, mut far) = duplex(1 << 10);
            far.write_all(&frame(END, b"")).await.unwrap();
            let mut home = Home::default();
            let mut stream = Stream::new(near, home.sender.downgrade());
            if is_read {
                assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
            }
            if is_written {
                stream.shutdown().await.unwrap();
            }
            drop(stream);
            assert_eq!(home.receiver.try_recv().is_ok(), is_read && is_written);
        }
    }
}
