//! What a worker has done beside itself: sandbox, hooks, stopping, taking down.

use std::{net::IpAddr, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Container, LifecycleHandler, Pod};
use skiff_pod_network::PodAddress;
use skiff_runtime::supervisor;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, warn};

use super::{
    handle::{Handle, blocking},
    model::{self, uid},
    worker::Msg,
};
use crate::{agent::Agent, causes::chain, cgroup, container::Places, probe, stream, volume};

/// Makes the sandbox and reports it.
pub(crate) fn sandbox(agent: &Arc<Agent>, pod: &Arc<Pod>, sender: &mpsc::UnboundedSender<Msg>) {
    let (agent, pod, sender) = (Arc::clone(agent), Arc::clone(pod), sender.clone());
    tokio::spawn(
        async move {
            let result = make(&agent, &pod, &sender).await;
            let _ = sender.send(Msg::Sandbox(result));
        }
        .in_current_span(),
    );
}

/// Attaches an adopted sandbox to the network and reports it.
pub(crate) fn attach(
    agent: &Arc<Agent>,
    pod: &Arc<Pod>,
    handle: Arc<Handle>,
    sender: &mpsc::UnboundedSender<Msg>,
) {
    let (agent, pod, sender) = (Arc::clone(agent), Arc::clone(pod), sender.clone());
    tokio::spawn(async move {
        let result = connect(&agent, &pod, &handle).await.map(|ip| (handle, ip));
        let _ = sender.send(Msg::Sandbox(result));
    });
}

/// Gives a running container, and the pod's own group, what they ask for now. Where there are no limits, there is nothing to do.
pub(crate) async fn resize(
    agent: &Agent,
    pod: &Pod,
    handle: &Arc<Handle>,
    container: &Container,
    id: String,
) -> Result<(), String> {
    if !agent.cgroups.any {
        return Ok(());
    }
    let whole = cgroup::changed(cgroup::pod_resources(pod));
    let own = cgroup::changed(cgroup::container_resources(container));
    let changed = handle.call(move |pod| {
        // More goes to the pod first, less to the container: the kernel refuses the other order.
        let first = pod.update_pod(&whole);
        pod.update(&id, &own)?;
        first.or_else(|_| pod.update_pod(&whole))
    });
    changed.await.map_err(|error| chain(&error))
}

async fn make(
    agent: &Arc<Agent>,
    pod: &Arc<Pod>,
    sender: &mpsc::UnboundedSender<Msg>,
) -> Result<(Arc<Handle>, Option<PodAddress>), String> {
    let places = Places::of(&agent.config, pod);
    let spec = pod.spec.clone().unwrap_or_default();
    let unenforced = cgroup::unenforced(pod, &agent.cgroups);
    if !unenforced.is_empty() {
        let text = format!(
            "Limits of {} are not enforced on this node: {}",
            unenforced.join(" and "),
            agent
                .cgroups
                .reason
                .as_deref()
                .unwrap_or("the controllers are not available")
        );
        agent.events.pod(pod, None, true, "LimitsNotEnforced", text);
    }
    let host_network = model::host_network(pod);
    let sysctls = spec
        .security_context
        .iter()
        .flat_map(|security| security.sysctls.iter().flatten());
    let sandbox = supervisor::Sandbox {
        dir: places.run.clone(),
        uid: uid(pod).to_owned(),
        hostname: (!host_network).then(|| agent.hostname(pod)),
        net: !host_network,
        ipc: !spec.host_ipc.unwrap_or(false),
        shared_pid: spec.share_process_namespace.unwrap_or(false),
        host_pid: spec.host_pid.unwrap_or(false),
        sysctls: sysctls
            .map(|sysctl| (sysctl.name.clone(), sysctl.value.clone()))
            .collect(),
        cgroup: agent
            .cgroups
            .any
            .then(|| cgroup::pod_path(&agent.config.run_dir, pod)),
        resources: agent.cgroups.any.then(|| cgroup::pod_resources(pod)),
    };
    let owner = Arc::clone(agent);
    let supervisor = blocking(move || match owner.spawner.create_pod(&sandbox) {
        // An agent that ended just now had it made, and nobody knew of it yet.
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let found = supervisor::Pod::adopt(&sandbox.dir)?;
            for container in found.list()? {
                found.remove(&container.id)?;
            }
            Ok(found)
        }
        made => made,
    })
    .await
    .map_err(|error| format!("start the supervisor: {error}"))?;
    let handle = Handle::new(supervisor, sender.clone()).map_err(|error| error.to_string())?;
    match connect(agent, pod, &handle).await {
        Ok(ip) => Ok((handle, ip)),
        Err(message) => {
            let _ = handle.call(supervisor::Pod::stop).await;
            Err(message)
        }
    }
}

async fn connect(agent: &Arc<Agent>, pod: &Pod, handle: &Arc<Handle>) -> Result<Option<PodAddress>, String> {
    let places = Places::of(&agent.config, pod);
    let ip = if model::host_network(pod) {
        None
    } else {
        let netns = handle
            .netns()
            .map_err(|error| format!("network namespace: {error}"))?;
        let network = agent.network().await;
        let ip = network
            .attach(uid(pod), netns)
            .await
            .map_err(|error| chain(&error))?;
        open_host_ports(agent, pod, ip.v4).await;
        Some(ip)
    };
    agent
        .write_etc(&places, pod, ip)
        .map_err(|error| format!("{:?}: {error}", places.data))?;
    Ok(ip)
}

/// Listens on the host ports of a pod: a service of the proxy with one backend.
async fn open_host_ports(agent: &Agent, pod: &Pod, ip: std::net::Ipv4Addr) {
    let Some(proxy) = agent.proxy() else { return };
    for service in host_ports(pod, ip) {
        if let Err(error) = proxy.set(service).await {
            agent.events.pod(pod, None, true, "FailedHostPort", chain(&error));
        }
    }
}

/// The host ports of a pod as services without a cluster address.
fn host_ports(pod: &Pod, ip: std::net::Ipv4Addr) -> Vec<skiff_netns_proxy::Service> {
    let containers = model::containers(pod);
    let ports = containers
        .iter()
        .flat_map(|(_, container)| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            let number = u16::try_from(port.container_port).ok()?;
            let host_port = u16::try_from(port.host_port?).ok().filter(|port| *port != 0)?;
            let protocol = match port.protocol.as_deref().unwrap_or("TCP") {
                "TCP" => skiff_netns_proxy::Protocol::Tcp,
                "UDP" => skiff_netns_proxy::Protocol::Udp,
                _ => return None,
            };
            let address = port.host_ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok());
            Some(skiff_netns_proxy::Service {
                name: format!("hostport:{}:{host_port}:{protocol:?}", uid(pod)),
                addresses: Vec::new(),
                ports: vec![skiff_netns_proxy::Port {
                    name: String::new(),
                    protocol,
                    port: number,
                    node_port: Some(host_port),
                    backends: vec![skiff_netns_proxy::Backend {
                        address: (ip, number).into(),
                        terminating: false,
                    }],
                }],
                affinity: None,
                host_addresses: address.filter(|ip| !ip.is_unspecified()).into_iter().collect(),
                external: Vec::new(),
            })
        })
        .collect()
}

/// Takes the sandbox and the volumes down, then reports.
pub(crate) fn teardown(
    agent: &Arc<Agent>,
    pod: &Arc<Pod>,
    handle: Option<Arc<Handle>>,
    sender: &mpsc::UnboundedSender<Msg>,
) {
    let (agent, pod, sender) = (Arc::clone(agent), Arc::clone(pod), sender.clone());
    tokio::spawn(
        async move {
            let places = Places::of(&agent.config, &pod);
            let mut delay = Duration::from_millis(100);
            if let Some(handle) = handle {
                while let Err(error) = handle.call(supervisor::Pod::stop).await {
                    // Gone is what was wanted.
                    if places.run.join("state.json").exists() && is_there(&error) {
                        warn!(%error, "stop a supervisor");
                        tokio::time::sleep(delay).await;
                        delay = (delay * 2).min(Duration::from_secs(10));
                        continue;
                    }
                    break;
                }
            }
            if let Some(proxy) = agent.proxy() {
                for service in host_ports(&pod, std::net::Ipv4Addr::UNSPECIFIED) {
                    proxy.remove(&service.name).await;
                }
            }
            if !model::host_network(&pod)
                && let Some(network) = agent.network_now()
                && let Err(error) = network.detach(uid(&pod)).await
            {
                warn!(error = chain(&error), "detach a pod");
            }
            let removed = places.clone();
            loop {
                let places = removed.clone();
                match blocking(move || volume::remove(&places)).await {
                    Err(error) => {
                        warn!(%error, "remove the data of a pod");
                        tokio::time::sleep(delay).await;
                        delay = (delay * 2).min(Duration::from_secs(30));
                    }
                    Ok(()) => break,
                }
            }
            let _ = sender.send(Msg::TornDown);
        }
        .in_current_span(),
    );
}

fn is_there(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, NotFound, UnexpectedEof};
    !matches!(
        error.kind(),
        NotFound | ConnectionRefused | ConnectionReset | BrokenPipe | UnexpectedEof
    )
}

/// Removes an instance that has ended, and the writable layer of the one before: nobody looks at it again.
pub(crate) fn remove(handle: Option<Arc<Handle>>, places: &Places, name: &str, attempt: u32) {
    let id = model::instance_id(name, attempt);
    let dir = places.instance(name, attempt);
    tokio::spawn(async move {
        if let Some(handle) = handle
            && let Err(error) = handle.call(move |pod| pod.remove(&id)).await
        {
            debug!(%error, "remove a container that has ended");
        }
        for part in ["upper", "work"] {
            let path = dir.join(part);
            let _ = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(path)).await;
        }
    });
    // Logs: the last and the one before stay.
    if let Some(old) = attempt.checked_sub(2) {
        let path = places.log(name, old);
        let _ = std::fs::remove_file(&path);
        for rotated in 1..10 {
            let _ = std::fs::remove_file(path.with_extension(format!("log.{rotated}")));
        }
        let _ = std::fs::remove_dir_all(places.instance(name, old));
    }
}

/// How a container is told to end.
pub(crate) struct Stop {
    /// Container.
    pub container: Container,
    /// Instance.
    pub id: String,
    /// The image's stop signal.
    pub signal: Option<String>,
    /// Seconds until SIGKILL.
    pub grace_s: i64,
    /// Run the preStop hook.
    pub hook: bool,
    /// Done when the process has ended.
    pub exited: CancellationToken,
    /// Address of the pod, for hooks.
    pub pod_ip: IpAddr,
}

/// preStop hook, signal, and SIGKILL at the end of the grace period.
pub(crate) async fn stop(agent: Arc<Agent>, pod: Arc<Pod>, handle: Arc<Handle>, stop: Stop) {
    let grace = Duration::from_secs(u64::try_from(stop.grace_s).unwrap_or(1));
    let deadline = tokio::time::Instant::now() + grace;
    let lifecycle = stop.container.lifecycle.clone().unwrap_or_default();
    if stop.hook
        && let Some(pre_stop) = &lifecycle.pre_stop
    {
        let run = hook(
            &agent,
            &pod,
            &handle,
            &stop.container,
            &stop.id,
            pre_stop,
            stop.pod_ip,
        );
        tokio::select! {
            result = run => if let Err(message) = result {
                warn!(container = stop.container.name, message, "preStop hook");
                let field = crate::container::image::field(&stop.container, &pod);
                // What the hook said may be secret: it is in the agent's log, not in an event.
                let text = "PreStopHook failed".to_owned();
                agent.events.pod(&pod, Some(field), true, "FailedPreStopHook", text);
            },
            () = stop.exited.cancelled() => return,
            () = tokio::time::sleep_until(deadline) => {}
        }
    }
    let name = lifecycle.stop_signal.or(stop.signal).unwrap_or_default();
    let signal = signal_number(&name).unwrap_or(nix::libc::SIGTERM);
    let id = stop.id.clone();
    if let Err(error) = handle
        .call(move |supervisor| supervisor.kill(&id, signal, false))
        .await
    {
        debug!(%error, "signal a container");
    }
    // A hook that took the whole period leaves the process two seconds, as Kubernetes documents.
    let last = if deadline <= tokio::time::Instant::now() {
        tokio::time::Instant::now() + Duration::from_secs(2)
    } else {
        deadline
    };
    tokio::select! {
        () = stop.exited.cancelled() => return,
        () = tokio::time::sleep_until(last) => {}
    }
    let id = stop.id;
    if let Err(error) = handle
        .call(move |supervisor| supervisor.kill(&id, nix::libc::SIGKILL, true))
        .await
    {
        warn!(%error, "kill a container");
    }
}

/// `SIGTERM`, `TERM`, `15` or `SIGRTMIN+3` as a number.
pub(crate) fn signal_number(name: &str) -> Option<i32> {
    let name = name.trim().to_uppercase();
    if let Ok(number) = name.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let full = if name.starts_with("SIG") {
        name
    } else {
        format!("SIG{name}")
    };
    // 34 and 64 with glibc, which images expect.
    if let Some(offset) = full.strip_prefix("SIGRTMIN") {
        let offset = offset.trim_start_matches('+');
        return if offset.is_empty() {
            Some(34)
        } else {
            offset.parse::<i32>().ok().map(|n| 34 + n)
        };
    }
    if let Some(offset) = full.strip_prefix("SIGRTMAX") {
        let offset = offset.trim_start_matches('-');
        return if offset.is_empty() {
            Some(64)
        } else {
            offset.parse::<i32>().ok().map(|n| 64 - n)
        };
    }
    full.parse::<nix::sys::signal::Signal>()
        .ok()
        .map(|signal| signal as i32)
}

/// Runs a lifecycle hook to its end.
pub(crate) async fn hook(
    agent: &Agent,
    pod: &Pod,
    handle: &Arc<Handle>,
    container: &Container,
    id: &str,
    hook: &LifecycleHandler,
    ip: IpAddr,
) -> Result<(), String> {
    if let Some(exec) = &hook.exec {
        let command = exec.command.clone().unwrap_or_default();
        let (code, output) = stream::run(agent, pod, handle, container, id, command, 10 << 10).await?;
        return if code == 0 {
            Ok(())
        } else {
            Err(format!(
                "command exited with {code}: {}",
                String::from_utf8_lossy(&output)
            ))
        };
    }
    if let Some(http) = &hook.http_get {
        // Any answer will do: of a hook the kubelet does not look at the status either.
        let caller = probe::Caller::Lifecycle;
        return probe::get(agent, pod, container, http, ip, caller, Duration::from_secs(3600))
            .await
            .map(drop);
    }
    if let Some(sleep) = &hook.sleep {
        tokio::time::sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0))).await;
        return Ok(());
    }
    // Source: the API's documentation of `LifecycleHandler.tcpSocket`: accepted for compatibility, fails at run time.
    Err("a lifecycle hook takes exec, httpGet or sleep, and nothing else".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_ports_become_services_of_the_host() {
        let pod: Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"uid": "u"},
            "spec": {"containers": [{"name": "a", "ports": [
                {"containerPort": 80, "hostPort": 8080, "hostIP": "127.0.0.1"}, {"containerPort": 81}]}]}
        }))
        .expect("pod");
        let services = host_ports(&pod, [10, 1, 0, 5].into());
        assert_eq!(services.len(), 1);
        assert_eq!(services[0].ports[0].node_port, Some(8080));
        assert_eq!(services[0].host_addresses, [IpAddr::from([127, 0, 0, 1])]);
    }

    #[test]
    fn signals_have_many_names() {
        assert_eq!(signal_number("SIGQUIT"), Some(3));
        assert_eq!(signal_number("usr1"), Some(10));
        assert_eq!(signal_number("15"), Some(15));
        assert_eq!(signal_number("SIGRTMIN+3"), Some(37));
        assert_eq!(signal_number(""), None);
        assert_eq!(signal_number("NOPE"), None);
    }
}
