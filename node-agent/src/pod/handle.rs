//! The agent's handle on a pod's supervisor, for async code: events go to the worker, ends of execs to whoever waits.

use std::{collections::HashMap, io, os::fd::OwnedFd, sync::Arc};

use parking_lot::Mutex;
use skiff_runtime::supervisor::{self, Event, Exec, Exit, Streams};
use tokio::{
    io::unix::AsyncFd,
    sync::{mpsc, oneshot},
};
use tracing::warn;

use super::worker::Msg;

/// Runs what blocks on a thread of its own.
///
/// While the agent ends, such work is put off for good. Then this never returns: taken for a failure, it would be noted, and the
/// next agent would believe it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_cancelled() => std::future::pending().await,
        Err(error) => Err(io::Error::other(error)),
    }
}

/// A supervisor.
#[derive(Debug)]
pub(crate) struct Handle {
    pod: supervisor::Pod,
    execs: Mutex<HashMap<u64, ExecEnd>>,
}

/// The end of an exec may come before or after somebody asks for it.
#[derive(Debug)]
enum ExecEnd {
    Awaited(oneshot::Sender<Exit>),
    Here(Exit),
}

impl Handle {
    /// Takes a supervisor over and begins to listen to it. Its events go to `worker`.
    pub fn new(pod: supervisor::Pod, worker: mpsc::UnboundedSender<Msg>) -> io::Result<Arc<Self>> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that may close early; OwnedFd does not"
        )]
        let events = AsyncFd::with_interest(pod.events()?, tokio::io::Interest::READABLE)?;
        let handle = Arc::new(Self {
            pod,
            execs: Mutex::default(),
        });
        let weak = Arc::downgrade(&handle);
        tokio::spawn(async move {
            loop {
                let Ok(mut ready) = events.readable().await else {
                    return;
                };
                // Clear first: what arrives from now on makes it readable again.
                ready.clear_ready();
                let Some(handle) = weak.upgrade() else { return };
                loop {
                    match handle.pod.next_event() {
                        Ok(Some(Event::Exited(state))) => {
                            if worker.send(Msg::Exited(state)).is_err() {
                                return;
                            }
                        }
                        Ok(Some(Event::ExecExited { exec, exit })) => handle.exec_ended(exec, exit),
                        Ok(None) => break,
                        Err(error) => {
                            if error.kind() != io::ErrorKind::UnexpectedEof {
                                warn!(%error, "read events of a supervisor");
                            }
                            let _ = worker.send(Msg::SupervisorGone(handle.pid()));
                            return;
                        }
                    }
                }
            }
        });
        Ok(handle)
    }

    fn exec_ended(&self, exec: u64, exit: Exit) {
        let mut execs = self.execs.lock();
        if let Some(ExecEnd::Awaited(sender)) = execs.remove(&exec) {
            let _ = sender.send(exit);
        } else {
            execs.insert(exec, ExecEnd::Here(exit));
        }
    }

    /// Runs a blocking call on the supervisor.
    pub async fn call<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&supervisor::Pod) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let this = Arc::clone(self);
        blocking(move || work(&this.pod)).await
    }

    /// The supervisor's process id.
    pub fn pid(&self) -> u32 {
        self.pod.pid()
    }

    /// The pod's network namespace.
    pub fn netns(&self) -> io::Result<OwnedFd> {
        self.pod.netns()
    }

    /// Starts a process in a container; the receiver gets its end.
    pub async fn exec(self: &Arc<Self>, exec: Exec) -> io::Result<(u64, Streams, oneshot::Receiver<Exit>)> {
        let (id, _pid, streams) = self.call(move |pod| pod.exec(&exec)).await?;
        let (sender, receiver) = oneshot::channel();
        let mut execs = self.execs.lock();
        if let Some(ExecEnd::Here(exit)) = execs.remove(&id) {
            let _ = sender.send(exit);
        } else {
            execs.insert(id, ExecEnd::Awaited(sender));
        }
        Ok((id, streams, receiver))
    }
}
