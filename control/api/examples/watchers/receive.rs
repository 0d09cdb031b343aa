//! The watchers: a sample that is read and checked event by event, and those whose bytes are only counted.

use std::{
    io,
    mem::MaybeUninit,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
};

use crate::{
    connection::Api,
    pods::{Change, PODS},
};

/// `MSG_TRUNC` of tcp(7): what is received is dropped and not copied.
const MSG_TRUNC: i32 = 0x20;
/// Most that is dropped with one call.
const ROOM: usize = 256 << 10;
/// How often connections are looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How long after everything has come.
const LINGER: Duration = Duration::from_millis(300);
/// What a connection holds between two looks, at the highest rate.
const RECEIVE_BUFFER: usize = 200 << 10;

/// The form of events.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Json,
    Protobuf,
}

impl Form {
    fn accept(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
        }
    }

    /// The length of the first event in `bytes`, if it is whole.
    fn event(self, bytes: &[u8]) -> Option<usize> {
        let length = match self {
            Self::Json => bytes.iter().position(|byte| *byte == b'\n')? + 1,
            Self::Protobuf => 4 + u32::from_be_bytes(*bytes.first_chunk()?) as usize,
        };
        (length <= bytes.len()).then_some(length)
    }
}

/// What a sampled watcher saw.
#[derive(Default)]
pub struct Seen {
    /// Numbers of the changes, as they came.
    pub order: Vec<usize>,
    pub late: Vec<Duration>,
    /// Bytes of the events.
    pub bytes: usize,
}

impl Seen {
    /// Each of `changes` once, and those of a pod in order.
    pub fn check(&self, changes: usize) -> anyhow::Result<()> {
        let mut next: Vec<usize> = (0..PODS).collect();
        for &number in &self.order {
            let pod = number % PODS;
            ensure!(
                next[pod] == number,
                "change {number} came where {} was due",
                next[pod]
            );
            next[pod] += PODS;
        }
        ensure!(
            self.order.len() == changes,
            "{} of {changes} changes came",
            self.order.len()
        );
        Ok(())
    }
}

/// A watcher whose events are decrypted, parsed and noted.
pub struct Sampled {
    body: Incoming,
    form: Form,
    _connection: crate::connection::Connection,
}

impl Sampled {
    pub async fn start(api: &Api, path: &str, form: Form) -> anyhow::Result<Self> {
        let mut connection = api.connect().await?;
        let response = connection.send("GET", path, form.accept(), String::new()).await?;
        Ok(Self {
            body: response.into_body(),
            form,
            _connection: connection,
        })
    }

    /// Reads until all changes have come.
    pub async fn read(mut self, changes: usize, started: Instant) -> anyhow::Result<Seen> {
        let mut seen = Seen::default();
        let mut rest = BytesMut::new();
        while seen.order.len() < changes {
            let frame = self.body.frame().await.context("the watch ended")??;
            let Ok(bytes) = frame.into_data() else { continue };
            let now = started.elapsed();
            seen.bytes += bytes.len();
            rest.extend_from_slice(&bytes);
            while let Some(length) = self.form.event(&rest) {
                let change = Change::of(&rest.split_to(length))?;
                seen.order.push(change.number);
                seen.late.push(now.saturating_sub(change.sent));
            }
        }
        Ok(seen)
    }
}

/// A watcher whose bytes are counted as they arrive, encrypted: the kernel drops them.
pub struct Counted(std::net::TcpStream);

impl Counted {
    pub async fn start(api: &Api, path: &str, form: Form) -> anyhow::Result<Self> {
        let mut tls = api.tls().await?;
        SockRef::from(tls.get_ref().0).set_recv_buffer_size(RECEIVE_BUFFER)?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\naccept: {}\r\n\r\n",
            api.token,
            form.accept()
        );
        tls.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tls.read_u8().await?);
        }
        ensure!(
            head.starts_with(b"HTTP/1.1 200 "),
            "{}",
            String::from_utf8_lossy(&head)
        );
        Ok(Self(tls.into_inner().0.into_std()?))
    }
}

/// What a counted watcher got, and when the last of it.
pub struct Count {
    pub bytes: usize,
    pub last: Instant,
}

/// Looks at all connections in turn until each has got as many bytes as `wanted` says once it is known, and a moment longer: what
/// comes twice would come right behind. Nobody waits for a single connection, so that the server's kernel wakes nobody.
pub fn count(watchers: Vec<Counted>, wanted: &watch::Receiver<Option<usize>>) -> anyhow::Result<Vec<Count>> {
    let now = Instant::now();
    let mut counts: Vec<Count> = watchers.iter().map(|_| Count { bytes: 0, last: now }).collect();
    let mut complete_since = None;
    while complete_since.is_none_or(|since: Instant| since.elapsed() < LINGER) {
        for (watcher, count) in watchers.iter().zip(&mut counts) {
            let dropped = watcher.drop_what_came()?;
            if dropped > 0 {
                count.bytes += dropped;
                count.last = Instant::now();
            }
        }
        let complete = wanted
            .borrow()
            .is_some_and(|wanted| counts.iter().all(|count| count.bytes >= wanted));
        if complete {
            complete_since.get_or_insert_with(Instant::now);
        } else {
            ensure!(
                wanted.has_changed().is_ok() || wanted.borrow().is_some(),
                "nobody will say how much"
            );
        }
        std::thread::sleep(LOOK);
    }
    Ok(counts)
}

impl Counted {
    fn drop_what_came(&self) -> anyhow::Result<usize> {
        let room: &mut [MaybeUninit<u8>] = &mut [MaybeUninit::uninit(); ROOM];
        let mut dropped = 0;
        loop {
            match SockRef::from(&self.0).recv_with_flags(room, MSG_TRUNC) {
                Ok(0) => anyhow::bail!("a watch ended"),
                Ok(now) => dropped += now,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(dropped),
                Err(error) => return Err(error.into()),
            }
            if dropped % ROOM != 0 {
                // Less than there was room for: nothing is left.
                return Ok(dropped);
            }
        }
    }
}
