//! `/containerLogs`: log files in CRI format, as `kubectl logs` wants them.

mod follow;
mod line;

use std::{
    io::{self, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures::StreamExt;
use http::Response;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use jiff::Timestamp;
use tokio::{
    fs::File,
    io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, BufReader},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    LogFiles, Node, NodeError,
    query::Query,
    server::{Body, bad_request},
};
use follow::Changes;
use line::Line;

/// How many chunks wait for a slow client before reading pauses.
const QUEUE: usize = 16;
/// Chunks are about this long.
const CHUNK: usize = 32 * 1024;

/// What was asked for (core/v1 PodLogOptions).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Options {
    follow: bool,
    timestamps: bool,
    /// Last lines only.
    tail: Option<usize>,
    /// Lines from then on.
    since: Option<Timestamp>,
    /// No more bytes than this.
    limit: Option<usize>,
    /// `stdout` or `stderr` only.
    stream: Option<&'static str>,
}

impl Options {
    fn parse(query: &Query, now: Timestamp) -> Result<Self, NodeError> {
        let number = |key: &str| match query.get(key).filter(|v| !v.is_empty()) {
            None => Ok(None),
            Some(text) => match text.parse::<u64>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(bad_request(format!("invalid value {text:?} for {key}"))),
            },
        };
        let since_time = match query.get("sinceTime").filter(|v| !v.is_empty()) {
            None => None,
            Some(text) => Some(
                text.parse::<Timestamp>()
                    .map_err(|e| bad_request(format!("invalid sinceTime: {e}")))?,
            ),
        };
        let since_seconds = number("sinceSeconds")?;
        if since_time.is_some() && since_seconds.is_some() {
            return Err(bad_request(
                "at most one of sinceTime or sinceSeconds may be specified",
            ));
        }
        let ago = |seconds: u64| {
            now.as_second()
                .saturating_sub(i64::try_from(seconds).unwrap_or(i64::MAX))
        };
        let since = since_time.or(since_seconds.and_then(|s| Timestamp::from_second(ago(s)).ok()));
        let limit = number("limitBytes")?;
        if limit == Some(0) {
            return Err(bad_request("limitBytes must be greater than 0"));
        }
        let stream = match query.get("stream") {
            None | Some("" | "All") => None,
            Some("Stdout") => Some("stdout"),
            Some("Stderr") => Some("stderr"),
            Some(other) => {
                return Err(bad_request(format!(
                    "invalid stream {other:?}: All, Stdout or Stderr"
                )));
            }
        };
        Ok(Self {
            follow: query.is_set("follow"),
            timestamps: query.is_set("timestamps"),
            tail: number("tailLines")?.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            since,
            limit: limit.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            stream,
        })
    }
}

/// Answers with the log as a stream: nothing of it is held in memory.
pub async fn answer(
    ns: &str,
    pod: &str,
    container: &str,
    query: &Query,
    node: Arc<dyn Node>,
) -> Result<Response<Body>, NodeError> {
    let options = Options::parse(query, Timestamp::now())?;
    let previous = query.is_set("previous");
    let files = node.logs(ns, pod, container, previous).await?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    let name = [ns, pod, container].map(str::to_owned);
    tokio::spawn(async move {
        let path = files.path.clone();
        let follow = options.follow && files.running && !previous;
        let stopped = async {
            if follow {
                node.stopped(&name[0], &name[1], &name[2]).await;
            }
        };
        let mut output = Output {
            sender,
            buffer: Vec::new(),
            left: options.limit,
        };
        let copied = copy(&files, &options, follow, stopped, &mut output).await;
        if let Err(error) = copied
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            tracing::debug!(?path, %error, "reading a log failed");
            let _ = output.sender.send(Err(error)).await;
        }
    });
    let frames = ReceiverStream::new(receiver).map(|chunk| chunk.map(Frame::data));
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(frames)));
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("text/plain"),
    );
    Ok(response)
}

/// Where the text goes.
struct Output {
    sender: mpsc::Sender<Result<Bytes, io::Error>>,
    buffer: Vec<u8>,
    /// Bytes the client still wants.
    left: Option<usize>,
}

impl Output {
    /// `BrokenPipe` when the client has gone or has enough.
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let wanted = self.left.map_or(bytes.len(), |left| left.min(bytes.len()));
        self.buffer.extend_from_slice(&bytes[..wanted]);
        if let Some(left) = &mut self.left {
            *left -= wanted;
            if *left == 0 {
                self.flush().await?;
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
        if self.buffer.len() >= CHUNK {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::take(&mut self.buffer));
        self.sender
            .send(Ok(chunk))
            .await
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Copies what is there and, when following, what comes until `stopped`.
async fn copy(
    files: &LogFiles,
    options: &Options,
    follow: bool,
    stopped: impl Future<Output = ()>,
    output: &mut Output,
) -> io::Result<()> {
    // Watched before the first read: what is written in between is seen by one of the two.
    let mut changes = if follow {
        Some(Changes::of(&files.path)?)
    } else {
        None
    };
    let mut paths = vec![files.path.clone()];
    // A rotation keeps the lines of one container in several files: oldest first.
    for number in 1.. {
        let older = rotated(&files.path, number);
        if !tokio::fs::try_exists(&older).await? {
            break;
        }
        paths.insert(0, older);
    }
    let mut skip = match options.tail {
        None => Start { file: 0, offset: 0 },
        Some(lines) => tail(&paths, lines).await?,
    };
    let mut current = None;
    for (number, path) in paths.iter().enumerate().skip(skip.file) {
        let Some(mut reader) = open(path, std::mem::take(&mut skip.offset)).await? else {
            continue;
        };
        copy_lines(&mut reader, options, output).await?;
        if number + 1 == paths.len() {
            current = Some(reader);
        }
    }
    output.flush().await?;
    let Some(changes) = &mut changes else {
        return Ok(());
    };
    let mut stopped = std::pin::pin!(stopped);
    let mut is_stopped = false;
    while !is_stopped {
        tokio::select! {
            changed = changes.next() => changed?,
            () = &mut stopped => is_stopped = true,
            () = output.sender.closed() => return Ok(()),
        }
        if let Some(reader) = &mut current {
            copy_lines(reader, options, output).await?;
        }
        // The file may have been rotated away under us: the rest of it is read, the new one begins.
        if !same_file(current.as_ref(), &files.path).await?
            && let Some(mut next) = open(&files.path, 0).await?
        {
            copy_lines(&mut next, options, output).await?;
            current = Some(next);
        }
        output.flush().await?;
    }
    Ok(())
}

/// The name of a rotated file; `.1` is the youngest.
fn rotated(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

async fn open(path: &Path, offset: u64) -> io::Result<Option<BufReader<File>>> {
    match File::open(path).await {
        Ok(mut file) => {
            file.seek(SeekFrom::Start(offset)).await?;
            Ok(Some(BufReader::with_capacity(CHUNK, file)))
        }
        // Not written yet, or removed with its pod.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

async fn same_file(reader: Option<&BufReader<File>>, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let Some(reader) = reader else { return Ok(false) };
    let open = reader.get_ref().metadata().await?;
    match tokio::fs::metadata(path).await {
        Ok(now) => Ok((open.dev(), open.ino()) == (now.dev(), now.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(e),
    }
}

/// Copies whole lines up to the end of the file; a line that is still being written stays for the next time.
async fn copy_lines(reader: &mut BufReader<File>, options: &Options, output: &mut Output) -> io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let length = reader.read_until(b'\n', &mut bytes).await?;
        if length == 0 {
            return Ok(());
        }
        if bytes.last() != Some(&b'\n') {
            let back = i64::try_from(length).unwrap_or_default();
            reader.seek(SeekFrom::Current(-back)).await?;
            return Ok(());
        }
        let Some(line) = Line::parse(&bytes) else { continue };
        if options.stream.is_some_and(|wanted| wanted != line.stream) {
            continue;
        }
        if options
            .since
            .is_some_and(|since| line.time().is_some_and(|time| time < since))
        {
            continue;
        }
        if options.timestamps {
            output.write(line.timestamp.as_bytes()).await?;
            output.write(b" ").await?;
        }
        output.write(line.text).await?;
    }
}

/// A position in a list of files.
struct Start {
    file: usize,
    offset: u64,
}

/// Where the last `lines` lines begin, found by reading backwards.
async fn tail(paths: &[PathBuf], lines: usize) -> io::Result<Start> {
    let mut left = lines;
    for (number, path) in paths.iter().enumerate().rev() {
        let Some(mut reader) = open(path, 0).await? else {
            continue;
        };
        let mut end = reader.get_ref().metadata().await?.len();
        if left == 0 {
            return Ok(Start {
                file: number,
                offset: end,
            });
        }
        let mut block = vec![0; CHUNK];
        // The newline that ends the last line does not begin another.
        let mut is_last_byte = true;
        while end > 0 {
            let length = block.len().min(usize::try_from(end).unwrap_or(usize::MAX));
            let begin = end - length as u64;
            reader.seek(SeekFrom::Start(begin)).await?;
            reader.read_exact(&mut block[..length]).await?;
            for at in (0..length).rev() {
                if block[at] == b'\n' && !is_last_byte {
                    left -= 1;
                    if left == 0 {
                        return Ok(Start {
                            file: number,
                            offset: begin + at as u64 + 1,
                        });
                    }
                }
                is_last_byte = false;
            }
            end = begin;
        }
        // The first line of the file.
        if !is_last_byte {
            left -= 1;
            if left == 0 {
                return Ok(Start {
                    file: number,
                    offset: 0,
                });
            }
        }
    }
    Ok(Start { file: 0, offset: 0 })
}

#[cfg(test)]
mod tests;
