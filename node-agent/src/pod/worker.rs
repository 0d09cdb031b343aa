//! One pod's task. Everything that happens to the pod comes in as a [`Msg`], changes the view, and leads to a new plan;
//! what the plan asks for runs beside the task ([`super::steps`]) and reports back as a message.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Pod};
use parking_lot::RwLock;
use skiff_runtime::supervisor::ContainerState;
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, info, info_span, warn};

use super::{
    handle::Handle,
    model::{self, Ended, Hold, Image, Kind, Sandbox, State, Step, Unhealthy, View},
    plan::{self, Action, Plan},
    publish::{self, Wanted},
    restore, status, steps,
};
use crate::{
    agent::Agent,
    container::{
        self, Places,
        image::{Missing, Source},
    },
    probe,
    volume::{self, Mounted},
};

/// What can happen to a pod.
#[derive(Debug)]
pub(crate) enum Msg {
    /// The API has it so.
    Desired(Arc<Pod>),
    /// The API has it no more.
    Gone,
    /// The sandbox is there, or not.
    Sandbox(Result<(Arc<Handle>, Option<std::net::Ipv4Addr>), String>),
    /// The volumes are there, or not.
    Volumes(Result<Arc<Mounted>, volume::Failed>),
    /// An image is there, or not.
    Image(String, Result<Source, Missing>),
    /// A container runs, or does not.
    Started(String, u32, Result<ContainerState, container::Failed>),
    /// Its postStart hook is through, or has failed.
    Hooked(String, u32, Result<(), String>),
    /// A container's process has ended.
    Exited(ContainerState),
    /// The supervisor is gone without having been told to go.
    SupervisorGone,
    /// A probe has a new opinion.
    Probed(String, u32, probe::Verdict),
    /// Sandbox and volumes are taken down.
    TornDown,
    /// The object is deleted.
    Finalized,
}

/// What others may see of a pod: streams, `/pods`.
#[derive(Debug)]
pub(crate) struct Shared {
    /// As the API has it.
    pub pod: RwLock<Arc<Pod>>,
    /// As this node sees it.
    pub view: RwLock<View>,
    /// Its supervisor.
    pub handle: RwLock<Option<Arc<Handle>>>,
    /// Counts changes of the view.
    pub changed: watch::Sender<u64>,
}

/// A running worker.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    /// Tell it something.
    pub sender: mpsc::UnboundedSender<Msg>,
    /// See it.
    pub shared: Arc<Shared>,
}

/// Starts the worker of a pod. `done` gets the uid when nothing of the pod is left.
pub(crate) fn start(agent: Arc<Agent>, pod: Arc<Pod>, done: mpsc::UnboundedSender<String>) -> Running {
    let (sender, receiver) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        pod: RwLock::new(Arc::clone(&pod)),
        view: RwLock::default(),
        handle: RwLock::default(),
        changed: watch::Sender::new(0),
    });
    let span = info_span!(
        "pod",
        namespace = model::namespace(&pod),
        name = model::name(&pod)
    );
    let publisher = publish::start(Arc::clone(&agent), sender.clone());
    let worker = Worker {
        places: Places::of(&agent.config, &pod),
        agent,
        pod,
        view: View::default(),
        handle: None,
        mounted: None,
        sources: HashMap::new(),
        tasks: HashMap::new(),
        exits: HashMap::new(),
        stops: HashMap::new(),
        refresh: None,
        announced: HashMap::new(),
        saved: Vec::new(),
        sender: sender.clone(),
        publisher,
        shared: Arc::clone(&shared),
    };
    tokio::spawn(
        async move {
            let uid = model::uid(&worker.pod).to_owned();
            worker.run(receiver).await;
            let _ = done.send(uid);
        }
        .instrument(span),
    );
    Running { sender, shared }
}

struct Worker {
    agent: Arc<Agent>,
    pod: Arc<Pod>,
    places: Places,
    view: View,
    handle: Option<Arc<Handle>>,
    mounted: Option<Arc<Mounted>>,
    /// Images by container.
    sources: HashMap<String, Source>,
    /// Probes and hooks by container; ended with the instance.
    tasks: HashMap<String, Vec<AbortHandle>>,
    /// Cancelled when the instance has ended.
    exits: HashMap<String, CancellationToken>,
    /// Stops under way by container.
    stops: HashMap<String, AbortHandle>,
    refresh: Option<AbortHandle>,
    /// Instances whose back-off has been announced.
    announced: HashMap<String, u32>,
    saved: Vec<u8>,
    sender: mpsc::UnboundedSender<Msg>,
    publisher: watch::Sender<Wanted>,
    shared: Arc<Shared>,
}

impl Worker {
    async fn run(mut self, mut messages: mpsc::UnboundedReceiver<Msg>) {
        self.restore().await;
        loop {
            let now = Timestamp::now();
            self.give_up_when_due(now);
            let plan = plan::plan(&self.pod, &self.view, now);
            for action in plan.actions.clone() {
                self.perform(action, now);
            }
            self.announce(&plan);
            self.publish(&plan, now);
            self.save();
            let message = match plan.wake {
                None => messages.recv().await,
                Some(wake) => {
                    let pause = wake.duration_since(Timestamp::now()).unsigned_abs();
                    let pause = if wake > Timestamp::now() {
                        pause
                    } else {
                        std::time::Duration::ZERO
                    };
                    tokio::time::timeout(pause, messages.recv())
                        .await
                        .unwrap_or_else(|_| {
                            // The time has come: look again.
                            Some(Msg::Desired(Arc::clone(&self.pod)))
                        })
                }
            };
            let Some(message) = message else { return };
            if self.take(message) {
                break;
            }
            // What else has arrived goes into the same round.
            while let Ok(message) = messages.try_recv() {
                if self.take(message) {
                    self.forget();
                    return;
                }
            }
        }
        self.forget();
    }

    /// Takes over what an earlier agent left of this pod.
    async fn restore(&mut self) {
        let restored = restore::restore(&self.places, &self.sender).await;
        self.view = restored.view;
        self.view.start_time.get_or_insert_with(|| {
            let started = self
                .pod
                .status
                .as_ref()
                .and_then(|status| status.start_time.as_ref());
            started.map_or_else(Timestamp::now, |time| time.0)
        });
        for (_, container) in model::containers(&self.pod) {
            self.view.containers.entry(container.name).or_default();
        }
        if restored.handle.is_none() && self.pod.metadata.deletion_timestamp.is_none() {
            self.recall();
        }
        for message in restored.messages {
            self.take(message);
        }
        if let Some(handle) = restored.handle {
            info!("adopted a running pod");
            self.handle = Some(Arc::clone(&handle));
            *self.shared.handle.write() = Some(Arc::clone(&handle));
            // Creating on top of a handle attaches the network again, to the same address.
            self.view.sandbox = Sandbox::Creating;
            steps::attach(&self.agent, &self.pod, handle, &self.sender);
            let running: Vec<(String, u32, Timestamp)> = self
                .view
                .containers
                .iter()
                .filter_map(|(name, instance)| {
                    let started_at = instance.state.started_at()?;
                    Some((name.clone(), instance.attempt, started_at))
                })
                .collect();
            for (name, attempt, started_at) in running {
                self.exits.insert(name.clone(), CancellationToken::new());
                let unprobed = self.container(&name).is_some_and(|c| c.startup_probe.is_none());
                if let Some(instance) = self.view.containers.get_mut(&name) {
                    // A stop that was under way is asked for again by the plan.
                    instance.state = State::Running { started_at };
                    instance.started |= unprobed;
                }
                self.probe(&name, attempt);
            }
        }
    }

    /// Without anything of the pod on this node (a reboot): what the API knows about its containers counts.
    fn recall(&mut self) {
        let Some(status) = &self.pod.status else { return };
        let all = status
            .container_statuses
            .iter()
            .chain(&status.init_container_statuses)
            .flatten();
        for known in all {
            let Some(instance) = self.view.containers.get_mut(&known.name) else {
                continue;
            };
            if instance.state != State::Waiting || instance.attempt > 0 {
                continue;
            }
            let Some(state) = &known.state else { continue };
            let id = known.container_id.clone().unwrap_or_default();
            if id.is_empty() {
                continue;
            }
            instance.attempt = u32::try_from(known.restart_count).unwrap_or(0);
            instance.image_id = known.image_id.clone();
            instance.image_name = known.image.clone();
            let last = known
                .last_state
                .as_ref()
                .and_then(|state| state.terminated.as_ref());
            let ended = if let Some(running) = &state.running {
                restore::lost(running.started_at.as_ref().map(|time| time.0), id)
            } else if let Some(ended) = state.terminated.as_ref().or(last) {
                Ended {
                    code: ended.exit_code,
                    signal: ended.signal,
                    reason: ended.reason.clone().unwrap_or_default(),
                    message: ended.message.clone(),
                    started_at: ended.started_at.as_ref().map(|time| time.0),
                    finished_at: ended
                        .finished_at
                        .as_ref()
                        .map_or_else(Timestamp::now, |time| time.0),
                    container_id: id,
                }
            } else {
                continue;
            };
            instance.state = State::Exited(ended);
        }
    }

    fn give_up_when_due(&mut self, now: Timestamp) {
        let over = plan::deadline(&self.pod, &self.view).is_some_and(|deadline| deadline <= now);
        if over && self.view.failure.is_none() {
            let message = "Pod was active on the node longer than the specified deadline".to_owned();
            self.event(None, false, "DeadlineExceeded", message.clone());
            self.view.failure = Some(("DeadlineExceeded".into(), message));
        }
    }

    /// Begins an action; the view says so at once.
    fn perform(&mut self, action: Action, now: Timestamp) {
        debug!(?action, "perform");
        match action {
            Action::Sandbox => {
                self.view.sandbox = Sandbox::Creating;
                steps::sandbox(&self.agent, &self.pod, &self.sender);
            }
            Action::Volumes => {
                self.view.volumes = Step::Doing;
                let (agent, pod, sender) = (self.agent.clone(), self.pod.clone(), self.sender.clone());
                tokio::spawn(async move {
                    let result = volume::setup(&agent, &pod).await.map(Arc::new);
                    let _ = sender.send(Msg::Volumes(result));
                });
            }
            Action::Pull(name) => self.pull(name),
            Action::Start(name) => self.begin(name),
            Action::Stop { name, why, grace_s } => self.stop(name, why, grace_s, now),
            Action::Teardown => {
                self.view.sandbox = Sandbox::Removing;
                if let Some(refresh) = self.refresh.take() {
                    refresh.abort();
                }
                *self.shared.handle.write() = None;
                self.mounted = None;
                steps::teardown(&self.agent, &self.pod, self.handle.take(), &self.sender);
            }
            Action::Finalize if self.view.gone => {
                let _ = self.sender.send(Msg::Finalized);
            }
            // Asked for by `publish`, after the last status.
            Action::Finalize => {}
        }
    }

    fn pull(&mut self, name: String) {
        let Some(container) = self.container(&name) else {
            return;
        };
        let Some(instance) = self.view.containers.get_mut(&name) else {
            return;
        };
        match &instance.image {
            Image::Failed {
                hold: error,
                backoff_s,
                backing_off: false,
            } => {
                // The error has been shown; now the wait begins.
                let image = container.image.clone().unwrap_or_default();
                let text = format!("Back-off pulling image \"{image}\"");
                let message = format!("{text}: ErrImagePull: {}", error.message);
                let backoff_s = *backoff_s;
                let hold = hold("ImagePullBackOff", message, i64::from(backoff_s));
                instance.image = Image::Failed {
                    hold,
                    backoff_s,
                    backing_off: true,
                };
                self.event(Some(&container), false, "BackOff", text);
                self.event(Some(&container), true, "Failed", "Error: ImagePullBackOff".into());
                return;
            }
            Image::Failed { hold, backoff_s, .. } => {
                instance.image = Image::Pulling {
                    hold: Some(hold.clone()),
                    backoff_s: *backoff_s,
                };
            }
            _ => {
                instance.image = Image::Pulling {
                    hold: None,
                    backoff_s: 0,
                }
            }
        }
        let (agent, pod, sender) = (self.agent.clone(), self.pod.clone(), self.sender.clone());
        tokio::spawn(async move {
            let result = container::image::ensure(&agent, &pod, &container).await;
            let _ = sender.send(Msg::Image(name, result));
        });
    }

    fn begin(&mut self, name: String) {
        let (Some(container), Some(handle), Some(mounted)) =
            (self.container(&name), self.handle.clone(), self.mounted.clone())
        else {
            return;
        };
        let Some(source) = self.sources.get(&name).cloned() else {
            return;
        };
        let pod_ip = match self.view.sandbox {
            Sandbox::Ready(Some(ip)) => Some(IpAddr::V4(ip)),
            _ => Some(self.agent.host_ip),
        };
        let Some(instance) = self.view.containers.get_mut(&name) else {
            return;
        };
        if let State::Exited(ended) = std::mem::take(&mut instance.state) {
            // An instance that went down with its node has not failed.
            if ended.reason != restore::LOST {
                instance.backoff_s = plan::next_backoff(instance.backoff_s, &ended);
            }
            instance.last = Some(ended);
            instance.attempt += 1;
        }
        instance.state = State::Creating;
        instance.hold = None;
        instance.unhealthy = None;
        instance.ready = false;
        instance.started = false;
        instance.image_name = container.image.clone().unwrap_or_default();
        instance.image_id = source.id();
        instance.stop_signal = match &source {
            Source::Image(image) => {
                Some(image.process.stop_signal.clone()).filter(|signal| !signal.is_empty())
            }
            Source::Bundle { .. } => None,
        };
        let attempt = instance.attempt;
        self.exits.insert(name.clone(), CancellationToken::new());
        // A crash from here on finds the instance in the supervisor.
        self.save();
        let plan = container::Plan {
            pod: self.pod.clone(),
            container,
            attempt,
            source,
            handle,
            pod_ip,
            mounted,
        };
        let (agent, sender) = (self.agent.clone(), self.sender.clone());
        tokio::spawn(async move {
            let result = container::start(&agent, plan).await;
            let _ = sender.send(Msg::Started(name, attempt, result));
        });
    }

    fn stop(&mut self, name: String, why: String, grace_s: i64, now: Timestamp) {
        let Some(container) = self.container(&name) else {
            return;
        };
        let Some(instance) = self.view.containers.get_mut(&name) else {
            return;
        };
        let (started_at, again) = match instance.state {
            State::Running { started_at } => (started_at, false),
            State::Stopping { started_at, .. } => (started_at, true),
            _ => return,
        };
        instance.state = State::Stopping { started_at, grace_s };
        instance.ready = false;
        let id = model::instance_id(&name, instance.attempt);
        let signal = instance.stop_signal.clone();
        if self.pod.metadata.deletion_timestamp.is_some() || self.view.gone || self.view.failure.is_some() {
            self.view.terminating_since.get_or_insert(now);
        }
        if !again {
            self.event(Some(&container), false, "Killing", why);
        }
        self.end_tasks(&name);
        if let Some(stop) = self.stops.remove(&name) {
            stop.abort();
        }
        let (Some(handle), Some(exited)) = (self.handle.clone(), self.exits.get(&name).cloned()) else {
            return;
        };
        let stop = steps::Stop {
            container,
            id,
            signal,
            grace_s,
            hook: !again,
            exited,
            pod_ip: self.ip(),
        };
        let task = tokio::spawn(steps::stop(self.agent.clone(), self.pod.clone(), handle, stop));
        self.stops.insert(name, task.abort_handle());
    }

    /// Changes the view by what has happened. True: nothing is left of the pod.
    fn take(&mut self, message: Msg) -> bool {
        match message {
            Msg::Desired(pod) => {
                for (_, container) in model::containers(&pod) {
                    self.view.containers.entry(container.name).or_default();
                }
                self.pod = pod;
                *self.shared.pod.write() = Arc::clone(&self.pod);
            }
            Msg::Gone => self.view.gone = true,
            Msg::Sandbox(Ok((handle, ip))) => {
                self.handle = Some(Arc::clone(&handle));
                *self.shared.handle.write() = Some(handle);
                self.view.sandbox = Sandbox::Ready(ip);
            }
            Msg::Sandbox(Err(message)) => {
                warn!(message, "sandbox failed");
                self.event(
                    None,
                    true,
                    "FailedCreatePodSandBox",
                    format!("Failed to create pod sandbox: {message}"),
                );
                self.view.sandbox = Sandbox::Failed(hold("ContainerCreating", message, 5));
            }
            Msg::Volumes(Ok(mounted)) => {
                self.mounted = Some(mounted);
                self.view.volumes = Step::Ready;
                self.refresh = volume::refresh(&self.agent, &self.pod);
            }
            Msg::Volumes(Err(failed)) => {
                self.event(None, true, "FailedMount", failed.message.clone());
                self.view.volumes = Step::Failed(hold("ContainerCreating", failed.message, 2));
            }
            Msg::Image(name, result) => self.image(name, result),
            Msg::Started(name, attempt, result) => self.started(&name, attempt, result),
            Msg::Hooked(name, attempt, result) => self.hooked(&name, attempt, result),
            Msg::Exited(state) => self.exited(&state),
            Msg::SupervisorGone => self.supervisor_gone(),
            Msg::Probed(name, attempt, verdict) => self.probed(&name, attempt, verdict),
            Msg::TornDown => self.view.sandbox = Sandbox::Removed,
            Msg::Finalized => return true,
        }
        false
    }

    fn image(&mut self, name: String, result: Result<Source, Missing>) {
        let Some(instance) = self.view.containers.get_mut(&name) else {
            return;
        };
        match result {
            Ok(source) => {
                instance.image = Image::Present;
                self.sources.insert(name, source);
            }
            Err(missing) => {
                let before = match instance.image {
                    Image::Pulling { backoff_s, .. } => backoff_s,
                    _ => 0,
                };
                let backoff_s = if before == 0 { 10 } else { (before * 2).min(300) };
                let pulled = missing.reason == "ErrImagePull";
                let hold = hold(
                    missing.reason,
                    missing.message,
                    if pulled { 1 } else { i64::from(backoff_s) },
                );
                instance.image = Image::Failed {
                    hold,
                    backoff_s,
                    backing_off: !pulled,
                };
            }
        }
    }

    fn started(&mut self, name: &str, attempt: u32, result: Result<ContainerState, container::Failed>) {
        let Some(container) = self.container(name) else {
            return;
        };
        let uid = model::uid(&self.pod).to_owned();
        let Some(instance) = self.view.containers.get_mut(name) else {
            return;
        };
        if instance.attempt != attempt || !matches!(instance.state, State::Creating) {
            return;
        }
        match result {
            Ok(state) => {
                let started_at = restore::timestamp(state.started_at);
                instance.state = State::Running { started_at };
                instance.ready = container.readiness_probe.is_none();
                self.event(
                    Some(&container),
                    false,
                    "Created",
                    format!("Created container: {name}"),
                );
                self.event(
                    Some(&container),
                    false,
                    "Started",
                    format!("Started container {name}"),
                );
                let hook = container
                    .lifecycle
                    .as_ref()
                    .and_then(|lifecycle| lifecycle.post_start.clone());
                match (hook, self.handle.clone()) {
                    (Some(hook), Some(handle)) => {
                        let (agent, pod, sender) =
                            (self.agent.clone(), self.pod.clone(), self.sender.clone());
                        let (name, ip) = (name.to_owned(), self.ip());
                        let id = model::instance_id(&name, attempt);
                        let task = tokio::spawn(async move {
                            let result = steps::hook(&agent, &pod, &handle, &container, &id, &hook, ip).await;
                            let _ = sender.send(Msg::Hooked(name, attempt, result));
                        });
                        self.tasks
                            .entry(container_name(&state))
                            .or_default()
                            .push(task.abort_handle());
                    }
                    _ => self.up(name, attempt),
                }
                // The exit may have come before the answer to start.
                if state.exit.is_some() {
                    self.exited(&state);
                }
            }
            Err(container::Failed::Config { reason, message }) => {
                instance.state = match instance.last.take() {
                    Some(last) if attempt > 0 => {
                        instance.attempt -= 1;
                        State::Exited(last)
                    }
                    _ => State::Waiting,
                };
                instance.hold = Some(hold(reason, message.clone(), 5));
                self.event(Some(&container), true, "Failed", format!("Error: {message}"));
            }
            Err(container::Failed::Start { message }) => {
                instance.state = State::Exited(Ended {
                    code: 128,
                    signal: None,
                    reason: "StartError".into(),
                    message: Some(message.clone()),
                    started_at: None,
                    finished_at: Timestamp::now(),
                    container_id: model::container_id(&uid, name, attempt),
                });
                instance.image = Image::Unknown;
                self.event(
                    Some(&container),
                    false,
                    "Created",
                    format!("Created container: {name}"),
                );
                self.event(Some(&container), true, "Failed", format!("Error: {message}"));
            }
        }
    }

    fn hooked(&mut self, name: &str, attempt: u32, result: Result<(), String>) {
        match result {
            Ok(()) => self.up(name, attempt),
            Err(message) => {
                let container = self.container(name);
                self.event(container.as_ref(), true, "FailedPostStartHook", message);
                if let Some(instance) = self
                    .view
                    .containers
                    .get_mut(name)
                    .filter(|i| i.attempt == attempt)
                {
                    instance.unhealthy = Some(Unhealthy {
                        message: "FailedPostStartHook".into(),
                        grace_s: None,
                    });
                }
            }
        }
    }

    /// The container is up: from now on it is probed.
    fn up(&mut self, name: &str, attempt: u32) {
        let startup = self
            .container(name)
            .is_some_and(|container| container.startup_probe.is_some());
        let Some(instance) = self.view.containers.get_mut(name) else {
            return;
        };
        if instance.attempt != attempt || instance.state.started_at().is_none() {
            return;
        }
        instance.started = !startup;
        self.probe(name, attempt);
    }

    fn probe(&mut self, name: &str, attempt: u32) {
        let (Some(container), Some(handle)) = (self.container(name), self.handle.clone()) else {
            return;
        };
        let Some(instance) = self.view.containers.get(name) else {
            return;
        };
        let Some(started_at) = instance.state.started_at() else {
            return;
        };
        let target = probe::Target {
            agent: self.agent.clone(),
            pod: self.pod.clone(),
            container,
            attempt,
            handle,
            ip: self.ip(),
            started_at,
            started: instance.started,
            sender: self.sender.clone(),
        };
        let tasks = probe::start(target);
        self.tasks.entry(name.to_owned()).or_default().extend(tasks);
    }

    fn probed(&mut self, name: &str, attempt: u32, verdict: probe::Verdict) {
        let container = self.container(name);
        let Some(instance) = self.view.containers.get_mut(name) else {
            return;
        };
        if instance.attempt != attempt || !matches!(instance.state, State::Running { .. }) {
            return;
        }
        match verdict {
            probe::Verdict::Ready(ready) => instance.ready = ready,
            probe::Verdict::Started => instance.started = true,
            probe::Verdict::Failing { kind, grace_s } => {
                instance.unhealthy = Some(Unhealthy {
                    message: format!("Container {name} failed {kind} probe, will be restarted"),
                    grace_s,
                });
            }
            probe::Verdict::Unhealthy(message) => {
                self.event(container.as_ref(), true, "Unhealthy", message);
            }
        }
    }

    fn exited(&mut self, state: &ContainerState) {
        let Some(exit) = &state.exit else { return };
        let name = container_name(state);
        let container = self.container(&name);
        let uid = model::uid(&self.pod).to_owned();
        let Some(instance) = self.view.containers.get_mut(&name) else {
            return;
        };
        if state.id != model::instance_id(&name, instance.attempt) || instance.state.ended().is_some() {
            return;
        }
        let attempt = instance.attempt;
        let message = container
            .as_ref()
            .and_then(|container| restore::termination_message(&self.places, container, attempt, exit.code));
        let ended = Ended {
            code: exit.code,
            signal: exit.signal,
            reason: restore::reason(exit).into(),
            message,
            started_at: Some(restore::timestamp(state.started_at)),
            finished_at: restore::timestamp(exit.finished_at),
            container_id: model::container_id(&uid, &name, attempt),
        };
        info!(
            container = name,
            code = ended.code,
            reason = ended.reason,
            "container ended"
        );
        instance.state = State::Exited(ended);
        instance.image = Image::Unknown;
        instance.ready = false;
        instance.started = false;
        if let Some(exits) = self.exits.remove(&name) {
            exits.cancel();
        }
        self.stops.remove(&name);
        self.end_tasks(&name);
        steps::remove(self.handle.clone(), &self.places, &name, attempt);
    }

    fn supervisor_gone(&mut self) {
        if !matches!(self.view.sandbox, Sandbox::Ready(_) | Sandbox::Creating) {
            return;
        }
        let text = "Pod sandbox changed, it will be killed and re-created.".to_owned();
        self.event(None, false, "SandboxChanged", text);
        let uid = model::uid(&self.pod).to_owned();
        let names: Vec<String> = self.view.containers.keys().cloned().collect();
        for name in names {
            self.end_tasks(&name);
            if let Some(exits) = self.exits.remove(&name) {
                exits.cancel();
            }
            let Some(instance) = self.view.containers.get_mut(&name) else {
                continue;
            };
            if instance.state.is_alive() {
                let id = model::container_id(&uid, &name, instance.attempt);
                instance.state = State::Exited(restore::lost(instance.state.started_at(), id));
                instance.image = Image::Unknown;
                instance.ready = false;
                instance.started = false;
            }
        }
        self.handle = None;
        *self.shared.handle.write() = None;
        self.view.sandbox = Sandbox::Absent;
    }

    fn end_tasks(&mut self, name: &str) {
        for task in self.tasks.remove(name).into_iter().flatten() {
            task.abort();
        }
    }

    fn announce(&mut self, plan: &Plan) {
        for name in &plan.backing_off {
            let Some(attempt) = self.view.containers.get(name).map(|instance| instance.attempt) else {
                continue;
            };
            if self.announced.insert(name.clone(), attempt) == Some(attempt) {
                continue;
            }
            let text = format!(
                "Back-off restarting failed container {name} in pod {}_{}({})",
                model::name(&self.pod),
                model::namespace(&self.pod),
                model::uid(&self.pod)
            );
            let container = self.container(name);
            self.event(container.as_ref(), true, "BackOff", text);
        }
    }

    fn publish(&mut self, plan: &Plan, now: Timestamp) {
        let view = self.view.clone();
        if *self.shared.view.read() != view {
            *self.shared.view.write() = view;
            self.shared.changed.send_modify(|count| *count += 1);
        }
        if self.view.gone {
            return;
        }
        let status = status::status(&self.pod, &self.view, plan, self.agent.host_ip, now);
        let finalize = plan.actions.contains(&Action::Finalize);
        self.publisher.send_if_modified(|wanted| {
            let same = wanted.finalize == finalize
                && wanted
                    .status
                    .as_ref()
                    .is_some_and(|(_, old)| restore::same_status(old, &status));
            if !same {
                wanted.status = Some((Arc::clone(&self.pod), status));
                wanted.finalize = finalize;
            }
            !same
        });
    }

    fn save(&mut self) {
        if let Some(bytes) = restore::save(&self.places, &self.pod, &self.view, &self.saved) {
            self.saved = bytes;
        }
    }

    /// Removes what the pod leaves on this node.
    fn forget(self) {
        for task in self
            .tasks
            .into_values()
            .flatten()
            .chain(self.stops.into_values())
            .chain(self.refresh)
        {
            task.abort();
        }
        let _ = std::fs::remove_dir_all(&self.places.run);
        let _ = std::fs::remove_dir_all(&self.places.data);
        let _ = std::fs::remove_dir_all(&self.places.logs);
        info!("pod is gone");
    }

    fn ip(&self) -> IpAddr {
        match self.view.sandbox {
            Sandbox::Ready(Some(ip)) => IpAddr::V4(ip),
            _ => self.agent.host_ip,
        }
    }

    fn container(&self, name: &str) -> Option<Container> {
        model::containers(&self.pod)
            .into_iter()
            .find(|(_, container)| container.name == name)
            .map(|(_, c)| c)
    }

    fn event(&self, container: Option<&Container>, warning: bool, reason: &str, message: String) {
        let field = container.map(|container| {
            let ephemeral = model::containers(&self.pod)
                .iter()
                .any(|(kind, other)| *kind == Kind::Ephemeral && other.name == container.name);
            if ephemeral {
                format!("spec.ephemeralContainers{{{}}}", container.name)
            } else {
                container::image::field(container, &self.pod)
            }
        });
        self.agent.events.pod(&self.pod, field, warning, reason, message);
    }
}

fn container_name(state: &ContainerState) -> String {
    state.labels.get("name").cloned().unwrap_or_else(|| {
        state
            .id
            .rsplit_once('-')
            .map_or_else(|| state.id.clone(), |(name, _)| name.to_owned())
    })
}

fn hold(reason: &str, message: String, seconds: i64) -> Hold {
    let now = Timestamp::now();
    let until = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
    Hold {
        reason: reason.into(),
        message,
        until,
    }
}
