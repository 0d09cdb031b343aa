//! Brings a pod's status to the API: the latest one wins, each is sent once, failures are tried again with back-off.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};

use super::{
    model::{name, namespace, uid},
    status,
    worker::Msg,
};
use crate::agent::Agent;

/// What the API should show.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Pod and its status; `None`: nothing yet.
    pub status: Option<(Arc<Pod>, PodStatus)>,
    /// Delete the object once the status is there.
    pub finalize: bool,
    /// Resource version in which somebody else had changed what we sent: it is sent again.
    pub overruled: Option<String>,
}

/// Whether somebody else has set a pod's `Ready` to another value after us, as the node controller does while the
/// node is silent. Times have whole seconds on the wire, and are compared as there: an echo of something of ours may look like
/// that too, and costs a patch that changes nothing.
pub(crate) fn is_overruled(observed: &Pod, status: &PodStatus) -> bool {
    let ready = |status: &PodStatus| {
        let conditions = status.conditions.as_deref().unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition.type_ == "Ready")?;
        Some((ready.status.clone(), ready.last_transition_time.as_ref()?.0))
    };
    let observed = observed.status.as_ref().and_then(ready);
    observed
        .zip(ready(status))
        .is_some_and(|((theirs, at), (ours, ours_at))| {
            theirs != ours && at.as_second() >= ours_at.as_second()
        })
}

/// How long a status of a pod that is just starting is held back for a better one.
const PASSING: Duration = Duration::from_millis(150);

impl Wanted {
    /// The pod is on its way up and nothing is wrong with it.
    fn is_passing(&self) -> bool {
        let Some((_, status)) = self.status.as_ref().filter(|_| !self.finalize) else {
            return false;
        };
        let all = status
            .container_statuses
            .iter()
            .chain(&status.init_container_statuses)
            .flatten();
        status.phase.as_deref() == Some("Pending")
            && all.filter_map(|container| container.state.as_ref()).all(|state| {
                state.waiting.as_ref().is_some_and(|waiting| {
                    matches!(
                        waiting.reason.as_deref(),
                        Some("ContainerCreating" | "PodInitializing")
                    )
                })
            })
    }
}

/// Starts the publisher of one pod. It ends with the sender, or after the object is deleted (then it says so).
pub(crate) fn start(agent: Arc<Agent>, worker: mpsc::UnboundedSender<Msg>) -> watch::Sender<Wanted> {
    let (sender, mut receiver) = watch::channel(Wanted::default());
    tokio::spawn(async move {
        let mut sent: Option<Value> = None;
        let mut overruled = None;
        let mut delay = Duration::from_millis(100);
        while receiver.changed().await.is_ok() {
            loop {
                if receiver.borrow_and_update().is_passing() {
                    // Most containers run a moment later: one patch then says it all.
                    let _ = tokio::time::timeout(PASSING, async {
                        while receiver.changed().await.is_ok() && receiver.borrow_and_update().is_passing() {}
                    })
                    .await;
                }
                let wanted = receiver.borrow_and_update().clone();
                let Some((pod, status)) = wanted.status else { break };
                if overruled != wanted.overruled {
                    overruled = wanted.overruled;
                    sent = None;
                }
                match send(&agent, &pod, &status, &mut sent, wanted.finalize).await {
                    Ok(()) => {
                        delay = Duration::from_millis(100);
                        if wanted.finalize {
                            let _ = worker.send(Msg::Finalized);
                            return;
                        }
                        break;
                    }
                    Err(error) => {
                        warn!(pod = name(&pod), %error, "publish pod status");
                        tokio::time::sleep(delay).await;
                        delay = (delay * 2).min(Duration::from_secs(10));
                    }
                }
            }
        }
    });
    sender
}

async fn send(
    agent: &Agent,
    pod: &Pod,
    status: &PodStatus,
    sent: &mut Option<Value>,
    finalize: bool,
) -> Result<(), kube::Error> {
    let api: Api<Pod> = Api::namespaced(agent.client.clone(), namespace(pod));
    let wanted = serde_json::to_value(status).map_err(kube::Error::SerdeError)?;
    let observed = serde_json::to_value(&pod.status).unwrap_or_default();
    let is_shown = shows(&observed, &wanted) && over(&observed, &wanted).is_empty();
    if sent.as_ref() != Some(&wanted) && (sent.is_some() || !is_shown) {
        let before = sent.as_ref().unwrap_or(&observed);
        let body = json!({ "metadata": { "uid": uid(pod) }, "status": patch(before, &wanted) });
        match api
            .patch_status(name(pod), &PatchParams::default(), &Patch::Strategic(body))
            .await
        {
            Ok(_) => debug!(
                pod = name(pod),
                phase = status.phase.as_deref(),
                "status published"
            ),
            Err(kube::Error::Api(answer)) if answer.code == 404 || is_other_uid(&answer) => {}
            Err(error) => return Err(error),
        }
        *sent = Some(wanted);
    }
    if finalize {
        let parameters = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions {
                uid: Some(uid(pod).into()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match api.delete(name(pod), &parameters).await {
            Ok(_) => {}
            Err(kube::Error::Api(answer)) if answer.code == 404 || answer.code == 409 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A pod of the same name has taken its place.
fn is_other_uid(answer: &kube::core::Status) -> bool {
    answer.code == 409 && answer.message.contains("uid")
}

/// Whether an observed status has everything the wanted one says.
fn shows(observed: &Value, wanted: &Value) -> bool {
    match (observed, wanted) {
        (Value::Object(observed), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, value)| shows(observed.get(key).unwrap_or(&Value::Null), value)),
        (Value::Array(observed), Value::Array(wanted)) => {
            observed.len() >= wanted.len()
                && wanted
                    .iter()
                    .all(|item| observed.iter().any(|other| shows(other, item)))
        }
        (Value::Null, wanted) => wanted.is_null() || wanted.as_object().is_some_and(Map::is_empty),
        (observed, wanted) => observed == wanted,
    }
}

/// Conditions of ours that are there and no longer so: others are never taken away.
fn over(before: &Value, wanted: &Value) -> Vec<&'static str> {
    let has = |status: &Value, kind: &str| {
        let conditions = status["conditions"].as_array();
        conditions
            .into_iter()
            .flatten()
            .any(|condition| condition["type"] == kind)
    };
    let mut ours = vec![status::RESIZE_PENDING, status::RESIZE_IN_PROGRESS];
    ours.retain(|kind| has(before, kind) && !has(wanted, kind));
    ours
}

/// The strategic merge patch from one status to another: fields that are gone become null. Lists of conditions and of
/// addresses are merged by their keys on the other side, so conditions of others stay.
fn patch(before: &Value, wanted: &Value) -> Value {
    let mut patch = wanted.clone();
    let Some(fields) = patch.as_object_mut() else {
        return patch;
    };
    for (key, old) in before.as_object().into_iter().flatten() {
        let ours = [
            "reason",
            "message",
            "podIP",
            "podIPs",
            "containerStatuses",
            "initContainerStatuses",
            "ephemeralContainerStatuses",
        ];
        if ours.contains(&key.as_str()) && !old.is_null() && !fields.contains_key(key) {
            fields.insert(key.clone(), Value::Null);
        }
    }
    if let Some(conditions) = fields.get_mut("conditions").and_then(Value::as_array_mut) {
        let gone = over(before, wanted).into_iter();
        conditions.extend(gone.map(|kind| json!({"$patch": "delete", "type": kind})));
    }
    let old_conditions = before["conditions"].as_array().cloned().unwrap_or_default();
    for condition in fields
        .get_mut("conditions")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let Some(old) = old_conditions.iter().find(|old| old["type"] == condition["type"]) else {
            continue;
        };
        for key in ["reason", "message"] {
            if old[key].is_string() && condition.get(key).is_none() {
                condition[key] = Value::Null;
            }
        }
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_gone_become_null_and_those_of_others_are_left_alone() {
        let before = json!({
            "phase": "Pending", "message": "m", "nominatedNodeName": "n",
            "conditions": [{"type": "Ready", "status": "False", "reason": "R"}]
        });
        let wanted = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
        assert_eq!(
            patch(&before, &wanted),
            json!({
                "phase": "Running", "message": null,
                "conditions": [{"type": "Ready", "status": "True", "reason": null}]
            })
        );
    }

    #[test]
    fn a_resize_that_is_over_takes_its_condition_away() {
        let before = json!({"conditions": [{"type": "PodResizePending", "status": "True"}, {"type": "Others", "status": "True"}]});
        let wanted = json!({"conditions": [{"type": "Ready", "status": "True"}]});
        assert_eq!(
            patch(&before, &wanted),
            json!({"conditions": [{"type": "Ready", "status": "True"}, {"$patch": "delete", "type": "PodResizePending"}]})
        );
    }

    #[test]
    fn only_a_later_change_by_somebody_else_overrules_a_status() {
        let at = |ready: &str, second: u8| {
            json!({"conditions": [{"type": "Ready", "status": ready,
                "lastTransitionTime": format!("2026-01-01T00:00:0{second}Z")}]})
        };
        // Before it is sent, ours has parts of a second.
        let mut ours: PodStatus = serde_json::from_value(at("True", 5)).expect("status");
        for condition in ours.conditions.iter_mut().flatten() {
            let time = condition.last_transition_time.as_mut().expect("time");
            time.0 += std::time::Duration::from_millis(700);
        }
        let overruled = |observed: Value| {
            let pod = json!({"metadata": {"name": "p"}, "status": observed});
            is_overruled(&serde_json::from_value(pod).expect("pod"), &ours)
        };
        assert!(overruled(at("False", 6)));
        assert!(overruled(at("False", 5)), "in the same second");
        assert!(!overruled(at("False", 4)));
        assert!(!overruled(at("True", 6)));
        assert!(!overruled(Value::Null));
    }

    #[test]
    fn a_status_that_is_there_already_is_not_sent_again() {
        let observed =
            json!({"phase": "Running", "conditions": [{"type": "A", "status": "True", "x": 1}], "y": 1});
        assert!(shows(
            &observed,
            &json!({"phase": "Running", "conditions": [{"type": "A", "status": "True"}]})
        ));
        assert!(!shows(
            &observed,
            &json!({"phase": "Running", "podIP": "10.0.0.1"})
        ));
    }
}
