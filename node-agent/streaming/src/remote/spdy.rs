//! exec and attach over SPDY/3.1 (kubectl before 1.31): one stream each for stdin, stdout, stderr, resize and error,
//! told apart by their header `streamType`.

use std::{collections::HashMap, io, time::Duration};

use async_trait::async_trait;
use http::{HeaderName, Request, Response, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::sync::mpsc;

use super::{Channel, Input, Output, plain_text, run, size, switching};
use crate::{
    ExecRequest, NodeError, Session,
    server::{Body, bad_request},
    spdy::{self, Stream, Writer},
};

const VERSION: HeaderName = HeaderName::from_static("x-stream-protocol-version");
/// The best first; the first has no name on the wire.
const PROTOCOLS: &[&str] = &[
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v3.channel.k8s.io",
    "v2.channel.k8s.io",
    "channel.k8s.io",
];
/// Clients open their streams at once.
const STREAMS_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers the handshake and runs the session.
pub fn upgrade(
    request: Request<Incoming>,
    wanted: ExecRequest,
    session: Session,
) -> Result<Response<Body>, NodeError> {
    let lines = request
        .headers()
        .get_all(&VERSION)
        .iter()
        .filter_map(|v| v.to_str().ok());
    let offers: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    let protocol = match &offers[..] {
        [] => Some("channel.k8s.io"),
        offers => PROTOCOLS.iter().find(|p| offers.contains(p)).copied(),
    };
    let Some(protocol) = protocol else {
        session.control.close();
        return Err(bad_request(format!(
            "none of the stream protocols {offers:?} is known"
        )));
    };
    let response = switching(&[
        (header::UPGRADE, "SPDY/3.1"),
        (header::CONNECTION, "Upgrade"),
        (VERSION, protocol),
    ])?;
    tokio::spawn(async move {
        match hyper::upgrade::on(request).await {
            Ok(io) => serve(TokioIo::new(io), protocol, wanted, session).await,
            Err(error) => {
                session.control.close();
                tracing::debug!(%error, "the SPDY connection was not opened");
            }
        }
    });
    Ok(response)
}

async fn serve(io: impl crate::Duplex, protocol: &'static str, wanted: ExecRequest, session: Session) {
    let mut connection = spdy::Connection::start(io);
    let mut expected = vec!["error"];
    expected.extend(wanted.stdin.then_some("stdin"));
    expected.extend(wanted.stdout.then_some("stdout"));
    expected.extend(wanted.stderr.then_some("stderr"));
    let has_resize = wanted.tty && !matches!(protocol, "channel.k8s.io" | "v2.channel.k8s.io");
    expected.extend(has_resize.then_some("resize"));
    let streams = tokio::time::timeout(STREAMS_TIMEOUT, collect(&mut connection, &expected)).await;
    let Ok(Some(mut streams)) = streams else {
        tracing::debug!(?expected, "the client did not open its streams");
        session.control.close();
        return;
    };
    let (sender, inputs) = mpsc::channel(16);
    let mut readers = Vec::new();
    if let Some(mut stdin) = streams.remove("stdin") {
        let sender = sender.clone();
        readers.push(tokio::spawn(async move {
            while let Some(bytes) = stdin.receive().await {
                if sender.send(Input::Stdin(bytes)).await.is_err() {
                    return;
                }
            }
            let _ = sender.send(Input::StdinEnd).await;
        }));
    }
    if let Some(mut resize) = streams.remove("resize") {
        let sender = sender.clone();
        readers.push(tokio::spawn(async move {
            while let Some(bytes) = resize.receive().await {
                if let Some(input) = size(&bytes)
                    && sender.send(input).await.is_err()
                {
                    return;
                }
            }
        }));
    }
    // The queue of inputs ends with the connection, not with stdin: a client without stdin is still there.
    readers.push(tokio::spawn(async move {
        connection.ended().await;
        drop(sender);
    }));
    let has_status = !matches!(
        protocol,
        "channel.k8s.io" | "v2.channel.k8s.io" | "v3.channel.k8s.io"
    );
    let writer = |streams: &mut HashMap<_, Stream>, name| streams.remove(name).map(|s| s.writer());
    let output = Streams {
        stdout: writer(&mut streams, "stdout"),
        stderr: writer(&mut streams, "stderr"),
        error: writer(&mut streams, "error"),
        has_status,
    };
    run(session, inputs, output).await;
    for reader in readers {
        reader.abort();
    }
}

/// Waits for the expected streams.
async fn collect(
    connection: &mut spdy::Connection,
    expected: &[&'static str],
) -> Option<HashMap<&'static str, Stream>> {
    let mut streams = HashMap::new();
    while streams.len() < expected.len() {
        let stream = connection.accept().await?;
        let kind = stream.header("streamtype").unwrap_or_default().to_owned();
        let Some(kind) = expected.iter().find(|e| **e == kind) else {
            continue;
        };
        stream.writer().reply().await.ok()?;
        streams.insert(*kind, stream);
    }
    Some(streams)
}

struct Streams {
    stdout: Option<Writer>,
    stderr: Option<Writer>,
    error: Option<Writer>,
    has_status: bool,
}

#[async_trait]
impl Output for Streams {
    async fn write(&mut self, channel: Channel, bytes: &[u8]) -> io::Result<()> {
        let writer = match channel {
            Channel::Stdout => &self.stdout,
            Channel::Stderr => &self.stderr,
        };
        match writer {
            Some(writer) => writer.send(bytes, false).await,
            None => Ok(()),
        }
    }

    async fn finish(&mut self, status: &Value) -> io::Result<()> {
        for writer in [&self.stdout, &self.stderr].into_iter().flatten() {
            writer.send(&[], true).await?;
        }
        if let Some(error) = &self.error {
            let text = if self.has_status {
                Some(status.to_string())
            } else {
                plain_text(status)
            };
            error.send(text.unwrap_or_default().as_bytes(), true).await?;
            error.close_connection().await?;
        }
        Ok(())
    }
}
