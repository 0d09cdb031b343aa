//! Probes of a running container: startup first, then liveness and readiness, each a task that tells the worker what it
//! makes of the results. Source: Kubernetes, "Configure Liveness, Readiness and Startup Probes".

mod judge;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Container, HTTPGetAction, Pod, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::mpsc,
    task::AbortHandle,
};
use tracing::Instrument as _;

use self::judge::{Judge, Verdict as Judged};
use crate::{
    agent::Agent,
    causes::chain,
    pod::{handle::Handle, model, worker::Msg},
    stream,
};

/// What a probe came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Readiness has changed.
    Ready(bool),
    /// The startup probe has succeeded.
    Started,
    /// Liveness or startup has failed for good.
    Failing {
        /// `liveness` or `startup`.
        kind: &'static str,
        /// The probe's own grace period.
        grace_s: Option<i64>,
    },
    /// One try has failed: event text.
    Unhealthy(String),
}

/// The container a probe is for.
#[derive(Clone)]
pub(crate) struct Target {
    pub agent: Arc<Agent>,
    pub pod: Arc<Pod>,
    pub container: Container,
    pub attempt: u32,
    pub handle: Arc<Handle>,
    /// Address of the pod.
    pub ip: IpAddr,
    /// Start of the process.
    pub started_at: Timestamp,
    /// The startup probe has passed already.
    pub started: bool,
    pub sender: mpsc::UnboundedSender<Msg>,
}

/// Longest output of a probe in an event. Source: Kubernetes' limit of 10 KiB for probe output.
const OUTPUT: usize = 10 << 10;

/// Starts the probes of a container; they end when aborted.
pub(crate) fn start(target: Target) -> Vec<AbortHandle> {
    let span = tracing::info_span!("probe", container = target.container.name);
    let task = tokio::spawn(
        async move {
            // Without the network every probe would fail, and a container must not be killed for that.
            if !model::host_network(&target.pod) {
                target.agent.network().await;
            }
            if let Some(probe) = target.container.startup_probe.clone().filter(|_| !target.started) {
                watch(&target, &probe, "startup").await;
            }
            let liveness = target.container.liveness_probe.clone();
            let readiness = target.container.readiness_probe.clone();
            tokio::join!(
                async {
                    if let Some(probe) = &liveness {
                        watch(&target, probe, "liveness").await;
                    }
                },
                async {
                    if let Some(probe) = &readiness {
                        watch(&target, probe, "readiness").await;
                    }
                }
            );
        }
        .instrument(span),
    );
    vec![task.abort_handle()]
}

/// Probes until the startup probe succeeds or the worker is gone.
async fn watch(target: &Target, probe: &Probe, kind: &'static str) {
    let seconds = |value: Option<i32>, default: u64| {
        Duration::from_secs(
            value
                .and_then(|v| u64::try_from(v).ok())
                .filter(|v| *v > 0)
                .unwrap_or(default),
        )
    };
    let (period, timeout) = (
        seconds(probe.period_seconds, 10),
        seconds(probe.timeout_seconds, 1),
    );
    let delay = u64::try_from(probe.initial_delay_seconds.unwrap_or(0)).unwrap_or(0);
    let ran = Timestamp::now().duration_since(target.started_at).unsigned_abs();
    tokio::time::sleep(Duration::from_secs(delay).saturating_sub(ran)).await;
    let mut judge = Judge::new(probe.success_threshold, probe.failure_threshold);
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut early = if kind == "readiness" || kind == "startup" {
        5u32
    } else {
        0
    };
    loop {
        ticks.tick().await;
        let result = run(target, probe, timeout).await;
        let verdict = match (judge.judge(result.is_ok()), kind) {
            (Some(Judged::Up), "readiness") => Some(Verdict::Ready(true)),
            (Some(Judged::Down), "readiness") => Some(Verdict::Ready(false)),
            (Some(Judged::Up), "startup") => {
                tell(target, Verdict::Started);
                return;
            }
            (Some(Judged::Down), _) => Some(Verdict::Failing {
                kind,
                grace_s: probe.termination_grace_period_seconds,
            }),
            _ => None,
        };
        // Just after the start a server is often a few milliseconds away from listening: a first failure is looked
        // at again soon instead of a whole period later, without counting against the container and without an event.
        let forgiven = result.is_err() && early > 0 && judge.never_up();
        if let Err(unfit) = &result
            && (!forgiven || matches!(verdict, Some(Verdict::Failing { .. })))
        {
            let title = format!("{}{}", kind[..1].to_uppercase(), &kind[1..]);
            if !tell(target, Verdict::Unhealthy(format!("{title} probe {unfit}"))) {
                return;
            }
        }
        if verdict.is_some_and(|verdict| !tell(target, verdict)) {
            return;
        }
        if forgiven {
            let pause = Duration::from_millis(50 << (5 - early));
            early -= 1;
            judge.forgive();
            if pause < period {
                ticks.reset_after(pause);
            }
        }
    }
}

fn tell(target: &Target, verdict: Verdict) -> bool {
    target
        .sender
        .send(Msg::Probed(
            target.container.name.clone(),
            target.attempt,
            verdict,
        ))
        .is_ok()
}

/// Why a try was no success, in the words that follow `Readiness probe` in its event.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    /// The container does not do what is asked of it.
    #[error("failed: {0}")]
    Failed(String),
    /// It could not be asked.
    #[error("errored and resulted in unknown state: {0}")]
    Errored(String),
}

/// One try.
async fn run(target: &Target, probe: &Probe, timeout: Duration) -> Result<(), Unfit> {
    if let Some(exec) = &probe.exec {
        let id = model::instance_id(&target.container.name, target.attempt);
        let command = exec.command.clone().unwrap_or_default();
        let run = stream::run(
            &target.agent,
            &target.pod,
            &target.handle,
            &target.container,
            &id,
            command.clone(),
            OUTPUT,
        );
        return match tokio::time::timeout(timeout, run).await {
            Err(_) => Err(Unfit::Failed(format!(
                "command timed out: {:?} timed out after {}s",
                command.join(" "),
                timeout.as_secs()
            ))),
            Ok(Err(message)) => Err(Unfit::Errored(message)),
            Ok(Ok((0, _))) => Ok(()),
            Ok(Ok((_, output))) => Err(Unfit::Failed(String::from_utf8_lossy(&output).into_owned())),
        };
    }
    if let Some(action) = &probe.http_get {
        port(&target.container, &action.port).map_err(Unfit::Errored)?;
        let status = get(
            &target.agent,
            &target.pod,
            &target.container,
            action,
            target.ip,
            Caller::Probe,
            timeout,
        )
        .await
        .map_err(Unfit::Failed)?;
        return if (200..400).contains(&status) {
            Ok(())
        } else {
            Err(Unfit::Failed(format!(
                "HTTP probe failed with statuscode: {status}"
            )))
        };
    }
    if let Some(action) = &probe.tcp_socket {
        let port = port(&target.container, &action.port).map_err(Unfit::Errored)?;
        let host = host(action.host.as_deref(), target.ip).map_err(Unfit::Errored)?;
        let address = SocketAddr::new(host, port);
        return match tokio::time::timeout(timeout, connect(&target.agent, &target.pod, address)).await {
            Err(_) => Err(Unfit::Failed(format!("dial tcp {address}: i/o timeout"))),
            Ok(Err(error)) => Err(Unfit::Failed(refused(address, &error))),
            Ok(Ok(_)) => Ok(()),
        };
    }
    if let Some(action) = &probe.grpc {
        let port = u16::try_from(action.port)
            .map_err(|_| Unfit::Errored(format!("{} is not a port", action.port)))?;
        let address = SocketAddr::new(target.ip, port);
        let check = grpc(
            &target.agent,
            &target.pod,
            address,
            action.service.clone().unwrap_or_default(),
        );
        return match tokio::time::timeout(timeout, check).await {
            Err(_) => Err(Unfit::Failed(format!(
                "timeout: failed to connect service \"{address}\" within {}s",
                timeout.as_secs()
            ))),
            Ok(result) => result.map_err(Unfit::Failed),
        };
    }
    Ok(())
}

fn host(wanted: Option<&str>, ip: IpAddr) -> Result<IpAddr, String> {
    match wanted.filter(|host| !host.is_empty()) {
        None => Ok(ip),
        Some(host) => host.parse().map_err(|_| format!("{host:?} is not an address")),
    }
}

/// A connection that could not be made, in the words of the kubelet: people search for them.
pub(crate) fn refused(address: SocketAddr, error: &std::io::Error) -> String {
    let text = match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_lowercase(),
        None => error.to_string(),
    };
    format!("dial tcp {address}: connect: {text}")
}

/// Connects to the pod: from the node namespace, or for `hostNetwork` from the host's.
async fn connect(agent: &Agent, pod: &Pod, address: SocketAddr) -> std::io::Result<TcpStream> {
    match agent.network_now().filter(|_| !model::host_network(pod)) {
        Some(network) => network.connect(address).await,
        None => TcpStream::connect(address).await,
    }
}

fn port(container: &Container, port: &IntOrString) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => name.parse().ok().or_else(|| {
            let named = container
                .ports
                .iter()
                .flatten()
                .find(|port| port.name.as_deref() == Some(name))?;
            Some(named.container_port)
        }),
    };
    number
        .and_then(|number| u16::try_from(number).ok())
        .ok_or_else(|| match port {
            IntOrString::Int(number) => format!("{number} is not a port"),
            IntOrString::String(name) => format!("the container has no port named {name:?}"),
        })
}

/// What a request says it is for, in its `User-Agent`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Caller {
    /// A probe.
    Probe,
    /// A lifecycle hook.
    Lifecycle,
}

/// An HTTP GET; returns the status of the answer.
pub(crate) async fn get(
    agent: &Agent,
    pod: &Pod,
    container: &Container,
    action: &HTTPGetAction,
    ip: IpAddr,
    caller: Caller,
    timeout: Duration,
) -> Result<u16, String> {
    let port = port(container, &action.port)?;
    let address = SocketAddr::new(host(action.host.as_deref(), ip)?, port);
    let secure = action
        .scheme
        .as_deref()
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("HTTPS"));
    let path = action
        .path
        .as_deref()
        .filter(|path| !path.is_empty())
        .unwrap_or("/");
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    let url = format!("{}://{address}{path}", if secure { "https" } else { "http" });
    let exchanged = async {
        let stream = connect(agent, pod, address)
            .await
            .map_err(|error| format!("Get {url:?}: {}", refused(address, &error)))?;
        let mut request = http::Request::get(&path);
        for header in action.http_headers.iter().flatten() {
            request = request.header(&header.name, &header.value);
        }
        let own = |name: &http::HeaderName| {
            let mut headers = action.http_headers.iter().flatten();
            headers.any(|header| header.name.eq_ignore_ascii_case(name.as_str()))
        };
        let agent_name = match caller {
            Caller::Probe => "kube-probe/1.37",
            Caller::Lifecycle => "kube-lifecycle/1.37",
        };
        for (name, value) in [
            (http::header::HOST, address.to_string()),
            (http::header::USER_AGENT, agent_name.to_owned()),
            (http::header::ACCEPT, "*/*".to_owned()),
        ] {
            if !own(&name) {
                request = request.header(name, value);
            }
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        if secure {
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(&agent.probe_tls));
            let name = rustls::pki_types::ServerName::from(address.ip());
            let stream = connector
                .connect(name, stream)
                .await
                .map_err(|error| format!("Get {url:?}: {error}"))?;
            exchange(stream, request).await
        } else {
            exchange(stream, request).await
        }
        .map_err(|error| format!("Get {url:?}: {error}"))
    };
    tokio::time::timeout(timeout, exchanged)
        .await
        .unwrap_or_else(|_| {
            Err(format!(
                "Get {url:?}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            ))
        })
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: http::Request<Empty<Bytes>>,
) -> Result<u16, String> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| chain(&error))?;
    let driver = tokio::spawn(connection);
    let result = async {
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| chain(&error))?;
        let status = answer.status().as_u16();
        // Read the answer to its end so that the server does not log a broken connection.
        let _ = Limited::new(answer.into_body(), OUTPUT).collect().await;
        Ok(status)
    }
    .await;
    driver.abort();
    result
}

async fn grpc(
    agent: &Arc<Agent>,
    pod: &Arc<Pod>,
    address: SocketAddr,
    service: String,
) -> Result<(), String> {
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    };

    let (agent, pod) = (Arc::clone(agent), Arc::clone(pod));
    let connector = tower::service_fn(move |_: http::Uri| {
        let (agent, pod) = (Arc::clone(&agent), Arc::clone(&pod));
        async move { connect(&agent, &pod, address).await.map(TokioIo::new) }
    });
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| chain(&error))?
        .connect_with_connector(connector)
        .await
        .map_err(|error| {
            format!(
                "timeout: failed to connect service \"{address}\": {}",
                chain(&error)
            )
        })?;
    let answer = HealthClient::new(channel)
        .check(HealthCheckRequest { service })
        .await
        .map_err(|status| format!("error: health rpc probe failed: {status}"))?;
    match answer.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        other => Err(format!(
            "service unhealthy (responded with {:?})",
            other.as_str_name()
        )),
    }
}
