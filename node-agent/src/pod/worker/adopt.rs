//! How a worker takes over what is left of its pod: after the agent, after a reboot, after the supervisor.

use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::Worker;
use crate::pod::{
    model::{self, Ended, Image, Sandbox, State},
    restore, steps,
};

impl Worker {
    /// Takes over what an earlier agent left of this pod.
    pub(super) async fn restore(&mut self) {
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
            // Attaching again gives the same address; meanwhile the pod keeps what it has.
            self.view.sandbox = match self.view.ip {
                Some(ip) => Sandbox::Ready(Some(ip)),
                None if model::host_network(&self.pod) => Sandbox::Ready(None),
                None => Sandbox::Creating,
            };
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
                self.unprobed.push((name, attempt));
            }
            if matches!(self.view.sandbox, Sandbox::Ready(_)) {
                self.probe_adopted();
            }
        }
    }

    /// Adopted containers are probed once the pod's address is known.
    pub(super) fn probe_adopted(&mut self) {
        for (name, attempt) in std::mem::take(&mut self.unprobed) {
            self.probe(&name, attempt);
        }
    }

    /// Without anything of the pod on this node (a reboot): what the API knows about its containers counts.
    pub(super) fn recall(&mut self) {
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

    pub(super) fn supervisor_gone(&mut self) {
        let sandbox = match &self.view.sandbox {
            Sandbox::Ready(_) | Sandbox::Creating => Sandbox::Absent,
            // It died while it was taken over: that failed first, and is tried again when its time has come. Its
            // containers are gone all the same.
            Sandbox::Failed(hold) => Sandbox::Failed(hold.clone()),
            Sandbox::Absent | Sandbox::Removing | Sandbox::Removed => return,
        };
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
        self.view.sandbox = sandbox;
        self.view.ip = None;
    }
}
