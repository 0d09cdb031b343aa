//! What a worker does with one container: image, start, hooks, probes, stop, end.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ResourceRequirements;
use skiff_runtime::supervisor::ContainerState;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{Msg, RESIZE_PAUSE, Worker, container_name, hold};
use crate::{
    container::{
        self,
        image::{Missing, Source},
    },
    pod::{
        model::{self, Ended, Image, Sandbox, State, Step, Unhealthy},
        plan, restore, status, steps,
    },
    probe,
};

impl Worker {
    pub(super) fn pull(&mut self, name: String) {
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

    pub(super) fn begin(&mut self, name: String) {
        let (Some(mut container), Some(handle), Some(mounted)) =
            (self.container(&name), self.handle.clone(), self.mounted.clone())
        else {
            return;
        };
        let Some(source) = self.sources.get(&name).cloned() else {
            return;
        };
        let pod_ips = match self.view.sandbox {
            Sandbox::Ready(Some(ip)) => ip.all().collect(),
            _ => self.agent.host_ips(),
        };
        let Some(instance) = self.view.containers.get_mut(&name) else {
            return;
        };
        if let State::Exited(ended) = std::mem::take(&mut instance.state) {
            // An instance that went down with its node has not failed.
            instance.waited_s = 0;
            if ended.reason != restore::LOST {
                instance.waited_s = plan::backoff(instance, &ended);
                instance.backoff_s = plan::next_backoff(instance.backoff_s, &ended);
            }
            instance.last = Some(ended);
            instance.attempt += 1;
        }
        instance.state = State::Creating;
        if self.view.resize_pending.is_some() {
            // What it asks for now has not been granted: it goes on with what it had.
            container.resources = instance.given.take().or(container.resources);
        }
        instance.given = Some(container.resources.clone().unwrap_or_default());
        instance.resize = Step::Absent;
        instance.hold = None;
        instance.unhealthy = None;
        instance.ready = false;
        instance.started = false;
        instance.hooking = false;
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
            pod_ips,
            mounted,
        };
        let (agent, sender) = (self.agent.clone(), self.sender.clone());
        tokio::spawn(async move {
            let result = container::start(&agent, plan).await;
            let _ = sender.send(Msg::Started(name, attempt, result));
        });
    }

    /// Gives a running container what it asks for.
    pub(super) fn resize(&mut self, name: String) {
        let (Some(container), Some(handle)) = (self.container(&name), self.handle.clone()) else {
            return;
        };
        let Some(instance) = self.view.containers.get_mut(&name) else {
            return;
        };
        instance.resize = Step::Doing;
        let attempt = instance.attempt;
        let (agent, pod, sender) = (self.agent.clone(), self.pod.clone(), self.sender.clone());
        tokio::spawn(async move {
            let id = model::instance_id(&name, attempt);
            let result = steps::resize(&agent, &pod, &handle, &container, id).await;
            let given = Some(container.resources.unwrap_or_default());
            let _ = sender.send(Msg::Resized(name, attempt, given, result));
        });
    }

    pub(super) fn resized(
        &mut self,
        name: &str,
        attempt: u32,
        given: Option<ResourceRequirements>,
        result: Result<(), String>,
    ) {
        let instance = self.view.containers.get_mut(name);
        let Some(instance) = instance.filter(|instance| instance.attempt == attempt) else {
            return;
        };
        match result {
            Ok(()) => {
                info!(container = name, "resized");
                instance.given = given;
                instance.resize = Step::Absent;
            }
            Err(message) => {
                warn!(container = name, message, "resize");
                instance.resize = Step::Failed(hold("Error", message, RESIZE_PAUSE));
            }
        }
    }

    pub(super) fn stop(&mut self, name: String, why: String, grace_s: i64, now: Timestamp) {
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
        // Of a pod that is deleted the endpoints say so, and the kubelet leaves it ready to its end: it goes on serving
        // those who have nobody else.
        instance.ready &= self.pod.metadata.deletion_timestamp.is_some();
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

    pub(super) fn image(&mut self, name: String, result: Result<Source, Missing>) {
        let Some(instance) = self.view.containers.get_mut(&name) else {
            return;
        };
        match result {
            Ok(source) => {
                debug!(container = name, "image is there");
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

    pub(super) fn started(
        &mut self,
        name: &str,
        attempt: u32,
        result: Result<ContainerState, container::Failed>,
    ) {
        let Some(container) = self.container(name) else {
            return;
        };
        let uid = model::uid(&self.pod).to_owned();
        if result.is_ok() {
            // Also of one that has ended meanwhile.
            self.event(Some(&container), false, "Created", "Container created".into());
            self.event(Some(&container), false, "Started", "Container started".into());
        }
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
                let hook = container
                    .lifecycle
                    .as_ref()
                    .and_then(|lifecycle| lifecycle.post_start.clone());
                match (hook, self.handle.clone()) {
                    (Some(hook), Some(handle)) => {
                        if let Some(instance) = self.view.containers.get_mut(name) {
                            instance.hooking = true;
                        }
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
            Err(container::Failed::Lost) => {
                let id = model::container_id(&uid, name, attempt);
                instance.state = State::Exited(restore::lost(None, id));
                instance.image = Image::Unknown;
                // The news of its end may still be under way.
                if self.handle.as_ref().is_some_and(|handle| handle.netns().is_err()) {
                    self.supervisor_gone();
                }
            }
            Err(container::Failed::Start { message }) => {
                instance.state = State::Exited(Ended {
                    code: 128,
                    signal: None,
                    reason: status::START_ERROR.into(),
                    message: Some(message.clone()),
                    started_at: None,
                    finished_at: Timestamp::now(),
                    container_id: model::container_id(&uid, name, attempt),
                });
                instance.image = Image::Unknown;
                self.event(Some(&container), false, "Created", "Container created".into());
                self.event(Some(&container), true, "Failed", format!("Error: {message}"));
            }
        }
    }

    pub(super) fn hooked(&mut self, name: &str, attempt: u32, result: Result<(), String>) {
        match result {
            Ok(()) => self.up(name, attempt),
            Err(message) => {
                let container = self.container(name);
                // What the hook said may be secret: it is in the agent's log, not in an event.
                warn!(container = name, message, "postStart hook");
                let text = "PostStartHook failed".to_owned();
                self.event(container.as_ref(), true, "FailedPostStartHook", text);
                if let Some(instance) = self
                    .view
                    .containers
                    .get_mut(name)
                    .filter(|i| i.attempt == attempt)
                {
                    instance.hooking = false;
                    instance.unhealthy = Some(Unhealthy {
                        message: "FailedPostStartHook".into(),
                        grace_s: None,
                    });
                }
            }
        }
    }

    /// The container is up: from now on it is probed.
    pub(super) fn up(&mut self, name: &str, attempt: u32) {
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
        instance.hooking = false;
        self.probe(name, attempt);
    }

    pub(super) fn probe(&mut self, name: &str, attempt: u32) {
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

    pub(super) fn probed(&mut self, name: &str, attempt: u32, verdict: probe::Verdict) {
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

    pub(super) fn exited(&mut self, state: &ContainerState) {
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
        // It could not be executed: how that counts is in the answer to its start, which may come after this.
        if state.started_at == 0 {
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
        instance.hooking = false;
        if let Some(exits) = self.exits.remove(&name) {
            exits.cancel();
        }
        self.stops.remove(&name);
        self.end_tasks(&name);
        steps::remove(self.handle.clone(), &self.places, &name, attempt);
    }

    pub(super) fn end_tasks(&mut self, name: &str) {
        for task in self.tasks.remove(name).into_iter().flatten() {
            task.abort();
        }
    }
}
