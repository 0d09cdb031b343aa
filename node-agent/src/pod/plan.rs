//! Decides what a pod needs next: pod + view + now → actions. No clock, no I/O; run again after every change, it
//! asks for nothing twice because what is under way is part of the view.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Pod};

use super::{
    model::{self, Ended, Image, Instance, Kind, Sandbox, State, Step, View},
    resize::Change,
};

/// Reason of a pod that took more of its node than it may.
pub(crate) const EVICTED: &str = "Evicted";

/// Something to do. Each ends in a change of the view.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Make namespaces, supervisor and network.
    Sandbox,
    /// Make volumes.
    Volumes,
    /// Look for a container's image and pull it if its policy says so.
    Pull(String),
    /// Create and start the next instance of a container.
    Start(String),
    /// Tell a container to end.
    Stop {
        /// Container.
        name: String,
        /// Why, for the event.
        why: String,
        /// Seconds until SIGKILL.
        grace_s: i64,
    },
    /// Give a running container what it asks for now.
    Resize(String),
    /// Take down sandbox and volumes; keep logs.
    Teardown,
    /// Remove the pod object and what is left of the pod here.
    Finalize,
}

/// What to do and when to look again.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// In order; independent of each other.
    pub actions: Vec<Action>,
    /// Look again at this time even if nothing happens.
    pub wake: Option<Timestamp>,
    /// Containers whose restart waits for their back-off.
    pub backing_off: Vec<String>,
    /// The pod's containers have all ended and none will start again.
    pub finished: bool,
}

impl Plan {
    fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

/// The plan for a pod.
pub(crate) fn plan(pod: &Pod, view: &View, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let containers = model::containers(pod);
    let deleting = pod.metadata.deletion_timestamp.is_some() || view.gone;
    let over = view.failure.is_some() || completed(pod, view, &containers);
    if deleting || over {
        wind_down(pod, view, &containers, deleting, now, &mut plan);
        return plan;
    }
    if let Some(deadline) = deadline(pod, view) {
        plan.wake_at(deadline);
    }
    match &view.sandbox {
        Sandbox::Absent => plan.actions.push(Action::Sandbox),
        Sandbox::Failed(hold) if hold.until <= now => plan.actions.push(Action::Sandbox),
        Sandbox::Failed(hold) => plan.wake_at(hold.until),
        _ => {}
    }
    match &view.volumes {
        Step::Absent => plan.actions.push(Action::Volumes),
        Step::Failed(hold) if hold.until <= now => plan.actions.push(Action::Volumes),
        Step::Failed(hold) => plan.wake_at(hold.until),
        _ => {}
    }
    for container in turn(pod, view, &containers) {
        advance(pod, view, container, now, &mut plan);
    }
    for (_, container) in &containers {
        let Some(instance) = view.containers.get(&container.name) else {
            continue;
        };
        if !matches!(instance.state, State::Running { .. }) {
            continue;
        }
        if let Some(unhealthy) = &instance.unhealthy {
            plan.actions.push(Action::Stop {
                name: container.name.clone(),
                why: unhealthy.message.clone(),
                grace_s: unhealthy.grace_s.unwrap_or_else(|| grace(pod)),
            });
        } else if container
            .image
            .as_deref()
            .is_some_and(|image| image != instance.image_name)
        {
            plan.actions.push(Action::Stop {
                name: container.name.clone(),
                why: format!(
                    "Container {} definition changed, will be restarted",
                    container.name
                ),
                grace_s: grace(pod),
            });
        } else {
            resize(pod, view, container, instance, now, &mut plan);
        }
    }
    plan
}

/// Brings a running container to what it asks for now, once the node has granted that.
fn resize(
    pod: &Pod,
    view: &View,
    container: &Container,
    instance: &Instance,
    now: Timestamp,
    plan: &mut Plan,
) {
    let change = Change::of(container, instance);
    if !change.any() {
        return;
    }
    if let Some(hold) = &view.resize_pending {
        plan.wake_at(hold.until);
        return;
    }
    let name = container.name.clone();
    match &instance.resize {
        _ if change.restarts(container) => plan.actions.push(Action::Stop {
            why: format!("Container {name} resize requires restart"),
            grace_s: grace(pod),
            name,
        }),
        Step::Doing => {}
        Step::Failed(hold) if hold.until > now => plan.wake_at(hold.until),
        Step::Absent | Step::Ready | Step::Failed(_) => plan.actions.push(Action::Resize(name)),
    }
}

/// When `activeDeadlineSeconds` ends the pod.
pub(crate) fn deadline(pod: &Pod, view: &View) -> Option<Timestamp> {
    let seconds = pod.spec.as_ref()?.active_deadline_seconds?;
    view.start_time?
        .checked_add(SignedDuration::from_secs(seconds))
        .ok()
}

/// The containers whose turn it is to run: an unfinished init container alone, or everything else.
fn turn<'a>(pod: &Pod, view: &View, containers: &'a [(Kind, Container)]) -> Vec<&'a Container> {
    let state = |name: &str| view.containers.get(name);
    let begun = containers.iter().any(|(kind, container)| {
        *kind == Kind::Main
            && state(&container.name).is_some_and(|i| i.attempt > 0 || !matches!(i.state, State::Waiting))
    });
    let mut due = Vec::new();
    for (kind, container) in containers {
        let instance = state(&container.name);
        match kind {
            Kind::Init if begun => {}
            Kind::Init => {
                if instance
                    .and_then(|i| i.state.ended())
                    .is_some_and(|ended| ended.code == 0)
                {
                    continue;
                }
                due.push(container);
                return due;
            }
            Kind::Sidecar => {
                due.push(container);
                let up = instance.is_some_and(|i| i.state.started_at().is_some() && i.started);
                if !up && !begun {
                    return due;
                }
            }
            Kind::Main => due.push(container),
            Kind::Ephemeral => {
                if instance.is_none_or(|i| i.state.ended().is_none()) {
                    due.push(container);
                }
            }
        }
    }
    due.retain(|container| {
        let ended = state(&container.name).and_then(|i| i.state.ended());
        ended.is_none_or(|ended| restarts(pod, container, ended))
    });
    due
}

/// Moves one container whose turn it is towards running.
fn advance(pod: &Pod, view: &View, container: &Container, now: Timestamp, plan: &mut Plan) {
    let fresh = Instance::default();
    let instance = view.containers.get(&container.name).unwrap_or(&fresh);
    match &instance.state {
        State::Creating | State::Running { .. } | State::Stopping { .. } => return,
        State::Waiting => {}
        State::Exited(ended) => {
            if !restarts(pod, container, ended) {
                return;
            }
            let until = backoff_end(instance, ended);
            if until > now {
                plan.wake_at(until);
                let shown = shown_until(ended);
                if shown > now {
                    plan.wake_at(shown);
                } else {
                    plan.backing_off.push(container.name.clone());
                }
                return;
            }
        }
    }
    match &instance.image {
        Image::Unknown => plan.actions.push(Action::Pull(container.name.clone())),
        Image::Pulling { .. } => {}
        Image::Failed { hold, .. } if hold.until <= now => {
            plan.actions.push(Action::Pull(container.name.clone()));
        }
        Image::Failed { hold, .. } => plan.wake_at(hold.until),
        Image::Present => {
            if let Some(hold) = instance.hold.as_ref().filter(|hold| hold.until > now) {
                plan.wake_at(hold.until);
            } else if matches!(view.sandbox, Sandbox::Ready(_)) && view.volumes == Step::Ready {
                plan.actions.push(Action::Start(container.name.clone()));
            }
        }
    }
}

/// When the next instance may start.
pub(crate) fn backoff_end(instance: &Instance, ended: &Ended) -> Timestamp {
    let wait = SignedDuration::from_secs(i64::from(backoff(instance, ended)));
    ended.finished_at.checked_add(wait).unwrap_or(ended.finished_at)
}

/// How long the status shows an end before it says that the next instance waits: so that who watches sees it.
pub(crate) fn shown_until(ended: &Ended) -> Timestamp {
    let moment = SignedDuration::from_secs(1);
    ended.finished_at.checked_add(moment).unwrap_or(ended.finished_at)
}

/// Seconds the next instance waits.
pub(crate) fn backoff(instance: &Instance, ended: &Ended) -> u32 {
    if ran_long(ended) { 0 } else { instance.backoff_s }
}

fn ran_long(ended: &Ended) -> bool {
    ended
        .started_at
        .is_some_and(|start| ended.finished_at.duration_since(start).as_secs() >= 600)
}

/// The back-off of the instance after the next one: none at first, then 10 s doubling to 5 min; an instance that ran
/// for 10 minutes starts over. Source: Kubernetes, "Pod Lifecycle", container restart policy.
pub(crate) fn next_backoff(current_s: u32, ended: &Ended) -> u32 {
    match current_s {
        _ if ran_long(ended) => 10,
        0 => 10,
        seconds => (seconds * 2).min(300),
    }
}

/// Whether an instance that ended so is followed by another.
pub(crate) fn restarts(pod: &Pod, container: &Container, ended: &Ended) -> bool {
    let Some(spec) = &pod.spec else { return false };
    for rule in container.restart_policy_rules.iter().flatten() {
        if let Some(codes) = &rule.exit_codes {
            let listed = codes.values.iter().flatten().any(|code| *code == ended.code);
            if (codes.operator == "In") == listed {
                return rule.action == "Restart";
            }
        }
    }
    let init = spec
        .init_containers
        .iter()
        .flatten()
        .any(|c| c.name == container.name);
    let main = spec.containers.iter().any(|c| c.name == container.name);
    if !init && !main {
        return false;
    }
    match container
        .restart_policy
        .as_deref()
        .or(spec.restart_policy.as_deref())
        .unwrap_or("Always")
    {
        "Never" => false,
        "OnFailure" => ended.code != 0,
        // An init container that succeeded is done, unless it is a sidecar.
        _ => !init || container.restart_policy.as_deref() == Some("Always") || ended.code != 0,
    }
}

/// Every container has ended for good (a sidecar doesn't keep a pod alive), or an init container has failed for good.
fn completed(pod: &Pod, view: &View, containers: &[(Kind, Container)]) -> bool {
    let done = |container: &Container| {
        let ended = view.containers.get(&container.name).and_then(|i| i.state.ended());
        ended.is_some_and(|ended| !restarts(pod, container, ended))
    };
    let failed = |container: &Container| {
        view.containers
            .get(&container.name)
            .and_then(|i| i.state.ended())
            .is_some_and(|e| e.code != 0)
    };
    let init_failed = containers
        .iter()
        .any(|(kind, c)| *kind == Kind::Init && done(c) && failed(c));
    let mut main = containers
        .iter()
        .filter(|(kind, _)| *kind == Kind::Main)
        .peekable();
    init_failed || (main.peek().is_some() && main.all(|(_, container)| done(container)))
}

/// Seconds a container gets to end.
fn grace(pod: &Pod) -> i64 {
    let spec = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.termination_grace_period_seconds)
        .unwrap_or(30);
    // Zero would kill without a signal; the kubelet's minimum is one second too.
    pod.metadata.deletion_grace_period_seconds.unwrap_or(spec).max(1)
}

/// Ends everything: other containers first, then sidecars from the last to the first, then the sandbox.
fn wind_down(
    pod: &Pod,
    view: &View,
    containers: &[(Kind, Container)],
    deleting: bool,
    now: Timestamp,
    plan: &mut Plan,
) {
    let alive = |container: &Container| {
        view.containers
            .get(&container.name)
            .is_some_and(|i| i.state.is_alive())
    };
    let others: Vec<_> = containers
        .iter()
        .filter(|(kind, c)| *kind != Kind::Sidecar && alive(c))
        .map(|(_, c)| c)
        .collect();
    let to_stop = if others.is_empty() {
        containers
            .iter()
            .rev()
            .find(|(kind, c)| *kind == Kind::Sidecar && alive(c))
            .map(|(_, c)| c)
            .into_iter()
            .collect()
    } else {
        others
    };
    if !to_stop.is_empty() {
        let spent = view
            .terminating_since
            .map_or(0, |since| now.duration_since(since).as_secs());
        // A pod that is a burden to its node goes at once, and so does one whose object is gone: it was removed by force.
        let evicted = view.failure.as_ref().is_some_and(|(reason, _)| reason == EVICTED);
        let grace = if evicted || view.gone { 1 } else { grace(pod) };
        let grace_s = (grace - spent).max(1);
        for container in to_stop {
            match view.containers.get(&container.name).map(|i| &i.state) {
                Some(State::Running { .. }) => {}
                // A later, shorter grace period counts.
                Some(State::Stopping { grace_s: given, .. }) if grace < *given => {}
                _ => continue,
            }
            plan.actions.push(Action::Stop {
                name: container.name.clone(),
                why: format!("Stopping container {}", container.name),
                grace_s,
            });
        }
        return;
    }
    plan.finished = true;
    match view.sandbox {
        // A sandbox under way is taken down when it is there.
        Sandbox::Creating | Sandbox::Removing => {}
        Sandbox::Removed if deleting => plan.actions.push(Action::Finalize),
        Sandbox::Removed => {}
        _ if view.volumes == Step::Doing => {}
        _ => plan.actions.push(Action::Teardown),
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
