//! What is known of a pod on this node: plain values that [`super::plan`] and [`super::status`] decide on, kept in
//! `<run dir>/pods/<uid>/pod.json` so that an agent started after a crash goes on where the last one stopped.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};
use serde::{Deserialize, Serialize};
use skiff_pod_network::PodAddress;

/// A pod as this node sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct View {
    /// Namespaces, supervisor and network.
    #[serde(skip)]
    pub sandbox: Sandbox,
    /// Addresses of the pod, once it had them.
    #[serde(default)]
    pub ip: Option<PodAddress>,
    /// Volumes and the files beside them.
    #[serde(skip)]
    pub volumes: Step,
    /// By container name, all kinds.
    pub containers: BTreeMap<String, Instance>,
    /// Removed from the API; nobody reads its status any more.
    #[serde(skip)]
    pub gone: bool,
    /// When this node first saw the pod.
    pub start_time: Option<Timestamp>,
    /// When its containers were first told to end.
    pub terminating_since: Option<Timestamp>,
    /// The node gave up on the pod: reason and message of its status.
    pub failure: Option<(String, String)>,
    /// The node does not give what the pod asks for now: reason and message of the condition, and when it is asked again.
    #[serde(skip)]
    pub resize_pending: Option<Hold>,
    /// The final status has reached the API.
    #[serde(skip)]
    pub published_end: bool,
}

/// How far the sandbox is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Sandbox {
    /// Not there.
    #[default]
    Absent,
    /// Being made.
    Creating,
    /// There. `None`: the pod uses the host's network.
    Ready(Option<PodAddress>),
    /// Could not be made; tried again later.
    Failed(Hold),
    /// Being taken down.
    Removing,
    /// Taken down for good.
    Removed,
}

/// How far a preparation is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Step {
    /// Not begun.
    #[default]
    Absent,
    /// Under way.
    Doing,
    /// Done.
    Ready,
    /// Failed; tried again later.
    Failed(Hold),
}

/// A reason to wait, as the container status shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hold {
    /// `ImagePullBackOff`, `CreateContainerConfigError`, …
    pub reason: String,
    /// Text for people.
    pub message: String,
    /// Try again then.
    pub until: Timestamp,
}

/// One container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Instance {
    /// Its image.
    #[serde(skip)]
    pub image: Image,
    /// The current instance.
    pub state: State,
    /// Number of the current instance, from 0: the restart count.
    pub attempt: u32,
    /// Why the next instance can't be created yet.
    #[serde(skip)]
    pub hold: Option<Hold>,
    /// How the instance before the current one ended.
    pub last: Option<Ended>,
    /// Seconds the next restart waits after the current instance's end; 0: none.
    pub backoff_s: u32,
    /// Seconds the current instance waited for its start.
    #[serde(skip)]
    pub waited_s: u32,
    /// Readiness as probed.
    pub ready: bool,
    /// Startup probe has passed and the postStart hook has run.
    pub started: bool,
    /// The postStart hook runs: to others the container does not run yet.
    #[serde(skip)]
    pub hooking: bool,
    /// Its liveness or startup probe gave up on it: the message.
    #[serde(skip)]
    pub unhealthy: Option<Unhealthy>,
    /// Image name the current instance was created with.
    pub image_name: String,
    /// Image id as in the status.
    pub image_id: String,
    /// Stop signal of the image.
    pub stop_signal: Option<String>,
    /// What the current instance has been given of cpu and memory; none of one that an older agent has started.
    #[serde(default)]
    pub given: Option<ResourceRequirements>,
    /// Its being given something else.
    #[serde(skip)]
    pub resize: Step,
}

/// A probe that gave up on a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unhealthy {
    /// Event text.
    pub message: String,
    /// Grace period of the probe, if it has one of its own.
    pub grace_s: Option<i64>,
}

/// An image on its way.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Image {
    /// Not looked for.
    #[default]
    Unknown,
    /// Being looked for or pulled.
    Pulling {
        /// What the status still says, from the failure before.
        hold: Option<Hold>,
        /// Seconds of the back-off before, 0: none.
        backoff_s: u32,
    },
    /// In the store.
    Present,
    /// Not to be had now.
    Failed {
        /// What the status says.
        hold: Hold,
        /// Seconds of the back-off.
        backoff_s: u32,
        /// The back-off runs; before, for a moment, the status shows the error itself: the reason has changed from ErrImagePull to ImagePullBackOff.
        backing_off: bool,
    },
}

/// The current instance of a container.
///
/// ```text
/// Waiting ─► Creating ─► Running ─► Stopping ─► Exited ─┐
///    ▲          └───────────┴───────────────────► Exited│
///    └──────────── (next attempt: Creating) ◄───────────┘
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) enum State {
    /// Never created.
    #[default]
    Waiting,
    /// Create and start are under way.
    Creating,
    /// Its process runs.
    Running {
        /// Since when.
        started_at: Timestamp,
    },
    /// It was told to end.
    Stopping {
        /// Since when it runs.
        started_at: Timestamp,
        /// Seconds it was given.
        grace_s: i64,
    },
    /// Its process has ended.
    Exited(Ended),
}

impl State {
    /// A process may exist.
    pub fn is_alive(&self) -> bool {
        matches!(
            self,
            Self::Creating | Self::Running { .. } | Self::Stopping { .. }
        )
    }

    /// The process is known to run.
    pub fn started_at(&self) -> Option<Timestamp> {
        match self {
            Self::Running { started_at } | Self::Stopping { started_at, .. } => Some(*started_at),
            _ => None,
        }
    }

    /// How it ended, once it has.
    pub fn ended(&self) -> Option<&Ended> {
        match self {
            Self::Exited(ended) => Some(ended),
            _ => None,
        }
    }
}

/// How an instance ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// Exit code.
    pub code: i32,
    /// Signal, when killed by one.
    pub signal: Option<i32>,
    /// `Completed`, `Error`, `OOMKilled`, `StartError`, …
    pub reason: String,
    /// Termination message.
    pub message: Option<String>,
    /// Start of its process; `None`: never ran.
    pub started_at: Option<Timestamp>,
    /// End.
    pub finished_at: Timestamp,
    /// `skiff://…`.
    pub container_id: String,
}

/// What a container is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Runs to its end before the next.
    Init,
    /// Init container with `restartPolicy: Always`.
    Sidecar,
    /// Of `spec.containers`.
    Main,
    /// Added for debugging.
    Ephemeral,
}

/// All containers of a pod in order, with what they are for.
pub(crate) fn containers(pod: &Pod) -> Vec<(Kind, Container)> {
    let Some(spec) = &pod.spec else {
        return Vec::new();
    };
    let init = spec.init_containers.iter().flatten().map(|container| {
        let sidecar = container.restart_policy.as_deref() == Some("Always");
        (
            if sidecar { Kind::Sidecar } else { Kind::Init },
            container.clone(),
        )
    });
    let main = spec
        .containers
        .iter()
        .map(|container| (Kind::Main, container.clone()));
    // An ephemeral container has the fields of a container and one more.
    let ephemeral = spec
        .ephemeral_containers
        .iter()
        .flatten()
        .filter_map(|container| {
            let value = serde_json::to_value(container).ok()?;
            Some((Kind::Ephemeral, serde_json::from_value(value).ok()?))
        });
    init.chain(main).chain(ephemeral).collect()
}

/// `namespace`, or `default` for an object without one.
pub(crate) fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or("default")
}

/// Name of the pod.
pub(crate) fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

/// Uid of the pod.
pub(crate) fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

/// Whether the pod uses the host's network.
pub(crate) fn host_network(pod: &Pod) -> bool {
    pod.spec
        .as_ref()
        .and_then(|spec| spec.host_network)
        .unwrap_or(false)
}

/// The id the supervisor knows an instance by.
pub(crate) fn instance_id(container: &str, attempt: u32) -> String {
    format!("{container}-{attempt}")
}

/// The id in container statuses: as other runtimes', 64 hexadecimal digits; the same for the same instance.
pub(crate) fn container_id(pod_uid: &str, container: &str, attempt: u32) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(format!("{pod_uid}/{container}/{attempt}"));
    format!("skiff://{}", hex::encode(digest))
}
