//! Printer columns of pods; the status column sums up phase, containers and deletion as kubectl users know it.

use serde_json::Value;

use crate::{
    Column, age,
    print::{self, AGE, NAME, column, wide},
    value::{flag, get, has, int, list, text},
};

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    column("Ready", "string", "Ready containers of all."),
    column("Status", "string", "What the pod is doing."),
    column(
        "Restarts",
        "string",
        "How often containers were restarted, and when last.",
    ),
    AGE,
    wide("IP", "string", "Address of the pod."),
    wide("Node", "string", "The node it runs on."),
    wide(
        "Nominated Node",
        "string",
        "The node that is being cleared for it.",
    ),
    wide("Readiness Gates", "string", "Readiness gates passed of all."),
];

pub(super) fn cells(pod: &Value, now: i64) -> Vec<Value> {
    let summary = Summary::of(pod);
    let restarts = match summary.last_restart {
        Some(time) if summary.restarts != 0 => {
            format!("{} ({} ago)", summary.restarts, age::human(now - time))
        }
        _ => summary.restarts.to_string(),
    };
    let ip = list(pod, "status.podIPs")
        .first()
        .map_or_else(|| text(pod, "status.podIP"), |ip| text(ip, "ip"));
    vec![
        print::name(pod),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.reason.into(),
        restarts.into(),
        print::age(pod, now),
        if ip.is_empty() { "<none>" } else { ip }.into(),
        print::text_or(pod, "spec.nodeName", "<none>"),
        print::text_or(pod, "status.nominatedNodeName", "<none>"),
        readiness_gates(pod).into(),
    ]
}

fn condition<'a>(pod: &'a Value, kind: &str) -> Option<&'a Value> {
    list(pod, "status.conditions")
        .iter()
        .find(|c| text(c, "type") == kind)
}

fn is_true(pod: &Value, kind: &str) -> bool {
    condition(pod, kind).is_some_and(|c| text(c, "status") == "True")
}

fn readiness_gates(pod: &Value) -> String {
    let gates = list(pod, "spec.readinessGates");
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let passed = gates
        .iter()
        .filter(|g| is_true(pod, text(g, "conditionType")))
        .count();
    format!("{passed}/{}", gates.len())
}

#[derive(Default)]
struct Summary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: i64,
    last_restart: Option<i64>,
}

impl Summary {
    fn of(pod: &Value) -> Self {
        let mut summary = Self {
            total: list(pod, "spec.containers").len(),
            reason: match text(pod, "status.reason") {
                "" => text(pod, "status.phase"),
                reason => reason,
            }
            .to_owned(),
            ..Self::default()
        };
        if condition(pod, "PodScheduled").is_some_and(|c| text(c, "reason") == "SchedulingGated") {
            "SchedulingGated".clone_into(&mut summary.reason);
        }
        let initializing = summary.init_containers(pod);
        if !initializing || is_true(pod, "Initialized") {
            summary.containers(pod);
        }
        let ended = matches!(text(pod, "status.phase"), "Succeeded" | "Failed");
        if has(pod, "metadata.deletionTimestamp") {
            if text(pod, "status.reason") == "NodeLost" {
                "Unknown".clone_into(&mut summary.reason);
            } else if !ended {
                "Terminating".clone_into(&mut summary.reason);
            }
        }
        summary
    }

    /// Goes through the init containers up to the one at work; returns whether there is one.
    fn init_containers(&mut self, pod: &Value) -> bool {
        let specs = list(pod, "spec.initContainers");
        let is_sidecar = |name: &str| {
            specs
                .iter()
                .any(|c| text(c, "name") == name && text(c, "restartPolicy") == "Always")
        };
        self.total += specs
            .iter()
            .filter(|c| text(c, "restartPolicy") == "Always")
            .count();
        // Once the ordinary containers run, only sidecars count.
        let mut sidecars = Self::default();
        for (i, status) in list(pod, "status.initContainerStatuses").iter().enumerate() {
            let sidecar = is_sidecar(text(status, "name"));
            self.count_restarts(status);
            if sidecar {
                sidecars.count_restarts(status);
            }
            let terminated = get(status, "state.terminated");
            let waiting = text(status, "state.waiting.reason");
            if terminated.is_some_and(|t| int(t, "exitCode").unwrap_or_default() == 0) {
                continue;
            }
            if sidecar && flag(status, "started") {
                self.ready += usize::from(flag(status, "ready"));
                continue;
            }
            self.reason = match terminated {
                Some(terminated) => format!("Init:{}", end_reason(terminated)),
                None if !waiting.is_empty() && waiting != "PodInitializing" => format!("Init:{waiting}"),
                None => format!("Init:{i}/{}", specs.len()),
            };
            if is_true(pod, "Initialized") {
                self.restarts = sidecars.restarts;
                self.last_restart = sidecars.last_restart;
            }
            return true;
        }
        self.restarts = sidecars.restarts;
        self.last_restart = sidecars.last_restart;
        false
    }

    fn containers(&mut self, pod: &Value) {
        let mut running = false;
        // The first container has the last word.
        for status in list(pod, "status.containerStatuses").iter().rev() {
            self.count_restarts(status);
            let waiting = text(status, "state.waiting.reason");
            if !waiting.is_empty() {
                waiting.clone_into(&mut self.reason);
            } else if let Some(terminated) = get(status, "state.terminated") {
                self.reason = end_reason(terminated);
            } else if flag(status, "ready") && has(status, "state.running") {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            let reason = if is_true(pod, "Ready") {
                "Running"
            } else {
                "NotReady"
            };
            reason.clone_into(&mut self.reason);
        }
    }

    fn count_restarts(&mut self, status: &Value) {
        self.restarts += int(status, "restartCount").unwrap_or_default();
        let finished = age::parse(text(status, "lastState.terminated.finishedAt"));
        self.last_restart = self.last_restart.max(finished);
    }
}

/// `Error`, `OOMKilled`, …; without a reason the signal or the exit code.
fn end_reason(terminated: &Value) -> String {
    match text(terminated, "reason") {
        "" => match int(terminated, "signal").unwrap_or_default() {
            0 => format!("ExitCode:{}", int(terminated, "exitCode").unwrap_or_default()),
            signal => format!("Signal:{signal}"),
        },
        reason => reason.to_owned(),
    }
}
