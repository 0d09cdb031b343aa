//! The pods, as `kubectl run` makes them and a kubelet reports them, and their changes.

use std::time::Duration;

use anyhow::Context;

use crate::connection::Connection;

/// Pods that change in turn.
pub const PODS: usize = 50;

const PATCH: &str = "application/merge-patch+json";

/// Creates the pods, as running ones.
pub async fn create(connection: &mut Connection, pods: &str) -> anyhow::Result<()> {
    for number in 0..PODS {
        let pod = format!(
            r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"w-{number}","labels":{{"run":"w-{number}"}}}},
                "spec":{{"schedulerName":"none","containers":[{{"name":"w-{number}","image":"docker.io/library/nginx:1.29"}}]}}}}"#
        );
        let fields = "?fieldManager=kubectl-run";
        connection
            .call("POST", &format!("{pods}{fields}"), "application/json", pod)
            .await?;
        let path = format!("{pods}/w-{number}/status?fieldManager=kubelet");
        connection.call("PATCH", &path, PATCH, running(number)).await?;
    }
    Ok(())
}

fn running(number: usize) -> String {
    let conditions: Vec<String> = [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    ]
    .iter()
    .map(|name| {
        format!(r#"{{"type":"{name}","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z","lastProbeTime":null}}"#)
    })
    .collect();
    let digest = "a3f9".repeat(16);
    format!(
        r#"{{"status":{{"phase":"Running","startTime":"2026-01-01T00:00:00Z","hostIP":"192.0.2.7",
            "hostIPs":[{{"ip":"192.0.2.7"}}],"podIP":"10.42.0.{number}","podIPs":[{{"ip":"10.42.0.{number}"}}],
            "qosClass":"BestEffort","conditions":[{}],"containerStatuses":[{{"name":"w-{number}","ready":true,"started":true,
            "restartCount":0,"image":"docker.io/library/nginx:1.29","imageID":"docker.io/library/nginx@sha256:{digest}",
            "containerID":"skiff://{digest}","lastState":{{}},"state":{{"running":{{"startedAt":"2026-01-01T00:00:00Z"}}}}}}]}}}}"#,
        conditions.join(",")
    )
}

/// One change of a status: its number, and when it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub number: usize,
    pub sent: Duration,
}

impl Change {
    /// Carries it out. One pod's changes must come from one connection, so that they are made in order.
    pub async fn send(self, connection: &mut Connection, pods: &str) -> anyhow::Result<()> {
        let patch = format!(
            r##"{{"status":{{"message":"#{}#{}#"}}}}"##,
            self.number,
            self.sent.as_nanos()
        );
        let path = format!("{pods}/w-{}/status?fieldManager=kubelet", self.number % PODS);
        connection.call("PATCH", &path, PATCH, patch).await?;
        Ok(())
    }

    /// Finds it in an event, whatever the event's form.
    pub fn of(event: &[u8]) -> anyhow::Result<Self> {
        let mut parts = event.split(|byte| *byte == b'#').skip(1);
        let mut number = || -> anyhow::Result<u64> {
            let text = parts.next().context("an event without a mark")?;
            Ok(std::str::from_utf8(text)?.parse()?)
        };
        Ok(Self {
            number: usize::try_from(number()?)?,
            sent: Duration::from_nanos(number()?),
        })
    }
}
