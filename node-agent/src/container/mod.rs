//! Makes and starts a container: image, environment, volumes → OCI configuration → supervisor.

pub(crate) mod image;
pub(crate) mod spec;
pub(crate) mod user;

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, PodSecurityContext, SecurityContext};
use kube::Api;
use skiff_runtime::supervisor::{self, ContainerState, RootFs};

use self::{
    image::Source,
    spec::{Access, Bind},
};
use crate::{
    agent::Agent,
    cgroup, env,
    pod::{handle::Handle, model},
    volume::{self, Mounted},
};

/// Default size at which a log is rotated, and files kept. Source: Kubernetes, "Log rotation".
const LOG_MAX_BYTES: u64 = 10 << 20;
/// See [`LOG_MAX_BYTES`].
const LOG_FILES: u32 = 5;

/// File in the instance's directory with its OCI process.
pub(crate) const PROCESS: &str = "process.json";

/// Why a container did not come up.
#[derive(Clone, Debug)]
pub(crate) enum Failed {
    /// Something it refers to is missing or wrong; it was not created. Tried again later, not a restart.
    Config {
        /// `CreateContainerConfigError` or `CreateContainerError`.
        reason: &'static str,
        /// Text.
        message: String,
    },
    /// The runtime could not create or start it: counts as an instance that has ended.
    Start {
        /// Text.
        message: String,
    },
    /// The supervisor was gone before it could answer: no fault of the container's.
    Lost,
}

/// What a container is made from.
#[derive(Clone)]
pub(crate) struct Plan {
    /// Pod.
    pub pod: Arc<Pod>,
    /// Container.
    pub container: Container,
    /// Instance number.
    pub attempt: u32,
    /// Image or bundle.
    pub source: Source,
    /// Supervisor.
    pub handle: Arc<Handle>,
    /// The pod's addresses.
    pub pod_ips: Vec<std::net::IpAddr>,
    /// Volumes and files of the pod.
    pub mounted: Arc<Mounted>,
}

/// Where things of a pod are kept on this node.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// `<data>/pods/<uid>`.
    pub data: PathBuf,
    /// `<run>/pods/<uid>`: the supervisor's directory.
    pub run: PathBuf,
    /// `<data>/logs/<namespace>_<name>_<uid>`.
    pub logs: PathBuf,
}

impl Places {
    /// Of a pod.
    pub fn of(config: &crate::Config, pod: &Pod) -> Self {
        let uid = model::uid(pod);
        let logs = format!("{}_{}_{uid}", model::namespace(pod), model::name(pod));
        Self {
            data: config.data_dir.join("pods").join(uid),
            run: config.run_dir.join("pods").join(uid),
            logs: config.data_dir.join("logs").join(logs),
        }
    }

    /// Directory of one instance.
    pub fn instance(&self, container: &str, attempt: u32) -> PathBuf {
        self.data
            .join("containers")
            .join(container)
            .join(attempt.to_string())
    }

    /// Log of one instance.
    pub fn log(&self, container: &str, attempt: u32) -> PathBuf {
        self.logs.join(container).join(format!("{attempt}.log"))
    }

    /// Termination message of one instance.
    pub fn termination(&self, container: &str, attempt: u32) -> PathBuf {
        self.instance(container, attempt).join("termination-log")
    }

    /// `/dev/shm` of the pod.
    pub fn shm(&self) -> PathBuf {
        self.run.join("shm")
    }
}

/// Creates and starts an instance.
pub(crate) async fn start(agent: &Agent, plan: Plan) -> Result<ContainerState, Failed> {
    let config = |message: String| Failed::Config {
        reason: "CreateContainerConfigError",
        message,
    };
    let pod = &*plan.pod;
    let (maps, secrets) = env::references(&plan.container);
    let config_maps = fetch_maps(agent, pod, maps).await.map_err(config)?;
    let secrets = fetch_secrets(agent, pod, secrets).await.map_err(config)?;
    let links = agent.services.links(pod).await;
    let facts = agent.facts(plan.pod_ips.clone());
    let process = match &plan.source {
        Source::Image(image) => image.process.clone(),
        Source::Bundle { spec, .. } => bundle_process(spec),
    };
    let given = env::environment(&env::Input {
        pod,
        container: &plan.container,
        services: &links,
        config_maps: &config_maps,
        secrets: &secrets,
        facts: &facts,
    })
    .map_err(config)?;
    let pid_of = target(&plan).await.map_err(config)?;
    let container = build(agent, &plan, &process, &given, pid_of)?;
    let id = container.id.clone();
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof => Failed::Lost,
        _ => Failed::Start {
            message: crate::causes::chain(&error),
        },
    };
    plan.handle
        .call(move |supervisor| {
            match supervisor.run(&container) {
                // Left by an agent that ended before it heard of it.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    supervisor.remove(&id)?;
                    supervisor.run(&container)
                }
                started => started,
            }
        })
        .await
        .map_err(failed)
}

/// The process of the container an ephemeral container targets (`kubectl debug --target`).
async fn target(plan: &Plan) -> Result<Option<u32>, String> {
    let spec = plan.pod.spec.iter();
    let mut ephemeral = spec.flat_map(|spec| spec.ephemeral_containers.iter().flatten());
    let name = ephemeral
        .find(|ephemeral| ephemeral.name == plan.container.name)
        .and_then(|ephemeral| ephemeral.target_container_name.clone());
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let all = plan.handle.call(supervisor::Pod::list).await;
    let all = all.map_err(|error| error.to_string())?;
    let running = all
        .iter()
        .find(|state| state.exit.is_none() && state.labels.get("name") == Some(&name));
    let state = running.ok_or_else(|| format!("unable to find target container {name:?}"))?;
    Ok(Some(state.pid))
}

fn bundle_process(spec: &oci_spec::runtime::Spec) -> skiff_image::ImageProcess {
    let Some(process) = spec.process() else {
        return skiff_image::ImageProcess::default();
    };
    let user = process.user();
    skiff_image::ImageProcess {
        entrypoint: process.args().clone().unwrap_or_default(),
        env: process.env().clone().unwrap_or_default(),
        working_dir: process.cwd().display().to_string(),
        user: format!("{}:{}", user.uid(), user.gid()),
        ..skiff_image::ImageProcess::default()
    }
}

/// Directories, files and the OCI configuration of an instance.
fn build(
    agent: &Agent,
    plan: &Plan,
    process: &skiff_image::ImageProcess,
    given: &[(String, String)],
    pid_of: Option<u32>,
) -> Result<supervisor::Container, Failed> {
    let config = |message: String| Failed::Config {
        reason: "CreateContainerConfigError",
        message,
    };
    let broken = |message: String| Failed::Config {
        reason: "CreateContainerError",
        message,
    };
    let pod = &*plan.pod;
    let container = &plan.container;
    let places = Places::of(&agent.config, pod);
    let pod_security = pod
        .spec
        .as_ref()
        .and_then(|s| s.security_context.clone())
        .unwrap_or_default();
    let security = container.security_context.clone().unwrap_or_default();

    let args = env::arguments(container, &process.entrypoint, &process.cmd, given);
    if args.is_empty() {
        return Err(broken("no command specified".into()));
    }
    let layers = match &plan.source {
        Source::Image(image) => image.layers.clone(),
        Source::Bundle { rootfs, .. } => vec![rootfs.clone()],
    };
    let mut user = user::resolve(
        &wanted_user(&pod_security, &security),
        &process.user,
        &user::read(&layers, "etc/passwd").unwrap_or_default(),
        &user::read(&layers, "etc/group").unwrap_or_default(),
    )
    .map_err(|message| {
        if !message.contains("non-root") && !message.contains("runAsNonRoot") {
            return config(message);
        }
        let pod = format!(
            "{}_{}({})",
            model::name(pod),
            model::namespace(pod),
            model::uid(pod)
        );
        config(format!("{message} (pod: {pod:?}, container: {})", container.name))
    })?;

    if agent.entered.single_id {
        if (user.uid, user.gid) != (0, 0) {
            return Err(config(format!(
                "container can't run as user {} and group {}: whoever runs this node has no range in /etc/subuid and /etc/subgid, \
                 so its pods have no user and group but 0",
                user.uid, user.gid
            )));
        }
        // No group but our own exists here, and the kernel refuses setgroups.
        user.groups.clear();
    }
    let mut environment = env::merged(&process.env, given);
    let set = |environment: &[String], name: &str| {
        environment
            .iter()
            .any(|variable| variable.split('=').next() == Some(name))
    };
    if !set(&environment, "HOSTNAME") {
        environment.push(format!("HOSTNAME={}", agent.hostname(pod)));
    }
    if container.tty == Some(true) && !set(&environment, "TERM") {
        environment.push("TERM=xterm".into());
    }
    if !set(&environment, "HOME") {
        environment.push(format!("HOME={}", user.home.as_deref().unwrap_or("/")));
    }

    let instance = places.instance(&container.name, plan.attempt);
    fs::create_dir_all(&instance).map_err(|error| broken(format!("create {instance:?}: {error}")))?;
    let rootfs = rootfs(agent, &plan.source, &instance).map_err(broken)?;
    let mut binds = volume::binds(&plan.mounted, container, given).map_err(config)?;
    binds.extend(files(&places, pod, container));
    let host_ipc = pod.spec.as_ref().is_some_and(|spec| spec.host_ipc == Some(true));
    let shm = if host_ipc {
        // Message queues are seen through a mount of their namespace: here the host's own.
        let queues = PathBuf::from("/dev/mqueue");
        if queues.is_dir() {
            binds.push(Bind {
                source: queues,
                target: "/dev/mqueue".into(),
                access: Access::Write,
                recursive: false,
                propagation: None,
            });
        }
        PathBuf::from("/dev/shm")
    } else {
        places.shm()
    };
    let target = container
        .termination_message_path
        .clone()
        .unwrap_or_else(|| "/dev/termination-log".into());
    let source = places.termination(&container.name, plan.attempt);
    fs::write(&source, "").map_err(|error| broken(format!("create {source:?}: {error}")))?;
    let _ = fs::set_permissions(&source, std::os::unix::fs::PermissionsExt::from_mode(0o666));
    binds.push(Bind {
        source,
        target,
        access: Access::Write,
        recursive: false,
        propagation: None,
    });

    let log = places.log(&container.name, plan.attempt);
    if let Some(dir) = log.parent() {
        fs::create_dir_all(dir).map_err(|error| broken(format!("create {dir:?}: {error}")))?;
    }
    let cwd = container
        .working_dir
        .clone()
        .filter(|dir| !dir.is_empty())
        .unwrap_or_else(|| {
            if process.working_dir.is_empty() {
                "/".into()
            } else {
                process.working_dir.clone()
            }
        });
    let root = match &rootfs {
        RootFs::Dir(dir) => dir.clone(),
        RootFs::Overlay { upper, .. } => upper.clone(),
    };
    let filter = filter(agent, &pod_security, &security).map_err(broken)?;
    let value = spec::spec(&spec::Input {
        pod,
        container,
        args,
        env: environment,
        cwd,
        user,
        binds,
        shm: &shm,
        resources: cgroup::container_resources(container),
        cgroups: agent.cgroups.any,
        rootless: agent.entered.rootless,
        single_id: agent.entered.single_id,
        pid_of,
        oom_score_adj: cgroup::oom_score_adj(pod, container, facts_memory(agent)),
        filter: &filter,
        root: &root,
    });
    // What exec runs with, also after a restart of the agent.
    let process = instance.join(PROCESS);
    write_private(&process, value["process"].to_string().as_bytes())
        .map_err(|error| broken(format!("create {process:?}: {error}")))?;
    let spec = serde_json::from_value(value).map_err(|error| broken(format!("configuration: {error}")))?;
    Ok(supervisor::Container {
        id: model::instance_id(&container.name, plan.attempt),
        spec,
        rootfs,
        log: Some(log),
        log_max_bytes: LOG_MAX_BYTES,
        log_files: LOG_FILES,
        stdin: container.stdin.unwrap_or(false),
        stdin_once: container.stdin_once.unwrap_or(false),
        cgroup: agent.cgroups.any.then(|| {
            let pod = cgroup::pod_path(&agent.config.run_dir, pod);
            format!("{pod}/{}-{}", container.name, plan.attempt)
        }),
        labels: BTreeMap::from([
            ("name".to_owned(), container.name.clone()),
            ("attempt".to_owned(), plan.attempt.to_string()),
        ]),
    })
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?
        .write_all(bytes)
}

fn facts_memory(agent: &Agent) -> i64 {
    agent.facts(Vec::new()).memory
}

fn wanted_user(pod: &PodSecurityContext, container: &SecurityContext) -> user::Wanted {
    user::Wanted {
        uid: container.run_as_user.or(pod.run_as_user),
        gid: container.run_as_group.or(pod.run_as_group),
        groups: pod
            .supplemental_groups
            .iter()
            .flatten()
            .copied()
            .chain(pod.fs_group)
            .collect(),
        strict: pod.supplemental_groups_policy.as_deref() == Some("Strict"),
        non_root: container.run_as_non_root.or(pod.run_as_non_root).unwrap_or(false),
    }
}

/// The system calls a container may make. Profiles of the node are files below `<data>/seccomp`.
fn filter(
    agent: &Agent,
    pod: &PodSecurityContext,
    container: &SecurityContext,
) -> Result<spec::Filter, String> {
    let Some(profile) = container
        .seccomp_profile
        .as_ref()
        .or(pod.seccomp_profile.as_ref())
    else {
        return Ok(spec::Filter::Default);
    };
    match profile.type_.as_str() {
        "Unconfined" => Ok(spec::Filter::Unconfined),
        "Localhost" => {
            let name = profile.localhost_profile.as_deref().unwrap_or_default();
            let path = agent.config.data_dir.join("seccomp").join(name);
            seccomp_file(&path)
                .map(spec::Filter::Profile)
                .map_err(|message| format!("cannot load seccomp profile {path:?}: {message}"))
        }
        _ => Ok(spec::Filter::Default),
    }
}

/// A profile in the form of the OCI configuration, as Kubernetes' own examples are.
fn seccomp_file(path: &Path) -> Result<serde_json::Value, String> {
    if path
        .components()
        .any(|part| matches!(part, std::path::Component::ParentDir))
    {
        return Err("the path leads out of the folder".into());
    }
    let text = fs::read(path).map_err(|error| error.to_string())?;
    let profile: oci_spec::runtime::LinuxSeccomp =
        serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    serde_json::to_value(profile).map_err(|error| error.to_string())
}

fn rootfs(agent: &Agent, source: &Source, instance: &Path) -> Result<RootFs, String> {
    match source {
        Source::Bundle { rootfs, .. } => Ok(RootFs::Dir(rootfs.clone())),
        Source::Image(image) => {
            let (upper, work) = (instance.join("upper"), instance.join("work"));
            for dir in [&upper, &work] {
                // A writable layer belongs to one instance; what is there is of one that never ran.
                let _ = fs::remove_dir_all(dir);
                fs::create_dir_all(dir).map_err(|error| format!("create {dir:?}: {error}"))?;
            }
            Ok(RootFs::Overlay {
                lower: image.layers.clone(),
                upper,
                work,
                userxattr: agent.entered.rootless,
            })
        }
    }
}

/// `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`, unless the container mounts its own.
fn files(places: &Places, pod: &Pod, container: &Container) -> Vec<Bind> {
    let own = |path: &str| {
        container
            .volume_mounts
            .iter()
            .flatten()
            .any(|mount| mount.mount_path == path)
    };
    let _ = pod;
    [
        ("etc-hosts", "/etc/hosts"),
        ("etc-hostname", "/etc/hostname"),
        ("resolv.conf", "/etc/resolv.conf"),
    ]
    .into_iter()
    .filter(|(_, target)| !own(target))
    .map(|(file, target)| Bind {
        source: places.data.join(file),
        target: target.into(),
        access: Access::Write,
        recursive: false,
        propagation: None,
    })
    .collect()
}

async fn fetch_maps(
    agent: &Agent,
    pod: &Pod,
    names: Vec<String>,
) -> Result<BTreeMap<String, ConfigMap>, String> {
    let api: Api<ConfigMap> = Api::namespaced(agent.client.clone(), model::namespace(pod));
    fetch(api, names).await
}

async fn fetch_secrets(
    agent: &Agent,
    pod: &Pod,
    names: Vec<String>,
) -> Result<BTreeMap<String, k8s_openapi::api::core::v1::Secret>, String> {
    let api = Api::namespaced(agent.client.clone(), model::namespace(pod));
    fetch(api, names).await
}

async fn fetch<K>(api: Api<K>, names: Vec<String>) -> Result<BTreeMap<String, K>, String>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let found = futures::future::join_all(names.into_iter().map(|name| {
        let api = api.clone();
        async move { (api.get_opt(&name).await, name) }
    }))
    .await;
    let mut map = BTreeMap::new();
    for (answer, name) in found {
        match answer {
            Ok(Some(object)) => {
                map.insert(name, object);
            }
            Ok(None) => {}
            Err(error) => return Err(format!("get {name}: {}", crate::causes::chain(&error))),
        }
    }
    Ok(map)
}
