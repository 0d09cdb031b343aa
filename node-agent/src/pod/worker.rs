//! One pod's task. Everything that happens to the pod comes in as a [`Msg`], changes the view, and leads to a new plan;
//! what the plan asks for runs beside the task ([`super::steps`]) and reports back as a message.

mod adopt;
mod instances;

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};
use parking_lot::RwLock;
use skiff_pod_network::PodAddress;
use skiff_runtime::supervisor::ContainerState;
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, info, info_span, warn};

use super::{
    handle::Handle,
    model::{self, Hold, Kind, Sandbox, Step, View},
    plan::{self, Action, Plan},
    publish::{self, Wanted},
    resize::{self, Amounts},
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

/// Seconds until what could not be given to a running container is tried again.
const RESIZE_PAUSE: i64 = 5;

/// What can happen to a pod.
#[derive(Debug)]
pub(crate) enum Msg {
    /// The API has it so.
    Desired(Arc<Pod>),
    /// The API has it no more.
    Gone,
    /// The sandbox is there, or not.
    Sandbox(Result<(Arc<Handle>, Option<PodAddress>), String>),
    /// The volumes are there, or not.
    Volumes(Result<Arc<Mounted>, volume::Failed>),
    /// An image is there, or not.
    Image(String, Result<Source, Missing>),
    /// A container runs, or does not.
    Started(String, u32, Result<ContainerState, container::Failed>),
    /// A running container has been given these amounts, or not.
    Resized(String, u32, Option<ResourceRequirements>, Result<(), String>),
    /// Its postStart hook is through, or has failed.
    Hooked(String, u32, Result<(), String>),
    /// A container's process has ended.
    Exited(ContainerState),
    /// The supervisor with this process id is gone without having been told to go.
    SupervisorGone(u32),
    /// A probe has a new opinion.
    Probed(String, u32, probe::Verdict),
    /// It takes more of the disk than it may: why.
    Evicted(String),
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
        usage: None,
        announced: HashMap::new(),
        unprobed: Vec::new(),
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
    /// Looks at what the pod takes of the disk.
    usage: Option<AbortHandle>,
    /// Instances whose back-off has been announced.
    announced: HashMap<String, u32>,
    /// Adopted instances whose probes have not begun.
    unprobed: Vec<(String, u32)>,
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
            self.grant_resize(now);
            let plan = plan::plan(&self.pod, &self.view, now);
            for action in plan.actions.clone() {
                self.perform(action, now);
            }
            if plan.finished {
                self.agent.promises.forget(model::uid(&self.pod));
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

    fn give_up_when_due(&mut self, now: Timestamp) {
        let over = plan::deadline(&self.pod, &self.view).is_some_and(|deadline| deadline <= now);
        if over && self.view.failure.is_none() {
            let message = "Pod was active on the node longer than the specified deadline".to_owned();
            self.event(None, false, "DeadlineExceeded", message.clone());
            self.view.failure = Some(("DeadlineExceeded".into(), message));
        }
    }

    /// Asks the node for what the pod wants now, if that has changed.
    fn grant_resize(&mut self, now: Timestamp) {
        let (uid, wanted) = (model::uid(&self.pod), Amounts::of(&self.pod));
        if !resize::is_wanted(&self.pod, &self.view) {
            self.view.resize_pending = None;
            self.agent.promises.note(uid, wanted);
            return;
        }
        let node = &self.agent.capacity;
        let capacity = Amounts {
            cpu: node.cpu_milli,
            memory: node.memory,
        };
        let refused = self.agent.promises.change(uid, wanted, capacity).err();
        self.view.resize_pending = refused.map(|refusal| match self.view.resize_pending.take() {
            // Not anew each time: what is published would change.
            Some(before) if before.until > now && before.message == refusal.to_string() => before,
            _ => hold(refusal.reason(), refusal.to_string(), RESIZE_PAUSE),
        });
    }

    /// Begins an action; the view says so at once.
    fn perform(&mut self, action: Action, now: Timestamp) {
        debug!(?action, "perform");
        match action {
            Action::Sandbox => {
                self.view.sandbox = Sandbox::Creating;
                match &self.handle {
                    // Only the network was missing.
                    Some(handle) => steps::attach(&self.agent, &self.pod, Arc::clone(handle), &self.sender),
                    None => steps::sandbox(&self.agent, &self.pod, &self.sender),
                }
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
            Action::Resize(name) => self.resize(name),
            Action::Stop { name, why, grace_s } => self.stop(name, why, grace_s, now),
            Action::Teardown => {
                self.view.sandbox = Sandbox::Removing;
                for task in self.refresh.take().into_iter().chain(self.usage.take()) {
                    task.abort();
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

    /// Changes the view by what has happened. True: nothing is left of the pod.
    fn take(&mut self, message: Msg) -> bool {
        match message {
            Msg::Desired(pod) => {
                for (_, container) in model::containers(&pod) {
                    self.view.containers.entry(container.name).or_default();
                }
                let meta = |pod: &Pod| (pod.metadata.labels.clone(), pod.metadata.annotations.clone());
                let relabelled = meta(&pod) != meta(&self.pod);
                self.pod = pod;
                if relabelled && let Some(refresh) = self.refresh.take() {
                    // Files with labels and annotations follow at once.
                    refresh.abort();
                    self.refresh = volume::refresh(&self.agent, &self.pod, true);
                }
                *self.shared.pod.write() = Arc::clone(&self.pod);
            }
            Msg::Gone => self.view.gone = true,
            Msg::Sandbox(Ok((handle, ip))) => {
                debug!(?ip, "sandbox is there");
                self.handle = Some(Arc::clone(&handle));
                *self.shared.handle.write() = Some(handle);
                self.view.sandbox = Sandbox::Ready(ip);
                self.view.ip = ip;
                self.probe_adopted();
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
                // The news of its supervisor's end may have come before the supervisor did.
                if self.handle.as_ref().is_some_and(|handle| handle.netns().is_err()) {
                    self.supervisor_gone();
                }
            }
            Msg::Volumes(Ok(mounted)) => {
                debug!("volumes are there");
                self.mounted = Some(mounted);
                self.view.volumes = Step::Ready;
                self.refresh = volume::refresh(&self.agent, &self.pod, false);
                self.usage = volume::usage::watch(&self.agent, &self.pod, &self.sender);
            }
            Msg::Volumes(Err(failed)) => {
                self.event(None, true, "FailedMount", failed.message.clone());
                self.view.volumes = Step::Failed(hold("ContainerCreating", failed.message, 2));
            }
            Msg::Image(name, result) => self.image(name, result),
            Msg::Started(name, attempt, result) => self.started(&name, attempt, result),
            Msg::Resized(name, attempt, given, result) => self.resized(&name, attempt, given, result),
            Msg::Hooked(name, attempt, result) => self.hooked(&name, attempt, result),
            Msg::Exited(state) => self.exited(&state),
            // Of the one before nobody wants to know any more.
            Msg::SupervisorGone(pid) if self.handle.as_ref().is_some_and(|handle| handle.pid() != pid) => {}
            Msg::SupervisorGone(_) => self.supervisor_gone(),
            Msg::Probed(name, attempt, verdict) => self.probed(&name, attempt, verdict),
            Msg::Evicted(message) => {
                if self.view.failure.is_none() {
                    self.event(None, true, plan::EVICTED, message.clone());
                    self.view.failure = Some((plan::EVICTED.into(), message));
                }
            }
            Msg::TornDown => self.view.sandbox = Sandbox::Removed,
            Msg::Finalized => return true,
        }
        false
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
        let status = {
            let wanted = self.publisher.borrow();
            let sent = wanted.status.as_ref().map(|(_, status)| status);
            status::status(&self.pod, sent, &self.view, plan, &self.agent.host_ips(), now)
        };
        let finalize = plan.actions.contains(&Action::Finalize);
        let overruled = publish::is_overruled(&self.pod, &status)
            .then(|| self.pod.metadata.resource_version.clone())
            .flatten();
        self.publisher.send_if_modified(|wanted| {
            let same = wanted.finalize == finalize
                && (overruled.is_none() || wanted.overruled == overruled)
                && wanted
                    .status
                    .as_ref()
                    .is_some_and(|(_, old)| restore::same_status(old, &status));
            if !same {
                wanted.status = Some((Arc::clone(&self.pod), status));
                wanted.finalize = finalize;
                wanted.overruled = overruled.or(wanted.overruled.take());
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
        self.agent.promises.forget(model::uid(&self.pod));
        for task in self
            .tasks
            .into_values()
            .flatten()
            .chain(self.stops.into_values())
            .chain(self.refresh)
            .chain(self.usage)
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
            Sandbox::Ready(Some(ip)) => IpAddr::V4(ip.v4),
            _ => self.agent.host_ip(),
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
