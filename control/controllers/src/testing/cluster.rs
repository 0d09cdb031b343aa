//! A whole cluster in memory: the API, all controllers, and nodes whose agents say what real ones would.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Namespace, Node, Pod},
};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{MemoryApi, kinds};
use crate::{
    Api, Config, DeleteOptions,
    machinery::{Clock, Object, pods},
    run_with,
};

/// The cluster; time is tokio's, so tests start it paused.
pub struct Cluster {
    pub api: Arc<MemoryApi>,
    pub clock: Clock,
    /// What is to be in `kube-root-ca.crt`.
    pub root_ca: tokio::sync::watch::Sender<String>,
    /// Of load balancers.
    pub pool: Option<crate::Pool>,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Cluster {
    /// With the namespaces `default` and `kube-node-lease`, and controllers not running yet.
    pub fn new() -> Self {
        let clock = Clock::of_tokio(Timestamp::from_second(1_700_000_000).unwrap());
        let api = MemoryApi::new(clock.clone());
        for name in ["default", "kube-node-lease"] {
            api.put::<Namespace>(json!({"metadata": {"name": name}}));
        }
        Self {
            api,
            clock,
            root_ca: tokio::sync::watch::Sender::new("CA".into()),
            pool: None,
            running: None,
        }
    }

    /// Starts all controllers.
    pub fn start(&mut self) {
        let config = Config {
            root_ca: self.root_ca.subscribe(),
            pod_cidr: "10.42.0.0/16".into(),
            node_grace_seconds: 40,
            load_balancer_pool: self.pool.clone(),
            resources: kinds(),
        };
        let stop = CancellationToken::new();
        let (api, clock, token) = (self.api.clone(), self.clock.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let client = move |_: &'static str| -> Arc<dyn Api> { api.clone() };
            let running = run_with(&client, config, clock, token);
            running.await;
        });
        self.running = Some((stop, task));
    }

    /// Ends all controllers.
    pub async fn stop(&mut self) {
        if let Some((stop, task)) = self.running.take() {
            stop.cancel();
            task.await.unwrap();
        }
    }

    /// A node that is ready, with a fresh lease.
    pub fn node(&self, name: &str, cpu: &str) {
        self.api.put::<Node>(json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "spec": {},
            "status": {
                "allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110", "ephemeral-storage": "20Gi"},
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            },
        }));
        self.api.put::<Lease>(json!({
            "metadata": {"namespace": "kube-node-lease", "name": name},
            "spec": {"holderIdentity": name, "renewTime": self.micro()},
        }));
    }

    /// Renews a node's lease.
    pub fn beat(&self, node: &str) {
        let renewed = self.micro();
        self.api.change::<Lease>("kube-node-lease", node, |l| {
            l["spec"]["renewTime"] = json!(renewed)
        });
    }

    /// Now, as text with microseconds.
    fn micro(&self) -> String {
        self.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
    }

    /// Now, as text.
    pub fn time(&self) -> String {
        self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Plays the agents' part once: bound pods become ready, terminating ones go. Returns whether anything changed.
    pub fn agents(&self, can_start: impl Fn(&Pod) -> bool) -> bool {
        let mut changed = false;
        for pod in self.api.all::<Pod>() {
            if pods::node_name(&pod).is_empty() {
                continue;
            }
            if pod.is_terminating() {
                let now = DeleteOptions {
                    grace_seconds: Some(0),
                    ..DeleteOptions::default()
                };
                self.api.remove::<Pod>(pod.namespace(), pod.name(), &now);
                changed = true;
            } else if !pods::is_ready(&pod) && !pods::is_terminal(&pod) && can_start(&pod) {
                let time = self.time();
                let digits: String = pod.uid().chars().filter(char::is_ascii_digit).collect();
                let number: u32 = digits.parse().unwrap();
                let ip = format!("10.42.{}.{}", number / 250, number % 250 + 1);
                self.api.change::<Pod>(pod.namespace(), pod.name(), |p| {
                    p["status"] = json!({
                        "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
                        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": time}],
                    });
                });
                changed = true;
            }
        }
        changed
    }

    /// Lets controllers and agents work until nothing changes any more, or for `limit` of cluster time.
    pub async fn settle(&self, limit: Duration) {
        self.settle_with(limit, |_| true).await;
    }

    /// [`Cluster::settle`] where only some pods can start.
    pub async fn settle_with(&self, limit: Duration, can_start: impl Fn(&Pod) -> bool) {
        let end = Instant::now() + limit;
        let mut quiet = 0;
        let mut last = self.api.writes();
        while Instant::now() < end && quiet < 40 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.agents(&can_start);
            let writes = self.api.writes();
            quiet = if writes == last { quiet + 1 } else { 0 };
            last = writes;
        }
    }

    /// Waits, with the agents at work, until `done`; panics after `limit` of cluster time.
    pub async fn until(&self, what: &str, limit: Duration, done: impl Fn(&MemoryApi) -> bool) {
        let end = Instant::now() + limit;
        while !done(&self.api) {
            assert!(Instant::now() < end, "not within {limit:?}: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
            self.agents(|_| true);
        }
    }
}

/// A Deployment of a web server.
pub fn deployment(name: &str, replicas: i32, image: &str) -> Value {
    json!({
        "metadata": {"namespace": "default", "name": name},
        "spec": {
            "replicas": replicas,
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "schedulerName": "default-scheduler",
                    "terminationGracePeriodSeconds": 30,
                    "containers": [{"name": "web", "image": image,
                                    "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]}],
                },
            },
        },
    })
}
