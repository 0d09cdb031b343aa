//! Logs, exec, attach and port-forward of this node's pods, for [`skiff_streaming`]; and commands run for probes and hooks.

mod session;

use std::{fs, io, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use skiff_runtime::supervisor::{self, Exec};
use skiff_streaming::{Duplex, ExecRequest, LogFiles, Node, NodeError, Session};
use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;

use self::session::{Control, Fd};
use crate::{
    agent::Agent,
    causes::chain,
    container::{PROCESS, Places},
    descriptors,
    pod::{
        handle::Handle,
        manager::Manager,
        model::{self, Instance, State},
        worker::Shared,
    },
    probe,
    servers::TlsSource,
};

/// What the streams need.
pub(crate) struct Streams {
    agent: Arc<Agent>,
    manager: Manager,
}

impl Streams {
    /// Of the pods of `manager`.
    pub fn new(agent: Arc<Agent>, manager: Manager) -> Self {
        Self { agent, manager }
    }

    fn pod(&self, ns: &str, pod: &str) -> Result<Arc<Shared>, NodeError> {
        self.manager
            .find(ns, pod)
            .ok_or_else(|| failed(404, format!("pod \"{pod}\" not found in namespace \"{ns}\"")))
    }

    /// A running container: its pod, supervisor and instance id; or what to say when it does not run.
    fn running(
        &self,
        ns: &str,
        pod: &str,
        container: &str,
        otherwise: impl FnOnce() -> String,
    ) -> Result<(Arc<Shared>, Arc<Handle>, Container, String), NodeError> {
        let shared = self.pod(ns, pod)?;
        let (wanted, instance) = find(&shared, pod, container)?;
        let handle = shared.handle.read().clone();
        match (handle, instance.state.started_at()) {
            (Some(handle), Some(_)) => {
                let id = model::instance_id(container, instance.attempt);
                Ok((shared, handle, wanted, id))
            }
            _ => Err(failed(500, otherwise())),
        }
    }
}

fn find(shared: &Shared, pod: &str, container: &str) -> Result<(Container, Instance), NodeError> {
    let object = shared.pod.read().clone();
    let wanted = model::containers(&object)
        .into_iter()
        .find(|(_, candidate)| candidate.name == container)
        .map(|(_, candidate)| candidate)
        .ok_or_else(|| failed(400, format!("container {container} is not valid for pod {pod}")))?;
    let instance = shared
        .view
        .read()
        .containers
        .get(container)
        .cloned()
        .unwrap_or_default();
    Ok((wanted, instance))
}

/// Containers wait for others to end first.
fn has_init(spec: &PodSpec) -> bool {
    spec.init_containers.iter().flatten().next().is_some()
}

fn failed(code: u16, message: String) -> NodeError {
    NodeError { code, message }
}

fn broken(error: io::Error) -> NodeError {
    failed(500, chain(&error))
}

#[async_trait]
impl Node for Streams {
    async fn logs(
        &self,
        ns: &str,
        pod: &str,
        container: &str,
        previous: bool,
    ) -> Result<LogFiles, NodeError> {
        let shared = self.pod(ns, pod)?;
        let (_, instance) = find(&shared, pod, container)?;
        let object = shared.pod.read().clone();
        let places = Places::of(&self.agent.config, &object);
        let path = |attempt| places.log(container, attempt);
        let waiting = || {
            let text = format!("container \"{container}\" in pod \"{pod}\" is waiting to start");
            let hold = match &instance.image {
                model::Image::Failed { hold, .. } => Some(hold),
                model::Image::Pulling { hold, .. } => hold.as_ref(),
                _ => instance.hold.as_ref(),
            };
            match hold {
                Some(hold) if hold.reason.contains("ImagePull") => {
                    failed(400, format!("{text}: trying and failing to pull image"))
                }
                Some(hold) => failed(400, format!("{text}: {}", hold.reason)),
                None if object.spec.as_ref().is_some_and(has_init) => {
                    failed(400, format!("{text}: PodInitializing"))
                }
                None => failed(400, format!("{text}: ContainerCreating")),
            }
        };
        if previous {
            let old = instance
                .attempt
                .checked_sub(1)
                .map(path)
                .filter(|path| path.exists())
                .ok_or_else(|| {
                    let text =
                        format!("previous terminated container \"{container}\" in pod \"{pod}\" not found");
                    failed(400, text)
                })?;
            return Ok(LogFiles {
                path: old,
                running: false,
            });
        }
        let running = instance.state.started_at().is_some();
        let mut file = path(instance.attempt);
        if !file.exists() {
            // Between two instances the last one's log is what there is.
            match instance
                .attempt
                .checked_sub(1)
                .map(path)
                .filter(|path| path.exists())
            {
                Some(old) if !running => file = old,
                _ if running => {}
                _ => return Err(waiting()),
            }
        } else if instance.state == State::Waiting {
            return Err(waiting());
        }
        Ok(LogFiles { path: file, running })
    }

    async fn stopped(&self, ns: &str, pod: &str, container: &str) {
        let Ok(shared) = self.pod(ns, pod) else { return };
        let mut changed = shared.changed.subscribe();
        let now = |shared: &Shared| {
            let view = shared.view.read();
            view.containers
                .get(container)
                .map(|i| (i.attempt, i.state.started_at().is_some()))
        };
        let Some((attempt, true)) = now(&shared) else {
            return;
        };
        // The worker lets go of the sender when nothing is left of the pod.
        loop {
            if now(&shared) != Some((attempt, true)) {
                return;
            }
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    async fn exec(
        &self,
        ns: &str,
        pod: &str,
        container: &str,
        request: ExecRequest,
    ) -> Result<Session, NodeError> {
        let gone = || format!("container not found (\"{container}\")");
        let (shared, handle, _, id) = self.running(ns, pod, container, gone)?;
        let object = shared.pod.read().clone();
        let process = process(&self.agent, &object, &id, request.command.clone(), request.tty)
            .map_err(|message| failed(500, message))?;
        let exec = Exec {
            container: id.clone(),
            process,
        };
        let (exec, streams, exit) = match handle.exec(exec).await {
            Ok(begun) => begun,
            // A command that can't be run is told where its end would be, on the connection.
            Err(error) => {
                let text = format!(
                    "Internal error occurred: error executing command in container: {}",
                    chain(&error)
                );
                return Ok(session::refused(failed(500, text)));
            }
        };
        let control = Control::exec(handle, id, exec, exit, request.tty);
        session::open(streams, &request, Box::new(control)).map_err(broken)
    }

    async fn attach(
        &self,
        ns: &str,
        pod: &str,
        container: &str,
        request: ExecRequest,
    ) -> Result<Session, NodeError> {
        let gone = || format!("container {container} not found in pod {pod}_{ns}");
        let (shared, handle, _, id) = self.running(ns, pod, container, gone)?;
        let name = id.clone();
        let streams = handle.call(move |pod| pod.attach(&name)).await.map_err(broken)?;
        let control = Control::attach(handle, shared, container.to_owned(), id);
        session::open(streams, &request, Box::new(control)).map_err(broken)
    }

    async fn dial(&self, ns: &str, pod: &str, port: u16) -> Result<Box<dyn Duplex>, NodeError> {
        let shared = self.pod(ns, pod)?;
        let object = shared.pod.read().clone();
        let loopback = SocketAddr::from(([127, 0, 0, 1], port));
        let refused = |error: io::Error| {
            failed(
                500,
                format!(
                    "failed to connect to localhost:{port} inside namespace: {}",
                    probe::refused(loopback, &error)
                ),
            )
        };
        if model::host_network(&object) {
            let stream = tokio::net::TcpStream::connect(loopback).await.map_err(refused)?;
            return Ok(Box::new(stream));
        }
        let ip = match shared.view.read().sandbox {
            model::Sandbox::Ready(Some(ip)) => ip,
            _ => return Err(failed(400, format!("pod \"{pod}\" is not running"))),
        };
        let network = self.agent.network().await;
        let namespace = network
            .pod(ip.v4.into())
            .ok_or_else(|| failed(500, format!("pod \"{pod}\" has no network")))?;
        let stream = namespace.tcp_connect(loopback, None).await.map_err(refused)?;
        Ok(Box::new(stream))
    }

    async fn packets(&self, from: &str, stream: Box<dyn Duplex>) -> Result<(), NodeError> {
        let network = self.agent.network().await;
        network
            .carry(from, stream, false)
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => failed(404, format!("node \"{from}\" is not known here")),
                _ => broken(error),
            })
    }

    async fn pods(&self) -> Result<serde_json::Value, NodeError> {
        let items: Vec<_> = self
            .manager
            .list()
            .into_iter()
            .map(|pod| serde_json::json!(*pod))
            .collect();
        Ok(serde_json::json!({ "kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items }))
    }

    async fn metrics(&self) -> String {
        let mut text = String::from("# TYPE skiff_pods gauge\n");
        text.push_str(&format!("skiff_pods {}\n", self.manager.list().len()));
        if let Some(proxy) = self.agent.proxy() {
            text.push_str(&proxy.metrics().await);
        }
        text.push_str(&descriptors::metrics());
        text
    }

    async fn services(&self) -> serde_json::Value {
        let reports = match self.agent.proxy() {
            Some(proxy) => proxy.report().await,
            None => Vec::new(),
        };
        let ports: Vec<_> = reports.iter().map(crate::services::report).collect();
        serde_json::json!({ "ports": ports })
    }
}

/// The OCI process of an exec: the container's own with another command. Source: the note made at its creation.
fn process(
    agent: &Agent,
    pod: &Pod,
    id: &str,
    command: Vec<String>,
    tty: bool,
) -> Result<oci_spec::runtime::Process, String> {
    let (container, attempt) = id
        .rsplit_once('-')
        .ok_or_else(|| format!("bad container id {id:?}"))?;
    let attempt = attempt.parse().map_err(|_| format!("bad container id {id:?}"))?;
    let path = Places::of(&agent.config, pod)
        .instance(container, attempt)
        .join(PROCESS);
    let text = fs::read(&path).map_err(|error| format!("{path:?}: {error}"))?;
    let mut process: serde_json::Value =
        serde_json::from_slice(&text).map_err(|error| format!("{path:?}: {error}"))?;
    if command.is_empty() {
        return Err("you must specify at least one command for the container".into());
    }
    process["args"] = command.into();
    process["terminal"] = tty.into();
    if tty
        && let Some(env) = process["env"].as_array_mut()
        && !env
            .iter()
            .any(|variable| variable.as_str().is_some_and(|text| text.starts_with("TERM=")))
    {
        env.push("TERM=xterm".into());
    }
    serde_json::from_value(process).map_err(|error| format!("{path:?}: {error}"))
}

/// Runs a command in a container to its end: exit code and the first `limit` bytes of output. The command is killed
/// when the future is dropped.
pub(crate) async fn run(
    agent: &Agent,
    pod: &Pod,
    handle: &Arc<Handle>,
    _container: &Container,
    id: &str,
    command: Vec<String>,
    limit: usize,
) -> Result<(i32, Vec<u8>), String> {
    let process = process(agent, pod, id, command, false)?;
    let exec = Exec {
        container: id.to_owned(),
        process,
    };
    let (exec, streams, exit) = handle.exec(exec).await.map_err(|error| chain(&error))?;
    let guard = KillOnDrop {
        handle: Some(Arc::clone(handle)),
        exec,
    };
    let supervisor::Streams {
        stdin,
        stdout,
        stderr,
    } = streams;
    drop(stdin);
    let read = |fd: Option<std::os::fd::OwnedFd>| async move {
        let mut kept = Vec::new();
        let Some(mut fd) = fd.and_then(|fd| Fd::new(fd).ok()) else {
            return kept;
        };
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = fd.read(&mut buffer).await {
            let room = limit.saturating_sub(kept.len());
            kept.extend_from_slice(&buffer[..count.min(room)]);
        }
        kept
    };
    let output = async {
        let (mut out, err) = tokio::join!(read(stdout), read(stderr));
        out.extend(err);
        out.truncate(limit);
        out
    };
    let mut output = std::pin::pin!(output);
    // A command may leave a child behind that holds the pipes; its own end is what counts.
    let mut exit = std::pin::pin!(exit);
    let (exit, text) = tokio::select! {
        text = &mut output => (exit.await, text),
        exit = &mut exit => {
            let grace = std::time::Duration::from_millis(100);
            (exit, tokio::time::timeout(grace, &mut output).await.unwrap_or_default())
        }
    };
    guard.disarm();
    let exit = exit.map_err(|_| "the container has ended".to_owned())?;
    Ok((exit.code, text))
}

struct KillOnDrop {
    handle: Option<Arc<Handle>>,
    exec: u64,
}

impl KillOnDrop {
    fn disarm(mut self) {
        self.handle = None;
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            let exec = self.exec;
            tokio::spawn(async move {
                let _ = handle
                    .call(move |pod| pod.kill_exec(exec, nix::libc::SIGKILL))
                    .await;
            });
        }
    }
}

/// Keeps the tunnel to the API server until `stop`; `server` is where to connect, and with what.
pub(crate) async fn tunnel(
    to: (SocketAddr, TlsSource),
    streams: Arc<Streams>,
    node: String,
    stop: CancellationToken,
) {
    skiff_streaming::tunnel::run(config(to, node), streams, stop).await;
}

/// How the API server is reached for streams.
pub(crate) fn config(
    (server, tls): (SocketAddr, TlsSource),
    node: String,
) -> skiff_streaming::tunnel::Config {
    skiff_streaming::tunnel::Config {
        server: server.to_string(),
        server_name: rustls::pki_types::ServerName::IpAddress(server.ip().into()),
        tls: Arc::new(move || tls.get()),
        node,
    }
}
