//! What survives the agent: the view in `pod.json`, brought up to date with what the supervisor tells.

use std::{
    fs,
    io::{Read as _, Seek as _, SeekFrom},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodStatus};
use serde::{Deserialize, Serialize};
use skiff_runtime::supervisor::{self, ContainerState, Exit};
use tokio::sync::mpsc;
use tracing::warn;

use super::{
    handle::{Handle, blocking},
    model::{self, Ended, State, View},
    worker::Msg,
};
use crate::{container::Places, enter};

/// Name of the file in the pod's run directory.
pub(crate) const FILE: &str = "pod.json";

/// The file: format version, pod and view.
#[derive(Deserialize)]
struct Saved {
    version: u32,
    pod: Pod,
    view: View,
}

#[derive(Serialize)]
struct Saving<'a> {
    version: u32,
    pod: &'a Pod,
    view: &'a View,
}

/// What was found.
pub(crate) struct Restored {
    pub view: View,
    pub handle: Option<Arc<Handle>>,
    /// Ends that nobody saw.
    pub messages: Vec<Msg>,
}

/// Reads the pod an earlier agent noted, if any.
pub(crate) fn read_pod(run: &std::path::Path) -> Option<Pod> {
    read(run).map(|saved| saved.pod)
}

fn read(run: &std::path::Path) -> Option<Saved> {
    let text = fs::read(run.join(FILE)).ok()?;
    match serde_json::from_slice::<Saved>(&text) {
        Ok(saved) if saved.version == 1 => Some(saved),
        Ok(_) => None,
        Err(error) => {
            warn!(?run, %error, "the note about a pod does not parse");
            None
        }
    }
}

/// Writes the note unless it equals `last`; returns what was written. The run directory does not outlive the machine's
/// run, so there is no fsync.
pub(crate) fn save(places: &Places, pod: &Pod, view: &View, last: &[u8]) -> Option<Vec<u8>> {
    let bytes = serde_json::to_vec(&Saving {
        version: 1,
        pod,
        view,
    })
    .ok()?;
    if bytes == last {
        return None;
    }
    let temporary = places.run.join("pod.json.tmp");
    let written = fs::create_dir_all(&places.run)
        .and_then(|()| fs::write(&temporary, &bytes))
        .and_then(|()| fs::rename(&temporary, places.run.join(FILE)));
    match written {
        Ok(()) => Some(bytes),
        Err(error) => {
            warn!(%error, "note the state of a pod");
            None
        }
    }
}

/// Finds the supervisor of a pod and compares it with the note.
pub(crate) async fn restore(places: &Places, sender: &mpsc::UnboundedSender<Msg>) -> Restored {
    let mut view = read(&places.run).map(|saved| saved.view).unwrap_or_default();
    let uid = places
        .run
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
        .to_owned();
    let mut messages = Vec::new();
    let (handle, listed) = match adopt(places, sender).await {
        Some((handle, listed)) => (Some(handle), listed),
        None => (None, Vec::new()),
    };
    for state in &listed {
        take_over(&mut view, state, &mut messages);
    }
    // An instance before the one that counts must not go on beside it: it would hold its ports.
    for state in listed.iter().filter(|state| is_superseded(&view, state)) {
        let id = state.id.clone();
        if let Some(handle) = &handle
            && let Err(error) = handle.call(move |pod| pod.remove(&id)).await
        {
            warn!(%error, container = state.id, "remove an instance that another has followed");
        }
    }
    for (name, instance) in &mut view.containers {
        let id = model::instance_id(name, instance.attempt);
        if !instance.state.is_alive() || listed.iter().any(|state| state.id == id) {
            continue;
        }
        let status_id = model::container_id(&uid, name, instance.attempt);
        instance.state = match instance.state.started_at() {
            Some(started_at) => State::Exited(lost(Some(started_at), status_id)),
            // Never came to life: the same instance is created again.
            None => State::Waiting,
        };
    }
    Restored {
        view,
        handle,
        messages,
    }
}

/// The supervisor of a pod and its containers; `None` when there is none. One that lives is never given up: taken for dead, its
/// containers would be started a second time beside the first.
async fn adopt(
    places: &Places,
    sender: &mpsc::UnboundedSender<Msg>,
) -> Option<(Arc<Handle>, Vec<ContainerState>)> {
    let mut pause = Duration::from_millis(10);
    loop {
        let dir = places.run.clone();
        let adopted = blocking(move || {
            let pod = supervisor::Pod::adopt(&dir)?;
            let listed = pod.list()?;
            Ok((pod, listed))
        });
        let taken = adopted
            .await
            .and_then(|(pod, listed)| Ok((Handle::new(pod, sender.clone())?, listed)));
        match taken {
            Ok(taken) => return Some(taken),
            Err(error) => {
                enter::supervisor_pid(&places.run)?;
                warn!(%error, "adopt a pod whose supervisor lives");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
    }
}

/// Whether an instance was followed by another.
fn is_superseded(view: &View, state: &ContainerState) -> bool {
    let (Some(name), Some(attempt)) = (
        state.labels.get("name"),
        state
            .labels
            .get("attempt")
            .and_then(|text| text.parse::<u32>().ok()),
    ) else {
        return false;
    };
    view.containers
        .get(name)
        .is_some_and(|instance| attempt < instance.attempt)
}

/// What a supervisor knows counts more than a note that may be older.
fn take_over(view: &mut View, state: &ContainerState, messages: &mut Vec<Msg>) {
    let (Some(name), Some(attempt)) = (
        state.labels.get("name"),
        state.labels.get("attempt").and_then(|text| text.parse().ok()),
    ) else {
        return;
    };
    let instance = view.containers.entry(name.clone()).or_default();
    if attempt < instance.attempt {
        return;
    }
    if attempt > instance.attempt {
        instance.last = instance.state.ended().cloned().or(instance.last.take());
        instance.attempt = attempt;
        instance.state = State::Creating;
    }
    if state.started_at == 0 {
        // Created and never started; creating it again removes it first.
        instance.state = State::Waiting;
        return;
    }
    // What runs, runs, even if an earlier agent had lost sight of it.
    if state.exit.is_none() || instance.state.ended().is_none() {
        instance.state = State::Running {
            started_at: timestamp(state.started_at),
        };
        if state.exit.is_some() {
            messages.push(Msg::Exited(state.clone()));
        }
    }
}

/// Nanoseconds since the epoch as a time.
pub(crate) fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Reason of an end nobody saw.
pub(crate) const LOST: &str = "ContainerStatusUnknown";

/// The end of an instance nobody saw.
pub(crate) fn lost(started_at: Option<Timestamp>, container_id: String) -> Ended {
    Ended {
        code: 137,
        signal: None,
        reason: LOST.into(),
        message: Some("The container could not be located when the pod was terminated".into()),
        started_at,
        finished_at: Timestamp::now(),
        container_id,
    }
}

/// `Completed`, `Error` or `OOMKilled`.
pub(crate) fn reason(exit: &Exit) -> &'static str {
    if exit.oom_killed {
        "OOMKilled"
    } else if exit.code == 0 {
        "Completed"
    } else {
        "Error"
    }
}

/// Bytes of a termination message. Source: Kubernetes, "Determine the Reason for Pod Failure".
const MESSAGE_BYTES: u64 = 4096;
/// Bytes and lines taken from a log instead.
const LOG_BYTES: u64 = 2048;
const LOG_LINES: usize = 80;

/// What a container left in its termination message file, or at the end of its log.
pub(crate) fn termination_message(
    places: &Places,
    container: &Container,
    attempt: u32,
    code: i32,
) -> Option<String> {
    let mut bytes = Vec::new();
    let path = places.termination(&container.name, attempt);
    if let Ok(file) = fs::File::open(path) {
        let _ = file.take(MESSAGE_BYTES).read_to_end(&mut bytes);
    }
    if !bytes.is_empty() {
        return Some(String::from_utf8_lossy(&bytes).into_owned());
    }
    let fall_back = container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
    if code == 0 || !fall_back {
        return None;
    }
    let mut file = fs::File::open(places.log(&container.name, attempt)).ok()?;
    let length = file.metadata().ok()?.len();
    // Every line carries some forty bytes of time and stream.
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES * 4)))
        .ok()?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).ok()?;
    let lines: Vec<String> = String::from_utf8_lossy(&text)
        .lines()
        .filter_map(|line| line.splitn(4, ' ').nth(3).map(str::to_owned))
        .collect();
    let mut message = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
    message.push('\n');
    let mut start = message.len().saturating_sub(LOG_BYTES as usize);
    while !message.is_char_boundary(start) {
        start += 1;
    }
    Some(message.split_off(start)).filter(|message| message.len() > 1)
}

/// Equal but for the times of transitions, which are taken from the clock until the API has them.
pub(crate) fn same_status(old: &PodStatus, new: &PodStatus) -> bool {
    let timeless = |status: &PodStatus| {
        let mut status = status.clone();
        for condition in status.conditions.iter_mut().flatten() {
            condition.last_transition_time = None;
        }
        status
    };
    timeless(old) == timeless(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(attempt: u32, exit: Option<Exit>) -> ContainerState {
        ContainerState {
            id: format!("a-{attempt}"),
            pid: 1,
            started_at: 1_000_000_000,
            notes: Vec::new(),
            exit,
            labels: [
                ("name".to_owned(), "a".to_owned()),
                ("attempt".to_owned(), attempt.to_string()),
            ]
            .into(),
        }
    }

    #[test]
    fn the_supervisor_knows_better_than_an_old_note() {
        let mut view = View::default();
        let mut messages = Vec::new();
        take_over(&mut view, &state(3, None), &mut messages);
        let instance = &view.containers["a"];
        assert_eq!(instance.attempt, 3);
        assert!(matches!(instance.state, State::Running { .. }));
        assert!(messages.is_empty());
    }

    #[test]
    fn what_runs_was_not_lost_and_what_was_followed_is_not_needed() {
        let mut view = View::default();
        let mut messages = Vec::new();
        take_over(&mut view, &state(1, None), &mut messages);
        let lost = lost(None, "a".into());
        view.containers.get_mut("a").expect("just made").state = State::Exited(lost);
        take_over(&mut view, &state(1, None), &mut messages);
        assert!(matches!(view.containers["a"].state, State::Running { .. }));
        assert!(is_superseded(&view, &state(0, None)));
        assert!(!is_superseded(&view, &state(1, None)));
    }

    #[test]
    fn an_instance_that_never_ran_is_made_again() {
        let mut view = View::default();
        let mut messages = Vec::new();
        let exit = Exit {
            code: 1,
            signal: None,
            oom_killed: false,
            finished_at: 2_000_000_000,
        };
        let failed = ContainerState {
            started_at: 0,
            ..state(0, Some(exit))
        };
        take_over(&mut view, &failed, &mut messages);
        assert_eq!(view.containers["a"].state, State::Waiting);
        assert!(messages.is_empty());
    }

    #[test]
    fn an_end_that_nobody_saw_is_told() {
        let mut view = View::default();
        let mut messages = Vec::new();
        let exit = Exit {
            code: 1,
            signal: None,
            oom_killed: false,
            finished_at: 2_000_000_000,
        };
        take_over(&mut view, &state(0, Some(exit)), &mut messages);
        assert!(matches!(messages[..], [Msg::Exited(_)]));
    }

    #[test]
    fn a_log_stands_in_for_a_termination_message_after_an_error() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let places = Places {
            data: dir.path().join("data"),
            run: dir.path().join("run"),
            logs: dir.path().join("logs"),
        };
        let log = places.log("a", 0);
        fs::create_dir_all(log.parent().expect("parent")).expect("directory");
        fs::write(
            &log,
            "2026-01-01T00:00:00Z stdout F one\n2026-01-01T00:00:00Z stderr F two\n",
        )
        .expect("log");
        let container = Container {
            name: "a".into(),
            termination_message_policy: Some("FallbackToLogsOnError".into()),
            ..Container::default()
        };
        assert_eq!(
            termination_message(&places, &container, 0, 1).as_deref(),
            Some("one\ntwo\n")
        );
        assert_eq!(termination_message(&places, &container, 0, 0), None);
    }
}
