//! exec and attach: a process's streams over one connection, WebSocket or SPDY.
//!
//! Both transports become a queue of [`Input`] and an [`Output`]; [`run`] connects them with the process.

mod spdy;
pub mod websocket;

use std::{io, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};

use crate::{
    ExecRequest, NodeError, Session,
    query::Query,
    server::{Body, bad_request, empty},
};

/// Read at once from a process.
const CHUNK: usize = 16 * 1024;
/// A process that has ended may have left others that hold its output open: not waited for longer than this.
const DRAIN: Duration = Duration::from_secs(2);

/// What a client sends.
pub(crate) enum Input {
    /// Bytes for stdin.
    Stdin(Bytes),
    /// No more of them.
    StdinEnd,
    /// The terminal's size, columns and rows.
    Resize(u16, u16),
}

/// Which output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Stdout,
    Stderr,
}

/// Where output goes.
#[async_trait]
pub(crate) trait Output: Send {
    /// Sends some output.
    async fn write(&mut self, channel: Channel, bytes: &[u8]) -> io::Result<()>;
    /// Sends how it ended (a `Status`) and closes.
    async fn finish(&mut self, status: &Value) -> io::Result<()>;
}

/// What the query asks for (core/v1 PodExecOptions).
pub fn wanted(query: &Query) -> ExecRequest {
    // The kubelet's names, and those of the API.
    let is_set = |kubelet: &str, api: &str| query.is_set(kubelet) || query.is_set(api);
    let tty = query.is_set("tty");
    ExecRequest {
        command: query.all("command").map(str::to_owned).collect(),
        stdin: is_set("input", "stdin"),
        stdout: is_set("output", "stdout"),
        stderr: is_set("error", "stderr") && !tty,
        tty,
    }
}

/// Answers the handshake and runs the session on the upgraded connection.
pub fn upgrade(
    request: Request<Incoming>,
    wanted: ExecRequest,
    session: Session,
) -> Result<Response<Body>, NodeError> {
    let is = |name: &str| {
        let value = request
            .headers()
            .get(header::UPGRADE)
            .and_then(|v| v.to_str().ok());
        value.is_some_and(|v| v.eq_ignore_ascii_case(name))
    };
    if is("websocket") {
        websocket::upgrade(request, wanted, session)
    } else if is("SPDY/3.1") {
        spdy::upgrade(request, wanted, session)
    } else {
        session.control.close();
        Err(bad_request(
            "you must upgrade the connection: WebSocket or SPDY/3.1",
        ))
    }
}

/// A 101 with these headers.
pub fn switching(headers: &[(header::HeaderName, &str)]) -> Result<Response<Body>, NodeError> {
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in headers {
        let value = value
            .parse()
            .map_err(|_| bad_request("a header of the handshake is not valid"))?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// Connects a process with a client until the process ends or the client goes.
pub(crate) async fn run(session: Session, mut inputs: mpsc::Receiver<Input>, mut output: impl Output) {
    let Session {
        stdin,
        stdout,
        stderr,
        control,
    } = session;
    let from_client = async {
        let mut stdin = stdin;
        while let Some(input) = inputs.recv().await {
            match input {
                Input::Stdin(bytes) => {
                    // A process that no longer reads is no reason to end: it may still write.
                    if let Some(pipe) = &mut stdin
                        && (pipe.write_all(&bytes).await.is_err() || pipe.flush().await.is_err())
                    {
                        stdin = None;
                    }
                }
                Input::StdinEnd => close(stdin.take()).await,
                Input::Resize(columns, rows) => control.resize(columns, rows),
            }
        }
        // The client is gone.
        close(stdin.take()).await;
    };
    let to_client = async {
        let copied = {
            let copying = copy_out(stdout, stderr, &mut output);
            tokio::pin!(copying);
            tokio::select! {
                copied = &mut copying => copied.map(|()| None),
                exit = control.wait() => match tokio::time::timeout(DRAIN, copying).await {
                    Ok(copied) => copied.map(|()| Some(exit)),
                    Err(_) => Ok(Some(exit)),
                },
            }
        };
        // Output that can't be sent: the client is gone.
        let Ok(exit) = copied else { return };
        let exit = match exit {
            Some(exit) => exit,
            None => control.wait().await,
        };
        if let Err(error) = output.finish(&outcome(&exit)).await {
            tracing::debug!(%error, "the client left before the end");
        }
    };
    tokio::select! {
        () = to_client => {}
        () = from_client => {}
    }
    control.close();
}

async fn close(stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>) {
    if let Some(mut pipe) = stdin {
        let _ = pipe.shutdown().await;
    }
}

type Source = Option<Box<dyn AsyncRead + Send + Unpin>>;

/// Copies both outputs until both have ended.
async fn copy_out(mut stdout: Source, mut stderr: Source, output: &mut impl Output) -> io::Result<()> {
    let (mut out, mut err) = (vec![0; CHUNK], vec![0; CHUNK]);
    while stdout.is_some() || stderr.is_some() {
        let (channel, read) = tokio::select! {
            read = read(&mut stdout, &mut out) => (Channel::Stdout, read),
            read = read(&mut stderr, &mut err) => (Channel::Stderr, read),
        };
        // A terminal reports its end as an error (EIO).
        match (channel, read.unwrap_or(0)) {
            (Channel::Stdout, 0) => stdout = None,
            (Channel::Stderr, 0) => stderr = None,
            (Channel::Stdout, length) => output.write(channel, &out[..length]).await?,
            (Channel::Stderr, length) => output.write(channel, &err[..length]).await?,
        }
    }
    Ok(())
}

async fn read(source: &mut Source, buffer: &mut [u8]) -> io::Result<usize> {
    match source {
        Some(source) => source.read(buffer).await,
        None => std::future::pending().await,
    }
}

/// How it ended, as clients expect it on the error channel.
fn outcome(exit: &Result<i32, NodeError>) -> Value {
    match exit {
        Ok(0) => json!({"metadata": {}, "status": "Success"}),
        Ok(code) => json!({
            "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": format!("command terminated with non-zero exit code: exit status {code}"),
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
        }),
        Err(error) => json!({
            "metadata": {}, "status": "Failure", "reason": "InternalError", "message": error.message, "code": error.code,
        }),
    }
}

/// The size in a resize message: `{"Width":80,"Height":24}`.
pub(crate) fn size(bytes: &[u8]) -> Option<Input> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let number = |key: &str| value[key].as_u64().and_then(|n| u16::try_from(n).ok());
    Some(Input::Resize(number("Width")?, number("Height")?))
}

/// A `Status` as one line for protocols that know no Status.
pub(crate) fn plain_text(status: &Value) -> Option<String> {
    (status["status"] != "Success").then(|| status["message"].as_str().unwrap_or("failed").to_owned())
}

#[cfg(test)]
mod tests;
