//! Descriptors of a process as async streams, and control over it.

use std::{
    io,
    os::fd::OwnedFd,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use async_trait::async_trait;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use skiff_runtime::supervisor::{Exit, Streams};
use skiff_streaming::{ExecRequest, NodeError, Session, SessionControl};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, unix::AsyncFd},
    sync::{Mutex, oneshot},
};

use crate::pod::{handle::Handle, model::State, worker::Shared};

/// A pipe or terminal.
pub(super) struct Fd(AsyncFd<OwnedFd>);

impl Fd {
    /// Takes a descriptor over; it is made non-blocking.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
        fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that may close early; OwnedFd does not"
        )]
        let fd = AsyncFd::new(fd)?;
        Ok(Self(fd))
    }
}

impl AsyncRead for Fd {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(cx))?;
            let slice = buf.initialize_unfilled();
            match guard.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut *slice)?)) {
                Ok(Ok(count)) => {
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
                // The other end of a terminal is closed: the end of its output.
                Ok(Err(error)) if error.raw_os_error() == Some(nix::libc::EIO) => return Poll::Ready(Ok(())),
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for Fd {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(cx))?;
            if let Ok(result) = guard.try_io(|fd| Ok(rustix::io::write(fd.get_ref(), bytes)?)) {
                return Poll::Ready(result);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// A pipe is closed by dropping it.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A session over the streams the client wants.
pub(super) fn open(
    streams: Streams,
    request: &ExecRequest,
    control: Box<dyn SessionControl>,
) -> io::Result<Session> {
    let terminal = request.tty;
    let stdin = match streams.stdin {
        Some(fd) if request.stdin => Some(fd),
        // A terminal is one descriptor for both ways.
        None if request.stdin && terminal => streams.stdout.as_ref().map(OwnedFd::try_clone).transpose()?,
        _ => None,
    };
    let stdin = stdin.map(Fd::new).transpose()?;
    let read = |fd: Option<OwnedFd>, wanted: bool| -> io::Result<Option<Box<dyn AsyncRead + Send + Unpin>>> {
        match fd.filter(|_| wanted) {
            Some(fd) => Ok(Some(Box::new(Fd::new(fd)?))),
            None => Ok(None),
        }
    };
    Ok(Session {
        stdin: stdin.map(|fd| Box::new(fd) as Box<dyn AsyncWrite + Send + Unpin>),
        stdout: read(streams.stdout, request.stdout || terminal)?,
        stderr: read(streams.stderr, request.stderr && !terminal)?,
        control,
    })
}

/// The session of a command that could not be run: nothing but why.
pub(super) fn refused(error: NodeError) -> Session {
    Session {
        stdin: None,
        stdout: None,
        stderr: None,
        control: Box::new(Refused(error)),
    }
}

struct Refused(NodeError);

#[async_trait]
impl SessionControl for Refused {
    fn resize(&self, _columns: u16, _rows: u16) {}

    async fn wait(&self) -> Result<i32, NodeError> {
        Err(self.0.clone())
    }

    fn close(&self) {}
}

/// Control of an exec or an attachment.
pub(super) struct Control {
    handle: Arc<Handle>,
    id: String,
    kind: Kind,
}

enum Kind {
    Exec {
        exec: u64,
        exit: Mutex<Pending>,
        tty: bool,
    },
    Attach {
        shared: Arc<Shared>,
        container: String,
    },
}

/// The end of an exec.
enum Pending {
    Awaited(oneshot::Receiver<Exit>),
    /// `None`: the container went first.
    Known(Option<i32>),
}

impl Control {
    /// Of an exec.
    pub fn exec(
        handle: Arc<Handle>,
        id: String,
        exec: u64,
        exit: oneshot::Receiver<Exit>,
        tty: bool,
    ) -> Self {
        Self {
            handle,
            id,
            kind: Kind::Exec {
                exec,
                exit: Mutex::new(Pending::Awaited(exit)),
                tty,
            },
        }
    }

    /// Of an attachment to a container's own process.
    pub fn attach(handle: Arc<Handle>, shared: Arc<Shared>, container: String, id: String) -> Self {
        Self {
            handle,
            id,
            kind: Kind::Attach { shared, container },
        }
    }
}

#[async_trait]
impl SessionControl for Control {
    fn resize(&self, columns: u16, rows: u16) {
        let (handle, id) = (Arc::clone(&self.handle), self.id.clone());
        let exec = match &self.kind {
            Kind::Exec { exec, .. } => Some(*exec),
            Kind::Attach { .. } => None,
        };
        tokio::spawn(async move {
            let _ = handle.call(move |pod| pod.resize(&id, exec, columns, rows)).await;
        });
    }

    async fn wait(&self) -> Result<i32, NodeError> {
        let ended = || NodeError {
            code: 500,
            message: "the container has ended".into(),
        };
        match &self.kind {
            Kind::Exec { exit, .. } => {
                // May be dropped half-way and called again.
                let mut exit = exit.lock().await;
                if let Pending::Awaited(receiver) = &mut *exit {
                    *exit = Pending::Known(receiver.await.ok().map(|exit| exit.code));
                }
                match &*exit {
                    Pending::Known(Some(code)) => Ok(*code),
                    _ => Err(ended()),
                }
            }
            Kind::Attach { shared, container } => {
                let mut changed = shared.changed.subscribe();
                loop {
                    let state = shared
                        .view
                        .read()
                        .containers
                        .get(container)
                        .map(|i| i.state.clone());
                    match state {
                        Some(State::Exited(ended)) => return Ok(ended.code),
                        Some(State::Running { .. } | State::Stopping { .. }) => {}
                        // The next instance: ours has ended, and how is told in the status.
                        _ => return Ok(0),
                    }
                    changed.changed().await.map_err(|_| ended())?;
                }
            }
        }
    }

    fn close(&self) {
        // Without a terminal a command goes on, as it does with other runtimes; a terminal that is gone hangs up.
        if let Kind::Exec { exec, tty: true, .. } = self.kind {
            let handle = Arc::clone(&self.handle);
            tokio::spawn(async move {
                let _ = handle
                    .call(move |pod| pod.kill_exec(exec, nix::libc::SIGHUP))
                    .await;
            });
        }
    }
}
