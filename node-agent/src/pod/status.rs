//! The PodStatus of a pod: pod + view + now → status, in the kubelet's words. Pure.

use std::{collections::BTreeMap, net::IpAddr};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{
        Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
        ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodStatus, VolumeMountStatus,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use skiff_pod_network::PodAddress;

use super::{
    model::{self, Ended, Image, Instance, Kind, Sandbox, State, Step, View},
    plan::{self, Plan},
    resize,
};
use crate::container::spec::Access;

/// Reason of an end before the start: what was to be run can't be.
pub(crate) const START_ERROR: &str = "StartError";

/// Conditions that are there only while what they say is so.
pub(crate) const RESIZE_PENDING: &str = "PodResizePending";
pub(crate) const RESIZE_IN_PROGRESS: &str = "PodResizeInProgress";

/// The status to publish. Conditions of others in `pod.status` are kept as they are.
/// `sent` is the status published last: it may be newer than the one in `pod`.
pub(crate) fn status(
    pod: &Pod,
    sent: Option<&PodStatus>,
    view: &View,
    plan: &Plan,
    host_ips: &[IpAddr],
    now: Timestamp,
) -> PodStatus {
    let containers = model::containers(pod);
    let statuses = |wanted: &[Kind]| -> Vec<ContainerStatus> {
        containers
            .iter()
            .filter(|(kind, _)| wanted.contains(kind))
            .map(|(_, container)| container_status(pod, view, container, now))
            .collect()
    };
    let init = statuses(&[Kind::Init, Kind::Sidecar]);
    let main = statuses(&[Kind::Main]);
    let ephemeral = statuses(&[Kind::Ephemeral]);
    let terminal = plan.finished;
    let phase = phase(pod, view, &containers, terminal);
    let conditions = conditions(pod, sent, view, &containers, &init, &main, phase, now);
    let own = |address: Option<PodAddress>| address.into_iter().flat_map(PodAddress::all).collect();
    let ips: Vec<IpAddr> = match view.sandbox {
        Sandbox::Ready(Some(address)) => own(Some(address)),
        Sandbox::Ready(None) => host_ips.into(),
        // It stays in the status of a pod that has ended: people ask which one it had. Who selects pods by address
        // leaves those out.
        Sandbox::Removing | Sandbox::Removed if model::host_network(pod) => host_ips.into(),
        Sandbox::Removing | Sandbox::Removed => own(view.ip),
        _ => Vec::new(),
    };
    let some = |list: Vec<ContainerStatus>| (!list.is_empty()).then_some(list);
    // Init containers are listed as they run, all others by name.
    let sorted = |mut list: Vec<ContainerStatus>| {
        list.sort_by(|a, b| a.name.cmp(&b.name));
        some(list)
    };
    let (reason, message) = view.failure.clone().unzip();
    PodStatus {
        phase: Some(phase.into()),
        reason,
        message,
        conditions: Some(conditions),
        host_ip: host_ips.first().map(IpAddr::to_string),
        host_ips: Some(host_ips.iter().map(|ip| HostIP { ip: ip.to_string() }).collect()),
        pod_ip: ips.first().map(IpAddr::to_string),
        pod_ips: (!ips.is_empty()).then(|| ips.iter().map(|ip| PodIP { ip: ip.to_string() }).collect()),
        start_time: view.start_time.map(Time),
        qos_class: Some(crate::cgroup::qos(pod).into()),
        init_container_statuses: some(init),
        container_statuses: sorted(main),
        ephemeral_container_statuses: sorted(ephemeral),
        observed_generation: pod.metadata.generation,
        ..PodStatus::default()
    }
}

fn container_status(pod: &Pod, view: &View, container: &Container, now: Timestamp) -> ContainerStatus {
    let fresh = Instance::default();
    let instance = view.containers.get(&container.name).unwrap_or(&fresh);
    let uid = model::uid(pod);
    let id = |attempt| Some(model::container_id(uid, &container.name, attempt));
    let has_init = pod
        .spec
        .as_ref()
        .is_some_and(|spec| spec.init_containers.iter().flatten().count() > 0);
    let waiting = |reason: &str, message: Option<String>| ContainerState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(reason.into()),
            message,
        }),
        ..ContainerState::default()
    };
    let hold = match &instance.image {
        Image::Failed { hold, .. } | Image::Pulling { hold: Some(hold), .. } => Some(hold),
        _ => instance.hold.as_ref(),
    };
    let begin = if has_init {
        "PodInitializing"
    } else {
        "ContainerCreating"
    };
    let crash_loop = |seconds: u32| {
        waiting(
            "CrashLoopBackOff",
            Some(format!(
                "back-off {} restarting failed container={} pod={}_{}({uid})",
                duration(seconds),
                container.name,
                model::name(pod),
                model::namespace(pod),
            )),
        )
    };
    let mut last = instance.last.clone();
    let mut restarts = instance.attempt;
    let (state, container_id) = match &instance.state {
        // Source: Kubernetes, "Container Lifecycle Hooks": it does not reach the running state before the hook is through.
        State::Running { .. } if instance.hooking => (waiting(begin, None), id(instance.attempt)),
        State::Running { started_at } | State::Stopping { started_at, .. } => (
            ContainerState {
                running: Some(ContainerStateRunning {
                    started_at: Some(Time(*started_at)),
                }),
                ..ContainerState::default()
            },
            id(instance.attempt),
        ),
        State::Exited(ended) => {
            let restarting = pod.metadata.deletion_timestamp.is_none()
                && view.failure.is_none()
                && plan::restarts(pod, container, ended);
            let until = plan::backoff_end(instance, ended);
            let text = if restarting && let Some(hold) = hold {
                Some(waiting(&hold.reason, Some(hold.message.clone())))
            } else if restarting && until > now && plan::shown_until(ended) > now {
                let failed = (ended.reason == START_ERROR).then(|| ended.message.clone());
                failed.map(|message| waiting("RunContainerError", message))
            } else if restarting && until > now {
                Some(crash_loop(instance.backoff_s))
            } else {
                None
            };
            match text {
                Some(state) => {
                    last = Some(ended.clone());
                    (state, id(instance.attempt))
                }
                None => (terminated(ended), id(instance.attempt)),
            }
        }
        // Until the next instance runs the status is that of the one before.
        State::Creating if instance.attempt > 0 && instance.last.is_some() => {
            restarts = instance.attempt - 1;
            let state = match (&last, instance.waited_s) {
                (Some(_), seconds @ 1..) => crash_loop(seconds),
                (before, _) => before.as_ref().map(terminated).unwrap_or_default(),
            };
            if instance.waited_s == 0 {
                last = None;
            }
            (state, id(restarts))
        }
        State::Waiting | State::Creating => {
            let previous = instance.attempt.checked_sub(1).and_then(id);
            match hold {
                Some(hold) if instance.state == State::Waiting => {
                    (waiting(&hold.reason, Some(hold.message.clone())), previous)
                }
                _ => (waiting(begin, None), previous),
            }
        }
    };
    let running = instance.state.started_at().is_some();
    // What it has, and what it may have; of one that asks for nothing there is nothing to say.
    let wanted = container.resources.as_ref();
    let amounts = instance
        .given
        .as_ref()
        .or(wanted)
        .filter(|amounts| running && (amounts.limits.is_some() || amounts.requests.is_some()));
    let granted = match view.resize_pending {
        Some(_) => amounts,
        None => amounts.and(wanted),
    };
    ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        // That of a container: there is none before its first instance.
        image_id: container_id
            .as_ref()
            .map(|_| instance.image_id.clone())
            .unwrap_or_default(),
        container_id,
        restart_count: i32::try_from(restarts).unwrap_or(i32::MAX),
        ready: is_ready(pod, container, instance),
        started: Some(running && instance.started),
        state: Some(state),
        last_state: Some(last.as_ref().map(terminated).unwrap_or_default()),
        volume_mounts: mounts(container),
        resources: amounts.cloned(),
        allocated_resources: granted.and_then(|granted| granted.requests.clone()),
        ..ContainerStatus::default()
    }
}

/// Its volumes as they are mounted.
fn mounts(container: &Container) -> Option<Vec<VolumeMountStatus>> {
    let mounts = container.volume_mounts.as_ref()?;
    let mounted = mounts.iter().map(|mount| {
        let read_only = mount.read_only.filter(|read_only| *read_only);
        VolumeMountStatus {
            name: mount.name.clone(),
            mount_path: mount.mount_path.clone(),
            read_only,
            recursive_read_only: match Access::of(mount) {
                Access::Write => None,
                Access::Read => Some("Disabled".to_owned()),
                Access::ReadAll => Some("Enabled".to_owned()),
            },
            ..VolumeMountStatus::default()
        }
    });
    Some(mounted.collect())
}

/// An init container is ready when it has succeeded, any other while it runs and its probe says so.
fn is_ready(pod: &Pod, container: &Container, instance: &Instance) -> bool {
    let init = pod
        .spec
        .iter()
        .flat_map(|spec| spec.init_containers.iter().flatten())
        .any(|c| c.name == container.name && container.restart_policy.as_deref() != Some("Always"));
    if init {
        return instance.state.ended().is_some_and(|ended| ended.code == 0);
    }
    instance.state.started_at().is_some() && instance.started && instance.ready
}

fn terminated(ended: &Ended) -> ContainerState {
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            exit_code: ended.code,
            signal: ended.signal,
            reason: Some(ended.reason.clone()),
            message: ended.message.clone(),
            started_at: Some(Time(ended.started_at.unwrap_or(Timestamp::UNIX_EPOCH))),
            finished_at: Some(Time(ended.finished_at)),
            container_id: Some(ended.container_id.clone()),
        }),
        ..ContainerState::default()
    }
}

/// As Go prints a duration: `10s`, `1m20s`, `5m0s`.
fn duration(seconds: u32) -> String {
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

/// Source: Kubernetes, "Pod Lifecycle", pod phase.
fn phase(pod: &Pod, view: &View, containers: &[(Kind, Container)], terminal: bool) -> &'static str {
    let deleting = pod.metadata.deletion_timestamp.is_some() || view.gone;
    if view.failure.is_some() {
        return if terminal { "Failed" } else { previous_phase(pod) };
    }
    let policy = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.restart_policy.as_deref())
        .unwrap_or("Always");
    let (mut pending_init, mut failed_init) = (false, false);
    let (mut waiting, mut running, mut stopped, mut succeeded) = (0, 0, 0, 0);
    for (kind, container) in containers {
        let instance = view.containers.get(&container.name);
        let state = instance.map_or(&State::Waiting, |instance| &instance.state);
        match kind {
            Kind::Init => match state.ended() {
                Some(ended) if ended.code == 0 => {}
                Some(ended) if !plan::restarts(pod, container, ended) => failed_init = true,
                _ => pending_init = true,
            },
            Kind::Main => match state {
                State::Running { .. } if instance.is_some_and(|instance| instance.hooking) => waiting += 1,
                State::Running { .. } | State::Stopping { .. } => running += 1,
                State::Exited(ended) => {
                    stopped += 1;
                    succeeded += usize::from(ended.code == 0);
                }
                _ if instance.is_some_and(|instance| instance.last.is_some()) => stopped += 1,
                _ => waiting += 1,
            },
            Kind::Sidecar | Kind::Ephemeral => {}
        }
    }
    if failed_init && (policy == "Never" || terminal) {
        return "Failed";
    }
    if terminal && deleting {
        // Nothing runs any more and nothing will: an end, whatever the policy.
        return if waiting == 0 && stopped == succeeded && !pending_init {
            "Succeeded"
        } else {
            "Failed"
        };
    }
    if waiting > 0 || (pending_init && running + stopped == 0) {
        return "Pending";
    }
    if running > 0 {
        return "Running";
    }
    if terminal {
        return if stopped == succeeded {
            "Succeeded"
        } else {
            "Failed"
        };
    }
    "Running"
}

fn previous_phase(pod: &Pod) -> &'static str {
    match pod.status.as_ref().and_then(|status| status.phase.as_deref()) {
        Some("Running") => "Running",
        Some("Failed") => "Failed",
        Some("Succeeded") => "Succeeded",
        _ => "Pending",
    }
}

#[expect(clippy::too_many_arguments, reason = "a condition is made from all there is")]
fn conditions(
    pod: &Pod,
    sent: Option<&PodStatus>,
    view: &View,
    containers: &[(Kind, Container)],
    init: &[ContainerStatus],
    main: &[ContainerStatus],
    phase: &str,
    now: Timestamp,
) -> Vec<PodCondition> {
    let old: BTreeMap<&str, &PodCondition> = pod
        .status
        .iter()
        .chain(sent)
        .flat_map(|status| status.conditions.iter().flatten())
        .map(|condition| (condition.type_.as_str(), condition))
        .collect();
    let terminal = phase == "Succeeded" || phase == "Failed";
    let done = if phase == "Succeeded" {
        "PodCompleted"
    } else {
        "PodFailed"
    };
    let names = |list: Vec<&str>| format!("[{}]", list.join(" "));

    let ready_to_start = matches!(view.sandbox, Sandbox::Ready(_));
    let kind_of = |name: &str| {
        containers
            .iter()
            .find(|(_, c)| c.name == name)
            .map(|(kind, _)| *kind)
    };
    let begun = main.iter().any(|status| {
        status.restart_count > 0
            || status
                .state
                .as_ref()
                .is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    });
    let incomplete: Vec<&str> = init
        .iter()
        .filter(|status| match kind_of(&status.name) {
            Some(Kind::Sidecar) => !begun && status.started != Some(true),
            _ => !begun && !status.ready,
        })
        .map(|status| status.name.as_str())
        .collect();
    let initialized = if incomplete.is_empty() {
        (true, (phase == "Succeeded").then_some("PodCompleted"), None)
    } else {
        let message = format!("containers with incomplete status: {}", names(incomplete));
        (false, Some("ContainersNotInitialized"), Some(message))
    };
    let unready: Vec<&str> = init
        .iter()
        .filter(|status| kind_of(&status.name) == Some(Kind::Sidecar))
        .chain(main)
        .filter(|status| !status.ready)
        .map(|status| status.name.as_str())
        .collect();
    let containers_ready = if terminal {
        (false, Some(done), None)
    } else if unready.is_empty() {
        (true, None, None)
    } else {
        let message = format!("containers with unready status: {}", names(unready));
        (false, Some("ContainersNotReady"), Some(message))
    };
    let gates: Vec<String> = pod
        .spec
        .iter()
        .flat_map(|spec| spec.readiness_gates.iter().flatten())
        .filter_map(|gate| match old.get(gate.condition_type.as_str()) {
            Some(condition) if condition.status == "True" => None,
            Some(_) => Some(format!(
                "the status of pod readiness gate {:?} is not \"True\", but False",
                gate.condition_type
            )),
            None => Some(format!(
                "corresponding condition of pod readiness gate {:?} does not exist.",
                gate.condition_type
            )),
        })
        .collect();
    let ready = if containers_ready.0 && !gates.is_empty() {
        (false, Some("ReadinessGatesNotReady"), Some(gates.join(", ")))
    } else {
        containers_ready.clone()
    };

    let mut conditions: Vec<PodCondition> = Vec::new();
    for (kind, (is, reason, message)) in [
        ("PodReadyToStartContainers", (ready_to_start, None, None)),
        ("Initialized", initialized),
        ("Ready", ready),
        ("ContainersReady", containers_ready),
        ("PodScheduled", (true, None, None)),
    ] {
        let status = if is { "True" } else { "False" };
        let previous = old.get(kind).filter(|previous| previous.status == status);
        conditions.push(PodCondition {
            type_: kind.into(),
            status: status.into(),
            reason: reason.map(Into::into),
            message,
            last_transition_time: previous
                .and_then(|previous| previous.last_transition_time.clone())
                .or(Some(Time(now))),
            observed_generation: pod.metadata.generation,
            ..PodCondition::default()
        });
    }
    conditions.extend(resize_condition(pod, view, containers, &old, now));
    if let Some((_, message)) = view
        .failure
        .as_ref()
        .filter(|(reason, _)| reason == plan::EVICTED)
    {
        let previous = old.get("DisruptionTarget");
        conditions.push(PodCondition {
            type_: "DisruptionTarget".into(),
            status: "True".into(),
            reason: Some("TerminationByKubelet".into()),
            message: Some(message.clone()),
            last_transition_time: previous
                .and_then(|previous| previous.last_transition_time.clone())
                .or(Some(Time(now))),
            observed_generation: pod.metadata.generation,
            ..PodCondition::default()
        });
    }
    conditions
}

/// What becomes of a change of amounts, while that is not done.
fn resize_condition(
    pod: &Pod,
    view: &View,
    containers: &[(Kind, Container)],
    old: &BTreeMap<&str, &PodCondition>,
    now: Timestamp,
) -> Option<PodCondition> {
    let mut changing = containers.iter().filter_map(|(_, container)| {
        let instance = view.containers.get(&container.name)?;
        resize::Change::of(container, instance).any().then_some(instance)
    });
    let (kind, hold) = match &view.resize_pending {
        Some(hold) => (RESIZE_PENDING, Some(hold)),
        None => {
            let first = changing.next()?;
            let failed = std::iter::once(first)
                .chain(changing)
                .find_map(|instance| match &instance.resize {
                    Step::Failed(hold) => Some(hold),
                    _ => None,
                });
            (RESIZE_IN_PROGRESS, failed)
        }
    };
    let since = old.get(kind).and_then(|old| old.last_transition_time.clone());
    Some(PodCondition {
        type_: kind.into(),
        status: "True".into(),
        reason: hold.map(|hold| hold.reason.clone()),
        message: hold.map(|hold| hold.message.clone()),
        last_transition_time: since.or(Some(Time(now))),
        observed_generation: pod.metadata.generation,
        ..PodCondition::default()
    })
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
